"""Floor 2. The state of a store in SQL: its database, what waits for roll-ups, the last backup.

A restored store has the rows of `backups` that the copy had. `record_restore` adds one after them,
so that none of them is taken for a backup of what is stored since.
"""

from __future__ import annotations

from datetime import datetime

from collector.store import columns
from collector.store.batch import utc_text
from collector.store.database import Database, Row, Transaction
from collector.store.records import BackupRecord, StoreStatus

_COLUMNS = "event, at, duration_s, size_bytes, results, verified, place"
# A row a day; those of a year are enough to see how backups grow.
_KEPT = 400


def read(database: Database) -> StoreStatus:
    """The state now. Raises StoreError."""
    ((pending, first, last),) = database.read(
        "SELECT coalesce(sum(results), 0), coalesce(min(number), 0), coalesce(max(number), 0) "
        "FROM rollup_batches"
    )
    backup, restored = _last_event(database, "backup"), _last_event(database, "restore")
    if backup and restored and restored[0] > backup[0]:
        backup = None
    return StoreStatus(
        database.status(),
        _last_stored_at(database),
        int(pending),
        int(first),
        int(last),
        None if backup is None else _record(backup),
        None if restored is None else columns.time(restored[2]),
    )


def _last_event(database: Database, event: str) -> Row | None:
    """The last row of a kind: its number, then `_COLUMNS`."""
    rows = database.read(
        f"SELECT number, {_COLUMNS} FROM backups WHERE event = ? ORDER BY number DESC LIMIT 1",
        (event,),
    )
    return rows[0] if rows else None


def record_backup(transaction: Transaction, backup: BackupRecord) -> None:
    """Add a backup; rows that are long past go."""
    _insert(transaction, "backup", backup)


def record_restore(transaction: Transaction, now: datetime) -> None:
    """Add that the store was restored."""
    _insert(transaction, "restore", BackupRecord(now, 0.0, 0, 0, False, ""))


def _insert(transaction: Transaction, event: str, one: BackupRecord) -> None:
    values = (one.duration_s, one.size_bytes, one.results, int(one.verified), one.place)
    transaction.execute(
        f"INSERT INTO backups ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (event, utc_text(one.at), *values),
    )
    transaction.execute(
        "DELETE FROM backups WHERE number <= (SELECT max(number) FROM backups) - ?", (_KEPT,)
    )


def _record(row: Row) -> BackupRecord:
    _, _, at, duration_s, size_bytes, results, verified, place = row
    return BackupRecord(columns.time(at), duration_s, size_bytes, results, bool(verified), place)


def _last_stored_at(database: Database) -> datetime | None:
    """When the newest result was stored."""
    rows = database.read(
        "SELECT stored_at FROM series_last WHERE number = (SELECT max(number) FROM series_last)"
    )
    return columns.time(rows[0][0]) if rows else None
