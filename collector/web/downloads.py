"""Floor 1. The rows of a page's table as columns of a file: all rows, unrounded, in its order.

CSV is for programs and has names with units; XLSX is for people and has the page's words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Generic, NamedTuple, TypeVar

from collector.alerts import notification
from collector.alerts.alert import Alert
from collector.domain.lines import KnownLine, LineState
from collector.registry.planned_maintenance import PlannedMaintenance
from collector.registry.registry import LineKey, Registry
from collector.reports.flat_table import Cell
from collector.reports.maintenance import scope_text
from collector.rollup.periods import Period
from collector.rollup.summary import EMPTY, Summary
from collector.web.alerts_view import AlertPlaces
from collector.web.isps_view import IspRow
from collector.web.line_table import DOWN, LATENCY, UP, loaded_latency, state_badge
from collector.web.overview_view import ProvinceRow
from collector.web.presentation import Locale
from runtime.language import Language
from wire.figures import MEGABIT

T = TypeVar("T")


class FileColumn(NamedTuple, Generic[T]):
    """A column of a file: its name in CSV, the label of its heading in XLSX, and its cells."""

    name: str
    label: str
    cell: Callable[[T], Cell]


class FileTable(NamedTuple):
    """A table to write; `names` head CSV, `headings` XLSX."""

    names: list[str]
    headings: list[str]
    rows: list[list[Cell]]


def file_table(columns: Sequence[FileColumn[T]], rows: Iterable[T], locale: Locale) -> FileTable:
    """The cells of rows."""
    return FileTable(
        [column.name for column in columns],
        [locale.label(column.label) for column in columns],
        [[column.cell(row) for column in columns] for row in rows],
    )


def time_cell(time: datetime | None, locale: Locale) -> Cell:
    """A time with the visitor's offset (RFC 3339)."""
    return None if time is None else time.astimezone(locale.timezone).isoformat()


def lines_table(
    lines: Iterable[KnownLine],
    summaries: Mapping[LineKey, Summary],
    states: Mapping[LineKey, LineState],
    complete: Callable[[KnownLine], float | None],
    period: Period,
    locale: Locale,
) -> FileTable:
    """Lines with their figures of a period, as the table of lines has them. Speeds in Mbit/s."""

    def summary(line: KnownLine) -> Summary:
        return summaries.get(line.key, EMPTY)

    def speed(metric: str) -> Callable[[KnownLine], Cell]:
        return lambda line: _megabits(summary(line).metric(metric).mean)

    columns: list[FileColumn[KnownLine]] = [
        FileColumn("first_day", "file_first_day", lambda _: period.first.isoformat()),
        FileColumn("last_day", "file_last_day", lambda _: period.last.isoformat()),
        FileColumn("province", "province", _province),
        FileColumn("commune_code", "commune", lambda one: one.commune_code),
        FileColumn("commune", "file_commune", lambda one: one.commune_name),
        FileColumn("office", "office", lambda one: one.office),
        FileColumn("probe", "probe", lambda one: "/".join(one.key[:2])),
        FileColumn("line", "line", lambda one: one.key.line),
        FileColumn("isp", "isp", lambda one: one.isp_name),
        FileColumn("state", "state_now", lambda one: _state(one, states, locale)),
        FileColumn("plan_down_mbit_s", "plan_down", lambda one: _megabits(one.plan_down_bps)),
        FileColumn("plan_up_mbit_s", "plan_up", lambda one: _megabits(one.plan_up_bps)),
        FileColumn("download_mean_mbit_s", "mean_down", speed(DOWN)),
        FileColumn("upload_mean_mbit_s", "mean_up", speed(UP)),
        FileColumn("rtt_mean_ms", "mean_latency", lambda one: summary(one).metric(LATENCY).mean),
        FileColumn("rtt_loaded_ms", "mean_loaded", lambda one: loaded_latency(summary(one))),
        FileColumn("loss_ratio", "file_loss", lambda one: summary(one).loss_ratio),
        FileColumn(
            "availability_ratio", "file_availability", lambda one: summary(one).availability_ratio
        ),
        FileColumn("unknown_minutes", "minutes_unknown", lambda one: summary(one).unknown_minutes),
        FileColumn("samples", "samples_head", lambda one: summary(one).speed_tests),
        FileColumn("completeness_ratio", "file_completeness", complete),
    ]
    return file_table(columns, lines, locale)


def provinces_table(rows: Iterable[ProvinceRow], period: Period, locale: Locale) -> FileTable:
    """Provinces with the figures of their lines, as the overview has them. Speeds in Mbit/s."""

    def key(name: str) -> Callable[[ProvinceRow], Cell]:
        return lambda row: row.keys[name]

    def speed(name: str) -> Callable[[ProvinceRow], Cell]:
        return lambda row: _megabits(row.keys[name])

    columns: list[FileColumn[ProvinceRow]] = [
        FileColumn("first_day", "file_first_day", lambda _: period.first.isoformat()),
        FileColumn("last_day", "file_last_day", lambda _: period.last.isoformat()),
        FileColumn("province_code", "file_province_code", lambda row: row.code),
        FileColumn("province", "province", lambda row: row.name),
        FileColumn("communes", "communes", key("communes")),
        FileColumn("lines", "lines", key("lines")),
        FileColumn("lines_good", "file_lines_good", key("lines_good")),
        FileColumn("download_mean_mbit_s", "mean_down", speed("down")),
        FileColumn("upload_mean_mbit_s", "mean_up", speed("up")),
        FileColumn("rtt_mean_ms", "mean_latency", key("latency")),
        FileColumn("rtt_loaded_ms", "mean_loaded", key("loaded")),
        FileColumn("lines_below_plan", "below_plan", key("lines_below")),
        FileColumn("lines_with_plan", "file_lines_planned", key("lines_planned")),
    ]
    return file_table(columns, rows, locale)


def isps_table(rows: Iterable[IspRow], period: Period, locale: Locale) -> FileTable:
    """ISPs in the communes that are compared. Speeds in Mbit/s."""

    def key(name: str) -> Callable[[IspRow], Cell]:
        return lambda row: row.keys[name]

    columns: list[FileColumn[IspRow]] = [
        FileColumn("first_day", "file_first_day", lambda _: period.first.isoformat()),
        FileColumn("last_day", "file_last_day", lambda _: period.last.isoformat()),
        FileColumn("isp", "isp", lambda row: row.name),
        FileColumn("communes", "communes", key("communes")),
        FileColumn("lines", "lines", key("lines")),
        FileColumn("samples", "samples_head", key("samples")),
        FileColumn("download_mean_mbit_s", "mean_down", lambda row: _megabits(row.keys["down"])),
        FileColumn("download_interval_95", "interval95", lambda row: row.down_interval),
        FileColumn("upload_mean_mbit_s", "mean_up", lambda row: _megabits(row.keys["up"])),
        FileColumn("rtt_mean_ms", "mean_latency", key("latency")),
        FileColumn("loss_ratio", "file_loss", key("loss")),
        FileColumn("availability_ratio", "file_availability", key("availability")),
    ]
    return file_table(columns, rows, locale)


def alerts_table(alerts: Iterable[Alert], places: AlertPlaces, locale: Locale) -> FileTable:
    """Alerts; times with the visitor's offset (RFC 3339)."""
    vietnamese = locale.language is Language.VI
    columns: list[FileColumn[Alert]] = [
        FileColumn("number", "file_number", lambda one: one.number),
        FileColumn("kind", "alert", lambda one: notification.title(one.key.kind, vietnamese)),
        FileColumn("place", "office", notification.place),
        FileColumn("commune", "file_commune", places.commune),
        FileColumn(
            "detail",
            "detail",
            lambda one: notification.sentence(one, locale.timezone, vietnamese=vietnamese),
        ),
        FileColumn("began_at", "began_at", lambda one: time_cell(one.began_at, locale)),
        FileColumn("ended_at", "ended_at", lambda one: time_cell(one.ended_at, locale)),
    ]
    return file_table(columns, alerts, locale)


def maintenance_table(
    announcements: Iterable[PlannedMaintenance],
    registry: Registry,
    lines: Mapping[int, int],
    locale: Locale,
) -> FileTable:
    """Planned maintenance; times with the visitor's offset. `lines` are concerned by each now."""

    def at(time: datetime | None) -> Cell:
        return time_cell(time, locale)

    columns: list[FileColumn[PlannedMaintenance]] = [
        FileColumn("number", "file_number", lambda one: one.number),
        FileColumn(
            "scope", "maintenance_scope", lambda one: scope_text(one.current.scope, registry)
        ),
        FileColumn("starts_at", "maintenance_from", lambda one: at(one.current.starts_at)),
        FileColumn("ends_at", "maintenance_to", lambda one: at(one.current.ends_at)),
        FileColumn("reason", "maintenance_reason", lambda one: one.current.reason),
        FileColumn(
            "announced_at", "maintenance_recorded", lambda one: at(one.entries[0].recorded_at)
        ),
        FileColumn("changed_at", "maintenance_changed", lambda one: at(one.current.recorded_at)),
        FileColumn("author", "maintenance_author", lambda one: one.current.author),
        FileColumn(
            "status", "maintenance_status", lambda one: locale.label(f"maintenance_{one.status}")
        ),
        FileColumn(
            "planned_from",
            "maintenance_planned_from",
            lambda one: at(one.planned.start if one.planned else None),
        ),
        FileColumn(
            "planned_until",
            "maintenance_planned_until",
            lambda one: at(one.planned.end if one.planned else None),
        ),
        FileColumn("lines", "maintenance_lines", lambda one: lines[one.number]),
    ]
    return file_table(columns, announcements, locale)


def _megabits(bps: float | None) -> float | None:
    return None if bps is None else bps / MEGABIT


def _province(line: KnownLine) -> str:
    return line.commune.province_name if line.commune else ""


def _state(line: KnownLine, states: Mapping[LineKey, LineState], locale: Locale) -> str:
    return state_badge(states.get(line.key, LineState.NEVER), locale).word
