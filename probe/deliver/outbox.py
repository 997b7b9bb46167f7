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
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
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
_LAST_SEQ = 2**62


class OutboxError(Exception):
    """The outbox cannot be read or written now; the message says why."""


class Outbox:
    """One probe's outbox. Used by one thread at a time.

    Raises (every method):
        OutboxError: the disk is full or read-only, or the file is damaged.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.executescript(_SCHEMA)
            self._db.execute("INSERT OR IGNORE INTO meta VALUES ('epoch', ?)", (str(uuid.uuid4()),))
            self.epoch = uuid.UUID(self._meta("epoch"))
            self.coverage = msgspec.json.decode(self._meta("coverage") or "{}", type=Coverage)
            self.last_seq = self._read_last_seq()
        except (sqlite3.Error, msgspec.MsgspecError) as error:
            raise OutboxError(f"the outbox {path} cannot be opened: {error}") from error
        self._path = path

    def put(self, results: Iterable[tuple[str, bytes]], now_s: float) -> None:
        """Number and store encoded results, (kind, body) each, in one transaction.

        Args:
            results: in the order in which they are to be numbered.
            now_s: Unix time, for `prune` only.
        """
        with self._transaction():
            self._db.executemany(
                "INSERT INTO results (kind, stored_at_s, body) VALUES (?, ?, ?)",
                [(kind, now_s, body) for kind, body in results],
            )
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
        rows = self._query(f"SELECT count(*) FROM {_UNCOVERED_RANGES}")
        return int(rows[0][0])

    def cover(self, coverage: Coverage) -> None:
        """Remember what the centre has.

        Written with the next results, not by itself: an fsync wears the card, and a probe that
        forgot a receipt only sends again.
        """
        self.coverage = coverage

    def prune(self, stored_before_s: float) -> int:
        """Delete covered results that were stored before a Unix time. Returns how many."""
        with self._transaction():
            return self._db.execute(
                "DELETE FROM results WHERE stored_at_s < :before AND seq NOT IN "
                f"(SELECT seq FROM {_UNCOVERED_RANGES})",
                {"before": stored_before_s, "uncovered": self._uncovered()},
            ).rowcount

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
        try:
            return self._db.execute(sql, {**parameters, "uncovered": self._uncovered()}).fetchall()
        except sqlite3.Error as error:
            raise OutboxError(f"the outbox cannot be read: {error}") from error

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            raise OutboxError(f"the outbox cannot be written: {error}") from error
