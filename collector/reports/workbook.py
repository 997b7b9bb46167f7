"""Floor 2. Renders a report as XLSX, by XlsxWriter, with numbers as numeric cells.

The first sheet has the text (title, scope, method, thresholds); each level of rows has a sheet.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import xlsxwriter

from collector.reports import common, formatting
from collector.reports.flat_table import Cell
from collector.reports.layout import Document
from collector.reports.report import Level, Report, ReportRow, SpeedStats
from wire.figures import MEGABIT

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_SHEETS = (
    (Level.COMMUNE, "Theo xã"),
    (Level.ISP_PLAN, "Theo doanh nghiệp"),
    (Level.LINE, "Theo đường truyền"),
    (Level.AREA, "Toàn bộ"),
)
_FAMILY_SHEETS = (
    (Level.FAMILY, "Theo IPv4, IPv6"),
    (Level.LINE_FAMILY, "Đường truyền, IPv4 và IPv6"),
)


class _Column(NamedTuple):
    heading: str
    width: int
    style: str
    cell: Callable[[ReportRow], Cell]


def xlsx(report: Report, document: Document) -> bytes:
    """The workbook's bytes. `document` has the title and text, `report` the figures."""
    file = io.BytesIO()
    book = _book(file)
    # Not the current time: the same report gives the same bytes.
    book.set_properties({
        "title": f"{document.head.type_name} – {document.head.about}",
        "comments": document.footer,
        "created": report.made_at.replace(tzinfo=None),
    })  # fmt: skip
    styles = {
        name: book.add_format({"num_format": pattern, "border": 1, "valign": "top", **more})
        for name, (pattern, more) in _STYLES.items()
    }
    _words(book, report, document)
    for level, title in _SHEETS:
        _figures(book, title, report.at(level), styles)
    for level, title in _FAMILY_SHEETS:
        if rows := report.at(level):
            _figures(book, title, rows, styles)
    _weeks_and_months(book, report, styles)
    if document.watermark:
        for sheet in book.worksheets():
            sheet.set_header(f"&C{document.watermark}")
    book.close()
    return file.getvalue()


_STYLES: Mapping[str, tuple[str, dict[str, object]]] = {
    "head": ("@", {"bold": True, "text_wrap": True, "align": "center", "bg_color": "#E8EEF4"}),
    "text": ("@", {"text_wrap": True}),
    "count": ("#,##0", {}),
    "speed": ("#,##0.0", {}),
    "ms": ("#,##0.0", {}),
    "percent": ("0.0%", {}),
    "fine": ("0.00%", {}),
}


def table(title: str, columns: Sequence[str], rows: Iterable[Iterable[Cell]]) -> bytes:
    """One sheet of rows under their headings, whatever they are of."""
    file = io.BytesIO()
    book = _book(file)
    sheet = book.add_worksheet(title)
    head = book.add_format({"bold": True, "bg_color": "#E8EEF4"})
    for place, heading in enumerate(columns):
        sheet.set_column(place, place, max(len(heading) + 2, 12))
        sheet.write_string(0, place, heading, head)
    for number, row in enumerate(rows, start=1):
        for place, cell in enumerate(row):
            if isinstance(cell, str):
                sheet.write_string(number, place, cell)
            elif cell is not None:
                sheet.write_number(number, place, cell)
    sheet.freeze_panes(1, 0)
    book.close()
    return file.getvalue()


def _book(file: io.BytesIO) -> xlsxwriter.Workbook:
    return xlsxwriter.Workbook(file, {"in_memory": True, "strings_to_formulas": False,
                                      "strings_to_urls": False})  # fmt: skip


def _words(book: xlsxwriter.Workbook, report: Report, document: Document) -> None:
    sheet = book.add_worksheet("Thông tin")
    sheet.set_column(0, 0, 110)
    bold = book.add_format({"bold": True, "text_wrap": True, "font_size": 13})
    text = book.add_format({"text_wrap": True, "valign": "top"})
    head = document.head
    lines = [
        (f"{head.type_name}: {head.about}", bold),
        *((note, text) for note in head.notes),
        *((line, text) for line in common.scope(report)),
        (common.completeness(report.total), text),
        *((line, text) for line in common.given(common.availability_both(report))),
        ("Phương pháp", bold),
        *((line, text) for line in common.method()),
        (common.thresholds(report).heading, bold),
        *(
            (" · ".join(row), text)
            for table in common.thresholds(report).tables
            for row in table.rows
        ),
        (f"Lập lúc {formatting.clock(report.made_at)}. {document.footer}", text),
    ]
    for number, (line, style) in enumerate(lines):
        sheet.write_string(number, 0, line, style)


def _figures(
    book: xlsxwriter.Workbook,
    title: str,
    rows: Sequence[ReportRow],
    styles: Mapping[str, xlsxwriter.workbook.Format],
) -> None:
    sheet = book.add_worksheet(title)
    used = [column for column in _COLUMNS if any(column.cell(row) is not None for row in rows)]
    for place, column in enumerate(used):
        sheet.set_column(place, place, column.width)
        sheet.write_string(0, place, column.heading, styles["head"])
        for number, row in enumerate(rows, start=1):
            cell, style = column.cell(row), styles[column.style]
            if cell is None:
                sheet.write_blank(number, place, None, style)
            elif isinstance(cell, str):
                sheet.write_string(number, place, cell, style)
            else:
                sheet.write_number(number, place, cell, style)
    sheet.freeze_panes(1, 0)
    if rows and used:
        sheet.autofilter(0, 0, len(rows), len(used) - 1)
    sheet.set_landscape()
    sheet.set_paper(9)
    sheet.fit_to_pages(1, 0)
    sheet.repeat_rows(0)


def _weeks_and_months(
    book: xlsxwriter.Workbook, report: Report, styles: Mapping[str, xlsxwriter.workbook.Format]
) -> None:
    tables: list[tuple[str, list[str], list[list[Cell]]]] = []
    if report.commune_month:
        month: list[list[Cell]] = [
            [one.commune_code, one.commune, one.tests, one.needed] for one in report.commune_month
        ]
        tables.append(("Mẫu trong tháng", ["Mã", "Xã, phường, đặc khu", "Số mẫu", "Cần có"], month))
    if report.weeks:
        weeks: list[list[Cell]] = [
            [one.monday.isoformat(), one.tests, one.lines_enough, one.lines] for one in report.weeks
        ]
        columns = ["Tuần từ ngày", "Lần đo", "Đường truyền đủ số lần đo", "Đường truyền"]
        tables.append(("Các tuần", columns, weeks))
    if (planned := common.maintenance(report)) is not None:
        announced: list[list[Cell]] = [
            [*row[:-2], one.lines, one.down_minutes]
            for row, one in zip(planned.rows, report.maintenance or (), strict=True)
        ]
        tables.append((planned.caption, list(planned.columns), announced))
    for title, columns, rows in tables:
        sheet = book.add_worksheet(title)
        sheet.set_column(0, len(columns) - 1, 24)
        for place, heading in enumerate(columns):
            sheet.write_string(0, place, heading, styles["head"])
        for number, row in enumerate(rows, start=1):
            for place, cell in enumerate(row):
                if isinstance(cell, str):
                    sheet.write_string(number, place, cell, styles["text"])
                elif cell is not None:
                    sheet.write_number(number, place, cell, styles["count"])


def _mbps(bps: float | None) -> float | None:
    return None if bps is None else round(bps / MEGABIT, 3)


def _direction(name: str, of: Callable[[ReportRow], SpeedStats]) -> list[_Column]:
    def verdict(row: ReportRow) -> str | None:
        # A row of several plans has no verdict.
        return formatting.verdict(of(row)) if row.level in (Level.LINE, Level.ISP_PLAN) else None

    return [
        _Column(f"{name}: công bố (Mbit/s)", 11, "speed", lambda r: _mbps(of(r).declared_bps)),
        _Column(f"{name}: số mẫu", 9, "count", lambda r: of(r).samples),
        _Column(f"{name}: trung bình (Mbit/s)", 11, "speed", lambda r: _mbps(of(r).mean_bps)),
        _Column(f"{name}: cận dưới 95%", 11, "speed", lambda r: _mbps(of(r).mean_low_bps)),
        _Column(f"{name}: cận trên 95%", 11, "speed", lambda r: _mbps(of(r).mean_high_bps)),
        _Column(f"{name}: trung vị (Mbit/s)", 11, "speed", lambda r: _mbps(of(r).median_bps)),
        _Column(f"{name}: p5 (Mbit/s)", 11, "speed", lambda r: _mbps(of(r).p05_bps)),
        _Column(f"{name}: ổn định (Mbit/s)", 11, "speed", lambda r: _mbps(of(r).steady_mean_bps)),
        _Column(f"{name}: so với công bố", 10, "percent", lambda r: of(r).share),
        _Column(f"{name}: nhận xét", 24, "text", verdict),
    ]


def _planned_minutes(row: ReportRow) -> int | None:
    # A column of zeros would stand in every workbook.
    return row.planned_down_minutes or None


def _without_planned(row: ReportRow) -> float | None:
    return row.availability_without_planned_ratio if row.planned_down_minutes else None


_COLUMNS = [
    _Column("Mã xã", 8, "text", lambda r: r.commune_code),
    _Column("Xã, phường, đặc khu", 22, "text", lambda r: r.commune),
    _Column("Cơ quan", 34, "text", lambda r: r.office),
    _Column("Trạm đo", 16, "text", lambda r: r.probe),
    _Column("Đường truyền", 14, "text", lambda r: r.line),
    _Column("Doanh nghiệp", 14, "text", lambda r: r.isp),
    _Column("Họ địa chỉ", 11, "text", lambda r: formatting.family(r) if r.family else None),
    _Column("Số đường truyền", 9, "count", lambda r: r.lines),
    _Column("Có kết quả", 9, "count", lambda r: r.lines_measured),
    _Column("Đạt", 7, "count", lambda r: r.lines_met),
    _Column("Không đạt", 7, "count", lambda r: r.lines_not_met),
    _Column("Lần đo", 8, "count", lambda r: r.tests),
    _Column("Đã thực hiện", 9, "count", lambda r: r.attempted),
    _Column("Hợp lệ", 8, "count", lambda r: r.valid),
    _Column("Chưa thực hiện được", 9, "count", lambda r: r.skipped),
    _Column("Dự kiến", 8, "count", lambda r: r.planned),
    _Column("Có kế hoạch đo", 9, "count", lambda r: r.lines_planned),
    _Column("Mức đầy đủ", 8, "percent", lambda r: r.completeness_ratio),
    *_direction("Tải xuống", lambda r: r.download),
    *_direction("Tải lên", lambda r: r.upload),
    _Column("Độ trễ trung bình (ms)", 10, "ms", lambda r: r.rtt_mean_ms),
    _Column("Độ trễ trung vị (ms)", 10, "ms", lambda r: r.rtt_median_ms),
    _Column("Độ trễ p95 (ms)", 10, "ms", lambda r: r.rtt_p95_ms),
    _Column("Độ trễ khi tải xuống (ms)", 10, "ms", lambda r: r.rtt_loaded_download_ms),
    _Column("Độ trễ khi tải lên (ms)", 10, "ms", lambda r: r.rtt_loaded_upload_ms),
    _Column("Biến động độ trễ (ms)", 10, "ms", lambda r: r.delay_variation_ms),
    _Column("Số gói đã gửi", 11, "count", lambda r: r.packets_sent),
    _Column("Tỷ lệ mất gói", 9, "fine", lambda r: r.loss_ratio),
    _Column("Có dịch vụ (phút)", 10, "count", lambda r: r.up_minutes),
    _Column("Gián đoạn (phút)", 10, "count", lambda r: r.down_minutes),
    _Column("Không rõ (phút)", 10, "count", lambda r: r.unknown_minutes),
    _Column("Độ khả dụng", 10, "fine", lambda r: r.availability_ratio),
    _Column("Gián đoạn trong bảo trì có kế hoạch (phút)", 12, "count", _planned_minutes),
    _Column("Độ khả dụng không tính bảo trì", 12, "fine", _without_planned),
    _Column("IPv4 không trả lời (phút)", 11, "count", lambda r: r.ipv4_down_minutes),
    _Column("IPv6 không trả lời (phút)", 11, "count", lambda r: r.ipv6_down_minutes),
]
