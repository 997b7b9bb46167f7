"""The page of the audit trail: in pages, in words, found by words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote_plus

import pytest

from collector.store.sqlite import SqliteStore
from collector.users.user import AuditEvent, Role, User
from collector.web import audit_view
from tests.unit.test_registry_page import Browser

NOW = datetime(2026, 11, 30, tzinfo=UTC)


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    with closing(SqliteStore(tmp_path / "results.sqlite")) as store:
        browser = Browser(store, tmp_path, "vi", user=User(name="centre", role=Role.CENTRE))
        for number in range(100):
            browser.users.record(
                AuditEvent(
                    at=NOW + timedelta(minutes=number),
                    user="lan" if number % 2 else "minh",
                    address="192.0.2.1",
                    action="withdraw_note" if number < 3 else "edit_registry",
                    subject=f"bach-thong/tram-{number:03}",
                    detail="Đổi gói cước",
                )
            )
        yield browser


def test_it_has_pages(browser: Browser) -> None:
    first, second = browser.get("/audit").text, browser.get("/audit?page=2").text
    subjects = [re.findall(r"bach-thong/tram-(\d{3})", text) for text in (first, second)]
    assert [len(found) for found in subjects] == [audit_view.ROWS_A_PAGE, 20]
    assert subjects[0][0] == "099", "the newest first"
    assert 'href="/audit?page=2"' in first


@pytest.mark.parametrize(
    ("find", "found"),
    [("rut ghi chu", 3), ("LAN rút ghi chú", 1), ("tram-042", 1), ("doi goi", 100), ("nobody", 0)],
)
def test_it_is_searched_by_words_as_people_type_them(
    browser: Browser, find: str, found: int
) -> None:
    page = browser.get(f"/audit?find={quote_plus(find)}")
    assert f"Số thao tác, mới nhất ở trên: {found}" in page.plain
    rows = browser.get(f"/audit.csv?find={quote_plus(find)}").text.splitlines()
    assert len(rows) == 1 + found, "the file has what the page finds"


def test_what_was_done_is_said_in_the_readers_language(browser: Browser) -> None:
    assert "Sửa sổ đăng ký edit_registry" in " ".join(browser.get("/audit").plain.split())
    assert "Changed the registry" in browser.get("/audit?lang=en").plain


def test_it_is_for_the_centre(tmp_path: Path) -> None:
    with closing(SqliteStore(tmp_path / "results.sqlite")) as store:
        other = Browser(store, tmp_path)
        assert other.get("/audit").status == other.get("/audit.xlsx").status == 403
