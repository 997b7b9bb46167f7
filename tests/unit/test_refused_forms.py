"""A form that is refused comes back with what was typed and why, in the reader's language."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path

import pytest

from collector.alerts.alert import AlertKind, Begin, Key, RuleResult, RuleState, Subject
from collector.alerts.alert_store import AlertLocation, AlertStore
from collector.store.sqlite import SqliteStore
from collector.users.user import Role, User
from collector.web.chart_view import local_text
from tests.unit.test_notes import ADDRESS, KEY
from tests.unit.test_registry_page import Answer, Browser, registry

NOW = datetime.now(UTC)
TEXT = "Thay modem ở <tầng 2>"
CENTRE = User(name="minh", role=Role.CENTRE)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    with closing(SqliteStore(tmp_path / "results.sqlite")) as store:
        store.registry.apply(registry(), "centre", "registry.toml", NOW - timedelta(days=9))
        yield store


@pytest.fixture
def alerts(tmp_path: Path) -> Iterator[AlertStore]:
    with closing(AlertStore(tmp_path / "alerts.sqlite")) as store:
        subject = Subject("bach-thong", "tram-01969-1", "vnpt")
        holds = RuleResult(key=Key(AlertKind.LINE_DOWN, subject), state=RuleState.HOLDS)
        store.write([Begin(holds, NOW)], [], lambda _: AlertLocation("01969", ""))
        yield store


def typed(browser: Browser) -> dict[str, str]:
    return {
        "token": browser.get(ADDRESS).field("token"),
        "starts": local_text(NOW),
        "text": TEXT,
        "back": f"{ADDRESS}?days=30",
    }


def filled(answer: Answer, name: str) -> str:
    """What an input of the page's last form holds."""
    held = re.findall(rf'name="{name}"[^>]* value="([^"]*)"', answer.text)
    return unescape(held[-1])


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"text": "x" * 301}, "Cần nội dung từ 1 đến 300 ký tự."),
        ({"text": "hai\ndòng"}, "Nội dung phải là một dòng"),
        ({"starts": "hôm qua"}, "Thời gian không đúng dạng"),
        ({"ends": "2026-01-01T00:00"}, "Lúc kết thúc phải sau lúc bắt đầu"),
    ],
)
def test_a_refused_note_comes_back(
    store: SqliteStore, tmp_path: Path, changed: dict[str, str], why: str
) -> None:
    lan = Browser(store, tmp_path, "vi")
    sent = typed(lan) | changed
    again = lan.post(sent, path=f"{ADDRESS}/notes?lang=vi")
    assert again.status == 422
    assert why in again.plain
    assert [filled(again, name) for name in ("text", "starts", "back")] == [
        sent[name] for name in ("text", "starts", "back")
    ]
    mended = sent | {"text": TEXT, "starts": local_text(NOW), "ends": ""}
    assert lan.post(mended | {"token": again.field("token")}, path=f"{ADDRESS}/notes").status == 303


def test_a_note_that_somebody_else_corrected_shows_both_texts(
    store: SqliteStore, tmp_path: Path
) -> None:
    lan, minh = Browser(store, tmp_path), Browser(store, tmp_path, user=CENTRE)
    assert lan.post(typed(lan), path=f"{ADDRESS}/notes").status == 303
    (note,) = store.notes.of_line(KEY)
    own, seen = f"{ADDRESS}/notes/{note.number}", {"do": "correct", "last": str(note.last.number)}
    assert minh.post(typed(minh) | seen | {"text": "Router mới"}, path=own).status == 303
    again = lan.post(typed(lan) | seen | {"text": "Switch mới"}, path=own)
    assert again.status == 409
    assert "Router mới" in again.plain
    assert filled(again, "text") == "Switch mới"
    last = {"last": filled(again, "last"), "text": filled(again, "text")}
    assert lan.post(typed(lan) | seen | last, path=own).status == 303
    (note,) = store.notes.of_line(KEY)
    assert [one.text for one in note.entries] == [TEXT, "Router mới", "Switch mới"]


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"do": "note", "text": " "}, "cần nội dung từ 1 đến 500 ký tự"),
        ({"do": "note", "text": "x" * 501}, "dài quá 500 ký tự"),
        ({"do": "acknowledge", "text": "x" * 501}, "dài quá 500 ký tự"),
        ({"do": "silence", "text": "", "hours": "72"}, "cần nội dung từ 1 đến 500 ký tự"),
        (
            {"do": "silence", "text": "x" * 501, "hours": "168", "scope": "probe"},
            "dài quá 500 ký tự",
        ),
    ],
)
def test_a_refused_note_or_silence_of_an_alert_comes_back(
    store: SqliteStore, alerts: AlertStore, tmp_path: Path, fields: dict[str, str], why: str
) -> None:
    lan = Browser(store, tmp_path, "vi", alerts)
    token = {"token": lan.get("/alerts/1").field("token")}
    again = lan.post(fields | token, path="/alerts/1?lang=vi")
    assert again.status == 422
    assert why in again.plain
    assert fields["text"].strip() in again.text
    assert ("hours" not in fields) or f'value="{fields["hours"]}" selected' in again.text
    assert ("scope" not in fields) or 'value="probe" selected' in again.text
    assert alerts.notes([1]) == {}


def test_line_ends_count_as_the_browser_counts_them(
    store: SqliteStore, alerts: AlertStore, tmp_path: Path
) -> None:
    lan = Browser(store, tmp_path, "vi", alerts)
    fields = {"token": lan.get("/alerts/1").field("token"), "do": "note"}
    text = "\r\n".join(["x"] * 250)
    assert lan.post(fields | {"text": text}, path="/alerts/1").status == 303
    ((note,),) = alerts.notes([1]).values()
    assert len(note.text) == 499


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"{ADDRESS}/notes", 401),
        ("/line/bach-thong/tram-01969-1/gone/notes", 404),
        (f"{ADDRESS}/notes/7", 404),
        ("/maintenance", 403),
    ],
)
def test_what_was_written_is_given_back_where_there_is_no_form(
    store: SqliteStore, tmp_path: Path, path: str, status: int
) -> None:
    lan = Browser(store, tmp_path, "vi")
    sent = typed(lan) | {"do": "correct", "reason": TEXT}
    if status == 401:
        lan.users.end_sessions("lan")
    if status == 403:
        sent["token"] = "of another session"
    answer = lan.post(sent, path=f"{path}?lang=vi")
    assert answer.status == status
    assert "Nội dung bạn đã nhập" in answer.plain
    assert "Thay modem ở &lt;tầng 2&gt;" in answer.text
    assert sent["token"] not in answer.text
    other = lan.post(sent, path=path, origin="cross-site")
    assert other.status in (status, 403)
    assert "Thay modem" not in other.text, "a page of another origin has nothing shown here"


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/?from=2026-11-20&to=2026-11-10", "ngày đầu không được sau ngày cuối"),
        ("/isps?from=2024-01-01&to=2026-11-10", "dài nhất 366 ngày"),
        (f"{ADDRESS}/chart?from=2026-11-20T08:00&to=2026-11-20T07:00", "từ 6 giờ đến 366 ngày"),
        ("/?isp=gone", "không còn trong sổ đăng ký: gone"),
        ("/campaign?week=2020-W01", "không còn trong sổ đăng ký: 2020-W01"),
        ("/alerts?sort=gone", "không còn trong sổ đăng ký: gone"),
        ("/?page=x", "không còn trong sổ đăng ký: x"),
    ],
)
def test_a_choice_that_is_refused_is_named_in_the_readers_language(
    store: SqliteStore, alerts: AlertStore, tmp_path: Path, path: str, why: str
) -> None:
    page = Browser(store, tmp_path, "vi", alerts).get(path)
    assert page.status == 400
    assert why in page.plain
    assert "`" not in page.plain, "no sentence for programs"
    assert f'href="{path.partition("?")[0]}">Mở lại trang này' in page.text


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        (
            "/isps?sort=down&order=asc&province=19",
            {"sort": "down", "order": "asc", "province": "19"},
        ),
        ("/commune/01969?colour=plan", {"colour": "plan"}),
        (f"/compare?a=line:{'/'.join(KEY)}&period=2026-10", {"period": "2026-10"}),
        (f"{ADDRESS}?period=2026-10", {"period": "2026-10"}),
    ],
)
def test_each_form_of_a_page_keeps_the_other_choices(
    store: SqliteStore, tmp_path: Path, path: str, kept: dict[str, str]
) -> None:
    page = Browser(store, tmp_path, "vi").get(path).text
    main = page[page.index("<main") :]
    forms = re.findall(r'<form class="filters" method="get".*?</form>', main, re.DOTALL)
    assert len(forms) > 1
    for form in forms:
        for name, value in kept.items():
            if name == "colour" and "/compare" in form:
                continue  # of a map, which that page has not
            chooses_itself = name == "period" and re.search('type="date"', form)
            sent = re.search(
                rf'name="{name}"(?: value="{value}"|.*value="{value}" selected)', form, re.DOTALL
            )
            assert sent or chooses_itself, (name, form)


@pytest.mark.parametrize("do", ["draft", "issue"])
@pytest.mark.parametrize(
    ("sent", "why"),
    [({"area": "Xã Không Có"}, "Địa bàn này chưa có"), ({"area": "Hoà Bình"}, "Phường Hoà Bình")],
)
def test_a_report_that_is_refused_keeps_what_was_asked_for(
    store: SqliteStore, tmp_path: Path, do: str, sent: dict[str, str], why: str
) -> None:
    centre = Browser(store, tmp_path, "vi", user=CENTRE)
    page = centre.get("/papers")
    what = re.findall(r'<option value="(monthly:[^"]*)"', page.text)[1]
    fields = {"token": page.field("token"), "what": what, "format": "xlsx", "do": do}
    again = centre.post(fields | sent, path="/papers")
    assert again.status == 422
    assert why in again.plain
    assert filled(again, "area") == sent["area"]
    assert f'value="{what}" selected' in again.text
    assert 'value="xlsx" selected' in again.text


def test_an_address_fills_the_form_of_reports_in(store: SqliteStore, tmp_path: Path) -> None:
    centre = Browser(store, tmp_path, "vi", user=CENTRE)
    what = re.findall(r'<option value="(weekly:[^"]*)"', centre.get("/papers").text)[2]
    page = centre.get(f"/papers?what={what}&area=X%C3%A3+Ph%E1%BB%A7+Th%C3%B4ng&format=csv")
    assert filled(page, "area") == "Xã Phủ Thông"
    assert f'value="{what}" selected' in page.text
    assert 'value="csv" selected' in page.text


def test_a_bulletin_as_pdf_is_refused_on_the_page(store: SqliteStore, tmp_path: Path) -> None:
    centre = Browser(store, tmp_path, "vi", user=CENTRE)
    page = centre.get("/papers")
    what = re.findall(r'<option value="(bulletin:[^"]*)"', page.text)[0]
    fields = {"token": page.field("token"), "what": what, "format": "pdf", "do": "draft"}
    again = centre.post(fields, path="/papers")
    assert (again.status, "bản tin chỉ có TXT và JSON" in again.plain) == (400, True)
