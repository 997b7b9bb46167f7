"""The campaign's tables: sorted by each column, in files of the same week and order."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from contextlib import closing
from html import unescape
from pathlib import Path

import pytest

from collector.store.sqlite import SqliteStore
from tests.unit.test_registry_page import NOW, Browser, registry


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    with closing(SqliteStore(tmp_path / "results.sqlite")) as store:
        store.registry.apply(registry(), "centre", "registry.toml", NOW)
        yield Browser(store, tmp_path, "vi")


def column(text: str, name: str) -> list[str]:
    return [row[name] for row in csv.DictReader(io.StringIO(text))]


def file_link(page: str, path: str) -> str:
    (found,) = re.findall(rf'href="({re.escape(path)}[^"]*)"', page)
    return str(unescape(found))


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_offices_and_communes_are_sorted_each_for_itself(browser: Browser, order: str) -> None:
    week = re.findall(r'<option value="(\d{4}-W\d\d)"', browser.get("/campaign").text)[3]
    address = f"/campaign?week={week}&sort=office&order={order}&short_sort=name&short_order=asc"
    page = browser.get(address).text
    offices = column(browser.get(file_link(page, "/campaign.csv")).text, "office")
    assert len(set(offices)) > 1
    assert (offices == sorted(offices)) is (order == "asc")
    file = browser.get(file_link(page, "/campaign/communes.csv")).text
    communes = column(file, "commune")
    assert communes == sorted(communes)
    assert len(communes) > 1
    shown = re.findall(r'<th[^>]*><a href="/commune/[^>]*>([^<]*)', page)
    assert shown == communes, "the page has the order of its file"
    # Each of the two tables' heads keeps the week and the order of the other one.
    sorts = [unescape(link) for link in re.findall(r'class="sort" href="([^"]*)"', page)]
    assert all(f"week={week}" in link for link in sorts)
    other = next(link for link in sorts if "short_sort=samples" in link)
    assert f"sort=office&order={order}" in other


def test_a_column_that_is_not_there_is_refused(browser: Browser) -> None:
    assert browser.get("/campaign?sort=gone").status == 400
    assert browser.get("/campaign?short_sort=office").status == 400


def test_the_communes_file_is_of_the_month_of_the_week(browser: Browser) -> None:
    weeks = re.findall(r'<option value="(\d{4}-W\d\d)"', browser.get("/campaign").text)
    page = browser.get(f"/campaign?week={weeks[-1]}").text
    (shown,) = set(re.findall(r"Xã chưa đủ mẫu trong tháng (\d\d/\d{4})", page))
    months = set(column(browser.get(file_link(page, "/campaign/communes.csv")).text, "month"))
    assert months == {f"{shown[3:]}-{shown[:2]}"}
