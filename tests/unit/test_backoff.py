"""Back-off: waits double, have an end, and differ between those who failed together."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.backoff import backoff_s, reconnect_delay_s

UNIFORM = st.floats(0, 1, exclude_max=True)


def test_waits_double_up_to_the_longest() -> None:
    assert [backoff_s(n, 60, 960, 0.5) for n in range(1, 8)] == [60, 120, 240, 480, 960, 960, 960]


@pytest.mark.parametrize(("uniform", "factor"), [(0.0, 0.5), (0.5, 1.0), (0.75, 1.25)])
def test_jitter_spreads_a_wait_between_two_factors(uniform: float, factor: float) -> None:
    assert backoff_s(1, 4, math.inf, uniform, jitter=(0.5, 1.5)) == 4 * factor


@given(st.integers(1, 10**9), UNIFORM)
def test_a_wait_is_bounded_however_often_it_failed(failures: int, uniform: float) -> None:
    assert 45 <= backoff_s(failures, 60, 960, uniform) <= 960
    assert 0.2 <= reconnect_delay_s(failures, 120, uniform, spread_s=30) <= 120


@given(UNIFORM)
def test_a_reconnect_may_come_at_any_time_below_its_ceiling(uniform: float) -> None:
    """Full jitter: 2 s after the first failure, 30 s where a whole fleet lost its broker."""
    assert reconnect_delay_s(1, 120, uniform) == pytest.approx(0.2 + 1.8 * uniform)
    assert reconnect_delay_s(1, 120, uniform, spread_s=30) == pytest.approx(0.2 + 29.8 * uniform)
