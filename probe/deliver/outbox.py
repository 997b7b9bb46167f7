"""Floor 2. The outbox: results in a SQLite file until the centre has them.

`put` numbers a result in the transaction that stores it. What the centre has is stored as the last
receipt, one row, and not as a flag on each result: a receipt that covers less than before (a store
restored from a backup) makes results pending again by itself, as long as they are kept.

A failing SD card changes bytes without an error. So each row has a checksum, verified when it is
read, and assigned numbers are recorded beside the file (`high_water_mark`), so that none is
assigned twice after SQLite cut its log off. Lost results are reported to the centre, and the file
stays in use.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from probe.deliver import high_water_mark, row_codec
from probe.deliver.batch import NumberedResult
from probe.deliver.high_water_mark import RESERVED_AHEAD, HighWaterMark
from probe.deliver.outbox_file import (
    OutboxDamagedError,
    OutboxError,
    make_tables,
    open_database,
    translated_errors,
)
from probe.deliver.ranges import Range, clip, subtract
from probe.deliver.sender_state import Coverage
from probe.deliver.write_ahead_log import claimed_frames, log_of, taken_frames
from wire.decoding import decode_json
from wire.ledger import Ledger

# Each uncovered range of seqs is one search in the primary key, however many rows there are.
_UNCOVERED_RANGES = (
    "json_each(:uncovered) AS range CROSS JOIN results ON seq "
    "BETWEEN json_extract(range.value, '$[0]') AND json_extract(range.value, '$[1]')"
)
# The row with the newest number stays, so that the number can be read from the file.
_NOT_NEWEST = "seq < (SELECT max(seq) FROM results)"
# What is dropped first when there is no room: frequent latency windows, then tests, then events.
_GIVEN_UP_FIRST = (
    "CASE kind WHEN 'latency' THEN 0 WHEN 'throughput' THEN 2 WHEN 'http' THEN 2 "
    "WHEN 'availability' THEN 2 WHEN 'outage' THEN 3 WHEN 'results_dropped' THEN 3 ELSE 1 END"
)
_MADE_ROOM_RATIO = 0.9
# Few, so that little more is dropped than needed.
_ROWS_AT_ONCE = 50
# A receipt that is lost costs only that results are sent again.
_COVERAGE_EVERY_S = 600.0
_LAST_SEQ = 2**62

# Makes the (kind, body) of the result that reports dropped seqs, given as ranges (first, last).
DroppedReport = Callable[[Sequence[Range]], tuple[str, bytes]]


class Outbox:
    """The outbox of a probe. Used by one thread at a time.

    `epoch` identifies the file; `last_seq` is the number assigned last, 0 in a new file.

    Raises (every method):
        OutboxDamagedError: the file is damaged.
        OutboxError: it cannot be used now: disk full or read-only, or locked by another program.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._corrupt_seqs: set[int] = set()
        self._lost: Range | None = None
        self._pending = 0
        self._coverage_written_s = 0.0
        with translated_errors(f"the outbox {path} cannot be opened"):
            claimed = claimed_frames(path)
            self._db = open_database(path)
            try:
                self._open(path, claimed)
            except BaseException:
                self._db.close()
                raise

    def put(self, results: Iterable[tuple[str, bytes]], now_s: float) -> None:
        """Number and store encoded results, (kind, body) each, in one transaction.

        Args:
            results: in the order in which they are to be numbered.
            now_s: Unix time, for `prune` only.
        """
        rows = _rows(results, self.last_seq + 1, now_s)
        self._reserve(self.last_seq + len(rows))
        with self._transaction():
            self._insert(rows)
            if abs(now_s - self._coverage_written_s) >= _COVERAGE_EVERY_S:
                self._write_coverage(now_s)
        self.last_seq += len(rows)
        self._pending += len(rows)

    def pending(self, after: int, through: int, limit: int) -> list[NumberedResult]:
        """At most `limit` results with `after < seq <= through` that no receipt covers, in order.

        A row whose checksum is wrong is left out: see `report_corrupt_rows`.
        """
        found: list[NumberedResult] = []
        for first, last in clip(self._uncovered(), after + 1, through):
            found += self.kept(first, last, limit - len(found))
        return found

    def kept(self, first: int, last: int, limit: int) -> list[NumberedResult]:
        """At most `limit` results with `first <= seq <= last`, covered ones too, in order."""
        found: list[NumberedResult] = []
        before = first - 1
        while len(found) < limit:
            with translated_errors("the outbox cannot be read"):
                rows = self._db.execute(
                    # As bytes: of a damaged row not even the types can be trusted.
                    "SELECT seq, ifnull(CAST(kind AS BLOB), x''), "
                    "ifnull(CAST(body AS BLOB), x''), checksum FROM results "
                    "WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?",
                    (before, last, limit - len(found)),
                ).fetchall()
            if not rows:
                break
            found += self._intact_rows(rows)
            before = rows[-1][0]
        return found

    def pending_count(self) -> int:
        """How many results no receipt covers; from memory, because it is asked often."""
        return self._pending

    def apply_coverage(self, coverage: Coverage) -> None:
        """Set what the centre has.

        Written with later results and not by itself: an fsync wears the card, and a probe that
        lost a receipt only sends again.
        """
        before = self._uncovered()
        self.coverage = coverage
        after = self._uncovered()
        self._pending += self._count(subtract(after, before)) - self._count(subtract(before, after))

    def report_ended_epochs(
        self, name: Callable[[uuid.UUID], tuple[str, bytes]], now_s: float
    ) -> int:
        """After opening: report the epochs of files that were set aside. Returns how many.

        The mark drops them once the report is stored; a crash in between reports them twice.
        """
        ended = self._mark.ended
        if ended:
            self.put([name(epoch) for epoch in ended], now_s)
            self._write_mark(HighWaterMark(self.epoch, self._mark.through, False))
        return len(ended)

    def report_lost_seqs(self, name: DroppedReport, now_s: float) -> int:
        """After opening: report the numbers that may have been assigned and are not in the file.

        Returns:
            How many there are; nearly always 0.
        """
        if self._lost is None:
            return 0
        first, last = self._lost
        with translated_errors("the outbox cannot be written"):
            # So that the rest of the damaged log is not found again after the next start.
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        rows = _rows([name([self._lost])], last + 1, now_s)
        self._reserve(last + 1)
        with self._transaction():
            self._insert(rows)
        self._lost = None
        self.last_seq = last + 1
        self._pending += 1
        return last - first + 1

    def report_corrupt_rows(self, name: DroppedReport, now_s: float) -> int:
        """Delete the rows that `pending` found corrupt and report them in the same transaction."""
        if not self._corrupt_seqs:
            return 0
        spoiled = sorted(self._corrupt_seqs)
        rows = _rows([name(Ledger().with_seqs(spoiled).ranges)], self.last_seq + 1, now_s)
        self._reserve(self.last_seq + 1)
        with self._transaction():
            self._insert(rows)
            self._db.executemany("DELETE FROM results WHERE seq = ?", [(one,) for one in spoiled])
        self._corrupt_seqs.clear()
        self.last_seq += 1
        self._pending = self._count(self._uncovered())
        return len(spoiled)

    def prune(self, stored_before_s: float) -> int:
        """Delete covered results that were stored before a Unix time. Returns how many.

        Only covered ones: a clock that jumps by years must not delete pending results.
        """
        with self._transaction():
            return self._db.execute(
                f"DELETE FROM results WHERE stored_at_s < :before AND {_NOT_NEWEST} "
                f"AND seq NOT IN (SELECT seq FROM {_UNCOVERED_RANGES})",
                {"before": stored_before_s, "uncovered": self._uncovered_json()},
            ).rowcount

    def make_room(self, limit_bytes: int, name: DroppedReport, now_s: float) -> int:
        """Once above a limit, delete results until nine tenths of it are used.

        Covered results go first, oldest first; then pending ones: latency, then tests, then events,
        oldest first in each. Dropped numbers are reported in the transaction that deletes them.

        Args:
            limit_bytes: of the file's pages in use.
            name: makes the result that reports dropped seqs.
            now_s: Unix time, for `prune` only.

        Returns:
            How many pending results were dropped.
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
        self._reserve(self.last_seq + 1)
        with self._transaction():
            while self._used_bytes() > enough_bytes:
                seqs = self._delete_some(pending)
                if not seqs:
                    break
                given_up += seqs
            if given_up:
                report = name(Ledger().with_seqs(given_up).ranges)
                self._insert(_rows([report], self.last_seq + 1, now_s))
        if given_up:
            self.last_seq += 1
            self._pending += 1 - len(given_up)
        return len(given_up)

    def size_bytes(self) -> int:
        """How large the file is, its write-ahead log included."""
        return sum(
            file.stat().st_size for file in (self._path, log_of(self._path)) if file.exists()
        )

    def close(self) -> None:
        """Write the coverage and close the file."""
        try:
            with self._transaction():
                self._write_coverage(0.0)
        finally:
            self._db.close()
        if self._lost is None:
            self._write_mark(HighWaterMark(self.epoch, self.last_seq, True, self._mark.ended))

    def abandon(self) -> None:
        """Close the file without writing to it."""
        with suppress(OutboxError), translated_errors("the outbox cannot be closed"):
            self._db.close()

    def _open(self, path: Path, claimed: int | None) -> None:
        taken = taken_frames(path)
        make_tables(self._db)
        found = high_water_mark.read(path)
        # A file that lost its epoch goes on with the mark's, whose numbers are to be accounted for.
        epoch = uuid.uuid4() if found is None else found.epoch
        self._db.execute("INSERT OR IGNORE INTO meta VALUES ('epoch', ?)", (str(epoch),))
        try:
            self.epoch = uuid.UUID(self._meta("epoch").decode())
        except ValueError as error:
            raise OutboxDamagedError(f"the outbox {path} is damaged: {error}") from error
        try:
            self.coverage = decode_json(self._meta("coverage") or b"{}", Coverage)
        except (ValueError, msgspec.MsgspecError):
            self.coverage = Coverage()  # everything is sent again; the receipt says what arrived
        self.last_seq = self._read_last_seq()
        self._pending = self._count(self._uncovered())
        cut_off = claimed is None or claimed > taken
        self._lost = self._lost_numbers(found, cut_off=cut_off, empty=claimed == 0)

    def _lost_numbers(
        self, found: HighWaterMark | None, *, cut_off: bool, empty: bool
    ) -> Range | None:
        """The numbers that may have been assigned and are not in the file; sets the mark.

        Args:
            found: the mark beside the file.
            cut_off: SQLite used fewer frames of the log than it holds.
            empty: there was no log, or an empty one.
        """
        if found is not None and found.epoch != self.epoch:
            found = None
        self._mark = found or HighWaterMark(self.epoch, self.last_seq, exact=False)
        if found is None:
            high_water_mark.write(self._path, self._mark)
            if cut_off:
                raise OutboxDamagedError(f"the log of the outbox {self._path} is damaged")
            return None
        # After a crash there is a log; without one its numbers are lost.
        suspect = cut_off or found.exact or empty
        if suspect and found.through > self.last_seq:
            return self.last_seq + 1, found.through
        return None

    def _reserve(self, through: int) -> None:
        if self._mark.exact or through > self._mark.through:
            self._write_mark(
                HighWaterMark(self.epoch, through + RESERVED_AHEAD, False, self._mark.ended)
            )

    def _write_mark(self, new: HighWaterMark) -> None:
        with translated_errors("the mark beside the outbox cannot be written"):
            high_water_mark.write(self._path, new)
        self._mark = new

    def _intact_rows(
        self, rows: Iterable[tuple[int, bytes, bytes, object]]
    ) -> Iterator[NumberedResult]:
        for seq, kind, body, checksum in rows:
            if checksum == row_codec.checksum(seq, kind, body):
                yield NumberedResult(seq, kind.decode(), row_codec.unpack(body))
            elif checksum is None and body.startswith(b"{"):
                yield NumberedResult(seq, kind.decode(), body)
            else:
                self._corrupt_seqs.add(seq)

    def _insert(self, rows: Sequence[tuple[int, str, float, bytes, int]]) -> None:
        self._db.executemany(
            "INSERT INTO results (seq, kind, stored_at_s, body, checksum) VALUES (?, ?, ?, ?, ?)",
            rows,
        )

    def _delete_some(self, which: str) -> list[int]:
        rows = self._db.execute(
            f"SELECT seq FROM results WHERE {_NOT_NEWEST} AND {which} LIMIT {_ROWS_AT_ONCE}",
            {"uncovered": self._uncovered_json()},
        ).fetchall()
        self._db.executemany("DELETE FROM results WHERE seq = ?", rows)
        return [row[0] for row in rows]

    def _used_bytes(self) -> int:
        with translated_errors("the outbox cannot be read"):
            pages, free, size = (
                self._db.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("page_count", "freelist_count", "page_size")
            )
        return int((pages - free) * size)

    def _write_coverage(self, now_s: float) -> None:
        self._coverage_written_s = now_s
        self._db.execute(
            "INSERT OR REPLACE INTO meta VALUES ('coverage', ?)",
            (msgspec.json.encode(self.coverage).decode(),),
        )

    def _read_last_seq(self) -> int:
        return int(self._db.execute("SELECT coalesce(max(seq), 0) FROM results").fetchone()[0])

    def _meta(self, key: str) -> bytes:
        query = "SELECT CAST(value AS BLOB) FROM meta WHERE key = ?"
        row = self._db.execute(query, (key,)).fetchone()
        return bytes(row[0]) if row else b""

    def _uncovered(self) -> list[Range]:
        """The ranges of numbers that no receipt covers; the last has no end."""
        return [*self.coverage.missing, (self.coverage.through + 1, _LAST_SEQ)]

    def _uncovered_json(self) -> str:
        return msgspec.json.encode(self._uncovered()).decode()

    def _count(self, ranges: Iterable[Range]) -> int:
        count = "SELECT count(*) FROM results WHERE seq BETWEEN ? AND ?"
        with translated_errors("the outbox cannot be read"):
            return sum(int(self._db.execute(count, one).fetchone()[0]) for one in ranges)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with translated_errors("the outbox cannot be written"):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                # A full disk may have ended the transaction already.
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise


def _rows(
    results: Iterable[tuple[str, bytes]], first_seq: int, now_s: float
) -> list[tuple[int, str, float, bytes, int]]:
    """Results as rows, in the order of the insertion's columns."""
    rows = []
    for seq, (kind, body) in enumerate(results, start=first_seq):
        packed = row_codec.pack(body)
        rows.append((seq, kind, now_s, packed, row_codec.checksum(seq, kind.encode(), packed)))
    return rows
