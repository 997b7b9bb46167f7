"""Floor 2. The receiver of a webhook's notifications: an HTTP server on a port of its own."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Receiver(ThreadingHTTPServer):
    """A webhook's other end: keeps headers and bodies; answers `status`."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Post)
        self.posts: list[tuple[dict[str, str], bytes]] = []
        self.status = 204

    @property
    def url(self) -> str:
        """Where notifications are posted to."""
        return f"http://127.0.0.1:{self.server_address[1]}/hook"

    @property
    def alerts(self) -> list[dict[str, Any]]:
        """Every beginning and end of an alert that was posted."""
        return [alert for _, body in self.posts for alert in json.loads(body)["alerts"]]

    @property
    def edges(self) -> list[tuple[str, str]]:
        """Which of the two each is, and its kind."""
        return [(alert["edge"], alert["kind"]) for alert in self.alerts]


@contextmanager
def running() -> Iterator[Receiver]:
    """A receiver that answers."""
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Post(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        """Keep it, if notifications are accepted."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.status < 300:
            self.server.posts.append((dict(self.headers), body))
        self.send_response(self.server.status)
        self.send_header("Location", "http://127.0.0.1:9/elsewhere")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nothing: the test reads `posts`."""
