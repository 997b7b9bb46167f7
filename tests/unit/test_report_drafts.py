"""Drafts of reports, plans that are received late, completeness where a plan is not known."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import date
from pathlib import Path

import openpyxl
import pypdf
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from collector.domain.planned_tests import monthly_plans
from collector.reports import builder, bulletin, common, flat_table, monthly
from collector.reports.builder import Sources
from collector.reports.rendering import ReportFormat, formats, render
from collector.reports.report import Report, ReportKind
from collector.reports.service import ReportService
from collector.rollup.periods import Period
from tests import report_samples
from tests.report_samples import GROUP, JULY, NOW
from wire.messages import PlannedKind


def service(folder: Path, sources: Sources) -> ReportService:
    return ReportService(lambda: sources, folder, lambda: NOW)


@pytest.fixture(scope="module")
def draft(tmp_path_factory: pytest.TempPathFactory) -> Report:
    folder = tmp_path_factory.mktemp("papers")
    return service(folder, report_samples.sources()).draft(ReportKind.WEEKLY, GROUP)


def content(report: Report, report_format: ReportFormat) -> bytes:
    return render(report, report_format).content


def test_a_draft_has_its_own_name_and_no_number(draft: Report) -> None:
    for report_format in formats(ReportKind.WEEKLY):
        name = render(draft, report_format).name
        assert name == f"weekly_bach-thong-cu_20260720-20260726_draft.{report_format}"
        assert re.fullmatch(r".*_v\d+\..*", name) is None
    assert draft.version is None
    assert "lần phát hành" not in common.footer(draft)


def test_a_draft_says_so_on_each_page_of_its_pdf(draft: Report) -> None:
    pages = pypdf.PdfReader(io.BytesIO(content(draft, ReportFormat.PDF))).pages
    assert len(pages) > 1
    assert all("BẢN NHÁP" in page.extract_text() for page in pages)
    issued = structs.replace(draft, draft=False)
    of_issue = pypdf.PdfReader(io.BytesIO(content(issued, ReportFormat.PDF))).pages
    assert not any("NHÁP" in page.extract_text() for page in of_issue)


def test_a_draft_says_so_in_every_other_format(draft: Report) -> None:
    book = openpyxl.load_workbook(io.BytesIO(content(draft, ReportFormat.XLSX)))
    first = book.worksheets[0]
    assert any("BẢN NHÁP" in str(row[0].value) for row in first.iter_rows(max_row=3))
    assert {sheet.oddHeader.center.text for sheet in book.worksheets} == {"BẢN NHÁP"}
    rows = list(csv.DictReader(io.StringIO(content(draft, ReportFormat.CSV).decode())))
    assert {(row["version"], row["status"]) for row in rows} == {("", "draft")}
    assert json.loads(content(draft, ReportFormat.JSON))["draft"] is True
    assert bulletin.text(draft).startswith("BẢN NHÁP, CHƯA PHÁT HÀNH\n")


def test_an_issue_is_no_draft(tmp_path: Path) -> None:
    reports = service(tmp_path, report_samples.sources())
    reports.draft(ReportKind.BULLETIN, "01969")
    text, record = reports.issue(ReportKind.BULLETIN, "01969")
    assert text.name == "bulletin_01969_20260701-20260731_v1.txt"
    assert "NHÁP" not in text.read_text(encoding="utf-8")
    assert json.loads(record.read_bytes())["draft"] is False
    # What is the same as the issue has nothing to say of a revision.
    assert reports.draft(ReportKind.BULLETIN, "01969").revision is None


def planned(monthly_count: float) -> Sources:
    plan = [PlannedKind("throughput", monthly_count)]
    names = report_samples.registry().probes
    return structs.replace(report_samples.sources(), plans=lambda _: dict.fromkeys(names, plan))


def test_a_plan_that_is_received_late_revises_the_issue(tmp_path: Path) -> None:
    known = report_samples.sources()
    late = structs.replace(known, probes=[structs.replace(p, info=None) for p in known.probes])
    first = service(tmp_path, late)
    first.issue(ReportKind.MONTHLY, "01969")
    second = service(tmp_path, known)
    draft = second.draft(ReportKind.MONTHLY, "01969", JULY)
    assert draft.revision is not None
    assert draft.revision.plans_changed
    assert "Khác với bản phát hành lần 1" in " ".join(monthly.document(draft).head.notes)
    second.issue(ReportKind.MONTHLY, "01969")
    issue = second.archive.latest(ReportKind.MONTHLY, "01969", JULY)
    assert issue is not None
    assert issue.version == 2
    assert "kế hoạch đo của trạm đo" in " ".join(monthly.document(issue).head.notes)
    # Once taken in, it makes no third.
    assert second.issue(ReportKind.MONTHLY, "01969")[0].stem.endswith("_v2")
    # Another plan of the month does.
    assert service(tmp_path, planned(3)).issue(ReportKind.MONTHLY, "01969")[0].stem.endswith("_v3")


def built(sources: Sources, kind: ReportKind = ReportKind.MONTHLY, period: Period = JULY) -> Report:
    area = builder.resolve_area(sources.registry, GROUP)
    return builder.build_report(kind, area, period, sources, now=NOW)


def test_completeness_is_of_the_lines_whose_plan_is_known() -> None:
    known = report_samples.sources()
    without = [
        structs.replace(probe, info=None) if probe.probe == "tram-02014-2" else probe
        for probe in known.probes
    ]
    total = built(structs.replace(known, probes=without)).total
    assert total.completeness_ratio is not None
    assert (total.lines_planned, total.lines) == (9, 10)
    assert "(của 9/10 đường truyền có kế hoạch đo)" in common.completeness(total)
    # A dash above rows of figures would say nothing.
    none = built(structs.replace(known, probes=[])).total
    assert (none.completeness_ratio, none.lines_planned) == (None, 0)
    assert "chưa tính được mức đầy đủ" in common.completeness(none)
    assert "của số liệu: –" not in common.completeness(none)


def test_a_week_of_two_months_is_held_against_both_plans() -> None:
    def plans(month: date) -> dict[tuple[str, str], list[PlannedKind]]:
        plan = [PlannedKind("throughput", 10 if month.month == 7 else 1)]
        return dict.fromkeys(report_samples.registry().probes, plan)

    week = Period(date(2026, 7, 27), date(2026, 8, 2))
    assert list(monthly_plans(plans, week)) == [date(2026, 7, 1), date(2026, 8, 1)]
    sources = structs.replace(report_samples.sources(), plans=plans)
    report = built(sources, ReportKind.WEEKLY, week)
    hours = (NOW - Period(date(2026, 8, 1), date(2026, 8, 1)).starts_at).total_seconds() / 86_400
    assert report.total.planned == round(10 * (5 * 10 + hours * 1))


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_of_a_csv_file_is_itself_and_has_never_three_decimals(value: float) -> None:
    cell = str(flat_table.csv_cell(value))
    assert float(cell) == value
    assert re.fullmatch(r"-?\d+\.\d{3}", cell) is None
    assert "e" not in cell.lower()


def test_what_a_vietnamese_spreadsheet_would_misread() -> None:
    assert flat_table.csv_cell(0.025) == "0.0250"
    assert flat_table.csv_cell(1234.567) == "1234.5670"
    assert flat_table.csv_cell(1.234e-05) == "0.00001234"
    assert flat_table.csv_cell(0.5) == "0.5"
    assert flat_table.csv_cell("01969") == "01969"


def test_the_csv_of_a_report_is_for_programs(draft: Report) -> None:
    assert content(draft, ReportFormat.CSV).startswith(b"paper,area_id,")
