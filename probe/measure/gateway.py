"""Floor 2. Reads a line's gateways from the kernel's routes where they are not configured."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

from probe.config import LineConfig
from wire.record import Family

# The thread's own: a process may have threads in several network namespaces.
ROUTES = Path("/proc/thread-self/net/route")
IPV6_ROUTES = Path("/proc/thread-self/net/ipv6_route")
_GATEWAY_FLAG = 0x2  # linux/route.h: RTF_GATEWAY
_IPV6_DEFAULT = "0" * 32


def of_line(line: LineConfig, routes: Path = ROUTES) -> str | None:
    """The configured gateway, else that of the interface's default route (main table)."""
    if line.gateway is not None or line.interface is None:
        return line.gateway
    return _ipv4(line.interface, routes)


def of_family(
    line: LineConfig,
    family: Family | None,
    routes: Path = ROUTES,
    ipv6_routes: Path = IPV6_ROUTES,
) -> str | None:
    """The gateway of one family: the configured one where it is of it, else by the kernel's routes.

    An IPv6 router's address is mostly link-local, and then has its zone (RFC 4007): "fe80::1%eth0".
    """
    if family is None or (line.gateway is not None and Family.of(line.gateway) is family):
        return of_line(line, routes)
    if line.interface is None:
        return None
    if family is Family.IPV4:
        return _ipv4(line.interface, routes)
    return _ipv6(line.interface, ipv6_routes)


def _ipv4(line_interface: str, routes: Path) -> str | None:
    try:
        rows = routes.read_text(encoding="ascii").splitlines()[1:]
    except OSError:
        return None
    for row in rows:
        interface, destination, gateway, flags, *_ = row.split()
        is_default = destination == "00000000" and int(flags, 16) & _GATEWAY_FLAG
        if interface == line_interface and is_default:
            return socket.inet_ntoa(int(gateway, 16).to_bytes(4, sys.byteorder))
    return None


def _ipv6(line_interface: str, routes: Path) -> str | None:
    """By the routes of all tables, which Linux lists together: a line may have one of its own."""
    try:
        rows = routes.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    for row in rows:
        destination, prefix, _, _, gateway, _, _, _, flags, interface = row.split()
        is_default = destination == _IPV6_DEFAULT and prefix == "00"
        if interface == line_interface and is_default and int(flags, 16) & _GATEWAY_FLAG:
            ip = socket.inet_ntop(socket.AF_INET6, bytes.fromhex(gateway))
            return f"{ip}%{interface}" if ip.startswith("fe80:") else ip
    return None
