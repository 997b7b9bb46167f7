"""Floor 2. A whole copy of the store into a file, and back: SQLite's own backup, or pg_dump.

A copy is of one moment, taken while the collector runs. It holds results, ledgers, roll-ups, the
registry and its record. A centre that comes back from a copy has less than its probes were told;
they are told so by the next receipt and send again what they still have.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from collector.store import sqlite
from collector.store.factory import open_store
from collector.store.settings import StoreConfig
from collector.store.store import StoreError


def backup(config: StoreConfig, destination: Path) -> None:
    """Write a copy.

    Raises:
        StoreError: there is such a file already, or the copy could not be made; then no file of
            that name is there.
    """
    if destination.exists():
        raise StoreError(f"{destination}: is there already")
    part = destination.with_name(f"{destination.name}.part")
    try:
        if config.postgresql is None:
            if not Path(config.path).exists():
                raise StoreError(f"{config.path}: there is no store")
            sqlite.SqliteDatabase(Path(config.path)).copy_to(str(part))
        else:
            _run(config.postgresql, "pg_dump", "--format=custom", f"--file={part}")
        _make_durable(part)
        part.rename(destination)
    except OSError as error:
        raise StoreError(f"{destination}: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)


def restore(config: StoreConfig, copy: Path) -> None:
    """Make the store of a copy. No collector may run, and there may be no store yet.

    Raises:
        StoreError: there is a store, or the copy is damaged; the store is as it was.
    """
    if not copy.exists():
        raise StoreError(f"{copy}: there is no such file")
    if config.postgresql is None:
        sqlite.restore(copy, Path(config.path))
    else:
        _restore_postgresql(config.postgresql, copy)
    store = open_store(config)
    try:
        store.skip_numbers()
    finally:
        store.close()


def _restore_postgresql(conninfo: str, copy: Path) -> None:
    # Loaded where it is used: see factory.py.
    from collector.store import postgresql  # noqa: PLC0415

    if not postgresql.is_empty(conninfo):
        raise StoreError("the PostgreSQL database is not empty; make a new one first")
    _run(
        conninfo, "pg_restore", "--exit-on-error", "--single-transaction", "--no-owner",
        "--dbname=", str(copy),
    )  # fmt: skip


def _run(conninfo: str, program: str, *arguments: str) -> None:
    from collector.store import postgresql  # noqa: PLC0415

    environment = postgresql.environment(conninfo)
    # pg_restore connects only where a database is named.
    named = [
        f"--dbname={environment.get('PGDATABASE', '')}" if a == "--dbname=" else a
        for a in arguments
    ]
    try:
        done = subprocess.run(
            [program, "--no-password", *named],
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError as error:
        raise StoreError(f"{program} is not installed (Debian: postgresql-client)") from error
    if done.returncode:
        raise StoreError(f"{program}: {' '.join(done.stderr.split())}")


def _make_durable(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
