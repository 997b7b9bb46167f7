"""Floor 2. Serves an ASGI application over HTTP in a thread of its own, by uvicorn.

Signals stay with the main thread: uvicorn takes them only there.
"""

from __future__ import annotations

import socket
import threading

import uvicorn
from starlette.types import ASGIApp

# How long an answer that is under way may take once we are told to end.
_GRACE_S = 3


class WebServer:
    """Listens from the moment it is made; answers after `start`, until `stop`.

    Raises:
        OSError: the address cannot be listened on.
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
        """Begin to answer."""
        self._thread.start()

    def is_alive(self) -> bool:
        """Whether it still answers."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """Finish what is under way, then end. Harmless before `start`."""
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join()
        self._socket.close()

    def _run(self) -> None:
        self._server.run(sockets=[self._socket])
