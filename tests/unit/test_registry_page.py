"""The registry's page, asked as a browser does: what is applied is what was shown, and no more."""

from __future__ import annotations

import asyncio
import html
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import pytest
from starlette.applications import Starlette

from collector.alerts.alert_store import AlertStore
from collector.domain import thresholds_file
from collector.domain.read_model import ReadModel
from collector.ingest.status import IngestStatus
from collector.registry.communes import official
from collector.registry.file_format import parse_toml
from collector.registry.registry import Registry
from collector.reports.service import ReportService
from collector.store.sqlite import SqliteStore
from collector.users.sessions import Claim, SessionSigner
from collector.users.user import Role, User
from collector.users.user_store import UserStore
from collector.web.app import Web
from collector.web.change_signal import ChangeSignal
from tests import report_samples
from tests.seeded_centre import REGISTRY

NOW = datetime(2026, 7, 25, 5, tzinfo=UTC)
CSV = (
    "tenant,probe,commune,office,line,isp,plan_up_mbit_s\n"
    "bach-thong,tram-01969-1,01969,UBND xã,vnpt,vnpt,250\n"
)


def registry(text: str = REGISTRY) -> Registry:
    return parse_toml(text.encode(), "registry.toml", official())


class Answer(NamedTuple):
    status: int
    text: str

    def field(self, name: str) -> str:
        found = re.search(rf'name="{name}" value="([^"]*)"', self.text)
        assert found is not None, self.text
        return html.unescape(found[1])

    @property
    def plain(self) -> str:
        """What somebody reads of it."""
        return html.unescape(re.sub(r"<[^>]*>", "", self.text))

    @property
    def document(self) -> str:
        found = re.search(r"<textarea[^>]*>(.*?)</textarea>", self.text, re.DOTALL)
        assert found is not None
        return html.unescape(found[1])


TECHNICIAN = User(name="lan", role=Role.TECHNICIAN)


class Browser:
    """A technician's, signed in, or another user's."""

    def __init__(
        self,
        store: SqliteStore,
        folder: Path,
        language: str = "en",
        alerts: AlertStore | None = None,
        user: User = TECHNICIAN,
    ) -> None:
        self._language = language
        self.users = users = UserStore(folder / "people.sqlite")
        users.put(user, "no password is asked for here")
        known = users.user(user.name)
        assert known is not None
        self._cookie = SessionSigner(users.session_key()).cookie(Claim(user.name, known.generation))
        model = ReadModel(store, thresholds_file.read())
        reports = ReportService(report_samples.sources, folder / "papers")
        web = Web(
            model,
            ChangeSignal(),
            IngestStatus,
            "Asia/Ho_Chi_Minh",
            users,
            alerts=alerts,
            reports=reports,
        )
        self._app: Starlette = web.application()

    def get(self, path: str = "/registry/document") -> Answer:
        return asyncio.run(self._ask("GET", b"", [], path))

    def content(self, path: str) -> bytes:
        """The body of a page or file, as it was sent."""
        return asyncio.run(self._send("GET", b"", [], path))[1]

    def post(
        self,
        fields: Mapping[str, str],
        file: tuple[str, str | bytes] | None = None,
        path: str = "/registry/document",
        origin: str = "same-origin",
    ) -> Answer:
        mark = uuid4().hex
        parts: list[tuple[str, str | bytes]] = [
            (f'name="{name}"', value) for name, value in fields.items()
        ]
        if file is not None:
            parts.append((f'name="file"; filename="{file[0]}"', file[1]))
        body = b"".join(
            f"--{mark}\r\nContent-Disposition: form-data; {head}\r\n\r\n".encode()
            + (value.encode() if isinstance(value, str) else value)
            + b"\r\n"
            for head, value in parts
        )
        told = [
            (b"content-type", f"multipart/form-data; boundary={mark}".encode()),
            (b"sec-fetch-site", origin.encode()),
        ]
        return asyncio.run(self._ask("POST", body + f"--{mark}--\r\n".encode(), told, path))

    async def _ask(
        self,
        method: str,
        body: bytes,
        told: list[tuple[bytes, bytes]],
        path: str = "/registry/document",
    ) -> Answer:
        status, content = await self._send(method, body, told, path)
        return Answer(status, content.decode())

    async def _send(
        self, method: str, body: bytes, told: list[tuple[bytes, bytes]], path: str
    ) -> tuple[int, bytes]:
        sent: list[Any] = []
        cookie = (b"cookie", f"tramdo_session={self._cookie}".encode())

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        path, _, query = path.partition("?")
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method,
            "path": path, "raw_path": path.encode(),
            "query_string": f"lang={self._language}&{query}".rstrip("&").encode(),
            "headers": [(b"host", b"centre"), (b"accept", b"text/html"), cookie, *told],
            "scheme": "http",
            "server": ("centre", 80), "client": ("192.0.2.1", 1),
        }  # fmt: skip
        await self._app(scope, receive, send)
        return sent[0]["status"], b"".join(m.get("body", b"") for m in sent[1:])


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(tmp_path / "results.sqlite")
    store.registry.apply(registry(), "centre", "registry.toml", NOW)
    yield store
    store.close()


def form(answer: Answer, document: str, do: str) -> dict[str, str]:
    fields = {name: answer.field(name) for name in ("token", "seen", "name")}
    return fields | {"document": document, "do": do}


def test_what_is_wrong_is_told_in_the_reader_s_language(store: SqliteStore, tmp_path: Path) -> None:
    browser = Browser(store, tmp_path, "vi")
    page = browser.get()
    for right, wrong, told in (
        ("plan_up_mbit_s = 200.0", 'plan_up_mbit_s = "nhanh"', "cần số hoặc để trống, không phải"),
        ('"01969"', '"99999"', "không có xã mã 99999"),
    ):
        shown = browser.post(form(page, page.document.replace(right, wrong, 1), "check"))
        assert shown.status == 422
        assert any(told in problem for problem in re.findall("<li>(.*?)</li>", shown.text))


def test_what_somebody_else_has_applied_meanwhile_is_not_undone_unseen(
    store: SqliteStore, tmp_path: Path
) -> None:
    browser = Browser(store, tmp_path)
    page = browser.get()
    mine = page.document.replace("plan_up_mbit_s = 200.0", "plan_up_mbit_s = 250.0", 1)
    shown = browser.post(form(page, mine, "check"))
    theirs = registry(REGISTRY.replace("plan_up_mbit_s = 150", "plan_up_mbit_s = 155"))
    store.registry.apply(theirs, "somebody else", "page.toml", NOW)
    again = browser.post(form(shown, mine, "apply"))
    assert "The registry was changed by somebody else in the meantime" in again.text
    assert "plan upload: 155 Mbit/s" in again.text, "what would be undone is shown"
    assert store.registry.read() == theirs
    browser.post(form(again, mine, "apply"))
    assert store.registry.read() == registry(mine)


def test_a_file_is_shown_before_it_is_applied_and_its_own_name_tells_what_it_is(
    store: SqliteStore, tmp_path: Path
) -> None:
    browser = Browser(store, tmp_path)
    refused = browser.post(form(browser.get(), "", "check"), ("lines.csv", "tenant\n"))
    assert (refused.status, refused.field("name")) == (422, "lines.csv")
    newer = REGISTRY.replace("plan_up_mbit_s = 150", "plan_up_mbit_s = 155")
    shown = browser.post(form(refused, refused.document, "apply"), ("all.toml", newer))
    assert shown.status == 200
    assert store.registry.read() == registry(), "nobody has seen yet what it changes"
    browser.post(form(shown, shown.document, "apply"))
    assert store.registry.read() == registry(newer)


def office_form(answer: Answer, do: str, **changed: str) -> dict[str, str]:
    """The fields of the form of one office as a browser sends them."""
    found = re.findall(r'<input(?=[^>]* name="([^"]*)")(?=[^>]* value="([^"]*)")', answer.text)
    fields = {name: html.unescape(value) for name, value in found if name != "q"}
    return fields | changed | {"do": do}


def test_one_office_is_edited_shown_and_applied(store: SqliteStore, tmp_path: Path) -> None:
    browser, path = Browser(store, tmp_path), "/registry/probe/bach-thong/tram-01969-1"
    page = browser.get(path)
    sent = office_form(page, "check", line0_plan_down_mbit_s="500")
    shown = browser.post(sent, path=path)
    assert "plan download: 500 Mbit/s from 15/01/2026" in shown.text
    assert store.registry.read() == registry(), "nothing is applied yet"
    # What was edited after it was shown is shown first.
    other = office_form(shown, "apply", line0_plan_down_mbit_s="600")
    again = browser.post(other, path=path)
    assert "plan download: 600 Mbit/s" in again.text
    assert store.registry.read() == registry()
    assert browser.post(office_form(again, "apply"), path=path).status == 303
    line = store.registry.read().probes["bach-thong", "tram-01969-1"].lines[0]
    assert line.plan_down_bps == 600e6
    (change,) = [one for one in store.registry.changes() if one.who == "lan"]
    assert change.source == path


def test_an_office_that_somebody_else_has_edited_is_shown_again(
    store: SqliteStore, tmp_path: Path
) -> None:
    browser, path = Browser(store, tmp_path), "/registry/probe/bach-thong/tram-01969-1"
    shown = browser.post(office_form(browser.get(path), "retire"), path=path)
    theirs = registry(REGISTRY.replace("plan_up_mbit_s = 150", "plan_up_mbit_s = 155"))
    store.registry.apply(theirs, "somebody else", "page.toml", NOW)
    again = browser.post(office_form(shown, "retire_apply"), path=path)
    assert "The registry was changed by somebody else in the meantime" in again.text
    assert browser.post(office_form(again, "retire_apply"), path=path).status == 303
    now = store.registry.read()
    assert ("bach-thong", "tram-01969-1") not in now.probes
    assert now.probes["bach-thong", "tram-01981-1"] == theirs.probes["bach-thong", "tram-01981-1"]


def test_offices_are_found_in_the_list_and_changes_in_their_pages(
    store: SqliteStore, tmp_path: Path
) -> None:
    browser = Browser(store, tmp_path)
    page = browser.get("/registry")
    assert page.text.count('href="/registry/probe/bach-thong/') == 4
    assert "VNPT 300/200" in page.text
    for number in range(130):
        office = f'office = "Trụ sở số {number}"'
        newer = REGISTRY.replace('office = "Trụ sở UBND xã Cẩm Giàng"', office)
        store.registry.apply(registry(newer), f"user-{number:03}", "page.toml", NOW)
    newest = browser.get("/registry/changes")
    (older,) = re.findall(r'href="(/registry/changes\?before=\d+)"', newest.text)
    assert "user-129" in newest.text
    assert "user-029" not in newest.text
    assert int(older.partition("=")[2]) > 0


def test_a_large_registry_is_a_file_and_no_text_of_a_page(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "large.sqlite")
    try:
        office = '[[probe]]\ntenant = "t"\nprobe = "tram-{0}"\ncommune = "01969"\noffice = "{0}"\n'
        text = "".join(office.format(number) for number in range(1_000))
        store.registry.apply(registry(text), "centre", "registry.toml", NOW)
        browser = Browser(store, tmp_path)
        page = browser.get()
        assert "<textarea" not in page.text
        fields = {name: page.field(name) for name in ("token", "seen", "name")}
        # Without a file nothing is asked for, and least of all an empty registry.
        nothing = browser.post(fields | {"do": "check"})
        assert (nothing.status, "Pending changes" in nothing.text) == (200, False)
        newer = text.replace('office = "7"', 'office = "Trụ sở 7"')
        shown = browser.post(fields | {"do": "check"}, ("all.toml", newer))
        assert "office: Trụ sở 7" in shown.text
        browser.post(form(shown, shown.document, "apply"))
        assert store.registry.read().probes["t", "tram-7"].office == "Trụ sở 7"
    finally:
        store.close()


def test_a_csv_file_leaves_the_groups(store: SqliteStore, tmp_path: Path) -> None:
    browser = Browser(store, tmp_path)
    shown = browser.post(form(browser.get(), "", "check"), ("LINES.CSV", CSV))
    browser.post(form(shown, shown.document, "apply"))
    now = store.registry.read()
    assert list(now.groups) == ["bach-thong-cu"]
    assert [line.plan_up_bps for probe in now.probes.values() for line in probe.lines] == [250e6]


def test_no_page_leads_to_another_host(store: SqliteStore, tmp_path: Path) -> None:
    answer = Browser(store, tmp_path).get("//elsewhere.example/x")
    assert answer.status == 404
    assert 'href="/elsewhere.example/x?lang=vi"' in answer.text
    assert 'href="//' not in answer.text


def test_an_empty_registry_shows_how_one_is_written_and_why_no_paper_is_made(
    tmp_path: Path,
) -> None:
    store = SqliteStore(tmp_path / "empty.sqlite")
    try:
        browser = Browser(store, tmp_path, "vi")
        why, page = "Sổ đăng ký chưa có đường truyền nào", browser.get()
        assert why in browser.get("/papers").text
        (sample,) = re.findall(r"<pre[^>]*>(.*?)</pre>", page.text, re.DOTALL)
        shown = browser.post(form(page, html.unescape(sample), "check"))
        assert shown.status == 200
        applied = browser.post(form(shown, shown.document, "apply"))
        assert "<pre" not in applied.text, "what there is now is its own sample"
        assert len(store.registry.read().probes) == 2
        assert why not in browser.get("/papers").text
    finally:
        store.close()
