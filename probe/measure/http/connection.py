"""Floor 2. Wraps urllib3: one HTTP connection over one line, and its kernel counters.

Uses urllib3's connection layer only: no pool, retries, redirects or proxy from the environment. The
socket is bound to the line's device and source address. Counters may be read from another thread
while the connection is in use.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from http.client import HTTPException
from importlib.metadata import version
from typing import NamedTuple

from urllib3.connection import HTTPConnection
from urllib3.exceptions import HTTPError
from urllib3.response import BaseHTTPResponse

from probe.config import LineConfig
from probe.measure.failure import Failure
from probe.measure.http.failures import LineHttpError, failure_from, refusal
from probe.measure.lookup import Address
from wire.http import EMPTY_PATH, SINK_PATH, random_path
from wire.lease import TOKEN_HEADER
from wire.record import Reason

# Python's work is per read: at most so much at a time, and after less than that a pause in which
# more can gather. Without it each packet of a line without offloads is a read (a third of a core
# at 100 Mbit/s). The kernel acknowledges meanwhile; a sample is late by 2 ms of 100 at most.
_READ_BYTES = 256 * 1024
_GATHER_S = 0.002
_WRITE_BYTES = 64 * 1024
# The repeated payload: longer than the window of a compressor on the way (deflate: 32 KiB).
_PAYLOAD_BYTES = 1024 * 1024
# linux/tcp.h, struct tcp_info: tcpi_bytes_acked and tcpi_bytes_received (RFC 4898,
# tcpEStatsAppHCThruOctetsAcked and -Received), and tcpi_bytes_sent, which counts what was sent
# again and what is still on its way (tcpEStatsPerfHCDataOctetsOut; Linux 4.19).
_TCP_INFO_BYTES = 208
_BYTES_ACKED, _BYTES_RECEIVED, _BYTES_SENT = (
    struct.Struct("=120xQ"), struct.Struct("=128xQ"), struct.Struct("=200xQ"),
)  # fmt: skip
# "HTTP/1.1 204"
_STATUS_LINE_BYTES, _STATUS = 12, slice(9, 12)
# So that no answer comes from a cache or is compressed.
_HEADERS = {"Accept-Encoding": "identity", "Cache-Control": "no-store, no-transform"}


class Route(NamedTuple):
    """The way to a server: line, address, the host name for the `Host` header, and the lease."""

    line: LineConfig
    peer: Address
    host: str
    lease_token: str | None = None


class LineHttp:
    """One HTTP connection, opened by the constructor.

    Args:
        route: line and server.
        timeout_s: for connecting and for the head of each answer.

    Attributes:
        received_bytes: bytes of downloaded bodies so far.

    Raises:
        LineHttpError: no connection; also raised by `ping`, `download` and `upload`.
    """

    def __init__(self, route: Route, timeout_s: float) -> None:
        line, peer, host, lease_token = route
        self.received_bytes = 0
        self._line = line
        self._peer = peer
        self._headers = _HEADERS | {"Host": f"{_in_url(host)}:{peer.port}"}
        if lease_token is not None:
            self._headers = self._headers | {TOKEN_HEADER: lease_token}
        self._not_body_bytes: int | None = None
        self._handed_bytes = 0
        options: list[tuple[int, int, int | bytes]] = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]
        if line.interface is not None:
            device = line.interface.encode()
            options.append((socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device))
        self._connection = HTTPConnection(
            peer.ip,
            peer.port,
            timeout=timeout_s,
            source_address=None if line.source_address is None else (line.source_address, 0),
            socket_options=options,
        )
        # A request on a closed connection is an error and must not reconnect.
        self._connection.auto_open = 0
        try:
            self._connection.connect()
        except (OSError, HTTPError) as error:
            self._connection.close()
            raise failure_from(error, line, peer) from error
        # Held here, because urllib3 drops its reference when the server announces to close.
        self._socket: socket.socket = self._connection.sock

    def ping(self) -> None:
        """Request the empty file and read the response."""
        with self._failures():
            self._response(EMPTY_PATH, 0).read()

    def download(self, size_bytes: int) -> None:
        """Read the random file of that size; `received_bytes` grows meanwhile."""
        with self._failures():
            answer = self._response(random_path(size_bytes), size_bytes)
            # From here on the caller detects stalls: a single connection may starve for a while.
            self._socket.settimeout(None)
            while piece := answer.read1(_READ_BYTES):
                self.received_bytes += len(piece)
                if len(piece) < _READ_BYTES:
                    time.sleep(_GATHER_S)

    def upload(self, size_bytes: int) -> None:
        """Send a random body of that size to the sink; `acknowledged_bytes` grows meanwhile."""
        with self._failures():
            self._connection.request(
                "POST",
                SINK_PATH,
                body=self._body(size_bytes),  # type: ignore[arg-type]  # goes to sendall
                headers=self._headers | {"Content-Length": str(size_bytes)},
                preload_content=False,
            )
            answer = self._connection.getresponse()
            if answer.status != HTTPStatus.NO_CONTENT:
                raise refusal(answer.status, SINK_PATH, self._peer)
            answer.read()

    def acknowledged_bytes(self) -> int:
        """Bytes of uploaded bodies acknowledged by the server's TCP; 0 once closed.

        Bytes handed to the local kernel do not count: it buffers megabytes. The heads of a
        connection's later requests are counted too, 0.02 % of its bodies.
        """
        if self._not_body_bytes is None:
            return 0
        with suppress(OSError):
            return min(self._handed_bytes, max(0, self._acknowledged() - self._not_body_bytes))
        return 0

    def carried_bytes(self, *, received: bool) -> int | None:
        """The TCP bytes in one direction so far, with headers of HTTP and retransmissions.

        None once closed, or where the kernel has no such counter.
        """
        field = _BYTES_RECEIVED if received else _BYTES_SENT
        with suppress(OSError):
            info = self._info()
            return field.unpack_from(info)[0] if len(info) >= field.size else None
        return None

    def congestion_control(self) -> str | None:
        """The probe's congestion control, which governs the upload; None once closed."""
        with suppress(OSError):
            name = self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16)
            return name.rstrip(b"\0").decode()
        return None

    def abort(self) -> None:
        """Abort from another thread: nothing more is sent, and a blocked call returns."""
        with suppress(OSError):
            # RST instead of FIN: drops what is queued, and what still arrives.
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
        self._socket.close()

    def _response(self, path: str, size_bytes: int) -> BaseHTTPResponse:
        self._connection.request(
            "GET", path, headers=self._headers, preload_content=False, decode_content=False
        )
        answer = self._connection.getresponse()
        if answer.status != HTTPStatus.OK:
            raise refusal(answer.status, path, self._peer)
        stated = answer.headers.get("Content-Length")
        if stated != str(size_bytes) or "Content-Encoding" in answer.headers:
            sentence = f"{self._peer.ip} answers {path} with something else ({stated} bytes)."
            raise LineHttpError(Failure(Reason.PROTOCOL_ERROR, sentence))
        return answer

    def _body(self, size_bytes: int) -> Iterator[memoryview]:
        self._socket.settimeout(None)
        if self._not_body_bytes is None:
            self._not_body_bytes = self._acknowledged() + self._unacknowledged()
        payload = memoryview(os.urandom(_PAYLOAD_BYTES))
        accepted = False
        for offset in range(0, size_bytes, _WRITE_BYTES):
            accepted = accepted or self._early_status()
            self._handed_bytes += _WRITE_BYTES
            start = offset % _PAYLOAD_BYTES
            yield payload[start : start + _WRITE_BYTES]

    def _early_status(self) -> bool:
        """Whether the server has sent status 204, which it does before the body. Never blocks."""
        try:
            line = self._socket.recv(_STATUS_LINE_BYTES, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        status = line[_STATUS]
        if len(line) == _STATUS_LINE_BYTES and status != b"204":
            raise refusal(int(status) if status.isdigit() else 0, SINK_PATH, self._peer)
        return len(line) == _STATUS_LINE_BYTES

    def _acknowledged(self) -> int:
        acknowledged: int = _BYTES_ACKED.unpack_from(self._info())[0]
        return acknowledged

    def _info(self) -> bytes:
        return self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)

    def _unacknowledged(self) -> int:
        # tcp(7), SIOCOUTQ: bytes in the send queue, sent or not, that are not acknowledged.
        waiting = fcntl.ioctl(self._socket, termios.TIOCOUTQ, bytes(4))
        return int.from_bytes(waiting, sys.byteorder)

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except (OSError, HTTPException, HTTPError) as error:
            raise failure_from(error, self._line, self._peer) from error


def library_version() -> str:
    """The version of urllib3."""
    return version("urllib3")


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
