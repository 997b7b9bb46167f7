"""Floor 1. What is stored up to where: the ledger of an epoch, its receipt, and when to send it.

A Ledger is a set of sequence numbers, kept as merged ranges. Results come nearly in order, so an
epoch of millions is one range, and a gap costs one more. It knows no store and no broker.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple, Self
from uuid import UUID

from msgspec import Struct

from wire.messages import Receipt

# Each missing range takes up to 35 bytes of JSON, so a receipt stays under 40 KB.
MAX_MISSING_RANGES = 1_000


class Ledger(Struct, frozen=True):
    """The stored sequence numbers of one (probe, epoch).

    `ranges` are (first, last), both ends included, ascending, with a gap between each two.
    """

    ranges: tuple[tuple[int, int], ...] = ()

    def with_seqs(self, seqs: Iterable[int]) -> Self:
        """The ledger with more sequence numbers, in any order, known ones too."""
        ledger = self
        for first, last in _runs(sorted(set(seqs))):
            ledger = ledger.with_range(first, last)
        return ledger

    def with_range(self, first: int, last: int) -> Self:
        """The ledger with everything from `first` to `last` as well."""
        # The ranges that overlap or touch (first, last) melt into one.
        low = bisect_left(self.ranges, first - 1, key=lambda stored: stored[1])
        high = bisect_right(self.ranges, last + 1, key=lambda stored: stored[0])
        if low < high:
            first = min(first, self.ranges[low][0])
            last = max(last, self.ranges[high - 1][1])
        return type(self)((*self.ranges[:low], (first, last), *self.ranges[high:]))

    @property
    def stored_through(self) -> int:
        """The highest number stored, 0 when nothing is."""
        return self.ranges[-1][1] if self.ranges else 0

    @property
    def missing(self) -> tuple[tuple[int, int], ...]:
        """The ranges below `stored_through` that are not stored; an epoch starts at 1."""
        ends = (0, *(last for _, last in self.ranges))
        starts = (first for first, _ in self.ranges)
        return tuple(
            (end + 1, start - 1)
            for end, start in zip(ends, starts, strict=False)
            if end + 1 < start
        )

    def receipt(self, epoch: UUID, at: datetime) -> Receipt:
        """What the probe may be told.

        With more gaps than a receipt should carry, it speaks only of the lower part, up to the
        first gap that it has no room for: what it leaves out is sent again, never lost.
        """
        stored_through, missing = self.stored_through, self.missing
        if len(missing) > MAX_MISSING_RANGES:
            stored_through = missing[MAX_MISSING_RANGES][0] - 1
            missing = missing[:MAX_MISSING_RANGES]
        return Receipt(epoch=epoch, stored_through=stored_through, missing=list(missing), at=at)


class EpochKey(NamedTuple):
    """Whose ledger it is."""

    tenant: str
    probe: str
    epoch: UUID


class Pacing:
    """Which receipts are due: at once for an idle probe, at most one each `min_gap_s` under load.

    Receipts that wait for the same epoch become one, the last. Time comes from the caller
    (monotonic seconds).
    """

    def __init__(self, min_gap_s: float) -> None:
        self._min_gap_s = min_gap_s
        self._waiting: dict[EpochKey, Ledger] = {}
        self._last_s: dict[tuple[str, str], float] = {}

    def note(self, epoch: EpochKey, ledger: Ledger) -> None:
        """A ledger has changed, so its probe is owed a receipt."""
        self._waiting.pop(epoch, None)
        self._waiting[epoch] = ledger

    def take_due(self, now_s: float, *, all_of_them: bool = False) -> list[tuple[EpochKey, Ledger]]:
        """What to publish now, oldest first; it is taken off the list."""
        recent_s = now_s - self._min_gap_s
        self._last_s = {probe: at_s for probe, at_s in self._last_s.items() if at_s > recent_s}
        due = [
            (epoch, ledger)
            for epoch, ledger in self._waiting.items()
            if all_of_them or (epoch.tenant, epoch.probe) not in self._last_s
        ]
        for epoch, _ in due:
            del self._waiting[epoch]
            self._last_s[epoch.tenant, epoch.probe] = now_s
        return due

    def next_due_s(self) -> float | None:
        """When the next receipt falls due, None when none is waiting."""
        return min(
            (
                self._last_s.get((epoch.tenant, epoch.probe), 0.0) + self._min_gap_s
                for epoch in self._waiting
            ),
            default=None,
        )


def _runs(ascending: list[int]) -> Iterable[tuple[int, int]]:
    first = last = None
    for seq in ascending:
        if first is None or last is None:
            first = last = seq
        elif seq == last + 1:
            last = seq
        else:
            yield first, last
            first = last = seq
    if first is not None and last is not None:
        yield first, last
