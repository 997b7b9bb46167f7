"""Tables that are sorted and paged by the server, and the periods of pages."""

from __future__ import annotations

from datetime import date
from zoneinfo import ZoneInfo

import pytest

from collector.rollup.periods import Period
from collector.web import period_choice, table
from collector.web.presentation import Locale
from collector.web.query import links
from collector.web.table import ASCENDING, DESCENDING, Column, Sorting
from runtime.language import Language

VI = Locale(Language.VI, ZoneInfo("Asia/Ho_Chi_Minh"))
COLUMNS = (
    Column("down", "mean_down", ASCENDING, numeric=True),
    Column("latency", "mean_latency", DESCENDING, numeric=True),
    Column("when", "period", ""),
)
TODAY = date(2026, 11, 30)
LINK = links("/x", {"isp": "a&b", "page": "3"})


def test_the_first_click_puts_the_worst_first_and_the_second_turns_it_around() -> None:
    down, latency, when = table.heads(COLUMNS, Sorting(), LINK, VI)
    assert down.href == "/x?isp=a%26b&sort=down&order=asc"
    assert latency.href == "/x?isp=a%26b&sort=latency&order=desc"
    assert (when.href, when.state) == ("", "")
    _, again, _ = table.heads(COLUMNS, Sorting("latency", DESCENDING), LINK, VI)
    assert (again.href, again.state) == ("/x?isp=a%26b&sort=latency&order=asc", "descending")


@pytest.mark.parametrize("order", [ASCENDING, DESCENDING])
def test_what_is_not_known_comes_last(order: str) -> None:
    rows: list[int | None] = [3, None, 1, 2]
    expected = [1, 2, 3, None] if order == ASCENDING else [3, 2, 1, None]
    assert table.in_order(rows, lambda row: row, order) == expected


@pytest.mark.parametrize(("column", "order"), [("when", ""), ("nothing", ""), ("down", "up")])
def test_a_sorting_that_a_table_has_not_is_refused(column: str, order: str) -> None:
    with pytest.raises(ValueError, match=r"sort|order"):
        table.sorting(COLUMNS, column, order)


def test_pages_of_a_table() -> None:
    rows = list(range(95))
    page = table.page_of(rows, 99, 10)
    assert (page.number, page.pages, page.first, page.last, page.total) == (10, 10, 91, 95, 95)
    assert [link.text for link in table.page_links(page, LINK)] == ["1", "…", "8", "9", "10"]
    first = table.page_links(table.page_of(rows, 1, 10), LINK)
    assert [link.text for link in first] == ["1", "2", "3", "…", "10"]
    assert (first[0].href, first[0].current) == ("/x?isp=a%26b", True)
    assert table.page_links(table.page_of(rows, 1, 95), LINK) == []
    assert (table.page_of([], 1, 10).first, table.page_of([], 1, 10).last) == (0, 0)


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ({"period": "7"}, date(2026, 11, 24), TODAY),
        ({"days": "1"}, TODAY, TODAY),
        ({}, date(2026, 11, 1), TODAY),
        ({"period": "2026-W48"}, date(2026, 11, 23), date(2026, 11, 29)),
        ({"period": "2026-11"}, date(2026, 11, 1), date(2026, 11, 30)),
        ({"first": "2026-11-05", "last": "2026-11-20"}, date(2026, 11, 5), date(2026, 11, 20)),
        ({"first": "2026-11-05", "period": "7"}, date(2026, 11, 5), date(2026, 11, 5)),
    ],
)
def test_a_period_of_a_page(asked: dict[str, str], first: date, last: date) -> None:
    parameters = {"period": "", "days": "", "first": "", "last": ""} | asked
    chosen = period_choice.choose(**parameters, today=TODAY, default=30)
    assert chosen.period == Period(first, last)
    offered = [v for g in period_choice.groups(chosen, TODAY, VI) for _, v in g.options]
    assert offered.count(chosen.value) == 1
    again = period_choice.choose(chosen.value, "", "", "", TODAY, 30)
    assert again == chosen, "its value is its address"


@pytest.mark.parametrize(
    "asked",
    [
        {"period": "8"},
        {"days": "2026-11"},
        {"period": "2026-W60"},
        {"first": "2026-11-20", "last": "2026-11-05"},
        {"first": "2024-01-01", "last": "2026-01-01"},
        {"first": "x"},
    ],
)
def test_a_period_that_is_none_is_refused(asked: dict[str, str]) -> None:
    parameters = {"period": "", "days": "", "first": "", "last": ""} | asked
    with pytest.raises(ValueError, match=r"."):
        period_choice.choose(**parameters, today=TODAY, default=7)


def test_weeks_and_months_as_an_office_writes_them() -> None:
    assert period_choice.week_option(TODAY, VI) == ("Tuần 49/2026 (30/11–06/12)", "2026-W49")
    assert period_choice.month_option(TODAY, VI) == ("Tháng 11/2026", "2026-11")
