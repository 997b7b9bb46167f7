"""Reads docs/method.md and docs/method.vi.md: sections, rules by id, the table of constants."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

DOCS = Path(__file__).parents[1] / "docs"
ENGLISH, VIETNAMESE = DOCS / "method.md", DOCS / "method.vi.md"
_SECTION = re.compile(r'^<a id="([a-z-]+)"></a>\n', re.MULTILINE)
_ID = re.compile(r"[A-Z]+\d+")


class Rule(NamedTuple):
    """A row: its id, text, source, reason, code file and tests (`file::function` or `file`)."""

    id: str
    text: str
    source: str
    reason: str
    code: str
    tests: tuple[str, ...]


class Constant(NamedTuple):
    """A row of the last section: whose rule, which constant, its value, and how the rule has it."""

    rule: str
    name: str
    value: str
    written: str


class Document(NamedTuple):
    """A page, cut at its anchors."""

    sections: dict[str, str]

    def table(self, section: str, heading: str) -> list[list[str]]:
        """The rows of the table whose heading begins so."""
        lines = self.sections[section].splitlines()
        start = next(n for n, line in enumerate(lines) if line.startswith(heading)) + 2
        rows = []
        for line in lines[start:]:
            if not line.startswith("| "):
                break
            rows.append([cell.strip() for cell in line.strip("| ").split(" | ")])
        return rows

    def rules(self, section: str) -> list[Rule]:
        """The rules of a section, in order."""
        found = []
        for line in self.sections[section].splitlines():
            cells = [cell.strip() for cell in line.strip("| ").split(" | ")]
            if line.startswith("| ") and len(cells) == 6 and _ID.fullmatch(cells[0]):
                id_, text, source, reason, code, tests = cells
                found.append(Rule(id_, text, source, reason, code.strip("`"), _quoted(tests)))
        return found

    def all_rules(self) -> dict[str, Rule]:
        """Every rule by its id."""
        return {rule.id: rule for section in self.sections for rule in self.rules(section)}

    def constants(self) -> list[Constant]:
        """The table of constants."""
        return [
            Constant(rule, name.strip("`"), value.strip("`"), written)
            for rule, name, value, written in self.table("constants", "| ")
        ]


def _quoted(cell: str) -> tuple[str, ...]:
    return tuple(re.findall(r"`([^`]+)`", cell))


@cache
def document(path: Path) -> Document:
    """A language's page."""
    parts = _SECTION.split(path.read_text(encoding="utf-8"))
    return Document(dict(zip(parts[1::2], parts[2::2], strict=True)))
