"""Floor 3. Responses in JSON and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence

import msgspec
from starlette.responses import Response


def json_response(
    value: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """A value as JSON, encoded by msgspec."""
    return Response(msgspec.json.encode(value), status, headers, media_type="application/json")


def csv_response(
    columns: Sequence[str],
    rows: Iterable[Iterable[object]],
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Rows as CSV (RFC 4180), with a byte order mark: spreadsheet programs need it for UTF-8."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows(rows)
    return Response("\ufeff" + text.getvalue(), 200, headers, media_type="text/csv; charset=utf-8")
