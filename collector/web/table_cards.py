"""Floor 1. Tables that a narrow screen lays out as cards: every cell with its column's heading.

Templates state a heading once, in the table's head. Here each cell of a `table.plain` takes it over
as `data-label`, which the style sheet shows above the cell on a phone. The ARIA roles are spelt out
because browsers drop those of a table that is laid out as blocks. A table of the class `wide`,
whose columns are compared, stays one, and so does one that spells out its labels (`lines`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_TABLE = re.compile(r'<table class="plain(?P<more>[^"]*)">.*?</table>', re.DOTALL)
_HEAD = re.compile(r"<thead>.*?</thead>", re.DOTALL)
_HEADING = re.compile(r"<th\b[^>]*>(.*?)</th>", re.DOTALL)
_HIDDEN = re.compile(r'<span\b[^>]*aria-hidden="true"[^>]*>.*?</span>', re.DOTALL)
_UNNAMED = re.compile("<th (?!role=)")
_TAG = re.compile(r"<[^>]*>")
_ROW = re.compile(r"<tr\b.*?</tr>", re.DOTALL)
_CELL = re.compile(r"<(td|th)\b([^>]*)>")
_STAY_TABLES = {"wide", "lines"}


def with_labels(page: str) -> str:
    """The page with the cells of its plain tables labelled; `page` is HTML of our own templates."""
    return _TABLE.sub(_cards, page)


def _cards(found: re.Match[str]) -> str:
    table = found[0]
    if _STAY_TABLES & set(found["more"].split()):
        return table
    head = _HEAD.search(table)
    if head is None:
        return table
    columns = _headings(head[0])
    body = _ROW.sub(lambda row: _row(row[0], columns), table[head.end() :])
    top = table[: head.start()].replace('class="plain', 'role="table" class="plain cards', 1)
    return top + _head(head[0]) + body.replace("<tbody>", '<tbody role="rowgroup">')


def _headings(head: str) -> list[str]:
    """The text of each column's heading without what is hidden from readers, as in an attribute."""
    texts = (_TAG.sub("", _HIDDEN.sub("", cell)) for cell in _HEADING.findall(head))
    return [" ".join(text.split()).replace('"', "&quot;") for text in texts]


def _head(head: str) -> str:
    head = head.replace("<thead>", '<thead role="rowgroup">').replace("<tr>", '<tr role="row">')
    return _UNNAMED.sub('<th role="columnheader" ', head)


def _row(row: str, columns: Sequence[str]) -> str:
    labels = iter(columns)

    def cell(found: re.Match[str]) -> str:
        name, attributes = found.groups()
        label = next(labels, "")
        if name == "th":
            return f'<th role="rowheader"{attributes}>'
        # A cell over all columns says that there are no rows.
        known = f' data-label="{label}"' if label and "colspan" not in attributes else ""
        return f'<td role="cell"{known}{attributes}>'

    return _CELL.sub(cell, row).replace("<tr", '<tr role="row"', 1)
