"""Floor 2. A PostgreSQL database while a restore writes it, in several transactions at once.

A table marks it from before the first row until after the last, so that no collector takes what is
half there for a store, whenever the restore ends. A restore that fails deletes what it has written;
one that was killed is cleaned up after by the next.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from time import monotonic, sleep
from typing import Any

import psycopg

from collector.store.postgresql import RESTORE_MARK, PostgresqlStore, store_error
from collector.store.store_error import StoreError

# The `application_name` of the programs that write.
WRITER = "tramdo-restore"
_LOCK = 0x7472616D72  # "tramr"
_WITHIN_S = 30.0


class Restore:
    """A restore under way."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection

    def size_bytes(self) -> int:
        """Of the database so far."""
        return int(_only(self._connection, "SELECT pg_database_size(current_database())"))


@contextmanager
def restoring(conninfo: str) -> Iterator[Restore]:
    """Mark an empty database while the block fills it; then let it be a store, or empty again.

    Raises:
        StoreError: it is not empty, cannot be reached, or another restore writes it.
    """
    try:
        with closing(psycopg.connect(conninfo, autocommit=True, connect_timeout=5)) as connection:
            _begin(connection)
            try:
                yield Restore(connection)
                with closing(PostgresqlStore(conninfo, restoring=True)) as store:
                    store.skip_numbers()
            except BaseException:
                _delete_all(connection)
                connection.execute(f"DROP TABLE {RESTORE_MARK}")
                raise
            # This waits for the disk, also for what was committed before.
            connection.execute(f"DROP TABLE {RESTORE_MARK}")
    except psycopg.Error as error:
        raise store_error(error) from error


def _begin(connection: psycopg.Connection) -> None:
    if not _only(connection, f"SELECT pg_try_advisory_lock({_LOCK})"):
        raise StoreError("another restore is writing the PostgreSQL database")
    tables = _tables(connection)
    if RESTORE_MARK in tables:
        _delete_all(connection)
    elif tables:
        raise StoreError("the PostgreSQL database is not empty; make a new one first")
    else:
        connection.execute(f"CREATE TABLE {RESTORE_MARK} ()")


def _end_writers(connection: psycopg.Connection) -> None:
    """End programs that were left running when their restore was interrupted."""
    until_s = monotonic() + _WITHIN_S
    while _only(
        connection,
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
        f"WHERE datname = current_database() AND application_name = '{WRITER}'",
    ):
        if monotonic() > until_s:
            raise StoreError("an earlier restore is still writing the PostgreSQL database")
        sleep(0.1)


def _delete_all(connection: psycopg.Connection) -> None:
    """Delete every table but the mark, each by itself: thousands need more locks than there are."""
    _end_writers(connection)
    for table in _tables(connection):
        if table != RESTORE_MARK:
            connection.execute(f'DROP TABLE IF EXISTS public."{table}" CASCADE')


def _tables(connection: psycopg.Connection) -> list[str]:
    """Tables and then their parents."""
    rows = connection.execute(
        "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') "
        "AND relnamespace = 'public'::regnamespace ORDER BY relkind DESC, relname"
    ).fetchall()
    return [name for (name,) in rows]


def _only(connection: psycopg.Connection, query: str) -> Any:  # noqa: ANN401 - any type of SQL's
    row = connection.execute(query).fetchone()
    return row[0] if row else None
