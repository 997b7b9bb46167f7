"""Floor 1. The send window of the backlog: how many results may be unconfirmed at once.

A broker accepts a backlog far faster than a centre stores it. Results in the broker's queue delay
every live result behind them, and a broker drops what exceeds its queue. So the window grows while
receipts are prompt and shrinks when they are late. Times are monotonic seconds.
"""

from __future__ import annotations

from collections import deque

# An envelope or two: little enough for a slow line to send before a live result.
MIN_SIZE = 100
INITIAL_SIZE = 400
MAX_SIZE = 20_000
# From sending to the receipt: a live result waits as long, and within a second it must arrive.
PROMPT_S = 0.15
LATE_S = 0.3
_GROWN = 1.3
_SHRUNK = 0.7


class SendWindow:
    """`size` is how many results may be in flight, which is sent and not covered."""

    def __init__(self) -> None:
        self.size = INITIAL_SIZE
        self._in_flight: deque[tuple[int, float]] = deque()

    def on_sent(self, last_seq: int, now_s: float) -> None:
        """An envelope of the backlog was sent; its last number is `last_seq`."""
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
        # Of all that this receipt covers, the envelope sent last waited only for the store.
        if now_s - sent_s < PROMPT_S:
            self.size = min(int(self.size * _GROWN), MAX_SIZE)
        elif now_s - sent_s > LATE_S:
            self.size = max(int(self.size * _SHRUNK), MIN_SIZE)

    def clear(self) -> None:
        """Forget what is in flight: all pending results are sent again."""
        self._in_flight.clear()
