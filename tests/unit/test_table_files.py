"""Every page with a table has it as CSV and XLSX: all rows, no formulas, for who may read it."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html import unescape
from uuid import UUID

import openpyxl
import pytest

from collector.ingest.validation import validate
from collector.registry.file_format import CSV_COLUMNS, parse_csv
from collector.rollup.periods import VIETNAM
from collector.store.sqlite import SqliteStore
from collector.users.user import AuditEvent
from collector.web.presentation import Locale
from collector.web.responses import file_response
from collector.web.table_files import audit_table
from runtime.language import Language
from tests import samples, seeded_centre
from tests.unit.test_registry_page import Browser
from wire import topics

LINE = "/line/bach-thong/tram-01969-1/vnpt"


def _outage(store: SqliteStore, now: datetime) -> None:
    """Seven minutes of yesterday in which the line was down, its hour and its outage."""
    began_at = (now - timedelta(days=1)).replace(minute=20, second=0, microsecond=0)
    hour = samples.availability(started_at=began_at.replace(minute=0), up=53, down=7, unknown=0)
    outage = samples.outage(began_at=began_at)
    epoch = UUID(int=7, version=4)
    batch = [
        validate(
            topics.measurement(samples.TENANT, samples.PROBE, result.kind),
            samples.envelope([(number, result)], epoch=epoch, sent_at=now),
            now,
        )
        for number, result in enumerate((hour, outage), start=1)
    ]
    store.store_batch(batch, now)
    while store.roll_up(now):
        pass


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqliteStore]:
    made = SqliteStore(tmp_path_factory.mktemp("centre") / "results.sqlite")
    seeded_centre.fill(made, datetime.now(UTC), days=3)
    _outage(made, datetime.now(UTC))
    yield made
    made.close()


@pytest.fixture(scope="module")
def browser(store: SqliteStore, tmp_path_factory: pytest.TempPathFactory) -> Browser:
    return Browser(store, tmp_path_factory.mktemp("browser"), "en")


def rows(browser: Browser, path: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(browser.content(path).decode())))


@pytest.mark.parametrize(
    ("page", "file"),
    [
        ("/commune/01969?period=30", "/commune/01969"),
        ("/probe/bach-thong/tram-01969-1", "/probe/bach-thong/tram-01969-1"),
        ("/campaign", "/campaign/communes"),
        ("/registry?isp=vnpt", "/registry"),
        ("/registry/changes", "/registry/changes"),
        ("/system", "/system"),
        ("/search?q=thong", "/search"),
    ],
)
def test_a_page_links_to_its_table_as_files(browser: Browser, page: str, file: str) -> None:
    links = re.findall(rf'href="({re.escape(file)}\.(?:csv|xlsx)[^"]*)"', browser.get(page).text)
    assert len(links) == 2
    for link in map(unescape, links):
        content = browser.content(link)
        if ".xlsx" in link:
            sheet = openpyxl.load_workbook(io.BytesIO(content)).active
            assert sheet is not None
            assert sheet.max_row > 1
        else:
            assert len(content.decode().splitlines()) > 1


def test_lines_of_a_commune_and_a_probe(browser: Browser) -> None:
    of_commune = rows(browser, "/commune/01969.csv?period=30")
    assert {row["commune_code"] for row in of_commune} == {"01969"}
    assert {row["line"] for row in of_commune} == {"vnpt", "viettel"}
    assert all(float(row["rtt_loaded_ms"]) > float(row["rtt_mean_ms"]) for row in of_commune)
    of_probe = rows(browser, "/probe/bach-thong/tram-01981-1.csv")
    assert {row["probe"] for row in of_probe} == {"bach-thong/tram-01981-1"}
    for missing in ("/commune/99999.csv", "/probe/bach-thong/none.csv", f"{LINE}x/outages.csv"):
        assert browser.get(missing).status == 404


def test_outages_of_a_line(browser: Browser) -> None:
    found = rows(browser, f"{LINE}/outages.csv?period=30")
    assert [row["down_minutes"] for row in found] == ["7"]
    assert [row["fault"] for row in found] == ["The Internet provider's access line"]
    assert found[0].keys() == {
        "from", "down_minutes", "unknown_minutes", "planned_down_minutes", "fault",
    }  # fmt: skip
    assert all(row["from"].endswith("+07:00") for row in found)


def test_the_registry_s_file_is_one_that_the_registry_takes(
    store: SqliteStore, browser: Browser
) -> None:
    known = store.registry.read()
    text = browser.content("/registry.csv").decode()
    assert text.splitlines()[0].split(",") == list(CSV_COLUMNS)
    assert parse_csv(text, "registry.csv", known).probes == known.probes
    of_vnpt = rows(browser, "/registry.csv?isp=vnpt&find=phu+thong")
    assert {row["probe"] for row in of_vnpt} == {"tram-01969-1"}


def test_who_may_not_read_a_table_gets_no_file_of_it(browser: Browser) -> None:
    assert browser.get("/audit.csv").status == 403
    assert browser.get("/audit.xlsx").status == 403


def test_no_text_of_a_user_becomes_a_formula() -> None:
    event = AuditEvent(
        at=datetime(2026, 7, 25, 5, tzinfo=UTC), user="lan", address="192.0.2.1",
        action="note", subject="alert 1", detail='=HYPERLINK("http://example.org")',
    )  # fmt: skip
    table = audit_table([event], Locale(Language.VI, VIETNAM))
    (row,) = csv.DictReader(io.StringIO(bytes(file_response(table, "/audit.csv").body).decode()))
    assert row["detail"].startswith("'=")
    assert row["at"] == "2026-07-25T12:00:00+07:00"
    book = openpyxl.load_workbook(io.BytesIO(bytes(file_response(table, "/audit.xlsx").body)))
    assert book.active is not None
    assert book.active["F2"].data_type == "s"


def test_issued_reports(browser: Browser) -> None:
    assert browser.content("/papers.csv").decode().startswith("report,area_id,area,first_day")
