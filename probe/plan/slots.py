"""Floor 1. Slots: from configuration, day and usage to a local day's slots at UTC times.

A line's tests of a month are a sequence, spread evenly over its days; kinds and servers alternate
and some are peak-hour tests. Each of a day's tests is placed by a hash within an equal part of that
day's peak or off-peak hours, so a fleet never starts at the top of the hour (the most common
complaint about such systems) and the same probe on the same day has the same plan. The bulk tests
of a host never overlap.

Properties, tested by `tests/property/test_plan_property.py` for any configuration:
the month's expected bytes stay within the budget unless the weekly minimum needs more; any seven
days in a row hold the weekly minimum; with a test a day every weekday has one; with three tests a
week any seven days have one in peak hours and one outside; servers take turns; so do the families.
"""

from __future__ import annotations

import calendar
import itertools
import math
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta

from msgspec import Struct, structs

from probe.config import Config, LineConfig
from probe.plan import spread
from probe.plan.budget import BulkKind, MonthBudget, bulk_kinds, month_budget
from probe.plan.family_rotation import FamilyRotation, planned_families
from probe.plan.hours import TimeRange, bounds, bulk_time_ranges
from probe.plan.usage import Usage
from wire.record import Family

# The day's first minute is left for loading the timetable.
_CHANGE_S = 60.0


class Slot(Struct, frozen=True, kw_only=True):
    """One planned measurement.

    `until` is the latest start of a deferred bulk test with its idle check. `kept` slots are
    the weekly minimum, which runs also when the line's budget is used up. `family` is the one whose
    turn it is; None for light kinds.
    """

    at: datetime
    kind: str
    line_id: str
    server_name: str
    longest_s: float = 0.0
    expected_bytes: float = 0.0
    peak: bool = False
    kept: bool = False
    until: datetime | None = None
    family: Family | None = None


class DayPlan(Struct, frozen=True):
    """A day's bulk slots in order of time, and the number of tests without room in its hours."""

    slots: list[Slot]
    left_out: int


class _Test(Struct, frozen=True):
    """One of a line's tests in a month, before its time is set."""

    day_index: int
    kind: str
    server_name: str
    peak: bool
    kept: bool
    family: Family


class _LineMonth(Struct, frozen=True):
    """A line's tests of a month, in order, and its budget."""

    name: str
    budget: MonthBudget
    tests: list[_Test]


def day_plan(config: Config, day: date, usage: Usage | None = None) -> DayPlan:
    """The bulk slots of a local day."""
    return _day_plan(config, day, _months(config, day, usage or Usage()))


def month_plan(config: Config, day: date, usage: Usage | None = None) -> dict[date, DayPlan]:
    """The plan of each day of a day's month, as `day_plan` makes it from this usage."""
    months = _months(config, day, usage or Usage())
    count = calendar.monthrange(day.year, day.month)[1]
    days = (day.replace(day=number) for number in range(1, count + 1))
    return {one: _day_plan(config, one, months) for one in days}


def _months(config: Config, day: date, usage: Usage) -> list[_LineMonth]:
    budgets = [(line, month_budget(config, line, day, usage)) for line in config.lines]
    return [
        _LineMonth(_name(config, line), budget, list(_month(config, line, day, budget)))
        for line, budget in budgets
    ]


def _day_plan(config: Config, day: date, months: Sequence[_LineMonth]) -> DayPlan:
    longest = {one.kind: one.longest_s for one in bulk_kinds(config)}
    rooms = bulk_time_ranges(config, day, max(longest.values(), default=0.0))
    wanted: list[Slot] = []
    count = 0
    for month in months:
        tests = [
            test
            for test in month.tests
            if test.day_index == day.day - 1 and (test.kept or not month.budget.is_exhausted)
        ]
        count += len(tests)
        if rooms:
            wanted += _timed(f"{month.name}/{day}", tests, rooms, longest, month.budget)
    placed = _placed(wanted, rooms)
    return DayPlan(placed, count - len(placed))


def light_slots(config: Config, kinds: Sequence[str], day: date) -> list[Slot]:
    """The slots of light kinds: every `light_every_min` minutes, spread by a hash."""
    start, end = bounds(config, day)
    period_s = config.plan.light_every_min * 60.0
    slots = []
    for line in config.lines:
        for kind in kinds:
            offset_s = spread.fraction(f"{_name(config, line)}/{kind}") * (period_s - _CHANGE_S)
            first = start + timedelta(seconds=int(_CHANGE_S + offset_s))
            # A day on which clocks change has 23 or 25 hours.
            for turn in range(-(-round((end - start).total_seconds()) // round(period_s))):
                at = first + timedelta(seconds=turn * period_s)
                server = config.servers[(day.toordinal() + turn) % len(config.servers)]
                slots.append(Slot(at=at, kind=kind, line_id=line.id, server_name=server.name))
    return sorted((slot for slot in slots if slot.at < end), key=_by_time)


def _month(config: Config, line: LineConfig, day: date, budget: MonthBudget) -> Iterator[_Test]:
    """All tests of a line in a day's month, in order."""
    count, month = budget.tests, f"{_name(config, line)}/{day.year}-{day.month}"
    phase = spread.hashed(f"{_name(config, line)}/days")
    peak_phase = spread.hashed(f"{_name(config, line)}/peak")
    peak_count = _peak_count(config, budget)
    peaks = [
        spread.cumulative(n, count, peak_count, peak_phase)
        < spread.cumulative(n + 1, count, peak_count, peak_phase)
        for n in range(count)
    ]
    peak_kinds = spread.apportioned(peak_count, budget.counts)
    rest = {kind: all_ - peak_kinds[kind] for kind, all_ in budget.counts.items()}
    kinds = {
        True: iter(spread.interleaved(peak_kinds, f"{month}/peak")),
        False: iter(spread.interleaved(rest, f"{month}/off-peak")),
    }
    servers = {one.kind: _rotation(one, f"{month}/{one.kind}") for one in bulk_kinds(config)}
    every = max(1, count // budget.floor_tests) if budget.floor_tests else None
    rotation = FamilyRotation(planned_families(line), f"{month}/families")
    number = 0
    for day_index in range(budget.days):
        parts = {True: itertools.count(), False: itertools.count()}
        while number < spread.cumulative(day_index + 1, budget.days, count, phase):
            kind = next(kinds[peaks[number]])
            kept = every is not None and number % every == 0
            peak, server = peaks[number], next(servers[kind])
            family = rotation.next(
                [
                    ("peak", peak),
                    ("part of the day", peak, next(parts[peak])),
                    ("kind", kind, peak),
                    ("server", kind, server),
                    ("kept", kept),
                ]
            )
            yield _Test(day_index, kind, server, peak, kept, family)
            number += 1


def _peak_count(config: Config, budget: MonthBudget) -> int:
    """How many of the month's tests are in peak hours.

    As many as their share of the day; and where tests are few, enough that each week has one in
    peak hours and one outside.
    """
    count = budget.tests
    share = (config.plan.peak_to_hour - config.plan.peak_from_hour) / 24
    a_week = max(2, 7 * count // budget.days)
    most = 1 - 1 / a_week if share < 1 else 1.0
    return min(math.ceil(count * max(share, 1 / a_week)), math.floor(count * most))


def _rotation(kind: BulkKind, name: str) -> Iterator[str]:
    """An endless sequence of servers, each once a round; each round's order is from a hash.

    With one fixed order a server would always get the peak hours, or always Sundays.
    """
    for turn in itertools.count():
        drawn = {one.name: spread.hashed(f"{name}/{turn}/{one.name}") for one in kind.servers}
        yield from sorted(drawn, key=drawn.__getitem__)


def _timed(
    name: str,
    tests: Sequence[_Test],
    rooms: Sequence[TimeRange],
    longest: dict[str, float],
    budget: MonthBudget,
) -> Iterator[Slot]:
    """A line's tests of a day, each within its equal part of the peak or off-peak hours."""
    for peak in (True, False):
        mine = [test for test in tests if test.peak is peak]
        fitting = [room for room in rooms if room.peak is peak] or rooms
        for part, test in enumerate(mine):
            place = (part + spread.fraction(f"{name}/{peak}/{part}")) / len(mine)
            at, room = _within(fitting, place, longest[test.kind])
            yield Slot(
                at=at.replace(microsecond=0),
                kind=test.kind,
                line_id=budget.line_id,
                server_name=test.server_name,
                longest_s=longest[test.kind],
                expected_bytes=budget.test_bytes[test.kind],
                peak=room.peak,
                kept=test.kept,
                family=test.family,
            )


def _within(
    rooms: Sequence[TimeRange], place: float, longest_s: float
) -> tuple[datetime, TimeRange]:
    """The time at a position, 0 to 1, in the concatenated starts that time ranges have room for.

    Not in the whole ranges: the tests of a fleet that fell into the end of one, where no test has
    room, would all be moved back to the same second.
    """
    lengths_s = [room.length_s - longest_s for room in rooms]
    left_s = place * sum(lengths_s)
    for room, length_s in zip(rooms[:-1], lengths_s, strict=False):
        if left_s < length_s:
            return room.start + timedelta(seconds=left_s), room
        left_s -= length_s
    return rooms[-1].start + timedelta(seconds=min(left_s, lengths_s[-1])), rooms[-1]


def _placed(wanted: Sequence[Slot], rooms: Sequence[TimeRange]) -> list[Slot]:
    """Slots that do not overlap. Where a time range is full, another one is used.

    The weekly minimum is placed first; slots without room in the day are left out.
    """
    held: list[list[Slot]] = [[] for _ in rooms]
    free_s = [room.length_s for room in rooms]
    for slot in sorted(wanted, key=lambda slot: (not slot.kept, *_by_time(slot))):
        free = [n for n in range(len(rooms)) if free_s[n] >= slot.longest_s]
        if not free:
            continue
        _, number = min((_distance(rooms[n], slot), n) for n in free)
        room = rooms[number]
        free_s[number] -= slot.longest_s
        at = min(max(slot.at, room.start), room.end)
        until = room.end - timedelta(seconds=slot.longest_s)
        held[number].append(structs.replace(slot, at=at, peak=room.peak, until=until))
    return [slot for n, room in enumerate(rooms) for slot in _without_overlap(held[n], room)]


def _distance(room: TimeRange, slot: Slot) -> tuple[bool, float]:
    """The order of time ranges for a slot: its own sort first, then the nearest."""
    outside_s = max((room.start - slot.at).total_seconds(), (slot.at - room.end).total_seconds())
    return room.peak is not slot.peak, max(0.0, outside_s)


def _without_overlap(slots: Sequence[Slot], room: TimeRange) -> list[Slot]:
    """Move overlapping slots later; then move back those beyond the end of the range."""
    placed: list[Slot] = []
    earliest = room.start
    for slot in sorted(slots, key=_by_time):
        placed.append(structs.replace(slot, at=max(slot.at, earliest)))
        earliest = placed[-1].at + timedelta(seconds=slot.longest_s)
    latest = room.end
    for index in reversed(range(len(placed))):
        latest -= timedelta(seconds=placed[index].longest_s)
        if placed[index].at <= latest:
            break
        placed[index] = structs.replace(placed[index], at=latest)
    return placed


def _by_time(slot: Slot) -> tuple[datetime, str, str]:
    return slot.at, slot.line_id, slot.kind


def _name(config: Config, line: LineConfig) -> str:
    return f"{config.tenant}/{config.probe}/{line.id}"
