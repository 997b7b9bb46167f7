"""Bundles of evidence over the pages: who may take which, the audit trail, and its digest."""

from __future__ import annotations

import http.client
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode

import pytest

from collector.domain import thresholds_file
from collector.domain.read_model import ReadModel
from collector.evidence.bundle import BundlePieces
from collector.ingest.status import IngestStatus
from collector.reports.report import OfficeConfig, ReportKind
from collector.reports.service import ReportService, sources_of
from collector.users.sessions import Claim, SessionSigner
from collector.users.user import AuditEvent, Role, User
from collector.users.user_store import UserStore
from collector.web.app import Web
from collector.web.change_signal import ChangeSignal
from collector.web.evidence_download import _Download
from collector.web.page_context import SESSION_COOKIE
from collector.web.server import WebServer
from tests import evidence_month, samples
from tests.evidence_month import EvidenceMonth, issued, question
from tests.ports import free_port
from verify.archive import Bundle
from verify.check import Report, Trust, check
from verify.findings import Kind

LINE = f"/line/{samples.TENANT}/{samples.PROBE}/vnpt"
DAYS = {"first": "2026-06-01", "last": "2026-06-30"}
TIMEOUT_S = 60


class Answer(NamedTuple):
    status: int
    content: bytes
    disposition: str


class Centre(NamedTuple):
    """A running server; `lan` is a technician, `phu-thong` and `vinh-thong` are offices."""

    port: int
    month: EvidenceMonth
    users: UserStore
    issue: str

    def ask(self, user: str, path: str, fields: dict[str, str] | None = None) -> Answer:
        """The answer to a user, "" for nobody; with `fields` to the form of a page."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT_S)
        session = self._session(user)
        headers = {"Sec-Fetch-Site": "same-origin", "Cookie": f"{SESSION_COOKIE}={session}"}
        body = None
        if fields is not None:
            token = SessionSigner(self.users.session_key()).token(session) if user else ""
            body = urlencode({"token": token, **fields})
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        with closing(connection):
            connection.request("POST" if body else "GET", path, body, headers)
            answer = connection.getresponse()
            return Answer(
                answer.status, answer.read(), answer.getheader("Content-Disposition") or ""
            )

    def _session(self, name: str) -> str:
        user = self.users.user(name)
        if user is None:
            return ""
        return SessionSigner(self.users.session_key()).cookie(Claim(name, user.generation))

    def last_event(self) -> AuditEvent:
        return self.users.audit_events(1)[0]


@pytest.fixture(scope="module")
def centre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Centre]:
    folder = tmp_path_factory.mktemp("evidence-pages")
    month = EvidenceMonth(folder, tests_a_day=3, light_a_day=1)
    issue, _ = issued(month, ReportKind.MONTHLY, evidence_month.PERIOD)
    users = UserStore(folder / "people.sqlite")
    users.put(User(name="lan", role=Role.TECHNICIAN), "no password is asked for here")
    for name, code in (("phu-thong", "01969"), ("vinh-thong", "01981")):
        users.put(User(name=name, role=Role.OFFICE, communes=(code,)), "nor here")
    limits = thresholds_file.read(thresholds_file.SHIPPED)
    web = Web(
        ReadModel(month.store, limits),
        ChangeSignal(),
        IngestStatus,
        "Asia/Ho_Chi_Minh",
        users,
        reports=ReportService(
            lambda: sources_of(month.store, limits, OfficeConfig()), folder / "papers"
        ),
        evidence=lambda whole: month.sources(whole_addresses=whole),
    )
    port = free_port()
    server = WebServer(web.application(), "127.0.0.1", port)
    server.start()
    yield Centre(port, month, users, issue)
    server.stop()
    month.store.close()


def checked(path: Path) -> Report:
    with Bundle(path, 1 << 30) as opened:
        return check(opened, Trust())


def test_an_office_takes_the_bundle_of_its_line(centre: Centre, tmp_path: Path) -> None:
    page = centre.ask("phu-thong", f"{LINE}?from=2026-06-01&to=2026-06-30").content.decode()
    assert f'action="{LINE}/evidence"' in page
    assert 'name="first" value="2026-06-01"' in page
    assert 'name="last" value="2026-06-30"' in page
    answer = centre.ask("phu-thong", f"{LINE}/evidence", DAYS | {"addresses": "on"})
    assert answer.status == 200
    assert "evidence_bach-thong_tram-01969-1_vnpt_20260601-20260630.zip" in answer.disposition
    path = tmp_path / "line.zip"
    path.write_bytes(answer.content)
    report = checked(path)
    assert report.of(Kind.DIFFERS) == []
    event = centre.last_event()
    assert (event.user, event.action) == ("phu-thong", "take_evidence")
    assert event.subject == "bach-thong/tram-01969-1/vnpt 2026-06-01..2026-06-30"
    assert event.detail == f"sha256:{report.digest}"
    pieces = BundlePieces(question(), centre.month.sources())
    assert answer.content == b"".join(pieces), "the same question, the same bytes"


def test_without_the_choice_addresses_are_masked(centre: Centre, tmp_path: Path) -> None:
    path = tmp_path / "line.zip"
    path.write_bytes(centre.ask("lan", f"{LINE}/evidence", DAYS).content)
    report = checked(path)
    assert report.of(Kind.DIFFERS) == []
    assert report.question["addresses"] == "masked"


def test_a_technician_takes_the_bundle_of_an_issue(centre: Centre, tmp_path: Path) -> None:
    assert f"/papers/evidence/{centre.issue}" in centre.ask("lan", "/papers").content.decode()
    answer = centre.ask("lan", f"/papers/evidence/{centre.issue}", {})
    path = tmp_path / "issue.zip"
    path.write_bytes(answer.content)
    report = checked(path)
    assert report.of(Kind.DIFFERS) == []
    assert report.question["issue"] == centre.issue
    assert f"evidence_{centre.issue}.zip" in answer.disposition
    event = centre.last_event()
    assert (event.user, event.subject) == ("lan", centre.issue)
    assert event.detail == f"sha256:{report.digest}"
    assert centre.ask("lan", f"/papers/evidence/{centre.issue}9", {}).status == 404


def test_nobody_else_takes_one(centre: Centre) -> None:
    issue = f"/papers/evidence/{centre.issue}"
    for user, path, status in (
        ("", f"{LINE}/evidence", 401),
        ("vinh-thong", f"{LINE}/evidence", 403),
        ("phu-thong", issue, 403),
        ("", issue, 401),
    ):
        answer = centre.ask(user, path, DAYS)
        assert answer.status == status, (user, path)
        assert not answer.content.startswith(b"PK")
    assert centre.last_event().action == "refused"
    for user, path in (("", LINE), ("vinh-thong", LINE), ("phu-thong", "/papers")):
        assert not re.search(r'action="[^"]*evidence', centre.ask(user, path).content.decode())
    forged = centre.ask("lan", f"{LINE}/evidence", DAYS | {"token": "another"})
    assert forged.status == 403
    assert centre.ask("lan", f"{LINE}/evidence", {"first": "x", "last": "y"}).status == 400
    beyond = {"first": "2999-01-01", "last": "2999-01-31"}
    assert centre.ask("lan", f"{LINE}/evidence", beyond).status == 400


def test_what_is_cut_off_is_on_record_and_is_no_zip(centre: Centre, tmp_path: Path) -> None:
    recorded: list[str] = []
    pieces = iter(_Download(BundlePieces(question(), centre.month.sources()), recorded.append))
    path = tmp_path / "cut.zip"
    path.write_bytes(b"".join([next(pieces), next(pieces)]))
    del pieces
    assert recorded == ["not sent to its end"]
    with pytest.raises(Exception, match="no ZIP that can be read"):
        checked(path)


def test_no_last_byte_is_sent_before_it_is_on_record(centre: Centre, tmp_path: Path) -> None:
    def full(_detail: str) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / "unrecorded.zip"
    download = _Download(BundlePieces(question(), centre.month.sources()), full)
    with path.open("wb") as file, pytest.raises(OSError, match="No space left"):
        file.writelines(download)
    assert path.stat().st_size > 10_000
    with pytest.raises(Exception, match="no ZIP that can be read"):
        checked(path)
