"""Notes of lines in every store: nothing that was written is lost, and a backup carries them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from msgspec import structs

from collector.registry.registry import LineKey
from collector.store.line_notes import NoteConflictError, NoteEntry
from collector.store.store import Store
from tests.contract.conftest import OpenStore

NOW = datetime(2026, 11, 20, 7, 20, tzinfo=UTC)
LINE = LineKey("bach-thong", "tram-01969-1", "vnpt")
NOTE = NoteEntry(
    line=LINE, starts_at=NOW, text="Đổi modem", author="lan", written_at=NOW + timedelta(hours=1)
)


def test_a_corrected_and_withdrawn_note_keeps_all_its_entries(open_store: OpenStore) -> None:
    store = open_store()
    number = store.notes.write(NOTE)
    corrected = structs.replace(
        NOTE, note=number, text="Đổi modem, router", ends_at=NOW + timedelta(hours=2)
    )
    second = store.notes.write(corrected, number)
    withdrawn = structs.replace(corrected, withdrawn=True, author="centre")
    store.notes.write(withdrawn, second)
    store.close()
    store = open_store()
    (note,) = store.notes.of_line(LINE)
    assert [structs.replace(one, number=0) for one in note.entries] == [NOTE, corrected, withdrawn]
    assert (note.number, note.first.author, note.last.withdrawn) == (number, "lan", True)
    assert store.notes.of_line(LINE._replace(line="viettel")) == []
    store.close()


def test_of_two_corrections_at_once_one_is_refused(store: Store) -> None:
    number = store.notes.write(NOTE)
    store.notes.write(structs.replace(NOTE, note=number, text="a"), number)
    with pytest.raises(NoteConflictError):
        store.notes.write(structs.replace(NOTE, note=number, text="b"), number)
    with pytest.raises(NoteConflictError):
        store.notes.write(structs.replace(NOTE, note=number, text="b"), 0)
    (note,) = store.notes.of_line(LINE)
    assert [one.text for one in note.entries] == ["Đổi modem", "a"]


def test_notes_are_in_the_order_of_their_times(store: Store) -> None:
    for hours in (3, 1, 2):
        store.notes.write(structs.replace(NOTE, starts_at=NOW + timedelta(hours=hours)))
    starts = [note.last.starts_at for note in store.notes.of_line(LINE)]
    assert starts == [NOW + timedelta(hours=hours) for hours in (1, 2, 3)]
