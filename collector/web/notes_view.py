"""Floor 1. Notes of a line: their marks on charts, their list, and what the forms ask for."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from msgspec import Struct, structs

from collector.registry.registry import LineKey
from collector.store.line_notes import TEXT_MOST, LineNote, NoteEntry
from collector.users.user import Permission, User
from collector.web.chart_view import local_text, local_time
from collector.web.drawing.line_chart import Mark
from collector.web.formatting import Moment, to_the_minute
from collector.web.presentation import Locale

# Of the notes outside of the period so many are listed, the newest.
OTHERS_MOST = 100


class EntryRow(Struct, frozen=True, kw_only=True):
    """What a note said before, and who replaced that when."""

    text: str
    author: str
    at: Moment
    starts: Moment


class NoteRow(Struct, frozen=True, kw_only=True):
    """A note in the list. `mark` is its number on the charts, "" where it is not on them.

    `starts_text` and `ends_text` fill the form that corrects it; `last` is the entry corrected.
    """

    number: int
    last: int
    mark: str
    starts: Moment
    ends: Moment | None
    text: str
    author: str
    written: Moment
    changed_by: str
    changed: Moment | None
    withdrawn: bool
    before: Sequence[EntryRow]
    starts_text: str
    ends_text: str
    may_change: bool


class NotesSection(Struct, frozen=True, kw_only=True):
    """The notes of a page: on its charts, of other times, withdrawn ones; and its form."""

    shown: Sequence[NoteRow]
    others: Sequence[NoteRow]
    withdrawn: Sequence[NoteRow]
    others_count: int
    may_write: bool
    text_most: int
    now_text: str


class RefusedForm(Struct, frozen=True, kw_only=True):
    """A form that is shown again: why, and what was typed.

    `number` is that of the note that is corrected, "" of a new one; `last` its last entry, which
    says `now`.
    """

    problem: str
    starts: str
    ends: str
    text: str
    number: str = ""
    last: str = ""
    now: EntryRow | None = None
    may_send: bool = True


class NoteWriter(Struct, frozen=True):
    """Who reads the page, and in which commune the line is."""

    user: User | None
    commune_code: str

    @property
    def may_write(self) -> bool:
        """Whether they may write notes of this line."""
        return self.user is not None and self.user.may(Permission.NOTE_LINES, self.commune_code)

    def may_change(self, note: LineNote) -> bool:
        """Whether they may correct and withdraw a note: their own, or every one."""
        if self.user is None or note.last.withdrawn:
            return False
        if self.user.may(Permission.CORRECT_NOTES, self.commune_code):
            return True
        return self.may_write and note.first.author == self.user.name


def standing(notes: Iterable[LineNote], start: datetime, end: datetime) -> list[LineNote]:
    """The notes of a time that are not withdrawn: their place is their number on charts."""
    return [note for note in notes if not note.last.withdrawn and note.overlaps(start, end)]


def marks(notes: Sequence[LineNote], locale: Locale) -> list[Mark]:
    """The marks of `standing` notes on a chart."""
    return [
        Mark(
            note.last.starts_at,
            note.last.ends_at,
            str(number),
            f"{time_words(note.last, locale)}\n"
            f"{locale.label('note')} {number}: {note.last.text} ({note.first.author})",
        )
        for number, note in enumerate(notes, 1)
    ]


def section(
    notes: Sequence[LineNote],
    times: tuple[datetime, datetime],
    writer: NoteWriter,
    now: datetime,
    locale: Locale,
) -> NotesSection:
    """The notes of a line, those from the first time to before the second one first."""
    shown = standing(notes, *times)
    others = [note for note in notes if not note.last.withdrawn and note not in shown]
    gone = [note for note in notes if note.last.withdrawn]

    def row(note: LineNote, mark: str = "") -> NoteRow:
        return _row(note, mark, writer, locale)

    return NotesSection(
        shown=[row(note, str(number)) for number, note in enumerate(shown, 1)],
        others=[row(note) for note in reversed(others[-OTHERS_MOST:])],
        withdrawn=[row(note) for note in reversed(gone[-OTHERS_MOST:])],
        others_count=len(others),
        may_write=writer.may_write,
        text_most=TEXT_MOST,
        now_text=local_text(now),
    )


def refused_form(
    fields: Mapping[str, str], problem: str, note: LineNote | None, locale: Locale
) -> RefusedForm:
    """The form again, of a note that it corrects or of a new one (None)."""
    typed = RefusedForm(
        problem=problem,
        starts=fields.get("starts", ""),
        ends=fields.get("ends", ""),
        text=fields.get("text", ""),
    )
    if note is None:
        return typed
    return structs.replace(
        typed,
        number=str(note.number),
        last=str(note.last.number),
        now=_entry_row(note.last, locale),
        may_send=not note.last.withdrawn,
    )


def entry_of(
    fields: Mapping[str, str],
    line: LineKey,
    author: str,
    now: datetime,
    corrected: LineNote | None = None,
) -> NoteEntry:
    """The entry that a form asks for (`starts`, `ends`, `text`).

    Raises:
        ValueError: a time is none; a sentence.
    """
    ends = fields.get("ends", "").strip()
    return NoteEntry(
        note=corrected.number if corrected else 0,
        line=line,
        starts_at=local_time("starts", fields.get("starts", "").strip()),
        ends_at=local_time("ends", ends) if ends else None,
        text=unicodedata.normalize("NFC", fields.get("text", "").strip()),
        author=author,
        written_at=now,
    )


def time_words(entry: NoteEntry, locale: Locale) -> str:
    """When it was: 14:20 30/11/2026, or from when to when."""
    starts = _minute(entry.starts_at, locale).text
    return f"{starts} – {_minute(entry.ends_at, locale).text}" if entry.ends_at else starts


def _row(note: LineNote, mark: str, writer: NoteWriter, locale: Locale) -> NoteRow:
    first, last = note.first, note.last
    changed = last is not first
    return NoteRow(
        number=note.number,
        last=last.number,
        mark=mark,
        starts=_minute(last.starts_at, locale),
        ends=_minute(last.ends_at, locale) if last.ends_at else None,
        text=last.text,
        author=first.author,
        written=_minute(first.written_at, locale),
        changed_by=last.author if changed else "",
        changed=_minute(last.written_at, locale) if changed else None,
        withdrawn=last.withdrawn,
        before=[_entry_row(entry, locale) for entry in _replaced(note)],
        starts_text=local_text(last.starts_at),
        ends_text=local_text(last.ends_at) if last.ends_at else "",
        may_change=writer.may_change(note),
    )


def _replaced(note: LineNote) -> list[NoteEntry]:
    """The entries that another one has replaced; a withdrawal replaces nothing."""
    return [entry for entry in note.entries[:-1] if not _same(entry, note.last)]


def _same(entry: NoteEntry, other: NoteEntry) -> bool:
    times = (entry.starts_at, entry.ends_at) == (other.starts_at, other.ends_at)
    return times and entry.text == other.text


def _entry_row(entry: NoteEntry, locale: Locale) -> EntryRow:
    return EntryRow(
        text=entry.text,
        author=entry.author,
        at=_minute(entry.written_at, locale),
        starts=Moment("", time_words(entry, locale)),
    )


def _minute(at: datetime, locale: Locale) -> Moment:
    return to_the_minute(at, locale.language, locale.timezone)
