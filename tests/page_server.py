"""Floor 2. A server on plain sockets that answers exactly the given bytes, as odd servers do.

    with PageServer({"/x": b"HTTP/1.1 200 OK\\r\\n..."}) as server:
        ... server.port, server.requests

It must not know who asks.
"""

from __future__ import annotations

import re
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple, Self

_PATIENCE_S = 60.0
_NO_ICON = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"


class PageRequest(NamedTuple):
    """A request as it came: target, `Host`, and the `Cookie` field ("" without one)."""

    target: str
    host: str
    cookie: str


Answer = Callable[[PageRequest], bytes]


class PageServer:
    """Answers each request by `answer`, then closes the connection in order.

    Args:
        answer: the whole response to a request, as bytes.
        host: the address to listen on.
        port: the port to listen on; 0: a free one.
        context: for TLS; None: plain.

    Attributes:
        requests: those that came, in order, without those for /favicon.ico.
        accepted_s: when each connection was taken (monotonic).
        requested_s: when each of `requests` had come.
    """

    def __init__(
        self,
        answer: Answer,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self.requests: list[PageRequest] = []
        self.accepted_s: list[float] = []
        self.requested_s: list[float] = []
        self._answer = answer
        self._context = context
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.create_server((host, port), family=family, backlog=64)
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(_PATIENCE_S)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.accepted_s.append(time.monotonic())
            # A browser also opens connections that it never uses: each has a thread.
            threading.Thread(target=self._converse, args=(connection,), daemon=True).start()

    def _converse(self, connection: socket.socket) -> None:
        connection.settimeout(_PATIENCE_S)
        with suppress(OSError), connection:
            if self._context is not None:
                connection = self._context.wrap_socket(connection, server_side=True)
            with connection:
                request = _request(connection)
                if request is None:
                    return
                if request.target == "/favicon.ico":
                    # Only browsers ask for it, at some time later.
                    connection.sendall(_NO_ICON)
                else:
                    self.requests.append(request)
                    self.requested_s.append(time.monotonic())
                    connection.sendall(self._answer(request))
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(4096):
                    pass


def _request(connection: socket.socket) -> PageRequest | None:
    head = b""
    while b"\r\n\r\n" not in head:
        piece = connection.recv(4096)
        if not piece:
            return None
        head += piece
    text = head.decode("latin-1")
    return PageRequest(text.split(" ")[1], _field(text, "Host"), _field(text, "Cookie"))


def _field(head: str, name: str) -> str:
    found = re.search(rf"^{name}: (.*?)\r$", head, re.M | re.I)
    return "" if found is None else found[1]
