"""Floor 2. Wraps `ssl`: the certificates that TLS servers present, for their end dates alone.

The broker and the fleet centre may stand on other machines, where no file of theirs can be read.
Nothing is sent to them and nothing is trusted because of what they present.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Sequence
from datetime import datetime

from collector.alerts.rules import Certificate
from runtime.certificate import ends_at

# An end date changes once in months.
_EVERY_S = 3600.0
_TIMEOUT_S = 5.0
# A server that restarts does not answer for some seconds.
_FAULT_AFTER_S = 900.0


class ServedCertificates:
    """Asks each server hourly, and at each look while it does not answer.

    Args:
        servers: `host:port` each.
    """

    def __init__(self, servers: Sequence[str]) -> None:
        self._servers = list(dict.fromkeys(servers))
        self._known: dict[str, tuple[float, datetime]] = {}
        self._failing_since_s: dict[str, float] = {}

    def certificates(self, now_s: float) -> Iterator[Certificate]:
        """The certificates known; without an end date where a server gave none for 15 minutes.

        Args:
            now_s: a monotonic clock.
        """
        for server in self._servers:
            known = self._known.get(server)
            if known is None or now_s - known[0] >= _EVERY_S:
                self._ask(server, now_s)
            failing_s = self._failing_since_s.get(server)
            if failing_s is not None and now_s - failing_s >= _FAULT_AFTER_S:
                yield Certificate(server, None)
            elif server in self._known:
                yield Certificate(server, self._known[server][1])

    def _ask(self, server: str, now_s: float) -> None:
        host, _, port = server.rpartition(":")
        try:
            pem = ssl.get_server_certificate((host, int(port)), timeout=_TIMEOUT_S)
            ends = ends_at(pem.encode())
        except (OSError, ValueError, OverflowError):
            ends = None
        if ends is None:
            self._failing_since_s.setdefault(server, now_s)
            return
        self._failing_since_s.pop(server, None)
        self._known[server] = (now_s, ends)
