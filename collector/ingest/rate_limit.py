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
_FORGET_EVERY_S = 60.0


class Allowance(Struct, frozen=True):
    """What each probe may send in the long run, and how much of it at once."""

    messages_per_s: float
    bytes_per_s: float
    burst_s: float


class Excess(Struct, frozen=True):
    """What of one sender was let go since it was told last."""

    sender: str
    messages: int
    size_bytes: int


class Fairness:
    """Each sender's allowance. Not thread-safe; times are monotonic seconds."""

    def __init__(self, allowance: Allowance, tell_every_s: float = 60.0) -> None:
        self._allowance = allowance
        self._tell_every_s = tell_every_s
        # Until when each sender's time is spoken for.
        self._spent_until_s: dict[str, float] = {}
        self._excess: dict[str, tuple[int, int]] = {}
        self._told_at_s: dict[str, float] = {}
        self._forget_at_s = float("-inf")

    def takes(self, sender: str, size_bytes: int, now_s: float) -> bool:
        """Whether a message is within its sender's allowance; what is not is counted."""
        spent_s = max(self._spent_until_s.get(sender, now_s), now_s)
        if spent_s - now_s > self._allowance.burst_s:
            messages, size = self._excess.get(sender, (0, 0))
            self._excess[sender] = messages + 1, size + size_bytes
            return False
        cost_s = max(1 / self._allowance.messages_per_s, size_bytes / self._allowance.bytes_per_s)
        self._spent_until_s[sender] = spent_s + cost_s
        return True

    def excess(self, now_s: float) -> list[Excess]:
        """What was let go and is to be told now: of each sender at most once in a while."""
        self._forget(now_s)
        due = [
            sender
            for sender in self._excess
            if now_s - self._told_at_s.get(sender, float("-inf")) >= self._tell_every_s
        ]
        for sender in due:
            self._told_at_s[sender] = now_s
        return [Excess(sender, *self._excess.pop(sender)) for sender in due]

    def _forget(self, now_s: float) -> None:
        if now_s < self._forget_at_s:
            return
        self._forget_at_s = now_s + _FORGET_EVERY_S
        self._spent_until_s = {
            sender: until_s for sender, until_s in self._spent_until_s.items() if until_s > now_s
        }
        self._told_at_s = {
            sender: at_s
            for sender, at_s in self._told_at_s.items()
            if now_s - at_s < self._tell_every_s
        }
