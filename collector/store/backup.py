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
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

from msgspec import structs

from collector.store import sqlite_copy
from collector.store.settings import StoreConfig
from collector.store.store_error import StoreError

log = logging.getLogger("backup")
_PROGRESS_S = 5.0
_JOBS_LEAST, _JOBS_MOST = 4, 8


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
    part = destination.with_name(f"{destination.name}.part")
    with _loading_store(), _progress(lambda: f"{part.stat().st_size >> 20} MiB are written"):
        _write(config, part, destination, check=check)
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


def _write(config: StoreConfig, part: Path, destination: Path, *, check: bool) -> None:
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
        _restore_postgresql(config.postgresql, copy)


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
    from collector.store import postgresql_restore  # noqa: PLC0415

    # The end waits for the disk. Statements in one transaction would also need a lock for each
    # table and index, and there are thousands after some months.
    settings = " -c synchronous_commit=off -c maintenance_work_mem=128MB"
    environment = {
        "PGAPPNAME": postgresql_restore.WRITER,
        "PGOPTIONS": os.environ.get("PGOPTIONS", "") + settings,
    }
    with (
        postgresql_restore.restoring(conninfo) as restore,
        _progress(lambda: f"{restore.size_bytes() >> 20} MiB in the database"),
    ):
        _run(
            conninfo, "pg_restore", "--exit-on-error", f"--jobs={_jobs()}", "--no-owner",
            "--dbname=", str(copy), environment=environment,
        )  # fmt: skip


def _jobs() -> int:
    """Writers at once: some wait for the disk while others run."""
    return min(max(_JOBS_LEAST, os.cpu_count() or 1), _JOBS_MOST)


@contextmanager
def _progress(progress: Callable[[], str]) -> Iterator[None]:
    """Log how far it is every few seconds while the block runs."""
    ended = threading.Event()

    def report() -> None:
        while not ended.wait(_PROGRESS_S):
            with suppress(OSError, StoreError):
                log.info("%s, going on", progress())

    with ThreadPoolExecutor(1, "progress") as background:
        background.submit(report)
        try:
            yield
        finally:
            ended.set()


def _run(
    conninfo: str, program: str, *arguments: str, environment: Mapping[str, str] | None = None
) -> None:
    from collector.store import postgresql  # noqa: PLC0415

    named_by = postgresql.environment(conninfo)
    # pg_restore connects only if a database is named.
    named = [
        f"--dbname={named_by.get('PGDATABASE', '')}" if a == "--dbname=" else a for a in arguments
    ]
    try:
        done = subprocess.run(
            [program, "--no-password", *named],
            env=os.environ | named_by | dict(environment or {}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError as error:
        raise StoreError(f"{program} is not installed (Debian: postgresql-client)") from error
    if done.returncode:
        raise StoreError(f"{program}: {' '.join(done.stderr.split())}")
