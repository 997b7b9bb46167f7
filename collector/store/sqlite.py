"""Floor 2. The Store on SQLite: one file, one writer, readers that never wait."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor
from datetime import UTC, datetime
from itertools import accumulate, chain
from operator import itemgetter
from pathlib import Path

from collector.store.batch import microseconds, utc_text
from collector.store.connections import ConnectedDatabase, QueuedTransaction
from collector.store.database import Column, ColumnType, Row, Table, column_names
from collector.store.kind_tables import kind_tables
from collector.store.migrate import Migration, packaged
from collector.store.packs import PACK_RESULTS
from collector.store.records import DatabaseStatus
from collector.store.result_views import Dialect, views
from collector.store.sql_store import SqlStore, derived_tables
from collector.store.store import StoreError

# Longer than a checkpoint or a backup holds the lock, shorter than the watchdog's interval.
_BUSY_TIMEOUT_S = 2.0
# Values in one INSERT: while SQLite runs it, other Python threads run. The limit is 32,766, and a
# cached statement holds memory for each.
_VALUES_A_STATEMENT = 8_000
# Rows in one INSERT. Few sizes, so that each is prepared once: a statement of as many rows as a
# batch happens to have is prepared anew for each batch, which takes longer than to run it.
_ROWS_A_STATEMENT = (256, 64, 16, 4, 1)
# Some twenty tables, in these sizes; a reader's queries differ with what is asked.
_STATEMENTS_KEPT, _READER_STATEMENTS_KEPT = 128, 16
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
    ColumnType.INSTANT: "INTEGER",
    ColumnType.ID: "INTEGER",
}

# `sqlite3` looks for an adapter of each value that is no number and no text, and where it finds
# none takes four times as long as for a number. These two give back what they are given.
_NONE: dict[None, None] = {}
sqlite3.register_adapter(type(None), _NONE.get)
sqlite3.register_adapter(bytes, bytes)


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
            _keep_old_kinds(connection)
            _create_tables(connection, derived_tables())
            _create_views(connection)

    def _open_reader(self) -> sqlite3.Connection:
        reader = _connect(self._path, _READER_STATEMENTS_KEPT)
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

    def same_day(self, partition: str, of: str) -> str:  # noqa: ARG002
        """SQLite has no partitions."""
        return "true"

    def instant(self, at: datetime) -> object:
        return microseconds(at)

    def release_packed(self) -> None:
        """SQLite uses the pages of deleted rows again."""

    def table_names(self) -> set[str]:
        rows = self.read("SELECT name FROM sqlite_schema WHERE type = 'table'")
        return {name for (name,) in rows}

    def delete_before(self, cut: datetime, most_rows: int) -> int:
        """Of the lowest numbers, those that are older than `cut` are deleted; some may not be,
        from a time when the centre's clock was wrong.
        """
        with self.transaction() as transaction:
            return (
                _delete_old(transaction, cut, most_rows)
                or _delete_blocks(transaction, "packed_blocks", cut, most_rows)
                or _delete_blocks(transaction, "result_blocks", cut, most_rows)
                or _delete_signatures(transaction, cut, most_rows)
            )

    def status(self) -> DatabaseStatus:
        ((version, pages, page_bytes),) = self.read(
            "SELECT sqlite_version(), page_count, page_size "
            "FROM pragma_page_count(), pragma_page_size()"
        )
        log_path = self._path.with_name(f"{self._path.name}-wal")
        try:
            size_bytes = pages * page_bytes + log_path.stat().st_size
        except OSError:
            # It is there while somebody has the store open.
            size_bytes = pages * page_bytes
        return DatabaseStatus("SQLite", version, size_bytes)


class SqliteTransaction(QueuedTransaction):
    """One open transaction."""

    def __init__(self, connection: sqlite3.Connection, background: Executor | None) -> None:
        super().__init__(background)
        self._connection = connection

    def execute(self, sql: str, values: Sequence[object] = ()) -> list[Row]:
        self.settle()
        return self._connection.execute(sql, values).fetchall()

    def execute_many(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        every = list(rows)
        self.run(len(every), self._execute_many, sql, every)

    def insert(self, table: Table, rows: Sequence[Sequence[object]]) -> None:
        # Not OR IGNORE, which would ignore constraint violations as well.
        self.run(len(rows), self._write, "INSERT", table, rows, "ON CONFLICT DO NOTHING")

    def insert_new(self, table: Table, rows: Sequence[Sequence[object]]) -> None:
        self.run(len(rows), self._write, "INSERT", table, rows, "")

    def replace(self, table: Table, rows: Sequence[Sequence[object]]) -> None:
        self.run(len(rows), self._write, "INSERT OR REPLACE", table, rows, "")

    def upsert(self, table: Table, rows: Sequence[Sequence[object]], update: str) -> None:
        key = ", ".join(table.key)
        self.run(
            len(rows), self._write, "INSERT", table, rows, f"ON CONFLICT ({key}) DO UPDATE {update}"
        )

    def _execute_many(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        self._connection.executemany(sql, rows)

    def _write(
        self, verb: str, table: Table, rows: Sequence[Sequence[object]], ending: str
    ) -> None:
        columns, rows = _without_empty(table.columns, rows)
        names, row = column_names(columns), f"({', '.join('?' * len(columns))})"
        for begin, end in _portions(len(rows), _VALUES_A_STATEMENT // len(columns)):
            marks = ", ".join([row] * (end - begin))
            self._connection.execute(
                f"{verb} INTO {table.name} ({names}) VALUES {marks} {ending}",
                list(chain.from_iterable(rows[begin:end])),
            )

    def select_pairs(self, table: str, columns: str, pairs: Sequence[tuple[int, int]]) -> list[Row]:
        self.settle()
        found: list[Row] = []
        sql = f"SELECT {columns} FROM {table} WHERE line_id = ? AND start_s = ?"
        for pair in pairs:
            found += self._connection.execute(sql, pair).fetchall()
        return found


def _delete_old(transaction: SqliteTransaction, cut: datetime, most_rows: int) -> int:
    """Delete from the tables of before there were blocks."""
    rows = transaction.execute(
        "SELECT number, stored_at FROM old_results ORDER BY number LIMIT ?", (most_rows,)
    )
    old = [number for number, stored_at in rows if stored_at < utc_text(cut)]
    tables = [f"old_{kind}_results" for kind in kind_tables()]
    # `maintain` has rolled up those that had no kind's row into tables of facts.
    tables += [kind.facts.name for kind in kind_tables().values()]
    _delete_numbers(transaction, [*tables, "old_results"], old)
    return len(old)


def _delete_blocks(
    transaction: SqliteTransaction, table: str, cut: datetime, most_rows: int
) -> int:
    rows = transaction.execute(
        f"SELECT number, results, stored_at FROM {table} ORDER BY number LIMIT ?", (most_rows,)
    )
    old = [(number, count) for number, count, stored_us in rows if stored_us < microseconds(cut)]
    # So many results, not blocks: ingest waits for the transaction.
    ends = accumulate(count for _, count in old)
    old = [one for one, end in zip(old, ends, strict=True) if end - one[1] < most_rows]
    numbers = [number + place for number, count in old for place in range(count)]
    _delete_numbers(transaction, [kind.facts.name for kind in kind_tables().values()], numbers)
    _delete_numbers(transaction, [table], [number for number, _ in old])
    if old and table == "packed_blocks":
        _delete_packs(transaction, old[0][0], old[-1][0])
    return len(numbers)


def _delete_signatures(transaction: SqliteTransaction, cut: datetime, most_rows: int) -> int:
    deleted = transaction.execute(
        "DELETE FROM signature_blocks WHERE rowid IN (SELECT rowid FROM "
        "(SELECT rowid, stored_at FROM signature_blocks ORDER BY rowid LIMIT ?) "
        "WHERE stored_at < ?) RETURNING 1",
        (most_rows, microseconds(cut)),
    )
    return len(deleted)


def _delete_packs(transaction: SqliteTransaction, first: int, last: int) -> None:
    """Delete the packs of deleted blocks, those that have no other ones."""
    transaction.execute(
        "DELETE FROM result_packs AS p WHERE number BETWEEN ? AND ? AND NOT EXISTS (SELECT 1 FROM "
        "packed_blocks AS b WHERE b.number >= p.number AND b.number < p.number + p.results)",
        (first - PACK_RESULTS, last),
    )


def _delete_numbers(
    transaction: SqliteTransaction, tables: Sequence[str], numbers: Sequence[int]
) -> None:
    if not numbers:
        return
    found = transaction.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
    for table in {name for (name,) in found}.intersection(tables):
        transaction.execute(
            f"DELETE FROM {table} WHERE number IN (SELECT value FROM json_each(?))",
            (json.dumps(numbers),),
        )


def _without_empty(
    columns: Sequence[Column], rows: Sequence[Sequence[object]]
) -> tuple[Sequence[Column], Sequence[Sequence[object]]]:
    """Columns and rows without those columns that are None in all rows, which need not be bound.

    A column that may be NULL has no other default.
    """
    kept = [
        place
        for place, first in enumerate(rows[0] if rows else ())
        if first is not None or any(row[place] is not None for row in rows)
    ]
    if len(kept) == len(columns) or len(kept) < 2:  # `itemgetter` of one gives no tuple
        return columns, rows
    return [columns[place] for place in kept], list(map(itemgetter(*kept), rows))


def _portions(rows: int, most: int) -> Iterator[tuple[int, int]]:
    """Where the rows of each statement begin and end; each has `most` at most."""
    begin = 0
    for size in _ROWS_A_STATEMENT:
        while size <= most and begin + size <= rows:
            yield begin, begin + size
            begin += size


def _connect(path: Path, statements_kept: int = _STATEMENTS_KEPT) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path,
        timeout=_BUSY_TIMEOUT_S,
        # Transactions are explicit: BEGIN and COMMIT.
        isolation_level=None,
        # One thread at a time uses it.
        check_same_thread=False,
        cached_statements=statements_kept,
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


def _keep_old_kinds(connection: sqlite3.Connection) -> None:
    """Rename the kinds' tables of before there were blocks; the names are those of views now."""
    for kind in kind_tables():
        name = f"{kind}_results"
        old = connection.execute(
            "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?", (name,)
        ).fetchone()
        if old:
            connection.execute(f"ALTER TABLE {name} RENAME TO old_{name}")


def _create_views(connection: sqlite3.Connection) -> None:
    """Create the views, or replace those that differ."""
    tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_schema")]
    columns = {
        name: {row[1] for row in connection.execute(f"PRAGMA table_info({name})")}
        for name in tables
        if name.startswith("old_")
    }
    connection.execute("BEGIN IMMEDIATE")
    for name, query in views(columns, _DIALECT):
        wanted = f"CREATE VIEW {name} AS {query}"
        known = connection.execute(
            "SELECT sql FROM sqlite_schema WHERE type = 'view' AND name = ?", (name,)
        ).fetchone()
        if known != (wanted,):
            connection.execute(f"DROP VIEW IF EXISTS {name}")
            connection.execute(wanted)
    connection.execute("COMMIT")


def _time_sql(instant: str) -> str:
    """An INSTANT as `utc_text` writes it; the remainder is never negative."""
    fraction = f"(({instant} % 1000000 + 1000000) % 1000000)"
    return (
        f"strftime('%Y-%m-%dT%H:%M:%S', ({instant} - {fraction}) / 1000000, 'unixepoch') "
        f"|| printf('.%06dZ', {fraction})"
    )


_DIALECT = Dialect(_time_sql, lambda _, __: "true", lambda _, __: "NULL")


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
                f"(dimension_id, {table.daily})"
            )
        for index in table.indexes:
            connection.execute(
                f"CREATE INDEX IF NOT EXISTS {table.name}_by_{index[0]} ON {table.name} "
                f"({', '.join(index)})"
            )
    connection.execute("COMMIT")


def _create_table(table: Table) -> str:
    columns = [_column_sql(column) for column in table.columns]
    # A table with an integer key uses the rowid. Others are clustered by their key (WITHOUT ROWID),
    # which suits short rows, so not those with bytes.
    by_number = table.key in (("number",), ("dimension_id",))
    rowid = by_number or any(column.type is ColumnType.BYTES for column in table.columns)
    key = f"PRIMARY KEY ({', '.join(table.key)})"
    return (
        f"CREATE TABLE {table.name} ({', '.join([*columns, key])}) STRICT"
        f"{'' if rowid else ', WITHOUT ROWID'}"
    )


def _column_sql(column: Column) -> str:
    return f"{column.name} {_TYPES[column.type]}{' NOT NULL' if column.required else ''}"
