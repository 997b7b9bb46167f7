"""Floor 1. Delivery as a pure state machine: what to send next, what is under way, what to repeat.

    pending (outbox) --sent--> in flight --PUBACK--> with the broker --receipt--> covered

A PUBACK is not "stored" (a broker that is killed loses what it acknowledged), so only a receipt
moves a result out of what is pending. What was sent and is not covered is sent again after a
reconnect, or after a while in which no receipt came nearer. Repeats are harmless: `(probe, epoch,
seq)` is the key at the centre.

Two lanes leave the outbox. What is measured while connected goes out at once in the live lane; what
was waiting when the connection came (or is to be repeated) drains in the backlog lane, which never
takes the whole window, and no more of it is under way than the centre stores promptly (`window`).
So a month of backlog delays no live result. Times are monotonic seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from msgspec import Struct

from probe.deliver.ranges import clip, total
from probe.deliver.send_window import SendWindow
from wire.ledger import Ledger
from wire.messages import Receipt

# Envelopes that the broker has not answered yet. Enough to fill a slow line, few enough that a
# reconnect repeats little.
MAX_IN_FLIGHT = 16
# Of these, what the backlog may use: a live result then always finds the window open.
MAX_BACKLOG_IN_FLIGHT = 8
# How seldom a centre that does not answer is asked at the least.
MAX_RESEND_TIMEOUT_S = 3600.0


class Coverage(Struct, frozen=True):
    """What the centre has stored: everything up to `through` but the `missing` ranges."""

    through: int = 0
    missing: tuple[tuple[int, int], ...] = ()

    @property
    def first_uncovered(self) -> int:
        """The lowest seq that the centre does not have."""
        return self.missing[0][0] if self.missing else self.through + 1


def coverage_of(receipt: Receipt) -> Coverage:
    """The coverage that a receipt states."""
    return Coverage(receipt.stored_through, tuple(receipt.missing))


def _ledger_of(coverage: Coverage) -> Ledger:
    """The numbers that a coverage covers."""
    starts = (1, *(last + 1 for _, last in coverage.missing))
    ends = (*(first - 1 for first, _ in coverage.missing), coverage.through)
    pairs = zip(starts, ends, strict=True)
    return Ledger().with_ranges((first, last) for first, last in pairs if first <= last)


class Lane(Enum):
    """Which way a result leaves the outbox."""

    LIVE = "live"
    BACKLOG = "backlog"


class DueRange(Struct, frozen=True):
    """Pending results with `after < seq <= through` are to be sent now, lowest first."""

    lane: Lane
    after: int
    through: int


class SenderState:
    """One probe's delivery. Not thread-safe: one thread owns it, and the outbox with it.

    Args:
        resend_after_s: how long the lowest uncovered result may wait for its receipt.
        coverage: what the last receipt said.
        by_broker: whether the broker's PUBACK covers a result (`delivery.confirm = "broker"`), for
            subscribers that send no receipts. It promises less: see decision 2.
        batch: how many results an envelope carries at most.
    """

    def __init__(
        self,
        resend_after_s: float,
        coverage: Coverage,
        *,
        confirm_by_broker: bool = False,
        batch: int = 50,
    ) -> None:
        self._resend_after_s = resend_after_s
        self._batch = batch
        self._coverage = coverage
        self._window = SendWindow()
        self._acknowledged = _ledger_of(coverage) if confirm_by_broker else None
        self._in_flight: dict[int, tuple[Lane, tuple[int, ...]]] = {}
        # How far each lane has come. The backlog ends where the live lane began.
        self._sent = {Lane.LIVE: 0, Lane.BACKLOG: 0}
        self._backlog_end = 0
        self._progress_at_s = 0.0
        self._resend_timeout_s = resend_after_s
        self._probing = False
        self.connected = False
        self.refusal: str | None = None

    def on_connected(self, last_seq: int, now_s: float) -> None:
        """A new connection: nothing is under way on it, all that is pending goes out again."""
        self.connected = True
        self.refusal = None
        self._probing = False
        self._resend_timeout_s = self._resend_after_s
        self._restart(last_seq, now_s)

    def on_disconnected(self) -> None:
        """The connection is gone, and with it every answer that was due."""
        self.connected = False
        self._in_flight.clear()

    def on_sent(self, mid: int, lane: Lane, seqs: Sequence[int], now_s: float) -> None:
        """An envelope with these seqs was handed over; `mid` is what its answer will bear."""
        if max(self._sent.values()) < self._coverage.first_uncovered:
            self._progress_at_s = now_s  # nothing was awaited until now
        if lane is Lane.BACKLOG:
            self._window.on_sent(seqs[-1], now_s)
        self._in_flight[mid] = lane, tuple(seqs)

    def on_lane_sent(self, lane: Lane, through: int) -> None:
        """All that is pending in a lane up to a seq has been handed over."""
        self._sent[lane] = through

    def on_published(self, mid: int, refusal: str | None, now_s: float) -> Coverage | None:
        """The broker's answer. A refusal (0x87: not authorised) is an alarm, never a delete.

        Returns:
            What is covered now, where the broker's word is enough; else None.
        """
        _, seqs = self._in_flight.pop(mid, (None, ()))
        if refusal is not None:
            self.refusal = refusal
        elif self._acknowledged is not None and seqs:
            self._acknowledged = self._acknowledged.with_seqs(seqs)
            held = self._acknowledged
            coverage = Coverage(held.stored_through, held.missing)
            self._apply_coverage(coverage, now_s)
            self._progress_at_s = now_s
            return coverage
        return None

    def on_coverage(self, coverage: Coverage, last_seq: int, now_s: float) -> None:
        """A receipt. One that says less than before (a restored store) starts delivery anew."""
        self._probing = False
        if coverage.first_uncovered > self._coverage.first_uncovered:
            self._progress_at_s = now_s
            self._resend_timeout_s = self._resend_after_s
        elif coverage.first_uncovered < self._coverage.first_uncovered:
            self._restart(last_seq, now_s)
        self._apply_coverage(coverage, now_s)

    def next_due(self, last_seq: int, now_s: float) -> DueRange | None:
        """What to send now, None for nothing. `last_seq` is the newest result in the outbox."""
        if not self.connected or self.refusal is not None or not self.room(Lane.LIVE):
            return None
        awaited = self._coverage.first_uncovered <= max(self._sent.values())
        if awaited and now_s - self._progress_at_s >= self._resend_timeout_s:
            self._restart(last_seq, now_s)
            # A centre that is away must not be sent everything again and again: one batch asks
            # whether it is back, ever more seldom, and its receipt opens the rest.
            self._probing = True
            self._resend_timeout_s = min(2 * self._resend_timeout_s, MAX_RESEND_TIMEOUT_S)
        if self._sent[Lane.LIVE] < last_seq:
            return DueRange(Lane.LIVE, self._sent[Lane.LIVE], last_seq)
        if self._probing and self._sent[Lane.BACKLOG]:
            return None
        if self._sent[Lane.BACKLOG] < self._backlog_end and self.room(Lane.BACKLOG):
            return DueRange(Lane.BACKLOG, self._sent[Lane.BACKLOG], self._backlog_end)
        return None

    def room(self, lane: Lane) -> int:
        """How many envelopes may be handed over in a lane now."""
        room = MAX_IN_FLIGHT - len(self._in_flight)
        if lane is Lane.BACKLOG:
            unanswered = sum(lane is Lane.BACKLOG for lane, _ in self._in_flight.values())
            results = self._window.size - self._unconfirmed_backlog()
            of_window = 1 if self._probing else -(-results // self._batch)
            room = min(room, MAX_BACKLOG_IN_FLIGHT - unanswered, of_window)
        return max(room, 0)

    def _unconfirmed_backlog(self) -> int:
        """How many numbers of the backlog were handed over and are not covered."""
        uncovered = (*self._coverage.missing, (self._coverage.through + 1, self._backlog_end))
        return total(clip(uncovered, 1, self._sent[Lane.BACKLOG]))

    def _apply_coverage(self, coverage: Coverage, now_s: float) -> None:
        self._coverage = coverage
        self._window.on_covered(coverage.missing, coverage.through, now_s)

    def _restart(self, last_seq: int, now_s: float) -> None:
        self._in_flight.clear()
        self._window.clear()
        self._sent = {Lane.LIVE: last_seq, Lane.BACKLOG: 0}
        self._backlog_end = last_seq
        self._progress_at_s = now_s
