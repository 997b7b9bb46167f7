"""Floor 1. The time ranges of a day in which bulk tests may run, peak or off-peak.

A local day is cut at the peak hours and at the office hours. A range within office hours that are
to be avoided is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from msgspec import Struct

from probe.config import Config, PlanConfig, minute_of_day

# The first minute is left for loading the day's timetable.
_CHANGE_MIN = 1
_DAY_MIN = 24 * 60


class TimeRange(Struct, frozen=True):
    """A time range of a day, UTC."""

    start: datetime
    end: datetime
    peak: bool

    @property
    def length_s(self) -> float:
        """Its length in seconds."""
        return (self.end - self.start).total_seconds()


def bulk_time_ranges(config: Config, day: date, least_s: float) -> list[TimeRange]:
    """The time ranges of a local day for bulk tests, in order; none shorter than `least_s`."""
    cut = [
        TimeRange(*_between(config, day, *m), _is_peak(config.plan, *m)) for m in _minutes(config)
    ]
    avoids = config.plan.office_hours == "avoid"
    return [
        one
        for one in cut
        if one.length_s >= least_s and not (avoids and in_office_hours(config, one.start))
    ]


def in_office_hours(config: Config, at: datetime) -> bool:
    """Whether a time is within the configured office hours."""
    plan, local = config.plan, at.astimezone(ZoneInfo(config.timezone))
    minute = local.hour * 60 + local.minute
    within = minute_of_day(plan.office_from) <= minute < minute_of_day(plan.office_to)
    return within and local.isoweekday() in plan.office_weekdays


def idle_check_s(config: Config, at: datetime) -> float:
    """The length of the idle check before a bulk test: longer within office hours."""
    plan = config.plan
    careful = plan.office_hours == "idle_only" and in_office_hours(config, at)
    return plan.office_idle_look_s if careful else plan.idle_look_s


def longest_idle_check_s(plan: PlanConfig) -> float:
    """The longest idle check of any time, which a slot must have room for."""
    if plan.office_hours != "idle_only":
        return plan.idle_look_s
    return max(plan.idle_look_s, plan.office_idle_look_s)


def bounds(config: Config, day: date) -> tuple[datetime, datetime]:
    """The start and end of a local day, UTC."""
    return _between(config, day, 0, _DAY_MIN)


def _minutes(config: Config) -> Iterator[tuple[int, int]]:
    plan = config.plan
    cuts = {
        _CHANGE_MIN,
        60 * plan.peak_from_hour,
        60 * plan.peak_to_hour,
        minute_of_day(plan.office_from),
        minute_of_day(plan.office_to),
        _DAY_MIN,
    }
    return pairwise(sorted(cut for cut in cuts if cut >= _CHANGE_MIN))


def _is_peak(plan: PlanConfig, first_min: int, _last_min: int) -> bool:
    return 60 * plan.peak_from_hour <= first_min < 60 * plan.peak_to_hour


def _between(config: Config, day: date, first_min: int, last_min: int) -> tuple[datetime, datetime]:
    return _at(config, day, first_min), _at(config, day, last_min)


def _at(config: Config, day: date, minute: int) -> datetime:
    """A local time in UTC; a time that a clock change skips becomes the one after it."""
    day += timedelta(days=minute // _DAY_MIN)
    hour, minute = divmod(minute % _DAY_MIN, 60)
    zone = ZoneInfo(config.timezone)
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone).astimezone(UTC)
