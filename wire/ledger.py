"""Floor 1. The ledger of an epoch: which sequence numbers one end has, kept as merged ranges.

Results arrive nearly in order, so an epoch of millions is one range, and each gap adds one. The
centre keeps one of stored results; the probe keeps one of dropped results.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from datetime import datetime
from heapq import merge
from typing import Self
from uuid import UUID

from msgspec import Struct

from wire.messages import Receipt

# Each missing range takes up to 35 bytes of JSON, so a receipt stays under 40 KB.
MAX_MISSING_RANGES = 1_000


class Ledger(Struct, frozen=True):
    """Sequence numbers of one (probe, epoch): stored, or reported by the probe as dropped.

    `ranges` are (first, last), both ends included, ascending, with a gap between each two.
    """

    ranges: tuple[tuple[int, int], ...] = ()

    def with_seqs(self, seqs: Iterable[int]) -> Self:
        """The ledger with sequence numbers added, in any order; known ones are allowed."""
        return self.with_ranges(_runs(sorted(set(seqs))))

    def with_ranges(self, ranges: Iterable[tuple[int, int]]) -> Self:
        """The ledger with ranges (first, last) added, in any order.

        In one pass: a probe that sends only every other number must not take much time, and
        adding a thousand gaps one by one to a hundred thousand takes seconds.
        """
        added = sorted(ranges)
        if len(added) < 2:
            return self.with_range(*added[0]) if added else self
        whole: list[tuple[int, int]] = []
        for first, last in merge(self.ranges, added):
            if whole and first <= whole[-1][1] + 1:
                whole[-1] = (whole[-1][0], max(whole[-1][1], last))
            else:
                whole.append((first, last))
        return type(self)(tuple(whole))

    def with_range(self, first: int, last: int) -> Self:
        """The ledger with the range from `first` to `last` added."""
        if self.ranges and self.ranges[-1][0] <= first <= self.ranges[-1][1] + 1:
            # It continues the last range, as nearly always.
            begin, end = self.ranges[-1]
            return type(self)((*self.ranges[:-1], (begin, max(end, last))))
        # The ranges that overlap or touch (first, last) are merged.
        low = bisect_left(self.ranges, first - 1, key=lambda stored: stored[1])
        high = bisect_right(self.ranges, last + 1, key=lambda stored: stored[0])
        if low < high:
            first = min(first, self.ranges[low][0])
            last = max(last, self.ranges[high - 1][1])
        return type(self)((*self.ranges[:low], (first, last), *self.ranges[high:]))

    def has(self, seq: int) -> bool:
        """Whether it contains a number."""
        place = bisect_left(self.ranges, seq, key=lambda stored: stored[1])
        return place < len(self.ranges) and self.ranges[place][0] <= seq

    def without(self, seqs: Sequence[int]) -> set[int]:
        """The given numbers that it does not contain."""
        if not seqs or min(seqs) > self.stored_through:
            return set(seqs)
        return {seq for seq in seqs if not self.has(seq)}

    @property
    def stored_through(self) -> int:
        """The highest number, 0 when it is empty."""
        return self.ranges[-1][1] if self.ranges else 0

    @property
    def missing(self) -> tuple[tuple[int, int], ...]:
        """The missing ranges below `stored_through`; an epoch starts at 1."""
        ends = (0, *(last for _, last in self.ranges))
        starts = (first for first, _ in self.ranges)
        return tuple(
            (end + 1, start - 1)
            for end, start in zip(ends, starts, strict=False)
            if end + 1 < start
        )

    def receipt(self, epoch: UUID, at: datetime) -> Receipt:
        """The receipt for the probe.

        With more gaps than a receipt may have, it covers only the lower part, up to the first gap
        without room: the rest is sent again and never lost.
        """
        stored_through, missing = self.stored_through, self.missing
        if len(missing) > MAX_MISSING_RANGES:
            stored_through = missing[MAX_MISSING_RANGES][0] - 1
            missing = missing[:MAX_MISSING_RANGES]
        return Receipt(epoch=epoch, stored_through=stored_through, missing=list(missing), at=at)


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
