"""The alerts page of a centre with many alerts: filters, sorting, pages."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from collector.alerts.alert import AlertKind, Begin, End, Key, RuleResult, RuleState, Subject
from collector.alerts.alert_store import AlertLocation, AlertStore
from collector.domain import thresholds_file
from collector.domain.read_model import ReadModel
from collector.ingest.status import IngestStatus
from collector.registry.communes import official
from collector.registry.file_format import parse_toml
from collector.store.sqlite import SqliteStore
from collector.users.user_store import UserStore
from collector.web.app import Web
from collector.web.change_signal import ChangeSignal
from tests.seeded_centre import REGISTRY

NOW = datetime(2026, 7, 25, 5, tzinfo=UTC)
MANY = 230


class Centre:
    """Its pages, asked as a browser does."""

    def __init__(self, folder: Path) -> None:
        store = SqliteStore(folder / "results.sqlite")
        registry = parse_toml(REGISTRY.encode(), "registry.toml", official())
        store.registry.apply(registry, "test", "test", NOW)
        self.alerts = AlertStore(folder / "alerts.sqlite")
        self._app = Web(
            ReadModel(store, thresholds_file.read()),
            ChangeSignal(),
            IngestStatus,
            "Asia/Ho_Chi_Minh",
            UserStore(folder / "people.sqlite"),
            alerts=self.alerts,
        ).application()

    def rows(self, query: str = "") -> list[str]:
        """The rows of the table, as text."""
        status, page = self.get(query)
        assert status == 200, page
        body = page.partition("<tbody")[2].partition("</tbody>")[0]
        rows = [re.sub(r"<[^>]*>", " ", row) for row in body.split("<tr")[1:]]
        return [" ".join(row.split()) for row in rows]

    def get(self, query: str = "") -> tuple[int, str]:
        status, body = self.file("/alerts", query)
        return status, body.decode()

    def file(self, path: str, query: str = "") -> tuple[int, bytes]:
        return asyncio.run(self._get(path, query))

    async def _get(self, path: str, query: str) -> tuple[int, bytes]:
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http", "http_version": "1.1", "method": "GET", "scheme": "http",
            "path": path, "raw_path": path.encode(), "query_string": query.encode(),
            "headers": [(b"host", b"centre")], "client": ("127.0.0.1", 1), "server": ("centre", 80),
        }  # fmt: skip
        await self._app(scope, receive, send)
        body = b"".join(message.get("body", b"") for message in sent)
        return sent[0]["status"], body


def begun(kind: AlertKind, probe: str, line: str, since: datetime) -> Begin:
    key = Key(kind, Subject("bach-thong", probe, line))
    return Begin(RuleResult(key=key, state=RuleState.HOLDS, since=since), since)


@pytest.fixture
def centre(tmp_path: Path) -> Iterator[Centre]:
    made = Centre(tmp_path)
    down = [
        begun(AlertKind.LINE_DOWN, f"tram-{number:05}", "vnpt", NOW + timedelta(minutes=number))
        for number in range(MANY)
    ]
    known = begun(AlertKind.PROBE_SILENT, "tram-01981-1", "", NOW - timedelta(days=3))
    ended = begun(AlertKind.LINE_DOWN, "tram-01969-1", "viettel", NOW - timedelta(days=1))
    made.alerts.write(
        [*down, known, ended, End(ended.result.key, NOW)], (), lambda _: AlertLocation(None, "UBND")
    )
    yield made
    made.alerts.close()


def test_many_alerts_are_in_pages(centre: Centre) -> None:
    pages = [centre.rows(f"lang=en&page={number}") for number in (1, 2, 3)]
    assert [len(rows) for rows in pages] == [100, 100, 31]
    assert len({row for rows in pages for row in rows}) == MANY + 1
    assert centre.rows("lang=en&page=99") == pages[2]


def test_alerts_are_narrowed(centre: Centre) -> None:
    (silent,) = centre.rows("lang=en&kind=probe_silent")
    assert "Probe silent" in silent
    assert "Xã Vĩnh Thông, Tỉnh Thái Nguyên" in silent
    (ended,) = centre.rows("lang=en&state=ended")
    assert "tram-01969-1, viettel" in ended
    assert len(centre.rows("lang=en&province=19")) == 1, "the others' place is not known"
    assert len(centre.rows("lang=en&province=19&state=all")) == 2
    assert len(centre.rows("lang=en&group=bach-thong-cu&state=all&isp=vnpt")) == 1
    assert "none" in centre.rows("lang=en&kind=certificate_expiring")[0].lower()
    for query in ("kind=x", "state=x", "isp=x", "province=99", "sort=detail", "page=0"):
        assert centre.get(query)[0] == 400


def test_alerts_are_sorted(centre: Centre) -> None:
    oldest = centre.rows("lang=en&sort=began")[0]
    assert "Probe silent" in oldest
    assert centre.rows("lang=en&sort=began&order=desc&page=3")[-1] == oldest
