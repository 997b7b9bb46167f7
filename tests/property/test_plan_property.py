"""The plan's promises, for any configuration."""

from __future__ import annotations

import calendar
from collections import Counter
from collections.abc import Iterable
from datetime import date, timedelta
from fractions import Fraction
from itertools import pairwise
from zoneinfo import ZoneInfo

import msgspec
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from probe import config
from probe.config import Config, HttpConfig, LineConfig, PlanConfig, ThroughputConfig
from probe.plan.budget import bulk_kinds, month_budget
from probe.plan.hours import bounds, bulk_time_ranges, in_office_hours, longest_idle_check_s
from probe.plan.slots import Slot, day_plan
from probe.plan.usage import Usage
from tests.unit.test_config import GOOD

BASE = config.parse(GOOD.encode(), "probe.toml")
GIGABYTE = 10**9
plenty = settings(max_examples=60)

days = st.dates(date(2026, 1, 1), date(2028, 12, 31))
rates = st.one_of(st.none(), st.floats(1e6, 2e9))


def clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


@st.composite
def plans(draw: st.DrawFn) -> PlanConfig:
    peak_from = draw(st.integers(0, 23))
    office_hours = draw(st.sampled_from(["avoid", "idle_only", "allow"]))
    office_from = draw(st.integers(0, 1438))
    longest = 18 * 60 if office_hours == "avoid" else 1439
    office_to = draw(st.integers(office_from + 1, min(1439, office_from + longest)))
    return PlanConfig(
        monthly_budget_bytes=draw(st.integers(0, 2000 * GIGABYTE)),
        samples_per_month=draw(st.one_of(st.integers(0, 60), st.integers(0, 1500))),
        weekly_minimum=draw(st.integers(0, 14)),
        throughput_share=draw(st.floats(0, 10)),
        http_share=draw(st.floats(0, 10)),
        peak_from_hour=peak_from,
        peak_to_hour=draw(st.integers(peak_from + 1, 24)),
        office_hours=office_hours,  # type: ignore[arg-type] # of the sampled three
        office_from=clock(office_from),
        office_to=clock(office_to),
        office_weekdays=draw(st.lists(st.integers(1, 7), unique=True)),
    )


@st.composite
def configs(draw: st.DrawFn) -> Config:
    servers = [
        config.ServerConfig(
            name=f"s-{n}", host=f"203.0.113.{n}", http_port=draw(st.sampled_from([None, 8080]))
        )
        for n in range(draw(st.integers(1, 4)))
    ]
    lines = [
        config.LineConfig(
            id=f"line-{n}",
            isp="VNPT",
            interface=f"eth{n}",
            plan_download_bps=draw(rates),
            plan_upload_bps=draw(rates),
            monthly_budget_bytes=draw(st.one_of(st.none(), st.integers(0, 500 * GIGABYTE))),
        )
        for n in range(draw(st.integers(1, 3)))
    ]
    return msgspec.structs.replace(
        BASE,
        probe=f"tram-{draw(st.integers(0, 9999))}",
        timezone=draw(st.sampled_from(["Asia/Ho_Chi_Minh", "UTC", "America/New_York"])),
        servers=servers,
        lines=lines,
        leds=config.LedConfig(driver="none"),
        plan=draw(plans()),
        throughput=ThroughputConfig(duration_s=draw(st.integers(1, 60))),
        http=HttpConfig(duration_s=draw(st.integers(1, 60))),
    )


def longest_s(config_: Config) -> float:
    return max((one.longest_s for one in bulk_kinds(config_)), default=0.0)


def month_of(config_: Config, day: date) -> list[Slot]:
    count = calendar.monthrange(day.year, day.month)[1]
    return [s for n in range(1, count + 1) for s in day_plan(config_, day.replace(day=n)).slots]


def seven_days(config_: Config, day: date) -> dict[date, list[Slot]]:
    return {d: day_plan(config_, d).slots for d in (day + timedelta(n) for n in range(7))}


def rate_a_day(c: Config, line: LineConfig, days_: Iterable[date]) -> Fraction:
    """The fewest tests a day of the months that the days lie in."""
    months = [month_budget(c, line, day, Usage()) for day in days_]
    return min(Fraction(month.tests, month.days) for month in months)


def roomy(config_: Config, day: date) -> bool:
    """Whether the hours of those days hold all that is wanted; if not, the plan says so."""
    return all(day_plan(config_, day + timedelta(n)).left_out == 0 for n in range(7))


def crowded(c: Config) -> Config:
    """The same office with as many tests as can be asked for."""
    plan = msgspec.structs.replace(c.plan, samples_per_month=9000, monthly_budget_bytes=10**15)
    lines = [msgspec.structs.replace(line, monthly_budget_bytes=None) for line in c.lines]
    return msgspec.structs.replace(c, plan=plan, lines=lines)


@plenty
@given(st.one_of(configs(), configs().map(crowded)), days)
def test_bulk_slots_of_a_host_never_overlap_and_stay_in_their_day(c: Config, day: date) -> None:
    slots = day_plan(c, day).slots
    for first, second in pairwise(slots):
        assert first.at + timedelta(seconds=first.longest_s) <= second.at
    start, end = bounds(c, day)
    for slot in slots:
        assert start <= slot.at
        assert slot.at + timedelta(seconds=slot.longest_s) <= end
        assert slot.until is not None
        assert slot.at <= slot.until
        # One that waited to the last moment, with its look, still ends within the day.
        assert slot.until + timedelta(seconds=slot.longest_s) <= end
        assert slot.longest_s > longest_idle_check_s(c.plan)


@plenty
@given(configs(), days)
def test_the_months_bytes_stay_within_the_budget_unless_the_minimum_needs_more(
    c: Config, day: date
) -> None:
    slots = month_of(c, day)
    for line in c.lines:
        budget = month_budget(c, line, day, Usage())
        mine = [slot for slot in slots if slot.line_id == line.id]
        moved = sum(slot.expected_bytes for slot in mine)
        assert len(mine) <= budget.wanted_tests
        assert moved <= budget.bulk_bytes * (1 + 1e-9) or budget.tests == budget.floor_tests


@plenty
@given(configs(), days)
def test_any_seven_days_hold_the_weekly_minimum(c: Config, day: date) -> None:
    assume(roomy(c, day) and bulk_kinds(c))
    slots = [slot for slots in seven_days(c, day).values() for slot in slots]
    counts = Counter(slot.line_id for slot in slots)
    assert all(counts[line.id] >= c.plan.weekly_minimum for line in c.lines)


@plenty
@given(configs(), days, st.integers(0, 27))
def test_the_minimum_goes_on_when_the_budget_is_used_up(c: Config, day: date, left: int) -> None:
    """The budget may be used up on any day: until then all slots, then those that are kept."""
    assume(bulk_kinds(c))
    month = month_of(c, day)
    first = date(day.year, day.month, 1)
    assume(all(roomy(c, first + timedelta(7 * n)) for n in range(4)))
    is_exhausted = bounds(c, first + timedelta(days=left))[0]
    for line in c.lines:
        made = [s for s in month if s.line_id == line.id and (s.kept or s.at < is_exhausted)]
        for start in range(calendar.monthrange(day.year, day.month)[1] - 6):
            after, _ = bounds(c, first + timedelta(start))
            before, _ = bounds(c, first + timedelta(start + 7))
            assert sum(after <= s.at < before for s in made) >= c.plan.weekly_minimum


@plenty
@given(configs(), days)
def test_every_weekday_is_covered_where_there_is_a_test_a_day(c: Config, day: date) -> None:
    assume(roomy(c, day))
    week = seven_days(c, day)
    for line in c.lines:
        if rate_a_day(c, line, week) >= 1:
            for slots in week.values():
                assert any(slot.line_id == line.id for slot in slots)


@plenty
@given(configs(), days)
def test_any_week_of_three_tests_has_peak_and_off_peak_hours(c: Config, day: date) -> None:
    assume(roomy(c, day))
    week = seven_days(c, day)
    sorts = [{room.peak for room in bulk_time_ranges(c, d, longest_s(c))} for d in week]
    assume(all(sort == {True, False} for sort in sorts))
    for line in c.lines:
        if rate_a_day(c, line, week) >= Fraction(3, 7):
            found = {s.peak for slots in week.values() for s in slots if s.line_id == line.id}
            assert found == {True, False}


@plenty
@given(configs(), days)
def test_slots_say_truly_whether_they_are_in_peak_hours(c: Config, day: date) -> None:
    for slot in day_plan(c, day).slots:
        hour = slot.at.astimezone(ZoneInfo(c.timezone)).hour
        assert slot.peak is (c.plan.peak_from_hour <= hour < c.plan.peak_to_hour)


@plenty
@given(configs(), days)
def test_office_hours_are_avoided_where_the_rule_says_so(c: Config, day: date) -> None:
    if c.plan.office_hours == "avoid":
        for slot in day_plan(c, day).slots:
            assert slot.until is not None
            assert not in_office_hours(c, slot.at)
            # Nor does one reach into them that waited to the last moment.
            ends = slot.until + timedelta(seconds=slot.longest_s - 0.001)
            assert not in_office_hours(c, ends)


@plenty
@given(configs(), days)
def test_servers_take_turns_evenly(c: Config, day: date) -> None:
    """Over a month, for each line and kind: no server has two tests more than another."""
    assume(all(roomy(c, day.replace(day=1) + timedelta(7 * n)) for n in range(5)))
    counts: dict[tuple[str, str], Counter[str]] = {}
    for slot in month_of(c, day):
        counts.setdefault((slot.line_id, slot.kind), Counter())[slot.server_name] += 1
    for kind in bulk_kinds(c):
        for line in c.lines:
            count = counts.get((line.id, kind.kind), Counter())
            each = [count[server.name] for server in kind.servers]
            assert max(each) - min(each) <= 1


@plenty
@given(configs(), days)
def test_the_same_configuration_and_day_have_the_same_plan(c: Config, day: date) -> None:
    assert day_plan(c, day) == day_plan(msgspec.structs.replace(c), day)
