"""Floor 2. Compares the roll-ups of a line with its raw results, and makes them anew from these.

A day is compared and mended in one transaction, in which every stored result is rolled up first:
ingest and roll-ups wait for it, so nothing counts twice and nothing is missed. A bucket that agrees
stays as it is, so that no report that was issued from it is called outdated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from math import isclose
from typing import NamedTuple

import msgspec

from collector.registry.registry import LineKey
from collector.rollup.comparison import BucketDifference, FigureDifference, figure_differences
from collector.rollup.periods import Period, Step, local_day, month_of
from collector.rollup.summary import EMPTY, Summary
from collector.store import columns, probe_results, rollup_tables
from collector.store.batch import family_of, microseconds, utc_text
from collector.store.database import Database, Row, Transaction, column_names
from collector.store.kind_tables import kind_tables
from collector.store.migrated_tables import DIFFERENCES
from collector.store.records import NotedDifference, StoredResult
from collector.store.result_reader import ResultReader
from collector.store.rollup_tables import BODIES, FIGURE_COLUMNS, FIGURES, ProbeResults
from collector.store.rollup_writer import Buckets, LineFamily, RollUpWriter, summaries_of
from collector.store.store import RebuildRefusedError
from wire.result import Result, decode_result

_Read = Callable[[str, Sequence[object]], list[Row]]
# Buckets of one step by family and beginning.
_OfLine = dict[tuple[int, int], Summary]
# The beginnings of what was deleted by age, in `totals` (seconds since 1970).
RAW_DELETED, ROLLUPS_DELETED = "raw_deleted_before_s", "rollups_deleted_before_s"
_SQL_COLUMNS = "sql_columns"


class _Compared(NamedTuple):
    """Buckets of one step: as they should be where they differ, and what differs."""

    wanted: _OfLine
    differences: list[BucketDifference]


class RollUpComparison:
    """Compares the roll-ups of a store with its raw results.

    Args:
        database: the store's.
        reader: reads its results.
        writer: writes its roll-ups.
    """

    def __init__(self, database: Database, reader: ResultReader, writer: RollUpWriter) -> None:
        self._database = database
        self._reader = reader
        self._writer = writer

    def differences(self, line: LineKey, day: date) -> list[BucketDifference]:
        """What differs in a line's hours and its day, without a transaction.

        A result that comes meanwhile, or waits to be rolled up, may be among it.
        """
        found = self._of_day(self._database.read, line, day)
        return [one for part in found.values() for one in part.differences]

    def compare_day(
        self, transaction: Transaction, line: LineKey, day: date, now: datetime, *, mend: bool
    ) -> list[BucketDifference]:
        """The same, where every stored result is rolled up; with `mend`, write what should be.

        Raises:
            RebuildRefusedError: raw results do not say what should be; nothing was written.
        """
        parts = self._of_day(transaction.execute, line, day)
        found = [one for part in parts.values() for one in part.differences]
        if mend and found:
            self._write(transaction, line, parts, now)
        return found

    def compare_month(
        self, transaction: Transaction, line: LineKey, month: date, now: datetime, *, mend: bool
    ) -> list[BucketDifference]:
        """What a line's month has that its hours do not have."""
        period = month_of(month)
        self._require_kept(ROLLUPS_DELETED, period, "hours")
        hours = _buckets(transaction.execute, line, Step.HOUR, period)
        part = _compared(transaction.execute, line, Step.MONTH, period, _merged(hours, period))
        if mend and part.differences:
            self._write(transaction, line, {Step.MONTH: part}, now)
        return part.differences

    def _of_day(self, read: _Read, line: LineKey, day: date) -> dict[Step, _Compared]:
        period = Period(day, day)
        self._require_kept(RAW_DELETED, period, "raw results")
        # Without a transaction, the buckets first: what is stored meanwhile is in the raw results.
        known = {step: _known(read, line, step, period) for step in (Step.HOUR, Step.DAY)}
        hours = self._from_raw(read, line, period)
        if not hours and any(one.summary != EMPTY for one in known[Step.DAY].values()):
            raise RebuildRefusedError(f"{day}: there are roll-ups and no raw result")
        wanted = {Step.HOUR: hours, Step.DAY: _merged(hours, period)}
        return {step: _difference(step, known[step], wanted[step]) for step in known}

    def _from_raw(self, read: _Read, line: LineKey, period: Period) -> _OfLine:
        """The hours of a line as its raw results have them."""
        if read("SELECT 1 FROM old_results WHERE tenant = ? AND probe = ? LIMIT 1", line[:2]):
            raise RebuildRefusedError("results of an older version are being carried over")
        results = [_decoded(one) for one in self._raw(line, period)]
        if len(results) != (stored := self._stored_facts(read, line, period)):
            raise RebuildRefusedError(
                f"{period.first}: of {stored} stored results, {len(results)} can be read"
            )
        started = [microseconds(result.started_at) for result in results]
        hours = summaries_of(ProbeResults(line.tenant, line.probe, results, started))
        return {(named.family, start_s): found for (named, start_s), found in hours.items()}

    def _raw(self, line: LineKey, period: Period) -> list[StoredResult]:
        """In the order in which they were stored."""
        found = probe_results.results_of(
            self._database, self._reader, line[:2], period.starts_at, period.ends_at
        )
        return sorted((one for one in found if one.line == line.line), key=lambda one: one.number)

    def _stored_facts(self, read: _Read, line: LineKey, period: Period) -> int:
        """How many results the tables of facts have, which damage to a block leaves whole."""
        instant = self._database.instant
        begin, end = instant(period.starts_at), instant(period.ends_at)
        counts = (
            read(
                f"SELECT count(*) FROM {kind.dimensions.name} AS d JOIN {kind.facts.name} AS f "
                "ON f.dimension_id = d.dimension_id WHERE d.tenant = ? AND d.probe = ? "
                "AND d.line = ? AND f.started_at >= ? AND f.started_at < ?",
                (*line, begin, end),
            )
            for kind in kind_tables().values()
        )
        return sum(int(rows[0][0]) for rows in counts)

    def _require_kept(self, mark: str, period: Period, what: str) -> None:
        rows = self._database.read("SELECT count FROM totals WHERE name = ?", (mark,))
        if rows and period.starts_at.timestamp() < rows[0][0]:
            kept = datetime.fromtimestamp(rows[0][0], UTC)
            raise RebuildRefusedError(
                f"{period.first}: {what} are kept since {kept:%Y-%m-%d %H:%M} UTC"
            )

    def _write(
        self,
        transaction: Transaction,
        line: LineKey,
        parts: Mapping[Step, _Compared],
        now: datetime,
    ) -> None:
        buckets: Mapping[Step, Buckets] = {
            step: {
                (LineFamily(line, family), start_s): summary
                for (family, start_s), summary in part.wanted.items()
            }
            for step, part in parts.items()
        }
        self._writer.replace(transaction, buckets, now)


def _compared(read: _Read, line: LineKey, step: Step, period: Period, wanted: _OfLine) -> _Compared:
    return _difference(step, _known(read, line, step, period), wanted)


class _Known(NamedTuple):
    """A bucket as it is stored: its Summary, and its columns for SQL."""

    summary: Summary
    cells: Sequence[object]


def _difference(step: Step, known: Mapping[tuple[int, int], _Known], wanted: _OfLine) -> _Compared:
    differing: _OfLine = {}
    found = []
    for key in sorted({*known, *wanted}):
        should = wanted.get(key, EMPTY)
        figures = list(_of_bucket(known.get(key), should))
        if figures:
            family, start_s = key
            differing[key] = should
            found.append(BucketDifference(step, start_s, family_of(family), tuple(figures)))
    return _Compared(differing, found)


def _of_bucket(known: _Known | None, should: Summary) -> Iterator[FigureDifference]:
    if known is None:
        yield from figure_differences(EMPTY, should)
        return
    yield from figure_differences(known.summary, should)
    names = [column.name for column in FIGURE_COLUMNS]
    for name, cell, own in zip(
        names, known.cells, rollup_tables.figures(known.summary), strict=True
    ):
        if not _same_cell(cell, own):
            yield FigureDifference(f"{_SQL_COLUMNS}.{name}", _number(cell), _number(own))


def _same_cell(cell: object, own: object) -> bool:
    if cell is None or own is None:
        return cell is own
    return isclose(_number(cell) or 0.0, _number(own) or 0.0, rel_tol=1e-12)


def _number(cell: object) -> float | None:
    return float(cell) if isinstance(cell, int | float) else None


def _known(read: _Read, line: LineKey, step: Step, period: Period) -> dict[tuple[int, int], _Known]:
    summaries = _buckets(read, line, step, period)
    cells_of = {
        (family, start_s): cells
        for family, start_s, *cells in _rows(
            read, line, FIGURES[step].name, period, column_names(FIGURE_COLUMNS)
        )
    }
    none: Sequence[object] = (None,) * len(FIGURE_COLUMNS)
    return {
        key: _Known(summaries.get(key, EMPTY), cells_of.get(key, none))
        for key in {*summaries, *cells_of}
    }


def _buckets(read: _Read, line: LineKey, step: Step, period: Period) -> _OfLine:
    return {
        (family, start_s): rollup_tables.decode(bytes(body))
        for family, start_s, body in _rows(read, line, BODIES[step].name, period, "body")
    }


def _rows(read: _Read, line: LineKey, table: str, period: Period, what: str) -> list[Row]:
    return read(
        f"SELECT family, start_s, {what} FROM {table} JOIN lines USING (line_id) "
        "WHERE tenant = ? AND probe = ? AND line = ? AND start_s >= ? AND start_s < ?",
        (*line, int(period.starts_at.timestamp()), int(period.ends_at.timestamp())),
    )


def _merged(hours: _OfLine, period: Period) -> _OfLine:
    """One bucket of all hours of each family, added in their order."""
    found: _OfLine = {}
    start_s = int(period.starts_at.timestamp())
    for (family, _), summary in sorted(hours.items(), key=lambda one: one[0]):
        key = family, start_s
        found[key] = found[key].merged(summary) if key in found else summary
    return found


def _decoded(stored: StoredResult) -> Result:
    try:
        return decode_result(stored.body)
    except msgspec.DecodeError as error:
        raise RebuildRefusedError(
            f"result {stored.number}: this version cannot read it: {error}"
        ) from error


def note(
    transaction: Transaction,
    line: LineKey,
    period: str,
    found: Sequence[BucketDifference],
    now: datetime,
) -> None:
    """Keep what differs in a line's day or month, in place of what was noted before."""
    figures = [figure for bucket in found for figure in bucket.figures]
    if not figures:
        forget(transaction, line, period)
        return
    first = figures[0]
    transaction.upsert(
        DIFFERENCES,
        [
            (
                *line,
                period,
                utc_text(now),
                len(figures),
                first.figure,
                first.rolled_up,
                first.raw,
            )
        ],
        "SET figures = excluded.figures, figure = excluded.figure, "
        "rolled_up = excluded.rolled_up, raw = excluded.raw",
    )


def forget(transaction: Transaction, line: LineKey, period: str) -> None:
    """Forget what was noted of a line's day or month."""
    transaction.execute(
        "DELETE FROM rollup_differences WHERE tenant = ? AND probe = ? AND line = ? AND period = ?",
        (*line, period),
    )


def forget_before(transaction: Transaction, cut: datetime) -> None:
    """Forget what was noted of days whose raw results are deleted: nothing is left to compare."""
    transaction.execute(
        "DELETE FROM rollup_differences WHERE period < ?", (local_day(cut).isoformat(),)
    )


def noted(read: _Read) -> list[NotedDifference]:
    """What `note` keeps, by line and period."""
    rows = read(
        "SELECT tenant, probe, line, period, found_at, figures, figure, rolled_up, raw "
        "FROM rollup_differences",
        (),
    )
    return [
        NotedDifference(LineKey(*row[:3]), row[3], columns.time(row[4]), *row[5:])
        for row in sorted(rows)
    ]


def mark_deleted(transaction: Transaction, mark: str, cut: datetime) -> None:
    """Note that what is older than `cut` may be deleted from now on."""
    transaction.execute(
        "INSERT INTO totals VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET count = excluded.count "
        "WHERE totals.count < excluded.count",
        (mark, int(cut.timestamp())),
    )
