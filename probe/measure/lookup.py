"""Floor 2. Wraps getaddrinfo(3): a host's address, looked up in a thread of its own.

A look-up without an answer takes many seconds, in which the other targets of the line are still
measured: those seconds show where the fault is. Uses the system's resolver, which is not bound to
the line.
"""

from __future__ import annotations

import socket
import threading
from typing import NamedTuple

from probe.measure.failure import Failure
from wire.record import Reason


class Address(NamedTuple):
    """An IP address and port. `scope_id` is the interface of a link-local IPv6 address, else 0."""

    ip: str
    port: int
    scope_id: int = 0

    @property
    def ipv6(self) -> bool:
        """Whether it is IPv6."""
        return ":" in self.ip

    @property
    def family(self) -> socket.AddressFamily:
        """As `socket` wants it."""
        return socket.AF_INET6 if self.ipv6 else socket.AF_INET

    @property
    def sockaddr(self) -> tuple[str, int] | tuple[str, int, int, int]:
        """As `socket` wants it."""
        return (self.ip, self.port, 0, self.scope_id) if self.ipv6 else (self.ip, self.port)


class Lookup:
    """Resolves one host: `address` once known, `failure` while the last look-up has none.

    Args:
        host: a name or an IP address; an address is known at once.
        port: put into the address.
        source_address: when given, only addresses of its family are used.
    """

    def __init__(self, host: str, port: int, source_address: str | None) -> None:
        self._host = host
        self._port = port
        self._family = socket.AF_UNSPEC
        if source_address is not None:
            self._family = socket.AF_INET6 if ":" in source_address else socket.AF_INET
        self.address: Address | None = None
        self.failure: Failure | None = None
        self._thread: threading.Thread | None = None
        self._look_up(socket.AI_NUMERICHOST)
        self._literal = self.address is not None

    def refresh(self) -> None:
        """Look up again unless one is running; the known address stays until then."""
        if self._literal or (self._thread is not None and self._thread.is_alive()):
            return
        sentence = f"The name {self._host} has no address yet: no answer from the resolver."
        self.failure = Failure(Reason.NAME_RESOLUTION, sentence)
        self._thread = threading.Thread(
            target=self._look_up, args=(0,), name=f"lookup-{self._host}", daemon=True
        )
        self._thread.start()

    def _look_up(self, flags: int) -> None:
        try:
            found = socket.getaddrinfo(
                self._host, self._port, self._family, socket.SOCK_DGRAM, 0, flags
            )
        except (OSError, UnicodeError) as error:
            said = error.strerror if isinstance(error, OSError) else "not a host name"
            sentence = f"The name {self._host} has no address: {said}."
            self.failure = Failure(Reason.NAME_RESOLUTION, sentence)
            return
        ip, port, *rest = found[0][4]
        scope_id = rest[-1] if rest else 0  # what follows for IPv6: flow information, scope
        self.address = Address(str(ip).partition("%")[0], int(port), int(scope_id))
        self.failure = None
