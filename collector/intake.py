"""Floor 1. The gate: a topic and its bytes become something to store, or a rejection with a reason.

Whatever comes in, no exception goes out: a message that cannot be judged would come back for ever.
What passes can be stored without another look (text is UTF-8, times fit UTC, numbers fit 64 bits).
It knows no broker, no store and no clock.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec
from msgspec import Struct

from wire import envelope, messages, topics
from wire.envelope import MAX_ENVELOPE_BYTES, Envelope, Site
from wire.messages import Health, Info, Rejection, State
from wire.result import Result

_OWN_CHANNELS: Final[dict[str, type[State] | type[Info] | type[Health]]] = {
    "state": State,
    "info": Info,
    "health": Health,
}
_DETAIL_CHARACTERS = 500
_DAY = timedelta(days=1)


class NumberedResult(Struct, frozen=True):
    """A result with its number and its JSON, character for character as the probe sent it."""

    seq: int
    result: Result
    body: str


class Accepted(Struct, frozen=True):
    """The results of one envelope. Every record is of `kind`, as the topic said."""

    tenant: str
    probe: str
    received_at: datetime
    retained: bool
    kind: str
    epoch: UUID
    site: Site
    records: tuple[NumberedResult, ...]


class Reported(Struct, frozen=True):
    """What a probe says of itself. A retained message is no sign of life."""

    tenant: str
    probe: str
    received_at: datetime
    retained: bool
    message: State | Info | Health


class Rejected(Struct, frozen=True):
    """A message that is not of the contract, and why; `detail` is a sentence for a person."""

    topic: str
    payload: bytes
    received_at: datetime
    reason: Rejection
    detail: str


Judged = Accepted | Reported | Rejected


def judge(
    topic: str,
    payload: bytes,
    received_at: datetime,
    *,
    retained: bool = False,
    max_bytes: int = MAX_ENVELOPE_BYTES,
) -> Judged:
    """What to do with a message.

    Args:
        topic: the MQTT topic.
        payload: its bytes, any bytes.
        received_at: the collector's clock, UTC.
        retained: whether the broker had kept it for us (MQTT's RETAIN flag).
        max_bytes: above this it is not even read.
    """

    def reject(reason: Rejection, detail: str) -> Rejected:
        return Rejected(topic, payload, received_at, reason, detail[:_DETAIL_CHARACTERS])

    if len(payload) > max_bytes:
        return reject(
            Rejection.TOO_LARGE, f"{len(payload)} bytes, at most {max_bytes} bytes are taken"
        )
    address = topics.parse(topic)
    if address is None:
        return reject(Rejection.TOPIC, "no topic of the contract")
    try:
        if address.channel == "m":
            return _results(address, payload, received_at, retained)
        message_type = _OWN_CHANNELS.get(address.channel)
        if message_type is None:
            return reject(Rejection.TOPIC, f"a probe publishes nothing on `{address.channel}`")
        message: State | Info | Health = messages.decode(payload, message_type)
        if isinstance(message, State) and message.at is not None:
            _require_common_time(message.at, "`at`")
    except _RejectionError as error:
        return reject(error.reason, str(error))
    except msgspec.ValidationError as error:
        return reject(Rejection.SCHEMA, str(error))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return reject(Rejection.NOT_JSON, str(error))
    return Reported(address.tenant, address.probe, received_at, retained, message)


class _RejectionError(Exception):
    def __init__(self, reason: Rejection, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def _results(
    address: topics.Topic, payload: bytes, received_at: datetime, retained: bool
) -> Accepted:
    decoded = envelope.decode_envelope(payload)
    if (decoded.tenant, decoded.probe) != (address.tenant, address.probe):
        raise _RejectionError(
            Rejection.IDENTITY,
            f"the envelope is from {decoded.tenant}/{decoded.probe}, "
            f"the topic belongs to {address.tenant}/{address.probe}",
        )
    kind = str(address.kind)
    for record in decoded.records:
        if record.result.kind != kind:
            raise _RejectionError(
                Rejection.KIND,
                f"record {record.seq} is of kind {record.result.kind}, the topic is for {kind}",
            )
    return Accepted(
        tenant=address.tenant,
        probe=address.probe,
        received_at=received_at,
        retained=retained,
        kind=kind,
        epoch=decoded.epoch,
        site=decoded.site,
        records=_numbered(decoded, payload),
    )


def _numbered(decoded: Envelope, payload: bytes) -> tuple[NumberedResult, ...]:
    for record in decoded.records:
        _require_common_time(record.result.started_at, f"record {record.seq}: `started_at`")
    bodies = envelope.result_bodies(payload)
    return tuple(
        NumberedResult(record.seq, record.result, body.decode())
        for record, body in zip(decoded.records, bodies, strict=True)
    )


def _require_common_time(at: datetime, what: str) -> None:
    """Refuse the calendar's first and last day, which some time zones have no name for."""
    try:
        at.astimezone(UTC) - _DAY, at.astimezone(UTC) + _DAY
    except OverflowError as error:
        raise _RejectionError(Rejection.SCHEMA, f"{what} is no time in every zone") from error
