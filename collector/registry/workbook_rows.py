"""Floor 2. The table in an XLSX file as CSV text, by openpyxl, with its rows' numbers.

The table is the visible sheet that has the names of columns: a book may begin with notes.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime
from itertools import islice
from typing import TYPE_CHECKING

from collector.registry.csv_rows import ROWS_ABOVE_MOST
from runtime.language import Phrase
from runtime.problem import Problem
from runtime.settings import SettingsError

if TYPE_CHECKING:
    from openpyxl.worksheet.worksheet import Worksheet

# More than any registry: 30,000 lines take 10 MB uncompressed.
UNCOMPRESSED_MOST = 64_000_000
ROWS_MOST = 100_000
_COLUMNS_MOST = 100


def is_workbook(content: bytes) -> bool:
    """Whether it is a ZIP file, as XLSX is."""
    return content.startswith(b"PK\x03\x04")


def as_csv(content: bytes, source: str, is_head: Callable[[Sequence[str]], bool]) -> str:
    """The sheet with the table as CSV text, a line for each row, empty ones too.

    Args:
        content: the file.
        source: its name, for messages.
        is_head: whether a row has the names of columns.

    Raises:
        runtime.settings.SettingsError: it is no XLSX file, larger than a registry can be, or has
            two sheets that could be meant.
    """
    try:
        return _as_csv(content, source, is_head)
    except SettingsError:
        raise
    except (
        Exception
    ) as error:  # what openpyxl and zipfile raise for a broken file is no closed list
        # Of Excel's own files, openpyxl cannot read one that has a sheet that is a chart.
        broken = Phrase(
            "không đọc được tệp XLSX: chép bảng sang một tệp mới chỉ có bảng đó, lưu dạng XLSX",
            "the XLSX file cannot be read: copy the table into a new file with nothing else, and "
            "save it as XLSX",
        )
        raise SettingsError([Problem(source, broken)]) from error


def _as_csv(content: bytes, source: str, is_head: Callable[[Sequence[str]], bool]) -> str:
    # A fifth of a second that no other file needs.
    import openpyxl  # noqa: PLC0415

    _check_size(content, source)
    book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True)
    for sheet in book.worksheets:
        # What the file states of its size may be wrong, and is not needed.
        sheet.reset_dimensions()
    sheet = _with_table(book.worksheets, source, is_head)
    rows = list(islice(sheet.iter_rows(values_only=True, max_col=_COLUMNS_MOST), ROWS_MOST + 1))
    if len(rows) > ROWS_MOST:
        raise _too_large(source)
    width = max((_width(row) for row in rows), default=0)
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    for row in rows:
        # The rows of a file that is read so have only their own cells.
        cells = [_text(cell) for cell in row[:width]]
        writer.writerow([*cells, *[""] * (width - len(cells))])
    return text.getvalue()


def _with_table(
    sheets: Sequence[Worksheet], source: str, is_head: Callable[[Sequence[str]], bool]
) -> Worksheet:
    """The visible sheet with the names of columns; the first one where none has them."""
    visible = [sheet for sheet in sheets if sheet.sheet_state == "visible"]
    found = [sheet for sheet in visible if any(map(is_head, _first_rows(sheet)))]
    if len(found) > 1:
        raise SettingsError([Problem(source, _two_tables([sheet.title for sheet in found]))])
    return (found or visible or list(sheets))[0]


def _first_rows(sheet: Worksheet) -> Iterable[list[str]]:
    rows = sheet.iter_rows(values_only=True, max_row=ROWS_ABOVE_MOST + 1, max_col=_COLUMNS_MOST)
    return ([_text(cell) for cell in row] for row in rows)


def _two_tables(titles: Sequence[str]) -> Phrase:
    listed = ", ".join(f"«{title}»" for title in titles)
    return Phrase(
        f"có bảng ở nhiều trang tính ({listed}): chỉ để lại một trang, hoặc ẩn trang kia",
        f"there are tables in several sheets ({listed}): leave one, or hide the other",
    )


def _check_size(content: bytes, source: str) -> None:
    """Refuse what would be unpacked to more than a registry, and what defines entities of XML."""
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        if sum(part.file_size for part in file.infolist()) > UNCOMPRESSED_MOST:
            raise _too_large(source)
        for part in file.infolist():
            if part.filename.endswith((".xml", ".rels")) and b"<!DOCTYPE" in file.read(part)[:4096]:
                raise ValueError("an XLSX file defines no document type")


def _too_large(source: str) -> SettingsError:
    large = Phrase(
        f"bảng quá lớn (tối đa {ROWS_MOST} dòng)",
        f"the table is too large (at most {ROWS_MOST} rows)",
    )
    return SettingsError([Problem(source, large)])


def _width(row: Iterable[object]) -> int:
    return max((place for place, cell in enumerate(row, start=1) if cell is not None), default=0)


def _text(cell: object) -> str:
    match cell:
        case None:
            return ""
        case datetime():
            return cell.date().isoformat()
        case date():
            return cell.isoformat()
        case float() if cell.is_integer():
            return str(int(cell))
        case float():
            # Four decimals and more: three after a point could be thousands.
            return f"{cell!r}000" if "e" not in repr(cell) else repr(cell)
        case _:
            # A line for each row.
            return " ".join(str(cell).splitlines())
