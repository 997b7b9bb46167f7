"""What `make test-pi` makes of registers: an LED that does something else must be told from one
that does what it should."""

from __future__ import annotations

import random

import pytest

from probe.show.leds import BREATH_S, FAST_BLINK_S, SLOW_BLINK_S
from probe.show.status import Pattern
from tests.pi import levels
from tests.pi.levels import Point, Sample

_PWM_S = 0.01


def seen(pattern: Pattern, brightness: float = 1.0, slower: float = 1.0) -> list[Point]:
    """Eight seconds of an LED, looked at as the board is."""
    chance = random.Random(7)
    at_s, found = 0.0, []
    while at_s < 8:
        at_s += chance.uniform(0.003, 0.009)
        value = brightness * bright(pattern, at_s / slower)
        found.append(Point(at_s, at_s % _PWM_S < value * _PWM_S))
    return found


def bright(pattern: Pattern, at_s: float) -> float:
    match pattern:
        case Pattern.OFF:
            return 0.0
        case Pattern.STEADY:
            return 1.0
        case Pattern.SLOW_BLINK:
            return float(at_s % (2 * SLOW_BLINK_S) < SLOW_BLINK_S)
        case Pattern.FAST_BLINK:
            return float(at_s % (2 * FAST_BLINK_S) < FAST_BLINK_S)
        case Pattern.BREATHING:
            return 1 - abs(at_s % (2 * BREATH_S) / BREATH_S - 1)


@pytest.mark.parametrize("shown", Pattern)
@pytest.mark.parametrize("wanted", Pattern)
def test_each_pattern_is_taken_for_itself_alone(shown: Pattern, wanted: Pattern) -> None:
    assert levels.judged(wanted, seen(shown)).ok is (shown is wanted)


@pytest.mark.parametrize("pattern", [Pattern.SLOW_BLINK, Pattern.FAST_BLINK, Pattern.BREATHING])
def test_a_pattern_at_another_pace_is_refused(pattern: Pattern) -> None:
    assert not levels.judged(pattern, seen(pattern, slower=1.6)).ok


def test_a_blink_that_begins_late_is_refused() -> None:
    late = [one._replace(lit=False) if one.at_s < 6 else one for one in seen(Pattern.FAST_BLINK)]
    assert not levels.judged(Pattern.FAST_BLINK, late).ok


def test_brightness_is_the_share_of_time_lit() -> None:
    dim = seen(Pattern.STEADY, brightness=0.3)
    assert levels.judged(Pattern.STEADY, dim, 0.3).ok
    assert not levels.judged(Pattern.STEADY, dim).ok
    assert not levels.judged(Pattern.STEADY, dim, 0.6).ok


def test_nothing_seen_is_nothing_proved() -> None:
    assert not levels.judged(Pattern.OFF, []).ok


def test_registers_are_read_as_the_manual_has_them() -> None:
    dump = (
        "000000003f200000: 0x00000000 0x00200000 0x00000240 0x00000000\r\n"
        "000000003f200010: 0x00000000 0x00000000 0x00000000 0x00000000\r\n"
        "000000003f200020: 0x00000000 0x00000000 0x00000000 0x00000000\r\n"
        "000000003f200030: 0x00000000 0x00c20000\r\n"
    )
    # Pins 17, 22 and 23 as outputs; 17, 22 and 23 high.
    one = levels.sample(1.0, levels.words(dump))
    assert one == Sample(1.0, 1 << 17 | 1 << 22 | 1 << 23, 0x00C20000)
    assert levels.driven(one, [17, 22, 24]) == [17, 22]


def test_a_pin_that_is_no_output_lights_nothing() -> None:
    high_input = Sample(0.0, 0, 1 << 17)
    low_input = Sample(1.0, 0, 0)
    low_output = Sample(2.0, 1 << 17, 0)
    looked = [high_input, low_input, low_output]
    assert [one.lit for one in levels.points(looked, 17, active_high=True)] == [False] * 3
    assert [one.lit for one in levels.points(looked, 17, active_high=False)] == [False, False, True]


def test_too_short_a_reading_is_refused() -> None:
    with pytest.raises(ValueError, match="13 words of 14"):
        levels.sample(0.0, [0] * 13)
