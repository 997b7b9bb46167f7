"""ClickHouse's HTTP interface where it refuses, hangs, leads elsewhere, or comes later."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from collector.analytics import tables
from collector.analytics.clickhouse import AnalyticsError
from collector.analytics.http_client import HttpClient
from collector.analytics.settings import AnalyticsConfig
from collector.store.sqlite import SqliteStore
from tests import clickhouse, seeded_centre
from tests.client import eventually
from tests.ports import free_port
from wire.result import KINDS

ROOT = Path(__file__).parents[2]


class Answer(NamedTuple):
    """What a server answers to every request."""

    status: int = 200
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    hangs: bool = False


class Requests(NamedTuple):
    """A server, and what came to it: path, headers, body."""

    url: str
    seen: list[tuple[str, dict[str, str], bytes]]


@contextmanager
def answering(answer: Answer) -> Iterator[Requests]:
    """A plain HTTP server, until the end of the block."""
    seen: list[tuple[str, dict[str, str], bytes]] = []
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            seen.append((self.path, dict(self.headers), body))
            if answer.hangs:
                over.wait(60)
                return
            self.send_response(answer.status)
            for name, value in (*answer.headers, ("Content-Length", str(len(answer.body)))):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    port = free_port()
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield Requests(f"http://127.0.0.1:{port}", seen)
    finally:
        over.set()
        server.shutdown()
        thread.join()
        server.server_close()


def client(url: str, **settings: Any) -> HttpClient:
    return HttpClient(AnalyticsConfig(url=url, **settings))


def test_what_clickhouse_says_is_passed_on() -> None:
    said = b"Code: 241. DB::Exception:\n  (total) memory limit exceeded " + b"x" * 5_000
    answer = Answer(500, said, (("X-ClickHouse-Exception-Code", "241"),))
    with answering(answer) as server, pytest.raises(AnalyticsError) as error:
        client(server.url).insert("latency", b"", "1-2")
    assert f"{server.url} answered 500: Code: 241. DB::Exception: (total) memory limit" in str(
        error.value
    )
    assert len(str(error.value)) < 700
    assert "create" not in str(error.value)


@pytest.mark.parametrize("code", ["16", "60", "81", "117"])
def test_tables_of_another_version_have_a_way_out(code: str) -> None:
    answer = Answer(404, b"Code", (("X-ClickHouse-Exception-Code", code),))
    with answering(answer) as server, pytest.raises(AnalyticsError, match="analytics create"):
        client(server.url).insert("latency", b"", "1-2")


def test_an_error_behind_status_200_is_one() -> None:
    answer = Answer(200, b"half a body", (("X-ClickHouse-Exception-Code", "159"),))
    with answering(answer) as server, pytest.raises(AnalyticsError, match="half a body"):
        client(server.url).query("SELECT 1")


def test_nobody_there_is_a_sentence() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(AnalyticsError, match=f"ClickHouse at {url}: Connection refused$"):
        client(url).query("SELECT 1")


def test_a_server_that_hangs_is_given_up() -> None:
    with (
        answering(Answer(hangs=True)) as server,
        pytest.raises(AnalyticsError, match="no answer in 1 s"),
    ):
        client(server.url, timeout_s=1.0).insert("latency", b"rows", "1-2")


def test_a_redirect_is_not_followed() -> None:
    with answering(Answer()) as other:
        answer = Answer(307, b"", (("Location", other.url),))
        with answering(answer) as server, pytest.raises(AnalyticsError, match="answered 307"):
            client(server.url).insert("latency", b"rows", "1-2")
    assert len(server.seen) == 1
    assert other.seen == []


def test_a_web_page_is_no_clickhouse() -> None:
    answer = Answer(200, b"<html>")
    with answering(answer) as server, pytest.raises(AnalyticsError, match="is no ClickHouse"):
        client(server.url).query("SELECT 1")


def test_the_password_is_in_a_header_and_in_no_url(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("Mật khẩu 1\n".encode("ascii", "ignore").decode(), encoding="utf-8")
    secret.chmod(0o600)
    with answering(Answer()) as server:
        client(server.url, username="tramdo", password_file=str(secret)).insert("dns", b"r", "7-9")
    ((path, headers, body),) = server.seen
    assert headers["X-ClickHouse-User"] == "tramdo"
    assert headers["X-ClickHouse-Key"] == secret.read_text(encoding="utf-8").rstrip("\n")
    assert "khu" not in path
    assert "insert_deduplication_token=7-9" in path
    assert body == b"r"
    secret.chmod(0o644)
    with pytest.raises(AnalyticsError, match="chmod"):
        client("https://x", username="tramdo", password_file=str(secret))


def test_a_cluster_s_inserts_are_on_their_shard_before_they_count() -> None:
    with answering(Answer(200, b"[1, 2]\n")) as server:
        one = client(server.url, cluster=True)
        one.insert("latency", b"r", "7-9")
        assert one.query("SELECT 1, 2") == [[1, 2]]
    assert "distributed_foreground_insert=1" in server.seen[0][0]
    assert "insert_quorum=auto" in server.seen[0][0]
    assert "select_sequential_consistency=1" in server.seen[1][0]


def test_the_export_waits_for_clickhouse_and_ends_when_asked(tmp_path: Path) -> None:
    now = datetime(2026, 7, 26, 3, 0, tzinfo=UTC)
    store = SqliteStore(tmp_path / "results.sqlite")
    seeded_centre.fill(store, now, days=1)
    port = free_port()
    config = AnalyticsConfig(
        url=f"http://127.0.0.1:{port}", every_s=1.0, metrics_file=str(tmp_path / "analytics.prom")
    )
    path = tmp_path / "collector.toml"
    given = {key: value for key, value in msgspec.to_builtins(config).items() if value is not None}
    path.write_bytes(
        msgspec.toml.encode(
            {
                "broker": {"host": "127.0.0.1"},
                "store": {"path": str(tmp_path / "results.sqlite")},
                "analytics": given,
            }
        )
    )
    command = [sys.executable, "-m", "collector.cli", "analytics", "export", "-c", str(path)]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, stderr=log, cwd=ROOT)
    try:
        eventually(lambda: metric(tmp_path, "failures_total") >= 2, "it tries again")
        with clickhouse.running(tmp_path / "clickhouse", port) as engine:
            one = HttpClient(config)
            for statement in tables.creation("tramdo", cluster=False):
                one.execute(statement)
            stored = store.totals().results
            eventually(lambda: metric(tmp_path, "last_number") == stored, "it exports")
            counted = sum(
                engine.rows(f"SELECT count() FROM {kind}", "tramdo")[0][0] for kind in KINDS
            )
            assert counted == stored
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
        store.close()
    logged = (tmp_path / "log").read_text(encoding="utf-8")
    assert logged.count("refused") == 1, "said once"


def metric(folder: Path, name: str) -> float:
    try:
        text = (folder / "analytics.prom").read_text(encoding="utf-8")
    except FileNotFoundError:
        return -1
    found = [line for line in text.splitlines() if line.startswith(f"tramdo_analytics_{name} ")]
    return float(found[0].rpartition(" ")[2])
