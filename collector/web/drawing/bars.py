"""Floor 1. Bars and whiskers: a distribution, a trend, and means with their intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ddsketch.mapping import LogarithmicMapping
from msgspec import Struct

from collector.rollup.distribution import RELATIVE_ERROR, Distribution
from collector.web.drawing.line_chart import nice_top

_MAPPING = LogarithmicMapping(RELATIVE_ERROR)
BARS = 24


class Bar(Struct, frozen=True):
    """A bar in shares of the picture, 0 to 1, and its text."""

    start: float
    width: float
    height: float
    words: str


class Bars(Struct, frozen=True):
    """A bar chart; marks below it at shares of its width."""

    bars: list[Bar]
    marks: list[tuple[float, str]]


class Whisker(Struct, frozen=True):
    """A mean and its interval, in shares of the width; None where the interval is not known."""

    mean: float
    low: float | None
    high: float | None


def histogram(
    figures: Distribution, label: Callable[[float], str], count: Callable[[int], str]
) -> Bars | None:
    """A histogram in equal steps from 0; None without samples."""
    if not figures.count or figures.bins is None or figures.most is None:
        return None
    top = nice_top(figures.most)
    counts = [0] * BARS
    counts[0] += figures.zeros
    for key, many in figures.bins.items():
        counts[min(int(_MAPPING.value(key) / top * BARS), BARS - 1)] += many
    most = max(counts)
    width = 1 / BARS
    bars = [
        Bar(
            n * width,
            width,
            many / most,
            f"{label(n * width * top)} – {label((n + 1) * width * top)}: {count(many)}",
        )
        for n, many in enumerate(counts)
        if many
    ]
    return Bars(bars, [(n / 4, label(top * n / 4)) for n in range(5)])


def trend(values: Mapping[str, tuple[float, str]]) -> Bars | None:
    """A bar per step: label to (share of 1, text)."""
    if not values:
        return None
    width = 1 / len(values)
    return Bars(
        [
            Bar(n * width, width, min(share, 1.0), words)
            for n, (share, words) in enumerate(values.values())
        ],
        [((n + 0.5) * width, label) for n, label in enumerate(values)],
    )


def whiskers(
    means: Sequence[tuple[float, float | None, float | None]],
) -> tuple[list[Whisker], float]:
    """Means and their intervals on one scale; and the top of that scale."""
    top = nice_top(max((high or mean for mean, _, high in means), default=1.0))
    return [
        Whisker(
            mean / top,
            None if low is None else max(low, 0.0) / top,
            None if high is None else high / top,
        )
        for mean, low, high in means
    ], top
