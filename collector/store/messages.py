"""Floor 1. The input of a store: validated and rejected messages, and the key of a ledger."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple
from uuid import UUID

from msgspec import Struct

from wire import messages, topics
from wire.messages import Health, Info, Rejection, State
from wire.record import Result
from wire.signature import SignatureBlock
from wire.site import Site

# The channels on which a probe reports its own status.
STATUS_CHANNELS: Final[dict[str, type[State] | type[Info] | type[Health]]] = {
    "state": State,
    "info": Info,
    "health": Health,
}
MAX_DETAIL_CHARACTERS = 500


class EpochKey(NamedTuple):
    """The key of a ledger: an epoch of a probe."""

    tenant: str
    probe: str
    epoch: UUID


class NumberedResult(Struct, frozen=True):
    """A result with its sequence number and its JSON, unchanged as the probe sent it.

    Where the time was repaired or flagged, the JSON has the new values, and `clock.stated_at` the
    time by the probe's wall clock.
    """

    seq: int
    result: Result
    body: bytes


class SignatureOutcome(StrEnum):
    """What came of checking a signature block."""

    CHECKED = "checked"
    # No certificate of that key is known, or it was not in force.
    UNKNOWN_KEY = "unknown_key"
    MISMATCH = "mismatch"


class SignedBlock(Struct, frozen=True):
    """A signature block, and the digests of its results as they arrived, in order.

    `outcome` is None until it was checked.
    """

    block: SignatureBlock
    digests: tuple[str, ...]
    outcome: SignatureOutcome | None = None


class ProbeCertificate(Struct, frozen=True):
    """A probe's certificate of the tenant's authority: in force from `begins` to `ends`.

    `key` names it in signature blocks.
    """

    key: str
    der: bytes
    begins: datetime
    ends: datetime


class ResultsMessage(Struct, frozen=True):
    """The results of one envelope. Every record is of `kind`, as the topic said.

    `rejected_records` are those that are not; the valid ones are stored all the same. `signatures`
    are the blocks that cover its results; of a signed envelope `sent` has the bytes of those
    results that the centre has changed (a time, a flag), by number.
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
    signatures: tuple[SignedBlock, ...] = ()
    sent: dict[int, bytes] = {}


class StatusMessage(Struct, frozen=True):
    """A state, info or health message of a probe. A retained one is no contact.

    `certificate` is that of an `info`, where it counts.
    """

    tenant: str
    probe: str
    received_at: datetime
    retained: bool
    message: State | Info | Health
    certificate: ProbeCertificate | None = None


class RejectedMessage(Struct, frozen=True):
    """A rejected message and the reason; `detail` is a sentence for users."""

    topic: str
    payload: bytes
    received_at: datetime
    reason: Rejection
    detail: str


ValidatedMessage = ResultsMessage | StatusMessage | RejectedMessage


def rejected_after_validation(
    checked: ValidatedMessage, reason: Rejection, detail: str
) -> RejectedMessage:
    """The rejection of a validated message that cannot be stored."""
    detail = detail[:MAX_DETAIL_CHARACTERS]
    if isinstance(checked, RejectedMessage):
        # Without its content, which could not be stored either.
        return RejectedMessage("", b"", checked.received_at, reason, detail)
    if isinstance(checked, ResultsMessage):
        topic = topics.measurement(checked.tenant, checked.probe, checked.kind)
        payload = b"\n".join(record.body for record in checked.records)
    else:
        channel = next(
            name for name, of in STATUS_CHANNELS.items() if isinstance(checked.message, of)
        )
        topic = topics.of_probe(checked.tenant, checked.probe, channel)
        payload = messages.encode(checked.message)
    return RejectedMessage(topic, payload, checked.received_at, reason, detail)
