"""Floor 1. A paper laid out: headings, paragraphs and tables of finished text, for any printer.

The order of parts is that of a Vietnamese administrative document (Nghị định 30/2020/NĐ-CP,
Phụ lục I); fonts, margins and lines are the printer's. What the office fills by hand is a row of
dots.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct


class Table(Struct, frozen=True, kw_only=True):
    """A table of finished text. `widths` are shares of the page; `numeric` columns stand right."""

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
    """What stands above the body. `parent` may be empty: some offices have none."""

    parent: str
    # May be of several lines, as a committee's is.
    office: str
    number: str
    place_and_date: str
    # "ngày …… tháng 07 năm 2026": appendices name the paper that they go with.
    date: str
    type_name: str
    about: str
    # "(so sánh tham khảo)", and which issue it replaces.
    notes: Sequence[str]


class Document(Struct, frozen=True, kw_only=True):
    """The whole. Appendices begin a page each, in landscape."""

    head: Head
    sections: Sequence[Section]
    recipients: Sequence[str]
    # May be of several lines: "TM. ỦY BAN NHÂN DÂN", "CHỦ TỊCH".
    signer_title: str
    # May be empty.
    signer_name: str
    appendices: Sequence[Section]
    # On the last line of each page: what somebody needs who holds one page alone.
    footer: str
