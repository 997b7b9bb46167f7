"""Floor 1. When a line is asked for its operator: hourly, and after it may have changed.

At most once an hour and after each reconnect, at most once a minute whatever happens. What was seen
before a reconnect is not stated any more until the line was asked again.
"""

from __future__ import annotations

from wire.record import LineOperator

EVERY_S = 3600.0
_LEAST_S = 60.0
# After a failure: so long, then doubled up to EVERY_S.
_RETRY_S = 300.0
# An answer after so many windows without one is that of a line that came back. One window is lost
# to chance (a busy resolver, a bulk test that paused it).
_SILENT_WINDOWS = 1.75


class OperatorSchedule:
    """The schedule of one line over one family. Times are monotonic seconds.

    A signature is what a reconnect changes at the probe: its own address and its gateway.
    """

    def __init__(self) -> None:
        self.known: LineOperator | None = None
        self._signature: object = None
        self._asked_at_s: float | None = None
        self._failures = 0
        self._changed = False

    def reconnected(self) -> None:
        """The line was away and is back: what was known of it no longer holds."""
        self.known = None
        self._changed = True
        self._failures = 0

    def is_due(self, now_s: float, signature: object) -> bool:
        """Whether to ask now. A signature of None: the line has no such family now."""
        if signature != self._signature:
            self._signature = signature
            self.reconnected()
        if signature is None:
            return False
        if self._asked_at_s is None:
            return True
        wait_s = _LEAST_S if self._changed else self._wait_s()
        return now_s - self._asked_at_s >= wait_s

    def asked(self, now_s: float, found: LineOperator | None) -> None:
        """Take an answer, None where there was none; what was known before a failure stays."""
        self._asked_at_s = now_s
        self._changed = False
        self._failures = 0 if found is not None else self._failures + 1
        self.known = found or self.known

    def _wait_s(self) -> float:
        if self._failures == 0:
            return EVERY_S
        return min(EVERY_S, _RETRY_S * 2.0 ** min(self._failures - 1, 10))


class ReconnectDetector:
    """Says when a line over a family answers again after it did not. Times are monotonic.

    Args:
        window_s: how often targets are measured.
    """

    def __init__(self, window_s: float) -> None:
        self._window_s = window_s
        self._answered_at_s: float | None = None
        self._failed = False

    def answers_again(self, now_s: float, *, answered: bool) -> bool:
        """Take a result of a target beyond the line; True for the first answer after an outage.

        A target that never answers is no outage while another does.
        """
        if not answered:
            self._failed = True
            return False
        before_s, failed = self._answered_at_s, self._failed
        self._answered_at_s, self._failed = now_s, False
        silent = before_s is not None and now_s - before_s > _SILENT_WINDOWS * self._window_s
        return failed and silent
