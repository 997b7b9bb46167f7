"""Floor 1. Figures and times as a person reads them.

Vietnamese writes 1.234,5 and 25/07/2026; English 1,234.5 and 25 Jul 2026. What is missing is a
dash, never a zero.
"""

from __future__ import annotations

from datetime import datetime, tzinfo
from typing import NamedTuple

from collector.web.labels.measurement import FAULTS, MONTHS_EN, PACKETS, Figure
from runtime.language import Language, number, unmarked
from wire.result import FaultLocation, LatencyValues

MISSING = "–"


class Moment(NamedTuple):
    """A time for `<time>`: `iso` for machines, `text` for people."""

    iso: str
    text: str


class Cell(NamedTuple):
    """One figure of a row; `notes` stand small below it, a line each."""

    text: str
    notes: tuple[str, ...] = ()


def cell(shown: Figure, values: object, language: Language) -> Cell:
    """One figure of a result's values; a dash where there is none."""
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
    """A number with its thousands marked: two places behind the point below 10, then one."""
    places = 2 if abs(value) < 10 else 1
    return number(f"{value:,.{places}f}" if value else "0").in_(language)


def axis_number(value: float, language: Language) -> str:
    """A round number as an axis has it: no places that say nothing."""
    return number(f"{value:,.2f}".rstrip("0").rstrip(".")).in_(language)


def whole_number(value: int, language: Language) -> str:
    """A count with its thousands marked."""
    return number(f"{value:,}").in_(language)


def by_name(text: str) -> tuple[str, str]:
    """To sort Vietnamese names by their letters first, then by their marks: Đà Nẵng before Huế."""
    return unmarked(text.casefold()), text


def moment(at: datetime, language: Language, timezone: tzinfo) -> Moment:
    """A time in the pages' time zone."""
    local = at.astimezone(timezone)
    day = f"{local:%d/%m}/{local.year:04}"
    if language is Language.EN:
        # Spaces that do not break: a narrow column may part time and day, not the day itself.
        day = f"{local.day}\xa0{MONTHS_EN[local.month - 1]}\xa0{local.year:04}"
    return Moment(local.isoformat(timespec="seconds"), f"{local:%H:%M:%S} {day}")


def _loss_notes(values: LatencyValues, language: Language) -> tuple[str, ...]:
    """How many of how many, and with no loss seen, what it may be all the same (rule of three)."""
    counted = f"{values.lost}/{values.sent} {PACKETS.in_(language)}"
    if values.lost or values.loss_ratio_upper95 is None:
        return (counted,)
    return counted, f"≤ {figure(values.loss_ratio_upper95 * 100, language)}%"
