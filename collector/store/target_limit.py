"""Floor 2. The limit of lines and targets per probe, which the store keeps the last result of.

Pages show them, so that one probe with any number of them would make the pages slow for everybody.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

from msgspec import structs

from collector.store.batch import Batch, SeriesName, without_nul
from collector.store.database import Transaction
from collector.store.messages import (
    NumberedResult,
    RejectedMessage,
    ResultsMessage,
    ValidatedMessage,
)
from wire import topics
from wire.messages import Rejection

# A probe may have 64 lines (`Info.lines`), and results of the host itself; the rest is for lines
# that were renamed within the retention.
LINES_MOST = 100
# Of distinct (line, kind, target), whatever the family. A probe of three lines has some fifty.
TARGETS_MOST = 1_000
_PROBES_AT_ONCE = 1_000
_ProbeKey = tuple[str, str]


class _Target(NamedTuple):
    """What the store keeps a last result of, within a probe; a target of None is ''."""

    line: str
    kind: str
    target: str


class _Stored(NamedTuple):
    """What is known of a probe without a query: its lines, and at most how many targets."""

    lines: frozenset[str]
    targets_at_most: int


class TargetLimiter:
    """Rejects results of new lines and targets of probes that have as many as they may have.

    Results of known ones are stored whatever their number. To query few probes for each batch, it
    remembers an upper bound for each probe. One for each writer.
    """

    def __init__(self) -> None:
        self._stored: dict[_ProbeKey, _Stored] = {}

    def forget(self) -> None:
        """Forget every bound, where another writer may have stored meanwhile."""
        self._stored.clear()

    def limited(
        self,
        transaction: Transaction,
        messages: Sequence[ValidatedMessage],
        batch: Batch,
        known: Container[SeriesName],
    ) -> Sequence[ValidatedMessage]:
        """The messages without the records that are rejected; the same object if none is.

        Args:
            transaction: the transaction that stores the batch.
            messages: those of the batch.
            batch: their rows.
            known: series that are stored; their targets are no new ones.
        """
        wanted = _targets_of(name for name in batch.last if name not in known)
        if not wanted:
            return messages
        near = [key for key, targets in wanted.items() if self._may_exceed(key, targets)]
        exceeding: dict[_ProbeKey, _Known] = {}
        for key, stored in _stored_targets(transaction, near).items():
            both = stored | wanted[key]
            # Lines that are committed: those of this batch may be rolled back.
            self._stored[key] = _Stored(_lines(stored), len(both))
            if len(both) > TARGETS_MOST or len(_lines(both)) > LINES_MOST:
                exceeding[key] = _Known(stored)
        if not exceeding:
            return messages
        return [_within_limit(message, exceeding) for message in messages]

    def _may_exceed(self, key: _ProbeKey, targets: set[_Target]) -> bool:
        """Whether a query must say; else counts the targets as new ones."""
        stored = self._stored.get(key)
        if stored is None:
            return True
        at_most = stored.targets_at_most + len(targets)
        if at_most > TARGETS_MOST or any(target.line not in stored.lines for target in targets):
            return True
        self._stored[key] = stored._replace(targets_at_most=at_most)
        return False


class _Known:
    """The targets of one probe, stored or admitted in this batch."""

    def __init__(self, stored: set[_Target]) -> None:
        self._targets = set(stored)
        self._lines = set(_lines(stored))

    def admits(self, target: _Target) -> bool:
        """Whether results of it are stored: it is known, or there is room for one more."""
        if target in self._targets:
            return True
        if len(self._targets) >= TARGETS_MOST or (
            target.line not in self._lines and len(self._lines) >= LINES_MOST
        ):
            return False
        self._targets.add(target)
        self._lines.add(target.line)
        return True


def _lines(targets: Iterable[_Target]) -> frozenset[str]:
    return frozenset(target.line for target in targets)


def _targets_of(names: Iterable[SeriesName]) -> dict[_ProbeKey, set[_Target]]:
    """The targets of series by probe."""
    found: dict[_ProbeKey, set[_Target]] = defaultdict(set)
    for tenant, probe, line, kind, target, _ in names:
        found[tenant, probe].add(_Target(line, kind, target))
    return found


def _stored_targets(
    transaction: Transaction, probes: Sequence[_ProbeKey]
) -> dict[_ProbeKey, set[_Target]]:
    found: dict[_ProbeKey, set[_Target]] = {key: set() for key in probes}
    for at in range(0, len(probes), _PROBES_AT_ONCE):
        some = probes[at : at + _PROBES_AT_ONCE]
        rows = transaction.execute(
            f"WITH wanted (tenant, probe) AS (VALUES {', '.join(['(?, ?)'] * len(some))}) "
            "SELECT DISTINCT tenant, probe, line, kind, target FROM wanted "
            "JOIN series USING (tenant, probe)",
            tuple(chain.from_iterable(some)),
        )
        for tenant, probe, *target in rows:
            found[tenant, probe].add(_Target(*target))
    return found


def _within_limit(
    message: ValidatedMessage, exceeding: Mapping[_ProbeKey, _Known]
) -> ValidatedMessage:
    """The message without the records of targets for which there is no room."""
    if not isinstance(message, ResultsMessage):
        return message
    known = exceeding.get((message.tenant, message.probe))
    if known is None:
        return message
    kept, rejected = list[NumberedResult](), list[RejectedMessage]()
    for record in message.records:
        name = without_nul(record.result.target) or ""
        if known.admits(_Target(record.result.line.id, message.kind, name)):
            kept.append(record)
        else:
            rejected.append(_rejection(message, record))
    every = (*message.rejected_records, *rejected)
    return structs.replace(message, records=tuple(kept), rejected_records=every)


def _rejection(message: ResultsMessage, record: NumberedResult) -> RejectedMessage:
    return RejectedMessage(
        topics.measurement(message.tenant, message.probe, message.kind),
        record.body,
        message.received_at,
        Rejection.TOO_MANY_TARGETS,
        f"record {record.seq}: a new target; at most {LINES_MOST} lines and {TARGETS_MOST} "
        "targets of a probe are stored",
    )
