"""Floor 2. The Store on SQLite: one file, one writer, readers that never wait."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from concurrent.futures import Executor
from contextlib import closing
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

from collector.store.batch import utc_text
from collector.store.connections import ConnectedDatabase, QueuedTransaction
from collector.store.database import Column, ColumnType, Row, Table, column_names
from collector.store.migrate import Migration, packaged
from collector.store.sql_store import SqlStore, derived_tables
from collector.store.store import StoreError

# Longer than a checkpoint or a backup holds the lock, shorter than the watchdog's interval.
_BUSY_TIMEOUT_S = 2.0
# Values in one INSERT: while SQLite runs it, other Python threads run. The limit is 32,766, and a
# cached statement holds memory for each.
_VALUES_A_STATEMENT = 8_000
_STATEMENTS_KEPT = 16
_PAGE_BYTES = 16_384
_WAL_BYTES = 64 << 20
_TYPES = {
    ColumnType.INTEGER: "INTEGER",
    ColumnType.SMALL: "INTEGER",
    ColumnType.REAL: "REAL",
    ColumnType.TEXT: "TEXT",
    ColumnType.BOOLEAN: "INTEGER",
    ColumnType.TIME: "TEXT",
    ColumnType.BYTES: "BLOB",
}


class SqliteStore(SqlStore):
    """The Store in one SQLite file.

    Args:
        path: the file, on a local disk; created if missing.
        rejected_kept: how many rejected messages to keep.
        migrations: the packaged ones by default; tests pass others.

    Raises:
        StoreError: it cannot be opened, or a newer program has written it.
    """

    def __init__(
        self,
        path: Path,
        rejected_kept: int = 1_000,
        migrations: Sequence[Migration] | None = None,
    ) -> None:
        self.database = SqliteDatabase(path, migrations)
        super().__init__(self.database, rejected_kept)


class SqliteDatabase(ConnectedDatabase[sqlite3.Connection, "SqliteTransaction"]):
    """A Database in one file."""

    def __init__(self, path: Path, migrations: Sequence[Migration] | None = None) -> None:
        super().__init__()
        self._path = path
        self._migrations = packaged("sqlite") if migrations is None else list(migrations)
        with self.transaction():
            pass

    def _connect(self) -> sqlite3.Connection:
        return _connect(self._path)

    def _migrate_schema(self, connection: sqlite3.Connection) -> None:
        _migrate(connection, self._migrations)
        # With fewer migrations than the packaged ones (in a test) there are no tables to extend.
        if len(self._migrations) >= len(packaged("sqlite")):
            _create_tables(connection, derived_tables())

    def _open_reader(self) -> sqlite3.Connection:
        reader = _connect(self._path)
        reader.execute("PRAGMA query_only = ON")
        return reader

    def _begin(self, writer: sqlite3.Connection, background: Executor | None) -> SqliteTransaction:
        writer.execute("BEGIN IMMEDIATE")
        return SqliteTransaction(writer, background)

    def _rows(self, reader: sqlite3.Connection, sql: str, values: Sequence[object]) -> list[Row]:
        return reader.execute(sql, values).fetchall()

    def _translate(self, error: BaseException) -> Exception | None:
        return StoreError(f"{self._path}: {error}") if isinstance(error, sqlite3.Error) else None

    def create_partitions(self, days_ahead: int, now: datetime) -> None:
        """SQLite has no partitions."""

    def delete_before(self, cut: datetime, tables: Sequence[Table], most_rows: int) -> int:
        """Of the lowest numbers, those that are older than `cut` are deleted; some may not be,
        from a time when the centre's clock was wrong.
        """
        with self.transaction() as transaction:
            rows = transaction.execute(
                "SELECT number, stored_at FROM results ORDER BY number LIMIT ?", (most_rows,)
            )
            old = [number for number, stored_at in rows if stored_at < utc_text(cut)]
            if old:
                numbers = json.dumps(old)
                for table in tables:
                    transaction.execute(
                        f"DELETE FROM {table.name} "
                        "WHERE number IN (SELECT value FROM json_each(?))",
                        (numbers,),
                    )
        return len(old)

    def copy_to(self, destination: str) -> None:
        """By SQLite's backup API, a consistent snapshot."""
        try:
            with (
                closing(_connect(self._path)) as source,
                closing(sqlite3.connect(destination)) as copy,
            ):
                source.backup(copy)
                copy.execute("PRAGMA journal_mode = DELETE")
        except sqlite3.Error as error:
            raise StoreError(f"{destination}: {error}") from error


class SqliteTransaction(QueuedTransaction):
    """One open transaction."""

    def __init__(self, connection: sqlite3.Connection, background: Executor | None) -> None:
        super().__init__(background)
        self._connection = connection

    def execute(self, sql: str, values: Sequence[object] = ()) -> list[Row]:
        self.settle()
        return self._connection.execute(sql, values).fetchall()

    def execute_many(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        self.run(self._execute_many, sql, list(rows))

    def insert(self, table: Table, rows: Sequence[Sequence[object]]) -> None:
        # Not OR IGNORE, which would ignore constraint violations as well.
        self.run(self._write, "INSERT", table, rows, "ON CONFLICT DO NOTHING")

    def replace(self, table: Table, rows: Sequence[Sequence[object]]) -> None:
        self.run(self._write, "INSERT OR REPLACE", table, rows, "")

    def upsert(self, table: Table, rows: Sequence[Sequence[object]], update: str) -> None:
        key = ", ".join(table.key)
        self.run(self._write, "INSERT", table, rows, f"ON CONFLICT ({key}) DO UPDATE {update}")

    def _execute_many(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        self._connection.executemany(sql, rows)

    def _write(
        self, verb: str, table: Table, rows: Sequence[Sequence[object]], ending: str
    ) -> None:
        most = _VALUES_A_STATEMENT // len(table.columns)
        for begin in range(0, len(rows), most):
            some = rows[begin : begin + most]
            sql = f"{verb} {_values(table, len(some))} {ending}"
            self._connection.execute(sql, list(chain.from_iterable(some)))

    def select_pairs(self, table: str, columns: str, pairs: Sequence[tuple[int, int]]) -> list[Row]:
        self.settle()
        found: list[Row] = []
        sql = f"SELECT {columns} FROM {table} WHERE line_id = ? AND start_s = ?"
        for pair in pairs:
            found += self._connection.execute(sql, pair).fetchall()
        return found


def _values(table: Table, rows: int) -> str:
    names = column_names(table.columns)
    row = f"({', '.join('?' * len(table.columns))})"
    return f"INTO {table.name} ({names}) VALUES {', '.join([row] * rows)}"


def restore(copy: Path, path: Path) -> None:
    """Create a store from a copy that `copy_to` wrote.

    Raises:
        StoreError: the copy is damaged or no store, or `path` exists.
    """
    if path.exists():
        raise StoreError(f"{path}: there is a store already; move it away first")
    try:
        with closing(sqlite3.connect(f"file:{copy}?mode=ro", uri=True)) as source:
            ((verdict,),) = source.execute("PRAGMA integrity_check").fetchall()
            if verdict != "ok":
                raise StoreError(f"{copy}: is damaged: {verdict}")
            source.execute("SELECT number FROM migrations")
            with closing(sqlite3.connect(path)) as target:
                source.backup(target)
    except sqlite3.Error as error:
        raise StoreError(f"{copy}: {error}") from error


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path,
        timeout=_BUSY_TIMEOUT_S,
        # Transactions are explicit: BEGIN and COMMIT.
        isolation_level=None,
        # One thread at a time uses it.
        check_same_thread=False,
        cached_statements=_STATEMENTS_KEPT,
    )
    try:
        _prepare(connection)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection) -> None:
    # For a new file: with rows of a kilobyte a tenth more rows a second than with 4 KiB.
    connection.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
    # WAL: readers do not wait for the writer; a commit is one append and one fsync.
    connection.execute("PRAGMA journal_mode = WAL")
    # FULL: fsync before COMMIT returns. With NORMAL, a power cut would lose the last commits, whose
    # results the probes have deleted after the receipt.
    connection.execute("PRAGMA synchronous = FULL")
    # A checkpoint writes each changed page once more and waits for the disk, so they are rare; the
    # size limit removes a large WAL after a burst.
    connection.execute(f"PRAGMA wal_autocheckpoint = {_WAL_BYTES // _PAGE_BYTES}")
    connection.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES}")
    # 64 MiB: the roll-ups of a week of the nation stay in memory.
    connection.execute("PRAGMA cache_size = -65536")
    connection.execute("PRAGMA temp_store = MEMORY")


def _migrate(connection: sqlite3.Connection, migrations: Sequence[Migration]) -> None:
    connection.execute(
        "CREATE TABLE IF NOT EXISTS migrations "
        "(number INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at TEXT NOT NULL) STRICT"
    )
    for migration in migrations:
        connection.execute("BEGIN IMMEDIATE")
        # Read inside the transaction: another process may have migrated meanwhile.
        (applied,) = connection.execute("SELECT max(number) FROM migrations").fetchone()
        if (applied or 0) > migrations[-1].number:
            raise StoreError(
                f"the store is at migration {applied}, this program knows {migrations[-1].number}: "
                "a newer version has written it"
            )
        if (applied or 0) < migration.number:
            for statement in migration.statements:
                connection.execute(statement)
            connection.execute(
                "INSERT INTO migrations VALUES (?, ?, ?)",
                (migration.number, migration.name, utc_text(datetime.now(UTC))),
            )
        connection.execute("COMMIT")


def _create_tables(connection: sqlite3.Connection, tables: Sequence[Table]) -> None:
    """Create missing tables, and missing columns of tables."""
    connection.execute("BEGIN IMMEDIATE")
    for table in tables:
        known = {row[1] for row in connection.execute(f"PRAGMA table_info({table.name})")}
        if not known:
            connection.execute(_create_table(table))
        for column in table.columns if known else ():
            if column.name not in known:
                connection.execute(f"ALTER TABLE {table.name} ADD COLUMN {_column_sql(column)}")
        if table.by_line:
            connection.execute(
                f"CREATE INDEX IF NOT EXISTS {table.name}_by_line ON {table.name} "
                f"(tenant, probe, line, {table.daily})"
            )
    connection.execute("COMMIT")


def _create_table(table: Table) -> str:
    columns = [_column_sql(column) for column in table.columns]
    # A table with an integer key uses the rowid. Others are clustered by their key (WITHOUT ROWID),
    # which suits short rows, so not those with bytes.
    by_number = table.key == ("number",)
    rowid = by_number or any(column.type is ColumnType.BYTES for column in table.columns)
    key = f"PRIMARY KEY ({', '.join(table.key)})"
    return (
        f"CREATE TABLE {table.name} ({', '.join([*columns, key])}) STRICT"
        f"{'' if rowid else ', WITHOUT ROWID'}"
    )


def _column_sql(column: Column) -> str:
    return f"{column.name} {_TYPES[column.type]}{' NOT NULL' if column.required else ''}"
