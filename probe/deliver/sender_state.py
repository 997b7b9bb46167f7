"""Floor 1. The sender's state machine: what to send next, what is in flight, what to send again.

    pending (outbox) --sent--> in flight --PUBACK--> with the broker --receipt--> covered

A PUBACK does not mean "stored" (a broker that is killed loses what it acknowledged), so only a
receipt ends the pending state. What was sent and is not covered is sent again after a reconnect, or
after a time without progress in the receipts. Repeats are harmless: `(probe, epoch, seq)` is the
key at the centre.

There are two lanes. Results measured while connected are sent at once in the live lane; those that
waited for the connection, or are sent again, drain in the backlog lane, which never takes all of
the in-flight limit and is bounded by `send_window`. So a month of backlog delays no live result.
Times are monotonic seconds. A `seq` is here the row of the outbox; `epochs` translates receipts.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from msgspec import Struct

from probe.deliver.ranges import Range, clip, is_within, subtract, total
from probe.deliver.send_window import SendWindow
from wire.ledger import Ledger
from wire.messages import Receipt

# Envelopes without an answer of the broker. Enough to fill a slow line, few enough that a
# reconnect repeats little.
MAX_IN_FLIGHT = 16
# How many of these the backlog may use, so that a live result can always be sent.
MAX_BACKLOG_IN_FLIGHT = 8
# The longest time between two probes of a centre that does not answer.
MAX_RESEND_TIMEOUT_S = 3600.0


class Coverage(Struct, frozen=True):
    """What the centre has stored: every seq up to `through` except the `missing` ranges."""

    through: int = 0
    missing: tuple[tuple[int, int], ...] = ()

    @property
    def first_uncovered(self) -> int:
        """The lowest seq that the centre does not have."""
        return self.missing[0][0] if self.missing else self.through + 1


def coverage_of(receipt: Receipt) -> Coverage:
    """The coverage of a receipt."""
    return Coverage(receipt.stored_through, tuple(receipt.missing))


def covered_ranges(coverage: Coverage) -> list[Range]:
    """The ranges that a coverage covers, ascending."""
    return list(subtract([(1, coverage.through)], coverage.missing)) if coverage.through else []


class Lane(Enum):
    """The lane in which a result is sent."""

    LIVE = "live"
    BACKLOG = "backlog"


class DueRange(Struct, frozen=True):
    """Pending results with `after < seq <= through` are due, lowest first."""

    lane: Lane
    after: int
    through: int


class SenderState:
    """The state of one probe's delivery. Not thread-safe: the outbox's thread owns it.

    Args:
        resend_after_s: how long the lowest uncovered result may wait for its receipt.
        coverage: that of the last receipt.
        confirm_by_broker: whether a PUBACK covers a result (`delivery.confirm = "broker"`), for
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
        self._acknowledged = (
            Ledger().with_ranges(covered_ranges(coverage)) if confirm_by_broker else None
        )
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
        """A new connection: nothing is in flight, and all pending results are sent again."""
        self.connected = True
        self.refusal = None
        self._probing = False
        self._resend_timeout_s = self._resend_after_s
        self._restart(last_seq, now_s)

    def on_disconnected(self) -> None:
        """The connection was lost; no outstanding answer will come."""
        self.connected = False
        self._in_flight.clear()

    def on_sent(self, mid: int, lane: Lane, seqs: Sequence[int], now_s: float) -> None:
        """An envelope with these seqs was sent; `mid` identifies the broker's answer."""
        if max(self._sent.values()) < self._coverage.first_uncovered:
            self._progress_at_s = now_s  # nothing was awaited until now
        if lane is Lane.BACKLOG:
            self._window.on_sent(seqs[-1], now_s)
        self._in_flight[mid] = lane, tuple(seqs)

    @property
    def is_overdue(self) -> bool:
        """Whether a result has waited for its receipt too long, and the centre is being probed."""
        return self._probing

    def on_lane_sent(self, lane: Lane, through: int) -> None:
        """All pending results of a lane up to a seq have been sent."""
        self._sent[lane] = through

    def on_published(self, mid: int, refusal: str | None, now_s: float) -> Coverage | None:
        """The broker answered. A refusal (0x87: not authorised) is an alarm and deletes nothing.

        Returns:
            The new coverage where a PUBACK confirms; else None.
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
        """A receipt came. One that covers less than before (a restored store) restarts delivery."""
        self._probing = False
        if not is_within(covered_ranges(self._coverage), covered_ranges(coverage)):
            self._restart(last_seq, now_s)
        elif coverage.first_uncovered > self._coverage.first_uncovered:
            self._progress_at_s = now_s
            self._resend_timeout_s = self._resend_after_s
        self._apply_coverage(coverage, now_s)

    def next_due(self, last_seq: int, now_s: float) -> DueRange | None:
        """What to send now, None for nothing. `last_seq` is the newest seq in the outbox."""
        if not self.connected or self.refusal is not None or not self.room(Lane.LIVE):
            return None
        awaited = self._coverage.first_uncovered <= max(self._sent.values())
        if awaited and now_s - self._progress_at_s >= self._resend_timeout_s:
            self._restart(last_seq, now_s)
            # An absent centre must not be sent everything again and again: one batch probes
            # whether it is back, at growing intervals, and its receipt releases the rest.
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
        """How many envelopes may be sent in a lane now."""
        room = MAX_IN_FLIGHT - len(self._in_flight)
        if lane is Lane.BACKLOG:
            unanswered = sum(lane is Lane.BACKLOG for lane, _ in self._in_flight.values())
            results = self._window.size - self._unconfirmed_backlog()
            of_window = 1 if self._probing else -(-results // self._batch)
            room = min(room, MAX_BACKLOG_IN_FLIGHT - unanswered, of_window)
        return max(room, 0)

    def _unconfirmed_backlog(self) -> int:
        """How many numbers of the backlog were sent and are not covered."""
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
