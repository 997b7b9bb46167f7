"""Floor 1. Hours, days, weeks and months as people in Vietnam count them, and as buckets.

Vietnam has one time zone, UTC+7, and no summer time (since 13 June 1975), so a day is always 24
hours and begins at 17:00 UTC. Weeks are ISO weeks, Monday first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from enum import StrEnum
from typing import NamedTuple

VIETNAM = timezone(timedelta(hours=7), "Asia/Ho_Chi_Minh")
_DAY = timedelta(days=1)
# The years that may be queried; the days around them exist in every time zone.
_FIRST_YEAR, _LAST_YEAR = 1970, 2999


class Step(StrEnum):
    """The length of a bucket."""

    HOUR = "hour"
    DAY = "day"
    MONTH = "month"


class Period(NamedTuple):
    """Whole local days, both ends included."""

    first: date
    last: date

    @property
    def days(self) -> int:
        """The number of days."""
        return (self.last - self.first).days + 1

    @property
    def starts_at(self) -> datetime:
        """Its first moment, UTC."""
        return start_of_day(self.first)

    @property
    def ends_at(self) -> datetime:
        """The first moment after it, UTC."""
        return start_of_day(self.last + _DAY)

    def each_day(self) -> Iterator[date]:
        """Its days in order."""
        return (self.first + n * _DAY for n in range(self.days))


def last_days(count: int, today: date) -> Period:
    """The last `count` days, today included."""
    return Period(today - (count - 1) * _DAY, today)


def week_of(day: date) -> Period:
    """The ISO week that a day is in."""
    monday = day - day.weekday() * _DAY
    return Period(monday, monday + 6 * _DAY)


def month_of(day: date) -> Period:
    """The month that a day is in."""
    first = day.replace(day=1)
    return Period(first, (first + 31 * _DAY).replace(day=1) - _DAY)


def period_before(period: Period) -> Period:
    """The month before a whole month; else as many days, just before it."""
    if period == month_of(period.first):
        return month_of(period.first - _DAY)
    return Period(period.first - period.days * _DAY, period.first - _DAY)


def period_after(period: Period) -> Period:
    """The month after a whole month; else as many days, just after it."""
    first = period.last + _DAY
    if period == month_of(period.first):
        return month_of(first)
    return Period(first, period.last + period.days * _DAY)


def parse_period(text: str) -> Period:
    """`2026-W30`, `2026-07`, `2026-07-25`, or `2026-07-01..2026-07-15`.

    Raises:
        ValueError: it is none of these, runs backwards, or lies outside of the years allowed.
    """
    try:
        period = _parsed(text)
    except OverflowError as error:
        raise ValueError(f"{text!r} is no week, month, day or pair of days") from error
    if not _FIRST_YEAR <= period.first.year <= period.last.year <= _LAST_YEAR:
        raise ValueError(f"{text!r} lies outside the years {_FIRST_YEAR} to {_LAST_YEAR}")
    return period


def _parsed(text: str) -> Period:
    first, dots, last = text.partition("..")
    if dots:
        period = Period(date.fromisoformat(first), date.fromisoformat(last))
        if period.days < 1:
            raise ValueError(f"{text!r} runs backwards")
        return period
    if re.fullmatch(r"\d{4}-W\d{2}", text):
        return week_of(date.fromisocalendar(int(text[:4]), int(text[6:]), 1))
    if re.fullmatch(r"\d{4}-\d{2}", text):
        return month_of(date(int(text[:4]), int(text[5:]), 1))
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        day = date.fromisoformat(text)
        return Period(day, day)
    raise ValueError(f"{text!r} is no week, month, day or pair of days")


def start_of_day(day: date) -> datetime:
    """When a local day begins, UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=VIETNAM).astimezone(UTC)


def local_day(at: datetime) -> date:
    """The local day of a moment."""
    return at.astimezone(VIETNAM).date()


def bucket_start(at: datetime, step: Step) -> datetime:
    """When the bucket of a moment begins, UTC."""
    local = at.astimezone(VIETNAM).replace(minute=0, second=0, microsecond=0)
    if step is not Step.HOUR:
        local = local.replace(hour=0)
    if step is Step.MONTH:
        local = local.replace(day=1)
    return local.astimezone(UTC)


class Piece(NamedTuple):
    """Part of a period that whole buckets of one step make up: `start` <= bucket < `end`, UTC."""

    step: Step
    start: datetime
    end: datetime


def pieces(period: Period) -> list[Piece]:
    """Split a period into as few buckets as possible: whole months, and days for the rest."""
    found: list[Piece] = []
    day, end = period.first, period.last + _DAY
    while day < end:
        next_month = (day.replace(day=1) + 31 * _DAY).replace(day=1)
        whole = day.day == 1 and next_month <= end
        stop = next_month if whole else min(next_month, end)
        step = Step.MONTH if whole else Step.DAY
        if found and found[-1].step is step:
            found[-1] = found[-1]._replace(end=start_of_day(stop))
        else:
            found.append(Piece(step, start_of_day(day), start_of_day(stop)))
        day = stop
    return found
