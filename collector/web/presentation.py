"""Floor 1. What every view uses: the visitor's locale (language, time zone, labels) and badges."""

from __future__ import annotations

from datetime import tzinfo
from typing import NamedTuple

from collector.web.formatting import whole_number
from collector.web.labels import measurement, pages, staff
from runtime.language import Language


class Badge(NamedTuple):
    """A state: `tone` names its colour, `sign` and `word` say it without."""

    tone: str
    sign: str
    word: str


_LABELS = measurement.LABELS | pages.LABELS | staff.LABELS


class Locale(NamedTuple):
    """Whom a page is made for."""

    language: Language
    timezone: tzinfo

    def label(self, name: str) -> str:
        """A label in the reader's language. KeyError when there is none."""
        return _LABELS[name].in_(self.language)

    def has_label(self, name: str) -> bool:
        """Whether there is such a label."""
        return name in _LABELS

    def number(self, value: int) -> str:
        """A count as the reader writes it."""
        return whole_number(value, self.language)
