"""Floor 1. The samples of a metric day by day: what an interval over blocks of days is made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date

from msgspec import Struct


class DaySample(Struct, frozen=True, gc=False):
    """The samples of one local day: how many, and their sum in the figure's unit."""

    day: date
    count: int
    total: float


def merge_days(parts: Iterable[Sequence[DaySample]]) -> tuple[DaySample, ...]:
    """The samples of several lines or families by day, ascending."""
    found: dict[date, DaySample] = {}
    for part in parts:
        for one in part:
            known = found.get(one.day)
            found[one.day] = (
                one
                if known is None
                else DaySample(one.day, known.count + one.count, known.total + one.total)
            )
    return tuple(found[day] for day in sorted(found))
