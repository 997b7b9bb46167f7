"""Floor 1. The heat map of many lines: one figure by hour and weekday, each line counted once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from msgspec import Struct

from collector.domain.lines import KnownLine
from collector.registry.registry import LineKey
from collector.rollup.metrics import OVERVIEW_METRICS
from collector.rollup.queries import AVAILABILITY, LOSS, HourProfile
from collector.web.downloads import FileColumn, FileTable, file_table
from collector.web.formatting import whole_number
from collector.web.line_table import DOWN, LATENCY, UP
from collector.web.line_view import LOADED_DOWN, WEEKDAYS
from collector.web.presentation import Locale
from runtime.language import number
from wire.figures import MEGABIT

# A mean of fewer lines says more of these lines than of the area.
LEAST_LINES = 3
LEVELS = 5
# (weekday, hour).
_At = tuple[int, int]
Profiles = Mapping[_At, HourProfile]


class Figure(Struct, frozen=True, kw_only=True):
    """A figure that the map may show, in `unit`; `of_plan`: as a share of each line's plan."""

    name: str
    figure: str
    unit: str
    factor: float
    more_is_better: bool = True
    of_plan: bool = False

    @property
    def label(self) -> str:
        """The name of its label."""
        return f"hours_{self.name}"


# The first one is shown where nothing is asked for.
_FIGURES = (
    Figure(name="plan", figure=DOWN, unit="%", factor=100, of_plan=True),
    Figure(name="down", figure=DOWN, unit="Mbit/s", factor=1 / MEGABIT),
    Figure(name="up", figure=UP, unit="Mbit/s", factor=1 / MEGABIT),
    Figure(name="latency", figure=LATENCY, unit="ms", factor=1, more_is_better=False),
    Figure(name="loaded", figure=LOADED_DOWN, unit="ms", factor=1, more_is_better=False),
    Figure(name="loss", figure=LOSS, unit="%", factor=100, more_is_better=False),
    Figure(name="availability", figure=AVAILABILITY, unit="%", factor=100),
)
# Those that roll-ups have by hour.
FIGURES = {
    one.name: one for one in _FIGURES if one.figure in (*OVERVIEW_METRICS, LOSS, AVAILABILITY)
}


class HourCell(Struct, frozen=True):
    """An hour of a weekday. Level 0: too few lines; else 1 (worst fifth of the range) to 5."""

    level: int
    text: str
    words: str


class LevelRow(Struct, frozen=True):
    """A class of the legend."""

    level: int
    text: str


class HeatMap(Struct, frozen=True, kw_only=True):
    """Seven rows of 24 cells and the legend; `few` and `empty` cells have no level."""

    days: Sequence[tuple[str, Sequence[HourCell]]]
    legend: Sequence[LevelRow]
    few: int
    empty: int


class _Scale(NamedTuple):
    low: float
    high: float
    figure: Figure

    def level(self, value: float) -> int:
        if self.high <= self.low:
            return LEVELS
        step = min(int((value - self.low) / (self.high - self.low) * LEVELS), LEVELS - 1)
        return step + 1 if self.figure.more_is_better else LEVELS - step


def factors(lines: Iterable[KnownLine], figure: Figure) -> dict[LineKey, float]:
    """The lines that a figure is of, each with what its figure is multiplied by."""
    if not figure.of_plan:
        return {line.key: 1.0 for line in lines}
    return {line.key: 1 / line.plan_down_bps for line in lines if line.plan_down_bps}


def heat_map(profiles: Profiles, figure: Figure, locale: Locale) -> HeatMap:
    """Seven rows of 24 cells."""
    enough = [one.mean * figure.factor for one in profiles.values() if one.lines >= LEAST_LINES]
    scale = _Scale(min(enough, default=0.0), max(enough, default=0.0), figure)
    few = sum(one.lines < LEAST_LINES for one in profiles.values())
    return HeatMap(
        days=[
            (
                locale.label(name),
                [_cell(profiles.get((day, hour)), scale, locale) for hour in range(24)],
            )
            for day, name in enumerate(WEEKDAYS)
        ],
        legend=_legend(scale, locale) if enough else [],
        few=few,
        empty=7 * 24 - len(profiles),
    )


def hours_table(profiles: Profiles, figure: Figure, locale: Locale) -> FileTable:
    """A row for each hour of the week that has samples, unrounded, with its number of lines."""

    def of(read: Callable[[HourProfile], float | int]) -> Callable[[_At], float | int]:
        return lambda at: read(profiles[at])

    columns: list[FileColumn[_At]] = [
        FileColumn("weekday", "hours_weekday", lambda at: locale.label(WEEKDAYS[at[0]])),
        FileColumn("hour", "hour", lambda at: at[1]),
        FileColumn("figure", "indicator", lambda _: figure.name),
        FileColumn("unit", "hours_unit", lambda _: figure.unit),
        FileColumn("mean", "value", of(lambda one: one.mean * figure.factor)),
        FileColumn("lines", "lines", of(lambda one: one.lines)),
    ]
    return file_table(columns, sorted(profiles), locale)


def _cell(profile: HourProfile | None, scale: _Scale, locale: Locale) -> HourCell:
    if profile is None:
        return HourCell(0, "", locale.label("no_samples"))
    lines = f"{whole_number(profile.lines, locale.language)} {locale.label('hours_lines')}"
    if profile.lines < LEAST_LINES:
        return HourCell(0, "·", f"{locale.label('hours_few')}: {lines}")
    value = profile.mean * scale.figure.factor
    text = _short(value, locale)
    return HourCell(scale.level(value), text, f"{text} {scale.figure.unit}, {lines}")


def _legend(scale: _Scale, locale: Locale) -> list[LevelRow]:
    """The classes from the worst to the best, each with its borders."""
    step = (scale.high - scale.low) / LEVELS
    if not step:
        return [LevelRow(LEVELS, f"{_short(scale.low, locale)} {scale.figure.unit}")]
    rows = [
        LevelRow(
            scale.level(scale.low + (n + 0.5) * step),
            f"{_short(scale.low + n * step, locale)}–{_short(scale.low + (n + 1) * step, locale)} "
            f"{scale.figure.unit}",
        )
        for n in range(LEVELS)
    ]
    return sorted(rows, key=lambda row: row.level)


def _short(value: float, locale: Locale) -> str:
    """A number of four characters at most below a thousand, as cells are narrow."""
    places = 2 if abs(value) < 1 else 1 if abs(value) < 100 else 0
    return number(f"{value:,.{places}f}").in_(locale.language)
