"""Papers from a real centre: the command, the button, late results; and the page of alerts."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pypdf
import pytest
import requests

from collector.ingest.validation import validate
from collector.reports.report import ReportKind, last_complete_period
from collector.store.messages import ResultsMessage
from collector.store.sqlite import SqliteStore
from runtime.broker import BrokerConfig
from tests import samples, seeded_centre
from tests.client import eventually
from tests.collector_process import COMMAND, ROOT, CollectorProcess
from tests.ports import free_port
from wire.result import Line

PASSWORD = "Thu-hai-la-ngay-dau-tuan"


@pytest.fixture(scope="module")
def centre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CollectorProcess]:
    """Seventeen days of three probes, a person who may make reports, no broker."""
    folder = tmp_path_factory.mktemp("centre")
    store = SqliteStore(folder / "results.sqlite")
    seeded_centre.fill(store, datetime.now(UTC), days=17)
    store.close()
    nowhere = BrokerConfig(host="127.0.0.1", port=free_port(), tls=False)
    process = CollectorProcess(folder, nowhere, tables={"alerts": {
        "path": str(folder / "alerts.sqlite"), "look_every_s": 1.0}})  # fmt: skip
    run(process, "people", "add", "mai", "--role", "centre", told=PASSWORD + "\n")
    with process:
        yield process


def run(process: CollectorProcess, command: str, *arguments: str, told: str = "") -> str:
    done = subprocess.run(
        [*COMMAND, command, "--config", str(process.config_path), *arguments],
        check=False,
        cwd=ROOT,
        input=told,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def user(centre: CollectorProcess) -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.headers["Sec-Fetch-Site"] = "same-origin"
        form = session.get(f"{centre.url}/sign-in", timeout=10).text
        answer = session.post(
            f"{centre.url}/sign-in",
            data={"name": "mai", "password": PASSWORD, "token": token(form)},
            timeout=30,
        )
        assert answer.status_code == 200, answer.text
        yield session


def token(page: str) -> str:
    found = re.search(r'name="token" value="([^"]+)"', page)
    assert found, page
    return found[1]


def area() -> str:
    return "01969"


def test_the_command_draws_up_every_format_from_the_store(
    centre: CollectorProcess, tmp_path: Path
) -> None:
    paths = run(centre, "report", "weekly", "--group", area(), "--out", str(tmp_path)).split()
    by_ending = {Path(path).suffix: Path(path) for path in paths}
    assert set(by_ending) == {".pdf", ".xlsx", ".csv", ".json"}
    report = json.loads(by_ending[".json"].read_bytes())
    (line,) = (row for row in report["rows"] if row["level"] == "line" and row["line"] == "vnpt")
    assert line["tests"] > 0
    assert line["download"]["mean_bps"] > 1e8
    content = by_ending[".csv"].read_bytes().decode("utf-8")
    rows = list(csv.DictReader(io.StringIO(content, newline="")))
    assert len(rows) == len(report["rows"])
    reader = pypdf.PdfReader(io.BytesIO(by_ending[".pdf"].read_bytes()))
    assert "so sánh tham khảo" in " ".join(reader.pages[0].extract_text().split())


def test_only_who_may_draws_up(centre: CollectorProcess) -> None:
    draft = f"{centre.url}/papers/draft?kind=weekly&area={area()}"
    assert requests.get(draft, timeout=30).status_code == 401
    page = requests.get(f"{centre.url}/papers", timeout=30).text
    assert 'action="/papers/draft"' not in page
    assert "Đăng nhập với vai trò trung tâm" in page


def test_the_button_draws_up_a_draft(centre: CollectorProcess, user: requests.Session) -> None:
    draft = f"{centre.url}/papers/draft?kind=weekly&area={area()}"
    answer = user.get(f"{draft}&format=pdf", timeout=60)
    assert answer.headers["Content-Type"] == "application/pdf"
    assert answer.content.startswith(b"%PDF-")
    assert re.search(
        r'filename="weekly_01969_\d{8}-\d{8}_draft\.pdf"', answer.headers["Content-Disposition"]
    )
    for wrong in ("period=2026-07", "area=99999", "period=tomorrow"):
        answer = user.get(f"{draft}&{wrong}".replace(f"area={area()}&area", "area"), timeout=60)
        assert answer.status_code == 422, wrong
    assert user.get(f"{draft}&format=txt", timeout=60).status_code == 400


def test_an_issue_by_button_and_its_revision_after_a_late_result(
    centre: CollectorProcess, user: requests.Session
) -> None:
    page = user.get(f"{centre.url}/papers", timeout=30).text
    order = {"kind": "weekly", "area": area(), "period": "", "token": token(page)}
    without = user.post(f"{centre.url}/papers", data=order | {"token": "x"}, timeout=60)
    assert without.status_code == 403
    page = user.post(f"{centre.url}/papers", data=order, timeout=120).text
    (name,) = re.findall(r"/papers/file/(weekly_01969_[0-9-]+_v1\.json)", page)
    first = requests.get(f"{centre.url}/papers/file/{name}", timeout=30).json()
    assert first["revision"] is None

    week = last_complete_period(ReportKind.WEEKLY, datetime.now(UTC))
    late = samples.throughput(
        line=Line("vnpt", "VNPT"), started_at=week.starts_at + timedelta(hours=30)
    )
    topic = f"tramdo/v1/{seeded_centre.TENANT}/tram-01969-1/m/throughput"
    envelope = samples.envelope([(900_000, late)], probe="tram-01969-1")
    judged = validate(topic, envelope, datetime.now(UTC))
    assert isinstance(judged, ResultsMessage), judged
    store = SqliteStore(centre.store_path)
    store.store_batch([judged], datetime.now(UTC))
    eventually(lambda: store.summaries.waiting() == 0, "the collector rolls it up")
    store.close()

    paths = run(centre, "report", "weekly", "--group", area()).split()
    assert all("_v2." in path for path in paths), paths
    (record,) = (Path(path) for path in paths if path.endswith(".json"))
    second = json.loads(record.read_bytes())
    assert second["revision"]["replaces_version"] == 1
    assert second["revision"]["days"] == [str(week.first + timedelta(days=1))]
    assert second["rows"][0]["tests"] == first["rows"][0]["tests"] + 1
    page = requests.get(f"{centre.url}/papers", timeout=30).text
    assert "2 (sửa đổi)" in page


def test_files_outside_the_archive_are_not_given_out(centre: CollectorProcess) -> None:
    for name in ("..%2fcollector.toml", "collector.toml", "%2e%2e/results.sqlite"):
        assert requests.get(f"{centre.url}/papers/file/{name}", timeout=30).status_code == 404


def test_the_page_of_alerts_in_both_languages(centre: CollectorProcess) -> None:
    # No broker: nobody is called silent. The seeded Viettel line is below its plan.
    def told() -> bool:
        status, answer = centre.get("/alerts.json")
        return status == 200 and any(a["kind"] == "plan_missed" for a in answer["alerts"])

    eventually(told, "the watch has looked", 60.0)
    kinds = {alert["kind"] for alert in centre.get("/alerts.json")[1]["alerts"]}
    assert "probe_silent" not in kinds
    page = requests.get(f"{centre.url}/alerts", timeout=30).text
    assert "Tốc độ thấp hơn mức công bố" in page
    assert "mức công bố trong 3 ngày liền" in page
    page = requests.get(f"{centre.url}/alerts?lang=en", timeout=30).text
    assert "of the declared one for 3 days in a row" in page
