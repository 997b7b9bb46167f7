"""The timetable by a hand-made clock: each slot at its time, once, whatever the zone does."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe import config
from probe.config import Config, PlanConfig
from probe.plan.hours import bounds
from probe.plan.slots import Slot, day_plan, light_slots
from probe.schedule.slot_dispatcher import SLOT_TOLERANCE_S
from probe.schedule.timetable import LATE_S, Timetable
from tests.unit.test_config import GOOD

ZONE = "America/New_York"
START = datetime(2026, 11, 24, tzinfo=UTC)
TICK = timedelta(seconds=60)


def office() -> Config:
    parsed = config.parse(GOOD.encode(), "probe.toml")
    plan = PlanConfig(samples_per_month=300, office_hours="allow", monthly_budget_bytes=10**13)
    return msgspec.structs.replace(parsed, timezone=ZONE, plan=plan)


def slot(after_s: float) -> Slot:
    return Slot(
        at=START + timedelta(seconds=after_s), kind="http", line_id="vnpt", server_name=f"{after_s}"
    )


def ticks(config_: Config, days: list[date]) -> Iterator[datetime]:
    now, end = bounds(config_, days[0])[0], bounds(config_, days[-1])[1]
    while now < end:
        yield now
        now += TICK


@pytest.mark.parametrize("first", [date(2026, 3, 7), date(2026, 10, 31), date(2026, 7, 1)])
def test_every_slot_of_a_zone_with_summer_time_fires_at_its_time(first: date) -> None:
    """Over the day on which clocks change, with the days before and after it."""
    parsed = office()
    days = [first + timedelta(days=n) for n in range(3)]
    fired: list[tuple[Slot, datetime]] = []
    now = bounds(parsed, first)[0]
    timetable = Timetable(lambda one: fired.append((one, now)))
    planned: list[Slot] = []
    today = None
    for now in ticks(parsed, days):
        if (local := now.astimezone(ZoneInfo(ZONE)).date()) != today:
            today = local
            slots = [*day_plan(parsed, today).slots, *light_slots(parsed, ["dns"], today)]
            planned += slots
            timetable.load(slots, now)
        timetable.run_due(now)
    assert len(planned) > 3 * 10
    assert [one for one, _ in fired] == sorted(planned, key=lambda one: one.at)
    assert all(timedelta() <= at - one.at < TICK for one, at in fired)


@pytest.mark.parametrize("day", [date(2026, 3, 8), date(2026, 11, 1), date(2026, 7, 1)])
def test_light_slots_fill_a_day_of_23_24_or_25_hours(day: date) -> None:
    parsed = office()
    start, end = bounds(parsed, day)
    at = [one.at for one in light_slots(parsed, ["dns"], day) if one.line_id == "vnpt"]
    period = timedelta(minutes=parsed.plan.light_every_min)
    assert at[0] - start < period
    assert end - at[-1] <= period
    assert {later - earlier for earlier, later in pairwise(at)} == {period}


def test_a_slot_that_is_due_while_the_plan_is_made_fires_today() -> None:
    fired: list[Slot] = []
    timetable = Timetable(fired.append)
    timetable.load([slot(0), slot(2), slot(-1)], START)
    # Making the plan took three seconds.
    timetable.run_due(START + timedelta(seconds=3))
    assert fired == [slot(0), slot(2)]
    assert timetable.next_at() is None


def test_a_slot_between_the_last_look_and_a_new_plan_is_not_lost() -> None:
    fired: list[Slot] = []
    timetable = Timetable(fired.append)
    timetable.load([slot(10)], START)
    timetable.run_due(START + timedelta(seconds=5))
    # The loop was held up for a minute, over midnight: one slot of either day came due.
    late = START + timedelta(seconds=65)
    timetable.load([slot(4), slot(50), slot(70)], late)
    timetable.run_due(late)
    assert fired == [slot(10), slot(50)]
    assert timetable.next_at() == slot(70).at


def test_a_reload_neither_loses_nor_repeats_a_slot() -> None:
    fired: list[Slot] = []
    before = Timetable(fired.append)
    slots = [slot(10), slot(20), slot(30)]
    before.load(slots, START)
    before.run_due(START + timedelta(seconds=12))
    after = Timetable(fired.append, before.checked)
    after.load(slots, START + timedelta(seconds=25))
    after.run_due(START + timedelta(seconds=35))
    assert fired == slots


def test_a_clock_that_jumps_ahead_does_not_fire_a_day_s_past_slots() -> None:
    """A Pi boots with an old clock, and NTP sets it in the afternoon of another day."""
    fired: list[Slot] = []
    timetable = Timetable(fired.append)
    timetable.load([slot(10)], START)
    later = START + timedelta(days=9, hours=15)
    day = [slot(9 * 86_400 + hour * 3600) for hour in range(24)]
    timetable.load(day, later)
    timetable.run_due(later)
    # That of the old day is reported by whoever compares it with the clock.
    assert fired == [slot(10), day[15]]
    assert timetable.next_at() == day[16].at
    assert LATE_S <= SLOT_TOLERANCE_S


@given(
    st.lists(st.floats(0, 3600), max_size=30),
    st.lists(st.floats(0, 300), min_size=1, max_size=60),
)
def test_each_slot_fires_once_at_the_first_look_after_its_time(
    after_s: list[float], gaps_s: list[float]
) -> None:
    fired: list[tuple[Slot, datetime]] = []
    now = START
    timetable = Timetable(lambda one: fired.append((one, now)))
    slots = [slot(after) for after in after_s]
    timetable.load(slots, now)
    looks = []
    for gap_s in gaps_s:
        now += timedelta(seconds=gap_s)
        looks.append(now)
        timetable.run_due(now)
    due = [one for one in slots if one.at <= now]
    assert sorted(one.at for one, _ in fired) == sorted(one.at for one in due)
    for one, at in fired:
        assert at == min(look for look in looks if look >= one.at)
