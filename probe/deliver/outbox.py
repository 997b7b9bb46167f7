"""Floor 2. The outbox: results in a SQLite file until the centre has them. Wraps sqlite3.

`put` numbers a result in the transaction that stores it. What the centre has is kept as the last
receipt, one row, and not as a mark on each result: a receipt that says less than before (a store
that came back from a backup) makes results pending again by itself, as long as they are kept.

Why `synchronous = FULL`: with less, a power cut may take back a committed seq that was sent
already; the next result would then bear the same number and be taken for a repeat at the centre.
WAL makes that one fsync a transaction; the owner puts what waits in one transaction.
"""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec

from probe.deliver.batch import Numbered
from probe.deliver.session import Coverage

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS results (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,  -- never used twice, also when the last one is pruned
    kind TEXT NOT NULL,
    stored_at_s REAL NOT NULL,
    body BLOB NOT NULL
);
"""
# Each uncovered range of seqs is one search in the primary key, however much is kept besides.
_UNCOVERED_RANGES = (
    "json_each(:uncovered) AS range CROSS JOIN results ON seq "
    "BETWEEN json_extract(range.value, '$[0]') AND json_extract(range.value, '$[1]')"
)
# What goes first when there is no room: one minute of many, before a test of few, before events.
_GIVEN_UP_FIRST = (
    "CASE kind WHEN 'latency' THEN 0 WHEN 'throughput' THEN 2 WHEN 'http' THEN 2 "
    "WHEN 'outage' THEN 3 WHEN 'results_dropped' THEN 3 ELSE 1 END"
)
_LAST_SEQ = 2**62
_MADE_ROOM_RATIO = 0.9
# Few, so that little more is given up than must be.
_ROWS_AT_ONCE = 50
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


class OutboxError(Exception):
    """The outbox cannot be read or written now; the message says why."""


class OutboxDamagedError(OutboxError):
    """The file is no longer a sound database: it is to be set aside (`set_aside`)."""


class Outbox:
    """One probe's outbox. Used by one thread at a time.

    `epoch` names the file for ever; `last_seq` is the number given last, 0 in a new file.

    Raises (every method):
        OutboxDamagedError: the file is damaged.
        OutboxError: it cannot be used now: the disk is full or read-only, another holds it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with _told(f"the outbox {path} cannot be opened"):
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            try:
                self._open(path)
            except BaseException:
                self._db.close()
                raise

    def put(self, results: Iterable[tuple[str, bytes]], now_s: float) -> None:
        """Number and store encoded results, (kind, body) each, in one transaction.

        Args:
            results: in the order in which they are to be numbered.
            now_s: Unix time, for `prune` only.
        """
        with self._transaction():
            self._insert(results, now_s)
            self._write_coverage()
        self.last_seq = self._read_last_seq()

    def pending(self, after: int, through: int, limit: int) -> list[Numbered]:
        """Results with `after < seq <= through` that no receipt covers, lowest first."""
        rows = self._query(
            f"SELECT seq, kind, body FROM {_UNCOVERED_RANGES} "
            "WHERE seq > :after AND seq <= :through ORDER BY seq LIMIT :limit",
            after=after,
            through=through,
            limit=limit,
        )
        return [Numbered(*row) for row in rows]

    def pending_count(self) -> int:
        """How many results no receipt covers."""
        return int(self._query(f"SELECT count(*) FROM {_UNCOVERED_RANGES}")[0][0])

    def cover(self, coverage: Coverage) -> None:
        """Remember what the centre has.

        Written with the next results, not by itself: an fsync wears the card, and a probe that
        forgot a receipt only sends again.
        """
        self.coverage = coverage

    def prune(self, stored_before_s: float) -> int:
        """Delete covered results that were stored before a Unix time. Returns how many.

        Only covered ones: a clock that jumps by years must not cost a result that nobody has.
        """
        with self._transaction():
            return self._db.execute(
                "DELETE FROM results WHERE stored_at_s < :before AND seq NOT IN "
                f"(SELECT seq FROM {_UNCOVERED_RANGES})",
                {"before": stored_before_s, "uncovered": self._uncovered()},
            ).rowcount

    def make_room(
        self, limit_bytes: int, name: Callable[[list[int]], tuple[str, bytes]], now_s: float
    ) -> int:
        """Get below nine tenths of a limit, once above it.

        What the centre has goes first, oldest first; then what it has not: latency, then tests,
        then events, oldest first in each. Numbers that the centre will never get are named in the
        transaction that gives them up, so that nothing can come between.

        Args:
            limit_bytes: of the file's pages in use.
            name: makes the (kind, body) of the result that names given-up seqs.
            now_s: Unix time, for `prune` only.

        Returns:
            How many results were given up that the centre does not have.
        """
        if self._used_bytes() <= limit_bytes:
            return 0
        enough_bytes = limit_bytes * _MADE_ROOM_RATIO
        covered = f"seq NOT IN (SELECT seq FROM {_UNCOVERED_RANGES}) ORDER BY seq"
        while self._used_bytes() > enough_bytes:
            with self._transaction():
                if not self._delete_some(covered):
                    break
        pending = f"seq IN (SELECT seq FROM {_UNCOVERED_RANGES}) ORDER BY {_GIVEN_UP_FIRST}, seq"
        given_up: list[int] = []
        with self._transaction():
            while self._used_bytes() > enough_bytes:
                seqs = self._delete_some(pending)
                if not seqs:
                    break
                given_up += seqs
            if given_up:
                self._insert([name(sorted(given_up))], now_s)
        self.last_seq = self._read_last_seq()
        return len(given_up)

    def size_bytes(self) -> int:
        """How large the file is, its write-ahead log included."""
        log = self._path.with_name(f"{self._path.name}-wal")
        return sum(file.stat().st_size for file in (self._path, log) if file.exists())

    def close(self) -> None:
        """Write what `cover` was told last, and close the file."""
        try:
            with self._transaction():
                self._write_coverage()
        finally:
            self._db.close()

    def abandon(self) -> None:
        """Close a file that is not to be written any more."""
        with suppress(sqlite3.Error):
            self._db.close()

    def _open(self, path: Path) -> None:
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        damage = self._db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if damage != "ok":
            raise OutboxDamagedError(f"the outbox {path} is damaged: {damage}")
        self._db.executescript(_SCHEMA)
        self._db.execute("INSERT OR IGNORE INTO meta VALUES ('epoch', ?)", (str(uuid.uuid4()),))
        try:
            self.epoch = uuid.UUID(self._meta("epoch"))
            self.coverage = msgspec.json.decode(self._meta("coverage") or "{}", type=Coverage)
        except (ValueError, msgspec.MsgspecError) as error:
            raise OutboxDamagedError(f"the outbox {path} is damaged: {error}") from error
        self.last_seq = self._read_last_seq()
        # Beside the database, so that a damaged file's epoch can still be named.
        epoch_file = _epoch_file(path)
        if not epoch_file.exists() or epoch_file.read_text(encoding="ascii") != str(self.epoch):
            epoch_file.write_text(str(self.epoch), encoding="ascii")

    def _insert(self, results: Iterable[tuple[str, bytes]], now_s: float) -> None:
        self._db.executemany(
            "INSERT INTO results (kind, stored_at_s, body) VALUES (?, ?, ?)",
            [(kind, now_s, body) for kind, body in results],
        )

    def _delete_some(self, which: str) -> list[int]:
        rows = self._db.execute(
            f"SELECT seq FROM results WHERE {which} LIMIT {_ROWS_AT_ONCE}",
            {"uncovered": self._uncovered()},
        ).fetchall()
        self._db.executemany("DELETE FROM results WHERE seq = ?", rows)
        return [row[0] for row in rows]

    def _used_bytes(self) -> int:
        with _told("the outbox cannot be read"):
            pages, free, size = (
                self._db.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("page_count", "freelist_count", "page_size")
            )
        return int((pages - free) * size)

    def _write_coverage(self) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO meta VALUES ('coverage', ?)",
            (msgspec.json.encode(self.coverage).decode(),),
        )

    def _read_last_seq(self) -> int:
        # Not max(seq): the newest result may have been pruned, its number is used all the same.
        row = self._db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'results'").fetchone()
        return int(row[0]) if row else 0

    def _meta(self, key: str) -> str:
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return str(row[0]) if row else ""

    def _uncovered(self) -> str:
        ranges = [*self.coverage.missing, (self.coverage.through + 1, _LAST_SEQ)]
        return msgspec.json.encode(ranges).decode()

    def _query(self, sql: str, **parameters: int) -> list[tuple[Any, ...]]:
        with _told("the outbox cannot be read"):
            return self._db.execute(sql, {**parameters, "uncovered": self._uncovered()}).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with _told("the outbox cannot be written"):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                # A full disk may have ended the transaction already.
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise


def set_aside(path: Path, suffix: str) -> uuid.UUID | None:
    """Move a damaged outbox out of the way, for a person to look at; nothing of it is deleted.

    Returns:
        Its epoch, None when even that is not known.

    Raises:
        OutboxError: it cannot be moved (a read-only disk).
    """
    epoch_file = _epoch_file(path)
    with _told(f"the damaged outbox {path} cannot be set aside"):
        try:
            epoch = uuid.UUID(epoch_file.read_text(encoding="ascii"))
        except (FileNotFoundError, ValueError):
            epoch = None
        for file in (path, path.with_name(f"{path.name}-wal"), epoch_file):
            if file.exists():
                file.rename(file.with_name(f"{file.name}.damaged-{suffix}"))
        path.with_name(f"{path.name}-shm").unlink(missing_ok=True)
    return epoch


def _epoch_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.epoch")


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Turn what sqlite3 and the file system raise into our own two errors."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        damaged = getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED
        kind = OutboxDamagedError if damaged else OutboxError
        raise kind(f"{what}: {error}") from error
