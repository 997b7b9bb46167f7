"""Floor 2. The resolvers of a line's users: configured, the line's router, or the line's links'.

The system's resolvers count only where they belong to the line: those that systemd-resolved or
NetworkManager has for its interface, or those of resolv.conf(5) that the kernel's own route reaches
by it. Those of another line would be asked over this one, and mostly not answer.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from msgspec import structs

from probe.config import Config, LineConfig
from probe.measure import gateway, link_resolvers
from probe.measure.latency.line_socket import bind_to_line
from probe.measure.lookup import Address

# resolv.conf(5): MAXNS, and what `LineConfig.resolvers` may hold.
_MOST = 3
_DNS_PORT = 53


class System(NamedTuple):
    """Where the host's own network settings are read."""

    resolv_conf: Path = Path("/etc/resolv.conf")
    routes: Path = gateway.ROUTES
    of_link: Callable[[str], list[str]] = link_resolvers.of_link


_HOST = System()


def of_line(line: LineConfig, system: System = _HOST) -> list[str]:
    """The addresses of a line's resolvers; empty where none is known.

    Its setting, else its router (`gateway.of_line`), else the system's that belong to it.
    """
    if line.resolvers:
        return list(line.resolvers)
    return _router(line, system) or _of_system(line, system)


def in_turn(line: LineConfig, system: System = _HOST) -> list[str]:
    """Those of `of_line`, then those to ask where they fail: the system's that belong to the line.

    A line with a setting of its own has no others.
    """
    if line.resolvers:
        return list(line.resolvers)
    return list(dict.fromkeys([*_router(line, system), *_of_system(line, system)]))[:_MOST]


def with_resolvers(config: Config, system: System = _HOST) -> Config:
    """A configuration whose lines have the resolvers that `dns` asks: for the plan's bytes."""
    lines = [structs.replace(line, resolvers=of_line(line, system)) for line in config.lines]
    return structs.replace(config, lines=lines)


def socket_address(text: str, port: int) -> Address:
    """The address to send to; a link-local one's zone (RFC 4007 §11) as the kernel's number.

    A zone that is no interface counts as 0, with which sending fails.
    """
    ip, _, zone = text.partition("%")
    return Address(ip, port, _scope_id(zone))


def _scope_id(zone: str) -> int:
    if not zone or zone.isdecimal():
        return int(zone or 0)
    try:
        return socket.if_nametoindex(zone)
    except OSError:
        return 0


def _router(line: LineConfig, system: System) -> list[str]:
    router = gateway.of_line(line, system.routes)
    return [router] if router is not None and _has_family(line, router) else []


def _of_system(line: LineConfig, system: System) -> list[str]:
    of_link = system.of_link(line.interface) if line.interface is not None else []
    by_route = (text for text in _listed(system.resolv_conf) if _is_reached_by(line, text))
    return _usable(line, of_link)[:_MOST] or _usable(line, by_route)[:_MOST]


def _listed(resolv_conf: Path) -> list[str]:
    try:
        text = resolv_conf.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    words = [row.split() for row in text.splitlines()]
    named = [row[1] for row in words if len(row) > 1 and row[0] == "nameserver"]
    return [address for address in named if _is_remote(address)]


def _usable(line: LineConfig, addresses: Iterable[str]) -> list[str]:
    return [text for text in addresses if _is_remote(text) and _has_family(line, text)]


def _is_remote(text: str) -> bool:
    """Whether it is not a stub on the loopback interface, whose queries may use any line."""
    try:
        return not ipaddress.ip_address(text.partition("%")[0]).is_loopback
    except ValueError:
        return False


def _has_family(line: LineConfig, address: str) -> bool:
    """Whether the line can send to its family: any, unless bound to an address of one."""
    return line.source_address is None or (":" in line.source_address) == (":" in address)


def _is_reached_by(line: LineConfig, text: str) -> bool:
    """Whether the kernel's own route to an address is by this line. Sends nothing.

    It is where a socket that is bound to the line gets the same source address as a free one.
    """
    peer = socket_address(text, _DNS_PORT)
    try:
        with (
            socket.socket(peer.family, socket.SOCK_DGRAM) as free,
            socket.socket(peer.family, socket.SOCK_DGRAM) as bound,
        ):
            bind_to_line(bound, line)
            bound.connect(peer.sockaddr)
            free.connect(peer.sockaddr)
            return bool(bound.getsockname()[0] == free.getsockname()[0])
    except OSError:
        return False
