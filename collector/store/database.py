"""Floor 1. What the store asks of a database, so that its SQL is written once for all of them.

SQL here is the part that SQLite (3.39 on) and PostgreSQL (15 on) share, with `?` for values. What
they do not share is a method: rows in bulk, buckets by key, parts by day.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

Row = tuple[Any, ...]


class ColumnType(StrEnum):
    """What a column holds; each database has its own word for it."""

    INTEGER = "integer"
    SMALL = "small"
    REAL = "real"
    TEXT = "text"
    BOOLEAN = "boolean"
    TIME = "time"
    BYTES = "bytes"


class Column(NamedTuple):
    """A column of a table that is made from types."""

    name: str
    type: ColumnType
    required: bool = False


def column_names(columns: Iterable[Column]) -> str:
    """The names of columns, for SQL."""
    return ", ".join(column.name for column in columns)


class Table(NamedTuple):
    """A table that is made from types. `daily` names the time that parts it by day, where it is.

    `by_line`: our own pages ask it for one line, so that it has an index in every database.
    """

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    daily: str | None = None
    by_line: bool = False


class Transaction(Protocol):
    """One open transaction. Only `execute` waits for its statement to be done."""

    def execute(self, sql: str, values: Sequence[object] = ()) -> list[Row]:
        """Run a statement; its rows, none where it has none."""

    def execute_many(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        """Run a statement for each row of values."""

    def insert(self, table: Table, rows: Sequence[Sequence[object]]) -> None:
        """Many rows at once, in the order of the table's columns; their times are `utc_text`s.

        One whose key is there already changes nothing.
        """

    def replace(self, table: Table, rows: Sequence[Sequence[object]]) -> None:
        """Many rows at once, in the order of the table's columns; each takes its key's place."""

    def upsert(self, table: Table, rows: Sequence[Sequence[object]], update: str) -> None:
        """Many rows at once, as `replace`; where the key is there, `DO UPDATE` with this `update`.

        No key may be there twice in the rows.
        """

    def select_pairs(self, table: str, columns: str, pairs: Sequence[tuple[int, int]]) -> list[Row]:
        """The rows of a roll-up table with these (line_id, start_s)."""

    def wait(self) -> None:
        """After the block: until the transaction is committed. StoreError: nothing of it is."""


class Database(Protocol):
    """A database that can be written by one transaction at a time and read by anybody.

    Every method may raise `collector.store.store.StoreError`.
    """

    def transaction(self, *, waiting: bool = True) -> AbstractContextManager[Transaction]:
        """Begin; commit at the end of the block, or roll back when it raises.

        Not `waiting`, the block ends before the commit does: `Session.wait` waits for it, and so
        does the next transaction.
        """

    def read(self, sql: str, values: Sequence[object] = ()) -> list[Row]:
        """The rows of a query, from what is committed."""

    def create_partitions(self, days_ahead: int, now: datetime) -> None:
        """Prepare for results of the coming days, where the database parts tables by day."""

    def delete_before(self, cut: datetime, tables: Sequence[Table], most_rows: int) -> int:
        """Delete raw results from before `cut`; how many rows or parts went, 0 when done."""

    def copy_to(self, destination: str) -> None:
        """A whole and consistent copy of everything into a file."""

    def close(self) -> None:
        """Let go of it. Harmless twice."""
