"""Floor 1. A rate limit for each probe, so that one cannot delay the others.

The broker delivers messages in the order of arrival, so a probe that floods (a fault of ours, a
stolen key) would delay everybody. A message beyond the limit is dropped: acknowledged to the
broker, not stored, and without a receipt. A sound probe loses nothing: it sends again what no
receipt covers.

The limit is the generic cell rate algorithm (GCRA, virtual scheduling, ITU-T I.371), for messages
and bytes together: a message takes the longer of 1 / messages_per_s and size / bytes_per_s.
`burst_s` is the tolerance; a month's backlog fits in the default.
"""

from __future__ import annotations

from msgspec import Struct

# An idle sender has its full burst: its entry is removed, so that memory is bounded.
_PRUNE_EVERY_S = 60.0


class ProbeRateLimit(Struct, frozen=True):
    """The long-term rate of each probe, and the burst (s of that rate)."""

    messages_per_s: float
    bytes_per_s: float
    burst_s: float


class DroppedMessages(Struct, frozen=True):
    """What of one sender was dropped since the last report."""

    sender: str
    messages: int
    size_bytes: int


class RateLimiter:
    """The state of each sender. Not thread-safe; times are monotonic seconds."""

    def __init__(self, limit: ProbeRateLimit, report_every_s: float = 60.0) -> None:
        self._limit = limit
        self._report_every_s = report_every_s
        # GCRA's theoretical arrival time of each sender's next message.
        self._theoretical_arrival_s: dict[str, float] = {}
        self._dropped: dict[str, tuple[int, int]] = {}
        self._reported_at_s: dict[str, float] = {}
        self._prune_at_s = float("-inf")

    def allows(self, sender: str, size_bytes: int, now_s: float) -> bool:
        """Whether a message is within its sender's limit; one that is not is counted as dropped."""
        spent_s = max(self._theoretical_arrival_s.get(sender, now_s), now_s)
        if spent_s - now_s > self._limit.burst_s:
            messages, size = self._dropped.get(sender, (0, 0))
            self._dropped[sender] = messages + 1, size + size_bytes
            return False
        cost_s = max(1 / self._limit.messages_per_s, size_bytes / self._limit.bytes_per_s)
        self._theoretical_arrival_s[sender] = spent_s + cost_s
        return True

    def charge(self, sender: str, size_bytes: int, now_s: float) -> None:
        """Count bytes that a message turned out to hold beyond those that `allows` was asked of."""
        spent_s = max(self._theoretical_arrival_s.get(sender, now_s), now_s)
        self._theoretical_arrival_s[sender] = spent_s + size_bytes / self._limit.bytes_per_s

    def take_dropped(self, now_s: float) -> list[DroppedMessages]:
        """What was dropped and is to be reported now; at most once in `report_every_s` a sender."""
        self._prune(now_s)
        due = [
            sender
            for sender in self._dropped
            if now_s - self._reported_at_s.get(sender, float("-inf")) >= self._report_every_s
        ]
        for sender in due:
            self._reported_at_s[sender] = now_s
        return [DroppedMessages(sender, *self._dropped.pop(sender)) for sender in due]

    def _prune(self, now_s: float) -> None:
        if now_s < self._prune_at_s:
            return
        self._prune_at_s = now_s + _PRUNE_EVERY_S
        self._theoretical_arrival_s = {
            sender: until_s
            for sender, until_s in self._theoretical_arrival_s.items()
            if until_s > now_s
        }
        self._reported_at_s = {
            sender: at_s
            for sender, at_s in self._reported_at_s.items()
            if now_s - at_s < self._report_every_s
        }
