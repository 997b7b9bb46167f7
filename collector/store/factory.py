"""Floor 2. Opens the configured store."""

from __future__ import annotations

from pathlib import Path

from collector.store.settings import StoreConfig
from collector.store.sql_store import SqlStore
from collector.store.sqlite import SqliteStore


def open_store(config: StoreConfig) -> SqlStore:
    """Open the store and migrate its schema.

    Raises:
        collector.store.store.StoreError: it cannot be opened.
    """
    if config.postgresql is not None:
        # Here, because psycopg is a seventh of what every start of a centre without it loads.
        from collector.store.postgresql import PostgresqlStore  # noqa: PLC0415

        return PostgresqlStore(config.postgresql, config.rejected_kept)
    return SqliteStore(Path(config.path), config.rejected_kept)


def describe(config: StoreConfig) -> str:
    """The store's name for users, without secrets."""
    return config.path if config.postgresql is None else "the PostgreSQL database"
