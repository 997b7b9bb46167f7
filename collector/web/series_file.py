"""Floor 1. A line's hours or days as a file: the figures of its charts, and the notes of the time.

A note stands in the row of the hour or day in which it begins; that row is there without results
too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from msgspec import Struct

from collector.domain.lines import KnownLine
from collector.reports.flat_table import Cell
from collector.rollup.periods import bucket_start
from collector.rollup.queries import Bucket
from collector.rollup.summary import EMPTY, Summary
from collector.store.line_notes import LineNote
from collector.web import notes_view
from collector.web.chart_view import Range
from collector.web.downloads import FileColumn, FileTable, file_table, time_cell
from collector.web.line_table import DOWN, LATENCY, UP
from collector.web.line_view import LOADED_DOWN
from collector.web.presentation import Locale
from wire.figures import MEGABIT


class _Row(Struct, frozen=True):
    """An hour or a day."""

    start: datetime
    summary: Summary
    notes: str


def series_table(
    line: KnownLine,
    buckets: Sequence[Bucket],
    notes: Sequence[LineNote],
    shown: Range,
    locale: Locale,
) -> FileTable:
    """A row for each hour or day with results or a note, ascending. Speeds in Mbit/s."""

    def mean(metric: str, factor: float = 1.0) -> Callable[[_Row], Cell]:
        return lambda row: _times(row.summary.metric(metric).mean, factor)

    columns: list[FileColumn[_Row]] = [
        FileColumn("line", "line", lambda _: "/".join(line.key)),
        FileColumn("start", "file_series_start", lambda row: time_cell(row.start, locale)),
        FileColumn("step", "file_step", lambda _: shown.step.value),
        FileColumn("download_mean_mbit_s", "mean_down", mean(DOWN, 1 / MEGABIT)),
        FileColumn("upload_mean_mbit_s", "mean_up", mean(UP, 1 / MEGABIT)),
        FileColumn("rtt_mean_ms", "mean_latency", mean(LATENCY)),
        FileColumn("rtt_loaded_download_p50_mean_ms", "loaded_latency", mean(LOADED_DOWN)),
        FileColumn("loss_ratio", "file_loss", lambda row: row.summary.loss_ratio),
        FileColumn(
            "availability_ratio", "file_availability", lambda row: row.summary.availability_ratio
        ),
        FileColumn("samples", "samples_head", lambda row: row.summary.metric(DOWN).count),
        FileColumn("notes", "file_notes", lambda row: row.notes or None),
    ]
    return file_table(columns, _rows(buckets, notes, shown, locale), locale)


def _rows(
    buckets: Sequence[Bucket], notes: Sequence[LineNote], shown: Range, locale: Locale
) -> list[_Row]:
    said: dict[datetime, list[str]] = {}
    for note in notes:
        start = bucket_start(max(note.last.starts_at, shown.start), shown.step)
        words = f"{notes_view.time_words(note.last, locale)}: {note.last.text}"
        said.setdefault(start, []).append(f"{words} ({note.first.author})")
    summaries = {bucket.start: bucket.summary for bucket in buckets}
    return [
        _Row(start, summaries.get(start, EMPTY), "; ".join(said.get(start, ())))
        for start in sorted({*summaries, *said})
    ]


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor
