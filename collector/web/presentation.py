"""Floor 1. What every view uses: the visitor's locale (language, time zone, labels) and badges."""

from __future__ import annotations

from datetime import tzinfo
from typing import NamedTuple

from collector.web.formatting import whole_number
from collector.web.labels import (
    alerts,
    comparison,
    maintenance,
    maps,
    measurement,
    notes,
    pages,
    staff,
    uses,
)
from runtime.language import Language


class Badge(NamedTuple):
    """A state as shown: `tone` selects the colour, `sign` and `word` state it without colour."""

    tone: str
    sign: str
    word: str


_LABELS = (
    alerts.LABELS
    | comparison.LABELS
    | maintenance.LABELS
    | maps.LABELS
    | measurement.LABELS
    | notes.LABELS
    | pages.LABELS
    | staff.LABELS
    | uses.LABELS
)


class Locale(NamedTuple):
    """The visitor's language and time zone."""

    language: Language
    timezone: tzinfo

    def label(self, name: str) -> str:
        """A label in the visitor's language. Raises KeyError for an unknown name."""
        return _LABELS[name].in_(self.language)

    def has_label(self, name: str) -> bool:
        """Whether the label exists."""
        return name in _LABELS

    def number(self, value: int) -> str:
        """An integer with the language's thousands separators."""
        return whole_number(value, self.language)
