"""Floor 1. An error in a file of settings or a table: its place, and what is wrong, as a phrase."""

from __future__ import annotations

from typing import NamedTuple

from runtime.language import Language, Phrase


class Problem(NamedTuple):
    """An error and its place: a key or row, preceded by the file once that is known."""

    place: str
    what: Phrase

    def in_(self, language: Language) -> str:
        """The error as a sentence in a language."""
        what = self.what.in_(language)
        return f"{self.place}: {what}" if self.place else what

    def within(self, outer: str) -> Problem:
        """The same error with an outer place: a file or a row."""
        return Problem(f"{outer}: {self.place}" if self.place else outer, self.what)
