"""Floor 2. A store's SQLite file copied and read whole, without what opens and migrates a store.

A backup starts before the rest of the program is loaded, and copies the schema that is there.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

from collector.store.store_error import StoreError

# As a store's own connections: longer than a checkpoint holds the lock.
_BUSY_TIMEOUT_S = 30.0


def copy(source: Path, destination: Path) -> None:
    """Copy a store while others read and write it: a consistent snapshot, not yet durable.

    Raises:
        StoreError: it failed.
    """
    with _translated(destination), closing(_opened(source, "rw")) as opened:
        _copy(opened, destination)


@contextmanager
def restored(copied: Path, path: Path) -> Iterator[Path]:
    """A store made of a copy, beside `path`; it gets that name after the block, or is deleted.

    Nobody sees half a store, whenever this process ends.

    Raises:
        StoreError: the copy is damaged or no store, or `path` exists.
    """
    if path.exists():
        raise StoreError(f"{path}: there is a store already; move it away first")
    part = path.with_name(f"{path.name}.part")
    try:
        # A process that was killed may have left one.
        _delete(part)
        with ThreadPoolExecutor(1, "verify") as background:
            verified = background.submit(verify, copied)
            with _translated(copied), closing(_opened(copied, "ro")) as opened:
                _copy(opened, part)
            verified.result()
        yield part
        make_durable(part)
        part.rename(path)
        make_durable(path.parent)
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}") from error
    finally:
        _delete(part)


def _delete(path: Path) -> None:
    """Delete a database that nobody has open, with its logs."""
    for ending in ("", "-journal", "-wal", "-shm"):
        path.with_name(path.name + ending).unlink(missing_ok=True)


def verify(copied: Path) -> None:
    """Read a whole copy.

    Raises:
        StoreError: it is damaged, or no store.
    """
    with _translated(copied), closing(_opened(copied, "ro")) as opened:
        ((verdict,),) = opened.execute("PRAGMA integrity_check(1)").fetchall()
        if verdict != "ok":
            raise StoreError(f"{copied}: is damaged: {verdict}")
        opened.execute("SELECT number FROM migrations")


def make_durable(path: Path) -> None:
    """Wait until a file, or a directory's names, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _copy(source: sqlite3.Connection, destination: Path) -> None:
    """By SQLite's backup API; a copy that fails is deleted by the caller."""
    with closing(sqlite3.connect(destination)) as target:
        # A file that is not there yet needs no journal; whoever makes it waits for the disk once.
        target.execute("PRAGMA journal_mode = OFF")
        target.execute("PRAGMA synchronous = OFF")
        source.backup(target)
        target.execute("PRAGMA journal_mode = DELETE")


def _opened(path: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}", uri=True, timeout=_BUSY_TIMEOUT_S
    )


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise StoreError(f"{path}: {error}") from error
