"""Floor 1. Sending kept results again because the centre asked for them, one handful at a time.

Beside the delivery and never in its way: a handful is read, sent, and only when the broker has
answered for all of it comes the next. A connection that goes away takes the handful back. What the
outbox does not keep any more is passed over, and counted by who asked.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from wire.commands import Replay


class ReplayJob:
    """One replay under way. Not thread-safe: the thread of the outbox owns it.

    Args:
        command: what the centre asked for.
        last_seq: the highest number that there is.
    """

    def __init__(self, command: Replay, last_seq: int) -> None:
        self.command = command
        self.requested = sum(last - first + 1 for first, last in command.ranges)
        self.sent = 0
        self._ranges = deque(
            (first, min(last, last_seq)) for first, last in command.ranges if first <= last_seq
        )
        self._awaited: set[int] = set()
        # (first, through) and how many results that were.
        self._in_flight: tuple[tuple[int, int], int] | None = None

    @property
    def done(self) -> bool:
        """Whether all of it has been sent and answered by the broker."""
        return not self._ranges and self._in_flight is None

    def next_range(self) -> tuple[int, int] | None:
        """The seqs (first, last) to read from now; None while a handful is under way."""
        return self._ranges[0] if self._ranges and self._in_flight is None else None

    def on_read(self, seqs: Sequence[int], limit: int) -> None:
        """What the outbox had of `next_range`; fewer than the limit means that this is all."""
        first, last = self._ranges.popleft()
        through = seqs[-1] if len(seqs) == limit else last
        if through < last:
            self._ranges.appendleft((through + 1, last))
        self._in_flight = ((first, through), len(seqs)) if seqs else None
        self.sent += len(seqs)

    def on_sent(self, mids: Iterable[int]) -> None:
        """The handful was handed over, in envelopes that the broker will answer by these."""
        self._awaited = set(mids)
        if not self._awaited:
            self._in_flight = None

    def on_published(self, mid: int) -> None:
        """The broker's answer. Refused or not: a refusal is an alarm elsewhere already."""
        self._awaited.discard(mid)
        if not self._awaited:
            self._in_flight = None

    def on_disconnected(self) -> None:
        """What was under way is sent again, from the first of its handful."""
        if self._in_flight is not None:
            seqs, count = self._in_flight
            self._ranges.appendleft(seqs)
            self._in_flight = None
            self.sent -= count
        self._awaited = set()
