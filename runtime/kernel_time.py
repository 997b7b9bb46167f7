"""Floor 2. Wraps the kernel's packet timestamps, the clocks, and their synchronisation.

A process that is scheduled late reads the clock late; the kernel timestamps a datagram on arrival
and when it enters the network interface's queue. Knows no protocol.
"""

from __future__ import annotations

import ctypes
import functools
import socket
import time
from collections.abc import Iterable
from struct import Struct

# asm-generic/socket.h. The NEW forms have 64-bit times on every architecture (Linux 5.1): those of
# a 32-bit Raspberry Pi OS would otherwise depend on how libc was built.
_SO_TIMESTAMPING_NEW = 65
# linux/net_tstamp.h. Outgoing datagrams are stamped on entering the interface's queue
# (TX_SCHED), which no driver has to support; the kernel returns each with the datagram itself.
_RX_SOFTWARE, _SOFTWARE, _TX_SCHED = 1 << 3, 1 << 4, 1 << 8
# struct scm_timestamping64: three timespecs, of which the first is the software stamp.
_SCM_TIMESTAMPING = Struct("=6q")

# adjtimex(2): the state TIME_ERROR means that the clock is not synchronised.
_TIME_ERROR = 5
# struct timex is 208 bytes on 64-bit Linux and less on 32-bit; all zero bytes asks without setting.
_TIMEX_BYTES = 256

AncillaryMessages = Iterable[tuple[int, int, bytes]]


def stamp_received(sock: socket.socket) -> bool:
    """Enable timestamps of received datagrams; returns whether the kernel supports them."""
    return _ask(sock, _RX_SOFTWARE | _SOFTWARE)


def stamp_both_ways(sock: socket.socket) -> bool:
    """Enable timestamps of received datagrams and, by the error queue, of sent ones."""
    return _ask(sock, _RX_SOFTWARE | _SOFTWARE | _TX_SCHED) or stamp_received(sock)


def stamp_ns(messages: AncillaryMessages) -> int | None:
    """The kernel timestamp of a datagram as Unix time in ns; None without one."""
    for level, kind, body in messages:
        if (
            level == socket.SOL_SOCKET
            and kind == _SO_TIMESTAMPING_NEW
            and len(body) >= _SCM_TIMESTAMPING.size
        ):
            seconds, nanoseconds, *_ = _SCM_TIMESTAMPING.unpack_from(body)
            return seconds * 1_000_000_000 + nanoseconds or None
    return None


def synchronised() -> bool | None:
    """Whether the kernel reports a synchronised wall clock; None where it cannot be asked.

    Every NTP daemon sets this state.
    """
    state: int = _libc().adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    return None if state < 0 else state != _TIME_ERROR


@functools.cache
def _libc() -> ctypes.CDLL:
    # Opened once: used for every envelope, and opening took a seventh of the publisher's time.
    return ctypes.CDLL(None, use_errno=True)


def wall_ns() -> int:
    """The wall clock, which kernel timestamps use: Unix time in ns."""
    return time.time_ns()


def monotonic_ns() -> int:
    """The monotonic clock in ns; only differences have a meaning."""
    return time.monotonic_ns()


def clock_reading() -> tuple[int, int, int]:
    """Monotonic, wall and monotonic time in ns: the closest of three readings."""
    tries = [(time.monotonic_ns(), time.time_ns(), time.monotonic_ns()) for _ in range(3)]
    return min(tries, key=lambda times: times[2] - times[0])


def _ask(sock: socket.socket, flags: int) -> bool:
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPING_NEW, flags)
    except OSError:
        return False
    return True
