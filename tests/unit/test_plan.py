"""The plan's promises."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import msgspec
import pytest

from probe import config
from probe.plan import bulk_seconds, day_plan
from tests.unit.test_config import GOOD

DAY = date(2026, 11, 24)
HANOI = ZoneInfo("Asia/Ho_Chi_Minh")


def office(per_day: int = 4, probe: str = "phu-thong-01") -> config.Config:
    parsed = config.parse(GOOD.encode(), "probe.toml")
    return msgspec.structs.replace(
        parsed, probe=probe, throughput=config.ThroughputConfig(per_day=per_day)
    )


def test_every_line_gets_its_tests_within_the_local_day() -> None:
    slots = day_plan(office(), DAY)
    assert Counter(slot.line_id for slot in slots) == {"vnpt": 4, "viettel": 4}
    assert {slot.at.astimezone(HANOI).date() for slot in slots} == {DAY}
    assert all(slot.at.tzinfo is UTC for slot in slots)


def test_the_same_day_has_the_same_plan_and_another_day_another() -> None:
    assert day_plan(office(), DAY) == day_plan(office(), DAY)
    assert [s.at.time() for s in day_plan(office(), DAY)] != [
        s.at.time() for s in day_plan(office(), DAY + timedelta(days=1))
    ]


@pytest.mark.parametrize("per_day", [1, 4, 24, 288])
def test_bulk_tests_never_overlap(per_day: int) -> None:
    parsed = office(per_day)
    least = timedelta(seconds=bulk_seconds(parsed.throughput))
    slots = day_plan(parsed, DAY)
    assert all(second.at - first.at >= least for first, second in pairwise(slots))
    assert slots[-1].at + least <= datetime(2026, 11, 25, tzinfo=HANOI)


def test_a_day_that_is_too_short_keeps_what_fits() -> None:
    parsed = msgspec.structs.replace(
        office(), throughput=config.ThroughputConfig(per_day=288, warm_up_s=30, duration_s=120)
    )
    slots = day_plan(parsed, DAY)
    assert len(slots) == 86_400 // bulk_seconds(parsed.throughput)
    assert slots[0].at >= datetime(2026, 11, 24, tzinfo=HANOI)


def test_no_tests_are_planned_when_none_are_wanted() -> None:
    assert day_plan(office(0), DAY) == []


def test_a_fleet_does_not_pile_up_at_the_top_of_the_hour() -> None:
    """1,000 probes: no minute of the day holds more than chance allows, :00 least of all."""
    slots = [slot for n in range(1000) for slot in day_plan(office(4, f"tram-{n}"), DAY)]
    minutes = Counter(slot.at.minute for slot in slots)
    expected = len(slots) / 60  # 133; 4 standard deviations are 46
    assert set(minutes) == set(range(60))
    assert max(minutes.values()) < expected + 46
    assert min(minutes.values()) > expected - 46


def test_servers_are_rotated() -> None:
    slots = [s for d in range(7) for s in day_plan(office(3), DAY + timedelta(days=d))]
    counts = Counter(slot.server_name for slot in slots)
    assert abs(counts["hn-1"] - counts["hcm-1"]) <= 2
