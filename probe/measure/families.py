"""Floor 2. Reads a line's address families from the kernel: its addresses and default routes.

Asked anew by each measurement through rtnetlink(7), so an address that changes (a temporary one of
RFC 8981, a new prefix after a reconnect) ends nothing: sockets are bound to the interface, and the
kernel selects the source address (RFC 6724 §5). Routes of every table count, because each line has
a table of its own.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from probe.config import LineConfig, ServerConfig
from probe.measure.failure import Failure
from probe.measure.lookup import SOCKET_FAMILY, Address, Lookup, resolved, to_try
from probe.measure.measurement import MeasurementRequest, Stop
from wire.record import Family

# linux/netlink.h, linux/rtnetlink.h, linux/if_addr.h
_HEADER = struct.Struct("=IHHII")
_ADDRESS_MESSAGE, _ROUTE_MESSAGE = struct.Struct("=BBBBI"), struct.Struct("=BBBBBBBBI")
_ATTRIBUTE, _NEXT_HOP = struct.Struct("=HH"), struct.Struct("=HBBi")
_REQUEST_DUMP = 0x1 | 0x300  # NLM_F_REQUEST, NLM_F_DUMP
_ERROR, _DONE = 2, 3
_GET_ADDRESS, _GET_ROUTE = 22, 26
_LOCAL, _ADDRESS, _FLAGS = 2, 1, 8  # IFA_LOCAL, IFA_ADDRESS, IFA_FLAGS
_OUT_INTERFACE, _MULTIPATH = 4, 9  # RTA_OIF, RTA_MULTIPATH
_UNICAST = 1  # RTN_UNICAST; an unreachable default route (RTN_UNREACHABLE) is none
_UNIVERSE = 0  # RT_SCOPE_UNIVERSE
_UNUSABLE = 0x08 | 0x20 | 0x40  # IFA_F_DADFAILED, IFA_F_DEPRECATED, IFA_F_TENTATIVE
_BUFFER_BYTES = 1 << 16
_TIMEOUT_S = 2.0
_LOOK_UP_LIMIT_S = 5.0

# RFC 4193: routed within a site only.
_UNIQUE_LOCAL = ipaddress.ip_network("fc00::/7")


class InterfaceAddress(NamedTuple):
    """An address of an interface, and whether new connections may use it.

    `usable` is False while it is tentative, deprecated, a duplicate, or of less than global scope.
    """

    ip: str
    usable: bool

    @property
    def is_link_local(self) -> bool:
        """Whether it reaches no farther than its link (RFC 3927, RFC 4291)."""
        return ipaddress.ip_address(self.ip).is_link_local

    @property
    def is_unique_local(self) -> bool:
        """Whether it is a unique local address (RFC 4193), which reaches no Internet."""
        return ipaddress.ip_address(self.ip) in _UNIQUE_LOCAL


def families_of(line: LineConfig) -> tuple[Family, ...]:
    """The families that a line is measured over, IPv4 first; empty where it has none now.

    That of its source address; else those configured; else each with a usable global address and a
    default route by its interface.
    """
    if line.source_address is not None:
        return (Family.of(line.source_address),)
    if line.families is not None:
        return tuple(sorted(line.families))
    return tuple(family for family in Family if _has(line.interface or "", family))


def bound_family(line: LineConfig, wanted: Family | None) -> Family | None:
    """The only family that a measurement may use: that wanted, or the line's only one.

    None where the line has both, so that the host's addresses of either may be tried, and where
    none is known.
    """
    found = families_of(line)
    return found[0] if wanted is None and len(found) == 1 else wanted


def family_of_slot(
    line: LineConfig, turn: Family | None, of_server: Collection[Family] = ()
) -> Family | None:
    """The family that a slot is measured over: its turn's, else one that line and server have.

    A line or a server that has never had IPv6 is no failure of IPv6. A line whose families are
    configured is measured over exactly these.

    Args:
        line: the line to be measured.
        turn: the family whose turn it is by the plan; None where the slot is bound to none.
        of_server: those that the server has an address of; empty where that is not known.
    """
    if turn is None:
        return None
    found = families_of(line)
    both = [one for one in found if not of_server or one in of_server] or found
    return turn if turn in both or not both else both[0]


def family_to_measure(
    line: LineConfig, server: ServerConfig, turn: Family | None, stop: Stop
) -> Family | None:
    """`family_of_slot` with the server's name looked up, which may take some seconds."""
    if turn is None:
        return None
    found = resolved(Lookup(server.host, 0, None), stop, _LOOK_UP_LIMIT_S)
    known = () if isinstance(found, Failure) else {Family.of(address.ip) for address in found}
    return family_of_slot(line, turn, known)


def peers_of(request: MeasurementRequest, port: int, limit_s: float) -> Sequence[Address] | Failure:
    """The addresses of a request's server to try, in order, over the families that it may use."""
    line = request.line
    lookup = Lookup(
        request.server.host, port, line.source_address, bound_family(line, request.family)
    )
    found = resolved(lookup, request.stop, limit_s)
    return found if isinstance(found, Failure) else to_try(found)


def addresses_of(interface: str, family: Family) -> list[InterfaceAddress]:
    """An interface's addresses of a family; empty where there is no such interface."""
    index = _index(interface)
    return [] if index is None else list(_addresses(index, family))


def has_default_route(interface: str, family: Family) -> bool:
    """Whether any table has a default route of a family by an interface."""
    index = _index(interface)
    return index is not None and any(index in found for found in _default_routes(family))


def _has(interface: str, family: Family) -> bool:
    addresses = addresses_of(interface, family)
    usable = any(one.usable and not one.is_unique_local for one in addresses)
    return usable and has_default_route(interface, family)


def _index(interface: str) -> int | None:
    try:
        return socket.if_nametoindex(interface)
    except OSError:
        return None


def _addresses(index: int, family: Family) -> Iterator[InterfaceAddress]:
    for body in _dump(_GET_ADDRESS, family):
        _, _, flags, scope, of_index = _ADDRESS_MESSAGE.unpack_from(body)
        attributes = dict(_attributes(body[_ADDRESS_MESSAGE.size :]))
        packed = attributes.get(_LOCAL) or attributes.get(_ADDRESS)
        if of_index != index or packed is None:
            continue
        if _FLAGS in attributes:
            (flags,) = struct.unpack("=I", attributes[_FLAGS])
        ip = socket.inet_ntop(SOCKET_FAMILY[family], packed)
        is_global = scope == _UNIVERSE and not ipaddress.ip_address(ip).is_link_local
        yield InterfaceAddress(ip, is_global and not flags & _UNUSABLE)


def _default_routes(family: Family) -> Iterator[set[int]]:
    """The interfaces, by index, of each default route."""
    for body in _dump(_GET_ROUTE, family):
        _, prefix_length, _, _, _, _, _, kind, _ = _ROUTE_MESSAGE.unpack_from(body)
        if prefix_length == 0 and kind == _UNICAST:
            yield set(_route_interfaces(dict(_attributes(body[_ROUTE_MESSAGE.size :]))))


def _route_interfaces(attributes: dict[int, bytes]) -> Iterator[int]:
    if _OUT_INTERFACE in attributes:
        yield struct.unpack("=I", attributes[_OUT_INTERFACE])[0]
    rest = attributes.get(_MULTIPATH, b"")
    while len(rest) >= _NEXT_HOP.size:
        length, _, _, index = _NEXT_HOP.unpack_from(rest)
        yield index
        rest = rest[max(_NEXT_HOP.size, _aligned(length)) :]


def _dump(request: int, family: Family) -> Iterator[bytes]:
    """The body of each message of a dump; none where the kernel gives none."""
    general = struct.pack("=B", SOCKET_FAMILY[family]).ljust(_ROUTE_MESSAGE.size, b"\0")
    header = _HEADER.pack(_HEADER.size + len(general), request, _REQUEST_DUMP, 1, 0)
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as kernel:
            kernel.settimeout(_TIMEOUT_S)
            kernel.sendall(header + general)
            while True:
                for kind, body in _messages(kernel.recv(_BUFFER_BYTES)):
                    if kind in (_ERROR, _DONE):
                        return
                    yield body
    except OSError:
        return


def _messages(packet: bytes) -> Iterator[tuple[int, bytes]]:
    while len(packet) >= _HEADER.size:
        length, kind, *_ = _HEADER.unpack_from(packet)
        yield kind, packet[_HEADER.size : length]
        packet = packet[max(_HEADER.size, _aligned(length)) :]


def _attributes(body: bytes) -> Iterator[tuple[int, bytes]]:
    while len(body) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(body)
        yield kind, body[_ATTRIBUTE.size : length]
        body = body[max(_ATTRIBUTE.size, _aligned(length)) :]


def _aligned(length: int) -> int:
    return (length + 3) & ~3
