"""Floor 2. Wraps getaddrinfo(3): a host's addresses, looked up in a thread of its own.

A look-up without an answer takes many seconds, in which the other targets of the line are still
measured: those seconds show where the fault is. Uses the system's resolver, which is not bound to
the line. Addresses stay in the order of the system's destination address selection (RFC 6724 §6).
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from probe import clock
from probe.measure.failure import Failure
from wire.record import Family, Reason

if TYPE_CHECKING:
    from probe.measure.measurement import Stop

# As `socket` wants a family; None is either.
SOCKET_FAMILY = {
    None: socket.AF_UNSPEC,
    Family.IPV4: socket.AF_INET,
    Family.IPV6: socket.AF_INET6,
}
_ADDRESS_OF = {Family.IPV4: "IPv4 address", Family.IPV6: "IPv6 address"}
# So many addresses of each family are tried, so that time-outs stay few (ours).
_MOST_OF_A_FAMILY = 2
# How often a look-up that runs is checked.
_LOOK_S = 0.05


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
    def text(self) -> str:
        """As libraries take it: a link-local address with its zone (RFC 4007 §11)."""
        return f"{self.ip}%{self.scope_id}" if self.scope_id else self.ip

    @property
    def sockaddr(self) -> tuple[str, int] | tuple[str, int, int, int]:
        """As `socket` wants it."""
        return (self.ip, self.port, 0, self.scope_id) if self.ipv6 else (self.ip, self.port)


class Lookup:
    """Resolves one host: `addresses` once known, `failure` while the last look-up has none.

    Args:
        host: a name or an IP address; an address is known at once.
        port: put into the address.
        source_address: when given, only addresses of its family are used.
        family: when given, only addresses of this family are used.

    Attributes:
        addresses: all of them, the one to prefer first.
        failure: why the last look-up has none.
    """

    def __init__(
        self, host: str, port: int, source_address: str | None, family: Family | None = None
    ) -> None:
        self._host = host
        self._port = port
        self._family = family if source_address is None else Family.of(source_address)
        self.addresses: tuple[Address, ...] = ()
        self.failure: Failure | None = None
        self._thread: threading.Thread | None = None
        self._look_up(socket.AI_NUMERICHOST)
        self._literal = self.address is not None

    @property
    def address(self) -> Address | None:
        """The address to prefer; None while none is known."""
        return self.addresses[0] if self.addresses else None

    @property
    def is_running(self) -> bool:
        """Whether a look-up has not ended yet."""
        return self._thread is not None and self._thread.is_alive()

    def refresh(self) -> None:
        """Look up again unless one is running; the known address stays until then."""
        if self._literal or self.is_running:
            return
        sentence = f"The name {self._host} has no address yet: no answer from the resolver."
        self.failure = Failure(Reason.NAME_RESOLUTION, sentence)
        self._thread = threading.Thread(
            target=self._look_up, args=(0,), name=f"lookup-{self._host}", daemon=True
        )
        self._thread.start()

    def _look_up(self, flags: int) -> None:
        family = SOCKET_FAMILY[self._family]
        try:
            found = socket.getaddrinfo(self._host, self._port, family, socket.SOCK_DGRAM, 0, flags)
        except (OSError, UnicodeError) as error:
            said = error.strerror if isinstance(error, OSError) else "not a host name"
            what = "address" if self._family is None else _ADDRESS_OF[self._family]
            sentence = f"The name {self._host} has no {what}: {said}."
            self.failure = Failure(Reason.NAME_RESOLUTION, sentence)
            return
        self.addresses = tuple(dict.fromkeys(_address(entry[4]) for entry in found))
        self.failure = None


def family_of_literal(host: str) -> Family | None:
    """The family of a host that is given by its address; None for a name."""
    address = Lookup(host, 0, None).address
    return None if address is None else Family.of(address.ip)


def _address(sockaddr: tuple[str | int | bytes, ...]) -> Address:
    ip, port, *rest = sockaddr
    scope_id = rest[-1] if rest else 0  # what follows for IPv6: flow information, scope
    return Address(str(ip).partition("%")[0], int(port), int(scope_id))


def resolved(lookup: Lookup, stop: Stop, timeout_s: float) -> tuple[Address, ...] | Failure:
    """A host's addresses, waiting for the look-up."""
    lookup.refresh()
    deadline_s = clock.monotonic_s() + timeout_s
    while not lookup.addresses and clock.monotonic_s() < deadline_s and lookup.is_running:
        if stop.wait(_LOOK_S):
            return Failure(Reason.SHUTTING_DOWN, "The probe is stopping.")
    return lookup.addresses or lookup.failure or Failure(Reason.NAME_RESOLUTION, "No address.")


def to_try(addresses: Sequence[Address]) -> list[Address]:
    """The first addresses of each family, in the given order."""
    return [
        address
        for number, address in enumerate(addresses)
        if sum(one.ipv6 == address.ipv6 for one in addresses[:number]) < _MOST_OF_A_FAMILY
    ]
