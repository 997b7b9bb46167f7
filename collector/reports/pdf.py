"""Floor 2. A Document as PDF, by WeasyPrint (decision 30).

Layout of Nghị định 30/2020/NĐ-CP, Phụ lục I, is in `templates/report.css`. Nothing is fetched: the
page names no address, and a fetcher that refuses holds that. WeasyPrint takes about 15 ms a table
row, so a paper for the nation is XLSX and CSV.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import jinja2

from collector.reports.layout import Document

# As many rows in all tables together take about ten seconds.
MOST_ROWS = 1_000
_ROMAN = ("I", "II", "III", "IV", "V", "VI")
_FOLDER = Path(__file__).with_name("templates")


class TooManyRowsError(Exception):
    """The paper has too many rows for a PDF; the text is a sentence for a person."""


def pdf(document: Document) -> bytes:
    """The PDF's bytes.

    Raises:
        TooLongError: more than `MOST_ROWS` rows.
    """
    sections = [*document.sections, *document.appendices]
    rows = sum(len(table.rows) for section in sections for table in section.tables)
    if rows > MOST_ROWS:
        raise TooManyRowsError(
            f"{rows} rows are too many for a PDF (at most {MOST_ROWS}): "
            "choose a smaller area, or XLSX or CSV"
        )
    # WeasyPrint takes over a second to import, and 60 MB: not at the start of every command of the
    # centre's, nor in a centre that draws up no paper.
    from weasyprint import HTML  # noqa: PLC0415
    from weasyprint.urls import URLFetcher  # noqa: PLC0415

    nothing = URLFetcher(allowed_protocols=(), fail_on_errors=True)
    page = HTML(string=html(document), url_fetcher=nothing)
    written: bytes = page.write_pdf(pdf_variant="pdf/ua-1")
    return written


def html(document: Document) -> str:
    """The page that is printed."""
    style = (_FOLDER / "report.css").read_text(encoding="utf-8")
    page = _template().render(document=document, style=style, roman=_ROMAN)
    # A name that should not be broken at its hyphen.
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
