"""Floor 2. The outbox: results in a SQLite file until the centre has them.

`put` numbers a result in the transaction that stores it. Each opening of the file begins an epoch
of its own (`epochs`), so that no copy of the file (a card restored from an image, a cloned card)
gives a number that another one gives too. What the centre has is kept as one coverage of rows, and
not as a mark on each result: a receipt that says less than before (a store that came back from a
backup) makes results pending again by itself, as long as they are kept.

What is stored together is kept together, packed as one block (`blocks`). A failing card changes
bytes without an error. So each block has a checksum, compared when it is read to be sent, and the
numbers given are recorded beside the file (`high_water_mark`). What is lost is reported to the
centre, and the file stays in use.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from itertools import chain as chained
from pathlib import Path

import msgspec

from probe.deliver import blocks, high_water_mark, row_codec
from probe.deliver.batch import NumberedResult
from probe.deliver.blocks import MAX_RESULTS, Numbering, Row
from probe.deliver.epochs import Epochs, coverage_from, last_number
from probe.deliver.high_water_mark import HighWaterMark
from probe.deliver.loss_reports import LossReport, Lost, Named, in_rows, losses_of, reports_of
from probe.deliver.outbox_file import (
    CANNOT_WRITE,
    OutboxDamagedError,
    OutboxError,
    cannot_open,
    damaged,
    make_tables,
    open_database,
    translated_errors,
)
from probe.deliver.outbox_rows import BlockRow, OutboxRows
from probe.deliver.ranges import Range, clip, subtract, total
from probe.deliver.receipt_tracker import ReceiptOrder
from probe.deliver.recent import RecentResults
from probe.deliver.sender_state import Coverage, covered_ranges
from probe.deliver.signature_chain import SignatureChain, SignedResults
from probe.deliver.write_ahead_log import claimed_frames, log_of, taken_frames
from runtime.language import Phrase
from wire.decoding import decode_json
from wire.ledger import Ledger

_MADE_ROOM_RATIO = 0.9
# A receipt that is lost costs only that results are sent again.
_COVERAGE_EVERY_S = 600.0
_LAST_SEQ = 2**62
# How many results of one kind are kept together where nobody says otherwise.
_BLOCK_RESULTS = 50
_CANNOT_CLOSE = Phrase("không đóng được tệp kết quả", "the outbox cannot be closed")
_CANNOT_MARK = Phrase(
    "không ghi được tệp đánh dấu bên cạnh tệp kết quả",
    "the mark beside the outbox cannot be written",
)

# Makes the (kind, body) of the result that names given-up numbers of an epoch, as ranges
# (first, last).
DroppedReport = Callable[[uuid.UUID, Sequence[Range]], tuple[str, bytes]]


class Outbox:
    """The outbox of a probe. Used by one thread at a time.

    `epoch` is that of this opening, `epochs` are all of the file. `last_row` is the newest row, 0
    in a new file. `newest_receipt` is the order of the newest receipt accepted; whoever accepts one
    sets it, and it is written with the coverage.

    Args:
        path: the file; made where it is missing.
        chain: signs results as they are numbered, and says how many may be kept together; None:
            they are not signed.

    Raises (every method):
        OutboxDamagedError: the file is damaged.
        OutboxError: it cannot be used now: disk full or read-only, or locked by another program.
    """

    def __init__(self, path: Path, chain: SignatureChain | None = None) -> None:
        self._path = path
        self._chain = chain or SignatureChain("", "", _BLOCK_RESULTS)
        self._chain.begin()
        # By the last row: the rows that a damaged block may have held.
        self._spoiled: dict[int, list[Range]] = {}
        self._lost: tuple[Lost, ...] = ()
        # What was reported as lost by results that may still be pending.
        self._reported: tuple[LossReport, ...] = ()
        self._pending = 0
        self._coverage_written_s = 0.0
        self._recent = RecentResults()
        with translated_errors(cannot_open(path)):
            claimed = claimed_frames(path)
            self._db = open_database(path)
            self._rows = OutboxRows(self._db)
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
        with self._numbering(list(results), now_s) as numbered:
            if abs(now_s - self._coverage_written_s) >= _COVERAGE_EVERY_S:
                self._write_coverage(now_s)
        self._recent.add(numbered)

    def pending(self, after: int, through: int, limit: int) -> list[NumberedResult]:
        """At most `limit` results with `after < row <= through` that no receipt covers, in order.

        A block whose checksum is wrong is left out: see `report_corrupt_rows`.
        """
        found: list[NumberedResult] = []
        for first, last in clip(self._uncovered(), after + 1, through):
            if len(found) >= limit:
                break
            left = limit - len(found)
            recent = self._recent.between(first, min(last, self.last_row), left)
            found += self.kept(first, last, left) if recent is None else recent
        return found

    def release(self, through: int) -> None:
        """Drop the encoded results up to a row from memory: they were sent, or wait."""
        self._recent.release(through)

    def kept(self, first: int, last: int, limit: int) -> list[NumberedResult]:
        """At most `limit` results with `first <= row <= last`, covered ones too, in order."""
        found: list[NumberedResult] = []
        expected, holes = first, []
        with closing(self._rows.read(first)) as read:
            for block in read:
                if len(found) >= limit:
                    break
                if block.rows[0] > expected:
                    holes.append(expected)
                found += (one for one in self._intact(block) if first <= one.row <= last)
                # A damaged one may be anywhere.
                expected = expected if block.last in self._spoiled else block.last + 1
                if expected > last:
                    break
        for hole in holes:
            self._examine(self._rows.last_before(hole))
        return found[:limit]

    def next_signature(self, first: int, last: int) -> tuple[int, bytes] | None:
        """The first of these rows that ends a block, and its signature (`signature_chain.pack`)."""
        return self._rows.next_signature(first, last)

    def pending_count(self) -> int:
        """How many results no receipt covers; from memory, because it is asked often."""
        return self._pending

    def is_own(self, epoch: uuid.UUID) -> bool:
        """Whether an epoch is one of the file, or that of this opening."""
        return epoch == self.epoch or epoch in self.epochs

    def kept_epochs(self) -> list[uuid.UUID]:
        """The epochs of which results are in the file, covered or not; the newest first."""
        rows = ((epoch, self.epochs.rows(epoch, self.last_row)) for epoch in self.epochs)
        kept = [epoch for epoch, whole in rows if whole and self._rows.ends_between(*whole)]
        return kept[::-1]

    def receive(self, epoch: uuid.UUID, stored: Coverage) -> Coverage | None:
        """Take what a receipt says of an epoch.

        Returns:
            What is covered now, as rows; None where the epoch is none of this file.
        """
        covered = self.epochs.covered(self.coverage, epoch, stored, self.last_row)
        if covered is not None:
            self.apply_coverage(covered)
            return self.coverage
        return None

    def apply_coverage(self, coverage: Coverage) -> None:
        """Remember which rows the centre has; what was given up counts among them.

        Written with later results and not by itself: an fsync wears the card, and a probe that
        lost a receipt only sends again.
        """
        settled = self._settled(covered_ranges(coverage))
        before, after = self._uncovered(), _uncovered_by(settled)
        # The file may refuse to be read: then nothing of it counts.
        self._pending += self._rows.count(subtract(after, before)) - self._rows.count(
            subtract(before, after)
        )
        self.coverage = settled

    def report_ended_epochs(
        self, name: Callable[[uuid.UUID], tuple[str, bytes]], now_s: float
    ) -> int:
        """Report the epochs of files that were set aside. Returns how many.

        The mark drops them once the report is stored; a crash in between reports them twice.
        """
        self._report_again()
        ended = self._mark.ended
        if ended:
            reports = reports_of([(epoch, ()) for epoch in ended], self.last_row + 1)
            self.put([name(epoch) for epoch in ended], now_s)
            self._reported += reports
            self._write_mark(msgspec.structs.replace(self._mark, ended=()))
        return len(ended)

    def report_lost_seqs(self, name: DroppedReport, now_s: float) -> int:
        """Report the numbers that may have been assigned and are not in the file.

        The mark forgets them only once that is stored: a death in between names them twice.

        Returns:
            How many there are; nearly always 0.
        """
        self._report_again()
        lost = self._lost
        if not lost:
            return 0
        # So that what is left of the damaged log is not found again after the next start.
        self._checkpoint()
        named = [(epoch, [(first, last)]) for epoch, first, last in lost]
        reports = reports_of(named, self.last_row + 1)
        self.put([name(*one) for one in named], now_s)
        self._lost = ()
        self._reported += reports
        self._write_mark(msgspec.structs.replace(self._mark, lost=()))
        return sum(last - first + 1 for _, first, last in lost)

    def report_corrupt_rows(self, name: DroppedReport, now_s: float) -> int:
        """Give up the rows that `pending` found damaged, and report them: one transaction."""
        if not self._spoiled:
            return 0
        spoiled = Ledger().with_ranges(chained.from_iterable(self._spoiled.values())).ranges
        named = self.epochs.by_epoch(spoiled, self.last_row)
        with self._reporting(named), self._numbering([name(*one) for one in named], now_s):
            self._rows.delete(self._spoiled)
            self._write_given_up(spoiled)
        self._spoiled.clear()
        self._gave_up(spoiled)
        return total(spoiled)

    def prune(self, stored_before_s: float) -> int:
        """Delete covered results that were stored before a Unix time. Returns how many.

        Only covered ones: a clock that jumps by years must not delete pending results.
        """
        self.release(self.last_row)
        with self._rows.transaction():
            return self._rows.delete_covered_before(stored_before_s, self._uncovered())

    def make_room(self, limit_bytes: int, name: DroppedReport, now_s: float) -> int:
        """Once above a limit, delete results until nine tenths of it are used.

        Covered results go first, oldest first; then pending ones: latency, then tests, then events,
        oldest first in each. Dropped numbers are reported in the transaction that deletes them.
        What a damaged block holds is not known by its count, so damaged ones are first to be given
        up (`report_corrupt_rows`), and room is made the next time.

        Args:
            limit_bytes: of the file's pages in use.
            name: makes the result that reports dropped seqs.
            now_s: Unix time, for `prune` only.

        Returns:
            How many pending results were dropped.
        """
        if self._rows.used_bytes() <= limit_bytes:
            return 0
        for end in self._rows.doubtful_ends():
            self._examine(end)
        if self._spoiled:
            return 0
        self.release(self.last_row)
        enough_bytes = limit_bytes * _MADE_ROOM_RATIO
        while self._rows.used_bytes() > enough_bytes:
            with self._rows.transaction():
                if not self._rows.delete_some_covered(self._uncovered()):
                    break
        given_up: list[Range] = []
        # One report for each epoch that rows are given up of.
        self._reserve(len(self.epochs) + 1)
        with self._rows.transaction():
            while self._rows.used_bytes() > enough_bytes:
                rows = self._rows.delete_some_pending(self._uncovered())
                if not rows:
                    break
                given_up += (one for whole in rows for one in clip(self._uncovered(), *whole))
            given_up = list(Ledger().with_ranges(given_up).ranges)
            named = self.epochs.by_epoch(given_up, self.last_row)
            signed, reports, _ = self._numbered([name(*one) for one in named], now_s)
            if given_up:
                with self._reporting(named):
                    self._insert(reports)
                    self._write_given_up(given_up)
        if given_up:
            self._inserted(len(named), signed)
            self._gave_up(given_up)
        return total(given_up)

    def size_bytes(self) -> int:
        """How large the file is, its write-ahead log included."""
        return sum(
            file.stat().st_size for file in (self._path, log_of(self._path)) if file.exists()
        )

    def close(self) -> None:
        """Write the coverage, and close the file."""
        newest = self.epoch if self._begun else self._marked
        try:
            mark = None if newest is None or self._lost else self._exact_mark(newest)
            with self._rows.transaction():
                self._write_coverage(0.0)
        finally:
            self._db.close()
        if mark is not None:
            self._write_mark(mark)

    def abandon(self) -> None:
        """Close the file without writing to it."""
        with suppress(OutboxError), translated_errors(_CANNOT_CLOSE):
            self._db.close()

    def _open(self, path: Path, claimed: int | None) -> None:
        taken = taken_frames(path)
        make_tables(self._db)
        found = high_water_mark.read(path)
        try:
            # Before any is forgotten: which are empty is known by their first rows.
            self._rows.epochs()
            self._rows.forget_empty_epochs()
            self.epochs = Epochs(self._rows.epochs())
        except ValueError as error:
            raise OutboxDamagedError(damaged(path, error)) from error
        self.last_row = self._rows.last_row()
        self._given_up = self._read_given_up()
        self.coverage = self._read_coverage()
        self.newest_receipt = self._read_newest_receipt()
        self._pending = self._rows.count(self._uncovered())
        cut_off = claimed is None or claimed > taken
        self._lost = self._lost_numbers(found, cut_off=cut_off, empty=claimed == 0)
        if found is None and cut_off:
            *earlier, newest = self.epochs or [uuid.uuid4()]
            high_water_mark.write(
                path, HighWaterMark(newest, 0, exact=False, earlier=tuple(earlier))
            )
            raise OutboxDamagedError(_log_damaged(path))
        self.epoch, self._begun = uuid.uuid4(), False
        self._marked = None if found is None else found.epoch
        self._reported = () if found is None else found.reported
        self._mark = HighWaterMark(
            self.epoch, 0, exact=True, ended=() if found is None else found.ended, lost=self._lost
        )
        self._report_again()
        if claimed != 0:
            self._empty_log()

    def _empty_log(self) -> None:
        """After a sudden end: write what the log holds into the file, before a new epoch begins.

        A log that is damaged later then takes rows of the new epoch alone, which the mark knows;
        those of older epochs would be gone without a trace. First the mark says what is there and
        what was lost, for without its log a file does not look as if it had lost anything.
        """
        with suppress(OutboxError):
            if self._marked is not None:
                with translated_errors(_CANNOT_MARK):
                    high_water_mark.write(self._path, self._exact_mark(self._marked))
            self._checkpoint()

    def _checkpoint(self) -> None:
        """Write what the log holds into the file, and empty the log."""
        with translated_errors(CANNOT_WRITE):
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _exact_mark(self, newest: uuid.UUID) -> HighWaterMark:
        """The mark of the file as it is now, with an epoch as its newest."""
        through = last_number(self.epochs, newest, self.last_row)
        earlier = self._pending_epochs(newest)
        return HighWaterMark(
            newest,
            through,
            exact=True,
            ended=self._mark.ended,
            lost=self._lost,
            earlier=earlier,
            reported=self._unconfirmed_reports(),
        )

    def _lost_numbers(
        self, found: HighWaterMark | None, *, cut_off: bool, empty: bool
    ) -> tuple[Lost, ...]:
        """The numbers (epoch, first, last) that may have been given and are not in the file.

        Args:
            found: the mark beside the file.
            cut_off: SQLite used fewer frames of the log than it holds.
            empty: there was no log, or an empty one.
        """
        if found is None:
            return ()
        there = last_number(self.epochs, found.epoch, self.last_row)
        # After a sudden end there is a log; one that is gone took numbers with it.
        suspect = cut_off or found.exact or empty
        if suspect and found.through > there:
            return (*found.lost, (found.epoch, there + 1, found.through))
        return found.lost

    def _reserve(self, count: int) -> None:
        """Have the mark say that so many more numbers may be given in this epoch."""
        through = last_number(self.epochs, self.epoch, self.last_row) + count
        if self._mark.exact or through > self._mark.through:
            self._write_mark(
                msgspec.structs.replace(
                    self._mark,
                    through=through + high_water_mark.reserved_ahead(count),
                    exact=False,
                    earlier=self._pending_epochs(self.epoch),
                )
            )

    def _pending_epochs(self, newest: uuid.UUID | None) -> tuple[uuid.UUID, ...]:
        """The other epochs of the file of which results are pending."""
        return tuple(
            epoch
            for epoch in self.epochs
            if epoch != newest
            and (rows := self.epochs.rows(epoch, self.last_row)) is not None
            and self._rows.count(clip(self._uncovered(), *rows))
        )

    @contextmanager
    def _reporting(self, named: Sequence[Named]) -> Iterator[None]:
        """Have the mark know what the next rows report, before they take the place of results."""
        before = self._reported
        self._reported += reports_of(named, self.last_row + 1)
        try:
            # First, so that the mark is that of this epoch and names the older ones.
            self._reserve(len(named))
            self._write_mark(self._mark)
            yield
        except BaseException:
            self._reported = before
            raise

    def _report_again(self) -> None:
        """Have lost once more what was reported by results that are lost themselves."""
        unheard = [one for one in self._reported if self._is_lost(one)]
        if not unheard:
            return
        ended, lost = losses_of(unheard)
        self._lost = tuple(dict.fromkeys((*self._lost, *lost)))
        self._mark = msgspec.structs.replace(
            self._mark,
            ended=tuple(dict.fromkeys((*self._mark.ended, *ended))),
            lost=self._lost,
        )
        self._reported = tuple(one for one in self._reported if one not in unheard)

    def _is_lost(self, report: LossReport) -> bool:
        """Whether a report was given up, or is not in the file though what it names is gone."""
        if report.row <= self.last_row:
            return bool(in_rows([report], self._given_up.ranges))
        rows = self.epochs.rows_of(report.epoch, report.ranges, self.last_row)
        return not self._rows.count(rows)

    def _unconfirmed_reports(self) -> tuple[LossReport, ...]:
        """The reports of losses that the centre does not have."""
        return in_rows(self._reported, [*self._uncovered(), *self._given_up.ranges])

    @contextmanager
    def _numbering(
        self, results: Sequence[tuple[str, bytes]], now_s: float
    ) -> Iterator[list[NumberedResult]]:
        """Number, sign and store results in one transaction with what the caller does."""
        signed, rows, numbered = self._numbered(results, now_s)
        self._reserve(len(results))
        with self._rows.transaction():
            self._insert(rows)
            yield numbered
        self._inserted(len(results), signed)

    def _numbered(
        self, results: Sequence[tuple[str, bytes]], now_s: float
    ) -> tuple[SignedResults, list[Row], list[NumberedResult]]:
        """Results that get the next numbers: signed, as rows of the file, and as they are sent."""
        seq = last_number(self.epochs, self.epoch, self.last_row) + 1
        signed = self._chain.signed(self.epoch, seq, results)
        at = Numbering(self.last_row + 1, seq, self._chain.most)
        return signed, *blocks.stored(results, signed.signatures, at, now_s)

    def _inserted(self, count: int, signed: SignedResults) -> None:
        """So many rows were stored behind the last one."""
        self._chain.on_stored(signed)
        if count and not self._begun:
            self._begun = True
            self.epochs.add(self.last_row + 1, self.epoch)
        self.last_row += count
        self._pending += count

    def _write_mark(self, new: HighWaterMark) -> None:
        new = msgspec.structs.replace(new, reported=self._unconfirmed_reports())
        with translated_errors(_CANNOT_MARK):
            high_water_mark.write(self._path, new)
        self._mark = new

    def _intact(self, block: BlockRow) -> Iterator[NumberedResult]:
        """The results of a block; none of a damaged one, which is to be given up."""
        first, last = block.rows
        if not _is_intact(block):
            self._spoiled[last] = self._claimed(block)
        elif block.checksum is None:
            yield NumberedResult(last, block.kind.decode(), block.packed)
        else:
            count = last - first + 1
            bodies = row_codec.unpack(block.packed, count, self.epochs.identity(first)[1])
            whole = blocks.stored_block(first, count, block.packed)
            kind = block.kind.decode()
            yield from blocks.numbered_results(whole, kind, bodies, block.signature)

    def _examine(self, end: int) -> None:
        """Have the block that ends in a row given up where it is damaged."""
        block = self._rows.first_from(end)
        if block is not None and not _is_intact(block):
            self._spoiled[block.last] = self._claimed(block)

    def _claimed(self, block: BlockRow) -> list[Range]:
        """The rows that a damaged block may have held.

        What it says may be what was damaged: its length, and its last row, with which it moves
        between its neighbours.
        """
        first = max(self._rows.last_before(block.last) + 1, block.last - 2 * MAX_RESULTS)
        behind = self._rows.first_from(block.last + 1)
        last = min(self._first_of(behind) - 1, block.last + 2 * MAX_RESULTS)
        if first > last:
            return []
        return [*clip(self._uncovered(), first, last), *clip([block.rows], first, last)]

    def _first_of(self, block: BlockRow | None) -> int:
        """The first row of a block, or the end of what it may hold where that is not known."""
        if block is None:
            return self.last_row + 1
        return block.rows[0] if _is_intact(block) else block.last

    def _insert(self, rows: Sequence[Row]) -> None:
        if rows and not self._begun:
            self._rows.add_epoch(self.last_row + 1, self.epoch)
        self._rows.insert(rows)

    def _write_coverage(self, now_s: float) -> None:
        self._coverage_written_s = now_s
        self._rows.set_meta("coverage", self.coverage)
        if self.newest_receipt is not None:
            self._rows.set_meta("newest_receipt", self.newest_receipt)

    def _read_coverage(self) -> Coverage:
        try:
            read = decode_json(self._rows.meta("coverage") or b"{}", Coverage)
        except (ValueError, msgspec.MsgspecError):
            read = Coverage()  # everything is sent again, and the centre says what it has
        return self._settled(clip(covered_ranges(read), 1, self.last_row))

    def _read_newest_receipt(self) -> ReceiptOrder | None:
        try:
            return decode_json(self._rows.meta("newest_receipt"), ReceiptOrder)
        except (ValueError, msgspec.MsgspecError):
            return None  # an older one may be accepted; the centre answers with what it has

    def _read_given_up(self) -> Ledger:
        try:
            ranges = decode_json(self._rows.meta("given_up") or b"[]", tuple[tuple[int, int], ...])
        except (ValueError, msgspec.MsgspecError):
            ranges = ()
        return Ledger().with_ranges(clip(ranges, 1, self.last_row))

    def _write_given_up(self, rows: Sequence[Range]) -> None:
        """Remember rows as given up: nobody waits for a receipt that covers them."""
        self._rows.set_meta("given_up", self._given_up.with_ranges(rows).ranges)

    def _gave_up(self, rows: Sequence[Range]) -> None:
        """Rows were given up in a transaction that is committed."""
        self._given_up = self._given_up.with_ranges(rows)
        self.coverage = self._settled(covered_ranges(self.coverage))
        self._pending = self._rows.count(self._uncovered())

    def _settled(self, covered: Iterable[Range]) -> Coverage:
        """These rows and those that were given up."""
        return coverage_from(Ledger(self._given_up.ranges).with_ranges(covered))

    def _uncovered(self) -> list[Range]:
        return _uncovered_by(self.coverage)


def _uncovered_by(coverage: Coverage) -> list[Range]:
    """The ranges of numbers that no receipt covers; the last has no end."""
    return [*coverage.missing, (coverage.through + 1, _LAST_SEQ)]


def _is_intact(block: BlockRow) -> bool:
    """Whether a block is as it was stored; the oldest version's have no checksum."""
    first, last = block.rows
    if block.checksum is None:
        return block.packed.startswith(b"{")
    wanted = row_codec.checksum(last, block.kind, block.packed, last - first + 1)
    return bool(block.checksum == wanted)


def _log_damaged(path: Path) -> Phrase:
    return Phrase(
        f"nhật ký ghi trước của tệp kết quả {path} bị hỏng",
        f"the log of the outbox {path} is damaged",
    )
