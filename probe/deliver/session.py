"""Floor 1. Delivery as a pure state machine: what to send next, what is under way, what to repeat.

    pending (outbox) --sent--> in flight --PUBACK--> with the broker --receipt--> covered

A PUBACK is not "stored" (a broker that is killed loses what it acknowledged), so only a receipt
moves a result out of what is pending. What was sent and is not covered is sent again after a
reconnect, or after a while in which no receipt came nearer. Repeats are harmless: `(probe, epoch,
seq)` is the key at the centre. Times are monotonic seconds.
"""

from __future__ import annotations

from msgspec import Struct

from wire.messages import Receipt

# Envelopes that the broker has not answered yet. Enough to fill a slow line, few enough that a
# reconnect repeats little.
MAX_IN_FLIGHT = 16


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


class Delivery:
    """One probe's delivery. Not thread-safe: one thread owns it, and the outbox with it."""

    def __init__(self, resend_after_s: float, coverage: Coverage) -> None:
        self._resend_after_s = resend_after_s
        self._first_uncovered = coverage.first_uncovered
        self._in_flight: set[int] = set()
        self._sent_through = 0
        self._progress_at_s = 0.0
        self.connected = False
        self.refusal: str | None = None

    def on_connected(self, now_s: float) -> None:
        """A new connection: nothing is under way on it, all that is pending goes out again."""
        self.connected = True
        self.refusal = None
        self._restart(now_s)

    def on_disconnected(self) -> None:
        """The connection is gone, and with it every answer that was due."""
        self.connected = False
        self._in_flight.clear()

    def on_sent(self, mid: int, last_seq: int, now_s: float) -> None:
        """An envelope was handed over; `mid` is what its answer will bear."""
        if self._sent_through < self._first_uncovered:
            self._progress_at_s = now_s  # nothing was awaited until now
        self._in_flight.add(mid)
        self._sent_through = max(self._sent_through, last_seq)

    def on_published(self, mid: int, refusal: str | None) -> None:
        """The broker's answer. A refusal (0x87: not authorised) is an alarm, never a delete."""
        self._in_flight.discard(mid)
        self.refusal = refusal

    def on_coverage(self, coverage: Coverage, now_s: float) -> None:
        """A receipt. One that says less than before (a restored store) starts delivery anew."""
        if coverage.first_uncovered > self._first_uncovered:
            self._progress_at_s = now_s
        elif coverage.first_uncovered < self._first_uncovered:
            self._restart(now_s)
        self._first_uncovered = coverage.first_uncovered

    def next_after(self, now_s: float) -> int | None:
        """After which seq the next pending results are to be taken; None: send nothing now."""
        if not self.connected or self.refusal is not None or len(self._in_flight) >= MAX_IN_FLIGHT:
            return None
        awaited = self._sent_through >= self._first_uncovered
        if awaited and now_s - self._progress_at_s >= self._resend_after_s:
            self._restart(now_s)
        return self._sent_through

    def _restart(self, now_s: float) -> None:
        self._in_flight.clear()
        self._sent_through = 0
        self._progress_at_s = now_s
