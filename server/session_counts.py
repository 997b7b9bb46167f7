"""Floor 1. The packets of the sessions that ask for them by Direct Measurement (RFC 8972, 4.5).

A session is a source address, port and SSID. Whoever sends can make up sessions, so a bounded
number is held: the one that was silent for longest goes first, and counts from one when it returns.
"""

from __future__ import annotations

from collections import OrderedDict

from wire.stamp_tlv import PacketCounts

# About 3 MB.
_MOST_SESSIONS = 10_000

Session = tuple[str, int, int]


class SessionCounts:
    """Counts by session.

    Args:
        most: how many sessions are held.
    """

    def __init__(self, most: int = _MOST_SESSIONS) -> None:
        self._most = most
        self._counts: OrderedDict[Session, PacketCounts] = OrderedDict()

    def add(self, session: Session) -> PacketCounts:
        """Count a packet that was received and is about to be answered."""
        received, sent = self._counts.pop(session, PacketCounts(0, 0))
        counts = PacketCounts(received + 1, sent + 1)
        self._counts[session] = counts
        if len(self._counts) > self._most:
            self._counts.popitem(last=False)
        return counts

    def not_sent(self, session: Session) -> None:
        """Take back an answer that could not be sent."""
        if (counts := self._counts.get(session)) is not None:
            self._counts[session] = counts._replace(sent=counts.sent - 1)
