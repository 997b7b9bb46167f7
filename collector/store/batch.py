"""Floor 1. The rows of a batch of validated messages, the same for every database.

They are merged so that each row is written once a batch: many messages of a probe change one row.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import msgspec
from msgspec import Struct

from collector.store.messages import (
    EpochKey,
    RejectedMessage,
    ResultsMessage,
    StatusMessage,
    ValidatedMessage,
    rejected_after_validation,
)
from wire.ledger import Ledger
from wire.messages import Health, Info, Presence, Rejection, State
from wire.result import KINDS, Family, Outcome, Result, ResultsDroppedResult, ResultsDroppedValues
from wire.site import Site

# A sound epoch has as many ranges as it had losses. Each batch reads and writes all ranges of its
# epochs, so an epoch that is scattered on purpose would cost more and more.
_MAX_RANGES = 20_000
# Before every result: sequence numbers begin at 1.
_NOWHERE = (0, "")


class ResultRow(NamedTuple):
    """A row of `results`, in the order of its columns; times as `utc_text` writes them."""

    tenant: str
    probe: str
    epoch: str
    seq: int
    kind: str
    line: str
    target: str | None
    outcome: str
    reason: str | None
    started_at: str
    received_at: str
    stored_at: str
    body: str


class LastResultKey(NamedTuple):
    """The key of a last result; a target of None is '' (a key cannot be null).

    `family` is a number of `family_number`.
    """

    tenant: str
    probe: str
    line: str
    kind: str
    target: str
    family: int
    only_ok: bool


class LastResultRef(NamedTuple):
    """The result that is the last one. `started_at` determines its partition."""

    epoch: str
    seq: int
    started_at: str


class ProbeChange(Struct):
    """The changes of a probe in a batch; None where there is none."""

    site: Site | None = None
    presence: Presence | None = None
    presence_since: datetime | None = None
    info: Info | None = None
    health: Health | None = None
    health_at: datetime | None = None
    last_contact_at: datetime | None = None

    def note_contact(self, message: ResultsMessage | StatusMessage) -> None:
        """Record the last contact, unless the message was retained by the broker."""
        if not message.retained:
            self.last_contact_at = message.received_at

    def note_report(self, report: StatusMessage) -> None:
        """Record a status message. A last will is sent by the broker and is no contact."""
        message = report.message
        if isinstance(message, State):
            # Of a last will that the broker kept nobody knows the time.
            since = message.at if report.retained else report.received_at
            again = message.presence is self.presence
            if not again or (message.presence is not Presence.ONLINE and since is not None):
                self.presence, self.presence_since = message.presence, since
            if message.presence is Presence.LOST:
                return
        elif isinstance(message, Info):
            self.info, self.site = message, message.site
        else:
            self.health, self.health_at = message, report.received_at
        self.note_contact(report)


class Batch:
    """The rows of a batch, in the order of the messages."""

    def __init__(self, messages: Sequence[ValidatedMessage], stored_at: datetime) -> None:
        self.stored_at = stored_at
        self._stored_at = utc_text(stored_at)
        self.results: list[ResultRow] = []
        # The same results decoded, in the same order.
        self.decoded: list[Result] = []
        # The epoch of each span of results: [begin, end).
        self._spans: list[tuple[EpochKey, int, int]] = []
        self.seqs: dict[EpochKey, list[int]] = defaultdict(list)
        self.given_up: dict[EpochKey, list[tuple[int, int]]] = defaultdict(list)
        self.last: dict[LastResultKey, LastResultRef] = {}
        self.probes: dict[tuple[str, str], ProbeChange] = defaultdict(ProbeChange)
        self.rejected: list[RejectedMessage] = []
        for message in messages:
            if isinstance(message, RejectedMessage):
                self.rejected.append(message)
                continue
            change = self.probes[message.tenant, message.probe]
            if isinstance(message, ResultsMessage):
                change.site = message.site
                change.note_contact(message)
                self.rejected.extend(message.rejected_records)
                self._take_results(message)
            else:
                change.note_report(message)

    def _take_results(self, message: ResultsMessage) -> None:
        tenant, probe, epoch = message.tenant, message.probe, str(message.epoch)
        received_at = utc_text(message.received_at)
        key = EpochKey(tenant, probe, message.epoch)
        # Moved to the end: the last epoch of a probe in the batch is its current one.
        self.seqs[key] = [*self.seqs.pop(key, ()), *(record.seq for record in message.records)]
        begin = len(self.results)
        self._spans.append((key, begin, begin + len(message.records)))
        stored_at, kind = self._stored_at, message.kind
        names_dropped = KINDS[kind] is ResultsDroppedResult
        # The last result of each (line, target, family), of all and of the `ok` ones.
        last: dict[tuple[str, str | None, Family | None], tuple[int, str]] = {}
        last_ok: dict[tuple[str, str | None, Family | None], tuple[int, str]] = {}
        for record in message.records:
            seq, result = record.seq, record.result
            if names_dropped:
                self._take_given_up(key, result)
            line, target, outcome = result.line.id, without_nul(result.target), result.outcome
            started_at = utc_text(result.started_at)
            self.decoded.append(result)
            self.results.append(
                ResultRow(
                    tenant,
                    probe,
                    epoch,
                    seq,
                    kind,
                    line,
                    target,
                    outcome.value,
                    result.reason and result.reason.value,
                    started_at,
                    received_at,
                    stored_at,
                    record.body,
                )
            )
            what = line, target, result.family
            if last.get(what, _NOWHERE)[0] < seq:
                last[what] = seq, started_at
            if outcome is Outcome.OK and last_ok.get(what, _NOWHERE)[0] < seq:
                last_ok[what] = seq, started_at
        for only_ok, places in ((False, last), (True, last_ok)):
            for (line, target, family), (seq, started_at) in places.items():
                number = family_number(family)
                self._keep_later(
                    LastResultKey(tenant, probe, line, kind, target or "", number, only_ok),
                    LastResultRef(epoch, seq, started_at),
                )

    def _take_given_up(self, key: EpochKey, result: Result) -> None:
        """Ranges that a probe has given up count as known in its ledger."""
        values = result.values
        if isinstance(values, ResultsDroppedValues) and values.epoch is not None:
            # Of an earlier epoch too: each opening of the outbox begins a new one.
            self.given_up[key._replace(epoch=values.epoch)].extend(values.ranges)

    @property
    def epochs(self) -> list[EpochKey]:
        """The epochs that the batch names given-up numbers of, then those it has results of."""
        return [*(key for key in self.given_up if key not in self.seqs), *self.seqs]

    def _keep_later(self, key: LastResultKey, place: LastResultRef) -> None:
        known = self.last.get(key)
        if known is None or self._is_later(place, known):
            self.last[key] = place

    def _is_later(self, place: LastResultRef, known: LastResultRef) -> bool:
        """By number in one epoch; else by time, unless the known one's clock ran ahead of ours."""
        if place.epoch == known.epoch:
            return place.seq > known.seq
        return place.started_at >= known.started_at or known.started_at > self._stored_at

    def new_places(self, stored: Mapping[EpochKey, Ledger]) -> list[int]:
        """The indices in `results` of new results; of repeats in the batch, the first."""
        fresh = {key: stored[key].without(seqs) for key, seqs in self.seqs.items()}
        places = []
        for key, begin, end in self._spans:
            wanted = fresh[key]
            for place in range(begin, end):
                seq = self.results[place].seq
                if seq in wanted:
                    wanted.remove(seq)
                    places.append(place)
        return places


def reject_scattered(
    messages: Sequence[ValidatedMessage], known: Mapping[EpochKey, tuple[Ledger, Ledger]]
) -> Sequence[ValidatedMessage]:
    """Reject messages that would add ranges to an epoch that has too many.

    Args:
        messages: of a batch.
        known: of each epoch, the ledger of its receipt, and the ledger of what is stored.
    """
    scattered = {
        key: stored
        for key, (receipt, stored) in known.items()
        if max(len(receipt.ranges), len(stored.ranges)) > _MAX_RANGES
    }
    if not scattered:
        return messages
    return [_reject_if_scattered(message, scattered) for message in messages]


def _reject_if_scattered(
    message: ValidatedMessage, scattered: Mapping[EpochKey, Ledger]
) -> ValidatedMessage:
    if not isinstance(message, ResultsMessage):
        return message
    named = {
        record.result.values.epoch
        for record in message.records
        if isinstance(record.result.values, ResultsDroppedValues)
    }
    for epoch in {message.epoch, *named}:
        stored = scattered.get(EpochKey(message.tenant, message.probe, epoch or message.epoch))
        if stored is None:
            continue
        after = stored.with_seqs(record.seq for record in message.records)
        if named or len(after.ranges) > len(stored.ranges):  # else it closes gaps
            detail = f"epoch {epoch} is in {len(stored.ranges)} pieces, and would be in more"
            return rejected_after_validation(message, Rejection.TOO_SCATTERED, detail)
    return message


def family_number(family: Family | None) -> int:
    """An address family as stored: 4, 6, 0 where none is stated."""
    return _FAMILY_NUMBERS[family]


def family_of(number: int | None) -> Family | None:
    """The family that `family_number` numbered; None for 0 and NULL."""
    return _FAMILIES.get(number or 0)


_FAMILY_NUMBERS = {None: 0, Family.IPV4: 4, Family.IPV6: 6}
_FAMILIES = {number: family for family, number in _FAMILY_NUMBERS.items()}


def without_nul(text: str | None) -> str | None:
    """Text with NUL replaced, which PostgreSQL cannot store."""
    return text.replace("\0", "\ufffd") if text else text


def microseconds(at: datetime) -> int:
    """A time as microseconds since 1970."""
    return (at - _UNIX_EPOCH) // _MICROSECOND


_UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def utc_text(at: datetime) -> str:
    """A time as UTC text of fixed width, so that text order is time order."""
    # A tenth of the cost of `isoformat`, for 15 million results a day. msgspec writes whole seconds
    # without a fraction.
    text: str = msgspec.to_builtins(at if at.tzinfo is UTC else at.astimezone(UTC))
    return text if len(text) == _TIME_CHARACTERS else f"{text[:-1]}.000000Z"


_TIME_CHARACTERS = len("2026-07-25T05:00:00.000000Z")
