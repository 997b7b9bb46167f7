"""Floor 1. Replay: sends stored results again at the centre's request, one batch at a time.

Runs beside normal delivery without delaying it: the next batch is read once the broker has answered
for the whole of the last. A lost connection repeats the batch in flight. Results that the outbox no
longer has are skipped.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from wire.commands import Replay


class ReplayJob:
    """A running replay. Not thread-safe: the publisher's thread owns it.

    Args:
        command: the centre's request.
        rows: the rows of the outbox that may hold what it asks for, ascending.
    """

    def __init__(self, command: Replay, rows: Sequence[tuple[int, int]]) -> None:
        self.command = command
        self.requested = sum(last - first + 1 for first, last in command.ranges)
        self.sent = 0
        self._ranges = deque(rows)
        self._awaited: set[int] = set()
        # (first, through) and how many results that were.
        self._in_flight: tuple[tuple[int, int], int] | None = None

    @property
    def done(self) -> bool:
        """Whether everything has been sent and answered by the broker."""
        return not self._ranges and self._in_flight is None

    def next_range(self) -> tuple[int, int] | None:
        """The rows (first, last) to read next; None while a batch is in flight."""
        return self._ranges[0] if self._ranges and self._in_flight is None else None

    def on_read(self, rows: Sequence[int], limit: int) -> None:
        """Record the rows read of `next_range`; fewer than the limit are all that there are."""
        first, last = self._ranges.popleft()
        through = rows[-1] if len(rows) == limit else last
        if through < last:
            self._ranges.appendleft((through + 1, last))
        self._in_flight = ((first, through), len(rows)) if rows else None
        self.sent += len(rows)

    def on_sent(self, mids: Iterable[int]) -> None:
        """The batch was sent, in envelopes with these packet identifiers."""
        self._awaited = set(mids)
        if not self._awaited:
            self._in_flight = None

    def on_published(self, mid: int) -> None:
        """The broker answered; a refusal is reported elsewhere."""
        self._awaited.discard(mid)
        if not self._awaited:
            self._in_flight = None

    def on_disconnected(self) -> None:
        """Send the batch in flight again, from its first row."""
        if self._in_flight is not None:
            rows, count = self._in_flight
            self._ranges.appendleft(rows)
            self._in_flight = None
            self.sent -= count
        self._awaited = set()
