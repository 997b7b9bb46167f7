"""Floor 2. Opens the configured store."""

from __future__ import annotations

from pathlib import Path

from collector.store.database import Database
from collector.store.lease_table import LeaseTable, application_name
from collector.store.settings import StoreConfig
from collector.store.sql_store import SqlStore
from collector.store.sqlite import SqliteStore


def open_store(config: StoreConfig, holder: str | None = None) -> SqlStore:
    """Open the store and migrate its schema.

    Args:
        config: which one.
        holder: of leases, by whose name its connections are found.

    Raises:
        collector.store.store.StoreError: it cannot be opened.
    """
    if config.postgresql is not None:
        # Here, because psycopg is a seventh of what every start of a centre without it loads.
        from collector.store.postgresql import PostgresqlStore  # noqa: PLC0415

        if holder is None:
            return PostgresqlStore(config.postgresql, config.rejected_kept)
        return PostgresqlStore(
            config.postgresql, config.rejected_kept, application_name=application_name(holder)
        )
    return SqliteStore(Path(config.path), config.rejected_kept)


def open_leases(config: StoreConfig, holder: str = "") -> LeaseTable | None:
    """The leases of the store, which must have been opened before; None where it has none.

    Raises:
        collector.store.store.StoreError: they cannot be reached.
    """
    if config.postgresql is None:
        return None
    from collector.store.postgresql import LeaseDatabase  # noqa: PLC0415

    name = application_name(holder) if holder else "tramdo-collector"
    return LeaseTable(LeaseDatabase(config.postgresql, application_name=name))


def open_alert_tables(config: StoreConfig, holder: str) -> Database | None:
    """Connections for the alerts of a store that was opened before; None where it has none.

    Raises:
        collector.store.store.StoreError: it cannot be reached.
    """
    if config.postgresql is None:
        return None
    from collector.store.postgresql import AlertTablesDatabase  # noqa: PLC0415

    return AlertTablesDatabase(config.postgresql, application_name=application_name(holder))
