"""Floor 2. Reads Summaries from the roll-up tables."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime

from collector.registry.registry import LineKey
from collector.rollup.metrics import OVERVIEW_KINDS
from collector.rollup.periods import VIETNAM, Period, Step, local_day, pieces, week_of
from collector.rollup.queries import Bucket, RevisedDay
from collector.rollup.summary import EMPTY, Summary
from collector.store import columns, rollup_tables
from collector.store.database import Database, Row, column_names
from collector.store.rollup_tables import BODIES, FIGURE_COLUMNS, FIGURES

# SQLite takes 32,766 values in a statement at most.
_LINES_AT_ONCE = 1_000


class SqlSummaries:
    """`collector.rollup.queries.Summaries` on a Database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._names: dict[int, LineKey] = {}

    def overview(self, period: Period, tenant: str | None = None) -> Mapping[LineKey, Summary]:
        rows = self._database.read(*_overview_query(period))
        names = self._line_names(row[0] for row in rows)
        return {
            key: rollup_tables.from_figures(cells)
            for line_id, *cells in rows
            if (key := names[line_id]).tenant == tenant or tenant is None
        }

    def of_lines(self, lines: Sequence[LineKey], period: Period) -> Mapping[LineKey, Summary]:
        ids = self._line_ids(lines)
        found: dict[LineKey, Summary] = {}
        for piece in pieces(period):
            for line_id, body in self._bodies(piece.step, ids, piece.start, piece.end, "body"):
                part = rollup_tables.decode(bytes(body))
                key = ids[line_id]
                found[key] = found[key].merged(part) if key in found else part
        return found

    def series(self, line: LineKey, period: Period, step: Step) -> list[Bucket]:
        rows = self._bodies(
            step,
            self._line_ids([line]),
            period.starts_at,
            period.ends_at,
            "start_s, revision, changed_at, body",
        )
        return [
            Bucket(
                datetime.fromtimestamp(start_s, UTC),
                revision,
                columns.time(changed_at),
                rollup_tables.decode(bytes(body)),
            )
            for _, start_s, revision, changed_at, body in sorted(rows, key=lambda row: row[1])
        ]

    def hours_of_week(self, line: LineKey, period: Period) -> Mapping[tuple[int, int], Summary]:
        found: dict[tuple[int, int], Summary] = {}
        for bucket in self.series(line, period, Step.HOUR):
            local = bucket.start.astimezone(VIETNAM)
            key = (local.weekday(), local.hour)
            found[key] = found.get(key, EMPTY).merged(bucket.summary)
        return found

    def week_counts(self, period: Period, kind: str) -> Mapping[LineKey, Mapping[date, int]]:
        weeks = Period(week_of(period.first).first, week_of(period.last).last)
        start_s, end_s = _seconds(weeks.starts_at), _seconds(weeks.ends_at)
        if kind not in OVERVIEW_KINDS:
            return self._week_counts_of_summaries(kind, start_s, end_s)
        rows = self._database.read(
            f"SELECT line_id, start_s, {kind}_ok FROM {FIGURES[Step.DAY].name} "
            f"WHERE start_s >= ? AND start_s < ? AND {kind}_ok > 0",
            (start_s, end_s),
        )
        return self._by_week(rows)

    def lines(self) -> list[LineKey]:
        rows = self._database.read("SELECT tenant, probe, line FROM lines")
        return sorted(LineKey(*row) for row in rows)

    def revision(self) -> int:
        rows = self._database.read("SELECT count FROM totals WHERE name = 'rollup_revision'")
        return int(rows[0][0]) if rows else 0

    def waiting(self) -> int:
        ((count,),) = self._database.read("SELECT count(*) FROM rollup_deltas")
        return int(count)

    def revised_since(
        self, period: Period, lines: Iterable[LineKey], revision: int
    ) -> list[RevisedDay]:
        wanted = set(lines)
        rows = self._database.read(
            f"SELECT line_id, start_s, changed_at FROM {FIGURES[Step.DAY].name} "
            "WHERE start_s >= ? AND start_s < ? AND revision > ?",
            (_seconds(period.starts_at), _seconds(period.ends_at), revision),
        )
        names = self._line_names(row[0] for row in rows)
        found = [
            RevisedDay(names[line_id], _day(start_s), columns.time(changed_at))
            for line_id, start_s, changed_at in rows
            if names[line_id] in wanted
        ]
        return sorted(found, key=lambda revised: (revised.day, revised.line))

    def _week_counts_of_summaries(
        self, kind: str, start_s: int, end_s: int
    ) -> Mapping[LineKey, Mapping[date, int]]:
        """For a kind without columns: slower, from the whole Summaries."""
        rows = self._database.read(
            f"SELECT line_id, start_s, body FROM {BODIES[Step.DAY].name} "
            "WHERE start_s >= ? AND start_s < ?",
            (start_s, end_s),
        )
        decoded = (
            (line_id, day_s, rollup_tables.decode(bytes(body)).counts(kind).ok)
            for line_id, day_s, body in rows
        )
        return self._by_week([row for row in decoded if row[2]])

    def _by_week(
        self, rows: Sequence[tuple[int, int, int]]
    ) -> Mapping[LineKey, Mapping[date, int]]:
        names = self._line_names(row[0] for row in rows)
        mondays: dict[int, date] = {}
        found: dict[LineKey, dict[date, int]] = defaultdict(dict)
        for line_id, start_s, count in rows:
            if start_s not in mondays:
                mondays[start_s] = week_of(_day(start_s)).first
            weeks, monday = found[names[line_id]], mondays[start_s]
            weeks[monday] = weeks.get(monday, 0) + count
        return found

    def _bodies(
        self, step: Step, ids: Mapping[int, LineKey], start: datetime, end: datetime, what: str
    ) -> list[Row]:
        found: list[Row] = []
        wanted = list(ids)
        for at in range(0, len(wanted), _LINES_AT_ONCE):
            some = wanted[at : at + _LINES_AT_ONCE]
            marks = ", ".join("?" * len(some))
            found += self._database.read(
                f"SELECT line_id, {what} FROM {BODIES[step].name} "
                f"WHERE line_id IN ({marks}) AND start_s >= ? AND start_s < ?",
                (*some, _seconds(start), _seconds(end)),
            )
        return found

    def _line_ids(self, lines: Sequence[LineKey]) -> dict[int, LineKey]:
        wanted = set(lines)
        if not wanted <= set(self._names.values()):
            self._read_names()
        return {line_id: key for line_id, key in self._names.items() if key in wanted}

    def _line_names(self, ids: Iterable[int]) -> Mapping[int, LineKey]:
        if any(line_id not in self._names for line_id in ids):
            self._read_names()
        return self._names

    def _read_names(self) -> None:
        rows = self._database.read("SELECT line_id, tenant, probe, line FROM lines")
        self._names = {line_id: LineKey(*names) for line_id, *names in rows}


def _overview_query(period: Period) -> tuple[str, list[int]]:
    sums = ", ".join(f"sum({column.name})" for column in FIGURE_COLUMNS)
    names = column_names(FIGURE_COLUMNS)
    parts, values = [], []
    for piece in pieces(period):
        table = FIGURES[piece.step].name
        parts.append(f"SELECT line_id, {names} FROM {table} WHERE start_s >= ? AND start_s < ?")
        values += [_seconds(piece.start), _seconds(piece.end)]
    union = " UNION ALL ".join(parts)
    return f"SELECT line_id, {sums} FROM ({union}) AS parts GROUP BY line_id", values


def _seconds(at: datetime) -> int:
    return int(at.timestamp())


def _day(start_s: int) -> date:
    return local_day(datetime.fromtimestamp(start_s, UTC))
