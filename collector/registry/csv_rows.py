"""Floor 1. Rows of a CSV file as spreadsheet programs write it, each with its place in the file.

Excel under Vietnamese settings separates by `;`, may say so in a first line `sep=;`, and writes
rows of empty cells after the last one. Offices write a title above the names of the columns, and
copy no-break spaces and characters without width from other documents. What is wrong is reported
with the row.
"""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from runtime.language import Phrase
from runtime.problem import Problem
from runtime.settings import SettingsError

_SEPARATORS = (",", ";", "\t")
# A title, a date, who made it, and an empty row stand above the names of the columns.
ROWS_ABOVE_MOST = 10


class Row(NamedTuple):
    """The cells of a row by column, and where it begins: `file:line`."""

    place: str
    cells: dict[str, str]


def csv_rows(
    text: str, source: str, known: Sequence[str], required: Collection[str]
) -> tuple[list[Row], list[Problem]]:
    """The rows that have a cell, and the problems of the others.

    Args:
        text: the whole file.
        source: its name, for messages.
        known: the names of columns.
        required: those that may not be missing.

    Raises:
        runtime.settings.SettingsError: the head is wrong, or a quote is not closed.
    """
    lines = list(_lines(text, _separator(text, known), source))
    above = _rows_above_head(lines, known)
    if above is None:
        raise SettingsError([Problem(f"{source}:1", _no_head(required))])
    place, head = lines[above]
    columns = _column_names(head)
    wrong = [problem.within(place) for problem in _head_problems(columns, known, required)]
    if wrong:
        raise SettingsError(wrong)
    rows, problems = [], []
    for place, cells in lines[above + 1 :]:
        shown = [tidy(cell) for cell in cells]
        if not any(shown):
            continue
        if len(_without_empty_end(shown)) > len(columns) or len(shown) < len(columns):
            uneven = Phrase("số ô khác số cột", "has not as many cells as there are columns")
            problems.append(Problem(place, uneven))
            continue
        rows.append(Row(place, dict(zip(columns, shown, strict=False))))
    return rows, problems


def tidy(cell: str) -> str:
    """The text of a cell without what nobody sees: composed (NFC), with plain spaces, stripped."""
    if cell.isascii():
        return cell.strip()
    composed = unicodedata.normalize("NFC", cell)
    visible = (
        " " if kind == "Zs" else letter
        for letter in composed
        if (kind := unicodedata.category(letter)) != "Cf"
    )
    return "".join(visible).strip()


def has_head(cells: Sequence[str], known: Sequence[str]) -> bool:
    """Whether a row has names of columns, and not a title or figures."""
    return sum(name in known for name in _column_names(cells)) > 1


def _column_names(cells: Sequence[str]) -> list[str]:
    return _without_empty_end([tidy(name).lower() for name in cells])


def _rows_above_head(lines: Sequence[tuple[str, list[str]]], known: Sequence[str]) -> int | None:
    """How many rows stand above the names of the columns; None where there are no names."""
    first = enumerate(lines[: ROWS_ABOVE_MOST + 1])
    return next((number for number, (_, cells) in first if has_head(cells, known)), None)


def _no_head(required: Collection[str]) -> Phrase:
    listed = ", ".join(required)
    return Phrase(
        f"không thấy dòng tên cột: dòng đầu của bảng cần có {listed}",
        f"no row with the names of the columns: the table begins with {listed}",
    )


def _separator(text: str, known: Sequence[str]) -> str:
    """The separator by which the first lines have the most columns that are known."""
    first = text.split("\n", ROWS_ABOVE_MOST + 1)[: ROWS_ABOVE_MOST + 1]

    def columns(separator: str) -> int:
        cells = (cell.strip(' "\r').lower() for line in first for cell in line.split(separator))
        return sum(cell in known for cell in cells)

    return max(_SEPARATORS, key=columns)


def _lines(text: str, separator: str, source: str) -> Iterator[tuple[str, list[str]]]:
    """Each row with its place. A quote that is not closed ends the file: RFC 4180 strictly."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    while True:
        place = f"{source}:{reader.line_num + 1}"
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            what = Phrase(
                'dấu ngoặc kép " mở ra ở dòng này không được đóng đúng chỗ: xóa nó, hoặc viết "" '
                "bên trong ô",
                'a quote " that begins in this row is not closed where it should be: remove it, or '
                'write "" within a cell',
            )
            raise SettingsError([Problem(place, what)]) from error
        yield place, cells


def _head_problems(
    columns: Sequence[str], known: Sequence[str], required: Collection[str]
) -> Iterator[Problem]:
    for name in dict.fromkeys(columns):
        if name not in known:
            listed = ", ".join(known)
            yield Problem(
                "",
                Phrase(
                    f"không có cột tên `{name}` (các cột: {listed})",
                    f"unknown column `{name}` (columns: {listed})",
                ),
            )
        elif columns.count(name) > 1:
            twice = Phrase(
                f"cột `{name}` có hai lần: xóa một cột",
                f"column `{name}` is there twice: remove one",
            )
            yield Problem("", twice)
    for name in required:
        if name not in columns:
            yield Problem("", Phrase(f"thiếu cột `{name}`", f"column `{name}` is missing"))


def _without_empty_end(cells: list[str]) -> list[str]:
    """The cells up to the last one that has something in it."""
    last = max((place for place, cell in enumerate(cells, start=1) if cell), default=0)
    return cells[:last]
