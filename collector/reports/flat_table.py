"""Floor 1. A paper's rows as one flat table: what CSV is made of, and the sheets of XLSX.

Names bear their units; a cell that is not known is empty. Every row says for which period and by
which thresholds it was made, so that a row that was copied out still says so.
"""

from __future__ import annotations

import csv
import io

import msgspec

from collector.reports.report import Report, ReportRow, SpeedStats
from wire.decoding import decode_json

Cell = str | int | float | None

_DIRECTIONS = ("download", "upload")


def columns() -> list[str]:
    """The names of the figures of a row, directions taken apart."""
    names: list[str] = []
    for name in ReportRow.__struct_fields__:
        if name in _DIRECTIONS:
            names += [f"{name}_{part}" for part in SpeedStats.__struct_fields__]
        else:
            names.append(name)
    return names


def cells(row: ReportRow) -> dict[str, Cell]:
    """A row's figures by column."""
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
    """What every row of the paper shares."""
    return {
        "paper": report.kind.value,
        "area_id": report.area_id,
        "first_day": report.first_day.isoformat(),
        "last_day": report.last_day.isoformat(),
        "thresholds_version": report.thresholds.version,
        "version": report.revision.version if report.revision else 1,
    }


def spreadsheet_cell(cell: Cell) -> Cell:
    """A cell that no spreadsheet program takes for a formula.

    Names come from people and, of a probe that is not registered, from whoever holds its key.
    """
    starts_one = isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r"))
    return f"'{cell}" if starts_one else cell


def as_csv(report: Report) -> bytes:
    """CSV after RFC 4180, UTF-8 with a byte order mark for spreadsheet programs.

    Figures are as exact as the JSON's, the point is the decimal mark.
    """
    text = io.StringIO(newline="")
    shared = about(report)
    writer = csv.DictWriter(text, [*shared, *columns()])
    writer.writeheader()
    writer.writerows(
        {name: spreadsheet_cell(cell) for name, cell in (shared | cells(row)).items()}
        for row in report.rows
    )
    return text.getvalue().encode("utf-8-sig")


def as_json(report: Report) -> bytes:
    """The whole paper, readable."""
    return msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n"


def from_json(content: bytes) -> Report:
    """The paper that `as_json` wrote.

    Raises:
        msgspec.DecodeError: it is not one.
    """
    return decode_json(content, Report)
