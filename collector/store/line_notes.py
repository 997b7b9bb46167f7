"""Floor 1. Notes that people write about a line at a time, and what may be written.

Nothing that somebody wrote is lost: a correction and a withdrawal are entries after the first one,
and the last entry is the note as it stands.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from msgspec import Struct

from collector.registry.registry import LineKey
from runtime.language import is_plain_line

TEXT_MOST = 300
# Of one line. Somebody who writes more wants another place for it.
NOTES_MOST = 2_000
# A note is about what can be seen on a chart, or will be within a day (a clock that is ahead).
AHEAD = timedelta(days=1)
LONGEST = timedelta(days=366)


class NoteEntry(Struct, frozen=True, kw_only=True):
    """What somebody wrote: a note, a correction of it (`note` is its number), or its withdrawal.

    `number` is the entry's, from 1; `note` is that of the first entry, 0 in one that begins a note.
    The note is about the line from `starts_at` to `ends_at`, or of one moment. Times are UTC.
    """

    number: int = 0
    note: int = 0
    line: LineKey
    starts_at: datetime
    ends_at: datetime | None = None
    text: str
    author: str
    written_at: datetime
    withdrawn: bool = False


class LineNote(Struct, frozen=True):
    """A note with all its entries, the first one first."""

    entries: Sequence[NoteEntry]

    @property
    def first(self) -> NoteEntry:
        """As it was written; its author is the note's."""
        return self.entries[0]

    @property
    def last(self) -> NoteEntry:
        """As it stands."""
        return self.entries[-1]

    @property
    def number(self) -> int:
        """The note's number."""
        return self.first.number

    def overlaps(self, start: datetime, end: datetime) -> bool:
        """Whether it is of a time from `start` to before `end`."""
        return self.last.starts_at < end and (self.last.ends_at or self.last.starts_at) >= start


class NoteConflictError(Exception):
    """The note has another entry since the one that was corrected, or the line has too many."""


class NoteStore(Protocol):
    """The notes of lines. Every method may raise `collector.store.store.StoreError`."""

    def of_line(self, line: LineKey) -> list[LineNote]:
        """All notes of a line by the time that they are about, withdrawn ones too."""

    def write(self, entry: NoteEntry, after: int = 0) -> int:
        """Store an entry; returns its number.

        Args:
            entry: its `number` is not used.
            after: the last entry of the note that is corrected or withdrawn.

        Raises:
            NoteConflictError: the note has another last entry, or the line has `NOTES_MOST`.
        """


def notes_of(entries: Iterable[NoteEntry]) -> list[LineNote]:
    """Entries in the order of their numbers as notes, by the time that they are about."""
    found: dict[int, list[NoteEntry]] = {}
    for entry in entries:
        found.setdefault(entry.note or entry.number, []).append(entry)
    notes = [LineNote(tuple(same)) for same in found.values()]
    return sorted(notes, key=lambda note: (note.last.starts_at, note.number))


class NoteProblem(StrEnum):
    """Why an entry is refused: a closed list, each with a label for the pages."""

    TEXT = "text"
    NOT_PLAIN = "not_plain"
    FUTURE = "future"
    ENDS = "ends"


def problem(entry: NoteEntry, now: datetime) -> NoteProblem | None:
    """Why an entry is refused; None if it is accepted."""
    if not entry.text.strip() or len(entry.text) > TEXT_MOST:
        return NoteProblem.TEXT
    if not is_plain_line(entry.text):
        return NoteProblem.NOT_PLAIN
    if entry.starts_at > now + AHEAD:
        return NoteProblem.FUTURE
    if entry.ends_at and not timedelta(0) < entry.ends_at - entry.starts_at <= LONGEST:
        return NoteProblem.ENDS
    return None
