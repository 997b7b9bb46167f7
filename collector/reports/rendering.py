"""Floor 2. A paper in any format: the one way from figures to a file, for command, timer, "
"button."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from collector.reports import bulletin, flat_table, monthly, pdf, weekly, workbook
from collector.reports.layout import Document
from collector.reports.report import Paper, PaperKind


class PaperFormat(StrEnum):
    """In which format. A bulletin is text, or the figures that it was made of as JSON."""

    PDF = "pdf"
    XLSX = "xlsx"
    CSV = "csv"
    JSON = "json"
    TEXT = "txt"


class Printed(NamedTuple):
    """A file, as a browser or a disk wants it."""

    name: str
    media_type: str
    content: bytes


_MEDIA_TYPES = {
    PaperFormat.PDF: "application/pdf",
    PaperFormat.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    PaperFormat.CSV: "text/csv; charset=utf-8",
    PaperFormat.JSON: "application/json",
    PaperFormat.TEXT: "text/plain; charset=utf-8",
}


def formats(kind: PaperKind) -> tuple[PaperFormat, ...]:
    """In which formats a paper can be had."""
    if kind is PaperKind.BULLETIN:
        return (PaperFormat.TEXT, PaperFormat.JSON)
    return (PaperFormat.PDF, PaperFormat.XLSX, PaperFormat.CSV, PaperFormat.JSON)


def printed(paper: Paper, paper_format: PaperFormat) -> Printed:
    """The paper in that format.

    Raises:
        ValueError: the paper cannot be had in it.
        collector.reports.pdf.TooLongError: a PDF would have too many rows.
    """
    if paper_format not in formats(paper.kind):
        choices = ", ".join(formats(paper.kind))
        raise ValueError(f"a {paper.kind} paper is not made as {paper_format} ({choices})")
    name = f"{stem(paper)}.{paper_format}"
    return Printed(name, _MEDIA_TYPES[paper_format], _content(paper, paper_format))


def stem(paper: Paper) -> str:
    """A file's name without its ending: kind, area, days, issue."""
    version = paper.revision.version if paper.revision else 1
    days = f"{paper.first_day:%Y%m%d}-{paper.last_day:%Y%m%d}"
    return f"{paper.kind}_{paper.area_id}_{days}_v{version}"


def _content(paper: Paper, paper_format: PaperFormat) -> bytes:
    match paper_format:
        case PaperFormat.PDF:
            return pdf.pdf(_document(paper))
        case PaperFormat.XLSX:
            return workbook.xlsx(paper, _document(paper))
        case PaperFormat.CSV:
            return flat_table.as_csv(paper)
        case PaperFormat.JSON:
            return flat_table.as_json(paper)
        case PaperFormat.TEXT:
            return bulletin.text(paper).encode()


def _document(paper: Paper) -> Document:
    return weekly.document(paper) if paper.kind is PaperKind.WEEKLY else monthly.document(paper)
