"""The demo's month: what a visitor finds is there, and it is what its probes signed."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from collector.alerts.alert import AlertKind
from collector.alerts.alert_store import AlertStore
from collector.domain import thresholds_file
from collector.reports import rendering
from collector.reports.rendering import ReportFormat
from collector.reports.report import OfficeConfig, ReportKind
from collector.reports.service import ReportService, sources_of
from collector.rollup.periods import parse_period
from collector.store.messages import SignatureOutcome
from collector.store.sqlite import SqliteStore
from deploy.demo.district import OFFICES

ROOT = Path(__file__).parents[2]
# Early in a month: the month before it and a few days.
UNTIL = "2026-11-05T05:00:00+00:00"
MONTH, LAST_WEEK = "2026-10", date(2026, 10, 26)


def run(*arguments: str | Path) -> str:
    """The output of a command that must end well."""
    done = subprocess.run(
        [str(one) for one in arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A seeded folder."""
    path = tmp_path_factory.mktemp("demo")
    output = run(sys.executable, "-m", "deploy.demo.seed", path, "--until", UNTIL)
    steps = list(dict.fromkeys(line.split()[0] for line in output.splitlines()))
    assert steps == ["keys", "sign", "store", "rollup"]
    return path


def collector(folder: Path, *arguments: str | Path) -> str:
    """The output of `tramdo-collector` on the folder."""
    command = Path(sys.executable).with_name("tramdo-collector")
    return run(command, *arguments, "--config", folder / "collector.toml")


def report(folder: Path, kind: ReportKind, period: str, group: str) -> dict[str, Any]:
    """A report as JSON."""
    limits = thresholds_file.read(thresholds_file.SHIPPED)
    store = SqliteStore(folder / "collector.sqlite")
    try:
        service = ReportService(
            lambda: sources_of(store, limits, OfficeConfig()), folder / "papers"
        )
        made = service.draft(kind, group, parse_period(period))
    finally:
        store.close()
    whole: dict[str, Any] = json.loads(rendering.render(made, ReportFormat.JSON).content)
    return whole


def test_every_result_is_signed_by_its_probe(folder: Path) -> None:
    store = SqliteStore(folder / "collector.sqlite")
    try:
        results = store.newest_results(3000)
        assert {one.probe for one in results} == {
            one.probe for one in OFFICES if not one.unplugged_days
        }
        assert set(store.signature_outcomes(results)) == {SignatureOutcome.CHECKED}
        assert store.rejected_after(0, 10) == []
    finally:
        store.close()
    # The product's own check of the whole chain of each probe.
    collector(folder, "signatures")


def test_the_month_is_complete_but_for_boxes_without_power(folder: Path) -> None:
    lines = [
        row
        for group in ("bach-thong-cu", "cho-don-cu")
        for row in report(folder, ReportKind.MONTHLY, MONTH, group)["rows"]
        if row["level"] == "line" and row["probe"] != "phu-thong-01"
    ]
    assert len(lines) == 2 * len(OFFICES)
    incomplete = {row["probe"] for row in lines if row["completeness_ratio"] < 0.95}
    # Without power for a week, for days, and ever since.
    assert incomplete == {"tram-02083-1", "tram-01849-1", "tram-02071-1"}
    verdicts = {row["download"]["verdict"] for row in lines}
    assert verdicts == {"met", "not_met", "none"}
    failing = [row for row in lines if row["download"]["verdict"] == "not_met"]
    assert [row["isp"] for row in failing] == ["Viettel"]


def test_offices_fall_behind_in_the_last_whole_week(folder: Path) -> None:
    week = "{}-W{:02}".format(*LAST_WEEK.isocalendar()[:2])
    behind = {
        row["probe"]
        for group in ("bach-thong-cu", "cho-don-cu")
        for row in report(folder, ReportKind.WEEKLY, week, group)["rows"]
        if row["level"] == "line" and row["tests"] < 2
    }
    # The last is the live one, which has not begun.
    assert behind >= {"tram-01849-1", "tram-02071-1", "phu-thong-01"}
    assert len(behind) < len(OFFICES) / 2


def test_alerts_are_open_and_have_ended(folder: Path) -> None:
    alerts = AlertStore(folder / "alerts.sqlite")
    try:
        opened = {(one.key.kind, one.key.subject.probe) for one in alerts.newest(50, ended=False)}
        ended = alerts.newest(50, ended=True)
    finally:
        alerts.close()
    assert opened == {
        (AlertKind.PROBE_SILENT, "tram-02071-1"),
        (AlertKind.LINE_DOWN, "tram-02026-1"),
    }
    assert {one.key.kind for one in ended} == {AlertKind.LINE_DOWN}
    assert len(ended) >= 3
    for one in ended:
        assert one.ended_at is not None
        assert one.began_at < one.ended_at
