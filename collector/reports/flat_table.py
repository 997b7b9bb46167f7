"""Floor 1. A report's rows as one flat table, for CSV and the sheets of XLSX; and its JSON.

Column names contain their units; an unknown value is an empty cell. Every row contains period and
thresholds version, so that a copied row still states them.
"""

from __future__ import annotations

import csv
import io
from decimal import Decimal

import msgspec

from collector.reports.report import Report, ReportRow, SpeedStats
from wire.decoding import decode_json

Cell = str | int | float | None

_DIRECTIONS = ("download", "upload")


def columns() -> list[str]:
    """The column names of a row, with a column per figure and direction."""
    names: list[str] = []
    for name in ReportRow.__struct_fields__:
        if name in _DIRECTIONS:
            names += [f"{name}_{part}" for part in SpeedStats.__struct_fields__]
        else:
            names.append(name)
    return names


def cells(row: ReportRow) -> dict[str, Cell]:
    """A row's values by column."""
    found: dict[str, Cell] = {}
    for name in ReportRow.__struct_fields__:
        value = getattr(row, name)
        if isinstance(value, SpeedStats):
            parts = msgspec.structs.asdict(value)
            found |= {f"{name}_{part}": cell for part, cell in parts.items()}
        else:
            found[name] = value
    return found


def about(report: Report) -> dict[str, Cell]:
    """The columns that are equal in every row of the report."""
    return {
        "paper": report.kind.value,
        "area_id": report.area_id,
        "first_day": report.first_day.isoformat(),
        "last_day": report.last_day.isoformat(),
        "thresholds_version": report.thresholds.version,
        "version": report.version,
        "status": "draft" if report.draft else "issued",
    }


def csv_cell(cell: Cell) -> Cell:
    """A cell of a CSV file that no spreadsheet program takes for something else.

    A text that would be a formula has a leading quote: names are entered by users or, of an
    unregistered probe, sent by whoever has its key. A number never has exactly three decimals:
    where the point separates thousands, as in Vietnam, 0.025 would be 25.
    """
    if isinstance(cell, float):
        return _decimal(cell)
    starts_one = isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r"))
    return f"'{cell}" if starts_one else cell


def _decimal(value: float) -> str:
    """The shortest decimal that is this number, without exponent, with a zero after three."""
    text = f"{Decimal(repr(value)):f}"
    return f"{text}0" if len(text.partition(".")[2]) == 3 else text


def as_csv(report: Report) -> bytes:
    """CSV after RFC 4180 for programs, UTF-8 without a byte order mark; XLSX is for spreadsheets.

    Numbers have the JSON's precision and a decimal point.
    """
    text = io.StringIO(newline="")
    shared = about(report)
    writer = csv.DictWriter(text, [*shared, *columns()])
    writer.writeheader()
    writer.writerows(
        {name: csv_cell(cell) for name, cell in (shared | cells(row)).items()}
        for row in report.rows
    )
    return text.getvalue().encode()


def as_json(report: Report) -> bytes:
    """The whole report as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n"


def from_json(content: bytes) -> Report:
    """The report that `as_json` wrote.

    Raises:
        msgspec.DecodeError: the content is not such a report.
    """
    return decode_json(content, Report)
