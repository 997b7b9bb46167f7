"""Floor 2. ClickHouse's engine behind its HTTP interface, for tests: chDB in a process of its own.

chDB is the engine as a library, without a server. Here a plain HTTP server takes what ClickHouse's
would (`query`, `database` and settings as parameters, rows as the body) and lets the engine run it:
the same SQL, the same bytes. It is one process, with one request at a time. What ClickHouse's own
HTTP server does besides (users, quotas, compression) is not in it.

    with clickhouse.running(folder) as server:
        server.url
"""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import tempfile
import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

from tests import resources
from tests.ports import free_port

# What is for chDB's query, and no setting of ClickHouse.
_NO_SETTINGS = {"query", "database", "default_format"}


class Server(NamedTuple):
    """A running engine."""

    url: str

    def rows(self, sql: str, database: str = "default", **parameters: str) -> list[list[Any]]:
        """The rows of any query; `parameters` are those in braces."""
        of_query = {f"param_{name}": value for name, value in parameters.items()}
        answer = self.post(
            {
                "database": database,
                "default_format": "JSONCompactEachRow",
                "output_format_json_quote_64bit_integers": "0",
                **of_query,
            },
            sql.encode(),
        )
        return [json.loads(line) for line in answer.splitlines() if line]

    def post(self, parameters: dict[str, str], body: bytes) -> str:
        """A request as it is. Raises RuntimeError with ClickHouse's words."""
        where = urllib.parse.urlsplit(self.url)
        connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=120)
        try:
            connection.request("POST", "/?" + urllib.parse.urlencode(parameters), body)
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        if answer.status != 200:
            raise RuntimeError(text)
        return text


@contextmanager
def running(folder: Path, port: int | None = None) -> Iterator[Server]:
    """The engine with its data in a folder, until the end of the block."""
    port = port or free_port()
    command = [sys.executable, "-m", "tests.clickhouse", str(folder), str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            if not process.stdout.readline():
                raise RuntimeError("chDB did not start: see its standard error")
            yield Server(f"http://127.0.0.1:{port}")
        finally:
            process.kill()


def _serve(folder: str, port: int) -> None:
    resources.end_with_parent()
    from chdb.session import Session  # noqa: PLC0415 - only in this process: it is 500 MB

    session, one_at_a_time = Session(folder), threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            parameters = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query))
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            try:
                with one_at_a_time:
                    content = _run(session, parameters, body)
            except RuntimeError as error:
                self._answer(500, str(error).encode(), _code(str(error)))
            else:
                self._answer(200, content, None)

        def _answer(self, status: int, content: bytes, code: str | None) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            if code is not None:
                self.send_header("X-ClickHouse-Exception-Code", code)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    print("ready", flush=True)
    server.serve_forever()


def _code(message: str) -> str | None:
    return message.partition("Code: ")[2].partition(".")[0] or None


def _run(session: Any, parameters: dict[str, str], body: bytes) -> bytes:
    """Run a request as ClickHouse's HTTP server would."""
    if "database" in parameters:
        session.query(f"USE {parameters['database']}")
    settings = {
        name: value
        for name, value in parameters.items()
        if name not in _NO_SETTINGS and not name.startswith("param_")
    }
    if "query" in parameters:
        return _insert(session, parameters["query"], settings, body)
    for name, value in settings.items():
        session.query(f"SET {name} = {_quoted(value)}")
    of_query = {
        name.removeprefix("param_"): value
        for name, value in parameters.items()
        if name.startswith("param_")
    }
    found = session.query(
        body.decode(), parameters.get("default_format", "TabSeparated"), params=of_query
    )
    return found.bytes() if found is not None else b""


def _insert(session: Any, query: str, settings: dict[str, str], body: bytes) -> bytes:
    into, _, form = query.partition(" FORMAT ")
    with tempfile.NamedTemporaryFile() as file:
        file.write(body)
        file.flush()
        listed = ", ".join(f"{name} = {_quoted(value)}" for name, value in settings.items())
        session.query(f"{into} FROM INFILE '{file.name}' SETTINGS {listed} FORMAT {form}")
    return b""


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


if __name__ == "__main__":
    _serve(sys.argv[1], int(sys.argv[2]))
