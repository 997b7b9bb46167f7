"""Floor 2. The first sheet of an XLSX file as CSV text, by openpyxl, with its rows' numbers."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterable
from datetime import date, datetime
from itertools import islice

from runtime.language import Phrase
from runtime.problem import Problem
from runtime.settings import SettingsError

# More than any registry: 30,000 lines take 10 MB uncompressed.
UNCOMPRESSED_MOST = 64_000_000
ROWS_MOST = 100_000
_COLUMNS_MOST = 100


def is_workbook(content: bytes) -> bool:
    """Whether it is a ZIP file, as XLSX is."""
    return content.startswith(b"PK\x03\x04")


def as_csv(content: bytes, source: str) -> str:
    """The first sheet as CSV text, a line for each row, empty ones too.

    Raises:
        runtime.settings.SettingsError: it is no XLSX file, or larger than a registry can be.
    """
    try:
        return _as_csv(content, source)
    except SettingsError:
        raise
    except (
        Exception
    ) as error:  # what openpyxl and zipfile raise for a broken file is no closed list
        broken = Phrase("không đọc được tệp XLSX", "the XLSX file cannot be read")
        raise SettingsError([Problem(source, broken)]) from error


def _as_csv(content: bytes, source: str) -> str:
    # A fifth of a second that no other file needs.
    import openpyxl  # noqa: PLC0415

    _check_size(content, source)
    book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True)
    sheet = book.worksheets[0]
    # What the file states of its size may be wrong, and is not needed.
    sheet.reset_dimensions()
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
