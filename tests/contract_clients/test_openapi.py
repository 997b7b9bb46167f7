"""The OpenAPI document of a real collector, tried by schemathesis: whatever the document allows is
answered as it says, and what it does not allow is refused as it says.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from collector.domain.lines import known_lines
from collector.open_data.publish import MonthPublisher
from collector.open_data.signing_key import load_or_create
from collector.rollup.periods import month_of
from collector.store.sqlite import SqliteStore
from tests import broker as brokers
from tests import seeded_centre
from tests.broker import Broker
from tests.client import eventually
from tests.collector_process import CollectorProcess
from tests.contract_clients.clients import packages_installed

pytestmark = pytest.mark.skipif(brokers.why_not() is not None, reason=str(brokers.why_not()))

LOCKED = Path(__file__).parents[2] / "requirements" / "schemathesis.txt"
_SEED, _EXAMPLES, _LIMIT_S = 20_261_130, 8, 300
_SEEDED_DAYS = 1


class Centre:
    """A seeded collector that has published a month, and its document."""

    def __init__(self, collector: CollectorProcess, month: str) -> None:
        self.url = collector.url
        status, self.document = collector.get("/api/openapi.json")
        assert status == 200
        self.known = {
            "province": ["19"],
            "group": ["bach-thong-cu"],
            "isp": ["vnpt", "viettel"],
            "tenant": [seeded_centre.TENANT],
            "probe": ["tram-01969-1"],
            "line": ["vnpt", "viettel"],
            "path": [
                "key.pem",
                f"{month}/datapackage.json",
                f"{month}/SHA256SUMS",
                f"{month}/lines.csv.gz",
            ],
        }

    def document_with_what_is_known(self) -> dict[str, Any]:
        """The document whose parameters have the values that this registry knows.

        Without, what schemathesis makes up names no group and no line: nothing would be answered.
        """
        document: dict[str, Any] = json.loads(json.dumps(self.document))
        named = set()
        for item in document["paths"].values():
            for parameter in item["get"]["parameters"]:
                if (name := parameter["name"]) in self.known:
                    named.add(name)
                    # An empty filter is none.
                    none = [""] if parameter["in"] == "query" else []
                    parameter["schema"]["enum"] = [*none, *self.known[name]]
        assert named == set(self.known)
        return document


@pytest.fixture(scope="module")
def centre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Centre]:
    folder, now = tmp_path_factory.mktemp("centre"), datetime.now(UTC)
    month = month_of(date(now.year, now.month, 1) - timedelta(days=1))
    name = f"{month.first:%Y-%m}"
    with closing(SqliteStore(folder / "results.sqlite")) as store:
        seeded_centre.fill(store, now, days=_SEEDED_DAYS)
        key = load_or_create(folder / "open-data.key")
        lines = known_lines(store.registry.read(), store.probes())
        MonthPublisher(store, lines, key, folder / "open", "0.2.0").publish(month, now)
    tables = {"open_data": {"path": str(folder / "open")}}
    with (
        Broker(folder / "broker") as broker,
        CollectorProcess(folder, broker.config(), tables=tables) as collector,
    ):
        eventually(lambda: collector.get("/healthz")[0] == 200, "the collector is connected", 60.0)
        yield Centre(collector, name)


def test_whatever_the_document_allows_is_answered_as_it_says(
    centre: Centre, tmp_path: Path
) -> None:
    document, report = tmp_path / "openapi.json", tmp_path / "report.json"
    document.write_text(json.dumps(centre.document_with_what_is_known()), encoding="utf-8")
    done = subprocess.run(
        [
            packages_installed(LOCKED) / "schemathesis", "run", document, "--url", centre.url,
            "--seed", str(_SEED), "--max-examples", str(_EXAMPLES), "--workers", "2",
            "--phases", "examples,coverage,fuzzing", "--generation-database", "none",
            "--request-timeout", "60", "--suppress-health-check", "all",
            "--report", "ndjson", "--report-ndjson-path", report, "--no-color",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=_LIMIT_S,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    operations = len(centre.document["paths"])
    assert f"Selected: {operations}/{operations}" in done.stdout, done.stdout
