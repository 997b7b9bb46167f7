"""Floor 2. The Store on SQLite: one file, one writer, readers that never wait.

The only file that imports sqlite3.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from collector.intake import Judged
from collector.receipts import EpochKey
from collector.store import columns
from collector.store.batch import Batch, ProbeChange, utc_text
from collector.store.migrate import Migration, packaged
from collector.store.store import (
    BatchStored,
    LastResult,
    StoredProbe,
    StoredRejection,
    StoredResult,
    StoreError,
    Totals,
)
from wire.ledger import Ledger
from wire.messages import Rejection

# Longer than a checkpoint or a backup holds the lock; the watchdog's interval is longer still.
_BUSY_TIMEOUT_S = 2.0
_REJECTED_HEAD_BYTES = 16_384
_RESULT_COLUMNS = (
    "results.number, results.tenant, results.probe, results.epoch, results.seq, results.kind, "
    "results.line, results.target, results.received_at, results.stored_at, results.body"
)

_PROBE_COLUMNS = (
    "tenant, probe, revision, site, presence, presence_since, info, health, health_at, "
    "last_contact_at"
)


class SqliteStore:
    """The Store in one SQLite file.

    A connection that an error came from is closed and made anew at the next call, so that a full
    disk, a lock or a mount that went away for a while leaves nothing behind.

    Args:
        path: the file; made where there is none. On a local disk.
        rejected_kept: how many rejected messages to keep.
        migrations: the schema's steps, the packaged ones unless a test brings others.

    Raises:
        StoreError: it cannot be opened, or a newer program has written it.
    """

    def __init__(
        self,
        path: Path,
        rejected_kept: int = 1_000,
        migrations: Sequence[Migration] | None = None,
    ) -> None:
        self._path = path
        self._rejected_kept = rejected_kept
        self._migrations = packaged() if migrations is None else list(migrations)
        self._writer: sqlite3.Connection | None = None
        self._reader: sqlite3.Connection | None = None
        self._writing = threading.Lock()
        self._reading = threading.Lock()
        with self._transaction():
            pass

    def store_batch(self, messages: Sequence[Judged], stored_at: datetime) -> BatchStored:
        """See Store."""
        batch = Batch(messages, stored_at)
        with self._transaction() as connection:
            revision = _count(connection, "revision", 1)
            stored = _insert_results(connection, batch)
            _count(connection, "results", stored)
            ledgers = {
                key: _extend_ledger(connection, key, seqs, batch.given_up[key], revision)
                for key, seqs in batch.seqs.items()
            }
            _upsert_last_results(connection, batch)
            for (tenant, probe), change in batch.probes.items():
                _upsert_probe(connection, tenant, probe, revision, change)
            self._insert_rejected(connection, batch)
        duplicates = len(batch.results) - stored
        return BatchStored(stored, duplicates, len(batch.rejected), ledgers)

    def ledgers(self) -> Mapping[EpochKey, Ledger]:
        """See Store."""
        rows = self._read(
            # With max(), SQLite takes the other columns from the row that has it.
            "SELECT tenant, probe, epoch, ranges, max(touched) FROM ledgers GROUP BY tenant, probe"
        )
        return {
            EpochKey(tenant, probe, UUID(epoch)): columns.ledger(ranges)
            for tenant, probe, epoch, ranges, _ in rows
        }

    def revision(self) -> int:
        """See Store."""
        rows = self._read("SELECT count FROM totals WHERE name = 'revision'")
        return int(rows[0][0]) if rows else 0

    def probes(self, changed_after: int = 0) -> list[StoredProbe]:
        """See Store."""
        rows = self._read(
            f"SELECT {_PROBE_COLUMNS} FROM probes "  # noqa: S608 - our own constant
            "WHERE revision > ? ORDER BY tenant, probe",
            (changed_after,),
        )
        return [columns.probe(row) for row in rows]

    def probe(self, tenant: str, probe: str) -> StoredProbe | None:
        """See Store."""
        rows = self._read(
            f"SELECT {_PROBE_COLUMNS} FROM probes "  # noqa: S608 - our own constant
            "WHERE tenant = ? AND probe = ?",
            (tenant, probe),
        )
        return columns.probe(rows[0]) if rows else None

    def last_results(self, tenant: str, probe: str) -> list[LastResult]:
        """See Store."""
        rows = self._read(
            f"SELECT last.only_ok, {_RESULT_COLUMNS} FROM last_results AS last "  # noqa: S608
            "JOIN results USING (tenant, probe, epoch, seq) "
            "WHERE last.tenant = ? AND last.probe = ? "
            "ORDER BY last.line, last.kind, last.target, last.only_ok",
            (tenant, probe),
        )
        latest: dict[tuple[str, str, str], LastResult] = {}
        for only_ok, *fields in rows:
            stored = columns.result(tuple(fields))
            key = (stored.line, stored.kind, stored.target or "")
            latest[key] = (
                latest[key]._replace(last_ok=stored) if only_ok else LastResult(stored, None)
            )
        return list(latest.values())

    def results_after(self, number: int, limit: int) -> list[StoredResult]:
        """See Store."""
        rows = self._read(
            f"SELECT {_RESULT_COLUMNS} FROM results "  # noqa: S608 - our own constant
            "WHERE number > ? ORDER BY number LIMIT ?",
            (number, limit),
        )
        return [columns.result(row) for row in rows]

    def newest_results(self, limit: int) -> list[StoredResult]:
        """See Store."""
        rows = self._read(
            f"SELECT {_RESULT_COLUMNS} FROM results "  # noqa: S608 - our own constant
            "ORDER BY number DESC LIMIT ?",
            (limit,),
        )
        return [columns.result(row) for row in reversed(rows)]

    def rejected_after(self, number: int, limit: int) -> list[StoredRejection]:
        """See Store."""
        rows = self._read(
            "SELECT number, topic, reason, detail, received_at, payload_head, payload_bytes "
            "FROM rejected WHERE number > ? ORDER BY number LIMIT ?",
            (number, limit),
        )
        return [
            StoredRejection(
                row[0], row[1], Rejection(row[2]), row[3], columns.time(row[4]), *row[5:]
            )
            for row in rows
        ]

    def totals(self) -> Totals:
        """See Store."""
        rows = self._read(
            "SELECT name, count FROM totals UNION ALL SELECT 'probes', count(*) FROM probes"
        )
        counts: dict[str, int] = {row[0]: row[1] for row in rows}
        rejected = {
            reason: counts[f"rejected:{reason}"]
            for reason in Rejection
            if f"rejected:{reason}" in counts
        }
        return Totals(counts.get("results", 0), counts["probes"], rejected)

    def close(self) -> None:
        """See Store."""
        with self._writing, self._reading:
            for connection in (self._reader, self._writer):
                if connection is not None:
                    connection.close()
            self._writer = self._reader = None

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._writing:
            try:
                if self._writer is None:
                    self._writer = _connect(self._path)
                    _migrate(self._writer, self._migrations)
                self._writer.execute("BEGIN IMMEDIATE")
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException as error:
                if self._writer is not None:
                    self._writer.close()  # and so rolls back
                    self._writer = None
                if isinstance(error, sqlite3.Error):
                    raise self._store_error(error) from error
                raise

    def _read(self, query: str, values: Sequence[object] = ()) -> list[columns.Row]:
        with self._reading:
            try:
                if self._reader is None:
                    self._reader = _connect(self._path)
                    self._reader.execute("PRAGMA query_only = ON")
                return self._reader.execute(query, values).fetchall()
            except sqlite3.Error as error:
                if self._reader is not None:
                    self._reader.close()
                    self._reader = None
                raise self._store_error(error) from error

    def _store_error(self, error: sqlite3.Error) -> StoreError:
        return StoreError(f"{self._path}: {error}")

    def _insert_rejected(self, connection: sqlite3.Connection, batch: Batch) -> None:
        if not batch.rejected:
            return
        for message in batch.rejected:
            _count(connection, f"rejected:{message.reason}", 1)
        connection.executemany(
            "INSERT INTO rejected (topic, reason, detail, received_at, payload_head, payload_bytes)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            [
                (
                    message.topic,
                    message.reason.value,
                    message.detail,
                    utc_text(message.received_at),
                    message.payload[:_REJECTED_HEAD_BYTES],
                    len(message.payload),
                )
                for message in batch.rejected
            ],
        )
        connection.execute(
            "DELETE FROM rejected WHERE number <= (SELECT max(number) FROM rejected) - ?",
            (self._rejected_kept,),
        )


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path,
        timeout=_BUSY_TIMEOUT_S,
        # No transaction but ours: BEGIN and COMMIT stand in the code.
        isolation_level=None,
        # Each connection has its lock.
        check_same_thread=False,
    )
    try:
        _prepare(connection)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection) -> None:
    # WAL: readers do not wait for the writer, and a commit is one append and one fsync.
    connection.execute("PRAGMA journal_mode = WAL")
    # FULL: that fsync happens before COMMIT returns. With NORMAL, a power cut takes the last
    # commits, and the probes have deleted those results on our receipt.
    connection.execute("PRAGMA synchronous = FULL")
    # A burst must not leave a WAL of gigabytes behind.
    connection.execute("PRAGMA journal_size_limit = 67108864")


def _migrate(connection: sqlite3.Connection, migrations: Sequence[Migration]) -> None:
    connection.execute(
        "CREATE TABLE IF NOT EXISTS migrations "
        "(number INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at TEXT NOT NULL) STRICT"
    )
    for migration in migrations:
        connection.execute("BEGIN IMMEDIATE")
        # Asked inside the transaction: another process may have been quicker.
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


def _count(connection: sqlite3.Connection, name: str, more: int) -> int:
    row = connection.execute(
        "INSERT INTO totals VALUES (?, ?) "
        "ON CONFLICT DO UPDATE SET count = count + excluded.count RETURNING count",
        (name, more),
    ).fetchone()
    return int(row[0])


def _insert_results(connection: sqlite3.Connection, batch: Batch) -> int:
    """How many were new."""
    cursor = connection.executemany(
        "INSERT INTO results (tenant, probe, epoch, seq, kind, line, target, outcome, reason, "
        "started_at, received_at, stored_at, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
        # Not OR IGNORE, which would pass over a broken row in silence as well.
        "ON CONFLICT (tenant, probe, epoch, seq) DO NOTHING",
        batch.results,
    )
    return max(cursor.rowcount, 0)


def _extend_ledger(
    connection: sqlite3.Connection,
    key: EpochKey,
    seqs: Sequence[int],
    given_up: Sequence[tuple[int, int]],
    revision: int,
) -> Ledger:
    names = (key.tenant, key.probe, str(key.epoch))
    row = connection.execute(
        "SELECT ranges FROM ledgers WHERE tenant = ? AND probe = ? AND epoch = ?", names
    ).fetchone()
    known = columns.ledger(row[0]) if row else Ledger()
    ledger = known.with_seqs(seqs).with_ranges(given_up)
    connection.execute(
        "INSERT INTO ledgers VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT DO UPDATE SET ranges = excluded.ranges, touched = excluded.touched",
        (*names, columns.ledger_text(ledger), revision),
    )
    return ledger


def _upsert_last_results(connection: sqlite3.Connection, batch: Batch) -> None:
    connection.executemany(
        "INSERT INTO last_results VALUES (?, ?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT DO UPDATE SET epoch = excluded.epoch, seq = excluded.seq "
        # What is sent again late must not pass for the latest; a new epoch always does.
        "WHERE excluded.epoch <> last_results.epoch OR excluded.seq > last_results.seq",
        [(*key, *last) for key, last in batch.last.items()],
    )


def _upsert_probe(
    connection: sqlite3.Connection, tenant: str, probe: str, revision: int, change: ProbeChange
) -> None:
    connection.execute(
        "INSERT INTO probes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT DO UPDATE SET revision = excluded.revision, "
        "site = coalesce(excluded.site, site), "
        "presence_since = CASE WHEN coalesce(excluded.presence, presence) IS presence "
        "THEN presence_since ELSE excluded.presence_since END, "
        "presence = coalesce(excluded.presence, presence), "
        "info = coalesce(excluded.info, info), "
        "health = coalesce(excluded.health, health), "
        "health_at = coalesce(excluded.health_at, health_at), "
        "last_contact_at = coalesce(excluded.last_contact_at, last_contact_at)",
        (
            tenant,
            probe,
            revision,
            columns.maybe(change.site, columns.message_text),
            change.presence,
            columns.maybe(change.presence_since, utc_text),
            columns.maybe(change.info, columns.message_text),
            columns.maybe(change.health, columns.message_text),
            columns.maybe(change.health_at, utc_text),
            columns.maybe(change.last_contact_at, utc_text),
        ),
    )
