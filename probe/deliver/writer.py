"""Floor 3. Writes results from memory into the outbox and handles the disk's failures.

While the disk is full results wait in memory; a damaged file is set aside and a new epoch begun;
dropped results are reported by a result of their own. One thread owns it and the outbox.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from operator import itemgetter
from pathlib import Path
from uuid import UUID

from probe import clock
from probe.config import DeliveryConfig
from probe.deliver.dropped import dropped_result
from probe.deliver.outbox import DroppedReport, Outbox
from probe.deliver.outbox_file import OutboxDamagedError, set_aside
from probe.deliver.ranges import Range, total
from probe.deliver.signature_chain import SignatureChain
from runtime.clock_stability import ClockStability
from wire.result import DropCause, Result, encode_result

log = logging.getLogger(__name__)

# Where nothing can be written, results wait in memory: a day and a half of the default plan.
_MAX_UNSAVED = 20_000
# How long latency results wait for others of their minute, and how many: each transaction
# is an fsync, which wears the card.
_GATHERED_WITHIN_S = 0.2
_GATHERED = 20
_TIDY_EVERY_S = 60.0


class OutboxWriter:
    """The writer of one outbox.

    Args:
        path: the outbox's file. Opening is retried where it fails: a full disk may be
            emptied, and measuring does not wait for it.
        settings: how much is kept, and how long.
        chain: signs results as they are numbered.
    """

    def __init__(self, path: Path, settings: DeliveryConfig, chain: SignatureChain) -> None:
        self._path = path
        self._chain = chain
        self._settings = settings
        self.outbox: Outbox | None = None
        self.pending = 0
        self._unsaved: list[Result] = []
        self._discarded = 0
        self._counting = threading.Lock()
        self._expected = self._finished = 0
        self._clock_stability = ClockStability()
        self._store_by_s = self._tidy_due_s = 0.0

    @property
    def idle(self) -> bool:
        """Whether every expected result is stored and covered."""
        return self.outbox is not None and not self.pending and self._finished == self._expected

    def expect(self) -> None:
        """Count a result that will be added; from any thread."""
        with self._counting:
            self._expected += 1

    def add(self, results: Sequence[Result]) -> None:
        """Add results that were counted by `expect`."""
        if results and not self._unsaved:
            self._store_by_s = clock.monotonic_s() + _GATHERED_WITHIN_S
        self._unsaved += results

    def patience_s(self, longest_s: float) -> float:
        """Seconds until something has to be written, at most `longest_s`."""
        if not self._unsaved:
            return longest_s
        return min(max(self._store_by_s - clock.monotonic_s(), 0.0), longest_s)

    def open(self) -> Outbox:
        """Open the outbox.

        Raises:
            OutboxError: it cannot be opened now.
            OutboxDamagedError: it is damaged.
        """
        outbox = Outbox(self._path, self._chain)
        self.pending = outbox.pending_count()
        self.outbox = outbox
        return outbox

    def write(self, outbox: Outbox, *, ending: bool) -> None:
        """Report lost results before numbering new ones; then store the waiting results.

        Raises:
            OutboxError: it cannot be written now; results wait in memory.
            OutboxDamagedError: it is to be set aside.
        """
        self._report_losses(outbox)
        if self._discarded:
            self._store(
                outbox, [dropped_result(DropCause.OUTBOX_UNWRITABLE, None, self._discarded, [])]
            )
            self._discarded = 0
        if self._unsaved and (ending or self._is_time_to_store()):
            self._store(outbox, self._unsaved)
            self._finished += len(self._unsaved)
            self._unsaved = []

    def enforce_limits(self, outbox: Outbox) -> None:
        """Once a minute: delete results that are too old, then those beyond the size limit.

        Raises:
            OutboxError, OutboxDamagedError: as `write` does.
        """
        if clock.monotonic_s() < self._tidy_due_s:
            return
        self._tidy_due_s = clock.monotonic_s() + _TIDY_EVERY_S
        now_s = clock.utc_now().timestamp()
        # Age has no meaning while the clock may be years wrong; the size limit holds always.
        steady = self._clock_stability.is_stable(now_s, clock.monotonic_s())
        if steady and clock.synchronised():
            outbox.prune(now_s - self._settings.keep_days * 86_400)
        name = _report_for(DropCause.OUTBOX_FULL)
        given_up = outbox.make_room(self._settings.max_bytes, name, now_s)
        if given_up:
            log.error("the outbox was full: %d results were given up", given_up)

    def start_new_epoch(self, error: OutboxDamagedError) -> None:
        """Set a damaged file aside and begin a new epoch; the loss is reported to the centre.

        Raises:
            OutboxError: it cannot be set aside now.
        """
        log.error("%s; it is set aside and a new one begun", error)
        if self.outbox is not None:
            self.outbox.abandon()
            self.outbox = None
        epoch = set_aside(self._path, clock.utc_now().strftime("%Y%m%dT%H%M%S"))
        if epoch is None:
            # Its epoch is unknown; a known one is reported from the high-water mark.
            self._unsaved.insert(0, dropped_result(DropCause.OUTBOX_DAMAGED, None, None, []))
            self.expect()

    def limit_memory(self) -> None:
        """Discard the oldest beyond the memory limit; their number is reported later."""
        surplus = len(self._unsaved) - _MAX_UNSAVED
        if surplus > 0:
            del self._unsaved[:surplus]
            self._discarded += surplus
            self._finished += surplus

    def _is_time_to_store(self) -> bool:
        """Latency results are gathered for some seconds; all others are stored at once."""
        return (
            len(self._unsaved) >= _GATHERED
            or any(one.kind != "latency" for one in self._unsaved)
            or clock.monotonic_s() >= self._store_by_s
        )

    def _store(self, outbox: Outbox, results: Sequence[Result]) -> None:
        # Kinds together: each run of one kind takes a signature, and an envelope has one kind.
        bodies = [(result.kind, encode_result(result)) for result in results]
        bodies.sort(key=itemgetter(0))
        outbox.put(bodies, clock.utc_now().timestamp())
        self.pending += len(bodies)

    def _report_losses(self, outbox: Outbox) -> None:
        name = _report_for(DropCause.OUTBOX_DAMAGED)
        now_s = clock.utc_now().timestamp()
        outbox.report_ended_epochs(_ended_epoch_report, now_s)
        if lost := outbox.report_lost_seqs(name, now_s):
            log.error("the outbox lost its newest transactions: %d numbers are given up", lost)
        if spoiled := outbox.report_corrupt_rows(name, now_s):
            log.error("%d results in the outbox were damaged and are given up", spoiled)


def _report_for(cause: DropCause) -> DroppedReport:
    def name(epoch: UUID, ranges: Sequence[Range]) -> tuple[str, bytes]:
        report = dropped_result(cause, epoch, total(ranges), ranges)
        return report.kind, encode_result(report)

    return name


def _ended_epoch_report(epoch: UUID) -> tuple[str, bytes]:
    report = dropped_result(DropCause.OUTBOX_DAMAGED, epoch, None, [])
    return report.kind, encode_result(report)
