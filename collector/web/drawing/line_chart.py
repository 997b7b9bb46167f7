"""Floor 1. A chart of figures over time as SVG geometry: a line, its band, the plan beside it.

Every point lies in an area to point at, with the figures in words: a browser shows them on hover,
and a screen reader is given the table beside the chart instead. Of many points several share an
area, so that a page of charts does not grow with its range.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from msgspec import Struct

WIDTH, HEIGHT = 720, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 12, 12, 28
# The width of a mark's label on a narrow screen, and how many lines of them there are.
_LABEL, _LABEL_ROWS = 31, 5
# Areas to point at; at so many each is as wide as a fingertip's half.
HITS_MOST = 60
# Of more points in an area the middle one alone is put in words.
_WORDS_MOST = 4


class Figure(Struct, frozen=True):
    """One figure: when, how much, between what and what most lay, and that in words."""

    at: datetime
    value: float | None
    low: float | None = None
    high: float | None = None
    words: str = ""


class Series(Struct, frozen=True):
    """Figures in the order of time; `name` for the legend, `style` a class of the style sheet."""

    name: str
    style: str
    figures: Sequence[Figure]


class Mark(Struct, frozen=True):
    """What happened at a time, or from it to `end`: a sign with a short label, and words."""

    at: datetime
    end: datetime | None
    label: str
    words: str


class DrawnMark(Struct, frozen=True):
    """A mark drawn: a stroke at `x`, `width` wide (0 of a moment), its label `row` lines down."""

    x: float
    width: float
    row: int
    label: str
    words: str


class Tick(Struct, frozen=True):
    """A mark on an axis."""

    at: float
    text: str


class SeriesPath(Struct, frozen=True):
    """One series drawn. `dots` are figures with none beside them, each a stroke of no length."""

    name: str
    style: str
    path: str
    dots: str
    band: str


class HoverArea(Struct, frozen=True):
    """An area to point at."""

    x: float
    width: float
    words: str


class Chart(Struct, frozen=True):
    """The picture."""

    drawn: list[SeriesPath]
    ticks_x: list[Tick]
    ticks_y: list[Tick]
    hits: list[HoverArea]
    plan_y: float | None
    marks: list[DrawnMark]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = _LEFT
    right: int = WIDTH - _RIGHT
    top: int = _TOP
    bottom: int = HEIGHT - _BOTTOM


def draw(
    series: Sequence[Series],
    start: datetime,
    end: datetime,
    step: timedelta,
    *,
    midnight: datetime | None = None,
    plan: float | None = None,
    marks: Sequence[Mark] = (),
    label_x: Callable[[datetime], str],
    label_y: Callable[[float], str],
) -> Chart | None:
    """The chart from `start` to `end`; None where no series has a figure.

    Marks of the time axis are counted from `midnight`, the last one before `start` (or from `start`
    itself). A line breaks where a bucket of `step` is missing: nothing is drawn through what is not
    known.
    """
    values = [
        value
        for one in series
        for figure in one.figures
        for value in (figure.value, figure.high)
        if value is not None
    ]
    if not values:
        return None
    top = nice_top(max([*values, plan or 0.0]))
    span_s = (end - start).total_seconds()

    def x(at: datetime) -> float:
        share = (at - start).total_seconds() / span_s
        return round(_LEFT + share * (WIDTH - _LEFT - _RIGHT), 1)

    def y(value: float) -> float:
        return round(HEIGHT - _BOTTOM - value / top * (HEIGHT - _TOP - _BOTTOM), 1)

    drawn = []
    for one in series:
        runs = _runs(one.figures, step)
        path, dots = _path(runs, x, y, step), _dots(runs, x, y, step)
        band = _band(one.figures, x, y, step)
        drawn.append(SeriesPath(one.name, one.style, path, dots, band))
    return Chart(
        drawn,
        _ticks_x(midnight or start, start, end, x, label_x),
        [Tick(y(top * n / 4), label_y(top * n / 4)) for n in range(5)],
        _hits(series, x, step),
        None if plan is None else y(plan),
        _marks(marks, start, end, x),
    )


def nice_top(most: float) -> float:
    """The least of 1, 2, 2.5, 4, 5, 8 times a power of ten that is not below."""
    if most < 1e-9:
        return 1.0
    power = 10.0 ** math.floor(math.log10(most))
    return next(power * n for n in (1, 2, 2.5, 4, 5, 8, 10) if most <= power * n * 1.0000001)


def _runs(figures: Sequence[Figure], step: timedelta) -> list[list[Figure]]:
    """Figures that follow each other without a gap."""
    runs: list[list[Figure]] = []
    for figure in figures:
        if figure.value is None:
            continue
        if runs and figure.at - runs[-1][-1].at <= step * 1.5:
            runs[-1].append(figure)
        else:
            runs.append([figure])
    return runs


def _path(
    runs: Sequence[Sequence[Figure]],
    x: Callable[[datetime], float],
    y: Callable[[float], float],
    step: timedelta,
) -> str:
    parts = []
    for run in runs:
        if len(run) > 1:
            places = [f"{x(f.at + step / 2):g} {y(f.value or 0.0):g}" for f in run]
            parts.append(f"M{'L'.join(places)}")
    return "".join(parts)


def _dots(
    runs: Sequence[Sequence[Figure]],
    x: Callable[[datetime], float],
    y: Callable[[float], float],
    step: timedelta,
) -> str:
    """Figures without a line, on a path that is not dashed: nothing would be seen of a dash."""
    lone = [run[0] for run in runs if len(run) == 1]
    return "".join(f"M{x(f.at + step / 2):g} {y(f.value or 0.0):g}h0" for f in lone)


def _band(
    figures: Sequence[Figure],
    x: Callable[[datetime], float],
    y: Callable[[float], float],
    step: timedelta,
) -> str:
    parts = []
    known = [f for f in figures if f.low is not None and f.high is not None]
    for run in _runs(known, step):
        upper = [f"{x(f.at + step / 2):g} {y(f.high or 0.0):g}" for f in run]
        lower = [f"{x(f.at + step / 2):g} {y(max(f.low or 0.0, 0.0)):g}" for f in reversed(run)]
        parts.append(f"M{'L'.join(upper + lower)}Z")
    return "".join(parts)


def _ticks_x(
    midnight: datetime,
    start: datetime,
    end: datetime,
    x: Callable[[datetime], float],
    label: Callable[[datetime], str],
) -> list[Tick]:
    """Marks at round hours of a short range, at midnights of a long one; some eight at most."""
    every = _tick_step(end - start)
    first = math.ceil((start - midnight) / every)
    times = [midnight + n * every for n in range(first, math.ceil((end - midnight) / every))]
    return [Tick(x(at), label(at)) for at in times]


def _tick_step(span: timedelta) -> timedelta:
    hours = next((n for n in (1, 2, 3, 4, 6, 12) if span <= n * timedelta(hours=8)), 24)
    return max(math.ceil(span / timedelta(days=8)), 1) * timedelta(hours=hours)


def _marks(
    marks: Sequence[Mark], start: datetime, end: datetime, x: Callable[[datetime], float]
) -> list[DrawnMark]:
    """Marks of the time; a label that would lie on another one is a line further down."""
    drawn: list[DrawnMark] = []
    for mark in sorted(marks, key=lambda one: one.at):
        first, last = max(mark.at, start), min(mark.end or mark.at, end)
        if first > last or mark.at >= end:
            continue
        at = x(first)
        taken = {one.row for one in drawn if abs(one.x - at) < _LABEL}
        row = next((n for n in range(_LABEL_ROWS) if n not in taken), _LABEL_ROWS - 1)
        drawn.append(DrawnMark(at, round(x(last) - at, 1), row, mark.label, mark.words))
    return drawn


def _in_words(times: Sequence[datetime]) -> Sequence[datetime]:
    return times if len(times) <= _WORDS_MOST else [times[len(times) // 2]]


def _hits(
    series: Sequence[Series], x: Callable[[datetime], float], step: timedelta
) -> list[HoverArea]:
    words: dict[datetime, dict[str, None]] = {}
    for one in series:
        for figure in one.figures:
            if figure.words:
                # Each series says its time: once is enough.
                lines = dict.fromkeys(figure.words.split("\n"))
                words.setdefault(figure.at, {}).update(lines)
    times = sorted(words)
    if not times:
        return []
    together = -(-((times[-1] - times[0]) // step + 1) // HITS_MOST)
    areas: dict[int, list[datetime]] = {}
    for at in times:
        areas.setdefault((at - times[0]) // step // together, []).append(at)
    return [
        HoverArea(
            x(some[0]),
            round(max(x(some[-1] + step) - x(some[0]), 1.0), 1),
            "\n".join(line for at in _in_words(some) for line in words[at]),
        )
        for some in areas.values()
    ]
