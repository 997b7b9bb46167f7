"""Floor 2. What passes a network interface, as the kernel saw and stamped it.

A packet socket collects copies with the kernel's own times; nothing is read while anybody measures,
so it costs the host no more than the copies. It must not know who sends what.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

from runtime import kernel_time
from tests.lab.namespace import Namespace
from tests.lab.truth import IDENTIFYING_BYTES, PacketIdentity, identify

# linux/if_ether.h, linux/if_packet.h; asm-generic/socket.h
# Only a socket for every protocol is shown what leaves.
_ETH_P_ALL, _PACKET_OUTGOING, _SO_RCVBUFFORCE = 0x0003, 4, 33
_ETH_P_IP = (0x0800, 0x86DD)  # IPv4, IPv6
# A run's packets, with what the kernel counts for each beside its bytes.
_BUFFER_BYTES = 64 * 2**20
_ANCILLARY_BYTES = 512


class Seen(NamedTuple):
    """One packet at an interface: which way, and when (Unix time, ns)."""

    identity: PacketIdentity
    outgoing: bool
    at_ns: int


class Capture:
    """Collects what passes an interface, from `begin` on."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def begin(self) -> None:
        """Forget what has been collected."""
        for _ in self._packets():
            pass

    def seen(self) -> list[Seen]:
        """What has passed since; in the order of passing."""
        return list(self._packets())

    def _packets(self) -> Iterator[Seen]:
        while True:
            try:
                packet, messages, _, source = self._sock.recvmsg(
                    IDENTIFYING_BYTES, _ANCILLARY_BYTES
                )
            except BlockingIOError:
                return
            at_ns = kernel_time.stamp_ns(messages)
            if at_ns is not None and source[1] in _ETH_P_IP:
                yield Seen(identify(packet), source[2] == _PACKET_OUTGOING, at_ns)


@contextmanager
def capture(namespace: Namespace, interface: str) -> Iterator[Capture]:
    """A capture of IP at an interface of a namespace, while the context lasts."""
    with namespace.inside(partial(_opened, interface)) as sock:
        yield Capture(sock)


def _opened(interface: str) -> socket.socket:
    # The socket takes nothing before it is bound, so nothing of other interfaces gets in.
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
    sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_BYTES)
    kernel_time.stamp_received(sock)
    sock.setblocking(False)
    sock.bind((interface, _ETH_P_ALL))
    return sock
