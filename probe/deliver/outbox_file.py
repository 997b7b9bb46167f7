"""Floor 2. The outbox's file: opened, looked over, set aside. Wraps sqlite3 and its errors.

What the pragmas are for (decision 16 has the measurements):
- `synchronous = FULL`: with less, a power cut may take back a committed seq that was sent already;
  the next result would then bear the same number and be taken for a repeat at the centre.
- `journal_mode = WAL`: that is one fsync a transaction, and the owner puts all that waits in one.
- `page_size = 1024`: a transaction writes whole pages, and a packed result is some 200 bytes.
"""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from probe.deliver import high_water_mark
from probe.deliver.high_water_mark import HighWaterMark
from probe.deliver.write_ahead_log import index_of, log_of

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS results (
    seq INTEGER PRIMARY KEY,  -- never used twice: the newest row stays, whatever is deleted
    kind TEXT NOT NULL,
    stored_at_s REAL NOT NULL,
    body BLOB NOT NULL,       -- packed
    checksum INTEGER          -- of seq, kind and body; NULL in a row of an older version, unpacked
);
"""
_PAGE_BYTES = 1024
# Between two checkpoints the log holds a megabyte: some hours of results in one write each page.
_LOG_PAGES = 1000
# Of SQLite's 2 MB: what is read is read once, and a Pi has other uses for memory.
_CACHE_KIB = 512
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


class OutboxError(Exception):
    """The outbox cannot be read or written now; the message says why."""


class OutboxDamagedError(OutboxError):
    """The file is no longer a sound database: it is to be set aside (`set_aside`)."""


def open_database(path: Path) -> sqlite3.Connection:
    """A connection to the file, made where there is none, whose transactions are ours to begin.

    Raises:
        OutboxDamagedError: SQLite finds damage in it.
        OutboxError: it cannot be opened now.
    """
    with translated_errors(f"the outbox {path} cannot be opened"):
        db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            _prepare(db, path)
        except BaseException:
            db.close()
            raise
    return db


def _prepare(db: sqlite3.Connection, path: Path) -> None:
    db.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute(f"PRAGMA wal_autocheckpoint = {_LOG_PAGES}")
    db.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    damage = db.execute("PRAGMA quick_check(1)").fetchone()[0]
    if damage != "ok":
        raise OutboxDamagedError(f"the outbox {path} is damaged: {damage}")


def make_tables(db: sqlite3.Connection) -> None:
    """Create missing tables. Not part of `open_database`: the log is read before it is written."""
    db.executescript(_SCHEMA)
    if "checksum" not in {row[1] for row in db.execute("PRAGMA table_info(results)")}:
        db.execute("ALTER TABLE results ADD COLUMN checksum INTEGER")


def set_aside(path: Path, suffix: str) -> uuid.UUID | None:
    """Move a damaged outbox out of the way, for a person to look at; nothing of it is deleted.

    The next one begins a new epoch, and names this one (`Outbox.name_ended`).

    Returns:
        Its epoch, None when even that is not known.

    Raises:
        OutboxError: it cannot be moved (a read-only disk).
    """
    with translated_errors(f"the damaged outbox {path} cannot be set aside"):
        found = high_water_mark.read(path)
        for file in (path, log_of(path)):
            if file.exists():
                file.rename(file.with_name(f"{file.name}.damaged-{suffix}"))
        index_of(path).unlink(missing_ok=True)
        # Last: a death before this leaves the old epoch, which then names all of its numbers.
        ended = () if found is None else (*found.ended, found.epoch)
        high_water_mark.write(path, HighWaterMark(uuid.uuid4(), 0, exact=True, ended=ended))
    return None if found is None else found.epoch


@contextmanager
def translated_errors(what: str) -> Iterator[None]:
    """Turn what sqlite3 and the file system raise into our own two errors."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        damaged = getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED
        kind = OutboxDamagedError if damaged else OutboxError
        raise kind(f"{what}: {error}") from error
