"""Floor 1. Planned maintenance as pages show it, and the entry that a form asks for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from msgspec import structs

from collector.domain.place_search import PlaceIndex
from collector.registry.planned_maintenance import (
    LineOutage,
    MaintenanceAction,
    MaintenanceEntry,
    MaintenanceScope,
    MaintenanceStatus,
    PlannedMaintenance,
    Window,
    minutes_within,
)
from collector.registry.registry import LineKey, Registry
from collector.reports.maintenance import counted_outages, scope_text
from collector.rollup.periods import VIETNAM, Period
from collector.rollup.summary import Summary
from collector.store.records import StoredOutage
from collector.web.chart_view import local_text
from collector.web.formatting import Moment, to_the_minute
from collector.web.line_table import percent
from collector.web.presentation import Badge, Locale
from collector.web.table import Column

ROWS_A_PAGE = 50
# Of the filter `state`; without it, what is not over.
OVER, EVERY = "over", "all"
COLUMNS = (
    Column("scope", "maintenance_scope"),
    Column("starts", "maintenance_from", "desc"),
    Column("ends", "maintenance_to", "desc"),
    Column("reason", "maintenance_reason", ""),
    Column("recorded", "maintenance_recorded", "desc"),
    Column("status", "maintenance_status"),
    Column("lines", "maintenance_lines", "desc", numeric=True),
)
_SIGNS = {
    MaintenanceStatus.PLANNED: ("good", "✓"),
    MaintenanceStatus.PARTLY: ("quiet", "△"),
    MaintenanceStatus.LATE: ("bad", "✕"),
    MaintenanceStatus.WITHDRAWN: ("quiet", "–"),
}
_PLACES = ("commune", "province")
_PLACES_NAMED = 5


class FormProblemError(ValueError):
    """A form is refused: `label` of why, and what it is about."""

    def __init__(self, label: str, detail: str = "") -> None:
        super().__init__(f"{label} {detail}".strip())
        self.label, self.detail = label, detail


class MaintenanceRow(NamedTuple):
    """An announcement. `corrected` is when it was last changed, None where it never was."""

    number: int
    scope: str
    starts: Moment
    ends: Moment
    reason: str
    recorded: Moment
    corrected: Moment | None
    status: Badge
    counts: str
    lines: int


class EntryRow(NamedTuple):
    """An entry of an announcement."""

    at: Moment
    author: str
    action: str
    scope: str
    starts: Moment
    ends: Moment
    reason: str
    note: str


class LineMaintenance(NamedTuple):
    """Planned maintenance of a line in a period; both availabilities as percent."""

    rows: list[tuple[MaintenanceRow, int]]
    planned: list[PlannedMaintenance]
    counted: list[LineOutage]
    minutes: int
    with_maintenance: str
    without: str


def lines_by_scope(registry: Registry) -> Counter[tuple[str, str]]:
    """How many registered lines each ISP and place has, as a scope names them ("": every one)."""
    found = Counter[tuple[str, str]]()
    for probe in registry.probes.values():
        commune = registry.communes.get(probe.commune)
        places = ("", commune.code, commune.province_code) if commune else ("",)
        for line in probe.lines:
            found.update({(isp, place) for isp in ("", line.isp) for place in places})
    # A scope that names nothing is of no line.
    del found["", ""]
    return found


def lines_concerned(
    scope: MaintenanceScope, by_scope: Mapping[tuple[str, str], int], registry: Registry
) -> int:
    """How many lines a scope is of."""
    if (key := scope.line_key) is not None:
        return int(scope.covers(key, registry))
    return by_scope.get((scope.isp, scope.place), 0)


def row(one: PlannedMaintenance, lines: int, registry: Registry, locale: Locale) -> MaintenanceRow:
    """The row of an announcement that concerns so many lines."""
    current = one.current
    return MaintenanceRow(
        number=one.number,
        scope=scope_text(current.scope, registry),
        starts=_moment(current.starts_at, locale),
        ends=_moment(current.ends_at, locale),
        reason=current.reason,
        recorded=_moment(one.entries[0].recorded_at, locale),
        corrected=_moment(current.recorded_at, locale) if len(one.entries) > 1 else None,
        status=status_badge(one.status, locale),
        counts=_counts(one.planned, locale),
        lines=lines,
    )


def status_badge(status: MaintenanceStatus, locale: Locale) -> Badge:
    """Whether an announcement counts."""
    return Badge(*_SIGNS[status], locale.label(f"maintenance_{status}"))


def _counts(planned: Window | None, locale: Locale) -> str:
    if planned is None:
        return "–"
    return f"{_moment(planned.start, locale).text} – {_moment(planned.end, locale).text}"


def _moment(at: datetime, locale: Locale) -> Moment:
    return to_the_minute(at, locale.language, locale.timezone)


def entry_rows(one: PlannedMaintenance, registry: Registry, locale: Locale) -> list[EntryRow]:
    """The entries of an announcement, oldest first."""
    return [
        EntryRow(
            at=_moment(entry.recorded_at, locale),
            author=entry.author,
            action=locale.label(f"maintenance_action_{entry.action}"),
            scope=scope_text(entry.scope, registry),
            starts=_moment(entry.starts_at, locale),
            ends=_moment(entry.ends_at, locale),
            reason=entry.reason,
            note=entry.note,
        )
        for entry in one.entries
    ]


def chosen(
    every: Iterable[PlannedMaintenance], state: str, isp: str, now: datetime
) -> list[PlannedMaintenance]:
    """The announcements of the filters; the next one first, of past ones the last."""
    found = [one for one in every if isp in ("", one.current.scope.isp)]
    if state == EVERY:
        return sorted(found, key=lambda one: one.current.starts_at, reverse=True)
    over = [one for one in found if one.current.ends_at <= now or one.is_withdrawn]
    if state == OVER:
        return sorted(over, key=lambda one: one.current.starts_at, reverse=True)
    return sorted((one for one in found if one not in over), key=lambda one: one.current.starts_at)


def sort_value(
    column: str, one: PlannedMaintenance, lines: int, registry: Registry
) -> datetime | str | int:
    """What an announcement is sorted by for one of `COLUMNS`."""
    match column:
        case "scope":
            return scope_text(one.current.scope, registry)
        case "starts":
            return one.current.starts_at
        case "ends":
            return one.current.ends_at
        case "status":
            return list(MaintenanceStatus).index(one.status)
        case "lines":
            return lines
        case _:
            return one.entries[0].recorded_at


def commune_of(scope: MaintenanceScope, registry: Registry) -> str | None:
    """The commune that a scope lies in, for permissions; None where it is wider."""
    if (key := scope.line_key) is not None:
        known = registry.probe(key.tenant, key.probe)
        return known.commune if known else None
    return scope.place if scope.place in registry.communes else None


def entry_of(
    fields: Mapping[str, str],
    registry: Registry,
    places: PlaceIndex,
    author: str,
    now: datetime,
    number: int = 0,
) -> MaintenanceEntry:
    """The entry that a form asks for (`isp`, `place`, `line`, `from`, `to`, `reason`, `note`).

    Raises:
        FormProblemError: something of it is not known.
    """
    return MaintenanceEntry(
        number=number,
        recorded_at=now.replace(microsecond=0),
        author=author,
        action=MaintenanceAction.CORRECTED if number else MaintenanceAction.ANNOUNCED,
        scope=_scope(fields, registry, places),
        starts_at=_time(fields.get("from", "")),
        ends_at=_time(fields.get("to", "")),
        reason=fields.get("reason", "").strip(),
        note=fields.get("note", "").strip(),
    )


def _scope(fields: Mapping[str, str], registry: Registry, places: PlaceIndex) -> MaintenanceScope:
    isp, line = fields.get("isp", ""), fields.get("line", "").strip()
    if isp and isp not in registry.isps:
        raise FormProblemError("maintenance_problem_no_scope", isp[:80])
    parts = line.split("/")
    if line and (len(parts) != 3 or registry.line(LineKey(*parts)) is None):
        raise FormProblemError("maintenance_problem_line", line[:120])
    place = _place(fields.get("place", "").strip(), places)
    return MaintenanceScope(isp=isp, place=place, line=line)


def _place(typed: str, places: PlaceIndex) -> str:
    if not typed:
        return ""
    found = places.exact(typed, _PLACES)
    if found is None:
        several = places.find(typed, _PLACES)[:_PLACES_NAMED]
        names = "; ".join(
            ", ".join(filter(None, (f"{one.key} {one.name}", one.province))) for one in several
        )
        raise FormProblemError("maintenance_problem_place", names or typed[:80])
    return found.key


def _time(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise FormProblemError("maintenance_problem_time") from error
    try:
        local = at.replace(tzinfo=VIETNAM) if at.tzinfo is None else at
        return local.astimezone(UTC)
    except OverflowError as error:
        raise FormProblemError("maintenance_problem_time") from error


def withdrawal(
    current: MaintenanceEntry, note: str, author: str, now: datetime
) -> MaintenanceEntry:
    """The entry that withdraws an announcement."""
    return structs.replace(
        current,
        recorded_at=now.replace(microsecond=0),
        author=author,
        action=MaintenanceAction.WITHDRAWN,
        note=note.strip(),
    )


def audit_text(entry: MaintenanceEntry) -> str:
    """Scope and time of an entry, for the audit trail."""
    scope = "/".join(filter(None, (entry.scope.isp, entry.scope.place, entry.scope.line)))
    return f"{scope} {entry.starts_at:%Y-%m-%dT%H:%MZ}..{entry.ends_at:%Y-%m-%dT%H:%MZ}"


def fields_of(entry: MaintenanceEntry, registry: Registry) -> dict[str, str]:
    """The fields of a form that corrects an entry."""
    scope = entry.scope
    return {
        "isp": scope.isp,
        "place": scope_text(MaintenanceScope(place=scope.place), registry),
        "line": scope.line,
        "from": local_text(entry.starts_at),
        "to": local_text(entry.ends_at),
        "reason": entry.reason,
        "note": "",
    }


def planned_for(
    every: Iterable[PlannedMaintenance], key: LineKey, registry: Registry
) -> list[PlannedMaintenance]:
    """What counts as planned maintenance of a line."""
    return [one for one in every if one.is_planned_for(key, registry)]


def of_line(
    every: Iterable[PlannedMaintenance],
    key: LineKey,
    registry: Registry,
    period: Period,
    outages: Sequence[StoredOutage],
    summary: Summary,
    locale: Locale,
) -> LineMaintenance:
    """The planned maintenance of a line in a period, and availability with it and without."""
    mine = [
        one
        for one in every
        if one.touches(period.starts_at, period.ends_at) and one.concerns(key, registry)
    ]
    planned = planned_for(mine, key, registry)
    counted = counted_outages(outages, period)
    minutes = min(_within(planned, counted, period), summary.down_minutes)
    known = summary.up_minutes + summary.down_minutes - minutes
    return LineMaintenance(
        rows=[
            (
                row(one, 1, registry, locale),
                _within([one], counted, period) if one in planned else 0,
            )
            for one in mine
        ],
        planned=planned,
        counted=counted,
        minutes=minutes,
        with_maintenance=percent(summary.availability_ratio, locale),
        without=percent(summary.up_minutes / known if known else None, locale),
    )


def _within(
    some: Sequence[PlannedMaintenance], outages: Sequence[LineOutage], period: Period
) -> int:
    return minutes_within(some, outages, period.starts_at, period.ends_at)
