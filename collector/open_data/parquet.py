"""Floor 2. Parquet beside CSV, written by DuckDB where it is installed (`tramdo[parquet]`).

It reads the CSV file that is published, so that both hold the same, a part at a time: memory is
bounded, whatever the file's size.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from collector.open_data.columns import ColumnType

try:
    import duckdb
except ImportError:  # an extra
    duckdb = None

_MEMORY = "512MB"
_ROW_GROUP = 50_000
_TYPES = {
    ColumnType.STRING: "VARCHAR",
    ColumnType.INTEGER: "BIGINT",
    ColumnType.NUMBER: "DOUBLE",
    ColumnType.BOOLEAN: "BOOLEAN",
    ColumnType.DATETIME: "TIMESTAMPTZ",
}


class ParquetError(Exception):
    """A file could not be written; the text is a sentence for users."""


def is_available() -> bool:
    """Whether the extra is installed."""
    return duckdb is not None


def write(
    source: Path, target: Path, columns: Sequence[tuple[str, ColumnType]], about: dict[str, str]
) -> None:
    """Write a CSV file as Parquet.

    Args:
        source: the CSV file.
        target: the file to write.
        columns: names and types, in the order of the CSV file.
        about: what the file says of itself, in its metadata.

    Raises:
        ParquetError: it could not be written.
    """
    names = ", ".join(
        f"{_quoted(name, chr(34))}: {_quoted(_TYPES[type_])}" for name, type_ in columns
    )
    metadata = ", ".join(f"{name}: {_quoted(text)}" for name, text in about.items())
    reader = (
        f"read_csv({_quoted(str(source))}, header = true, auto_detect = false, delim = ',', "
        f"quote = '\"', escape = '\"', nullstr = '', columns = {{{names}}})"
    )
    query = (
        f"COPY (SELECT * FROM {reader}) TO {_quoted(str(target))} (FORMAT parquet, "  # noqa: S608
        f"COMPRESSION zstd, ROW_GROUP_SIZE {_ROW_GROUP}, KV_METADATA {{{metadata}}})"
    )
    try:
        with duckdb.connect(config={"autoinstall_known_extensions": "false"}) as connection:
            connection.execute(f"SET memory_limit = '{_MEMORY}'")
            connection.execute("SET threads = 1")
            connection.execute(f"SET temp_directory = {_quoted(str(target.parent / '.spill'))}")
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute(query)
    except duckdb.Error as error:
        raise ParquetError(f"{target}: {error}") from error


def _quoted(text: str, mark: str = "'") -> str:
    return mark + text.replace(mark, 2 * mark) + mark
