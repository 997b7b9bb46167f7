"""Floor 2. Wraps a TCP socket that is bound to a line: connect, and read against a deadline.

A socket's timeout is for one call, so a peer that sends a byte now and then could block for ever;
here every wait ends at one deadline. Independent of the protocol above TCP.
"""

from __future__ import annotations

import errno
import io
import os
import socket

from probe import clock
from probe.config import LineConfig
from probe.measure.failure import Failure
from probe.measure.latency.line_socket import LineSocketError, bind_to_line, failure_of
from probe.measure.lookup import Address
from wire.record import Reason

# After the deadline the kernel is still asked once, for data that has arrived.
_LEAST_S = 0.001


def connect(line: LineConfig, peer: Address, deadline_s: float) -> socket.socket:
    """Connect by a line; the socket's timeout is the time left.

    Raises:
        LineSocketError: it could not connect by the deadline (monotonic).
    """
    sock = _new(line, peer)
    try:
        sock.settimeout(left_s(deadline_s))
        sock.connect(peer.sockaddr)
    except OSError as error:
        sock.close()
        raise LineSocketError(stream_failure(error, line, peer)) from error
    return sock


def begin_connect(line: LineConfig, peer: Address) -> socket.socket:
    """Begin to connect by a line; the socket is writable once that has ended, and never blocks.

    Raises:
        LineSocketError: it cannot even begin.
    """
    sock = _new(line, peer)
    sock.setblocking(False)
    number = sock.connect_ex(peer.sockaddr)
    if number not in (0, errno.EINPROGRESS):
        sock.close()
        error = OSError(number, os.strerror(number))
        raise LineSocketError(stream_failure(error, line, peer))
    return sock


def _new(line: LineConfig, peer: Address) -> socket.socket:
    try:
        sock = socket.socket(peer.family, socket.SOCK_STREAM)
    except OSError as error:
        raise LineSocketError(failure_of(error, line, peer)) from error
    try:
        bind_to_line(sock, line)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError as error:
        sock.close()
        raise LineSocketError(stream_failure(error, line, peer)) from error
    return sock


def left_s(deadline_s: float) -> float:
    """Seconds until a deadline, at least 1 ms."""
    return max(_LEAST_S, deadline_s - clock.monotonic_s())


def stream_failure(error: OSError, line: LineConfig, peer: Address) -> Failure:
    """The failure that the end of a connection means."""
    where = f"{peer.ip} port {peer.port}"
    failure = failure_of(error, line, peer)
    if failure.reason is Reason.LINE_DOWN:
        return failure
    if isinstance(error, TimeoutError):
        return Failure(Reason.TIMEOUT, f"{where} does not answer in time.")
    if isinstance(error, ConnectionRefusedError):
        return Failure(Reason.CONNECTION_REFUSED, f"Nothing listens on TCP {where}.")
    if isinstance(error, (ConnectionError, EOFError)):
        return Failure(Reason.CONNECTION_LOST, f"{where} broke the connection off.")
    return failure


class DeadlineReader(io.RawIOBase):
    """Reads from a connection until a deadline; then raises TimeoutError."""

    def __init__(self, sock: socket.socket, deadline_s: float) -> None:
        super().__init__()
        self._sock = sock
        self._deadline_s = deadline_s

    def readable(self) -> bool:
        """True."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # as io calls it
        """See `io.RawIOBase`."""
        if clock.monotonic_s() > self._deadline_s:
            raise TimeoutError
        self._sock.settimeout(left_s(self._deadline_s))
        return self._sock.recv_into(buffer)
