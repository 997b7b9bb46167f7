"""Floor 2. The rows of the outbox's file by SQL: inserted, read, counted, deleted.

A row is a result; rows are numbered through the file's whole life. What is to be sent and what may
go is decided by `outbox`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from probe.deliver import row_codec
from probe.deliver.outbox_file import CANNOT_READ, CANNOT_WRITE, translated_errors
from probe.deliver.ranges import Range

if TYPE_CHECKING:
    import sqlite3

# Each uncovered range of rows is one search in the primary key, however many rows there are.
_UNCOVERED = (
    "(SELECT seq FROM json_each(:uncovered) AS range CROSS JOIN results ON seq "
    "BETWEEN json_extract(range.value, '$[0]') AND json_extract(range.value, '$[1]'))"
)
# The newest row stays, so that its number can be read from the file.
_NOT_NEWEST = "seq < (SELECT max(seq) FROM results)"
# What is dropped first when there is no room: frequent latency windows, then tests, then events.
_DROPPED_FIRST = (
    "CASE kind WHEN 'latency' THEN 0 WHEN 'throughput' THEN 2 WHEN 'http' THEN 2 "
    "WHEN 'availability' THEN 2 WHEN 'outage' THEN 3 WHEN 'results_dropped' THEN 3 ELSE 1 END"
)
# Few, so that little more is dropped than needed.
_ROWS_AT_ONCE = 50

# Row, kind, Unix time of storing, packed body, checksum, packed signature.
Row = tuple[int, str, float, bytes, int, bytes | None]
# Row, kind, packed body, checksum, signature, as they are in the file, damaged or not.
StoredRow = tuple[int, bytes, bytes, object, bytes | None]


def packed_rows(
    results: Iterable[tuple[str, bytes]],
    signatures: Iterable[bytes | None],
    first_row: int,
    now_s: float,
) -> list[Row]:
    """Encoded results, (kind, body) each, as rows from `first_row` on."""
    rows = []
    signed = zip(results, signatures, strict=True)
    for row, ((kind, body), signature) in enumerate(signed, start=first_row):
        packed = row_codec.pack(body)
        checksum = row_codec.checksum(row, kind.encode(), packed)
        rows.append((row, kind, now_s, packed, checksum, signature))
    return rows


class OutboxRows:
    """The tables of an open outbox file.

    Raises (every method):
        OutboxDamagedError: the file is damaged.
        OutboxError: it cannot be used now: disk full or read-only, or locked by another program.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def last_row(self) -> int:
        """The newest row, 0 where there is none."""
        return int(self._db.execute("SELECT coalesce(max(seq), 0) FROM results").fetchone()[0])

    def epochs(self) -> list[tuple[int, UUID]]:
        """The first row of each epoch. ValueError for what is no UUID."""
        rows = self._db.execute("SELECT first_row, epoch FROM epochs ORDER BY first_row")
        return [(int(first), UUID(str(epoch))) for first, epoch in rows]

    def forget_empty_epochs(self) -> None:
        """Delete epochs of which no row is left, but the newest: one comes with each opening."""
        self._db.execute(
            "DELETE FROM epochs WHERE first_row < (SELECT max(first_row) FROM epochs) "
            "AND NOT EXISTS (SELECT 1 FROM results WHERE seq >= epochs.first_row AND seq < "
            "(SELECT min(later.first_row) FROM epochs AS later "
            "WHERE later.first_row > epochs.first_row))"
        )

    def add_epoch(self, first_row: int, epoch: UUID) -> None:
        """Begin an epoch; within `transaction`."""
        self._db.execute("INSERT INTO epochs VALUES (?, ?)", (first_row, str(epoch)))

    def insert(self, rows: Sequence[Row]) -> None:
        """Insert rows; within `transaction`."""
        self._db.executemany(
            "INSERT INTO results (seq, kind, stored_at_s, body, checksum, signature) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            rows,
        )

    def read(self, first: int, last: int, limit: int) -> list[StoredRow]:
        """At most `limit` rows with `first <= row <= last`, in order."""
        with translated_errors(CANNOT_READ):
            return self._db.execute(
                "SELECT seq, ifnull(CAST(kind AS BLOB), x''), "
                "ifnull(CAST(body AS BLOB), x''), checksum, CAST(signature AS BLOB) FROM results "
                "WHERE seq BETWEEN ? AND ? ORDER BY seq LIMIT ?",
                (first, last, limit),
            ).fetchall()

    def next_signature(self, first: int, last: int) -> tuple[int, bytes] | None:
        """The first row of these that ends a block, and its packed signature."""
        with translated_errors(CANNOT_READ):
            found: tuple[int, bytes] | None = self._db.execute(
                "SELECT seq, CAST(signature AS BLOB) FROM results "
                "WHERE seq BETWEEN ? AND ? AND signature IS NOT NULL ORDER BY seq LIMIT 1",
                (first, last),
            ).fetchone()
        return found

    def count(self, ranges: Iterable[Range]) -> int:
        """How many rows lie in the ranges."""
        count = "SELECT count(*) FROM results WHERE seq BETWEEN ? AND ?"
        with translated_errors(CANNOT_READ):
            return sum(int(self._db.execute(count, one).fetchone()[0]) for one in ranges)

    def delete(self, rows: Iterable[int]) -> None:
        """Delete rows; within `transaction`."""
        self._db.executemany("DELETE FROM results WHERE seq = ?", [(row,) for row in rows])

    def delete_covered_before(self, stored_before_s: float, uncovered: Sequence[Range]) -> int:
        """Delete covered rows stored before a Unix time; how many. Within `transaction`."""
        return self._db.execute(
            f"DELETE FROM results WHERE stored_at_s < :before AND {_NOT_NEWEST} "
            f"AND seq NOT IN {_UNCOVERED}",
            {"before": stored_before_s, "uncovered": _json(uncovered)},
        ).rowcount

    def delete_some_covered(self, uncovered: Sequence[Range]) -> list[int]:
        """Delete the oldest few covered rows; which. Within `transaction`."""
        return self._delete_some(f"seq NOT IN {_UNCOVERED} ORDER BY seq", uncovered)

    def delete_some_pending(self, uncovered: Sequence[Range]) -> list[int]:
        """Delete the few pending rows that are worth least; which. Within `transaction`."""
        which = f"seq IN {_UNCOVERED} ORDER BY {_DROPPED_FIRST}, seq"
        return self._delete_some(which, uncovered)

    def used_bytes(self) -> int:
        """The size of the pages in use."""
        with translated_errors(CANNOT_READ):
            pages, free, size = (
                self._db.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("page_count", "freelist_count", "page_size")
            )
        return int((pages - free) * size)

    def meta(self, key: str) -> bytes:
        """A value beside the rows, b"" where there is none."""
        query = "SELECT CAST(value AS BLOB) FROM meta WHERE key = ?"
        row = self._db.execute(query, (key,)).fetchone()
        return bytes(row[0]) if row else b""

    def set_meta(self, key: str, value: object) -> None:
        """Keep a value as JSON; within `transaction`."""
        text = msgspec.json.encode(value).decode()
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, text))

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit what is done within, or nothing of it."""
        with translated_errors(CANNOT_WRITE):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                # A full disk may have ended the transaction already.
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def _delete_some(self, which: str, uncovered: Sequence[Range]) -> list[int]:
        rows = self._db.execute(
            f"SELECT seq FROM results WHERE {_NOT_NEWEST} AND {which} LIMIT {_ROWS_AT_ONCE}",
            {"uncovered": _json(uncovered)},
        ).fetchall()
        self._db.executemany("DELETE FROM results WHERE seq = ?", rows)
        return [row[0] for row in rows]


def _json(ranges: Sequence[Range]) -> str:
    return msgspec.json.encode(ranges).decode()
