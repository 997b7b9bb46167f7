"""Floor 1. The rows of a batch of validated messages, the same for every database.

They are merged so that each row is written once a batch: many messages of a probe change one row.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from operator import attrgetter
from typing import NamedTuple
from uuid import UUID

import msgspec
from msgspec import Struct

from collector.store.messages import (
    EpochKey,
    NumberedResult,
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
_seq_of = attrgetter("seq")


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


class SeriesName(NamedTuple):
    """The name of a series; a target of None is '' (a key cannot be null).

    `family` is a number of `family_number`.
    """

    tenant: str
    probe: str
    line: str
    kind: str
    target: str
    family: int


class LastResultRef(NamedTuple):
    """The result that is the last one. `started_us` determines its partition."""

    epoch: str
    seq: int
    started_us: int


class LastResults(NamedTuple):
    """The last result of a series, and the last one that was `ok`."""

    last: LastResultRef
    last_ok: LastResultRef | None


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


class Span(NamedTuple):
    """The results of a message, or some of them, in its order; their epoch, and that as text."""

    key: EpochKey
    epoch: str
    message: ResultsMessage
    records: Sequence[NumberedResult]


class Batch:
    """The rows of a batch, in the order of the messages."""

    def __init__(self, messages: Sequence[ValidatedMessage], stored_at: datetime) -> None:
        self.stored_at = stored_at
        self._stored_at = utc_text(stored_at)
        self._stored_us = microseconds(stored_at)
        self.spans: list[Span] = []
        self.seqs: dict[EpochKey, list[int]] = defaultdict(list)
        self.given_up: dict[EpochKey, list[tuple[int, int]]] = defaultdict(list)
        self.last: dict[SeriesName, LastResults] = {}
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
        records = message.records
        key = EpochKey(message.tenant, message.probe, message.epoch)
        # Moved to the end: the last epoch of a probe in the batch is its current one.
        self.seqs[key] = [*self.seqs.pop(key, ()), *map(_seq_of, records)]
        epoch = epoch_text(key.epoch)
        self.spans.append(Span(key, epoch, message, records))
        if KINDS[message.kind] is ResultsDroppedResult:
            for record in records:
                self._take_given_up(key, record.result)
        self._take_last(message, epoch)

    def _take_last(self, message: ResultsMessage, epoch: str) -> None:
        """The last result of each (line, target, family), of all and of the `ok` ones."""
        last = _last_of(message.records)
        good = [record for record in message.records if record.result.outcome is Outcome.OK]
        last_ok = last if len(good) == len(message.records) else _last_of(good)
        for what, record in last.items():
            ok = last_ok.get(what)
            found = _ref(epoch, record)
            line, target, family = what
            name = SeriesName(
                message.tenant, message.probe, line, message.kind, without_nul(target) or "",
                _FAMILY_NUMBERS[family],
            )  # fmt: skip
            found_ok = found if ok is record else None if ok is None else _ref(epoch, ok)
            self._keep_later(name, LastResults(found, found_ok))

    def _take_given_up(self, key: EpochKey, result: Result) -> None:
        """Ranges that a probe has given up count as known in its ledger."""
        values = result.values
        if isinstance(values, ResultsDroppedValues) and values.epoch is not None:
            # Of an earlier epoch too: each opening of the outbox begins a new one.
            self.given_up[key._replace(epoch=values.epoch)].extend(values.ranges)

    @property
    def results(self) -> int:
        """The number of results, repeats included."""
        return sum(len(span.records) for span in self.spans)

    @cached_property
    def rows(self) -> list[ResultRow]:
        """The results as rows, in their order; for what few batches need."""
        return [row for span in self.spans for row in rows_of(span, self._stored_at)]

    @cached_property
    def decoded(self) -> list[Result]:
        """The results decoded, in the order of `rows`."""
        return [record.result for span in self.spans for record in span.records]

    @property
    def epochs(self) -> list[EpochKey]:
        """The epochs that the batch names given-up numbers of, then those it has results of."""
        return [*(key for key in self.given_up if key not in self.seqs), *self.seqs]

    def _keep_later(self, name: SeriesName, found: LastResults) -> None:
        known = self.last.get(name)
        if known is None:
            self.last[name] = found
            return
        last = found.last if self._is_later(found.last, known.last) else known.last
        last_ok = known.last_ok
        if found.last_ok and (not last_ok or self._is_later(found.last_ok, last_ok)):
            last_ok = found.last_ok
        self.last[name] = LastResults(last, last_ok)

    def _is_later(self, place: LastResultRef, known: LastResultRef) -> bool:
        """By number in one epoch; else by time, unless the known one's clock ran ahead of ours."""
        if place.epoch == known.epoch:
            return place.seq > known.seq
        return place.started_us >= known.started_us or known.started_us > self._stored_us

    def new(self, stored: Mapping[EpochKey, Ledger]) -> list[Span]:
        """The new results, each message's by itself; of repeats in the batch, the first is new."""
        # Of an epoch whose numbers are all new and distinct, whole messages are.
        fresh = {
            key: new
            for key, seqs in self.seqs.items()
            if len(new := stored[key].without(seqs)) < len(seqs)
        }
        if not fresh:
            return [span for span in self.spans if span.records]
        found = []
        for span in self.spans:
            if span.key not in fresh:
                found += [span] if span.records else []
            elif some := _taken(span.records, fresh[span.key]):
                found.append(span._replace(records=some))
        return found

    def new_places(self, stored: Mapping[EpochKey, Ledger]) -> list[int]:
        """The indices in `rows` of the results that `new` returns."""
        fresh = {key: stored[key].without(seqs) for key, seqs in self.seqs.items()}
        every = ((span.key, record) for span in self.spans for record in span.records)
        return [place for place, (key, record) in enumerate(every) if _taken([record], fresh[key])]


_LastOf = dict[tuple[str, str | None, Family | None], NumberedResult]


def _last_of(records: Sequence[NumberedResult]) -> _LastOf:
    """The record with the highest number of each line, target and family."""
    last: _LastOf = {}
    for record in records:
        result = record.result
        what = result.line.id, result.target, result.family
        known = last.get(what)
        if known is None or known.seq < record.seq:
            last[what] = record
    return last


def _ref(epoch: str, record: NumberedResult) -> LastResultRef:
    return LastResultRef(epoch, record.seq, microseconds(record.result.started_at))


def rows_of(span: Span, stored_at: str) -> list[ResultRow]:
    """The results of a span as rows of `results`."""
    message = span.message
    received_at = utc_text(message.received_at)
    return [
        ResultRow(
            message.tenant,
            message.probe,
            span.epoch,
            record.seq,
            message.kind,
            record.result.line.id,
            without_nul(record.result.target),
            record.result.outcome.value,
            record.result.reason and record.result.reason.value,
            utc_text(record.result.started_at),
            received_at,
            stored_at,
            record.body.decode(),
        )
        for record in span.records
    ]


def _taken(records: Sequence[NumberedResult], wanted: set[int]) -> list[NumberedResult]:
    """The records whose numbers are wanted, which are wanted no longer then."""
    found = []
    for record in records:
        if record.seq in wanted:
            wanted.remove(record.seq)
            found.append(record)
    return found


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


def epoch_text(epoch: UUID) -> str:
    """An epoch as text."""
    # A fifth of the cost of `str`.
    text: str = msgspec.to_builtins(epoch)
    return text


def microseconds(at: datetime) -> int:
    """A time as microseconds since 1970."""
    # Half of the cost of dividing it by a microsecond.
    since = at - _UNIX_EPOCH
    return since.days * _DAY_US + since.seconds * 1_000_000 + since.microseconds


_UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_US = 86_400_000_000


def utc_text(at: datetime) -> str:
    """A time as UTC text of fixed width, so that text order is time order."""
    # A tenth of the cost of `isoformat`, for 15 million results a day. msgspec writes whole seconds
    # without a fraction.
    text: str = msgspec.to_builtins(at if at.tzinfo is UTC else at.astimezone(UTC))
    return text if len(text) == _TIME_CHARACTERS else f"{text[:-1]}.000000Z"


_TIME_CHARACTERS = len("2026-07-25T05:00:00.000000Z")
