"""Floor 1. Which epoch each row of the outbox belongs to, and which number it bears there.

Rows of the outbox are numbered through the file's whole life. An epoch begins each time the file is
opened: its UUID is drawn then, so no copy of the file (an older image of the card, a cloned card)
can give a number that another copy gives as well. The result in row `r` of an epoch that begins at
row `f` has the identity (epoch, r - f + 1).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from uuid import UUID

from probe.deliver.ranges import Range, clip, subtract
from probe.deliver.sender_state import Coverage, covered_ranges
from wire.ledger import Ledger


class Epochs:
    """The epochs of one outbox file, each with the row that it begins at.

    Args:
        starts: (first row, epoch), ascending by row; each epoch once.
    """

    def __init__(self, starts: Iterable[tuple[int, UUID]]) -> None:
        self._starts = list(starts)

    def __iter__(self) -> Iterator[UUID]:
        """The epochs, the oldest first."""
        return (epoch for _, epoch in self._starts)

    def __len__(self) -> int:
        """How many epochs there are."""
        return len(self._starts)

    def add(self, first: int, epoch: UUID) -> None:
        """Begin an epoch at a row behind all rows that there are."""
        self._starts.append((first, epoch))

    def identity(self, row: int) -> tuple[UUID, int]:
        """The epoch of a row and its number there. LookupError for a row before the first epoch."""
        place = bisect_right(self._starts, row, key=lambda start: start[0]) - 1
        if place < 0:
            raise LookupError(f"row {row} is in no epoch")
        first, epoch = self._starts[place]
        return epoch, row - first + 1

    def rows(self, epoch: UUID, last_row: int) -> Range | None:
        """The rows (first, last) of an epoch, of rows up to `last_row`; None where it has none."""
        for place, (first, known) in enumerate(self._starts):
            if known == epoch:
                behind = self._starts[place + 1 :]
                last = behind[0][0] - 1 if behind else last_row
                return (first, last) if first <= last else None
        return None

    def rows_of(self, epoch: UUID, ranges: Iterable[Range], last_row: int) -> list[Range]:
        """Ranges of an epoch's numbers as rows, without those that are not in the file."""
        whole = self.rows(epoch, last_row)
        if whole is None:
            return []
        shift = whole[0] - 1
        moved = ((first + shift, last + shift) for first, last in ranges)
        return list(clip(moved, *whole))

    def by_epoch(self, ranges: Iterable[Range], last_row: int) -> list[tuple[UUID, list[Range]]]:
        """Ranges of rows as numbers of their epochs, the oldest epoch first."""
        found = []
        every = list(ranges)
        for first, epoch in self._starts:
            whole = self.rows(epoch, last_row)
            own = list(clip(every, *whole)) if whole else []
            if own:
                found.append((epoch, [(a - first + 1, b - first + 1) for a, b in own]))
        return found

    def covered(
        self, before: Coverage, epoch: UUID, stored: Coverage, last_row: int
    ) -> Coverage | None:
        """What is covered once a receipt has spoken of one epoch; None where the epoch is foreign.

        Args:
            before: what is covered now, as rows.
            epoch: of which the receipt speaks.
            stored: what the receipt says, as numbers of the epoch.
            last_row: the newest row of the file.
        """
        whole = self.rows(epoch, last_row)
        if whole is None:
            return None
        others = subtract(covered_ranges(before), [whole])
        own = self.rows_of(epoch, covered_ranges(stored), last_row)
        return coverage_from(Ledger().with_ranges([*others, *own]))


def coverage_from(ledger: Ledger) -> Coverage:
    """A ledger as a coverage."""
    return Coverage(ledger.stored_through, ledger.missing)


def last_number(epochs: Epochs, epoch: UUID, last_row: int) -> int:
    """The highest number of an epoch that the file holds; 0 where it holds none."""
    whole = epochs.rows(epoch, last_row)
    return whole[1] - whole[0] + 1 if whole else 0
