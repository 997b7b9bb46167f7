"""Floor 2. The resolvers of a line's users: configured, the gateway, or from resolv.conf(5).

A line's own setting comes first, then its gateway, which in an office forwards to the ISP's; the
system's resolvers come last, because they may belong to another line.
"""

from __future__ import annotations

import ipaddress
from pathlib import Path

from probe.config import LineConfig

RESOLV_CONF = Path("/etc/resolv.conf")


def of_line(line: LineConfig, resolv_conf: Path = RESOLV_CONF) -> list[str]:
    """The addresses of a line's resolvers; empty where none is known."""
    if line.resolvers:
        return list(line.resolvers)
    if line.gateway is not None:
        return [line.gateway]
    return _system(resolv_conf)


def _system(resolv_conf: Path) -> list[str]:
    try:
        text = resolv_conf.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    words = [row.split() for row in text.splitlines()]
    named = [row[1] for row in words if len(row) > 1 and row[0] == "nameserver"]
    return [address for address in named if _usable(address)]


def _usable(text: str) -> bool:
    """Whether it is not a stub on the loopback interface, whose queries may use any line."""
    try:
        return not ipaddress.ip_address(text.partition("%")[0]).is_loopback
    except ValueError:
        return False
