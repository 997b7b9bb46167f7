"""The pages of planned maintenance, asked as a browser does."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from collector.registry.planned_maintenance import (
    MaintenanceAction,
    MaintenanceScope,
    MaintenanceStatus,
)
from collector.rollup.periods import VIETNAM
from collector.store.sqlite import SqliteStore
from collector.users.user import Permission, Role, User
from collector.web.maintenance_view import commune_of, lines_by_scope, lines_concerned
from tests.unit.test_registry_page import Answer, Browser, registry

HOUR = timedelta(hours=1)
NOW = datetime(2026, 7, 25, 5, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(tmp_path / "results.sqlite")
    store.registry.apply(registry(), "centre", "registry.toml", NOW)
    yield store
    store.close()


@pytest.fixture
def browser(store: SqliteStore, tmp_path: Path) -> Browser:
    return Browser(store, tmp_path, "en")


def local(hours: int) -> str:
    """A time so many hours from now, as a form has it."""
    return (datetime.now(VIETNAM) + hours * HOUR).strftime("%Y-%m-%dT%H:%M")


def form(page: Answer, **changed: str) -> dict[str, str]:
    fields = {
        "token": page.field("token"),
        "isp": "vnpt",
        "place": "phu thong, thai nguyen",
        "line": "",
        "from": local(24),
        "to": local(28),
        "reason": "=VNPT nâng cấp cáp, công văn số 12",
        "note": "",
    }
    return fields | changed


def test_an_announcement_is_entered_corrected_and_withdrawn_and_nothing_is_lost(
    store: SqliteStore, browser: Browser
) -> None:
    page = browser.get("/maintenance")
    assert browser.post(form(page), path="/maintenance").status == 303
    (one,) = store.maintenance.read()
    assert one.current.scope == MaintenanceScope(isp="vnpt", place="01969")
    assert one.status is MaintenanceStatus.PLANNED
    path = f"/maintenance/{one.number}"
    shown = browser.get(path)
    assert "VNPT · Xã Phủ Thông" in shown.plain
    correct = form(shown, to=local(26), do="correct", last="1")
    assert browser.post(correct, path=path).status == 422, "without a reason"
    assert browser.post(correct | {"note": "Sooner done"}, path=path).status == 303
    assert browser.post(correct | {"do": "x", "note": "y"}, path=path).status == 400
    answer = browser.post(correct | {"note": "Not seen"}, path=path)
    assert answer.status == 422
    assert "Somebody has changed this meanwhile" in answer.plain
    assert "Not seen" in answer.text, "what was typed stays"
    assert answer.field("last") == "2"
    withdraw = {"token": correct["token"], "do": "withdraw", "note": "Put off", "last": "2"}
    refused = browser.post(withdraw | {"note": " "}, path=path)
    assert refused.status == 422
    assert local(26) in refused.text, "the form to correct it is not emptied"
    assert browser.post(withdraw, path=path).status == 303
    assert browser.post(withdraw, path=path).status == 422, "it is withdrawn"
    (one,) = store.maintenance.read()
    actions = [entry.action for entry in one.entries]
    assert actions == list(MaintenanceAction)
    assert one.entries[0].ends_at - one.entries[0].starts_at == 4 * HOUR
    shown = browser.get(path)
    for text in ("Announced", "Corrected", "Withdrawn", "Sooner done", "Put off", "lan"):
        assert text in shown.plain
    for number in ("9", "9" * 30, "9" * 5_000):
        assert browser.get(f"/maintenance/{number}").status == 404
    csv = browser.content("/maintenance.csv").decode()
    assert csv.count("\n") == 1, "what is withdrawn is over"


def test_a_table_of_announcements_leaves_as_a_file(store: SqliteStore, browser: Browser) -> None:
    fields = form(browser.get("/maintenance"))
    assert browser.post(fields, path="/maintenance").status == 303
    row = browser.content("/maintenance.csv").decode().splitlines()[1]
    assert "'=VNPT" in row, "no spreadsheet takes it for a formula"
    assert browser.content("/maintenance.xlsx").startswith(b"PK")
    assert len(store.maintenance.read()) == 1


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"isp": "", "place": ""}, "No scope"),
        ({"place": "nowhere at all"}, "Which place is not clear"),
        ({"line": "bach-thong/tram-01969-1/none"}, "The registry has no such line"),
        ({"line": "a/b"}, "The registry has no such line"),
        ({"from": "tomorrow"}, "A time is not a date and a time"),
        ({"from": "0001-01-01T00:00"}, "A time is not a date and a time"),
        ({"to": "9999-12-31T23:59"}, "within 31 days"),
        ({"to": local(20)}, "It ends after it begins"),
        ({"from": local(-24 * 100)}, "at most 92 days ago"),
        ({"reason": " "}, "What is done is needed"),
        ({"reason": "two\r\nlines"}, "one line each"),
        ({"reason": "nul \x00"}, "one line each"),
        ({"reason": "turned \u202e"}, "one line each"),
    ],
)
def test_what_is_refused_is_said_and_what_was_typed_stays(
    store: SqliteStore, browser: Browser, changed: dict[str, str], says: str
) -> None:
    fields = form(browser.get("/maintenance"), **changed)
    if "from" in changed and changed["from"].startswith("20"):
        fields["to"] = local(-24 * 100 + 2)
    answer = browser.post(fields, path="/maintenance")
    assert answer.status == 422
    assert says in answer.plain
    assert fields["to"] in answer.text
    assert store.maintenance.read() == []


def test_a_form_of_another_page_is_refused(browser: Browser) -> None:
    answer = browser.post(form(browser.get("/maintenance"), token="x"), path="/maintenance")
    assert answer.status == 403


@pytest.mark.parametrize(
    "scope",
    [
        MaintenanceScope(isp="vnpt"),
        MaintenanceScope(place="01969"),
        MaintenanceScope(isp="viettel", place="19"),
        MaintenanceScope(line="bach-thong/tram-01969-1/vnpt"),
        MaintenanceScope(line="bach-thong/tram-01969-1/none"),
        MaintenanceScope(isp="vnpt", line="bach-thong/tram-01969-1/viettel"),
        MaintenanceScope(),
    ],
)
def test_lines_are_counted_by_place_as_one_by_one(scope: MaintenanceScope) -> None:
    known = registry()
    one_by_one = sum(scope.covers(key, known) for key in known.lines())
    assert lines_concerned(scope, lines_by_scope(known), known) == one_by_one


@pytest.mark.parametrize(
    ("scope", "may"),
    [
        (MaintenanceScope(place="01969"), True),
        (MaintenanceScope(isp="vnpt", place="01969"), True),
        (MaintenanceScope(line="bach-thong/tram-01969-1/vnpt"), True),
        (MaintenanceScope(place="01981"), False),
        (MaintenanceScope(isp="vnpt"), False),
        (MaintenanceScope(place="19"), False),
    ],
)
def test_an_office_announces_for_its_own_commune(scope: MaintenanceScope, may: bool) -> None:
    office = User(name="lan", role=Role.OFFICE, communes=("01969",))
    commune = commune_of(scope, registry())
    assert office.may(Permission.ANNOUNCE_MAINTENANCE, commune) is may
    assert User(name="lan", role=Role.CENTRE).may(Permission.ANNOUNCE_MAINTENANCE, commune)
