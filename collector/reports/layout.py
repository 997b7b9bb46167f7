"""Floor 1. The layout of a report: headings, paragraphs and tables, for any renderer.

The parts are in the order of a Vietnamese administrative document (Nghị định 30/2020/NĐ-CP,
Phụ lục I); fonts, margins and lines are up to the renderer. What the office fills in by hand is a
row of dots.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct


class Table(Struct, frozen=True, kw_only=True):
    """A table of text. `widths` are shares of the page; `numeric` columns are right-aligned."""

    caption: str
    columns: Sequence[str]
    widths: Sequence[int]
    numeric: Sequence[bool]
    rows: Sequence[Sequence[str]]


class Section(Struct, frozen=True, kw_only=True):
    """A part of the body: a heading ("I. …"), paragraphs, points of a list, a table."""

    heading: str
    paragraphs: Sequence[str] = ()
    points: Sequence[str] = ()
    tables: Sequence[Table] = ()


class Head(Struct, frozen=True, kw_only=True):
    """The parts above the body. `parent` may be empty: some offices have no superior."""

    parent: str
    # May have several lines, as a committee's has.
    office: str
    number: str
    place_and_date: str
    # "ngày …… tháng 07 năm 2026": appendices name the report that they belong to.
    date: str
    type_name: str
    about: str
    # "(so sánh tham khảo)", and which issue it replaces.
    notes: Sequence[str]


class Document(Struct, frozen=True, kw_only=True):
    """A whole document. Each appendix starts a new page, in landscape."""

    head: Head
    sections: Sequence[Section]
    recipients: Sequence[str]
    # May have several lines: "TM. ỦY BAN NHÂN DÂN", "CHỦ TỊCH".
    signer_title: str
    # May be empty.
    signer_name: str
    appendices: Sequence[Section]
    # On the last line of each page, to identify a single page.
    footer: str
    # Across each page; "" for none.
    watermark: str = ""
