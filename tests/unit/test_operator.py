"""Public address and operator, asked of a real small HTTP server on loopback."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from probe.config import LineConfig, OperatorConfig
from probe.measure.failure import Failure
from probe.measure.operator.answer import Operator
from probe.measure.operator.external import look_up
from wire.result import Reason

ANSWERS = {
    "/org": b'{"ip": "203.0.113.7", "org": "AS45899 VNPT Corp", "city": "Bac Kan"}',
    "/isp": b'{"ip": "2001:DB8:0::7", "isp": "Viettel", "org": "AS7552"}',
    "/bare": b'{"ip": "203.0.113.7"}',
    "/html": b"<html>captive portal</html>",
    "/list": b'["203.0.113.7"]',
    "/no-ip": b'{"org": "VNPT"}',
    "/wrong-ip": b'{"ip": "the moon"}',
    "/wrong-type": b'{"ip": "203.0.113.7", "org": {"name": "VNPT"}}',
    "/not-utf8": b'{"ip": "\xff\xfe"}',
    "/empty": b"",
    "/deep": b'{"x": ' + b"[" * 4000,
    "/huge": b'{"ip": "' + b"1" * 5_000 + b'"}',
}
SOURCE = LineConfig(id="x", isp="X", source_address="127.0.0.1")


class Handler(BaseHTTPRequestHandler):
    """Answers by path; what is not in ANSWERS is a misbehaviour."""

    def do_GET(self) -> None:
        if self.path == "/whoami":
            self._answer(b'{"ip": "%s"}' % self.client_address[0].encode())
        elif self.path == "/redirect":
            self.send_response(302)
            self.send_header("Location", "/org")
            self.end_headers()
        elif self.path == "/mute":
            self.rfile.read(1)  # until the client goes
        elif self.path == "/drip":
            self._drip()
        elif self.path in ANSWERS:
            self._answer(ANSWERS[self.path])
        else:
            self.send_error(503)

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _drip(self) -> None:
        self.send_response(200)
        self.end_headers()
        gone = threading.Event()
        try:
            while not gone.wait(0.05):
                self.wfile.write(b" ")
        except OSError:
            return

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        """Nothing."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        httpd.daemon_threads = True
        thread = threading.Thread(target=httpd.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_address[1]}"
        httpd.shutdown()
        thread.join()


def ask(url: str, line: LineConfig = SOURCE, timeout_s: float = 2.0) -> Operator | Failure | None:
    return look_up(line, OperatorConfig(url=url, timeout_s=timeout_s))


@pytest.mark.parametrize(
    ("path", "operator"),
    [
        ("/org", Operator("203.0.113.7", "AS45899 VNPT Corp")),
        ("/isp", Operator("2001:db8::7", "Viettel")),
        ("/bare", Operator("203.0.113.7", None)),
    ],
)
def test_an_answer(server: str, path: str, operator: Operator) -> None:
    assert ask(server + path) == operator


@pytest.mark.parametrize(
    "path",
    [
        "/html",
        "/list",
        "/no-ip",
        "/wrong-ip",
        "/wrong-type",
        "/not-utf8",
        "/empty",
        "/deep",
        "/huge",
        "/redirect",
        "/down",
    ],
)
def test_an_answer_that_is_not_one(server: str, path: str) -> None:
    found = ask(server + path)
    assert isinstance(found, Failure)
    assert found.reason is Reason.PROTOCOL_ERROR
    assert found.sentence


@pytest.mark.parametrize("path", ["/mute", "/drip"])
def test_an_answer_that_does_not_come_to_an_end(server: str, path: str) -> None:
    began = time.monotonic()
    found = ask(server + path, timeout_s=0.3)
    assert isinstance(found, Failure)
    assert found.reason is Reason.TIMEOUT
    assert time.monotonic() - began < 20, "the server would go on for ever"


def test_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        found = ask(f"http://127.0.0.1:{free.getsockname()[1]}/")
    assert isinstance(found, Failure)
    assert found.reason is Reason.CONNECTION_REFUSED


def test_a_name_that_is_none() -> None:
    found = ask("http://no-such-host.invalid/")
    assert isinstance(found, Failure)
    assert found.reason is Reason.NAME_RESOLUTION


def test_no_tls_there(server: str) -> None:
    found = ask(server.replace("http:", "https:") + "/org")
    assert isinstance(found, Failure)
    assert found.reason is Reason.PROTOCOL_ERROR


def test_a_url_that_makes_no_sense() -> None:
    found = ask("http://[/")
    assert isinstance(found, Failure)
    assert found.reason is Reason.PROTOCOL_ERROR


def test_it_leaves_by_the_source_address_of_the_line(server: str) -> None:
    line = LineConfig(id="x", isp="X", source_address="127.0.0.9")
    assert ask(server + "/whoami", line) == Operator("127.0.0.9", None)


def test_it_leaves_by_the_device_of_the_line(server: str) -> None:
    line = LineConfig(id="x", isp="X", interface="lo", source_address="127.0.0.8")
    assert ask(server + "/whoami", line) == Operator("127.0.0.8", None)


@pytest.mark.parametrize(
    "line",
    [
        LineConfig(id="x", isp="X", interface="nope0"),
        LineConfig(id="x", isp="X", source_address="192.0.2.77"),
    ],
    ids=["device", "address"],
)
def test_a_line_that_is_not_there(server: str, line: LineConfig) -> None:
    found = ask(server + "/org", line)
    assert isinstance(found, Failure)
    assert found.reason is Reason.LINE_DOWN


def test_a_proxy_of_the_environment_is_not_asked(
    server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert ask(server + "/bare") == Operator("203.0.113.7", None)


def test_without_a_url_nobody_is_asked() -> None:
    assert look_up(SOURCE, OperatorConfig()) is None


def test_no_descriptor_is_left_behind(server: str) -> None:
    ask(server + "/org")
    before = len(os.listdir("/proc/self/fd"))
    for path in ("/org", "/huge", "/drip", "/redirect"):
        ask(server + path, timeout_s=0.3)
    until = time.monotonic() + 5  # the server's ends are in this process, too
    while len(os.listdir("/proc/self/fd")) > before and time.monotonic() < until:
        time.sleep(0.02)
    assert len(os.listdir(Path("/proc/self/fd"))) <= before
