"""Floor 2. A registry's file as it was sent, for the page and the command: TOML, CSV or XLSX."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from collector.registry import workbook_rows
from collector.registry.csv_rows import has_head
from collector.registry.file_format import CSV_COLUMNS, parse_csv, parse_toml
from collector.registry.file_text import decode
from collector.registry.registry import Commune, Registry
from runtime.language import Phrase
from runtime.problem import Problem
from runtime.settings import SettingsError

# The old format of Excel (Compound File Binary).
_XLS = b"\xd0\xcf\x11\xe0"
# OpenDocument names its type first, uncompressed.
_ODS = b"application/vnd.oasis.opendocument"
_ZIP_HEAD_BYTES = 128


def is_by_row(name: str) -> bool:
    """Whether a file of that name is a table of lines, which leaves groups and places alone."""
    return name.lower().endswith((".csv", ".xlsx"))


def text_of(content: bytes, name: str, columns: Sequence[str] = CSV_COLUMNS) -> str:
    """The file as text: of XLSX the sheet with the table as CSV.

    Args:
        content: the file.
        name: its name.
        columns: the names of columns that a table may have.

    Raises:
        runtime.settings.SettingsError: it cannot be read, and what to do.
    """
    if content.startswith(_XLS):
        old = Phrase(
            "tệp Excel dạng cũ (.xls): lưu lại dạng XLSX",
            "an old Excel file (.xls): save it as XLSX",
        )
        raise SettingsError([Problem(name, old)])
    if _ODS in content[:_ZIP_HEAD_BYTES]:
        other = Phrase(
            "tệp ODS của LibreOffice: lưu lại dạng XLSX (Lưu thành…)",
            "an ODS file of LibreOffice: save it as XLSX (Save As…)",
        )
        raise SettingsError([Problem(name, other)])
    if workbook_rows.is_workbook(content):
        if not is_by_row(name):
            named = Phrase("là tệp XLSX: đặt tên .xlsx", "is an XLSX file: name it .xlsx")
            raise SettingsError([Problem(name, named)])
        return workbook_rows.as_csv(content, name, lambda row: has_head(row, columns))
    return decode(content, name)


def parse(
    text: str,
    name: str,
    official: Mapping[str, Commune],
    known: Registry,
    notices: list[Problem] | None = None,
) -> Registry:
    """The registry of a text; by row where its name says so, else TOML.

    Args:
        text: of the file.
        name: the file's.
        official: the official communes.
        known: the current registry.
        notices: where given, it gets a sentence for each former code of a commune.

    Raises:
        runtime.settings.SettingsError: every problem, each with file and place.
    """
    if is_by_row(name):
        return parse_csv(text, name, known, notices)
    # Browsers and Windows end lines with CR LF.
    content = text.replace("\r\n", "\n").encode()
    return parse_toml(content, name, official, known.former_codes, notices)
