"""Floor 2. Renders a report in any of its formats, for the command, the timer and the page."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from collector.reports import bulletin, flat_table, monthly, pdf, weekly, workbook
from collector.reports.layout import Document
from collector.reports.report import Report, ReportKind


class ReportFormat(StrEnum):
    """The file formats. A bulletin is text, or its figures as JSON."""

    PDF = "pdf"
    XLSX = "xlsx"
    CSV = "csv"
    JSON = "json"
    TEXT = "txt"


class RenderedFile(NamedTuple):
    """A rendered report: file name, media type and content."""

    name: str
    media_type: str
    content: bytes


MEDIA_TYPES = {
    ReportFormat.PDF: "application/pdf",
    ReportFormat.XLSX: workbook.MEDIA_TYPE,
    ReportFormat.CSV: "text/csv; charset=utf-8",
    ReportFormat.JSON: "application/json",
    ReportFormat.TEXT: "text/plain; charset=utf-8",
}


def formats(kind: ReportKind) -> tuple[ReportFormat, ...]:
    """The formats of a kind of report."""
    if kind is ReportKind.BULLETIN:
        return (ReportFormat.TEXT, ReportFormat.JSON)
    return (ReportFormat.PDF, ReportFormat.XLSX, ReportFormat.CSV, ReportFormat.JSON)


def render(report: Report, report_format: ReportFormat) -> RenderedFile:
    """Render the report in that format.

    Raises:
        ValueError: this kind of report does not have the format.
        collector.reports.pdf.TooManyRowsError: a PDF would have too many rows.
    """
    if report_format not in formats(report.kind):
        choices = ", ".join(formats(report.kind))
        raise ValueError(f"a {report.kind} report is not made as {report_format} ({choices})")
    name = f"{stem(report)}.{report_format}"
    return RenderedFile(name, MEDIA_TYPES[report_format], _content(report, report_format))


def stem(report: Report) -> str:
    """The file name without extension: kind, area, first and last day, version or `draft`."""
    edition = "draft" if report.draft else f"v{report.version}"
    days = f"{report.first_day:%Y%m%d}-{report.last_day:%Y%m%d}"
    return f"{report.kind}_{report.area_id}_{days}_{edition}"


def _content(report: Report, report_format: ReportFormat) -> bytes:
    match report_format:
        case ReportFormat.PDF:
            return pdf.pdf(_document(report))
        case ReportFormat.XLSX:
            return workbook.xlsx(report, _document(report))
        case ReportFormat.CSV:
            return flat_table.as_csv(report)
        case ReportFormat.JSON:
            return flat_table.as_json(report)
        case ReportFormat.TEXT:
            return bulletin.text(report).encode()


def _document(report: Report) -> Document:
    return weekly.document(report) if report.kind is ReportKind.WEEKLY else monthly.document(report)
