"""Floor 1. The hours of a day: which stretches of it may hold bulk tests, and of which sort.

A local day is cut at the peak hours and at the office hours. Each stretch is peak or off-peak; one
within office hours that are to be avoided is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from msgspec import Struct

from probe.config import Config, PlanConfig, minute_of_day

# The first minute belongs to the change of the day's timetable.
_CHANGE_MIN = 1
_DAY_MIN = 24 * 60


class TimeRange(Struct, frozen=True):
    """A part of a day between two cuts, UTC."""

    start: datetime
    end: datetime
    peak: bool

    @property
    def length_s(self) -> float:
        """How long it is."""
        return (self.end - self.start).total_seconds()


def bulk_time_ranges(config: Config, day: date, least_s: float) -> list[TimeRange]:
    """The stretches of a local day for bulk tests, in order; none shorter than `least_s`."""
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
    """Whether people are at work then."""
    plan, local = config.plan, at.astimezone(ZoneInfo(config.timezone))
    minute = local.hour * 60 + local.minute
    within = minute_of_day(plan.office_from) <= minute < minute_of_day(plan.office_to)
    return within and local.isoweekday() in plan.office_weekdays


def idle_check_s(config: Config, at: datetime) -> float:
    """How long a line is looked at before a bulk test: longer where people are at work."""
    plan = config.plan
    careful = plan.office_hours == "idle_only" and in_office_hours(config, at)
    return plan.office_idle_look_s if careful else plan.idle_look_s


def longest_idle_check_s(plan: PlanConfig) -> float:
    """What a slot has to have room for, whenever it comes."""
    if plan.office_hours != "idle_only":
        return plan.idle_look_s
    return max(plan.idle_look_s, plan.office_idle_look_s)


def bounds(config: Config, day: date) -> tuple[datetime, datetime]:
    """A local day's beginning and end, UTC."""
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
    """A local wall time in UTC; where clocks are put forward, the time that they jump to."""
    day += timedelta(days=minute // _DAY_MIN)
    hour, minute = divmod(minute % _DAY_MIN, 60)
    zone = ZoneInfo(config.timezone)
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone).astimezone(UTC)
