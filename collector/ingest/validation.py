"""Floor 1. Validation: topic and payload become a message to store, or a rejection with a reason.

`validate` never raises: the broker would deliver an unacknowledged message for ever. A validated
message needs no further check (text is UTF-8, times fit UTC, numbers fit 64 bits).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import msgspec
from msgspec import Struct, structs

from collector.ingest.signatures import signed_blocks
from collector.store.messages import (
    MAX_DETAIL_CHARACTERS,
    STATUS_CHANNELS,
    NumberedResult,
    RejectedMessage,
    ResultsMessage,
    StatusMessage,
    ValidatedMessage,
)
from wire import clock_repair, compression, envelope, messages, topics
from wire.clock_repair import ClockNote
from wire.envelope import MAX_ENVELOPE_BYTES, Envelope, RawRecord
from wire.messages import Health, Info, Rejection, State
from wire.result import KIND_OF, KINDS, Result, Validity, decode_result, encode_result

# A synchronised clock is right within seconds, so a later time is wrong.
FUTURE = timedelta(minutes=10)
# The bound between a probe that was offline for a year and a clock that is years behind.
ANCIENT = timedelta(days=400)
# A difference up to this can be the transmission delay.
_ON_ITS_WAY = timedelta(seconds=60)
_DAY = timedelta(days=1)
_RETAINED_CHANNELS = frozenset({"state", "info", "receipt"})


def is_deletion(topic: str, payload: bytes) -> bool:
    """Whether a message deletes a retained one: its payload is empty (MQTT 5, 3.3.1.3).

    That is how a probe that was taken down is removed from the broker; it is no rejection.
    """
    address = topics.parse(topic)
    return not payload and address is not None and address.channel in _RETAINED_CHANNELS


def validate(
    topic: str,
    payload: bytes,
    received_at: datetime,
    *,
    retained: bool = False,
    live: bool = False,
    clock_known: bool = True,
    max_bytes: int = MAX_ENVELOPE_BYTES,
) -> ValidatedMessage:
    """Validate a message.

    Args:
        topic: the MQTT topic.
        payload: its bytes, any bytes.
        received_at: the collector's clock, UTC.
        retained: MQTT's RETAIN flag.
        live: whether it cannot have waited at the broker; then the centre's clock replaces that
            of a probe whose clock is unknown.
        clock_known: whether the centre's own clock is synchronised; if not, no time is flagged.
        max_bytes: a larger payload is rejected unread, and one that decompresses to more.
    """

    def reject(reason: Rejection, detail: str) -> RejectedMessage:
        return RejectedMessage(topic, payload, received_at, reason, detail[:MAX_DETAIL_CHARACTERS])

    if len(payload) > max_bytes:
        return reject(
            Rejection.TOO_LARGE, f"{len(payload)} bytes, at most {max_bytes} bytes are taken"
        )
    address = topics.parse(topic)
    if address is None:
        return reject(Rejection.TOPIC, "no topic of the contract")
    try:
        if address.channel == "m":
            payload = _decompressed(payload, max_bytes)
            arrival = _Arrival(received_at, retained, live and not retained, clock_known)
            return _results(address, topic, payload, arrival)
        message_type = STATUS_CHANNELS.get(address.channel)
        if message_type is None:
            return reject(Rejection.TOPIC, f"a probe publishes nothing on `{address.channel}`")
        message: State | Info | Health = messages.decode(payload, message_type)
        for at, what in _times(message):
            _require_common_time(at, what)
    except _REFUSALS as error:
        return reject(*_reason_of(error))
    return StatusMessage(address.tenant, address.probe, received_at, retained, message)


def decompressed_bytes(checked: ValidatedMessage) -> int:
    """How many bytes a message with results held, compressed or not; little less for its frame."""
    match checked:
        case ResultsMessage():
            return sum(len(record.body) for record in checked.records)
        case RejectedMessage(reason=Rejection.DECOMPRESSED_TOO_LARGE):
            return MAX_ENVELOPE_BYTES
        case RejectedMessage():
            return len(checked.payload)
    return 0


def _decompressed(payload: bytes, max_bytes: int) -> bytes:
    """The JSON of a payload, which may be compressed (`wire.compression`)."""
    if not compression.is_compressed(payload):
        return payload
    try:
        return compression.decompress(payload, max_bytes)
    except compression.DecompressedTooLargeError as error:
        raise _RejectionError(Rejection.DECOMPRESSED_TOO_LARGE, str(error)) from error
    except compression.CompressionError as error:
        raise _RejectionError(Rejection.NOT_ZLIB, f"no whole zlib stream: {error}") from error


def _times(message: State | Info | Health) -> Iterator[tuple[datetime, str]]:
    """The times in a status message, except the certificate's end.

    There, the last day of the calendar means "no end" (RFC 5280, section 4.1.2.5).
    """
    if isinstance(message, Info):
        yield message.started_at, "`started_at`"
        for ceiling in message.ceilings:
            yield ceiling.measured_at, "`measured_at`"
    elif message.at is not None:
        yield message.at, "`at`"


class _RejectionError(Exception):
    def __init__(self, reason: Rejection, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


_REFUSALS = (_RejectionError, msgspec.MsgspecError, UnicodeDecodeError)


def _reason_of(error: Exception) -> tuple[Rejection, str]:
    if isinstance(error, _RejectionError):
        return error.reason, str(error)
    schema = isinstance(error, msgspec.ValidationError)
    return Rejection.SCHEMA if schema else Rejection.NOT_JSON, str(error)


def _results(
    address: topics.Topic, topic: str, payload: bytes, arrival: _Arrival
) -> ResultsMessage:
    whole = envelope.decode_whole(payload)
    if whole is not None and (plain := _plain_results(address, *whole, arrival)) is not None:
        return plain
    frame = envelope.decode_frame(payload)
    if (frame.tenant, frame.probe) != (address.tenant, address.probe):
        raise _RejectionError(
            Rejection.IDENTITY,
            f"the envelope is from {frame.tenant}/{frame.probe}, "
            f"the topic belongs to {address.tenant}/{address.probe}",
        )
    kind = str(address.kind)
    timing = _TimeCheck(frame.clock, frame.sent_at, arrival)
    signatures = signed_blocks(
        frame.signatures, ((record.seq, bytes(record.result)) for record in frame.records)
    )
    sent: dict[int, bytes] = {}
    records: list[NumberedResult] = []
    rejected_records: list[RejectedMessage] = []
    for record in frame.records:
        try:
            numbered = _record(record, kind)
            if not timing.is_plausible(numbered.result):
                _require_common_time(numbered.result.started_at, "`started_at`")
                numbered, before = timing.checked(numbered), numbered
                if signatures and numbered is not before:
                    sent[record.seq] = bytes(record.result)
            records.append(numbered)
        except _REFUSALS as error:
            reason, why = _reason_of(error)
            detail = f"record {record.seq}: {why}"[:MAX_DETAIL_CHARACTERS]
            rejected_records.append(
                RejectedMessage(topic, bytes(record.result), arrival.received_at, reason, detail)
            )
    if not records:
        raise _RejectionError(rejected_records[0].reason, rejected_records[0].detail)
    return ResultsMessage(
        tenant=address.tenant,
        probe=address.probe,
        received_at=arrival.received_at,
        retained=arrival.retained,
        kind=kind,
        epoch=frame.epoch,
        site=frame.site,
        records=tuple(records),
        rejected_records=tuple(rejected_records),
        signatures=signatures,
        sent=sent,
    )


def _plain_results(
    address: topics.Topic, whole: Envelope, bodies: Sequence[bytes], arrival: _Arrival
) -> ResultsMessage | None:
    """The results of an envelope in which nothing is to be rejected, flagged or repaired.

    None of any other, which is validated record by record.
    """
    kind = str(address.kind)
    timing = _TimeCheck(whole.clock, whole.sent_at, arrival)
    results = [record.result for record in whole.records]
    if (
        (whole.tenant, whole.probe) != (address.tenant, address.probe)
        or set(map(type, results)) != {KINDS.get(kind)}
        or not timing.are_plausible(results)
    ):
        return None
    numbered = [
        NumberedResult(record.seq, record.result, body)
        for record, body in zip(whole.records, bodies, strict=True)
    ]
    return ResultsMessage(
        tenant=address.tenant,
        probe=address.probe,
        received_at=arrival.received_at,
        retained=arrival.retained,
        kind=kind,
        epoch=whole.epoch,
        site=whole.site,
        records=tuple(numbered),
        signatures=signed_blocks(
            whole.signatures,
            ((record.seq, body) for record, body in zip(whole.records, bodies, strict=True)),
        ),
    )


def _record(record: RawRecord, kind: str) -> NumberedResult:
    result = decode_result(record.result)
    if KIND_OF[type(result)] != kind:
        raise _RejectionError(
            Rejection.KIND, f"it is of kind {result.kind}, the topic is for {kind}"
        )
    return NumberedResult(record.seq, result, bytes(record.result))


class _Arrival(Struct, frozen=True):
    """When and how a message arrived, and whether the centre's clock is synchronised."""

    received_at: datetime
    retained: bool
    live: bool
    clock_known: bool


class _TimeCheck:
    """Checks and repairs the times of an envelope's records."""

    def __init__(self, note: ClockNote | None, sent_at: datetime, arrival: _Arrival) -> None:
        received_at = arrival.received_at
        self._note = note
        self._received_at = received_at
        self._clock_known = arrival.clock_known
        self._future = received_at + FUTURE
        self._ancient = received_at - ANCIENT
        # Only a large difference is put down to the clock; a small one can be the delay.
        difference = abs(received_at - sent_at)
        self._by_ours = arrival.live and arrival.clock_known and difference > _ON_ITS_WAY

    def is_plausible(self, result: Result) -> bool:
        """Whether the time needs no repair and no flag, as with nearly all results."""
        return self.are_plausible((result,))

    def are_plausible(self, results: Sequence[Result]) -> bool:
        """The same of all of some results."""
        times = [result.started_at for result in results]
        return self._note is None and self._ancient <= min(times) and max(times) <= self._future

    def checked(self, record: NumberedResult) -> NumberedResult:
        """The record with its time repaired where possible, and flagged where not."""
        result = record.result
        if self._note is not None and result.clock.synchronised is False:
            result = self._repaired(result, self._note)
        flag = self._flag(result.started_at) if self._clock_known else None
        if flag is not None and flag not in result.validity:
            result = structs.replace(result, validity=sorted([*result.validity, flag]))
        if result is record.result:
            return record
        return NumberedResult(record.seq, result, encode_result(result))

    def _flag(self, started_at: datetime) -> Validity | None:
        if started_at > self._future:
            return Validity.TIME_IN_FUTURE
        return Validity.TIME_ANCIENT if started_at < self._ancient else None

    def _repaired(self, result: Result, note: ClockNote) -> Result:
        if result.clock.stated_at is not None:
            return result
        began_at = clock_repair.began_at(result.clock, note.known)
        if began_at is None and self._by_ours and note.sending.synchronised is False:
            began_at = clock_repair.began_before(result.clock, note.sending, self._received_at)
        if began_at is None or not 1 < began_at.year < 9_999:
            return result
        return clock_repair.repaired(result, began_at)


def _require_common_time(at: datetime, what: str) -> None:
    """Reject the calendar's first and last day, which some time zones cannot express."""
    if 1 < at.year < 9_999:
        return
    try:
        at.astimezone(UTC) - _DAY, at.astimezone(UTC) + _DAY
    except OverflowError as error:
        raise _RejectionError(Rejection.SCHEMA, f"{what} is no time in every zone") from error
