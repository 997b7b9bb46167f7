"""Floor 1. The interface of a database: the store's SQL is written once for all of them.

The SQL is the part that SQLite (3.39 or newer) and PostgreSQL (15 or newer) share, with `?` for
values. What they do not share is a method: bulk inserts, buckets by key, partitions by day.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

from collector.store.records import DatabaseStatus

Row = tuple[Any, ...]


class ColumnType(StrEnum):
    """The type of a column; each database maps it to its own."""

    INTEGER = "integer"
    SMALL = "small"
    REAL = "real"
    TEXT = "text"
    BOOLEAN = "boolean"
    TIME = "time"
    BYTES = "bytes"
    # A time whose values are microseconds since 1970 (`microseconds`). In PostgreSQL it is its type
    # of time, in SQLite an integer.
    INSTANT = "instant"
    # A number of four bytes, where the database has one.
    ID = "id"


class Column(NamedTuple):
    """A column of a table."""

    name: str
    type: ColumnType
    required: bool = False


def column_names(columns: Iterable[Column]) -> str:
    """The names of columns, for SQL."""
    return ", ".join(column.name for column in columns)


class Table(NamedTuple):
    """A table. `daily` is the column by which it is partitioned by day, if it is.

    `by_line`: it has an index by line, for queries of the pages. `indexes`: further ones.
    """

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    daily: str | None = None
    by_line: bool = False
    indexes: tuple[tuple[str, ...], ...] = ()


class Transaction(Protocol):
    """An open transaction. Only `execute` waits until its statement is done."""

    def execute(self, sql: str, values: Sequence[object] = ()) -> list[Row]:
        """Run a statement; returns its rows, if any."""

    def execute_many(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        """Run a statement for each row of values."""

    def insert(self, table: Table, rows: Sequence[Sequence[object]]) -> None:
        """Insert rows in the order of the table's columns; times are `utc_text`s.

        A row whose key exists is ignored.
        """

    def insert_new(self, table: Table, rows: Sequence[Sequence[object]]) -> None:
        """Insert rows that nobody can have inserted: their numbers are drawn in this transaction.

        A key that exists all the same is an error, after which the store reads what it has cached.
        """

    def replace(self, table: Table, rows: Sequence[Sequence[object]]) -> None:
        """Insert rows in the order of the table's columns, replacing those with the same key."""

    def upsert(self, table: Table, rows: Sequence[Sequence[object]], update: str) -> None:
        """Insert rows; where the key exists, `DO UPDATE` with `update`.

        The keys of the rows must be distinct.
        """

    def select_pairs(self, table: str, columns: str, pairs: Sequence[tuple[int, int]]) -> list[Row]:
        """The rows of a roll-up table with these (line_id, start_s)."""

    def wait(self) -> None:
        """Wait, after the block, for the commit. Raises StoreError: nothing was committed."""


class Database(Protocol):
    """A database with one write transaction at a time and any number of readers.

    Every method may raise `collector.store.store.StoreError`. `connections` counts those that
    transactions have had: it changes where another server may answer than before.
    """

    connections: int

    def transaction(self, *, waiting: bool = True) -> AbstractContextManager[Transaction]:
        """Begin a transaction; commit at the end of the block, roll back when it raises.

        If not `waiting`, the block ends before the commit: `Transaction.wait` waits for it, and so
        does the next transaction.
        """

    def read(self, sql: str, values: Sequence[object] = ()) -> list[Row]:
        """The rows of a query over committed data."""

    def create_partitions(self, days_ahead: int, now: datetime) -> None:
        """Create the partitions of the coming days, where the database has partitions."""

    def delete_before(self, cut: datetime, most_rows: int) -> int:
        """Delete raw results from before `cut`; returns the rows or partitions, 0 when done."""

    def same_day(self, partition: str, of: str) -> str:
        """A condition that limits a search to the partition of the UTC day of a time.

        It is always true of rows of that day. Both arguments are SQL: `partition` an INSTANT by
        which a table is partitioned, `of` a time.
        """

    def instant(self, at: datetime) -> object:
        """A time as a value to compare an INSTANT with."""

    def release_packed(self) -> None:
        """Give back what empty parts of `result_blocks` take, where the database has parts."""

    def table_names(self) -> set[str]:
        """The names of all tables."""

    def status(self) -> DatabaseStatus:
        """Kind, version and size, and standbys and archiving where it has them."""

    def close(self) -> None:
        """Close all connections. Idempotent."""
