"""The simulated lines by which the interval of a mean was chosen, and that it holds their means."""

from __future__ import annotations

import random
from statistics import fmean

import pytest

from bench import interval_coverage
from bench.interval_coverage import CASES, LEAST, LIMITS, Case, Setting
from bench.report import Options

HARDEST = next(case for case in CASES if case.days_rest == 0.6)


@pytest.mark.parametrize("case", [*CASES, *LIMITS], ids=lambda case: case.name)
def test_the_true_mean_is_that_of_very_many_samples(case: Case) -> None:
    dice = random.Random(1)
    setting = Setting(case, 60 if case.mixture else 1, 600, 28)
    means = [
        fmean(speed for line in interval_coverage.drawn(setting, dice) for _, speed in line)
        for _ in range(60)
    ]
    deviation = (fmean((one - fmean(means)) ** 2 for one in means) / len(means)) ** 0.5
    assert abs(fmean(means) - case.true_mean) < 4 * deviation


def test_the_same_seed_gives_the_same_row() -> None:
    setting = Setting(HARDEST, 7, 300)
    assert interval_coverage.coverage(setting, 5) == interval_coverage.coverage(setting, 5)


@pytest.mark.parametrize("samples", [300, 1_000])
def test_the_shipped_interval_holds_the_true_mean(samples: int) -> None:
    """Of neighbouring hours alike; the seed is fixed, so this is no matter of luck."""
    case = next(case for case in CASES if case.name == "neighbouring hours alike")
    row = interval_coverage.coverage(Setting(case, 1, samples), 100)
    ours, independent = row["ours_percent"], row["independent_percent"]
    assert isinstance(ours, float)
    assert isinstance(independent, float)
    assert ours >= LEAST
    assert independent < 80, "what verdicts were given by before"


def test_a_short_period_has_no_interval() -> None:
    row = interval_coverage.coverage(Setting(CASES[0], 1, 1_000, 24), 5)
    assert row["ours_percent"] == 100.0
    assert row["ours_half_percent"] == float("inf"), "it says nothing, so it is never wrong"


def test_every_setting_of_the_page_is_simulated() -> None:
    full = list(interval_coverage.settings(quick=False))
    assert {one.lines for one in full} >= {1, 7, 60}
    assert {one.samples for one in full} == {300, 1_000}
    assert set(interval_coverage.settings(quick=True)) < set(full)
    assert Options(quick=True).number == 0
