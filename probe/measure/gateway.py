"""Floor 2. Reads a line's gateway from the kernel's routes where it is not configured."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

from probe.config import LineConfig

# The thread's own: a process may have threads in several network namespaces.
ROUTES = Path("/proc/thread-self/net/route")
_GATEWAY_FLAG = 0x2  # linux/route.h: RTF_GATEWAY


def of_line(line: LineConfig, routes: Path = ROUTES) -> str | None:
    """The configured gateway, else that of the interface's default route (main table)."""
    if line.gateway is not None or line.interface is None:
        return line.gateway
    try:
        rows = routes.read_text(encoding="ascii").splitlines()[1:]
    except OSError:
        return None
    for row in rows:
        interface, destination, gateway, flags, *_ = row.split()
        is_default = destination == "00000000" and int(flags, 16) & _GATEWAY_FLAG
        if interface == line.interface and is_default:
            return socket.inet_ntoa(int(gateway, 16).to_bytes(4, sys.byteorder))
    return None
