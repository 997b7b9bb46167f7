"""Floor 1. The broker's answers to SUBSCRIBE on one connection, and which filters are due again.

A broker may refuse a filter (SUBACK 0x80 and above) and keep the connection. NATS does where its
cluster has no leader for ten seconds: the client stays connected, and nothing comes to it.

Times are monotonic seconds.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

_RETRY_S, _RETRY_MAX_S = 1.0, 60.0


class Subscriptions:
    """The filters of one connection that are not granted. Not thread-safe.

    Args:
        answer_within_s: how long the SUBACK of a SUBSCRIBE may take.
    """

    def __init__(self, answer_within_s: float) -> None:
        self._answer_within_s = answer_within_s
        # By packet identifier: the filters, and when they were sent.
        self._sent: dict[int, tuple[Sequence[str], float]] = {}
        self._refused: dict[str, None] = {}
        self._retry_s = _RETRY_S
        self._due_s = 0.0

    def on_sent(self, mid: int, filters: Sequence[str], now_s: float) -> None:
        """A SUBSCRIBE was sent."""
        self._sent[mid] = filters, now_s

    def on_answer(self, mid: int, refused: Sequence[bool], now_s: float) -> bool:
        """A SUBACK came, with whether each filter was refused.

        Returns:
            Whether all that were ever refused are granted now, by this answer.
        """
        filters, _ = self._sent.pop(mid, ((), 0.0))
        before = bool(self._refused)
        for one, is_refused in zip(filters, refused, strict=False):
            if is_refused:
                self._refused[one] = None
            else:
                self._refused.pop(one, None)
        if any(refused):
            self._due_s = now_s + self._retry_s
            self._retry_s = min(2 * self._retry_s, _RETRY_MAX_S)
        elif before and not self._refused:
            self._retry_s = _RETRY_S
            return True
        return False

    def on_removed(self, filters: Collection[str]) -> None:
        """These filters are not wanted any more."""
        for one in filters:
            self._refused.pop(one, None)

    def take_due(self, now_s: float) -> list[str]:
        """The refused filters, where they are to be sent again now."""
        if now_s < self._due_s or not self._refused:
            return []
        asked = {one for filters, _ in self._sent.values() for one in filters}
        return [one for one in self._refused if one not in asked]

    def is_unanswered(self, now_s: float) -> bool:
        """Whether a SUBACK is missing for too long."""
        return any(now_s - at_s > self._answer_within_s for _, at_s in self._sent.values())
