"""Floor 1. From registers of the BCM2835's GPIO block to what an LED was seen to do.

Register map: BCM2835 ARM Peripherals, section 6.1 (GPFSELn: 3 bits a pin, 001 is an output; GPLEV0:
a bit a pin). A pin drives its LED only where it is an output; after that its level counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import median
from typing import NamedTuple

from probe.show.leds import BREATH_S, FAST_BLINK_S, SLOW_BLINK_S
from probe.show.status import Pattern

PERIPHERAL = 0x3F200000
# GPFSEL0 to GPLEV0, in words.
WORDS = 14
_LEVEL_WORD = 13
_PINS_A_WORD = 10
_OUTPUT = 0b001
# The share of full brightness that counts as dark and as full in a pulse.
_DARK, _FULL = 0.2, 0.8
_WINDOW_S = 0.2
# Emulated, on a machine that others may use too, every thread wakes late: patterns are told apart
# by these, and the figures are in the report.
_RELATIVE, _ABSOLUTE_S = 0.25, 0.05
# gpiozero steps through a pulse by sleeping 25 times a second: what it does between is on top.
_BREATH_RELATIVE = 0.3
# lgpio's pulses are of milliseconds: late ones even out what is on and what is off.
_SHARE = 0.2


class Sample(NamedTuple):
    """The first 30 pins at a moment, a bit each: which are outputs, which are high."""

    at_s: float
    outputs: int
    high: int


class Point(NamedTuple):
    """One LED at a moment."""

    at_s: float
    lit: bool


class Seen(NamedTuple):
    """Whether an LED did what it should, and what it was seen to do."""

    ok: bool
    text: str


def sample(at_s: float, words: Sequence[int]) -> Sample:
    """One reading of the block's first registers.

    Raises:
        ValueError: fewer words than that.
    """
    if len(words) < WORDS:
        raise ValueError(f"{len(words)} words of {WORDS}")
    outputs = 0
    for pin in range(3 * _PINS_A_WORD):
        word, place = divmod(pin, _PINS_A_WORD)
        if words[word] >> (3 * place) & 0b111 == _OUTPUT:
            outputs |= 1 << pin
    return Sample(at_s, outputs, words[_LEVEL_WORD])


def words(dump: str) -> list[int]:
    """The words in what QEMU's monitor answers to `xp /14xw`: lines of "ADDRESS: 0x… 0x…"."""
    return [int(word, 16) for word in re.findall(r"\s0x([0-9a-f]{8})\b", dump)]


def driven(one: Sample, pins: Sequence[int]) -> list[int]:
    """Which of these pins are outputs."""
    return [pin for pin in pins if one.outputs >> pin & 1]


def points(samples: Sequence[Sample], pin: int, *, active_high: bool) -> list[Point]:
    """What an LED at a pin did. A pin that is no output lights nothing."""
    return [
        Point(
            one.at_s,
            bool(one.outputs >> pin & 1) and bool(one.high >> pin & 1) is active_high,
        )
        for one in samples
    ]


def judged(pattern: Pattern, seen: Sequence[Point], brightness: float = 1.0) -> Seen:
    """Whether an LED that should have shown a pattern all the while has done so.

    Args:
        pattern: what it should have shown.
        seen: the LED, some hundred times a second, at irregular moments: lgpio's PWM of 100 Hz
            would else beat with them.
        brightness: `leds.brightness`.
    """
    if len(seen) < 20:
        return Seen(False, f"only {len(seen)} samples")
    share = _share(seen)
    match pattern:
        case Pattern.OFF:
            return Seen(share == 0.0, f"lit in {share:.1%}")
        case Pattern.STEADY:
            allowed = 0.0 if brightness == 1.0 else _SHARE
            return Seen(abs(share - brightness) <= allowed, f"lit in {share:.1%}")
        case Pattern.SLOW_BLINK:
            return _blinked(seen, SLOW_BLINK_S)
        case Pattern.FAST_BLINK:
            return _blinked(seen, FAST_BLINK_S)
        case Pattern.BREATHING:
            return _breathed(seen, brightness)


def _share(seen: Sequence[Point]) -> float:
    return sum(one.lit for one in seen) / len(seen)


def _blinked(seen: Sequence[Point], each_s: float) -> Seen:
    """By the median of the whole phases; the first and the last are cut by the window."""
    edges = [(right.at_s, right.lit) for left, right in pairwise(seen) if left.lit is not right.lit]
    phases = [(after[0] - before[0], before[1]) for before, after in pairwise(edges)]
    on, off = ([length for length, lit in phases if lit is which] for which in (True, False))
    if not on or not off:
        return Seen(False, f"{len(edges)} changes, lit in {_share(seen):.1%}")
    allowed_s = each_s * _RELATIVE + _ABSOLUTE_S
    # All the while, and not only at its end: half of what it has time for at the least.
    enough = 2 * (len(phases) + 1) * each_s >= seen[-1].at_s - seen[0].at_s
    good = enough and all(abs(median(one) - each_s) <= allowed_s for one in (on, off))
    return Seen(good, f"{median(on):.2f} s on, {median(off):.2f} s off, {len(on)} times")


def _breathed(seen: Sequence[Point], brightness: float) -> Seen:
    """Dark and full again and again, and in between neither: that no blink has."""
    curve = [(at_s, share / brightness) for at_s, share in _smoothed(seen)]
    if not curve:
        return Seen(False, "too short")
    between = sum(_DARK < share < _FULL for _, share in curve) / len(curve)
    rises = list(_rises(curve))
    periods = [after - before for before, after in pairwise(rises)]
    if not periods:
        return Seen(False, f"rose {len(rises)} times, between dark and full in {between:.0%}")
    expected_s = 2 * BREATH_S
    good = abs(median(periods) - expected_s) <= expected_s * _BREATH_RELATIVE and between > 0.3
    return Seen(good, f"every {median(periods):.2f} s, between dark and full in {between:.0%}")


def _smoothed(seen: Sequence[Point]) -> Iterator[tuple[float, float]]:
    """How bright to the eye: the share lit in windows of a fifth of a second."""
    window: list[Point] = []
    for one in seen:
        if window and one.at_s - window[0].at_s >= _WINDOW_S:
            yield window[0].at_s, _share(window)
            window = []
        window.append(one)


def _rises(curve: Sequence[tuple[float, float]]) -> Iterator[float]:
    """When it became full after having been dark."""
    was_dark = False
    for at_s, share in curve:
        if share <= _DARK:
            was_dark = True
        elif share >= _FULL and was_dark:
            was_dark = False
            yield at_s
