"""Floor 2. Ports for servers that tests start, which nothing else gets.

The kernel gives a port of its ephemeral range to any outgoing connection, so one that was free a
moment ago may be taken before its server starts, or while the server restarts. These are below that
range, in blocks which a process holds until it ends.
"""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_FIRST = 10_000
_BLOCK_PORTS = 32
# Browsers refuse it (the Fetch standard, "bad port"); the others of their list are below 10,000.
_BAD_PORTS = {10_080}
# Linux; elsewhere its default.
_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_EPHEMERAL_FROM = 32_768


def free_port(host: str = "127.0.0.1") -> int:
    """A port that is free on TCP and UDP, for this process and the servers it starts."""
    for port in _ours:
        if _is_free(port, host):
            return port
    raise OSError("every port below the ephemeral range is taken")


def _ports() -> Iterator[int]:
    """The ports of the blocks that this process can claim, each once."""
    last = int(_RANGE.read_text().split()[0]) if _RANGE.exists() else _EPHEMERAL_FROM
    blocks = list(range(_FIRST, max(last, 2 * _FIRST) - _BLOCK_PORTS + 1, _BLOCK_PORTS))
    random.shuffle(blocks)
    for first in blocks:
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            # The abstract name is free again when the process ends, however it ends (unix(7)).
            claim.bind(f"\0tramdo-test-ports-{first}")
        except OSError:
            claim.close()
            continue
        _claims.append(claim)
        yield from block(first)


def block(first: int) -> Iterator[int]:
    """The ports of a block that a browser would open too."""
    return (port for port in range(first, first + _BLOCK_PORTS) if port not in _BAD_PORTS)


_claims: list[socket.socket] = []
_ours = _ports()


def _is_free(port: int, host: str) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with suppress(OSError):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            with socket.socket(family, kind) as server:
                server.bind((host, port))
        return True
    return False
