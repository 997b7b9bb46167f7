"""Floor 3. The store of a running collector, with what lets it write there: a lock, or leases."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from collector.store.database import Database
from collector.store.factory import open_alert_tables, open_leases, open_store
from collector.store.lease_manager import LeaseManager
from collector.store.lease_table import LeaseFence
from collector.store.leases import SoleCollector, StoredLease, TenantLeases
from collector.store.process_lock import ProcessLock
from collector.store.settings import StoreConfig


class SharedTables(NamedTuple):
    """A database that several collectors write, and what lets a transaction go on there."""

    database: Database
    fence: LeaseFence


class CollectorStore:
    """An open store: on SQLite locked for this process, on PostgreSQL shared by leases.

    Args:
        config: which one.
        holder: this collector's name in leases.
        tenants: whose probes it takes in; empty for every tenant's.
        spare_for: the tenants that it takes over where nobody holds them.
        on_look: called each second where others may write too, from a thread; must not block.

    Raises:
        collector.store.store.StoreError: it cannot be opened, or another process has it.
    """

    def __init__(
        self,
        config: StoreConfig,
        holder: str,
        tenants: Sequence[str],
        spare_for: Sequence[str],
        on_look: Callable[[], None],
    ) -> None:
        self._config = config
        self._lock = ProcessLock(Path(config.path)) if config.postgresql is None else None
        self.store = open_store(config, holder)
        self._manager: LeaseManager | None = None
        self._thread: threading.Thread | None = None
        if (table := open_leases(config, holder)) is not None:
            self._manager = LeaseManager(table, holder, tenants, spare_for, on_look)
            self.store.fence = LeaseFence(self._manager.held)
            self._thread = threading.Thread(target=self._manager.run, name="leases")
        self.leases: TenantLeases = self._manager or SoleCollector(tenants)

    @property
    def holder(self) -> str:
        """This collector's name in leases, "" where there are none."""
        return self._manager.holder if self._manager else ""

    def alerts(self) -> SharedTables | None:
        """Connections for the alerts, and what fences them; None where collectors share nothing.

        Raises:
            collector.store.store.StoreError: the database cannot be reached.
        """
        if self._manager is None:
            return None
        database = open_alert_tables(self._config, self.holder)
        return None if database is None else SharedTables(database, LeaseFence(self._manager.held))

    @property
    def stored_leases(self) -> tuple[StoredLease, ...]:
        """The leases as they were a second ago."""
        return self._manager.stored if self._manager else ()

    @property
    def trouble(self) -> str | None:
        """Why leases cannot be renewed, None where they can."""
        return self._manager.trouble if self._manager else None

    def start(self, on_leases_changed: Callable[[], None]) -> None:
        """Begin to take leases. The callback comes from any thread and must not block."""
        if self._manager and self._thread:
            self._manager.on_change = on_leases_changed
            self._thread.start()

    def close(self) -> None:
        """Give leases and lock up, once nothing writes any more, and close the store."""
        if self._manager and self._thread:
            self._manager.stop()
            self._thread.join()
            self._manager.release()
        self.store.close()
        if self._lock:
            self._lock.release()
