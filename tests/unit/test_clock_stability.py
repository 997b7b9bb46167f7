"""When an age by the wall clock is believed."""

from __future__ import annotations

from runtime.clock_stability import STEADY_FOR_S, ClockStability

YEARS_S = 5 * 365 * 86_400.0


def test_a_clock_is_believed_once_it_has_run_steadily_for_a_while() -> None:
    steadiness = ClockStability()
    assert not steadiness.is_stable(1_000.0, 0.0)
    assert not steadiness.is_stable(1_000.0 + STEADY_FOR_S - 1, STEADY_FOR_S - 1)
    assert steadiness.is_stable(1_000.0 + STEADY_FOR_S + 5, STEADY_FOR_S), "slewed by 5 s"


def test_a_jump_begins_anew_in_either_direction() -> None:
    for jump_s in (YEARS_S, -YEARS_S):
        steadiness = ClockStability()
        steadiness.is_stable(1_000.0, 0.0)
        now_s = 2 * STEADY_FOR_S
        assert steadiness.is_stable(1_000.0 + now_s, now_s)
        assert not steadiness.is_stable(1_000.0 + now_s + jump_s, now_s)
        assert not steadiness.is_stable(1_000.0 + now_s + 60, now_s + 60), "nor when it jumps back"
        assert steadiness.is_stable(1_000.0 + 2 * now_s, 2 * now_s)
