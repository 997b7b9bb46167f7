"""Floor 1. Ranges of results, by their numbers: what is exported at a time."""

from __future__ import annotations

from typing import NamedTuple


class Range(NamedTuple):
    """Results by their numbers, both ends included."""

    first: int
    last: int

    @property
    def token(self) -> str:
        """The deduplication token of its inserts."""
        return f"{self.first}-{self.last}"


class Exported(NamedTuple):
    """What one range had. `unreadable` are of another version of the contract."""

    range: Range
    results: int
    unreadable: int
