"""Floor 1. The plan as it is shown: a day's slots and the month's sums, as values and as text."""

from __future__ import annotations

import calendar
from collections.abc import Iterable, Iterator
from datetime import date, datetime
from zoneinfo import ZoneInfo

from msgspec import Struct

from probe.config import Config
from probe.plan.budget import month_budget, shortfalls
from probe.plan.light import light_kinds
from probe.plan.slots import DayPlan, day_plan
from probe.plan.usage import Usage, month_of


class SlotRow(Struct, frozen=True):
    """A bulk slot of the day, in local time."""

    at: datetime
    line: str
    kind: str
    server: str
    peak: bool
    expected_bytes: int


class LineRow(Struct, frozen=True, kw_only=True):
    """A line's month: samples are tests of all bulk kinds."""

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
    """A kind that runs beside a line's bulk tests."""

    line: str
    kind: str
    per_day: int
    expected_bytes: int


class DayRow(Struct, frozen=True):
    """A day of the month: slots by line."""

    day: date
    slots: dict[str, int]
    expected_bytes: int


class PlanShown(Struct, frozen=True, kw_only=True):
    """What `tramdo-probe plan --json` prints."""

    day: date
    month: str
    slots: list[SlotRow]
    lines: list[LineRow]
    light: list[LightRow]
    days: list[DayRow]
    notes: list[str]


def shown(config: Config, day: date, usage: Usage) -> PlanShown:
    """The plan of a day and of its month. Planned, so `usage` counts only for what is expected."""
    zone = ZoneInfo(config.timezone)
    count = calendar.monthrange(day.year, day.month)[1]
    plans = {n: day_plan(config, day.replace(day=n), usage) for n in range(1, count + 1)}
    return PlanShown(
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
            )
            for slot in plans[day.day].slots
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
        days=[_day_row(config, day.replace(day=n), plan) for n, plan in plans.items()],
        notes=notes(config, day, usage, sum(plan.left_out for plan in plans.values())),
    )


def notes(config: Config, day: date, usage: Usage, left_out: int = 0) -> list[str]:
    """Where the month's plan falls short of what the configuration asks for."""
    found = [
        note
        for line in config.lines
        for note in shortfalls(config, month_budget(config, line, day, usage))
    ]
    if len(config.servers) < 2:
        found.append(
            "one measurement server alone: nothing tells when it reads low (two are asked)"
        )
    if left_out:
        found.append(f"the hours left for bulk tests are too short: {left_out} find no room")
    return found


def text(plan: PlanShown, *, whole_month: bool) -> str:
    """The day's slots (or the month's days), then the month's sums, then what falls short."""
    if whole_month:
        body = _table(_month_cells(plan))
        title = f"slots in {plan.month}"
    else:
        body = _table(_day_cells(plan))
        title = f"slots on {plan.day}"
    parts = [title, body, "", f"expected in {plan.month}", _table(_line_cells(plan))]
    parts += ["", f"beside them in {plan.month}", _table(_light_cells(plan))]
    return "\n".join([*parts, *(f"note: {note}" for note in plan.notes)])


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


def _day_cells(plan: PlanShown) -> Iterator[list[str]]:
    yield ["time", "line", "kind", "server", "hours", "bytes"]
    for slot in plan.slots:
        hours = "peak" if slot.peak else "off-peak"
        time = f"{slot.at:%H:%M:%S}"
        yield [time, slot.line, slot.kind, slot.server, hours, _size(slot.expected_bytes)]
    total = sum(slot.expected_bytes for slot in plan.slots)
    yield ["total", "", f"{len(plan.slots)} slots", "", "", _size(total)]


def _month_cells(plan: PlanShown) -> Iterator[list[str]]:
    yield ["day", *(line.line for line in plan.lines), "bytes"]
    for row in plan.days:
        yield [f"{row.day:%a %d}", *map(str, row.slots.values()), _size(row.expected_bytes)]


def _line_cells(plan: PlanShown) -> Iterator[list[str]]:
    kinds = list(plan.lines[0].samples_by_kind)
    yield ["line", *kinds, "samples", "wanted", "in peak", "bytes", "beside", "budget", "used"]
    for row in plan.lines:
        yield [
            row.line,
            *(str(row.samples_by_kind[kind]) for kind in kinds),
            str(row.samples),
            str(row.samples_wanted),
            str(row.peak_samples),
            _size(row.expected_bytes),
            _size(row.light_bytes),
            _size(row.budget_bytes),
            _size(row.used_bytes),
        ]


def _light_cells(plan: PlanShown) -> Iterator[list[str]]:
    yield ["line", "kind", "a day", "bytes"]
    for row in plan.light:
        yield [row.line, row.kind, str(row.per_day), _size(row.expected_bytes)]


def _size(count: int) -> str:
    return f"{count / 1e9:.2f} GB"


def _table(cells: Iterable[list[str]]) -> str:
    rows = list(cells)
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
