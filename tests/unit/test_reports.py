"""Papers: golden figures, the same ones in every format, layout, issues and revisions."""

from __future__ import annotations

import argparse
import csv
import io
import json
import zipfile
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import openpyxl
import pypdf
import pytest

from collector.domain.assessment import NoVerdictReason, Verdict
from collector.reports import (
    builder,
    bulletin,
    cli,
    common,
    flat_table,
    formatting,
    monthly,
    pdf,
    rendering,
    weekly,
)
from collector.reports.archive import Archive, ArchiveError
from collector.reports.builder import Sources
from collector.reports.layout import Document
from collector.reports.rendering import RenderedFile, ReportFormat, render
from collector.reports.report import (
    Level,
    OfficeConfig,
    Report,
    ReportKind,
    ReportRow,
    last_complete_period,
)
from collector.reports.service import ReportService, require_period
from collector.rollup.distribution import distribution
from collector.rollup.periods import Period, parse_period
from collector.rollup.summary import KindCounts, Summary
from tests import report_samples
from tests.report_samples import GOLDEN, GROUP, JULY, NOW, WEEK, FakeSummaries, key
from wire.messages import PlannedKind
from wire.result import Family


@pytest.fixture(scope="module")
def week() -> Report:
    return report_samples.weekly()


@pytest.fixture(scope="module")
def month() -> Report:
    return report_samples.monthly()


def line_row(report: Report, probe: str, line: str) -> ReportRow:
    return next(r for r in report.at(Level.LINE) if (r.probe, r.line) == (probe, line))


def all_text(document: Document) -> str:
    sections = [*document.sections, *document.appendices]
    parts = [document.head.about, *document.head.notes, document.footer]
    for section in sections:
        parts += [section.heading, *section.paragraphs, *section.points]
        for table in section.tables:
            parts += [table.caption, *table.columns, *(cell for row in table.rows for cell in row)]
    return "\n".join(parts)


# Golden reports


@cache
def golden() -> dict[str, bytes]:
    return report_samples.golden()


def like(found: Any, wanted: Any) -> bool:
    """Equal, floats to nine digits: the last bit of a logarithm is the machine's."""
    if isinstance(wanted, dict):
        return found.keys() == wanted.keys() and all(like(found[k], wanted[k]) for k in wanted)
    if isinstance(wanted, list):
        return len(found) == len(wanted) and all(map(like, found, wanted))
    if isinstance(wanted, float):
        return bool(found == pytest.approx(wanted, rel=1e-9))
    return bool(found == wanted)


@pytest.mark.parametrize("name", ["weekly.json", "monthly.json"])
def test_figures_are_the_golden_ones(name: str) -> None:
    made = json.loads(golden()[name])
    assert like(made, json.loads((GOLDEN / name).read_bytes())), "look, then write them anew"


@pytest.mark.parametrize("name", ["weekly.csv", "monthly.csv"])
def test_csv_is_the_golden_one(name: str) -> None:
    made, wanted = (
        list(csv.reader(io.StringIO(content.decode("utf-8"), newline="")))
        for content in (golden()[name], (GOLDEN / name).read_bytes())
    )
    assert [[_number(cell) for cell in row] for row in made] == [
        [_number(cell) for cell in row] for row in wanted
    ]


def _number(cell: str) -> object:
    try:
        return pytest.approx(float(cell), rel=1e-9)
    except ValueError:
        return cell


def test_the_bulletin_is_the_golden_one() -> None:
    wanted = (GOLDEN / "bulletin.txt").read_text(encoding="utf-8")
    assert bulletin.text(report_samples.bulletin()) == wanted


# Figures


def test_every_registered_line_has_a_row_measured_or_not(month: Report) -> None:
    assert len(month.at(Level.LINE)) == 10
    never = line_row(month, "tram-02014-1", "vnpt")
    assert (never.tests, never.download.mean_bps, never.rtt_mean_ms) == (0, None, None)
    assert never.unknown_minutes == 31 * 1440, "what nobody told us of is unknown, not up"


def test_verdicts_are_those_of_the_method(month: Report) -> None:
    verdicts = {
        (row.probe, row.line): (row.download.verdict, row.download.why)
        for row in month.at(Level.LINE)
    }
    assert verdicts["tram-01969-1", "vnpt"] == (Verdict.MET, None)
    assert verdicts["tram-01969-1", "viettel"] == (Verdict.NOT_MET, None)
    assert verdicts["tram-02008-1", "vnpt"] == (
        Verdict.NONE,
        NoVerdictReason.INTERVAL_CONTAINS_THRESHOLD,
    )
    assert verdicts["tram-01981-1", "vnpt"] == (Verdict.NONE, NoVerdictReason.INSUFFICIENT_SAMPLES)
    assert verdicts["tram-02014-1", "viettel"] == (Verdict.NONE, NoVerdictReason.NO_DECLARED_SPEED)
    assert verdicts["tram-02014-1", "vnpt"] == (Verdict.NONE, NoVerdictReason.NO_SAMPLES)
    assert all(row.rtt_why is not None for row in month.rows), "the threshold is not verified"


def test_communes_and_the_area_bear_no_verdict(month: Report) -> None:
    for row in (*month.at(Level.COMMUNE), month.total):
        assert (row.download.verdict, row.download.why) == (
            Verdict.NONE,
            NoVerdictReason.SEVERAL_PLANS,
        )
    assert (month.total.lines_met, month.total.lines_not_met) == (1, 1)


def test_levels_add_up(month: Report) -> None:
    for level in (Level.COMMUNE, Level.ISP_PLAN, Level.LINE):
        rows = month.at(level)
        for name in ("lines", "tests", "attempted", "valid", "skipped", "down_minutes"):
            assert sum(getattr(r, name) for r in rows) == getattr(month.total, name), (level, name)
        weighted = sum((r.download.mean_bps or 0) * r.download.samples for r in rows)
        mean = weighted / month.total.download.samples
        assert mean == pytest.approx(month.total.download.mean_bps)


def test_a_period_that_is_not_over_expects_less() -> None:
    given = report_samples.sources()
    area = builder.resolve_area(given.registry, GROUP)
    noon = datetime(2026, 7, 11, 5, 0, tzinfo=UTC)  # 12:00 in Vietnam
    report = builder.build_report(ReportKind.MONTHLY, area, JULY, given, now=noon)
    assert not report.whole
    assert report.total.planned == 10 * 42 * 10.5
    assert "chưa kết thúc" in all_text(monthly.document(report))


def test_a_month_is_held_against_its_own_plan() -> None:
    given = msgspec.structs.replace(
        report_samples.sources(),
        plans=lambda month: {
            (report_samples.TENANT, "tram-01969-1"): [PlannedKind("throughput", month.month)]
        },
    )
    report = builder.build_report(
        ReportKind.MONTHLY, builder.resolve_area(given.registry, GROUP), JULY, given, now=NOW
    )
    assert line_row(report, "tram-01969-1", "vnpt").planned == 7 * 31
    assert line_row(report, "tram-01969-2", "vnpt").planned == 31 * 42, (
        "today's, where none is known"
    )


def test_what_somebody_asked_for_fills_no_gap(summaries: FakeSummaries) -> None:
    """A week of a plan of 42 a day without its last two days, and 84 tests by hand."""
    line, kinds = key("tram-01969-1", "vnpt"), {"throughput": KindCounts(ok=42)}
    given = report_samples.sources(summaries)
    area = builder.resolve_area(given.registry, "01969")
    for day in WEEK.each_day():
        summaries.put(line, day, Summary(kinds))
    asked = {"throughput": KindCounts(ok=84, flags={"on_demand": 84})}
    for day in (WEEK.last, WEEK.last - timedelta(days=1)):
        summaries.put(line, day, Summary(asked if day == WEEK.last else {}))
    report = builder.build_report(ReportKind.WEEKLY, area, WEEK, given, now=NOW)
    row = line_row(report, "tram-01969-1", "vnpt")
    assert (row.tests, row.planned) == (7 * 42, 7 * 42), "they count for the campaign"
    assert row.completeness_ratio == pytest.approx(5 / 7)


def test_what_waits_to_be_rolled_up_is_said(summaries: FakeSummaries) -> None:
    summaries.left = 1_234
    given = report_samples.sources(summaries)
    report = builder.build_report(
        ReportKind.WEEKLY, builder.resolve_area(given.registry, GROUP), WEEK, given, now=NOW
    )
    assert weekly.document(report).head.notes == [
        "Còn 1.234 kết quả đã nhận nhưng chưa được tổng hợp"
    ]


def test_the_week_names_whom_to_urge(week: Report) -> None:
    named = {(row.probe, row.line) for row in weekly.below_minimum(week)}
    assert named == {("tram-02014-1", "vnpt"), ("tram-02014-2", "viettel")}
    assert [(one.monday, one.lines_enough) for one in week.weeks] == [
        (WEEK.first - timedelta(days=7 * back), 8 if back == 0 else 9) for back in (4, 3, 2, 1, 0)
    ]
    assert {one.commune_code: one.tests >= 300 for one in week.commune_month} == dict.fromkeys(
        ("01969", "01981", "02008", "02014"), True
    )


# Formats


def test_all_formats_say_the_same(month: Report) -> None:
    assert flat_table.as_json(
        flat_table.from_json(flat_table.as_json(month))
    ) == flat_table.as_json(month)
    rows = list(csv.DictReader(io.StringIO(flat_table.as_csv(month).decode("utf-8"), newline="")))
    book = openpyxl.load_workbook(io.BytesIO(render(month, ReportFormat.XLSX).content))
    sheet = book["Theo đường truyền"]
    heads = [cell.value for cell in sheet[1]]
    for number, row in enumerate(month.at(Level.LINE), start=2):
        cells = dict(zip(heads, [cell.value for cell in sheet[number]], strict=True))
        (csv_row,) = (r for r in rows if (r["probe"], r["line"]) == (row.probe, row.line))
        assert cells["Trạm đo"] == row.probe
        assert int(csv_row["tests"]) == cells["Lần đo"] == row.tests
        mean = row.download.mean_bps
        if mean is None:
            assert csv_row["download_mean_bps"] == ""
            assert cells["Tải xuống: trung bình (Mbit/s)"] is None
        else:
            assert float(csv_row["download_mean_bps"]) == mean
            assert cells["Tải xuống: trung bình (Mbit/s)"] == pytest.approx(mean / 1e6, abs=0.001)


def test_a_name_that_looks_like_a_formula_stays_a_name(month: Report) -> None:
    rows = [
        msgspec.structs.replace(row, office="=1+1") if row.office else row for row in month.rows
    ]
    odd = msgspec.structs.replace(month, rows=rows)
    book = openpyxl.load_workbook(io.BytesIO(render(odd, ReportFormat.XLSX).content))
    cell = book["Theo đường truyền"]["C2"]
    assert (cell.value, cell.data_type) == ("=1+1", "s")


def test_the_same_paper_gives_the_same_workbook(month: Report) -> None:
    one, other = (render(month, ReportFormat.XLSX).content for _ in range(2))
    parts = [zipfile.ZipFile(io.BytesIO(content)) for content in (one, other)]
    assert parts[0].namelist() == parts[1].namelist()
    for name in parts[0].namelist():
        assert parts[0].read(name) == parts[1].read(name), name


@pytest.mark.parametrize("kind", [ReportKind.WEEKLY, ReportKind.MONTHLY])
def test_the_pdf_is_an_official_document(kind: ReportKind, week: Report, month: Report) -> None:
    report = week if kind is ReportKind.WEEKLY else month
    reader = pypdf.PdfReader(io.BytesIO(render(report, ReportFormat.PDF).content))
    text = " ".join(text_of_page(reader, number) for number in range(len(reader.pages)))
    for said in (
        "CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM",
        "Độc lập - Tự do - Hạnh phúc",
        "UBND TỈNH THÁI NGUYÊN",
        "Số: ……/BC-SVHTTDL",
        "Thái Nguyên, ngày …… tháng 8 năm 2026",
        "BÁO CÁO",
        "so sánh tham khảo",
        "Nơi nhận:",
        "- Lưu: VT.",
        "GIÁM ĐỐC",
        "Phụ lục I",
        f"ngưỡng {report.thresholds.version}",
        formatting.share_of(report.total.valid, report.total.attempted),
        "Chưa kiểm chứng, không kết luận",
        "QCVN 34:2022/BTTTT",
    ):
        assert said in text, said
    assert "None" not in text
    assert "nan" not in text.split()
    first = reader.pages[0].mediabox
    assert (round(float(first.width)), round(float(first.height))) == (595, 842), "A4"
    assert str(reader.root_object["/Lang"]) == "vi"
    fonts = {
        str(font.get_object()["/BaseFont"])
        for page in reader.pages
        for font in page.get("/Resources", {}).get("/Font", {}).values()
    }
    assert fonts, "text has fonts"
    # Liberation Serif has no Vietnamese: letters of another font would stand among its own.
    assert all("+Tinos" in font for font in fonts), fonts
    assert not text_of_page(reader, 0).startswith("1 "), "the first page bears no number"
    assert "2" in text_of_page(reader, 1).split()


def text_of_page(reader: pypdf.PdfReader, number: int) -> str:
    return " ".join(reader.pages[number].extract_text().split())


def test_what_the_office_did_not_say_is_dots(month: Report) -> None:
    bare = msgspec.structs.replace(month, office=OfficeConfig())
    head = monthly.document(bare).head
    assert set(head.office) == {"…"}
    assert head.number == "Số: ……/BC-……"


COMMITTEE = OfficeConfig(
    parent="",
    name="Ủy ban nhân dân\nxã Phủ Thông",
    place="Phủ Thông",
    symbol="BC-UBND",
    signer_title="TM. Ủy ban nhân dân\nChủ tịch",
    signer_name="Nguyễn Văn A",
)


def test_a_committee_has_no_superior_and_signs_in_two_lines(month: Report) -> None:
    """Nghị định 30/2020/NĐ-CP, Phụ lục I: what stands above a committee's name is nothing."""
    report = msgspec.structs.replace(month, office=COMMITTEE)
    reader = pypdf.PdfReader(io.BytesIO(render(report, ReportFormat.PDF).content))
    lines = [line.strip() for page in reader.pages for line in page.extract_text().splitlines()]
    assert lines[:2] == ["ỦY BAN NHÂN DÂN", "XÃ PHỦ THÔNG"], "its own name is the first"
    title = lines.index("TM. ỦY BAN NHÂN DÂN")
    assert lines[title + 1] == "CHỦ TỊCH"
    assert "Nguyễn Văn A" in lines[title:]
    # A row of dots waits for a pen; where there is no superior nothing does.
    unsaid = monthly.document(msgspec.structs.replace(month, office=OfficeConfig())).head
    assert set(unsaid.parent) == {"…"}


def test_a_pdf_for_the_nation_is_refused_with_what_to_do(month: Report) -> None:
    many = msgspec.structs.replace(month, rows=[*month.rows, *month.at(Level.LINE) * 60])
    with pytest.raises(pdf.TooManyRowsError, match="choose a smaller area, or XLSX or CSV"):
        render(many, ReportFormat.PDF)
    assert len(render(many, ReportFormat.XLSX).content) > 10_000


def test_the_page_is_escaped_and_fetches_nothing(month: Report) -> None:
    area = '<img src="http://203.0.113.9/x.png">'
    document = monthly.document(msgspec.structs.replace(month, area=area))
    page = pdf.html(document)
    assert "<img" not in page
    assert "http" not in page.replace(common.method()[0], "").replace("&lt;img src=&#34;http", "")


def test_a_bulletin_is_not_a_pdf() -> None:
    with pytest.raises(ValueError, match="is not made as pdf"):
        render(report_samples.bulletin(), ReportFormat.PDF)


@pytest.mark.parametrize(
    ("value", "digits", "shown"),
    [(1234.56, 1, "1.234,6"), (0, 0, "0"), (None, 2, "–"), (1e6, 0, "1.000.000")],
)
def test_numbers_are_vietnamese(value: float | None, digits: int, shown: str) -> None:
    assert formatting.number(value, digits) == shown


def test_what_is_not_all_is_not_100_percent() -> None:
    assert formatting.percent(0.99999, 2) == "99,99%"
    assert formatting.percent(1.0, 2) == "100,00%"


def test_january_and_february_bear_a_zero() -> None:
    assert [formatting.month(m) for m in (1, 2, 3, 12)] == ["01", "02", "3", "12"]


# Issues


@pytest.fixture
def summaries() -> FakeSummaries:
    return FakeSummaries()


@pytest.fixture
def reports(summaries: FakeSummaries, tmp_path: Path) -> ReportService:
    sources = report_samples.sources(summaries)
    return ReportService(lambda: sources, tmp_path / "papers", lambda: NOW)


def test_an_issue_is_kept_in_every_format_and_asked_again_is_the_same(
    reports: ReportService,
) -> None:
    files = reports.issue(ReportKind.MONTHLY, GROUP)
    assert [file.name for file in files] == [
        f"monthly_bach-thong-cu_20260701-20260731_v1.{ending}"
        for ending in ("pdf", "xlsx", "csv", "json")
    ]
    before = {file: file.read_bytes() for file in files}
    assert reports.issue(ReportKind.MONTHLY, GROUP) == files
    assert {file: file.read_bytes() for file in files} == before


def test_late_results_make_a_revised_issue(
    reports: ReportService, summaries: FakeSummaries
) -> None:
    reports.issue(ReportKind.BULLETIN, "01969")
    summaries.changed[key("tram-01969-1", "vnpt"), date(2026, 7, 9)] = summaries.now + 1
    summaries.changed[key("tram-01981-1", "vnpt"), date(2026, 7, 10)] = summaries.now + 2
    summaries.now += 2
    (issue,) = reports.archive.issues()
    assert reports.changed_since(issue) == [date(2026, 7, 9)]
    draft = reports.draft(ReportKind.BULLETIN, "01969", JULY)
    assert draft.revision is not None
    assert (draft.revision.version, list(draft.revision.days)) == (None, [date(2026, 7, 9)])
    assert "Bản sửa đổi" not in bulletin.text(draft)
    assert [f.name for f in reports.issue(ReportKind.BULLETIN, "01969")] == [
        f"bulletin_01969_20260701-20260731_v2.{ending}" for ending in ("txt", "json")
    ]
    issued = reports.archive.latest(ReportKind.BULLETIN, "01969", JULY)
    assert issued is not None
    assert "Bản sửa đổi" in bulletin.text(issued)
    assert [reports.changed_since(one) for one in reports.archive.issues()] == [[], []]
    # What the second issue has taken in does not make a third.
    assert [one.version for one in reports.archive.issues()] == [2, 1]
    reports.issue(ReportKind.BULLETIN, "01969")
    assert [one.version for one in reports.archive.issues()] == [2, 1]


def test_an_issue_made_before_blocks_of_days_keeps_its_intervals(tmp_path: Path) -> None:
    """The record is one that the build before decision 103 wrote, of the same figures."""
    (record,) = GOLDEN.with_name("issued").iterdir()
    folder = tmp_path / "papers"
    folder.mkdir()
    (folder / record.name).write_bytes(record.read_bytes())
    reports = ReportService(report_samples.sources, folder, lambda: NOW)
    before = flat_table.from_json(record.read_bytes())
    now_made = reports.draft(ReportKind.MONTHLY, GROUP, JULY)
    rows = [line_row(one, "tram-02008-1", "vnpt").download for one in (before, now_made)]
    assert rows[0].mean_bps == rows[1].mean_bps
    assert rows[0].mean_low_bps != rows[1].mean_low_bps
    assert now_made.revision == before.revision, "another method alone makes no revision"
    reports.issue(ReportKind.MONTHLY, GROUP, JULY)
    assert (folder / record.name).read_bytes() == record.read_bytes()
    assert [one.version for one in reports.archive.issues()] == [1]
    (csv_file,) = folder.glob("*.csv")
    text = csv_file.read_text(encoding="utf-8")
    assert repr(rows[0].mean_low_bps) in text
    assert repr(rows[1].mean_low_bps) not in text


def test_no_format_has_an_interval_below_zero(summaries: FakeSummaries) -> None:
    """A line that is fast in one block of days and stands still in the others."""
    for day in JULY.each_day():
        bps = 100e6 if day.day <= 8 else 1e6
        put = Summary(
            kinds={"throughput": KindCounts(ok=2, valid=2)},
            metrics={"throughput_download_whole_bps": distribution([bps, bps])},
        )
        summaries.put(key("tram-01969-1", "vnpt"), day, put)
    given = report_samples.sources(summaries)
    area = builder.resolve_area(given.registry, GROUP)
    report = builder.build_report(ReportKind.MONTHLY, area, JULY, given, now=NOW)
    down = line_row(report, "tram-01969-1", "vnpt").download
    assert down.mean_bps is not None
    assert down.mean_high_bps is not None
    assert down.mean_low_bps == 0
    assert down.mean_high_bps > 2 * down.mean_bps, "the interval would reach below zero"
    rows = list(
        csv.DictReader(
            io.StringIO(render(report, ReportFormat.CSV).content.decode("utf-8"), newline="")
        )
    )
    (row,) = (
        r for r in rows if (r["level"], r["probe"], r["line"]) == ("line", "tram-01969-1", "vnpt")
    )
    assert float(row["download_mean_low_bps"]) == 0
    book = openpyxl.load_workbook(io.BytesIO(render(report, ReportFormat.XLSX).content))
    cells = [cell.value for sheet in book for line in sheet.iter_rows() for cell in line]
    assert min(cell for cell in cells if isinstance(cell, int | float)) >= 0
    assert json.loads(render(report, ReportFormat.JSON).content)


def test_a_week_has_no_interval_and_says_why(week: Report) -> None:
    down = line_row(week, "tram-01969-1", "vnpt").download
    assert down.samples == 280
    assert (down.mean_low_bps, down.mean_high_bps) == (None, None)
    assert down.why is NoVerdictReason.INSUFFICIENT_SAMPLES
    (group,) = (r for r in week.at(Level.ISP_PLAN) if (r.isp, r.lines) == ("VNPT", 4))
    assert formatting.interval(group.download) == "–"


def test_a_revised_paper_says_what_it_replaces(month: Report, summaries: FakeSummaries) -> None:
    summaries.changed[key("tram-01969-1", "vnpt"), date(2026, 7, 9)] = summaries.now + 1
    given = report_samples.sources(summaries)
    area = builder.resolve_area(given.registry, GROUP)
    report = builder.build_report(ReportKind.MONTHLY, area, JULY, given, now=NOW, issued=month)
    (note,) = monthly.document(report).head.notes
    assert note == (
        "BẢN SỬA ĐỔI, phát hành lần 2; thay thế bản phát hành lần 1 lúc 08:30 ngày 01/08/2026; "
        "lý do: có kết quả bổ sung của ngày 09/07/2026"
    )


def test_new_thresholds_make_a_revised_issue(month: Report) -> None:
    given = report_samples.sources()
    newer = msgspec.structs.replace(given.thresholds, version="2027-01-01")
    given = msgspec.structs.replace(given, thresholds=newer)
    area = builder.resolve_area(given.registry, GROUP)
    report = builder.build_report(ReportKind.MONTHLY, area, JULY, given, now=NOW, issued=month)
    assert report.revision is not None
    assert report.revision.thresholds_changed


def replanned(given: Sources, **changes: object) -> Sources:
    """With another plan of one line."""
    probe = given.registry.probes["bach-thong", "tram-01969-1"]
    first, *rest = probe.lines
    changed = msgspec.structs.replace(first, **changes)
    probe = msgspec.structs.replace(probe, lines=(changed, *rest))
    probes = {**given.registry.probes, ("bach-thong", "tram-01969-1"): probe}
    registry = msgspec.structs.replace(given.registry, probes=probes)
    return msgspec.structs.replace(given, registry=registry)


def test_a_plan_that_was_mended_makes_a_revised_issue(month: Report) -> None:
    given = replanned(report_samples.sources(), plan_down_bps=400e6)
    area = builder.resolve_area(given.registry, GROUP)
    report = builder.build_report(ReportKind.MONTHLY, area, JULY, given, now=NOW, issued=month)
    assert report.revision is not None
    assert report.revision.registry_changed
    (note,) = monthly.document(report).head.notes
    assert note.endswith("lý do: sổ đăng ký (đường truyền, gói cước, cơ quan) đã thay đổi")
    again = builder.build_report(ReportKind.MONTHLY, area, JULY, given, now=NOW, issued=report)
    assert again.revision == report.revision, "and the next one is the same issue"
    assert flat_table.from_json(flat_table.as_json(report)).revision == report.revision


def test_a_contract_of_the_month_itself_is_held_against_nobody() -> None:
    before = report_samples.sources()
    area = builder.resolve_area(before.registry, GROUP)
    for contract, why in (
        (date(2026, 7, 1), None),
        (date(2026, 7, 15), NoVerdictReason.SEVERAL_PLANS),
        (date(2026, 8, 1), NoVerdictReason.SEVERAL_PLANS),
    ):
        given = replanned(before, contract_date=contract)
        report = builder.build_report(ReportKind.MONTHLY, area, JULY, given, now=NOW)
        down = line_row(report, "tram-01969-1", "vnpt").download
        assert (down.why, down.declared_bps) == (why, 300e6)
        assert down.verdict is (Verdict.MET if why is None else Verdict.NONE)
        (group,) = (r for r in report.at(Level.ISP_PLAN) if (r.isp, r.lines) == ("VNPT", 4))
        assert group.download.why is not None or why is None


def tried_in_vain(report: Report, **changes: int) -> Report:
    """The report of one line on which no speed test went well."""
    rows = [
        msgspec.structs.replace(
            row, tests=0, valid=0, lines_measured=0,
            **{"attempted": 0, "skipped": 0, "up_minutes": 0, "down_minutes": 0} | changes,
        )
        for row in (report.total, line_row(report, "tram-01969-1", "vnpt"))
    ]  # fmt: skip
    return msgspec.structs.replace(report, rows=rows)


def test_a_line_that_was_down_all_the_time_is_not_blamed_on_the_office(week: Report) -> None:
    silent, down = tried_in_vain(week), tried_in_vain(week, attempted=14, down_minutes=10_080)
    assert "không ghi nhận được kết quả nào" in bulletin.text(silent)
    told = bulletin.text(down)
    assert "nguồn điện" not in told
    assert "không đo được tốc độ (14 lần đo đều lỗi). Tổng thời gian gián đoạn 168 giờ" in told
    power, isp = "kiểm tra nguồn điện", "Đề nghị doanh nghiệp viễn thông phối hợp"
    for report, asked, not_asked in ((silent, power, isp), (down, isp, power)):
        points = [p for s in weekly.document(report).sections for p in s.points]
        assert any(asked in point for point in points)
        assert not any(not_asked in point for point in points)


def test_no_spreadsheet_takes_a_name_for_a_formula(week: Report) -> None:
    row = msgspec.structs.replace(week.rows[-1], office='=HYPERLINK("https://x.example";"xem")')
    report = msgspec.structs.replace(week, rows=[*week.rows[:-1], row])
    text = flat_table.as_csv(report).decode("utf-8")
    (*_, last) = csv.DictReader(io.StringIO(text, newline=""))
    assert last["office"].startswith("'=")
    assert flat_table.csv_cell(-1.5) == "-1.5"


@pytest.mark.parametrize("text", ["9999-12", "9999-W52", "0001-01-01", "1969-12-31..1970-01-01"])
def test_a_period_beyond_all_measuring_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no week|outside the years"):
        parse_period(text)


def test_what_is_not_over_is_drawn_up_but_not_issued(
    summaries: FakeSummaries, tmp_path: Path
) -> None:
    sources = report_samples.sources(summaries)
    reports = ReportService(lambda: sources, tmp_path, lambda: datetime(2026, 7, 30, tzinfo=UTC))
    assert not reports.draft(ReportKind.MONTHLY, GROUP, JULY).whole
    with pytest.raises(ValueError, match="not over"):
        reports.issue(ReportKind.MONTHLY, GROUP, JULY)


def test_a_spoiled_record_is_told_not_written_over(reports: ReportService) -> None:
    *_, record = reports.issue(ReportKind.BULLETIN, "01969")
    record.write_text("{")
    with pytest.raises(ArchiveError, match="is not the record of a report"):
        reports.issue(ReportKind.BULLETIN, "01969")


@pytest.mark.parametrize("name", ["../secret.json", ".hidden_v1.json", "weekly_a_b_v1.json", ""])
def test_only_the_files_of_issues_are_given_out(reports: ReportService, name: str) -> None:
    *_, record = reports.issue(ReportKind.BULLETIN, "01969")
    assert reports.archive.file(record.name) == record
    assert reports.archive.file(name) is None


def test_a_file_that_a_full_disk_left_without_its_record_is_of_no_issue(tmp_path: Path) -> None:
    report = report_samples.bulletin()
    archive = Archive(tmp_path)
    left = render(report, ReportFormat.JSON).name.replace(".json", ".txt")
    (tmp_path / left).write_bytes(b"other figures")
    archive.save(report, [RenderedFile(left, "text/plain", b"these figures")])
    assert (tmp_path / left).read_bytes() == b"these figures"
    archive.save(report, [RenderedFile(left, "text/plain", b"later ones")])
    assert (tmp_path / left).read_bytes() == b"these figures", "it is issued"


def test_an_archive_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "papers").write_text("a file where the folder should be")
    with pytest.raises(ArchiveError, match="cannot be written"):
        Archive(tmp_path / "papers").save(report_samples.bulletin(), [])


# Periods, areas, the command


@pytest.mark.parametrize(
    ("kind", "now", "period"),
    [
        (ReportKind.WEEKLY, "2026-07-26T16:59:00+00:00", "2026-W29"),
        (ReportKind.WEEKLY, "2026-07-26T17:00:00+00:00", "2026-W30"),
        (ReportKind.MONTHLY, "2026-07-31T16:59:00+00:00", "2026-06"),
        (ReportKind.BULLETIN, "2026-07-31T17:00:00+00:00", "2026-07"),
    ],
)
def test_the_last_whole_period_is_by_vietnams_clock(
    kind: ReportKind, now: str, period: str
) -> None:
    assert last_complete_period(kind, datetime.fromisoformat(now)) == parse_period(period)


def test_a_report_is_of_its_own_period() -> None:
    with pytest.raises(ValueError, match="is not a week"):
        require_period(ReportKind.WEEKLY, JULY)
    with pytest.raises(ValueError, match="is not a month"):
        require_period(ReportKind.MONTHLY, WEEK)
    require_period(ReportKind.BULLETIN, Period(date(2026, 7, 3), date(2026, 7, 5)))


@pytest.mark.parametrize(
    ("name", "lines", "title"),
    [(GROUP, 10, "huyện Bạch Thông (cũ)"), ("01969", 3, "Xã Phủ Thông"),
     ("all", 10, "Toàn bộ các trạm đo"), ("19", 10, "Tỉnh Thái Nguyên")],
)  # fmt: skip
def test_an_area_is_a_group_a_commune_a_province_or_all(name: str, lines: int, title: str) -> None:
    area = builder.resolve_area(report_samples.registry(), name)
    assert (len(area.lines), area.name) == (lines, title)


def test_the_province_stands_beside_a_name_where_two_could_be_meant() -> None:
    """There is a Xã Cẩm Giàng in Thái Nguyên and one in Hải Phòng."""
    given = report_samples.sources()
    more = msgspec.structs.replace(
        given.registry.probes[report_samples.TENANT, "tram-02008-1"],
        probe="tram-10903-1",
        commune="10903",
    )
    both = msgspec.structs.replace(
        given.registry, probes={**given.registry.probes, (more.tenant, more.probe): more}
    )

    def report(area: str) -> Report:
        return builder.build_report(
            ReportKind.WEEKLY,
            builder.resolve_area(both, area),
            WEEK,
            msgspec.structs.replace(given, registry=both),
            now=NOW,
        )

    nation = report("all")
    names = {row.commune for row in nation.at(Level.COMMUNE)}
    assert names >= {"Xã Cẩm Giàng, Thái Nguyên", "Xã Cẩm Giàng, Hải Phòng", "Xã Phủ Thông"}
    assert names == {one.commune for one in nation.commune_month}
    assert "Xã Cẩm Giàng, Hải Phòng" in all_text(weekly.document(nation))
    # The title says which province it is.
    assert "Xã Cẩm Giàng" in {row.commune for row in report("19").at(Level.COMMUNE)}
    assert report("10903").area == "Xã Cẩm Giàng, Hải Phòng"


@pytest.mark.parametrize(
    ("name", "problem"), [("99999", "there is no group"), ("00004", "no line")]
)
def test_an_area_without_lines_is_refused(name: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        builder.resolve_area(report_samples.registry(), name)


def run(reports: ReportService, *arguments: str) -> int:
    parser = argparse.ArgumentParser()
    cli.add_arguments(parser)
    return cli.run(parser.parse_args(arguments), reports)


def test_the_command_draws_up_into_a_folder(
    reports: ReportService, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run(reports, "weekly", "--period", "2026-W30", "--group", GROUP, "--format", "csv",
               "--format", "json", "--out", str(out)) == 0  # fmt: skip
    assert [Path(p).name for p in capsys.readouterr().out.split()] == [
        "weekly_bach-thong-cu_20260720-20260726_draft.csv",
        "weekly_bach-thong-cu_20260720-20260726_draft.json",
    ]
    assert reports.archive.issues() == []


def test_the_command_issues_for_every_group(
    reports: ReportService, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(reports, "bulletin", "--period", "2026-07") == 0
    assert len(capsys.readouterr().out.split()) == 2
    (issue,) = reports.archive.issues()
    assert issue[:4] == (ReportKind.BULLETIN, GROUP, JULY, 1)
    assert [path.suffix for path in issue.files] == [".json", ".txt"]


def test_the_file_s_ending_is_the_format(reports: ReportService, tmp_path: Path) -> None:
    file = tmp_path / "tin.txt"
    assert run(reports, "bulletin", "--group", "01969", "--out", str(file)) == 0
    title = "BẢN NHÁP, CHƯA PHÁT HÀNH\nBẢN TIN CHẤT LƯỢNG INTERNET – XÃ PHỦ THÔNG"
    assert file.read_text(encoding="utf-8").startswith(title)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["weekly", "--group", "nowhere"], "there is no group"),
        (["monthly", "--period", "2026-W30", "--group", GROUP], "is not a month"),
        (["weekly", "--group", GROUP, "--format", "pdf"], "--format goes with --out"),
        (["bulletin", "--group", "01969", "--format", "pdf", "--out", "x"], "is not made as pdf"),
    ],
)
def test_wrong_orders_are_refused_in_a_sentence(
    reports: ReportService, arguments: list[str], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(reports, *arguments) == cli.BAD_INPUT
    assert problem in capsys.readouterr().err


def test_file_names_cannot_leave_the_folder(month: Report) -> None:
    assert "/" not in rendering.stem(month)


# Address families


def over(family_tests: int, mbps: float, packets: float = 600.0) -> Summary:
    return Summary(
        {"throughput": KindCounts(ok=family_tests, valid=family_tests)},
        {
            "throughput_download_whole_bps": distribution([mbps * 1e6] * family_tests),
            "latency_rtt_mean_ms": distribution([10.0]),
        },
        {"latency_sent": packets, "latency_lost": 6.0},
    )


def dual_stack(summaries: FakeSummaries) -> Report:
    """July, of which one line was measured over both families on its 20th and 21st."""
    for day in (20, 21):
        sums = {"availability_up_minutes": 1_440.0, "availability_ipv6_down_minutes": 30.0}
        up = Summary(sums=sums)
        summaries.split(
            key("tram-01969-1", "vnpt"),
            date(2026, 7, day),
            {Family.IPV4: over(600, 250), Family.IPV6: over(200, 50), None: up},
        )
    sources = report_samples.sources(summaries)
    area = builder.resolve_area(sources.registry, GROUP)
    return builder.build_report(ReportKind.MONTHLY, area, JULY, sources, now=NOW)


def test_a_report_has_each_family_and_a_verdict_of_both(
    summaries: FakeSummaries, month: Report
) -> None:
    report = dual_stack(summaries)
    rows = {row.family: row for row in report.at(Level.LINE_FAMILY)}
    assert list(rows) == ["ipv4", "ipv6", "unstated"]
    whole = line_row(report, "tram-01969-1", "vnpt")
    assert sum(row.download.samples for row in rows.values()) == whole.download.samples
    weighted = sum(row.download.samples * (row.download.mean_bps or 0) for row in rows.values())
    assert whole.download.mean_bps == pytest.approx(weighted / whole.download.samples)
    # The line has its verdict, of both; a family has none, and no minutes of its own.
    assert whole.download.why is not NoVerdictReason.ONE_FAMILY
    for row in rows.values():
        assert (row.download.verdict, row.download.why) == (
            Verdict.NONE,
            NoVerdictReason.ONE_FAMILY,
        )
        assert (row.up_minutes, row.unknown_minutes, row.availability_ratio) == (None, None, None)
        assert row.ipv6_down_minutes is None
        assert (row.office, row.line) == (whole.office, "vnpt")
    assert (whole.ipv4_down_minutes, whole.ipv6_down_minutes) == (None, 60)
    area = {row.family: row for row in report.at(Level.FAMILY)}
    assert list(area) == ["ipv4", "ipv6", "unstated"]
    assert area["ipv6"].download.mean_bps == pytest.approx(50e6)
    assert area["ipv6"].loss_ratio == pytest.approx(0.01)
    # Without a family there is nothing to tell apart.
    assert month.at(Level.FAMILY) == month.at(Level.LINE_FAMILY) == []


def test_every_format_has_the_families(summaries: FakeSummaries) -> None:
    report = dual_stack(summaries)
    text = all_text(monthly.document(report))
    assert "Kết quả theo họ địa chỉ" in text
    assert "Chất lượng theo họ địa chỉ" in text
    assert "tính chung mọi mẫu của hai họ địa chỉ" in text
    rows = list(csv.DictReader(io.StringIO(flat_table.as_csv(report).decode("utf-8"))))
    assert [row["family"] for row in rows if row["level"] == "line_family"] == [
        "ipv4", "ipv6", "unstated",
    ]  # fmt: skip
    assert {row["family"] for row in rows if row["level"] == "line"} == {""}
    assert flat_table.from_json(flat_table.as_json(report)).rows == report.rows
    book = openpyxl.load_workbook(io.BytesIO(render(report, ReportFormat.XLSX).content))
    sheet = book["Đường truyền, IPv4 và IPv6"]
    heads = [cell.value for cell in sheet[1]]
    families = [row[heads.index("Họ địa chỉ")].value for row in sheet.iter_rows(min_row=2)]
    assert families == ["IPv4", "IPv6", "Không rõ"]
    assert render(report, ReportFormat.PDF).content.startswith(b"%PDF")


def test_the_bulletin_states_that_both_families_count(summaries: FakeSummaries) -> None:
    report = dual_stack(summaries)
    assert "tính chung IPv4 và IPv6" in bulletin.text(report)
    assert "IPv6" not in bulletin.text(report_samples.bulletin())


def test_a_line_that_gets_ipv6_makes_no_revision(summaries: FakeSummaries, month: Report) -> None:
    sources = report_samples.sources(summaries)
    dual_stack(summaries)
    area = builder.resolve_area(sources.registry, GROUP)
    again = builder.build_report(ReportKind.MONTHLY, area, JULY, sources, now=NOW, issued=month)
    assert again.revision is None
