"""Notes of a line: who may write and change them, what is refused, and where they are shown."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from msgspec import structs

from collector.domain.lines import known_lines
from collector.registry.registry import LineKey
from collector.reports.flat_table import csv_cell
from collector.rollup.periods import VIETNAM, Step, bucket_start
from collector.store.line_notes import (
    TEXT_MOST,
    LineNote,
    NoteEntry,
    NoteProblem,
    notes_of,
    problem,
)
from collector.store.sqlite import SqliteStore
from collector.users.user import PERMISSIONS, Permission, Role, User
from collector.web import notes_view, series_file
from collector.web.chart_view import Range, local_text
from collector.web.drawing import line_chart
from collector.web.drawing.line_chart import Figure, Mark, Series
from collector.web.notes_view import NoteWriter
from collector.web.presentation import Locale
from runtime.language import Language
from tests.unit.test_registry_page import Browser, registry

EN = Locale(Language.EN, ZoneInfo("Asia/Ho_Chi_Minh"))
HOUR = timedelta(hours=1)
# 14:20 in Vietnam.
NOW = datetime(2026, 11, 20, 7, 20, tzinfo=UTC)
KEY = LineKey("bach-thong", "tram-01969-1", "vnpt")
NOTE = NoteEntry(number=1, line=KEY, starts_at=NOW, text="New modem", author="lan", written_at=NOW)
ADDRESS = "/line/bach-thong/tram-01969-1/vnpt"
COMMUNE = "01969"


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({}, None),
        ({"text": " "}, NoteProblem.TEXT),
        ({"text": "x" * TEXT_MOST}, None),
        ({"text": "x" * (TEXT_MOST + 1)}, NoteProblem.TEXT),
        ({"text": "a\nb"}, NoteProblem.NOT_PLAIN),
        ({"text": "a\u202eb"}, NoteProblem.NOT_PLAIN),
        ({"text": "<b>Đổi</b> & 'x'"}, None),
        ({"starts_at": NOW + timedelta(days=2)}, NoteProblem.FUTURE),
        ({"ends_at": NOW}, NoteProblem.ENDS),
        ({"ends_at": NOW + timedelta(days=367)}, NoteProblem.ENDS),
        ({"ends_at": NOW + timedelta(days=366)}, None),
    ],
)
def test_what_may_be_written(changed: dict[str, object], why: NoteProblem | None) -> None:
    assert problem(structs.replace(NOTE, **changed), NOW) is why


def test_a_note_is_of_the_times_that_it_touches() -> None:
    moment = LineNote([NOTE])
    lasting = LineNote([structs.replace(NOTE, ends_at=NOW + 5 * HOUR)])
    assert moment.overlaps(NOW, NOW + HOUR)
    assert not moment.overlaps(NOW - HOUR, NOW)
    assert not moment.overlaps(NOW + HOUR, NOW + 2 * HOUR)
    assert lasting.overlaps(NOW + 3 * HOUR, NOW + 4 * HOUR)


def test_its_author_and_the_centre_may_change_a_note() -> None:
    note = LineNote([NOTE])
    users = {
        "lan": (User(name="lan", role=Role.OFFICE, communes=(COMMUNE,)), True),
        "moved": (User(name="lan", role=Role.OFFICE, communes=("01981",)), False),
        "minh": (User(name="minh", role=Role.TECHNICIAN), False),
        "centre": (User(name="centre", role=Role.CENTRE), True),
        "nobody": (None, False),
    }
    for user, may in users.values():
        assert NoteWriter(user, COMMUNE).may_change(note) is may
    gone = LineNote([NOTE, structs.replace(NOTE, number=2, note=1, withdrawn=True)])
    assert not NoteWriter(users["centre"][0], COMMUNE).may_change(gone)
    assert all(Permission.NOTE_LINES in PERMISSIONS[role] for role in Role)
    assert [role for role in Role if Permission.CORRECT_NOTES in PERMISSIONS[role]] == [Role.CENTRE]


def test_marks_have_the_numbers_of_the_list_and_withdrawn_notes_have_none() -> None:
    later = structs.replace(NOTE, number=2, starts_at=NOW + HOUR, text="Router")
    gone = structs.replace(NOTE, number=3, starts_at=NOW - HOUR, text="Wrong")
    entries = [NOTE, later, gone, structs.replace(gone, number=4, note=3, withdrawn=True)]
    notes, times = notes_of(entries), (NOW - 2 * HOUR, NOW + 2 * HOUR)
    marks = notes_view.marks(notes_view.standing(notes, *times), EN)
    assert [(mark.label, mark.words.splitlines()[1]) for mark in marks] == [
        ("1", "Note 1: New modem (lan)"),
        ("2", "Note 2: Router (lan)"),
    ]
    section = notes_view.section(notes, times, NoteWriter(None, COMMUNE), NOW, EN)
    assert [(row.mark, row.text) for row in section.shown] == [("1", "New modem"), ("2", "Router")]
    assert [row.text for row in section.withdrawn] == ["Wrong"]
    assert not section.others


def test_a_mark_is_where_its_time_is_and_labels_do_not_lie_on_each_other() -> None:
    end = NOW + 10 * HOUR
    marks = [
        Mark(NOW + 5 * HOUR, None, "1", "a"),
        Mark(NOW + 5 * HOUR, None, "2", "b"),
        Mark(NOW - HOUR, NOW + HOUR, "3", "c"),
        Mark(NOW - HOUR, None, "4", "before"),
        Mark(end, None, "5", "after"),
    ]
    chart = line_chart.draw(
        [Series("x", "series-a", [Figure(NOW, 1.0)])],
        NOW,
        end,
        HOUR,
        marks=marks,
        label_x=str,
        label_y=str,
    )
    assert chart is not None
    drawn = {mark.label: mark for mark in chart.marks}
    assert set(drawn) == {"1", "2", "3"}
    middle = (chart.left + chart.right) / 2
    assert drawn["1"].x == drawn["2"].x == middle
    assert {drawn["1"].row, drawn["2"].row} == {0, 1}
    assert (drawn["3"].x, drawn["3"].row) == (chart.left, 0)
    assert abs(drawn["3"].width - (chart.right - chart.left) / 10) < 0.2


def test_a_file_has_a_note_in_the_row_of_its_hour_even_without_results() -> None:
    line = known_lines(registry(), [])[0]
    shown = Range(NOW - 24 * HOUR, NOW + HOUR)
    note = LineNote([structs.replace(NOTE, text="=1+1", ends_at=NOW + HOUR)])
    table = series_file.series_table(line, [], [note], shown, EN)
    (row,) = [dict(zip(table.names, cells, strict=True)) for cells in table.rows]
    assert row["start"] == bucket_start(NOW, Step.HOUR).astimezone(VIETNAM).isoformat()
    assert row["notes"] == "14:20 20 Nov 2026 – 15:20 20 Nov 2026: =1+1 (lan)".replace(
        " Nov ", "\xa0Nov\xa0"
    )
    assert csv_cell(row["notes"]) == row["notes"], "its time is in front, so it is no formula"
    assert (row["download_mean_mbit_s"], row["samples"]) == (None, 0)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(tmp_path / "results.sqlite")
    store.registry.apply(registry(), "centre", "registry.toml", NOW)
    yield store
    store.close()


def _series_notes(browser: Browser) -> list[dict[str, object]]:
    text = browser.get(f"/api/v1{ADDRESS.replace('/line/', '/lines/')}/series").text
    notes: list[dict[str, object]] = json.loads(text)["notes"]
    return notes


def test_a_note_is_written_corrected_and_withdrawn_and_nothing_is_lost(
    store: SqliteStore, tmp_path: Path
) -> None:
    lan = Browser(store, tmp_path)
    when = local_text(datetime.now(UTC) - HOUR)
    fields = {
        "token": lan.get(ADDRESS).field("token"),
        "starts": when,
        "back": f"{ADDRESS}?days=30",
    }
    new = fields | {"text": "New <b>modem</b>"}
    assert lan.post(new | {"token": "x"}, path=f"{ADDRESS}/notes").status == 403
    assert lan.post(new | {"starts": "yesterday"}, path=f"{ADDRESS}/notes").status == 422
    empty = lan.post(new | {"text": ""}, path=f"{ADDRESS}/notes")
    assert (empty.status, "A text of 1 to 300 characters" in empty.plain) == (422, True)
    end = lan.post(new | {"ends": "2026-01-01T00:00"}, path=f"{ADDRESS}/notes?lang=vi")
    assert "Lúc kết thúc phải sau lúc bắt đầu" in end.plain
    assert "a note ends" not in end.plain.lower(), "in the visitor's language alone"
    assert lan.post(new, path=f"{ADDRESS}/notes/{'9' * 5_000}").status == 404
    assert lan.post(new, path="/line/bach-thong/tram-01969-1/none/notes").status == 404
    assert lan.post(new, path=f"{ADDRESS}/notes").status == 303
    ((note,),) = [store.notes.of_line(KEY)]
    page = lan.get(ADDRESS).text
    assert "New &lt;b&gt;modem&lt;/b&gt;" in page
    assert [one["text"] for one in _series_notes(lan)] == ["New <b>modem</b>"]
    assert "New <b>modem</b> (lan)" in lan.get(f"{ADDRESS}/chart.csv").text
    assert lan.content(f"{ADDRESS}/chart.xlsx").startswith(b"PK")
    own = f"{ADDRESS}/notes/{note.number}"
    corrected = fields | {"do": "correct", "last": str(note.last.number), "text": "New router"}
    minh = Browser(store, tmp_path, user=User(name="minh", role=Role.TECHNICIAN))
    his = {"token": minh.get(ADDRESS).field("token")}
    assert minh.post(corrected | his, path=own).status == 403, "it is not his"
    assert lan.post(corrected, path=own).status == 303
    assert lan.post(corrected, path=own).status == 409, "it was corrected already"
    assert [one["text"] for one in _series_notes(lan)] == ["New router"]
    (note,) = store.notes.of_line(KEY)
    centre = Browser(store, tmp_path, user=User(name="centre", role=Role.CENTRE))
    gone = {
        "token": centre.get(ADDRESS).field("token"),
        "do": "withdraw",
        "last": str(note.last.number),
    }
    assert centre.post(gone, path=own).status == 303
    assert centre.post(gone, path=own).status == 409, "it is withdrawn already"
    assert _series_notes(lan) == []
    page = lan.get(ADDRESS).text
    for text in ("New &lt;b&gt;modem&lt;/b&gt;", "New router", "withdrawn", "centre"):
        assert text in page, "what was written stays on record"
    done = [(one.user, one.action) for one in lan.users.audit_events(10)]
    for action in (("lan", "note_line"), ("lan", "correct_note"), ("centre", "withdraw_note")):
        assert action in done


def test_only_whoever_may_write_has_the_form(store: SqliteStore, tmp_path: Path) -> None:
    office = User(name="ubnd", role=Role.OFFICE, communes=("01981",))
    other = Browser(store, tmp_path, user=office)
    assert 'id="write-note"' not in other.get(ADDRESS).text
    own = "/line/bach-thong/tram-01981-1/vnpt"
    page = other.get(own)
    assert 'id="write-note"' in page.text
    fields = {"token": page.field("token"), "text": "x", "starts": "2026-11-01T08:00"}
    assert other.post(fields, path=f"{ADDRESS}/notes").status == 403
    elsewhere = fields | {"back": "//evil.example/"}
    assert other.post(elsewhere, path=f"{own}/notes").status == 303


def test_public_pages_show_no_notes(store: SqliteStore, tmp_path: Path) -> None:
    browser = Browser(store, tmp_path)
    store.notes.write(structs.replace(NOTE, starts_at=datetime.now(UTC), text="Secret modem"))
    assert "Secret modem" in browser.get(ADDRESS).text
    for path in (f"/public/{COMMUNE}", "/public", "/open/lines.json", f"/embed/{COMMUNE}"):
        answer = browser.get(path)
        assert answer.status == 200
        assert "Secret modem" not in answer.text
