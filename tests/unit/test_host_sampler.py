"""What is seen of the host while a bulk test runs: cores by direction, an alarm that went."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from probe import clock
from probe.measure.host_sampler import HostSampler
from probe.measure.measurement import SteadyInterval

PATIENCE_S = 20.0


def seen(watch: HostSampler) -> bool | None:
    return watch.throttled


@pytest.fixture
def alarm(tmp_path: Path) -> Path:
    file = tmp_path / "class" / "hwmon" / "hwmon0" / "in0_lcrit_alarm"
    file.parent.mkdir(parents=True)
    file.write_text("0\n")
    return file


def test_a_supply_that_gave_in_for_a_moment_is_remembered(tmp_path: Path, alarm: Path) -> None:
    with HostSampler(tmp_path) as watch:
        assert seen(watch) is False
        alarm.write_text("1\n")
        until_s = clock.monotonic_s() + PATIENCE_S
        while not seen(watch) and clock.monotonic_s() < until_s:
            threading.Event().wait(0.02)
        alarm.write_text("0\n")
        assert seen(watch) is True
    with HostSampler(tmp_path) as another:
        assert seen(another) is False


def test_where_there_is_no_alarm_nothing_is_known_of_the_supply(tmp_path: Path) -> None:
    with HostSampler(tmp_path) as watch:
        assert seen(watch) is None


def test_a_core_that_was_busy_in_one_direction_is_told_by_that_direction(tmp_path: Path) -> None:
    core = min(os.sched_getaffinity(0))
    allowed = os.sched_getaffinity(0)
    with HostSampler(tmp_path) as watch:
        from_s = clock.monotonic_s()
        os.sched_setaffinity(0, {core})  # this thread alone
        try:
            while clock.monotonic_s() < from_s + 2.2:
                pass
        finally:
            os.sched_setaffinity(0, allowed)
        busy = watch.busy_ratios(SteadyInterval(from_s, clock.monotonic_s()))
        assert busy is not None
        assert busy[core] > 0.9
        assert watch.busy_ratios(SteadyInterval(from_s, from_s + 0.01)) == [], "too short to tell"
        assert watch.busy_ratios(SteadyInterval(from_s - 9, from_s - 5)) == []
        assert watch.busy_ratios(None) is None
