"""Floor 1. When the next batch is begun: at once after a pause, else some time after the last one.

A commit costs as much for two results as for some hundred, and a fleet sends envelopes of one to
three. Time comes from the caller (monotonic seconds).
"""

from __future__ import annotations

from collections.abc import Iterable

# A payload of so many bytes is of a backlog, whose probe waits for a receipt before it sends on.
BACKLOG_BYTES = 8_192


class BatchPacer:
    """How long a batch waits for more messages.

    Args:
        linger_s: the least time between the beginnings of two batches, and so what a message waits
            at most for others.
        most: the messages of a full batch.
    """

    def __init__(self, linger_s: float, most: int) -> None:
        self._linger_s = linger_s
        self._most = most
        self._began_s = float("-inf")

    def wait_s(self, payload_bytes: Iterable[int], now_s: float) -> float:
        """How long a batch of messages of these sizes waits yet; 0 to begin it."""
        sizes = list(payload_bytes)
        if not sizes or len(sizes) >= self._most or max(sizes) >= BACKLOG_BYTES:
            return 0.0
        # Not longer than that, whatever a clock does.
        return min(max(self._began_s + self._linger_s - now_s, 0.0), self._linger_s)

    def began(self, now_s: float) -> None:
        """A batch was begun."""
        self._began_s = now_s
