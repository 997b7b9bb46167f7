"""Floor 1. What a store takes: validated messages, rejected ones, and the key of a ledger."""

from __future__ import annotations

from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from msgspec import Struct

from wire import messages, topics
from wire.envelope import Site
from wire.messages import Health, Info, Rejection, State
from wire.result import Result

# The channels on which a probe reports its own status.
STATUS_CHANNELS: Final[dict[str, type[State] | type[Info] | type[Health]]] = {
    "state": State,
    "info": Info,
    "health": Health,
}
MAX_DETAIL_CHARACTERS = 500


class EpochKey(NamedTuple):
    """Whose ledger it is."""

    tenant: str
    probe: str
    epoch: UUID


class NumberedResult(Struct, frozen=True):
    """A result with its number and its JSON, character for character as the probe sent it.

    But for a result whose time was repaired or flagged here: then the JSON says so too, and
    `clock.stated_at` keeps what the probe's wall clock had said.
    """

    seq: int
    result: Result
    body: str


class ResultsMessage(Struct, frozen=True):
    """The results of one envelope. Every record is of `kind`, as the topic said.

    `rejected_records` are those that are not; the valid ones are stored all the same.
    """

    tenant: str
    probe: str
    received_at: datetime
    retained: bool
    kind: str
    epoch: UUID
    site: Site
    records: tuple[NumberedResult, ...]
    rejected_records: tuple[RejectedMessage, ...] = ()


class StatusMessage(Struct, frozen=True):
    """What a probe says of itself. A retained message is no sign of life."""

    tenant: str
    probe: str
    received_at: datetime
    retained: bool
    message: State | Info | Health


class RejectedMessage(Struct, frozen=True):
    """A message that is not of the contract, and why; `detail` is a sentence for a person."""

    topic: str
    payload: bytes
    received_at: datetime
    reason: Rejection
    detail: str


ValidatedMessage = ResultsMessage | StatusMessage | RejectedMessage


def rejected_after_validation(
    checked: ValidatedMessage, reason: Rejection, detail: str
) -> RejectedMessage:
    """What is kept of a message that had passed, where it cannot be stored after all."""
    detail = detail[:MAX_DETAIL_CHARACTERS]
    if isinstance(checked, RejectedMessage):
        # Nothing of what it says: that could not be stored either.
        return RejectedMessage("", b"", checked.received_at, reason, detail)
    if isinstance(checked, ResultsMessage):
        topic = topics.measurement(checked.tenant, checked.probe, checked.kind)
        payload = "\n".join(record.body for record in checked.records).encode()
    else:
        channel = next(
            name for name, of in STATUS_CHANNELS.items() if isinstance(checked.message, of)
        )
        topic = topics.of_probe(checked.tenant, checked.probe, channel)
        payload = messages.encode(checked.message)
    return RejectedMessage(topic, payload, checked.received_at, reason, detail)
