"""Floor 1. Lingering: latency results wait some minutes for others, to go out in one envelope.

For a probe on a metered line, whose operator says so (`delivery.linger_s`, Kafka's name for it). A
result in an envelope of twenty takes a third to a half of the bytes that it takes alone, TCP, TLS
and the broker's answer included. All other kinds are sent at once, an outage above all, and what
waits goes with them. State, health and replies are no results and never wait.

Times are monotonic seconds; a row is the outbox's.
"""

from __future__ import annotations

from collections.abc import Iterable

# Of the default plan nineteen in twenty results are of this kind, and nobody waits for one: what a
# line is like now is in `health`.
_LINGERS = "latency"


class Linger:
    """Up to which row live results may be sent. Not thread-safe.

    Args:
        linger_s: how long a result may wait; 0: none does.
        full: so many results are an envelope, and wait for no other.
    """

    def __init__(self, linger_s: float, full: int) -> None:
        self._linger_s = linger_s
        self._full = full
        self._released = 0
        self._due_s: float | None = None

    def on_stored(self, kinds: Iterable[str], now_s: float) -> None:
        """Results of these kinds are being stored."""
        if not self._linger_s:
            return
        for kind in kinds:
            wait_s = self._linger_s if kind == _LINGERS else 0.0
            due_s = now_s + wait_s
            self._due_s = due_s if self._due_s is None else min(self._due_s, due_s)

    def sendable(self, last_row: int, now_s: float, *, all_of_them: bool = False) -> int:
        """The row up to which live results are to be sent now.

        Args:
            last_row: the newest of the outbox.
            now_s: monotonic seconds.
            all_of_them: whether nothing waits any longer, as at the end.
        """
        is_full = last_row - self._released >= self._full
        is_due = self._due_s is None or now_s >= self._due_s
        if all_of_them or is_full or is_due:
            self._released, self._due_s = last_row, None
        return self._released

    def waiting(self, last_row: int) -> int:
        """How many results wait for others."""
        return max(last_row - self._released, 0) if self._linger_s else 0
