"""Floor 1. A table that is sorted by its columns' heads and shown in pages, all on the server.

The first click on a head puts the worst first, the second turns the order around. What is not known
comes last either way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from msgspec import Struct

from collector.web.presentation import Locale

T = TypeVar("T")
ASCENDING, DESCENDING = "asc", "desc"
# Of the address of this page with other parameters.
Link = Callable[[Mapping[str, str]], str]


class Column(NamedTuple):
    """A column; `worst` is the order that puts the worst first, "" where it cannot be sorted."""

    name: str
    label: str
    worst: str = ASCENDING
    numeric: bool = False


class Sorting(NamedTuple):
    """By which column, "" for the page's own order, and in which order."""

    column: str = ""
    order: str = ASCENDING


class Head(NamedTuple):
    """A column's head as shown; `state` is that of `aria-sort`."""

    text: str
    numeric: bool
    href: str = ""
    state: str = ""


class PageLink(NamedTuple):
    """A link to a page of the table; without `href` it is a gap or this page."""

    text: str
    href: str
    current: bool = False


class TablePage(Struct, Generic[T], frozen=True, kw_only=True):
    """A page of a table: its rows, and which of all rows they are (from 1)."""

    rows: Sequence[T]
    number: int
    pages: int
    first: int
    last: int
    total: int


def sorting(columns: Sequence[Column], column: str, order: str) -> Sorting:
    """The sorting of the parameters `sort` and `order`.

    Raises:
        ValueError: the table cannot be sorted so; a sentence.
    """
    if not column:
        return Sorting()
    found = next((one for one in columns if one.name == column and one.worst), None)
    if found is None:
        raise ValueError(f"`sort` is not known: {column[:80]}")
    if order not in {"", ASCENDING, DESCENDING}:
        raise ValueError(f"`order` is {ASCENDING} or {DESCENDING}")
    return Sorting(column, order or found.worst)


def in_order(rows: Sequence[T], key: Callable[[T], Any], order: str) -> list[T]:
    """Rows by a key; those of which it is None come last. Equal ones stay as they are."""
    keyed = [(key(row), row) for row in rows]
    known = [pair for pair in keyed if pair[0] is not None]
    known.sort(key=lambda pair: pair[0], reverse=order == DESCENDING)
    return [row for _, row in known] + [row for value, row in keyed if value is None]


def page_of(rows: Sequence[T], number: int, size: int) -> TablePage[T]:
    """A page of rows; the last one where there are fewer pages."""
    pages = max(1, -(-len(rows) // size))
    number = min(number, pages)
    begin = (number - 1) * size
    shown = rows[begin : begin + size]
    return TablePage(
        rows=shown,
        number=number,
        pages=pages,
        first=begin + 1 if shown else 0,
        last=begin + len(shown),
        total=len(rows),
    )


def heads(columns: Sequence[Column], sorted_by: Sorting, link: Link, locale: Locale) -> list[Head]:
    """The heads of a table, each with the link that sorts by it."""
    return [_head(column, sorted_by, link, locale) for column in columns]


def page_links(page: TablePage[T], link: Link) -> list[PageLink]:
    """Links to the first, the last and the neighbouring pages; none for one page."""
    if page.pages == 1:
        return []
    shown = sorted({1, page.pages, *range(page.number - 2, page.number + 3)})
    numbers = [number for number in shown if 1 <= number <= page.pages]
    found: list[PageLink] = []
    for before, number in zip([0, *numbers], numbers, strict=False):
        if number > before + 1:
            found.append(PageLink("…", ""))
        href = link({"page": str(number) if number > 1 else ""})
        found.append(PageLink(str(number), href, number == page.number))
    return found


def _head(column: Column, sorted_by: Sorting, link: Link, locale: Locale) -> Head:
    text = locale.label(column.label)
    if not column.worst:
        return Head(text, column.numeric)
    current = sorted_by.column == column.name
    order = column.worst
    if current and sorted_by.order == column.worst:
        order = ASCENDING if column.worst == DESCENDING else DESCENDING
    state = "descending" if sorted_by.order == DESCENDING else "ascending"
    href = link({"sort": column.name, "order": order, "page": ""})
    return Head(text, column.numeric, href, state if current else "")
