"""Statistics against numbers worked out by hand and against their definitions."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.measure.latency import statistics
from wire.figures import MIN_SAMPLES

delays = st.lists(st.floats(0, 1e4), max_size=120)


def test_a_percentile_is_a_value_of_the_sample() -> None:
    # The sample of RFC 2330, 11.3. F(-2) = 2/6, F(4) = 3/6, F(7) = 5/6, F(18) = 1.
    sample = [-2.0, 7.0, 7.0, 4.0, 18.0, -5.0]
    assert statistics.percentile(sample, 0, 250) == -2.0
    assert statistics.percentile(sample, 0, 500) == 4.0
    assert statistics.percentile(sample, 0, 501) == 7.0
    assert statistics.percentile(sample, 0, 833) == 7.0
    assert statistics.percentile(sample, 0, 834) == 18.0


def test_a_percentile_does_not_fall_to_a_rounding_error() -> None:
    # 0.07 * 100 is 7.000000000000001: its ceiling would be the eighth value
    assert statistics.percentile([float(n) for n in range(1, 101)], 0, 70) == 7.0


def test_the_lost_count_as_infinity() -> None:
    assert statistics.percentile([1.0, 2.0], 2, 500) == 2.0
    assert statistics.percentile([1.0, 2.0], 3, 500) is None
    assert statistics.percentile([], 5, 500) is None
    assert statistics.percentile([], 0, 500) is None


@given(delays, st.integers(0, 40), st.integers(1, 1000))
def test_a_percentile_is_the_smallest_x_with_f_of_x_at_least_p(
    sample: list[float], lost: int, per_mille: int
) -> None:
    n = len(sample) + lost
    reached = [x for x in sample if Fraction(sum(y <= x for y in sample), n) * 1000 >= per_mille]
    expected = min(reached, default=None)
    if n < MIN_SAMPLES.get(per_mille, 1):
        expected = None
    assert statistics.percentile(sample, lost, per_mille) == expected


@pytest.mark.parametrize("per_mille", [950, 990, 999])
def test_the_least_samples_are_the_first_to_reach_95_percent(per_mille: int) -> None:
    below = Fraction(per_mille, 1000)
    n = 1
    while below**n > Fraction(5, 100):
        n += 1
    assert MIN_SAMPLES[per_mille] == n


@pytest.mark.parametrize(("per_mille", "least"), [(950, 59), (990, 299), (999, 2995)])
def test_no_percentile_under_the_least_sample(per_mille: int, least: int) -> None:
    assert statistics.percentile([1.0] * (least - 1), 0, per_mille) is None
    assert statistics.percentile([1.0] * least, 0, per_mille) == 1.0
    # the lost are part of the sample
    assert statistics.percentile([1.0] * (least - 1), 1, per_mille) == 1.0


def test_loss_ratio() -> None:
    assert statistics.loss_ratio(0, 0) is None
    assert statistics.loss_ratio(40, 0) == 0.0
    assert statistics.loss_ratio(40, 3) == 0.075


def test_the_rule_of_three() -> None:
    assert statistics.loss_ratio_upper95(0, 0) is None
    assert statistics.loss_ratio_upper95(300, 0) == 0.01
    assert statistics.loss_ratio_upper95(2, 0) == 1.0


@pytest.mark.parametrize(
    ("sent", "lost", "upper"),
    # One-sided 95 % Clopper-Pearson bounds from the printed tables.
    [(10, 1, 0.394), (10, 3, 0.607), (20, 1, 0.216), (100, 1, 0.0466), (100, 5, 0.1023)],
)
def test_the_exact_bound_against_tables(sent: int, lost: int, upper: float) -> None:
    assert statistics.loss_ratio_upper95(sent, lost) == pytest.approx(upper, abs=6e-4)


@given(st.integers(2, 120), st.data())
def test_the_exact_bound_leaves_five_percent(sent: int, data: st.DataObject) -> None:
    lost = data.draw(st.integers(1, sent - 1))
    upper = statistics.loss_ratio_upper95(sent, lost)
    assert upper is not None
    p = Fraction(upper)
    chance = sum(comb(sent, k) * p**k * (1 - p) ** (sent - k) for k in range(lost + 1))
    assert float(chance) == pytest.approx(0.05, abs=1e-6)
    assert lost / sent < upper <= 1


def test_total_loss_has_no_better_bound_than_one() -> None:
    assert statistics.loss_ratio_upper95(7, 7) == 1.0


def test_ipdv_is_undefined_across_a_loss() -> None:
    # |12 - 10| = 2 and |9 - 20| = 11; nothing on either side of the lost one
    assert statistics.ipdv_abs_mean([10.0, 12.0, None, 20.0, 9.0]) == 6.5
    assert statistics.ipdv_abs_mean([10.0, None, 12.0]) is None
    assert statistics.ipdv_abs_mean([10.0]) is None
    assert statistics.ipdv_abs_mean([]) is None


def test_pdv_has_the_name_of_its_percentile() -> None:
    # 59 values 1..59: rank 57 (0.95 * 59 = 56.05, rounded up) is 57
    assert statistics.pdv([float(n) for n in range(1, 60)], 0) == ("p95 - min", 56.0)
    # 2,995 values: rank 2993 (0.999 * 2995 = 2992.005, rounded up)
    assert statistics.pdv([float(n) for n in range(1, 2996)], 0) == ("p99.9 - min", 2992.0)
    assert statistics.pdv([1.0] * 58, 0) is None
    # 4 of 62 lost: rank 59 (58.9) is beyond the 58 that came back
    assert statistics.pdv([1.0] * 58, 4) is None


def test_jitter_of_rfc_3550() -> None:
    # J = 16/16 = 1, then 1 + (16 - 1)/16 = 1.9375
    assert statistics.jitter_rfc3550([10.0, 26.0, 10.0]) == 1.9375
    assert statistics.jitter_rfc3550([10.0]) is None
    assert statistics.jitter_rfc3550([5.0, 5.0]) == 0.0


@given(delays)
def test_jitter_against_its_closed_form(sample: list[float]) -> None:
    steps = [abs(b - a) for a, b in pairwise(sample)]
    closed = sum(d / 16 * (15 / 16) ** age for age, d in enumerate(reversed(steps)))
    jitter = statistics.jitter_rfc3550(sample)
    assert (jitter is None) == (len(sample) < 2)
    if jitter is not None:
        assert jitter == pytest.approx(closed, rel=1e-9, abs=1e-9)
