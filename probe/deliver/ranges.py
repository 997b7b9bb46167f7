"""Floor 1. Ranges of sequence numbers: (first, last), inclusive, ascending and disjoint."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

Range = tuple[int, int]


def clip(ranges: Iterable[Range], first: int, last: int) -> Iterator[Range]:
    """The parts of the ranges between `first` and `last`."""
    for start, end in ranges:
        if start > last:
            return
        if end >= first:
            yield max(start, first), min(end, last)


def subtract(ranges: Iterable[Range], others: Sequence[Range]) -> Iterator[Range]:
    """The parts of the ranges that are in none of the others."""
    for first, last in ranges:
        left = first
        for start, end in clip(others, first, last):
            if left < start:
                yield left, start - 1
            left = end + 1
        if left <= last:
            yield left, last


def is_within(ranges: Iterable[Range], others: Iterable[Range]) -> bool:
    """Whether each of the ranges lies in one of the others, which do not touch each other."""
    rest = iter(others)
    other = next(rest, None)
    for first, last in ranges:
        while other is not None and other[1] < first:
            other = next(rest, None)
        if other is None or not other[0] <= first <= last <= other[1]:
            return False
    return True


def total(ranges: Iterable[Range]) -> int:
    """How many numbers the ranges hold."""
    return sum(last - first + 1 for first, last in ranges)
