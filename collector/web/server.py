"""Floor 2. Serves an ASGI application over HTTP in a thread of its own, by uvicorn.

Outside the main thread uvicorn installs no signal handlers.
"""

from __future__ import annotations

import socket
import threading

import uvicorn
from starlette.types import ASGIApp

# How long requests in progress may take after `stop`.
_GRACE_S = 3


class WebServer:
    """An HTTP server: the constructor binds the address, `start` begins to serve, `stop` ends it.

    Raises:
        OSError: the address cannot be bound.
    """

    def __init__(self, app: ASGIApp, host: str, port: int) -> None:
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
