"""Floor 2. Planned maintenance in the database: entries, of which none is changed or deleted."""

from __future__ import annotations

from typing import Any

from collector.registry.planned_maintenance import (
    MaintenanceAction,
    MaintenanceConflictError,
    MaintenanceEntry,
    MaintenanceScope,
    PlannedMaintenance,
    grouped,
)
from collector.store import columns
from collector.store.batch import utc_text
from collector.store.database import Database, Row, Transaction
from collector.store.further_entries import require_seen

_COLUMNS = (
    "announcement, recorded_at, author, action, isp, place, line, starts_at, ends_at, reason, note"
)


class SqlMaintenanceStore:
    """`collector.registry.planned_maintenance.MaintenanceStore` on a Database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read(self) -> list[PlannedMaintenance]:
        rows = self._database.read(f"SELECT {_COLUMNS} FROM maintenance_entries ORDER BY number")
        return grouped(_entry(row) for row in rows)

    def announce(self, entry: MaintenanceEntry) -> int:
        with self._database.transaction() as transaction:
            ((last,),) = transaction.execute(
                "SELECT coalesce(max(announcement), 0) FROM maintenance_entries"
            )
            _insert(transaction, int(last) + 1, entry)
        return int(last) + 1

    def add(self, entry: MaintenanceEntry, after: int) -> None:
        with self._database.transaction() as transaction:
            require_seen(
                transaction,
                "maintenance_entries",
                "announcement = ? AND action = 'announced'",
                entry.number,
                "SELECT count(*) FROM maintenance_entries WHERE announcement = ?",
                after,
                MaintenanceConflictError,
            )
            _insert(transaction, entry.number, entry)


def _insert(transaction: Transaction, number: int, entry: MaintenanceEntry) -> None:
    scope = entry.scope
    cells: tuple[Any, ...] = (
        number,
        utc_text(entry.recorded_at),
        entry.author,
        entry.action.value,
        scope.isp,
        scope.place,
        scope.line,
        utc_text(entry.starts_at),
        utc_text(entry.ends_at),
        entry.reason,
        entry.note,
    )
    transaction.execute(
        f"INSERT INTO maintenance_entries ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        cells,
    )


def _entry(row: Row) -> MaintenanceEntry:
    number, recorded, author, action, isp, place, line, starts, ends, reason, note = row
    return MaintenanceEntry(
        number=number,
        recorded_at=columns.time(recorded),
        author=author,
        action=MaintenanceAction(action),
        scope=MaintenanceScope(isp=isp, place=place, line=line),
        starts_at=columns.time(starts),
        ends_at=columns.time(ends),
        reason=reason,
        note=note,
    )
