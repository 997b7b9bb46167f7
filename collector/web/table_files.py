"""Floor 1. Tables of the staff's pages, and of a line, as columns of a file (see `downloads`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date, datetime
from typing import NamedTuple

from collector.domain.place_search import Place
from collector.registry.registry import Line, Probe, Registry
from collector.reports.flat_table import Cell
from collector.reports.report import ReportKind
from collector.rollup.periods import Period
from collector.users.user import AuditEvent
from collector.web import search_view
from collector.web.campaign_view import CommuneRow
from collector.web.downloads import FileColumn, FileTable, file_table, time_cell
from collector.web.outages_view import OutageRow
from collector.web.presentation import Locale
from collector.web.registry_view import ChangeHistoryRow
from collector.web.system_view import ProblemRow, SystemHealth
from wire.figures import MEGABIT


class IssuedReport(NamedTuple):
    """An issue of a report; `area` is its name, `files` are those of its files."""

    kind: ReportKind
    area_id: str
    area: str
    period: Period
    version: int
    at: datetime
    files: list[str]


class _Problem(NamedTuple):
    table: str
    row: ProblemRow


def outages_table(rows: Iterable[OutageRow], locale: Locale) -> FileTable:
    """The hours or days with minutes down of a line; times with the visitor's offset."""
    columns: list[FileColumn[OutageRow]] = [
        FileColumn("from", "from", lambda one: one.at.iso),
        FileColumn("down_minutes", "minutes_down", lambda one: one.minutes.down),
        FileColumn("unknown_minutes", "minutes_unknown", lambda one: one.minutes.unknown),
        FileColumn(
            "planned_down_minutes", "maintenance_minutes_head", lambda one: one.minutes.planned
        ),
        FileColumn("fault", "fault_at", lambda one: "; ".join(one.faults)),
    ]
    return file_table(columns, rows, locale)


def communes_table(
    rows: Iterable[CommuneRow], month: date, needed: int, locale: Locale
) -> FileTable:
    """Communes with their samples of a month."""
    columns: list[FileColumn[CommuneRow]] = [
        FileColumn("month", "month", lambda _: f"{month:%Y-%m}"),
        FileColumn("province", "province", lambda one: one.province),
        FileColumn("commune_code", "commune", lambda one: one.code),
        FileColumn("commune", "file_commune", lambda one: one.name),
        FileColumn("samples", "samples_month", lambda one: one.samples),
        FileColumn("samples_needed", "file_needed", lambda _: needed),
    ]
    return file_table(columns, rows, locale)


def audit_table(events: Iterable[AuditEvent], locale: Locale) -> FileTable:
    """The audit trail."""
    columns: list[FileColumn[AuditEvent]] = [
        FileColumn("at", "at", lambda one: time_cell(one.at, locale)),
        FileColumn("who", "who", lambda one: one.user),
        FileColumn("address", "address", lambda one: one.address),
        FileColumn("action", "action", lambda one: one.action),
        FileColumn("subject", "subject", lambda one: one.subject),
        FileColumn("detail", "detail", lambda one: one.detail),
    ]
    return file_table(columns, events, locale)


class _RegistryLine(NamedTuple):
    probe: Probe
    line: Line | None


def registry_table(probes: Iterable[Probe], registry: Registry, locale: Locale) -> FileTable:
    """Registered lines, an office without any once; CSV has the columns that the registry takes."""

    def of_line(name: str) -> Callable[[_RegistryLine], Cell]:
        return lambda one: getattr(one.line, name) if one.line else None

    def speed(name: str) -> Callable[[_RegistryLine], Cell]:
        def cell(one: _RegistryLine) -> Cell:
            bps = getattr(one.line, name) if one.line else None
            return None if bps is None else bps / MEGABIT

        return cell

    def isp_name(one: _RegistryLine) -> Cell:
        isp = registry.isps.get(one.line.isp) if one.line else None
        return isp.name if isp else None

    def technology(one: _RegistryLine) -> Cell:
        known = one.line.technology if one.line else None
        return known.value if known else None

    columns: list[FileColumn[_RegistryLine]] = [
        FileColumn("tenant", "file_tenant", lambda one: one.probe.tenant),
        FileColumn("probe", "probe", lambda one: one.probe.probe),
        FileColumn("commune", "commune", lambda one: one.probe.commune),
        FileColumn("office", "office", lambda one: one.probe.office),
        FileColumn("installed_on", "registry_installed", lambda one: _day(one.probe.installed_on)),
        FileColumn("line", "line", of_line("id")),
        FileColumn("isp", "file_isp_id", of_line("isp")),
        FileColumn("isp_name", "isp", isp_name),
        FileColumn("plan_down_mbit_s", "plan_down", speed("plan_down_bps")),
        FileColumn("plan_up_mbit_s", "plan_up", speed("plan_up_bps")),
        FileColumn(
            "contract_date",
            "contract_date",
            lambda one: _day(one.line.contract_date) if one.line else None,
        ),
        FileColumn("technology", "file_technology", technology),
    ]
    rows = (_RegistryLine(probe, line) for probe in probes for line in (probe.lines or (None,)))
    return file_table(columns, rows, locale)


def changes_table(rows: Iterable[ChangeHistoryRow], locale: Locale) -> FileTable:
    """Applied changes of the registry, in the reader's words."""
    columns: list[FileColumn[ChangeHistoryRow]] = [
        FileColumn("at", "at", lambda one: one.at.iso),
        FileColumn("who", "who", lambda one: one.who),
        FileColumn("source", "file_source", lambda one: one.source),
        FileColumn("change", "file_change", lambda one: one.shown.sign),
        FileColumn("subject", "subject", lambda one: one.shown.subject),
        FileColumn("before", "before", lambda one: "; ".join(one.shown.before)),
        FileColumn("after", "after", lambda one: "; ".join(one.shown.after)),
    ]
    return file_table(columns, rows, locale)


def problems_table(health: SystemHealth, locale: Locale) -> FileTable:
    """The probes with a problem, those of each table of the page."""
    tables = (
        ("silent_probes", health.silent),
        ("probes_with_gaps", health.gaps),
        ("probes_with_backlog", health.backlog),
        ("shared_names", health.names),
        ("clock_faults", health.clocks),
        ("power_faults", health.power),
    )
    columns: list[FileColumn[_Problem]] = [
        FileColumn("problem", "file_problem", lambda one: locale.label(one.table)),
        FileColumn("office", "office", lambda one: one.row.office),
        FileColumn("probe", "probe", lambda one: f"{one.row.tenant}/{one.row.probe}"),
        FileColumn("detail", "detail", lambda one: one.row.why),
        FileColumn(
            "last_contact", "last_contact", lambda one: one.row.at.iso if one.row.at else None
        ),
    ]
    rows = (_Problem(name, row) for name, mine in tables for row in mine)
    return file_table(columns, rows, locale)


def places_table(places: Iterable[Place], locale: Locale) -> FileTable:
    """What a search finds."""
    columns: list[FileColumn[Place]] = [
        FileColumn("code", "file_code", lambda one: one.key),
        FileColumn("kind", "file_kind", lambda one: locale.label(one.kind)),
        FileColumn("name", "file_name", lambda one: one.name),
        FileColumn("province", "province", lambda one: one.province),
        FileColumn("probes", "probes", lambda one: one.probes),
        FileColumn("page", "address", search_view.address),
    ]
    return file_table(columns, places, locale)


def issues_table(issues: Iterable[IssuedReport], locale: Locale) -> FileTable:
    """The issued reports."""
    columns: list[FileColumn[IssuedReport]] = [
        FileColumn("report", "report_type", lambda one: locale.label(f"report_{one.kind}")),
        FileColumn("area_id", "file_area_id", lambda one: one.area_id),
        FileColumn("area", "area", lambda one: one.area),
        FileColumn("first_day", "file_first_day", lambda one: one.period.first.isoformat()),
        FileColumn("last_day", "file_last_day", lambda one: one.period.last.isoformat()),
        FileColumn("issue", "issue_number", lambda one: one.version),
        FileColumn("issued_at", "issued_at", lambda one: time_cell(one.at, locale)),
        FileColumn("files", "files", lambda one: " ".join(one.files)),
    ]
    return file_table(columns, issues, locale)


def _day(day: date | None) -> str | None:
    return day.isoformat() if day else None
