"""Floor 1. What one probe may take of the centre's time, so that it cannot take the others'.

The broker brings messages in the order in which they came, so a probe that floods (a fault of ours,
a stolen key) stands before everybody. What is beyond its allowance is therefore let go unread: it
is acknowledged to the broker, not stored, and gets no receipt. A sound probe loses nothing by that:
only a receipt ends its waiting, so it sends again.

One allowance for messages and bytes together: each message costs the longer of its share of a
second by count and by size (the virtual scheduling of ITU-T I.371, GCRA). What is saved up is
bounded; a month's backlog fits in it.
"""

from __future__ import annotations

from msgspec import Struct

# Idle allowances are full ones: they are forgotten, so that names cost no memory for ever.
_PRUNE_EVERY_S = 60.0


class ProbeRateLimit(Struct, frozen=True):
    """What each probe may send in the long run, and how much of it at once."""

    messages_per_s: float
    bytes_per_s: float
    burst_s: float


class DroppedMessages(Struct, frozen=True):
    """What of one sender was let go since it was told last."""

    sender: str
    messages: int
    size_bytes: int


class RateLimiter:
    """Each sender's allowance. Not thread-safe; times are monotonic seconds."""

    def __init__(self, limit: ProbeRateLimit, report_every_s: float = 60.0) -> None:
        self._limit = limit
        self._report_every_s = report_every_s
        # Until when each sender's time is spoken for.
        self._theoretical_arrival_s: dict[str, float] = {}
        self._dropped: dict[str, tuple[int, int]] = {}
        self._reported_at_s: dict[str, float] = {}
        self._prune_at_s = float("-inf")

    def allows(self, sender: str, size_bytes: int, now_s: float) -> bool:
        """Whether a message is within its sender's allowance; what is not is counted."""
        spent_s = max(self._theoretical_arrival_s.get(sender, now_s), now_s)
        if spent_s - now_s > self._limit.burst_s:
            messages, size = self._dropped.get(sender, (0, 0))
            self._dropped[sender] = messages + 1, size + size_bytes
            return False
        cost_s = max(1 / self._limit.messages_per_s, size_bytes / self._limit.bytes_per_s)
        self._theoretical_arrival_s[sender] = spent_s + cost_s
        return True

    def take_dropped(self, now_s: float) -> list[DroppedMessages]:
        """What was let go and is to be told now: of each sender at most once in a while."""
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
