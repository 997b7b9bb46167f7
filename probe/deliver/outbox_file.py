"""Floor 2. The outbox's SQLite file: opens, checks and sets it aside. Wraps sqlite3's errors.

What the pragmas are for (decision 16 has the measurements):
- `synchronous = FULL`: with less, a power cut may take back results that were committed, and the
  probe would not know which.
- `journal_mode = WAL`: that is one fsync a transaction, and the owner puts all that waits in one.
- `page_size = 1024`: a transaction writes whole pages, and a minute's packed results are some
  1,600 bytes.
"""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from probe.deliver import high_water_mark, row_codec
from probe.deliver.high_water_mark import HighWaterMark
from probe.deliver.loss_reports import losses_of
from probe.deliver.write_ahead_log import index_of, log_of
from runtime.language import Phrase

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
-- One row an opening in which results were stored: which row its epoch begins at.
-- `checksum` is of both others (`row_codec.epoch_checksum`).
CREATE TABLE IF NOT EXISTS epochs (
    first_row INTEGER PRIMARY KEY, epoch TEXT NOT NULL UNIQUE, checksum INTEGER
);
"""
_BLOCKS = """
CREATE TABLE blocks (
    seq INTEGER PRIMARY KEY,  -- the row of the last result; never used twice: the newest stays
    kind TEXT NOT NULL,
    stored_at_s REAL NOT NULL,
    body BLOB NOT NULL,       -- packed (`row_codec`)
    checksum INTEGER,         -- of seq, count, kind and body; NULL: of an older version, unpacked
    signature BLOB,           -- of the signature block that this one ends; else NULL
    count INTEGER NOT NULL DEFAULT 1  -- how many results, in rows up to `seq`
)
"""
# Results were kept one by one in a table of this name until 0.2.0. A version that knows only that
# one would number results anew over those in `blocks`, so it must not open the file. SQLite names
# what is missing in its error, and that is what such a version then reports.
_REFUSES_OLDER = (
    "CREATE VIEW results AS SELECT * FROM "
    '"this outbox is of a newer version of Tramdo: install that, or move the file away"'
)
_PAGE_BYTES = 1024
# Between two checkpoints the log holds a megabyte: some hours of results in one write each page.
_LOG_PAGES = 1000
# Less than SQLite's 2 MB: every row is read once.
_CACHE_KIB = 512
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


CANNOT_READ = Phrase("không đọc được tệp kết quả", "the outbox cannot be read")
CANNOT_WRITE = Phrase("không ghi được tệp kết quả", "the outbox cannot be written")


class OutboxError(Exception):
    """The outbox cannot be read or written now; `sentence` has the cause."""

    def __init__(self, sentence: Phrase) -> None:
        self.sentence = sentence
        super().__init__(sentence.en)


class OutboxDamagedError(OutboxError):
    """The file is damaged and is to be set aside (`set_aside`)."""


def cannot_open(path: Path) -> Phrase:
    """The outbox cannot be opened."""
    return Phrase(f"không mở được tệp kết quả {path}", f"the outbox {path} cannot be opened")


def damaged(path: Path, how: object) -> Phrase:
    """The outbox is damaged; `how` quotes what found it."""
    return Phrase(f"tệp kết quả {path} bị hỏng ({how})", f"the outbox {path} is damaged: {how}")


def _cannot_set_aside(path: Path) -> Phrase:
    return Phrase(
        f"không cất được tệp kết quả bị hỏng {path} sang một bên",
        f"the damaged outbox {path} cannot be set aside",
    )


def open_database(path: Path) -> sqlite3.Connection:
    """Open the file, creating it if needed; transactions are begun explicitly.

    Raises:
        OutboxDamagedError: SQLite finds damage in it.
        OutboxError: it cannot be opened now.
    """
    with translated_errors(cannot_open(path)):
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
        raise OutboxDamagedError(damaged(path, damage))


def make_tables(db: sqlite3.Connection) -> None:
    """Create missing tables. Not part of `open_database`: the log is read before it is written."""
    db.executescript(_SCHEMA)
    _make_blocks(db)
    with transaction(db):
        _make_epochs(db)


def _make_epochs(db: sqlite3.Connection) -> None:
    """The epochs of a file of an older version, and the checksums of those that had none."""
    columns = {row[1] for row in db.execute("PRAGMA table_info(epochs)")}
    is_older = "checksum" not in columns
    if is_older:
        db.execute("ALTER TABLE epochs ADD COLUMN checksum INTEGER")
    # Before 0.2.0 a file had one epoch from its first row on, `meta.epoch`. A file made since then
    # has one there too that nobody uses: an older version, after a rollback, would number its
    # results by rows, and they must collide with none.
    only = db.execute(
        "INSERT INTO epochs (first_row, epoch) SELECT 1, value FROM meta WHERE key = 'epoch' "
        "AND NOT EXISTS (SELECT 1 FROM epochs) AND EXISTS (SELECT 1 FROM blocks)"
    ).rowcount
    db.execute("INSERT OR IGNORE INTO meta VALUES ('epoch', ?)", (str(uuid.uuid4()),))
    if is_older or only:
        rows = db.execute("SELECT first_row, CAST(epoch AS BLOB) FROM epochs").fetchall()
        sums = [(row_codec.epoch_checksum(first, epoch), first) for first, epoch in rows]
        db.executemany("UPDATE epochs SET checksum = ? WHERE first_row = ?", sums)


def _make_blocks(db: sqlite3.Connection) -> None:
    """The table of results; that of an older version becomes it, in one transaction."""
    kinds = dict(db.execute("SELECT name, type FROM sqlite_schema").fetchall())
    if "blocks" in kinds:
        return
    with transaction(db):
        if kinds.get("results") == "table":
            columns = {row[1] for row in db.execute("PRAGMA table_info(results)")}
            db.execute("ALTER TABLE results RENAME TO blocks")
            for column in ("checksum INTEGER", "signature BLOB"):
                if column.split()[0] not in columns:
                    db.execute(f"ALTER TABLE blocks ADD COLUMN {column}")
            db.execute("ALTER TABLE blocks ADD COLUMN count INTEGER NOT NULL DEFAULT 1")
        else:
            db.execute(_BLOCKS)
        db.execute(_REFUSES_OLDER)


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """Commit what is done within, or nothing of it."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        # A full disk may have ended the transaction already.
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def set_aside(path: Path, suffix: str) -> uuid.UUID | None:
    """Rename a damaged outbox, so that it can be examined; nothing is deleted.

    The next outbox has a new epoch and reports this one (`Outbox.report_ended_epochs`).

    Returns:
        Its epoch, None when it is not known.

    Raises:
        OutboxError: it cannot be moved (a read-only disk).
    """
    with translated_errors(_cannot_set_aside(path)):
        found = high_water_mark.read(path)
        for file in (path, log_of(path)):
            if file.exists():
                file.rename(file.with_name(f"{file.name}.damaged-{suffix}"))
        index_of(path).unlink(missing_ok=True)
        # Last: a death before this leaves the old epoch, which then names all of its numbers.
        high_water_mark.write(path, _mark_after(found))
    return None if found is None else found.epoch


def _mark_after(found: HighWaterMark | None) -> HighWaterMark:
    """The mark of the file that comes next: it names what was in the one that was set aside."""
    if found is None:
        return HighWaterMark(uuid.uuid4(), 0, exact=True)
    ended, lost = losses_of(found.reported)
    return HighWaterMark(
        uuid.uuid4(),
        0,
        exact=True,
        ended=tuple(dict.fromkeys((*found.ended, *ended, *found.earlier, found.epoch))),
        lost=tuple(dict.fromkeys((*found.lost, *lost))),
    )


@contextmanager
def translated_errors(what: Phrase) -> Iterator[None]:
    """Translate errors of sqlite3 and the file system into OutboxError or OutboxDamagedError.

    What they say is quoted in its own words.
    """
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        is_damage = getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED
        kind = OutboxDamagedError if is_damage else OutboxError
        raise kind(Phrase(f"{what.vi} ({error})", f"{what.en}: {error}")) from error
