"""Floor 2. The Store on PostgreSQL 15 or newer, partitioned by day. With psycopg.

Several collectors may share one database: each batch is a transaction under one advisory lock, so
that numbers are assigned in the order of commit, and a reader that pages by number misses none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import Executor
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from weakref import WeakKeyDictionary

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from collector.store import postgresql_schema
from collector.store.batch import utc_text
from collector.store.connections import ConnectedDatabase, QueuedTransaction
from collector.store.database import ColumnType, Row, Table, column_names
from collector.store.kind_tables import kind_tables
from collector.store.migrate import Migration, packaged
from collector.store.migrated_tables import BLOCKS, PACKED_BLOCKS, PACKS
from collector.store.records import DatabaseStatus, ReplicaStatus
from collector.store.sql_store import SqlStore, daily_tables, derived_tables, raw_tables
from collector.store.store import StoreError

_LOCK = 0x7472616D646F  # "tramdo"
_LEASE_LOCK = _LOCK + 1
_ALERT_LOCK = _LOCK + 2
# A table that is there while a restore writes the database.
RESTORE_MARK = "restore_under_way"
_OLDEST = 150_000
_APPLICATION = "tramdo-collector"
# The types of binary COPY. A `timestamptz` is an integer of microseconds there.
_BINARY_TYPES = {
    ColumnType.INTEGER: "int8",
    ColumnType.SMALL: "int2",
    ColumnType.REAL: "float8",
    ColumnType.TEXT: "text",
    ColumnType.BOOLEAN: "bool",
    ColumnType.TIME: "int8",
    ColumnType.BYTES: "bytea",
    ColumnType.INSTANT: "int8",
    ColumnType.ID: "int4",
}
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_EPOCH_US = int(_EPOCH.timestamp()) * 1_000_000
_UNIX_DAY = date(1970, 1, 1)
_DAY_US = 86_400_000_000
# Results outside of this range (a wrong clock) go to the default partition.
_DAYS_BACK, _DAYS_AHEAD = 400, 8
_ONE_DAY = timedelta(days=1)
# A long lock (a dump that runs for an hour) must not stop ingest.
_LOCK_TIMEOUT_MS = 2_000
# A partition without a row that is not larger is left as it is: four indexes' first pages.
_SMALL_BYTES = 65_536
# A client that is stopped between two statements must not keep the lock from all others. It is more
# than packing a batch takes on a busy machine; between a lease's statements there is nothing.
_IDLE_TIMEOUT_MS, _LEASE_IDLE_TIMEOUT_MS = 60_000, 5_000
# Unless the connection string says otherwise: a server whose machine is gone is noticed in seconds,
# not in the two hours of Linux's defaults.
_CONNECTION = {
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    "connect_timeout": 5,
}


class PostgresqlStore(SqlStore):
    """The Store in a PostgreSQL database.

    Args:
        conninfo: a libpq connection string (`host=… dbname=…` or a URL). With several hosts and
            `target_session_attrs=read-write`, the one that is the primary now.
        rejected_kept: how many rejected messages to keep.
        migrations: the packaged ones by default; tests pass others.
        application_name: its name in `pg_stat_activity`.
        restoring: whether this is the restore that has not ended yet.

    Raises:
        StoreError: it cannot be reached, is too old, a newer program has written it, or a restore
            of it has not ended.
    """

    def __init__(
        self,
        conninfo: str,
        rejected_kept: int = 1_000,
        migrations: Sequence[Migration] | None = None,
        application_name: str = _APPLICATION,
        *,
        restoring: bool = False,
    ) -> None:
        self.database = PostgresqlDatabase(
            conninfo, migrations, application_name, restoring=restoring
        )
        super().__init__(self.database, rejected_kept)


class PostgresqlDatabase(ConnectedDatabase[psycopg.Connection, "PostgresqlTransaction"]):
    """A Database on a server."""

    _lock_number = _LOCK
    _idle_timeout_ms = _IDLE_TIMEOUT_MS

    def __init__(
        self,
        conninfo: str,
        migrations: Sequence[Migration] | None = None,
        application_name: str = _APPLICATION,
        *,
        restoring: bool = False,
    ) -> None:
        super().__init__()
        self._restoring = restoring
        try:
            given = conninfo_to_dict(conninfo)
            self._conninfo = make_conninfo(
                conninfo, **(_CONNECTION | given | {"application_name": application_name})
            )
        except psycopg.Error as error:
            raise StoreError(f"PostgreSQL: {_one_line(error)}") from error
        self._migrations = packaged("postgresql") if migrations is None else list(migrations)
        try:
            with self.transaction():
                pass
        except StoreError as error:
            if not isinstance(error.__cause__, psycopg.errors.ReadOnlySqlTransaction):
                raise
            self._require_migrated()

    def _require_migrated(self) -> None:
        """On a standby, which can be read alone: check that the schema is this program's."""
        ((applied,),) = self.read("SELECT max(number) FROM migrations")
        if applied != self._migrations[-1].number:
            raise StoreError(
                f"PostgreSQL: a standby at migration {applied}, this program knows "
                f"{self._migrations[-1].number}: run it at the primary first"
            )

    def _migrate_schema(self, connection: psycopg.Connection) -> None:
        if not self._restoring:
            _require_restored(connection)
        changed = _migrate(connection, self._migrations)
        # With fewer migrations than the packaged ones (in a test) there are no tables to extend.
        if len(self._migrations) >= len(packaged("postgresql")):
            with connection.transaction():
                _lock(connection)
                _keep_old_kinds(connection)
                _create_tables(connection, derived_tables(), changed)

    def _open_reader(self) -> psycopg.Connection:
        reader = self._connect()
        reader.read_only = True
        return reader

    def _begin(
        self, writer: psycopg.Connection, background: Executor | None
    ) -> PostgresqlTransaction:
        writer.execute("BEGIN")
        _lock(writer, self._lock_number)
        return PostgresqlTransaction(writer, background)

    def _rows(self, reader: psycopg.Connection, sql: str, values: Sequence[object]) -> list[Row]:
        return reader.execute(_query(sql), values or None).fetchall()

    def _translate(self, error: BaseException) -> Exception | None:
        if isinstance(error, psycopg.errors.NumericValueOutOfRange):
            return OverflowError(_one_line(error))
        return store_error(error) if isinstance(error, psycopg.Error) else None

    def create_partitions(self, days_ahead: int, now: datetime) -> None:
        """A partition for today and each of the coming days, of every partitioned table."""
        today = now.astimezone(UTC).date()
        with self.transaction() as transaction:
            for table in daily_tables():
                for ahead in range(days_ahead + 1):
                    transaction.create_partition(table.name, today + ahead * _ONE_DAY)

    def delete_before(
        self,
        cut: datetime,
        most_rows: int,  # noqa: ARG002 - partitions are dropped whole
    ) -> int:
        """Partitions by start time; the default partition by storage time."""
        with self.transaction() as transaction:
            old = [f"old_{kind}_results" for kind in kind_tables()]
            packed = [PACKED_BLOCKS.name, PACKS.name]
            tables = [*(table.name for table in daily_tables()), *packed, *old, "old_results"]
            return (
                transaction.drop_partitions(cut, tables)
                + transaction.delete_default_partition(cut)
                + transaction.delete_old_default_partition(cut)
            )

    def instant(self, at: datetime) -> object:
        return at

    def release_packed(self) -> None:
        """Truncate the parts of past days that have no row: a vacuum leaves their indexes large."""
        with self.transaction() as transaction:
            for part in transaction.partitions(BLOCKS.name):
                transaction.truncate_if_empty(part)

    def table_names(self) -> set[str]:
        rows = self.read("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
        return {name for (name,) in rows}

    def same_day(self, partition: str, of: str) -> str:
        return postgresql_schema.same_day(partition, of)

    def status(self) -> DatabaseStatus:
        ((version, size_bytes, archived_at, failed_at),) = self.read(
            "SELECT current_setting('server_version'), pg_database_size(current_database()), "
            "last_archived_time, last_failed_time FROM pg_stat_archiver"
        )
        # State and lag are seen by `pg_monitor` alone; the lag in time is none where nothing has
        # been written lately. A base backup that is under way is no standby.
        replicas = self.read(
            "SELECT application_name, coalesce(state, ''), "
            "CAST(extract(epoch FROM replay_lag) AS double precision), "
            "CASE WHEN NOT pg_is_in_recovery() THEN "
            "CAST(pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn) AS bigint) END "
            "FROM pg_stat_replication WHERE coalesce(state, '') <> 'backup' ORDER BY 1"
        )
        failing = failed_at is not None and (archived_at is None or failed_at > archived_at)
        return DatabaseStatus(
            "PostgreSQL",
            version.partition(" ")[0],
            size_bytes,
            tuple(ReplicaStatus(*one) for one in replicas),
            archived_at,
            failed_at if failing else None,
        )

    def _connect(self) -> psycopg.Connection:
        connection = psycopg.connect(self._conninfo, autocommit=True)
        if connection.info.server_version < _OLDEST:
            connection.close()
            raise StoreError("PostgreSQL: the server is older than version 15")
        connection.execute("SET TIME ZONE 'UTC'")
        connection.execute(_query(f"SET lock_timeout = {_LOCK_TIMEOUT_MS}"))
        connection.execute(
            _query(f"SET idle_in_transaction_session_timeout = {self._idle_timeout_ms}")
        )
        return connection

    def _is_lost(self, reader: psycopg.Connection) -> bool:
        return reader.closed


class LeaseDatabase(PostgresqlDatabase):
    """The database for its leases alone: connections and a lock of their own.

    A renewal waits neither for a batch nor for a roll-up. The schema is that of a store that was
    opened before.
    """

    _lock_number = _LEASE_LOCK
    _idle_timeout_ms = _LEASE_IDLE_TIMEOUT_MS

    def _migrate_schema(self, connection: psycopg.Connection) -> None:
        """Nothing: the store has done it."""


class AlertTablesDatabase(PostgresqlDatabase):
    """The database for alerts: connections and a lock of their own, so that none waits for a batch.

    The schema is that of a store that was opened before.
    """

    _lock_number = _ALERT_LOCK

    def _migrate_schema(self, connection: psycopg.Connection) -> None:
        """Nothing: the store has done it."""


class PostgresqlTransaction(QueuedTransaction):
    """One open transaction."""

    def __init__(self, connection: psycopg.Connection, background: Executor | None) -> None:
        super().__init__(background)
        self._connection = connection
        self._staged: set[str] = set()

    def execute(self, sql: str, values: Sequence[object] = ()) -> list[Row]:
        self.settle()
        return self._execute(sql, values)

    def execute_many(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        every = list(rows)
        self.run(len(every), self._execute_many, _query(sql), every)

    def insert(self, table: Table, rows: Sequence[Sequence[object]]) -> None:
        """By COPY; with a key conflict, over a staging table."""
        if rows:
            self.run(len(rows), self._insert, table, rows)

    def insert_new(self, table: Table, rows: Sequence[Sequence[object]]) -> None:
        """By COPY alone: a savepoint takes as long as some hundred rows."""
        if rows:
            self.run(len(rows), self._copy, table.name, table, rows)

    def _execute(self, sql: str, values: Sequence[object] = ()) -> list[Row]:
        cursor = self._connection.execute(_query(sql), values or None)
        return cursor.fetchall() if cursor.description else []

    def _execute_many(self, query: str, rows: Sequence[Sequence[object]]) -> None:
        with self._connection.cursor() as cursor:
            cursor.executemany(query, rows)

    def _insert(self, table: Table, rows: Sequence[Sequence[object]]) -> None:
        names = [column.name for column in table.columns]
        if table.daily is not None:
            place = names.index(table.daily)
            for days in sorted({row[place] // _DAY_US for row in rows}):  # type: ignore[operator]
                self._create_partition_if_near(table.name, days)
            # It has no key.
            self._copy(table.name, table, rows)
            return
        try:
            # The ledgers exclude repeats, so that keys are unique.
            with self._connection.transaction():
                self._copy(table.name, table, rows)
        except psycopg.errors.UniqueViolation:
            self._merge(table, rows, "DO NOTHING")

    def replace(self, table: Table, rows: Sequence[Sequence[object]]) -> None:
        new = [f"{c.name} = excluded.{c.name}" for c in table.columns if c.name not in table.key]
        self.upsert(table, rows, f"SET {', '.join(new)}")

    def upsert(self, table: Table, rows: Sequence[Sequence[object]], update: str) -> None:
        if rows:
            key = ", ".join(table.key)
            self.run(len(rows), self._merge, table, rows, f"({key}) DO UPDATE {update}")

    def _merge(self, table: Table, rows: Sequence[Sequence[object]], conflict: str) -> None:
        names = column_names(table.columns)
        staged = self._stage(table, rows)
        self._execute(
            f"INSERT INTO {table.name} ({names}) "
            f"SELECT {names} FROM {staged} ON CONFLICT {conflict}"
        )

    def select_pairs(self, table: str, columns: str, pairs: Sequence[tuple[int, int]]) -> list[Row]:
        lines, starts = [line for line, _ in pairs], [start for _, start in pairs]
        return self.execute(
            f"SELECT {columns} FROM unnest(?::bigint[], ?::bigint[]) AS wanted (line_id, start_s) "
            f"JOIN {table} USING (line_id, start_s)",
            (lines, starts),
        )

    def create_partition(self, table: str, day: date) -> None:
        """Create the partition of a day, if missing; its rows move from the default partition."""
        part = f"{table}_{day:%Y%m%d}"
        if self._execute("SELECT to_regclass(?)", (part,)) != [(None,)]:
            return
        begin, end = _midnight(day), _midnight(day + _ONE_DAY)
        self._execute(
            f"CREATE TABLE {part} (LIKE {table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)"
        )
        self._execute(
            f"WITH moved AS (DELETE FROM {table}_other "
            f"WHERE started_at >= '{begin}' AND started_at < '{end}' RETURNING *) "
            f"INSERT INTO {part} SELECT * FROM moved"
        )
        self._execute(
            f"ALTER TABLE {table} ATTACH PARTITION {part} FOR VALUES FROM ('{begin}') TO ('{end}')"
        )

    def drop_partitions(self, cut: datetime, tables: Sequence[str]) -> int:
        """Drop the partitions of days that ended before `cut`; returns their number."""
        dropped = 0
        for table in tables:
            for part in self.partitions(table):
                day = part.removeprefix(f"{table.removeprefix('old_')}_")
                if not day.isdecimal():
                    continue
                ends = datetime.strptime(day, "%Y%m%d").replace(tzinfo=UTC) + _ONE_DAY
                if ends <= cut:
                    self.execute(f"DROP TABLE {part}")
                    dropped += 1
        return dropped

    def partitions(self, table: str) -> list[str]:
        """The names of a table's partitions."""
        parts = self.execute(
            "SELECT child.relname FROM pg_inherits "
            "JOIN pg_class AS child ON child.oid = inhrelid WHERE inhparent = to_regclass(?)",
            (table,),
        )
        return [part for (part,) in parts]

    def truncate_if_empty(self, part: str) -> None:
        """Give back the space of a partition in which all rows were deleted."""
        if self.execute(
            f"SELECT 1 WHERE pg_total_relation_size(to_regclass(?)) < {_SMALL_BYTES} "
            f"OR EXISTS (SELECT 1 FROM {part})",
            (part,),
        ):
            return
        try:
            with self._connection.transaction():
                self.execute(f"TRUNCATE {part}")
        except psycopg.errors.LockNotAvailable:
            # A long read (a dump) holds the lock: in the next night.
            return

    def delete_default_partition(self, cut: datetime) -> int:
        """Delete rows of the default partitions stored before `cut`; returns their number."""
        rows = [
            row
            for table in (BLOCKS, PACKED_BLOCKS)
            for row in self.execute(
                f"DELETE FROM {table.name}_other WHERE stored_at < ? RETURNING number",
                (utc_text(cut),),
            )
        ]
        if rows:
            blocks = [number for (number,) in rows]
            for table in raw_tables():
                if table.name != "result_blocks":
                    self.execute(
                        f"DELETE FROM {table.name}_other WHERE number - place = ANY(?)", (blocks,)
                    )
            self.execute(
                "DELETE FROM result_packs_other AS p WHERE NOT EXISTS (SELECT 1 FROM packed_blocks "
                "AS b WHERE b.number >= p.number AND b.number < p.number + p.results)"
            )
        signed = self.execute(
            "DELETE FROM signature_blocks_other WHERE stored_at < ? RETURNING 1", (utc_text(cut),)
        )
        return len(rows) + len(signed)

    def delete_old_default_partition(self, cut: datetime) -> int:
        """The same of the tables of before there were blocks."""
        rows = self.execute(
            "DELETE FROM results_other WHERE stored_at < ? RETURNING number", (utc_text(cut),)
        )
        numbers = [number for (number,) in rows]
        for kind in kind_tables() if rows else ():
            part = f"{kind}_results_other"
            if self.execute("SELECT to_regclass(?)", (part,)) != [(None,)]:
                self.execute(f"DELETE FROM {part} WHERE number = ANY(?)", (numbers,))
        return len(rows)

    def _create_partition_if_near(self, table: str, days: int) -> None:
        made = _made_by(self._connection)
        if (table, days) in made:
            return
        away = days - (datetime.now(UTC).date() - _UNIX_DAY).days
        if not -_DAYS_BACK <= away <= _DAYS_AHEAD:
            return
        day = _UNIX_DAY + days * _ONE_DAY
        try:
            with self._connection.transaction():
                self.create_partition(table, day)
        except psycopg.errors.LockNotAvailable:
            # A long read (a dump) holds the lock. The rows go to the default partition and move
            # when the day's partition is created.
            return
        made.add((table, days))

    def _stage(self, table: Table, rows: Sequence[Sequence[object]]) -> str:
        """Copy the rows into a temporary table; returns its name."""
        staged = f"staged_{table.name}"
        made = _made_by(self._connection)
        if staged not in made:
            self._execute(
                f"CREATE TEMP TABLE IF NOT EXISTS {staged} (LIKE {table.name}) "
                "ON COMMIT DELETE ROWS"
            )
            made.add(staged)
        if staged in self._staged:
            self._execute(f"TRUNCATE {staged}")
        self._staged.add(staged)
        self._copy(staged, table, rows)
        return staged

    def _copy(self, into: str, table: Table, rows: Sequence[Sequence[object]]) -> None:
        # In binary: formatting and parsing numbers as text would cost more than all the rest.
        names = column_names(table.columns)
        times = [place for place, c in enumerate(table.columns) if c.type is ColumnType.TIME]
        instants = [place for place, c in enumerate(table.columns) if c.type is ColumnType.INSTANT]
        with (
            self._connection.cursor() as cursor,
            cursor.copy(_query(f"COPY {into} ({names}) FROM STDIN (FORMAT BINARY)")) as copy,
        ):
            copy.set_types([_BINARY_TYPES[column.type] for column in table.columns])
            for row in rows:
                cells = list(row)
                for place in times:
                    cells[place] = _microseconds(cells[place])
                for place in instants:
                    if cells[place] is not None:
                        cells[place] -= _EPOCH_US  # type: ignore[operator]
                copy.write_row(cells)


def _made_by(connection: psycopg.Connection) -> set[object]:
    """Temporary tables and partitions (table, day) that a connection has made or found.

    Where a transaction fails its connection is closed (`ConnectedDatabase`), so they are there. A
    partition that retention has dropped since is not: its rows go to the default partition.
    """
    return _MADE.setdefault(connection, set())


_MADE: WeakKeyDictionary[psycopg.Connection, set[object]] = WeakKeyDictionary()


def environment(conninfo: str) -> dict[str, str]:
    """The connection string as environment variables of libpq's programs.

    Every user of the machine could read a password in their arguments.
    """
    names = {"dbname": "PGDATABASE", "host": "PGHOST", "port": "PGPORT", "user": "PGUSER"}
    names |= {key: f"PG{key.upper()}" for key in ("password", "passfile", "service", "sslmode")}
    names["target_session_attrs"] = "PGTARGETSESSIONATTRS"
    names |= {"sslrootcert": "PGSSLROOTCERT", "sslcert": "PGSSLCERT", "sslkey": "PGSSLKEY"}
    options = conninfo_to_dict(conninfo)
    return {names[key]: str(value) for key, value in options.items() if key in names}


@lru_cache(1 << 14)
def _microseconds(text: str | None) -> int | None:
    """A `utc_text` as microseconds of PostgreSQL's epoch; cached, for two tables have it."""
    return None if text is None else (datetime.fromisoformat(text) - _EPOCH) // _MICROSECOND


def _query(sql: str) -> str:
    return sql.replace("?", "%s")


def _lock(connection: psycopg.Connection, number: int = _LOCK) -> None:
    connection.execute(_query(f"SELECT pg_advisory_xact_lock({number})"))


def _require_restored(connection: psycopg.Connection) -> None:
    """Refuse what a restore is writing, or has left unfinished."""
    if connection.execute("SELECT to_regclass(%s)", (RESTORE_MARK,)).fetchone() != (None,):
        raise StoreError(
            "PostgreSQL: a restore of this database has not ended; if none is running, "
            "run `tramdo-collector restore` again"
        )


def _midnight(day: date) -> str:
    return f"{day.isoformat()} 00:00:00+00"


def _one_line(error: psycopg.Error) -> str:
    return " ".join(str(error).split())


def store_error(error: psycopg.Error) -> StoreError:
    """What the database said, in one line."""
    return StoreError(f"PostgreSQL: {_one_line(error)}")


def _migrate(connection: psycopg.Connection, migrations: Sequence[Migration]) -> bool:
    """Apply what is missing; returns whether anything was."""
    changed = False
    with connection.transaction():
        _lock(connection)
        connection.execute(
            "CREATE TABLE IF NOT EXISTS migrations (number bigint PRIMARY KEY, "
            "name text NOT NULL, applied_at timestamptz NOT NULL)"
        )
    for migration in migrations:
        with connection.transaction():
            _lock(connection)
            # Read inside the lock: another process may have migrated meanwhile.
            row = connection.execute("SELECT max(number) FROM migrations").fetchone()
            applied = (row[0] if row else None) or 0
            if applied > migrations[-1].number:
                raise StoreError(
                    f"the store is at migration {applied}, this program knows "
                    f"{migrations[-1].number}: a newer version has written it"
                )
            if applied < migration.number:
                changed = True
                for statement in migration.statements:
                    connection.execute(statement)
                connection.execute(
                    "INSERT INTO migrations VALUES (%s, %s, %s)",
                    (migration.number, migration.name, datetime.now(UTC)),
                )
    return changed


def _create_tables(connection: psycopg.Connection, tables: Sequence[Table], migrated: bool) -> None:
    """Create missing tables, and missing columns of tables; then the views of them."""
    known = _columns(connection)
    made = list(postgresql_schema.missing(tables, known))
    for statement in made:
        connection.execute(statement)
    if made or migrated:
        now = _columns(connection)
        for statement in (*postgresql_schema.views(now), *postgresql_schema.result_views(now)):
            connection.execute(statement)


def _keep_old_kinds(connection: psycopg.Connection) -> None:
    """Rename the kinds' tables of before there were blocks; the names are those of views now."""
    for kind in kind_tables():
        name = f"{kind}_results"
        old = connection.execute(
            "SELECT 1 FROM pg_class WHERE oid = to_regclass(%s) AND relkind IN ('p', 'r')", (name,)
        ).fetchone()
        if old:
            connection.execute(_query(f"ALTER TABLE {name} RENAME TO old_{name}"))


def _columns(connection: psycopg.Connection) -> dict[str, list[str]]:
    """The columns of each table, in the order that the table has them."""
    rows = connection.execute(
        "SELECT table_name, column_name FROM information_schema.columns "
        "WHERE table_schema = current_schema() ORDER BY table_name, ordinal_position"
    ).fetchall()
    known: dict[str, list[str]] = {}
    for table_name, column_name in rows:
        known.setdefault(table_name, []).append(column_name)
    return known
