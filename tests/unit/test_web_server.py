"""The web server before strangers: bodies, half-sent requests, errors as pages, the way back."""

from __future__ import annotations

import gzip
import http.client
import json
import re
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from itertools import product
from pathlib import Path
from typing import NamedTuple

import pytest
from starlette.routing import Match, Route

from collector.alerts.alert_store import AlertStore
from collector.domain import thresholds_file
from collector.domain.read_model import ReadModel
from collector.ingest.status import IngestStatus
from collector.store.sqlite import SqliteStore
from collector.users import passwords
from collector.users.user import Role, User
from collector.users.user_store import UserStore
from collector.web.api_answers import NUMBER_MOST
from collector.web.app import Web
from collector.web.change_signal import ChangeSignal
from collector.web.page_context import local_path
from collector.web.route_table import RouteTable
from collector.web.server import WebServer
from tests.ports import free_port

_TIMEOUT_S = 60.0
_REQUEST_S = 1.0
_HALF_A_FORM = (
    b"POST /sign-in HTTP/1.1\r\nHost: centre\r\nContent-Length: 9\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\n\r\nname"
)
_FAULTY = "/faulty"
_PASSWORD = "một mật khẩu dài"


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    text: str


class Centre(NamedTuple):
    """A running server on a store of its own."""

    port: int
    store_path: Path

    def ask(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_TIMEOUT_S)
        given = {"Accept": "text/html", "Sec-Fetch-Site": "same-origin"} | (headers or {})
        with closing(connection):
            connection.request(method, path, body or None, given)
            with connection.getresponse() as answer:
                fields: dict[str, str] = {}
                for name, value in answer.getheaders():
                    before = fields.get(name.lower())
                    fields[name.lower()] = value if before is None else f"{before}, {value}"
                read = answer.read()
                if fields.get("content-encoding") == "gzip":
                    read = gzip.decompress(read)
                return Answer(answer.status, fields, read.decode())

    def sign_in(self, after: str) -> Answer:
        page = self.ask("GET", f"/sign-in?next={after}")
        token = re.search(r'name="token" value="([^"]*)"', page.text)
        then = re.search(r'name="next" value="([^"]*)"', page.text)
        assert token is not None
        assert then is not None
        visit = re.search(r"tramdo_visit=[^;]*", page.headers["set-cookie"])
        assert visit is not None
        fields = {"token": token[1], "next": then[1], "name": "lan", "password": _PASSWORD}
        body = "&".join(f"{name}={http_quoted(value)}" for name, value in fields.items())
        form = {"Content-Type": "application/x-www-form-urlencoded", "Cookie": visit[0]}
        return self.ask("POST", "/sign-in", body.encode(), form)


def _read_until_closed(connection: socket.socket) -> None:
    while connection.recv(65_536):
        pass


def http_quoted(text: str) -> str:
    return "".join(f"%{byte:02x}" for byte in text.encode())


@pytest.fixture
def centre(tmp_path: Path) -> Iterator[Centre]:
    store, users = SqliteStore(tmp_path / "results.sqlite"), UserStore(tmp_path / "people.sqlite")
    users.put(User(name="lan", role=Role.TECHNICIAN), passwords.make_hash(_PASSWORD))
    web = Web(
        ReadModel(store, thresholds_file.read()),
        ChangeSignal(),
        IngestStatus,
        "Asia/Ho_Chi_Minh",
        users,
        alerts=AlertStore(tmp_path / "alerts.sqlite"),
        open_data=tmp_path / "open-data",
    )
    application = web.application()
    application.router.routes.append(Route(_FAULTY, lambda _request: 1 // 0))
    port = free_port()
    server = WebServer(application, "127.0.0.1", port, request_timeout_s=_REQUEST_S)
    server.start()
    yield Centre(port, tmp_path / "results.sqlite")
    server.stop()
    store.close()


def test_a_stranger_s_body_is_not_read(centre: Centre) -> None:
    # Declared: refused although nothing of it comes. Before it was waited for.
    with socket.create_connection(("127.0.0.1", centre.port), _TIMEOUT_S) as stranger:
        stranger.sendall(
            b"POST /sign-in HTTP/1.1\r\nHost: centre\r\nAccept: text/html\r\n"
            b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 20000\r\n\r\n"
        )
        assert stranger.recv(100).startswith(b"HTTP/1.1 413 ")
    # And counted where it is not declared.
    with socket.create_connection(("127.0.0.1", centre.port), _TIMEOUT_S) as stranger:
        stranger.sendall(
            b"POST /sign-in HTTP/1.1\r\nHost: centre\r\nAccept: text/html\r\n"
            b"Content-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\n"
             b"4e20\r\n" + b"a" * 20_000 + b"\r\n"
        )  # fmt: skip
        assert stranger.recv(100).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("path", ["/registry", "/probe/a/b/ask"])
def test_who_it_is_comes_before_what_is_sent(centre: Centre, path: str) -> None:
    # Nothing of the body ever comes.
    with socket.create_connection(("127.0.0.1", centre.port), _TIMEOUT_S) as stranger:
        head = f"POST {path} HTTP/1.1\r\nHost: centre\r\nAccept: text/html\r\nContent-Length: 9"
        form = "Content-Type: application/x-www-form-urlencoded"
        stranger.sendall(f"{head}\r\n{form}\r\n\r\n".encode())
        assert stranger.recv(100).startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize(
    "begun",
    [
        b"",
        b"GET / HTTP/1.1\r\nHost: cen",
        _HALF_A_FORM,
        b"GET /healthz HTTP/1.1\r\nHost: centre\r\n\r\nGET /again HTT",
    ],
)
def test_a_half_sent_request_is_closed(centre: Centre, begun: bytes) -> None:
    with socket.create_connection(("127.0.0.1", centre.port), _TIMEOUT_S) as half:
        half.sendall(begun)
        with suppress(ConnectionResetError):
            _read_until_closed(half)


def test_a_request_that_waits_for_its_answer_is_not_half_sent(centre: Centre) -> None:
    with socket.create_connection(("127.0.0.1", centre.port), _TIMEOUT_S) as reader:
        reader.sendall(b"GET /events HTTP/1.1\r\nHost: centre\r\n\r\n")
        assert reader.recv(100).startswith(b"HTTP/1.1 200 ")
        reader.settimeout(3 * _REQUEST_S)
        with pytest.raises(TimeoutError):
            _read_until_closed(reader)


@pytest.mark.parametrize("accept", ["text/html", "*/*"])
def test_an_error_of_a_page_is_a_page_in_the_reader_s_language(centre: Centre, accept: str) -> None:
    missing = centre.ask("GET", "/line/a/b/c", headers={"Accept": accept})
    assert missing.status == 404
    assert "Không tìm thấy trang này." in missing.text
    assert "/sign-in?next=/line/a/b/c" in missing.text
    with closing(sqlite3.connect(centre.store_path)) as database:
        database.execute("ALTER TABLE totals RENAME TO gone")
    down = centre.ask("GET", "/live?lang=en", headers={"Accept": accept})
    assert down.status == 503
    assert '<html lang="en">' in down.text
    # To programs as JSON, as before.
    told = centre.ask("GET", "/api/probes", headers={"Accept": "*/*"})
    assert told.status == 503
    assert told.headers["content-type"] == "application/json"


ADDRESSES = ["/", "/campaign", "/papers", "/registry", "/audit", "/live", "/public", "/nowhere",
             "/open/lines.csv", "/api/v1/lines", "/healthz", "/static/style.css"]  # fmt: skip


def test_a_refused_method_is_a_page_for_browsers_and_json_for_programs(centre: Centre) -> None:
    for method, path in product(("POST", "PUT", "DELETE"), ADDRESSES):
        page = centre.ask(method, path)
        assert page.status in (401, 404, 405), path
        assert page.headers["content-type"].startswith("text/html"), path
        assert page.text.count("<h1>Không thực hiện được</h1>") == 1, path
        assert ("allow" in page.headers) == (page.status == 405), path
        program = centre.ask(method, path, headers={"Accept": "application/json"})
        told = program.status, program.headers["content-type"]
        assert told == (page.status, "application/json"), path


def test_a_page_has_one_style_sheet_that_browsers_keep_until_it_changes(centre: Centre) -> None:
    address, *more = re.findall(
        r'<link rel="stylesheet" href="([^"]+)"', centre.ask("GET", "/campaign").text
    )
    assert not more
    sheet = centre.ask("GET", address, headers={"Accept-Encoding": "gzip"})
    assert sheet.headers["content-encoding"] == "gzip"
    assert sheet.headers["content-type"].startswith("text/css")
    assert "immutable" in sheet.headers["cache-control"]
    assert sheet.text == centre.ask("GET", address).text
    # What is for paper alone is behind what is for screens, and for paper alone.
    assert sheet.text.index(".masthead {") < sheet.text.index("@media print {\n/* Pages on A4")
    again = centre.ask("GET", address, headers={"If-None-Match": sheet.headers["etag"]})
    assert (again.status, again.text) == (304, "")
    # An address of another content must not be kept: it is answered with the present one.
    older = centre.ask("GET", f"{address}0")
    assert (older.headers["cache-control"], older.text) == ("no-cache", sheet.text)
    assert centre.ask("GET", "/static/none.css").status == 404
    assert centre.ask("GET", "/static/..%2fapp.py").status == 404


def test_routes_are_matched_in_their_order_by_the_first_part_of_the_path() -> None:
    def ask(method: str, path: str) -> tuple[Match, str | None]:
        scope = {"type": "http", "method": method, "path": path}
        match, found = table.matches(scope)
        return match, found["endpoint"]() if found else None

    table = RouteTable(
        [
            Route("/line/{id}", lambda: "any"),
            Route("/line/new", lambda: "new", methods=["POST"]),
            Route("/", lambda: "home"),
        ]
    )
    assert ask("GET", "/line/new") == (Match.FULL, "any")
    assert ask("POST", "/line/new") == (Match.FULL, "new")
    assert ask("PUT", "/line/new") == (Match.PARTIAL, "any")
    assert ask("GET", "/") == (Match.FULL, "home")
    assert ask("GET", "/lines") == ask("GET", "") == (Match.NONE, None)
    with pytest.raises(ValueError, match="begins with a parameter"):
        RouteTable([Route("/{name}.csv", lambda: "")])


def test_the_openapi_document_says_what_the_centre_answers(centre: Centre) -> None:
    json_alone = {"Accept": "application/json"}
    document = json.loads(centre.ask("GET", "/api/openapi.json", headers=json_alone).text)
    for path, item in document["paths"].items():
        # An XLSX file is no text.
        if path.endswith(".xlsx"):
            continue
        asked = re.sub(r"{\w+}", "x", path)
        answer = centre.ask("GET", asked, headers=json_alone)
        described = item["get"]["responses"]
        assert str(answer.status) in described, path
        content = described[str(answer.status)].get("content", {})
        assert answer.headers["content-type"].partition(";")[0] in content, path
        refused = centre.ask("POST", asked, headers=json_alone)
        assert (refused.status, "405" in described) == (405, True), path
        assert set(refused.headers["allow"].split(", ")) == {"GET", "HEAD"}
        for parameter in item["get"]["parameters"]:
            if "default" in parameter["schema"]:
                assert parameter["schema"]["default"] in parameter["schema"]["enum"]
    # What programs are sent to for JSON is in it, wherever the pages have it.
    pages = (Path(__file__).parents[2] / "collector" / "web").glob("*.py")
    routes = re.compile(r'Route\("(/[^"]+\.json)"')
    found = {path for page in pages for path in routes.findall(page.read_text(encoding="utf-8"))}
    assert {"/alerts.json", "/open/lines.json"} <= found
    assert found - {"/api/openapi.json"} <= document["paths"].keys()
    geojson = document["paths"]["/open/communes.geojson"]["get"]["responses"]["200"]["content"]
    assert geojson["application/geo+json"]["schema"]["$ref"].endswith("/OpenCommunes")


def test_after_the_largest_number_there_is_nothing(centre: Centre) -> None:
    json_alone = {"Accept": "application/json"}
    largest = centre.ask("GET", f"/api/results?after={NUMBER_MOST}", headers=json_alone)
    assert (largest.status, json.loads(largest.text)["results"]) == (200, [])
    for number in (NUMBER_MOST + 1, 2**63 - 1):
        larger = centre.ask("GET", f"/api/results?after={number}", headers=json_alone)
        assert larger.status == 400


def test_a_refused_method_is_explained(centre: Centre) -> None:
    assert "Địa chỉ này không nhận yêu cầu kiểu đó." in centre.ask("POST", "/campaign").text
    assert "takes no request of that kind" in centre.ask("POST", "/campaign?lang=en").text


def test_a_fault_of_ours_is_a_page_without_its_detail(centre: Centre) -> None:
    page = centre.ask("GET", f"{_FAULTY}?lang=en")
    assert (page.status, page.headers["x-content-type-options"]) == (500, "nosniff")
    assert "The centre failed to make this page." in page.text
    assert "ZeroDivisionError" not in page.text
    program = centre.ask("GET", _FAULTY, headers={"Accept": "application/json"})
    assert (program.status, program.text) == (500, '{"error":"internal error"}')


def test_a_page_says_so_when_the_users_cannot_be_read(centre: Centre) -> None:
    cookie = re.search(r"tramdo_session=[^;]*", centre.sign_in("/").headers["set-cookie"])
    assert cookie is not None
    with closing(sqlite3.connect(centre.store_path.parent / "people.sqlite")) as database:
        database.execute("ALTER TABLE people RENAME TO gone")
    page = centre.ask("GET", "/campaign", headers={"Cookie": cookie[0]})
    assert page.status == 503
    assert page.headers["content-type"].startswith("text/html")
    assert "Hiện chưa thực hiện được" in page.text


def test_after_signing_in_one_is_where_one_wanted_to_be(centre: Centre) -> None:
    refused = centre.ask("GET", "/registry")
    assert refused.status == 401
    assert "/sign-in?next=/registry" in refused.text
    signed_in = centre.sign_in("/registry")
    assert (signed_in.status, signed_in.headers["location"]) == (303, "/registry")


@pytest.mark.parametrize(
    "text", ["//evil.example/", "/\\evil.example", "https://evil.example/", "", "/a\r\nb"]
)
def test_the_way_back_leads_to_no_other_host(text: str) -> None:
    assert local_path(text) == "/"
    assert local_path("/line/a/b/c?days=7") == "/line/a/b/c?days=7"
