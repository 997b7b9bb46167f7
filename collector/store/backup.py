"""Floor 2. Backup and restore of the store: SQLite's backup API, or pg_dump.

A backup is a consistent snapshot, taken while the collector runs. It holds results, ledgers,
roll-ups, the registry and its record, and notes of lines. After a restore, the next receipts state
what is missing, and the probes send it again where they still have it.

What opens a store takes as long to load as some months of a province take to copy; it is loaded
meanwhile.
"""

from __future__ import annotations

import importlib
import logging
import os
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

from msgspec import structs

from collector.store import sqlite_copy
from collector.store.settings import StoreConfig
from collector.store.store_error import StoreError

log = logging.getLogger("backup")


def backup(config: StoreConfig, destination: Path, *, check: bool = False) -> None:
    """Write a backup, and note in the store that it was made.

    Args:
        config: of which store.
        destination: the file.
        check: whether to read it whole afterwards.

    Raises:
        StoreError: the file exists already, or the backup failed; then no file is left.
    """
    if destination.exists():
        raise StoreError(f"{destination}: is there already")
    if config.postgresql is None and not Path(config.path).exists():
        raise StoreError(f"{config.path}: there is no store")
    began_at, began_s = datetime.now(UTC), monotonic()
    with _loading_store():
        _write(config, destination, check=check)
    # Loaded by now.
    from collector.store.factory import open_store  # noqa: PLC0415
    from collector.store.records import BackupRecord  # noqa: PLC0415

    duration_s, size_bytes = monotonic() - began_s, destination.stat().st_size
    place = f"{socket.gethostname()}:{destination.absolute()}"
    try:
        # Not before: opened by a newer version it is migrated, and the copy is of what was there.
        with closing(open_store(config)) as store:
            results = store.totals().results
            store.record_backup(
                BackupRecord(began_at, duration_s, size_bytes, results, check, place)
            )
    except StoreError as error:
        # A backup is one also where the store cannot be written, as a standby.
        log.warning("the backup is made, but the store cannot note it: %s", error)


@contextmanager
def _loading_store() -> Iterator[None]:
    """Load what opens a store while the block runs."""
    with ThreadPoolExecutor(1, "load") as background:
        loaded = background.submit(importlib.import_module, "collector.store.factory")
        yield
        loaded.result()


def _write(config: StoreConfig, destination: Path, *, check: bool) -> None:
    part = destination.with_name(f"{destination.name}.part")
    try:
        if config.postgresql is None:
            sqlite_copy.copy(Path(config.path), part)
        else:
            _run(config.postgresql, "pg_dump", "--format=custom", "--compress=1", f"--file={part}")
        if check:
            _verify(config, part)
        sqlite_copy.make_durable(part)
        part.rename(destination)
        sqlite_copy.make_durable(destination.parent)
    except OSError as error:
        raise StoreError(f"{destination}: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)


def restore(config: StoreConfig, copy: Path) -> None:
    """Create the store from a backup. No collector may run, and no store may exist.

    Raises:
        StoreError: a store exists, or the backup is damaged; nothing was changed.
    """
    if not copy.exists():
        raise StoreError(f"{copy}: there is no such file")
    if config.postgresql is None:
        with _loading_store(), sqlite_copy.restored(copy, Path(config.path)) as part:
            finish_restore(structs.replace(config, path=str(part)))
    else:
        with _loading_store():
            _restore_postgresql(config.postgresql, copy)
        finish_restore(config)


def finish_restore(config: StoreConfig) -> None:
    """Let a store that has come back give no number and no revision that was given out before.

    Also after its database was restored by other means (pgBackRest, a copied file). Without it a
    number that was given out since the copy would stand for another result, which readers that page
    by number and ClickHouse's deduplication by ranges would miss.

    Raises:
        StoreError: the store cannot be opened.
    """
    from collector.store.factory import open_store  # noqa: PLC0415

    store = open_store(config)
    try:
        store.skip_numbers()
    finally:
        store.close()


def _verify(config: StoreConfig, copy: Path) -> None:
    """Read a whole copy. Raises StoreError: it cannot be restored."""
    if config.postgresql is None:
        sqlite_copy.verify(copy)
    else:
        # Without a database it prints the SQL of all of it.
        _run(config.postgresql, "pg_restore", f"--file={os.devnull}", str(copy))


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
    # pg_restore connects only if a database is named.
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
