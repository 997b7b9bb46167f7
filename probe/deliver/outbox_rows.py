"""Floor 2. The blocks of the outbox's file by SQL: inserted, read, counted, deleted.

Each result has a row, numbered through the file's whole life; a block holds those of consecutive
rows and is found by its last one. What is to be sent and what may go is decided by `outbox`.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

import msgspec

from probe.deliver import row_codec
from probe.deliver.blocks import MAX_RESULTS, Row
from probe.deliver.outbox_file import CANNOT_READ, CANNOT_WRITE, transaction, translated_errors
from probe.deliver.ranges import Range, total

if TYPE_CHECKING:
    import sqlite3

# Blocks with an uncovered row: each range is one search in the primary key, however many there are.
# No block is longer than `MAX_RESULTS`, so one that begins in a range ends soon behind it.
_UNCOVERED = (
    "(SELECT seq FROM json_each(:uncovered) AS range CROSS JOIN blocks ON seq "
    "BETWEEN json_extract(range.value, '$[0]') "
    f"AND json_extract(range.value, '$[1]') + {MAX_RESULTS} "
    "AND seq - count < json_extract(range.value, '$[1]'))"
)
# The newest row stays, so that its number can be read from the file.
_NOT_NEWEST = "seq < (SELECT max(seq) FROM blocks)"
# What is dropped first when there is no room: frequent latency windows, then tests, then events.
_DROPPED_FIRST = (
    "CASE kind WHEN 'latency' THEN 0 WHEN 'throughput' THEN 2 WHEN 'http' THEN 2 "
    "WHEN 'availability' THEN 2 WHEN 'outage' THEN 3 WHEN 'results_dropped' THEN 3 ELSE 1 END"
)
# Few, so that little more is dropped than needed.
_RESULTS_AT_ONCE = 50


class BlockRow(NamedTuple):
    """A block as it is in the file, damaged or not."""

    last: int
    kind: bytes
    packed: bytes
    checksum: object
    signature: bytes | None
    held: object

    @property
    def rows(self) -> Range:
        """The rows that it says it holds."""
        count = self.held if isinstance(self.held, int) else 1
        return self.last - min(max(count, 1), MAX_RESULTS) + 1, self.last


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
        return int(self._db.execute("SELECT coalesce(max(seq), 0) FROM blocks").fetchone()[0])

    def epochs(self) -> list[tuple[int, UUID]]:
        """The first row of each epoch. ValueError: one is not as it was written."""
        rows = self._db.execute(
            "SELECT first_row, ifnull(CAST(epoch AS BLOB), x''), checksum FROM epochs "
            "ORDER BY first_row"
        )
        return [_epoch(*row) for row in rows]

    def forget_empty_epochs(self) -> None:
        """Delete epochs of which no row is left, but the newest: one comes with each opening."""
        self._db.execute(
            "DELETE FROM epochs WHERE first_row < (SELECT max(first_row) FROM epochs) "
            "AND NOT EXISTS (SELECT 1 FROM blocks WHERE seq >= epochs.first_row AND seq < "
            "(SELECT min(later.first_row) FROM epochs AS later "
            "WHERE later.first_row > epochs.first_row))"
        )

    def add_epoch(self, first_row: int, epoch: UUID) -> None:
        """Begin an epoch; within `transaction`."""
        checksum = row_codec.epoch_checksum(first_row, str(epoch).encode())
        self._db.execute("INSERT INTO epochs VALUES (?, ?, ?)", (first_row, str(epoch), checksum))

    def insert(self, rows: Sequence[Row]) -> None:
        """Insert blocks; within `transaction`."""
        self._db.executemany(
            "INSERT INTO blocks (seq, count, kind, stored_at_s, body, checksum, signature) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            rows,
        )

    def read(self, first: int) -> Generator[BlockRow]:
        """The blocks from that which holds a row on, in order; close it before writing."""
        with (
            translated_errors(CANNOT_READ),
            closing(
                self._db.execute(
                    "SELECT seq, ifnull(CAST(kind AS BLOB), x''), ifnull(CAST(body AS BLOB), x''), "
                    "checksum, CAST(signature AS BLOB), count FROM blocks "
                    "WHERE seq >= ? ORDER BY seq",
                    (first,),
                )
            ) as rows,
        ):
            for row in rows:
                yield BlockRow(*row)

    def first_from(self, row: int) -> BlockRow | None:
        """The first block that ends in a row or behind it."""
        with closing(self.read(row)) as read:
            return next(read, None)

    def doubtful_ends(self) -> list[int]:
        """Where blocks end that do not begin behind the one before, and where that one ends.

        Either is damaged in its count or its number, or what was between them is gone.
        """
        query = (
            "SELECT before, seq FROM (SELECT seq, count, lag(seq, 1, 0) OVER (ORDER BY seq) "
            "AS before FROM blocks) WHERE seq - count IS NOT before"
        )
        with translated_errors(CANNOT_READ):
            return sorted({int(end) for pair in self._db.execute(query) for end in pair})

    def ends_between(self, first: int, last: int) -> bool:
        """Whether a block ends in one of these rows."""
        with translated_errors(CANNOT_READ):
            query = "SELECT EXISTS (SELECT 1 FROM blocks WHERE seq BETWEEN ? AND ?)"
            return bool(self._db.execute(query, (first, last)).fetchone()[0])

    def last_before(self, row: int) -> int:
        """Where the block before one ends, 0 where there is none."""
        with translated_errors(CANNOT_READ):
            query = "SELECT coalesce(max(seq), 0) FROM blocks WHERE seq < ?"
            return int(self._db.execute(query, (row,)).fetchone()[0])

    def next_signature(self, first: int, last: int) -> tuple[int, bytes] | None:
        """The first row of these that ends a signature block, and its packed signature."""
        with translated_errors(CANNOT_READ):
            found: tuple[int, bytes] | None = self._db.execute(
                "SELECT seq, CAST(signature AS BLOB) FROM blocks "
                "WHERE seq BETWEEN ? AND ? AND signature IS NOT NULL ORDER BY seq LIMIT 1",
                (first, last),
            ).fetchone()
        return found

    def count(self, ranges: Iterable[Range]) -> int:
        """How many results lie in the ranges."""
        query = (
            "SELECT coalesce(sum(max(min(seq, :last) - max(seq - count + 1, :first) + 1, 0)), 0) "
            f"FROM blocks WHERE seq BETWEEN :first AND :last + {MAX_RESULTS}"
        )
        with translated_errors(CANNOT_READ):
            return sum(
                int(self._db.execute(query, {"first": first, "last": last}).fetchone()[0])
                for first, last in ranges
            )

    def delete(self, ends: Iterable[int]) -> None:
        """Delete the blocks that end in these rows; within `transaction`."""
        self._db.executemany("DELETE FROM blocks WHERE seq = ?", [(end,) for end in ends])

    def delete_covered_before(self, stored_before_s: float, uncovered: Sequence[Range]) -> int:
        """Delete blocks stored before a Unix time of which every result is covered.

        Returns how many results; within `transaction`.
        """
        which = (
            f"WHERE stored_at_s < :before AND {_NOT_NEWEST} AND seq NOT IN {_UNCOVERED}",
            {"before": stored_before_s, "uncovered": _json(uncovered)},
        )
        found = self._db.execute(f"SELECT coalesce(sum(count), 0) FROM blocks {which[0]}", which[1])
        deleted = int(found.fetchone()[0])
        self._db.execute(f"DELETE FROM blocks {which[0]}", which[1])
        return deleted

    def delete_some_covered(self, uncovered: Sequence[Range]) -> list[Range]:
        """Delete the oldest few blocks that are covered; which rows. Within `transaction`."""
        return self._delete_some(f"seq NOT IN {_UNCOVERED} ORDER BY seq", uncovered)

    def delete_some_pending(self, uncovered: Sequence[Range]) -> list[Range]:
        """Delete the few pending blocks that are worth least; which rows. Within `transaction`."""
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
        with translated_errors(CANNOT_WRITE), transaction(self._db):
            yield

    def _delete_some(self, which: str, uncovered: Sequence[Range]) -> list[Range]:
        found = self._db.execute(
            f"SELECT seq, count FROM blocks WHERE {_NOT_NEWEST} AND {which} "
            f"LIMIT {_RESULTS_AT_ONCE}",
            {"uncovered": _json(uncovered)},
        ).fetchall()
        rows: list[Range] = []
        for last, count in found:
            if total(rows) < _RESULTS_AT_ONCE:
                rows.append((last - count + 1, last))
        self.delete(last for _, last in rows)
        return rows


def _epoch(first: int, epoch: bytes, checksum: object) -> tuple[int, UUID]:
    if checksum != row_codec.epoch_checksum(first, epoch):
        raise ValueError(f"the epoch from row {first} on is not as it was written")
    return first, UUID(epoch.decode())


def _json(ranges: Sequence[Range]) -> str:
    return msgspec.json.encode(ranges).decode()
