"""Floor 2. Renders a Document as PDF, by WeasyPrint (decision 30).

Layout of Nghị định 30/2020/NĐ-CP, Phụ lục I, is in `templates/report.css`. Nothing is
fetched: the page has no URL, and the fetcher refuses every one. WeasyPrint takes about 15 ms per
table row, so a report for the nation is XLSX and CSV.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import jinja2

from collector.reports.layout import Document

# Rendering this many rows, in all tables together, takes about ten seconds.
MOST_ROWS = 1_000
_ROMAN = ("I", "II", "III", "IV", "V", "VI")
_FOLDER = Path(__file__).with_name("templates")


class TooManyRowsError(Exception):
    """The report has too many rows for a PDF; the text is a sentence for a user."""


def pdf(document: Document) -> bytes:
    """The PDF's bytes.

    Raises:
        TooManyRowsError: more than `MOST_ROWS` rows.
    """
    sections = [*document.sections, *document.appendices]
    rows = sum(len(table.rows) for section in sections for table in section.tables)
    if rows > MOST_ROWS:
        raise TooManyRowsError(
            f"{rows} rows are too many for a PDF (at most {MOST_ROWS}): "
            "choose a smaller area, or XLSX or CSV"
        )
    # Imported here: it takes over a second and 60 MB, which commands without a PDF are spared.
    from weasyprint import HTML  # noqa: PLC0415
    from weasyprint.urls import URLFetcher  # noqa: PLC0415

    nothing = URLFetcher(allowed_protocols=(), fail_on_errors=True)
    page = HTML(string=html(document), url_fetcher=nothing)
    written: bytes = page.write_pdf(pdf_variant="pdf/ua-1")
    return written


def html(document: Document) -> str:
    """The HTML page that is rendered."""
    style = (_FOLDER / "report.css").read_text(encoding="utf-8")
    page = _template().render(document=document, style=style, roman=_ROMAN)
    # No line break at the hyphen of this name.
    return page.replace("i-Speed", "i\N{NON-BREAKING HYPHEN}Speed")


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html")
