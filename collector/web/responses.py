"""Floor 3. Responses in JSON and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence

import msgspec
from starlette.responses import Response

from collector.reports import workbook
from collector.reports.flat_table import Cell, csv_cell
from collector.web.downloads import FileTable


def json_response(
    value: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """A value as JSON, encoded by msgspec."""
    return Response(msgspec.json.encode(value), status, headers, media_type="application/json")


def csv_response(
    columns: Sequence[str],
    rows: Iterable[Iterable[Cell]],
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Rows as CSV (RFC 4180) for programs: UTF-8, no byte order mark, unknown values empty."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows([csv_cell(cell) for cell in row] for row in rows)
    return Response(text.getvalue(), 200, headers, media_type="text/csv; charset=utf-8")


def xlsx_response(
    name: str,
    title: str,
    columns: Sequence[str],
    rows: Iterable[Iterable[Cell]],
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The same rows as an XLSX file of that name: texts as texts, numbers as numbers."""
    return Response(
        workbook.table(title, columns, rows),
        200,
        {"Content-Disposition": f'attachment; filename="{name}"', **(headers or {})},
        media_type=workbook.MEDIA_TYPE,
    )


def file_response(table: FileTable, path: str) -> Response:
    """A page's table as the file that the address asks for: CSV for programs, XLSX for people."""
    name = path.rpartition("/")[2]
    title, _, suffix = name.rpartition(".")
    if suffix == "csv":
        return csv_response(table.names, table.rows)
    return xlsx_response(name, title, table.headings, table.rows)
