"""Floor 1. How many results of a backlog may be on their way to the store at once.

The broker takes a backlog far quicker than a centre stores it. What lies between them in the
broker's queue delays every live result behind it, and a broker drops what its queue has no room
for. So the backlog is let out as receipts come: more while they come promptly, less when they are
late. Only the probe can know: it sees both ends. Times are monotonic seconds.
"""

from __future__ import annotations

from collections import deque

# An envelope or two: the least that a slow line is asked to carry before a live result.
MIN_SIZE = 100
INITIAL_SIZE = 400
MAX_SIZE = 20_000
# From handing over to the receipt. A live result waits as long, and a second is promised.
PROMPT_S = 0.15
LATE_S = 0.3
_GROWN = 1.3
_SHRUNK = 0.7


class SendWindow:
    """`size` is how many results may be under way, uncovered."""

    def __init__(self) -> None:
        self.size = INITIAL_SIZE
        self._in_flight: deque[tuple[int, float]] = deque()

    def on_sent(self, last_seq: int, now_s: float) -> None:
        """An envelope of the backlog was handed over; its numbers end at `last_seq`."""
        self._in_flight.append((last_seq, now_s))

    def on_covered(self, missing: tuple[tuple[int, int], ...], through: int, now_s: float) -> None:
        """A receipt: everything up to `through` is stored but for the `missing` ranges."""
        sent_s = None
        while self._in_flight and (seq := self._in_flight[0][0]) <= through:
            if any(first <= seq <= last for first, last in missing):
                break
            sent_s = self._in_flight.popleft()[1]
        if sent_s is None:
            return
        # Of all that this receipt covers, the one sent last waited only for the store.
        if now_s - sent_s < PROMPT_S:
            self.size = min(int(self.size * _GROWN), MAX_SIZE)
        elif now_s - sent_s > LATE_S:
            self.size = max(int(self.size * _SHRUNK), MIN_SIZE)

    def clear(self) -> None:
        """Nothing is under way any more: all that is pending goes out again."""
        self._in_flight.clear()
