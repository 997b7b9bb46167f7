"""Floor 1. A batch of judged messages as the rows that it means, the same for every database.

Folded here so that a store writes each row once a batch: many messages of one probe touch one row.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
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
from wire.envelope import Site
from wire.ledger import Ledger
from wire.messages import Health, Info, Presence, Rejection, State
from wire.result import KINDS, Outcome, Result, ResultsDroppedResult, ResultsDroppedValues

# An honest epoch is in as many pieces as it had losses. Each batch of an epoch reads and writes all
# of its pieces, so one that is broken up on purpose would cost more and more.
_MAX_RANGES = 20_000
# Before every place: sequence numbers begin at 1.
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
    """What has a last result; a target of None is '' (a key holds no null)."""

    tenant: str
    probe: str
    line: str
    kind: str
    target: str
    only_ok: bool


class LastResultRef(NamedTuple):
    """Which result is the last one. `started_at` says in which day's part of a table it is."""

    epoch: str
    seq: int
    started_at: str


class ProbeChange(Struct):
    """What a batch says of a probe; None where it says nothing."""

    site: Site | None = None
    presence: Presence | None = None
    presence_since: datetime | None = None
    info: Info | None = None
    health: Health | None = None
    health_at: datetime | None = None
    last_contact_at: datetime | None = None

    def note_contact(self, message: ResultsMessage | StatusMessage) -> None:
        """Take what every message tells: that the probe was there, unless a broker kept it."""
        if not message.retained:
            self.last_contact_at = message.received_at

    def note_report(self, report: StatusMessage) -> None:
        """Take what a probe says of itself. A last will is the broker's word, not a contact."""
        message = report.message
        if isinstance(message, State):
            if message.presence is not self.presence:
                self.presence = message.presence
                self.presence_since = message.at if report.retained else report.received_at
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
        self._stored_at = utc_text(stored_at)
        self.results: list[ResultRow] = []
        # The same results as values, place for place.
        self.decoded: list[Result] = []
        # Whose results stand from where to where.
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
        # Put last among the epochs of its probe, however early it came up in this batch.
        self.seqs[key] = [*self.seqs.pop(key, ()), *(record.seq for record in message.records)]
        begin = len(self.results)
        self._spans.append((key, begin, begin + len(message.records)))
        stored_at, kind = self._stored_at, message.kind
        names_dropped = KINDS[kind] is ResultsDroppedResult
        # The last one of each (line, target), of all and of those that went well.
        last: dict[tuple[str, str | None], tuple[int, str]] = {}
        last_ok: dict[tuple[str, str | None], tuple[int, str]] = {}
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
            what = line, target
            if last.get(what, _NOWHERE)[0] < seq:
                last[what] = seq, started_at
            if outcome is Outcome.OK and last_ok.get(what, _NOWHERE)[0] < seq:
                last_ok[what] = seq, started_at
        for only_ok, places in ((False, last), (True, last_ok)):
            for (line, target), (seq, started_at) in places.items():
                self._keep_later(
                    LastResultKey(tenant, probe, line, kind, target or "", only_ok),
                    LastResultRef(epoch, seq, started_at),
                )

    def _take_given_up(self, key: EpochKey, result: Result) -> None:
        """What a probe has given up is waited for no more: it counts as known in its ledger."""
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
        """Where in `results` those are that no ledger has: of a repeat in the batch the first."""
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
    """The messages, where an epoch is in too many pieces without those that would add to them.

    Args:
        messages: of a batch.
        known: what each epoch's receipt speaks of, and what of it is stored.
    """
    scattered = {
        key: stored
        for key, (known_error, stored) in known.items()
        if max(len(known_error.ranges), len(stored.ranges)) > _MAX_RANGES
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


def without_nul(text: str | None) -> str | None:
    """Text as every database takes it: PostgreSQL has no character of number 0."""
    return text.replace("\0", "\ufffd") if text else text


def utc_text(at: datetime) -> str:
    """A time as stores keep it: UTC, fixed width, so that text order is time order."""
    # As msgspec writes times on the wire, a tenth of what `isoformat` costs: a collector does this
    # for each of 15 million a day. A whole second has no fraction there.
    text: str = msgspec.to_builtins(at if at.tzinfo is UTC else at.astimezone(UTC))
    return text if len(text) == _TIME_CHARACTERS else f"{text[:-1]}.000000Z"


_TIME_CHARACTERS = len("2026-07-25T05:00:00.000000Z")
