"""Floor 1. Numbers and times in the visitor's language.

Vietnamese: 1.234,5 and 25/07/2026; English: 1,234.5 and 25 Jul 2026. A missing value is a dash, not
a zero.
"""

from __future__ import annotations

from datetime import date, datetime, tzinfo
from functools import lru_cache
from typing import NamedTuple

from collector.web.labels.measurement import FAULTS, MONTHS_EN, PACKETS, Figure
from runtime.language import Language, Phrase, number, unmarked
from wire.result import FaultLocation, LatencyValues

MISSING = "–"


class Moment(NamedTuple):
    """A time for the HTML element `<time>`: `iso` for its attribute, `text` to display."""

    iso: str
    text: str


class Cell(NamedTuple):
    """A table cell; `notes` are shown below it in small print, one per line."""

    text: str
    notes: tuple[str, ...] = ()


def cell(shown: Figure, values: object, language: Language) -> Cell:
    """The cell of one figure of a result's values; a dash where it is missing."""
    value: int | float | FaultLocation | None = getattr(values, shown.field, None)
    if value is None:
        return Cell(MISSING)
    if isinstance(value, FaultLocation):
        return Cell(FAULTS[value].in_(language))
    if isinstance(value, int):
        return Cell(whole_number(value, language))
    text = figure(value * shown.factor, language)
    if shown.field == "loss_ratio" and isinstance(values, LatencyValues):
        return Cell(text, _loss_notes(values, language))
    return Cell(text)


def figure(value: float, language: Language) -> str:
    """A number with thousands separators; two decimals below 10, else one."""
    places = 2 if abs(value) < 10 else 1
    return number(f"{value:,.{places}f}" if value else "0").in_(language)


def axis_number(value: float, language: Language) -> str:
    """A number for an axis: without trailing zeros."""
    return number(f"{value:,.2f}".rstrip("0").rstrip(".")).in_(language)


def whole_number(value: int, language: Language) -> str:
    """An integer with thousands separators."""
    return number(f"{value:,}").in_(language)


def week_text(monday: date, language: Language) -> str:
    """The ISO week of a Monday: Tuần 30/2026, Week 30 of 2026."""
    year, week, _ = monday.isocalendar()
    return Phrase(f"Tuần {week:02}/{year}", f"Week {week} of {year}").in_(language)


def by_name(text: str) -> tuple[str, str]:
    """A sort key for Vietnamese names: base letters first, then marks (Đà Nẵng before Huế)."""
    return unmarked(text.casefold()), text


# The charts of a page name the same hours, and so do the pages of a day.
@lru_cache(maxsize=2_048)
def moment(at: datetime, language: Language, timezone: tzinfo) -> Moment:
    """A time in the given time zone, for display."""
    local = at.astimezone(timezone)
    day = f"{local:%d/%m}/{local.year:04}"
    if language is Language.EN:
        # No-break spaces: a narrow column may wrap between time and date, not within the date.
        day = f"{local.day}\xa0{MONTHS_EN[local.month - 1]}\xa0{local.year:04}"
    return Moment(local.isoformat(timespec="seconds"), f"{local:%H:%M:%S} {day}")


def to_the_minute(at: datetime, language: Language, timezone: tzinfo) -> Moment:
    """A time without its seconds, for display: 08:00 25/07/2026."""
    iso, text = moment(at, language, timezone)
    return Moment(iso, f"{text[:5]}{text[8:]}")


def _loss_notes(values: LatencyValues, language: Language) -> tuple[str, ...]:
    """Lost and sent packets; without loss also the 95 % upper bound (rule of three)."""
    counted = f"{values.lost}/{values.sent} {PACKETS.in_(language)}"
    if values.lost or values.loss_ratio_upper95 is None:
        return (counted,)
    return counted, f"≤ {figure(values.loss_ratio_upper95 * 100, language)}%"
