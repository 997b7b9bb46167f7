"""Floor 2. Serves an ASGI application over HTTP in a thread of its own, by uvicorn.

Outside the main thread uvicorn installs no signal handlers.
"""

from __future__ import annotations

import asyncio
import socket
import threading

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

# How long requests in progress may take after `stop`.
_GRACE_S = 3
# How long a request may take to arrive, head and body: 4 MB at 0.6 Mbit/s.
_REQUEST_S = 60.0


class _TimedProtocol(H11Protocol):
    """HTTP/1.1 whose requests must arrive in time: uvicorn itself waits for ever."""

    request_timeout_s = _REQUEST_S
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """A client has connected: its first request is awaited."""
        super().connection_made(transport)
        self._await_request()

    def data_received(self, data: bytes) -> None:
        """Data has come; what has come of a request is not enough until all of it is there."""
        super().data_received(data)
        whole = self.conn.their_state not in (h11.IDLE, h11.SEND_BODY)
        if whole or (self.conn.their_state is h11.IDLE and not self.conn.trailing_data[0]):
            self._request_is_whole()
        else:
            self._await_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection has ended."""
        self._request_is_whole()
        super().connection_lost(exc)

    def _await_request(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(self.request_timeout_s, self.transport.abort)

    def _request_is_whole(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class WebServer:
    """An HTTP server: the constructor binds the address, `start` begins to serve, `stop` ends it.

    Args:
        app: the application.
        host: the address to listen at.
        port: its port.
        request_timeout_s: how long a request may take to arrive; then the connection is closed.

    Raises:
        OSError: the address cannot be bound.
    """

    def __init__(
        self, app: ASGIApp, host: str, port: int, request_timeout_s: float = _REQUEST_S
    ) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.create_server((host, port), family=family)
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                log_config=None,
                log_level="warning",
                access_log=False,
                server_header=False,
                ws="none",
                http=type("Protocol", (_TimedProtocol,), {"request_timeout_s": request_timeout_s}),
                lifespan="on",
                timeout_graceful_shutdown=_GRACE_S,
            )
        )
        self._thread = threading.Thread(target=self._run, name="web")

    def start(self) -> None:
        """Start the server thread."""
        self._thread.start()

    def is_alive(self) -> bool:
        """Whether the server thread is running."""
        return self._thread.is_alive()

    def begin_stop(self) -> None:
        """Accept no more connections; requests in progress may end. Does not wait."""
        self._server.should_exit = True

    def stop(self) -> None:
        """Finish requests in progress, then end the thread. May be called before `start`."""
        self.begin_stop()
        if self._thread.is_alive():
            self._thread.join()
        self._socket.close()

    def _run(self) -> None:
        self._server.run(sockets=[self._socket])
