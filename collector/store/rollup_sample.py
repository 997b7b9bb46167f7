"""Floor 1. Which lines and days are compared with their raw results in a night.

Each night has its share of all lines, so that each day of each line is compared once while its raw
results are kept, and the work of a night is that of a day's results.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import NamedTuple

from collector.registry.registry import LineKey
from collector.rollup.periods import Period, last_days

# A line's turn comes after so many nights at most. Oftener where raw results are not kept so long.
MOST_NIGHTS = 30


class LineDay(NamedTuple):
    """A day of a line to compare, or the whole month of a day."""

    line: LineKey
    day: date
    whole_month: bool = False

    @property
    def name(self) -> str:
        """The day or the month, as `parse_period` reads it."""
        return period_name(self.day, whole_month=self.whole_month)


def period_name(day: date, *, whole_month: bool) -> str:
    """`2026-07-25`, or `2026-07`."""
    return f"{day:%Y-%m}" if whole_month else day.isoformat()


def of_night(lines: Sequence[LineKey], night: date, raw_days: int | None) -> Iterator[LineDay]:
    """What to compare in a night, line by line.

    Args:
        lines: all lines.
        night: the local day of the night; days before it are over.
        raw_days: so long raw results are kept; None: for ever.
    """
    # The oldest day may be deleted while it is compared.
    nights = min(MOST_NIGHTS, (raw_days or MOST_NIGHTS + 2) - 2)
    if nights < 1:
        return
    days = last_days(nights, night - timedelta(days=1))
    for place, line in enumerate(sorted(lines)):
        if (place - night.toordinal()) % nights == 0:
            yield from _of_line(line, days)


def _of_line(line: LineKey, days: Period) -> Iterator[LineDay]:
    for day in days.each_day():
        yield LineDay(line, day)
    for month in sorted({day.replace(day=1) for day in days.each_day()}):
        yield LineDay(line, month, whole_month=True)
