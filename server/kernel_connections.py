"""Floor 2. Reads the established TCP connections of local ports from the kernel, by proc(5).

Of /proc/self/net: under systemd's `ProcSubset=pid` there is no /proc/net.
"""

from __future__ import annotations

import socket
from collections.abc import Collection, Iterator
from ipaddress import IPv6Address
from pathlib import Path

from server.leases import Seen

_FILES = {
    Path("/proc/self/net/tcp"): socket.AF_INET,
    Path("/proc/self/net/tcp6"): socket.AF_INET6,
}
_ESTABLISHED = "01"  # net/tcp_states.h


def established(ports: Collection[int]) -> Iterator[Seen]:
    """Each established connection at one of the local ports; none where the kernel shows none."""
    for path, family in _FILES.items():
        try:
            lines = path.read_text(encoding="ascii").splitlines()[1:]
        except OSError:  # a kernel without this family
            continue
        for line in lines:
            _, local, peer, state, *_ = line.split(maxsplit=4)
            if state == _ESTABLISHED and (port := int(local.rpartition(":")[2], 16)) in ports:
                yield Seen(port, _address(peer.partition(":")[0], family))


def _address(text: str, family: socket.AddressFamily) -> str:
    """The address in words of the host's byte order; an IPv4 one of a socket of both families."""
    words = bytes.fromhex(text)
    packed = b"".join(words[at : at + 4][::-1] for at in range(0, len(words), 4))
    if family is socket.AF_INET:
        return socket.inet_ntop(family, packed)
    mapped = IPv6Address(packed).ipv4_mapped
    return str(mapped or IPv6Address(packed))
