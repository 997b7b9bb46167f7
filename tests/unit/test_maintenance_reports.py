"""Planned maintenance on reports, and that a bundle of evidence gives the same figures."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from msgspec import structs

from collector.evidence.bundle import BundlePieces, write
from collector.registry.planned_maintenance import (
    MaintenanceAction,
    MaintenanceEntry,
    MaintenanceScope,
    MaintenanceStatus,
)
from collector.reports import bulletin, common, formatting, monthly, weekly
from collector.reports.flat_table import from_json
from collector.reports.layout import Document
from collector.reports.rendering import ReportFormat, render
from collector.reports.report import Level, Report, ReportKind
from collector.rollup.periods import VIETNAM, parse_period
from tests import evidence_month, samples
from tests.evidence_month import EvidenceMonth, issue_bundle, issued, question
from tests.unit.test_evidence import Files, checked, differences

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
# The work, in the night into the second day of the month.
WORK = datetime(2026, 6, 1, 23, tzinfo=VIETNAM)
# Work in the night into the month, of which an outage is left.
BEFORE = datetime(2026, 5, 31, 23, tzinfo=VIETNAM)
LATE = datetime(2026, 6, 10, 9, tzinfo=VIETNAM)


def entry(at: datetime, hours: int, recorded_at: datetime) -> MaintenanceEntry:
    return MaintenanceEntry(
        recorded_at=recorded_at,
        author="lan",
        action=MaintenanceAction.ANNOUNCED,
        scope=MaintenanceScope(isp="vnpt", place="01969"),
        starts_at=at,
        ends_at=at + hours * HOUR,
        reason="VNPT nâng cấp cáp, công văn số 12/VNPT",
    )


def outages(month: EvidenceMonth) -> None:
    """Three outages of the line, each as an hour's minutes and as an outage."""
    for at, down in ((BEFORE + 50 * MINUTE, 40), (WORK + 10 * MINUTE, 30), (LATE + MINUTE, 20)):
        month.send("outage", [samples.outage(began_at=at, down=down)])
        first = at + HOUR if at < BEFORE + HOUR else at
        whole = samples.availability(up=60 - down, down=down, unknown=0, started_at=first)
        month.send("availability", [whole])


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> EvidenceMonth:
    made = EvidenceMonth(tmp_path_factory.mktemp("month"), tests_a_day=1, light_a_day=1)
    outages(made)
    announcements = made.store.maintenance
    announcements.announce(entry(BEFORE, 2, BEFORE - HOUR))
    number = announcements.announce(entry(WORK, 4, WORK - 24 * HOUR))
    announcements.announce(entry(LATE, 2, LATE + HOUR))
    shorter = structs.replace(
        entry(WORK, 3, WORK + 2 * HOUR),
        number=number,
        action=MaintenanceAction.CORRECTED,
        note="xong sớm",
    )
    announcements.add(shorter, after=1)
    made.roll_up()
    return made


def report_of(month: EvidenceMonth, kind: ReportKind, period: str) -> tuple[Report, Path]:
    path = month.folder / f"{kind}.zip"
    name, content = issued(month, kind, parse_period(period))
    write(path, issue_bundle(month, name, content))
    return from_json(content), path


@pytest.fixture(scope="module")
def monthly_issue(month: EvidenceMonth) -> tuple[Report, Path]:
    return report_of(month, ReportKind.MONTHLY, "2026-06")


def bulletin_of(month: EvidenceMonth) -> Report:
    _, content = issued(month, ReportKind.BULLETIN, parse_period("2026-06"))
    return from_json(content)


def texts(document: Document) -> str:
    return repr([(one.paragraphs, one.points, one.tables) for one in document.sections])


def test_availability_is_given_with_and_without_planned_maintenance(
    monthly_issue: tuple[Report, Path],
) -> None:
    report, _ = monthly_issue
    announced = report.maintenance
    assert announced is not None
    assert [(one.status, one.down_minutes, one.entries) for one in announced] == [
        # Of the outage in the night into the month, what lies in both the month and the work.
        (MaintenanceStatus.PLANNED, 30, 1),
        (MaintenanceStatus.PLANNED, 30, 2),
        (MaintenanceStatus.LATE, 0, 1),
    ]
    assert announced[0].scope == "VNPT · Xã Phủ Thông, Tỉnh Thái Nguyên"
    line = next(row for row in report.at(Level.LINE) if row.line == "vnpt" and row.down_minutes)
    assert line.planned_down_minutes == report.total.planned_down_minutes == 60
    up, down = line.up_minutes or 0, line.down_minutes or 0
    assert line.availability_ratio == up / (up + down)
    assert line.availability_without_planned_ratio == up / (up + down - 60)
    said = texts(monthly.document(report))
    for one in ("Bảo trì có kế hoạch", "công văn số 12/VNPT", "không tính là có kế hoạch"):
        assert one in said
    assert "không tính 60 phút gián đoạn" in said


def test_a_weekly_report_has_the_announcements_of_its_week(month: EvidenceMonth) -> None:
    report, path = report_of(month, ReportKind.WEEKLY, "2026-W24")
    assert [one.status for one in report.maintenance or ()] == [MaintenanceStatus.LATE]
    assert "Báo muộn" in texts(weekly.document(report))
    assert report.total.planned_down_minutes == 0
    assert differences(checked(path)) == []


def test_a_bulletin_says_what_was_announced_and_both_availabilities(month: EvidenceMonth) -> None:
    report = bulletin_of(month)
    said = bulletin.text(report)
    reason = "VNPT nâng cấp cáp, công văn số 12/VNPT."
    assert (
        "Bảo trì đường truyền của VNPT tại xã Phủ Thông, tỉnh Thái Nguyên từ 23:00 ngày "
        f"01/06/2026 đến 02:00 ngày 02/06/2026, có báo trước: {reason}"
    ) in said
    assert f"báo muộn nên không tính là có kế hoạch: {reason}" in said
    counted = formatting.percent(report.total.availability_ratio, 2)
    without = formatting.percent(report.total.availability_without_planned_ratio, 2)
    assert (
        f"Tỷ lệ thời gian có mạng là {counted}; không tính 1 giờ gián đoạn trong thời gian bảo trì "
        f"đã báo trước thì là {without}."
    ) in said
    assert ", trong đó 1 giờ do bảo trì đã báo trước." in said


def test_a_bulletin_keeps_silent_about_what_was_withdrawn(month: EvidenceMonth) -> None:
    report = bulletin_of(month)
    gone = [
        structs.replace(one, status=MaintenanceStatus.WITHDRAWN) for one in report.maintenance or ()
    ]
    assert "Bảo trì đường truyền" not in bulletin.text(structs.replace(report, maintenance=gone))
    assert "Bảo trì" not in bulletin.text(structs.replace(report, maintenance=None))


def test_the_workbook_has_the_announcements_with_numbers(
    monthly_issue: tuple[Report, Path],
) -> None:
    report, _ = monthly_issue
    book = openpyxl.load_workbook(io.BytesIO(render(report, ReportFormat.XLSX).content))
    rows = list(book["Bảo trì có kế hoạch"].iter_rows(min_row=2, values_only=True))
    assert [row[-2:] for row in rows] == [
        (one.lines, one.down_minutes) for one in report.maintenance or ()
    ]
    text = [row[0] for row in book["Thông tin"].iter_rows(values_only=True)]
    assert common.availability_both(report) in text


def test_the_same_figures_come_of_a_bundle(
    month: EvidenceMonth, monthly_issue: tuple[Report, Path]
) -> None:
    assert differences(checked(monthly_issue[1])) == []
    path = month.folder / "line.zip"
    write(path, BundlePieces(question(), month.sources()))
    assert differences(checked(path)) == []


def _announced_in_time(entries: list[dict[str, Any]]) -> None:
    """The late one, as if it had been announced the day before."""
    entries[-1]["recorded_at"] = "2026-06-09T00:00:00Z"


def _never_corrected(entries: list[dict[str, Any]]) -> None:
    del entries[2]


def _called_planned(report: dict[str, Any]) -> None:
    report["maintenance"][-1]["status"] = "planned"


def _left_out(report: dict[str, Any]) -> None:
    del report["maintenance"][1]


def _more_minutes(report: dict[str, Any]) -> None:
    report["rows"][0]["planned_down_minutes"] = 80


@pytest.mark.parametrize(
    ("name", "change", "named"),
    [
        ("maintenance.json", _announced_in_time, "planned_down_minutes is 60 in the report, 80"),
        ("maintenance.json", _never_corrected, "maintenance 2: entries is 2 in the report, 1"),
        ("report.json", _called_planned, "maintenance 3: status is planned in the report, late"),
        ("report.json", _left_out, "it has no row of maintenance 2"),
        ("report.json", _more_minutes, "area: planned_down_minutes is 80 in the report, 60"),
    ],
)
def test_a_tampering_is_found_and_named(
    monthly_issue: tuple[Report, Path],
    tmp_path: Path,
    name: str,
    change: Callable[[Any], None],
    named: str,
) -> None:
    files = Files(monthly_issue[1])
    files.json(name, change)
    files.write(tmp_path / "tampered.zip", new_manifest=True)
    found = differences(checked(tmp_path / "tampered.zip"))
    assert any(named in text for text in found), json.dumps(found, indent=1)


def test_an_announcement_that_comes_later_revises_the_issue(tmp_path: Path) -> None:
    month = EvidenceMonth(tmp_path, tests_a_day=1, light_a_day=1)
    outages(month)
    month.roll_up()
    first, _ = report_of(month, ReportKind.MONTHLY, "2026-06")
    assert first.maintenance == []
    month.store.maintenance.announce(entry(LATE, 2, evidence_month.LATER - HOUR))
    second, path = report_of(month, ReportKind.MONTHLY, "2026-06")
    assert second.version == 2
    assert second.revision is not None
    assert second.revision.maintenance_changed
    assert "bảo trì có kế hoạch được bổ sung" in repr(monthly.document(second).head.notes)
    assert differences(checked(path)) == []
    month.store.close()
