"""Floor 2. The notes of lines in the database; entries are added and never changed."""

from __future__ import annotations

from collector.registry.registry import LineKey
from collector.store import columns
from collector.store.batch import utc_text
from collector.store.database import Database, Row, Transaction
from collector.store.further_entries import require_seen
from collector.store.line_notes import (
    NOTES_MOST,
    LineNote,
    NoteConflictError,
    NoteEntry,
    notes_of,
)

_COLUMNS = (
    "note, previous, tenant, probe, line, starts_at, ends_at, text, author, written_at, withdrawn"
)


class SqlNoteStore:
    """`collector.store.line_notes.NoteStore` on a Database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of_line(self, line: LineKey) -> list[LineNote]:
        """See `NoteStore.of_line`."""
        rows = self._database.read(
            f"SELECT number, {_COLUMNS} FROM line_notes "
            "WHERE tenant = ? AND probe = ? AND line = ? ORDER BY number",
            line,
        )
        return notes_of(_entry(row) for row in rows)

    def write(self, entry: NoteEntry, after: int = 0) -> int:
        """See `NoteStore.write`."""
        with self._database.transaction() as transaction:
            if entry.note:
                _require_last(transaction, entry.note, after)
            else:
                _require_room(transaction, entry.line)
            ((number,),) = transaction.execute(
                f"INSERT INTO line_notes ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
                "RETURNING number",
                _cells(entry, after),
            )
        return int(number)


def _require_last(transaction: Transaction, note: int, after: int) -> None:
    require_seen(
        transaction,
        "line_notes",
        "number = ?",
        note,
        "SELECT max(number) FROM line_notes WHERE number = ? OR note = ?",
        after,
        NoteConflictError,
    )


def _require_room(transaction: Transaction, line: LineKey) -> None:
    ((count,),) = transaction.execute(
        "SELECT count(*) FROM line_notes WHERE tenant = ? AND probe = ? AND line = ? AND note = 0",
        line,
    )
    if count >= NOTES_MOST:
        raise NoteConflictError(f"this line has {NOTES_MOST} notes, which is the most")


def _cells(entry: NoteEntry, after: int) -> tuple[object, ...]:
    return (
        entry.note,
        after or None,
        *entry.line,
        utc_text(entry.starts_at),
        columns.maybe(entry.ends_at, utc_text),
        entry.text,
        entry.author,
        utc_text(entry.written_at),
        int(entry.withdrawn),
    )


def _entry(row: Row) -> NoteEntry:
    number, note, _, *key, starts_at, ends_at, text, author, at, withdrawn = row
    return NoteEntry(
        number=number,
        note=note,
        line=LineKey(*key),
        starts_at=columns.time(starts_at),
        ends_at=columns.maybe(ends_at, columns.time),
        text=text,
        author=author,
        written_at=columns.time(at),
        withdrawn=bool(withdrawn),
    )
