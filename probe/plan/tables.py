"""Floor 1. Output of `tramdo-probe plan`: a day's slots and the month's sums, JSON and text."""

from __future__ import annotations

import calendar
from collections.abc import Iterable, Iterator
from datetime import date, datetime
from zoneinfo import ZoneInfo

from msgspec import Struct

from probe.config import Config
from probe.plan.budget import month_budget, shortfalls
from probe.plan.light import light_kinds
from probe.plan.slots import DayPlan, month_plan
from probe.plan.usage import Usage, month_of
from runtime.language import Language, Phrase, number
from wire.record import Family


class SlotRow(Struct, frozen=True):
    """A bulk slot of the day, in local time."""

    at: datetime
    line: str
    kind: str
    server: str
    peak: bool
    expected_bytes: int
    family: Family | None


class LineRow(Struct, frozen=True, kw_only=True):
    """A line's month; samples are tests of all bulk kinds."""

    line: str
    samples: int
    samples_wanted: int
    samples_by_kind: dict[str, int]
    peak_samples: int
    expected_bytes: int
    light_bytes: int
    budget_bytes: int
    used_bytes: int


class LightRow(Struct, frozen=True, kw_only=True):
    """A light kind of a line."""

    line: str
    kind: str
    per_day: int
    expected_bytes: int


class DayRow(Struct, frozen=True):
    """A day of the month: slots by line."""

    day: date
    slots: dict[str, int]
    expected_bytes: int


class PlanDocument(Struct, frozen=True, kw_only=True):
    """What `tramdo-probe plan --json` prints."""

    day: date
    month: str
    slots: list[SlotRow]
    lines: list[LineRow]
    light: list[LightRow]
    days: list[DayRow]
    notes: list[str]


def document(
    config: Config, day: date, usage: Usage, language: Language = Language.EN
) -> PlanDocument:
    """The plan of a day and its month; `usage` only changes the expected bytes."""
    zone = ZoneInfo(config.timezone)
    count = calendar.monthrange(day.year, day.month)[1]
    plans = month_plan(config, day, usage)
    left_out = sum(plan.left_out for plan in plans.values())
    return PlanDocument(
        day=day,
        month=month_of(day),
        slots=[
            SlotRow(
                slot.at.astimezone(zone),
                slot.line_id,
                slot.kind,
                slot.server_name,
                slot.peak,
                round(slot.expected_bytes),
                slot.family,
            )
            for slot in plans[day].slots
        ],
        lines=list(_line_rows(config, plans.values(), day, usage)),
        light=[
            LightRow(
                line=line.id,
                kind=one.kind,
                per_day=one.per_day,
                expected_bytes=round(one.day_bytes * count),
            )
            for line in config.lines
            for one in light_kinds(config, line)
        ],
        days=[_day_row(config, one, plan) for one, plan in plans.items()],
        notes=[note.in_(language) for note in notes(config, day, usage, left_out)],
    )


def notes(config: Config, day: date, usage: Usage, left_out: int = 0) -> list[Phrase]:
    """A sentence for each shortfall of the month's plan against the configuration."""
    found = [
        note
        for line in config.lines
        for note in shortfalls(config, month_budget(config, line, day, usage))
    ]
    if len(config.servers) < 2:
        alone = Phrase(
            "chỉ có một máy chủ đo: không biết được khi nào nó cho số thấp (cần hai)",
            "one measurement server alone: nothing shows when it reads low (two are recommended)",
        )
        found.append(alone)
    if left_out:
        crowded = Phrase(
            f"khung giờ còn lại cho phép đo tốc độ quá ngắn: {left_out} lượt không xếp được",
            f"the hours left for bulk tests are too short: {left_out} find no room",
        )
        found.append(crowded)
    return found


def text(plan: PlanDocument, language: Language, *, whole_month: bool) -> str:
    """The day's slots (or the month's days), then the month's sums, then shortfalls."""
    if whole_month:
        title, cells = _slots_in(plan.month), _month_cells(plan, language)
    else:
        title, cells = _slots_on(plan.day), _day_cells(plan, language)
    parts = [title.in_(language), _table(cells)]
    parts += ["", _expected_in(plan.month).in_(language), _table(_line_cells(plan, language))]
    parts += ["", _beside_in(plan.month).in_(language), _table(_light_cells(plan, language))]
    note = Phrase("lưu ý", "note").in_(language)
    return "\n".join([*parts, *(f"{note}: {one}" for one in plan.notes)])


def _slots_in(month: str) -> Phrase:
    return Phrase(f"các lượt đo trong {_month_vi(month)}", f"slots in {month}")


def _slots_on(day: date) -> Phrase:
    return Phrase(f"các lượt đo ngày {day:%d/%m/%Y}", f"slots on {day}")


def _expected_in(month: str) -> Phrase:
    return Phrase(f"dự kiến trong {_month_vi(month)}", f"expected in {month}")


def _beside_in(month: str) -> Phrase:
    return Phrase(f"các phép đo nhẹ trong {_month_vi(month)}", f"beside them in {month}")


def _line_rows(
    config: Config, plans: Iterable[DayPlan], day: date, usage: Usage
) -> Iterator[LineRow]:
    slots = [slot for plan in plans for slot in plan.slots]
    for line in config.lines:
        budget = month_budget(config, line, day, usage)
        mine = [slot for slot in slots if slot.line_id == line.id]
        yield LineRow(
            line=line.id,
            samples=len(mine),
            samples_wanted=budget.wanted_tests,
            samples_by_kind={
                kind: sum(slot.kind == kind for slot in mine) for kind in budget.counts
            },
            peak_samples=sum(slot.peak for slot in mine),
            expected_bytes=round(sum(slot.expected_bytes for slot in mine)),
            light_bytes=round(budget.light_bytes),
            budget_bytes=budget.budget_bytes,
            used_bytes=budget.used_bytes,
        )


def _day_row(config: Config, day: date, plan: DayPlan) -> DayRow:
    slots = {line.id: sum(slot.line_id == line.id for slot in plan.slots) for line in config.lines}
    return DayRow(day, slots, round(sum(slot.expected_bytes for slot in plan.slots)))


def _month_vi(month: str) -> str:
    year, number = month.split("-")
    return f"tháng {number}/{year}"


_LINE, _KIND = Phrase("đường truyền", "line"), Phrase("phép đo", "kind")
_BYTES = Phrase("dung lượng", "bytes")
_DAY_HEADINGS = (
    Phrase("giờ", "time"),
    _LINE,
    _KIND,
    Phrase("máy chủ đo", "server"),
    Phrase("họ địa chỉ", "family"),
    Phrase("khung giờ", "hours"),
    _BYTES,
)
_LIGHT_HEADINGS = (_LINE, _KIND, Phrase("mỗi ngày", "a day"), _BYTES)
_SUM_HEADINGS = (
    Phrase("số mẫu", "samples"),
    Phrase("cần", "wanted"),
    Phrase("cao điểm", "in peak"),
    _BYTES,
    Phrase("phép đo nhẹ", "beside"),
    Phrase("hạn mức", "budget"),
    Phrase("đã dùng", "used"),
)
_PEAK, _OFF_PEAK = Phrase("cao điểm", "peak"), Phrase("thấp điểm", "off-peak")
_WEEKDAYS = (
    Phrase("T2", "Mon"),
    Phrase("T3", "Tue"),
    Phrase("T4", "Wed"),
    Phrase("T5", "Thu"),
    Phrase("T6", "Fri"),
    Phrase("T7", "Sat"),
    Phrase("CN", "Sun"),
)


def _headings(phrases: Iterable[Phrase], language: Language) -> list[str]:
    return [phrase.in_(language) for phrase in phrases]


def _day_cells(plan: PlanDocument, language: Language) -> Iterator[list[str]]:
    yield _headings(_DAY_HEADINGS, language)
    for slot in plan.slots:
        hours = (_PEAK if slot.peak else _OFF_PEAK).in_(language)
        time, size = f"{slot.at:%H:%M:%S}", _size(slot.expected_bytes, language)
        family = "" if slot.family is None else slot.family.value
        yield [time, slot.line, slot.kind, slot.server, family, hours, size]
    total = Phrase("tổng", "total").in_(language)
    slots = Phrase(f"{len(plan.slots)} lượt", f"{len(plan.slots)} slots").in_(language)
    size = _size(sum(slot.expected_bytes for slot in plan.slots), language)
    yield [total, "", slots, "", "", "", size]


def _month_cells(plan: PlanDocument, language: Language) -> Iterator[list[str]]:
    first, last = Phrase("ngày", "day").in_(language), _BYTES.in_(language)
    yield [first, *(line.line for line in plan.lines), last]
    for row in plan.days:
        weekday = _WEEKDAYS[row.day.weekday()].in_(language)
        size = _size(row.expected_bytes, language)
        yield [f"{weekday} {row.day:%d}", *map(str, row.slots.values()), size]


def _line_cells(plan: PlanDocument, language: Language) -> Iterator[list[str]]:
    kinds = list(plan.lines[0].samples_by_kind)
    yield [_LINE.in_(language), *kinds, *_headings(_SUM_HEADINGS, language)]
    for row in plan.lines:
        yield [
            row.line,
            *(str(row.samples_by_kind[kind]) for kind in kinds),
            str(row.samples),
            str(row.samples_wanted),
            str(row.peak_samples),
            _size(row.expected_bytes, language),
            _size(row.light_bytes, language),
            _size(row.budget_bytes, language),
            _size(row.used_bytes, language),
        ]


def _light_cells(plan: PlanDocument, language: Language) -> Iterator[list[str]]:
    yield _headings(_LIGHT_HEADINGS, language)
    for row in plan.light:
        yield [row.line, row.kind, str(row.per_day), _size(row.expected_bytes, language)]


def _size(count: int, language: Language) -> str:
    return number(f"{count / 1e9:.2f} GB").in_(language)


def _table(cells: Iterable[list[str]]) -> str:
    rows = list(cells)
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
