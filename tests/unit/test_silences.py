"""What people do about alerts: acknowledge, note, silence; in the store and on the pages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from collector.alerts.alert import AlertKind, Begin, End, Key, RuleResult, RuleState, Subject
from collector.alerts.alert_store import AlertLocation, AlertStore
from collector.alerts.notification import Transition
from collector.alerts.silence import Silence
from collector.store.sqlite import SqliteStore
from collector.users.user import PERMISSIONS, Permission, Role
from tests.unit.test_registry_page import Browser, registry

NOW = datetime(2026, 7, 25, 5, tzinfo=UTC)
LATER = NOW + timedelta(hours=5)
LINE = Subject("bach-thong", "tram-01969-1", "vnpt")
DOWN = Key(AlertKind.LINE_DOWN, LINE)
SILENCE = Silence(
    kind="line_down",
    tenant="bach-thong",
    probe="tram-01969-1",
    line="vnpt",
    starts_at=NOW - timedelta(hours=1),
    ends_at=NOW + timedelta(hours=3),
    author="lan",
    reason="Thay cáp quang",
)


def here(_: Subject) -> AlertLocation:
    return AlertLocation("01969", "Văn phòng UBND xã Phủ Thông")


def begin(store: AlertStore, key: Key = DOWN, at: datetime = NOW) -> None:
    store.write([Begin(RuleResult(key=key, state=RuleState.HOLDS), at)], ["mail"], here)


def due(store: AlertStore) -> list[Transition]:
    return [one.transition for one in store.pending("mail")]


@pytest.fixture
def alerts(tmp_path: Path) -> Iterator[AlertStore]:
    with closing(AlertStore(tmp_path / "alerts.sqlite")) as store:
        yield store


def test_a_silenced_alert_is_stored_and_nobody_is_notified(alerts: AlertStore) -> None:
    alerts.write_silence(SILENCE)
    begin(alerts)
    assert list(alerts.open_alerts()) == [DOWN]
    assert due(alerts) == []
    alerts.write([End(DOWN, NOW + timedelta(hours=1))], ["mail"], here)
    assert due(alerts) == [], "nor of the end of what nobody was notified of"


def test_what_is_still_open_when_the_silence_ends_is_notified_then(alerts: AlertStore) -> None:
    alerts.write_silence(SILENCE)
    begin(alerts)
    opened = alerts.open_alerts().values()
    alerts.release(list(opened), ["mail"], NOW + timedelta(hours=2))
    assert due(alerts) == []
    for _ in range(2):
        alerts.release(list(opened), ["mail"], LATER)
        assert due(alerts) == [Transition.BEGIN], "once"
    alerts.mark_delivered("mail", alerts.pending("mail"))
    alerts.release(list(opened), ["mail"], LATER)
    assert due(alerts) == []
    alerts.write([End(DOWN, LATER)], ["mail"], here)
    assert due(alerts) == [Transition.END]


def test_the_end_of_what_was_notified_before_the_silence_is_notified(alerts: AlertStore) -> None:
    begin(alerts, at=NOW - timedelta(hours=2))
    alerts.mark_delivered("mail", alerts.pending("mail"))
    alerts.write_silence(SILENCE)
    alerts.write([End(DOWN, NOW)], ["mail"], here)
    assert due(alerts) == [Transition.END]


@pytest.mark.parametrize(
    ("key", "silenced"),
    [
        (Key(AlertKind.LINE_DOWN, Subject("bach-thong", "tram-01969-1", "viettel")), False),
        (Key(AlertKind.PLAN_MISSED, LINE), False),
        (Key(AlertKind.LINE_DOWN, Subject("other", "tram-01969-1", "vnpt")), False),
        (DOWN, True),
    ],
)
def test_a_silence_covers_what_it_names(alerts: AlertStore, key: Key, silenced: bool) -> None:
    alerts.write_silence(SILENCE)
    begin(alerts, key)
    assert due(alerts) == ([] if silenced else [Transition.BEGIN])


def test_a_silence_is_ended_before_its_time(alerts: AlertStore) -> None:
    alerts.write_silence(SILENCE)
    (silence,) = alerts.silences(NOW)
    alerts.end_silence(silence.number, NOW)
    assert alerts.silences(NOW) == []
    begin(alerts)
    assert due(alerts) == [Transition.BEGIN]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(tmp_path / "results.sqlite")
    store.registry.apply(registry(), "centre", "registry.toml", NOW)
    yield store
    store.close()


def test_an_alert_is_acknowledged_noted_and_silenced_on_its_page(
    store: SqliteStore, alerts: AlertStore, tmp_path: Path
) -> None:
    begin(alerts, at=datetime.now(UTC))
    browser = Browser(store, tmp_path, "en", alerts)
    page = browser.get("/alerts/1")
    assert page.status == 200
    fields = {"token": page.field("token")}
    done = browser.post(fields | {"do": "acknowledge", "text": "Called VNPT"}, path="/alerts/1")
    assert done.status == 303
    assert browser.post(fields | {"do": "note", "text": " "}, path="/alerts/1").status == 422
    silence = fields | {"do": "silence", "text": "New cable", "hours": "72", "scope": "probe"}
    assert browser.post(silence | {"hours": "73"}, path="/alerts/1").status == 400
    assert browser.post(silence | {"text": ""}, path="/alerts/1").status == 422
    assert browser.post(silence, path="/alerts/1").status == 303
    (made,) = alerts.silences(datetime.now(UTC))
    assert (made.kind, made.line, made.author, made.reason) == ("", "", "lan", "New cable")
    for path in ("/alerts/1", "/alerts"):
        shown = browser.get(path).text
        assert "Silenced until" in shown
        assert "Acknowledged" in shown
        assert "lan" in shown
    assert browser.post(fields, path=f"/alerts/silences/{made.number}").status == 303
    assert alerts.silences(datetime.now(UTC)) == []
    assert browser.post(fields, path=f"/alerts/silences/{made.number}").status == 404
    assert browser.get("/alerts/2").status == 404
    assert browser.post({"token": "x", "do": "note", "text": "y"}, path="/alerts/1").status == 403


def test_every_role_may_handle_alerts() -> None:
    assert all(Permission.HANDLE_ALERTS in PERMISSIONS[role] for role in Role)
