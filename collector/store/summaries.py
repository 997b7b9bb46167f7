"""Floor 2. Reads Summaries from the roll-up tables."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from itertools import chain, groupby
from typing import NamedTuple

from collector.registry.registry import LineKey
from collector.rollup.days import DaySample
from collector.rollup.metrics import OVERVIEW_KINDS
from collector.rollup.periods import Period, Step, local_day, pieces, week_of
from collector.rollup.queries import (
    AVAILABILITY,
    LOSS,
    Bucket,
    HourMean,
    HourProfile,
    LineDays,
    RevisedDay,
    hours_of_week,
    merged_buckets,
)
from collector.rollup.summary import Summary, merge_summaries
from collector.store import columns, rollup_tables
from collector.store.batch import family_of
from collector.store.database import Database, Row, Table, column_names
from collector.store.rollup_tables import BODIES, FIGURE_COLUMNS, FIGURES
from wire.result import Family

# The hour of the week in Vietnam (UTC+7): 1970 began on a Thursday. Without %, which is psycopg's.
_HOUR = "((start_s + 25200) / 3600 + 72)"
_HOUR_OF_WEEK = f"{_HOUR} - {_HOUR} / 168 * 168"
_UP, _DOWN = (f"coalesce(availability_{name}_minutes, 0)" for name in ("up", "down"))
# What shares are of, as (numerator, denominator).
_RATIOS = {LOSS: ("latency_lost", "latency_sent"), AVAILABILITY: (_UP, f"({_UP} + {_DOWN})")}
# SQLite takes 32,766 values in a statement at most.
_LINES_AT_ONCE = 1_000


class _LineFamily(NamedTuple):
    """What a `line_id` is of."""

    line: LineKey
    family: Family | None


class SqlSummaries:
    """`collector.rollup.queries.Summaries` on a Database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._names: dict[int, _LineFamily] = {}
        self._ids: dict[LineKey, tuple[int, ...]] = {}
        self._last_id = 0
        self._have_families = False

    def overview(self, period: Period, tenant: str | None = None) -> Mapping[LineKey, Summary]:
        self._read_new_names()
        rows = self._database.read(*_overview_query(period, whole=self._have_families))
        names = self._line_names(row[0] for row in rows)
        found: dict[LineKey, Summary] = {}
        # Taken off the list one by one: a nation's rows are not there beside all their Summaries.
        rows.reverse()
        while rows:
            line_id, *cells = rows.pop()
            if (key := names[line_id].line).tenant == tenant or tenant is None:
                found[key] = rollup_tables.from_figures(cells)
        return found

    def overview_by_family(
        self, period: Period
    ) -> Mapping[LineKey, Mapping[Family | None, Summary]]:
        rows = self._database.read(*_overview_query(period, whole=False))
        names = self._line_names(row[0] for row in rows)
        found: dict[LineKey, dict[Family | None, Summary]] = defaultdict(dict)
        for line_id, *cells in rows:
            line, family = names[line_id]
            found[line][family] = rollup_tables.from_figures(cells)
        return found

    def of_lines(self, lines: Sequence[LineKey], period: Period) -> Mapping[LineKey, Summary]:
        return {
            line: merge_summaries(by_family.values())
            for line, by_family in self.by_family(lines, period).items()
        }

    def by_family(
        self, lines: Sequence[LineKey], period: Period
    ) -> Mapping[LineKey, Mapping[Family | None, Summary]]:
        ids = self._line_ids(lines)
        found: dict[LineKey, dict[Family | None, Summary]] = defaultdict(dict)
        for piece in pieces(period):
            for line_id, body in self._bodies(piece.step, ids, piece.start, piece.end, "body"):
                part = rollup_tables.decode(bytes(body))
                line, family = ids[line_id]
                known = found[line].get(family)
                found[line][family] = part if known is None else known.merged(part)
        return found

    def series(self, line: LineKey, period: Period, step: Step) -> list[Bucket]:
        return merged_buckets(self.series_by_family(line, period, step).values())

    def series_by_family(
        self, line: LineKey, period: Period, step: Step
    ) -> Mapping[Family | None, list[Bucket]]:
        ids = self._line_ids([line])
        rows = self._bodies(
            step, ids, period.starts_at, period.ends_at, "start_s, revision, changed_at, body"
        )
        found: dict[Family | None, list[Bucket]] = defaultdict(list)
        for line_id, start_s, revision, changed_at, body in sorted(rows, key=lambda row: row[1]):
            found[ids[line_id].family].append(
                Bucket(
                    datetime.fromtimestamp(start_s, UTC),
                    revision,
                    columns.time(changed_at),
                    rollup_tables.decode(bytes(body)),
                )
            )
        return found

    def hours_of_week(self, line: LineKey, period: Period) -> Mapping[tuple[int, int], Summary]:
        hours = hours_of_week(self.series(line, period, Step.HOUR))
        return {slot: merge_summaries(parts) for slot, parts in hours.items()}

    def hour_means(
        self, lines: Sequence[LineKey], period: Period, metric: str
    ) -> Mapping[LineKey, Mapping[tuple[int, int], HourMean]]:
        ids = self._line_ids(lines)
        count, total = f"{metric}_count", f"{metric}_sum"
        rows = self._rows(
            FIGURES[Step.HOUR], ids, period.starts_at, period.ends_at,
            f"{_HOUR_OF_WEEK}, sum({count}), sum({total})",
            f"AND {count} > 0 GROUP BY 1, 2",
        )  # fmt: skip
        found: dict[LineKey, dict[tuple[int, int], HourMean]] = defaultdict(dict)
        for line_id, slot, samples, added in rows:
            hours, at = found[ids[line_id].line], divmod(int(slot), 24)
            known = hours.get(at, HourMean(0, 0.0))
            hours[at] = HourMean(known.samples + int(samples), known.total + float(added))
        return found

    def hour_profile(
        self, factors: Mapping[LineKey, float], period: Period, figure: str
    ) -> Mapping[tuple[int, int], HourProfile]:
        ids, numbers = self._line_ids(list(factors)), {key: n for n, key in enumerate(factors)}
        wanted = [
            (line_id, numbers[one.line], factors[one.line])
            for line_id, one in sorted(ids.items(), key=lambda pair: numbers[pair[1].line])
        ]
        sums: dict[tuple[int, int], tuple[int, float]] = {}
        for part in _whole_lines(wanted, _LINES_AT_ONCE):
            for slot, lines, added in self._database.read(
                _profile_query(figure, len(part)),
                (*chain.from_iterable(part), _seconds(period.starts_at), _seconds(period.ends_at)),
            ):
                at = divmod(int(slot), 24)
                known_lines, known_sum = sums.get(at, (0, 0.0))
                sums[at] = known_lines + int(lines), known_sum + float(added)
        return {at: HourProfile(lines, added / lines) for at, (lines, added) in sums.items()}

    def daily_by_family(self, lines: Sequence[LineKey], period: Period, metric: str) -> LineDays:
        ids = self._line_ids(lines)
        rows = self._rows(
            FIGURES[Step.DAY], ids, period.starts_at, period.ends_at,
            f"start_s, {metric}_count, {metric}_sum",
        )  # fmt: skip
        found: dict[LineKey, dict[Family | None, list[DaySample]]] = defaultdict(dict)
        days = {start_s: _day(start_s) for start_s in {row[1] for row in rows}}
        for line_id, start_s, count, total in sorted(rows, key=lambda row: row[1]):
            if count:
                line, family = ids[line_id]
                found[line].setdefault(family, []).append(DaySample(days[start_s], count, total))
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
        rows = self._database.read("SELECT DISTINCT tenant, probe, line FROM lines")
        return sorted(LineKey(*row) for row in rows)

    def revision(self) -> int:
        rows = self._database.read("SELECT count FROM totals WHERE name = 'rollup_revision'")
        return int(rows[0][0]) if rows else 0

    def waiting(self) -> int:
        ((old, new),) = self._database.read(
            "SELECT (SELECT count(*) FROM rollup_deltas), "
            "(SELECT coalesce(sum(results), 0) FROM rollup_batches)"
        )
        return int(old + new)

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
        found: dict[tuple[date, LineKey], datetime] = {}
        for line_id, start_s, changed in rows:
            if (line := names[line_id].line) in wanted:
                day, changed_at = _day(start_s), columns.time(changed)
                found[day, line] = max(changed_at, found.get((day, line), changed_at))
        return [RevisedDay(line, day, at) for (day, line), at in sorted(found.items())]

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
            weeks, monday = found[names[line_id].line], mondays[start_s]
            weeks[monday] = weeks.get(monday, 0) + count
        return found

    def _bodies(
        self, step: Step, ids: Mapping[int, _LineFamily], start: datetime, end: datetime, what: str
    ) -> list[Row]:
        return self._rows(BODIES[step], ids, start, end, what)

    def _rows(
        self,
        table: Table,
        ids: Mapping[int, _LineFamily],
        start: datetime,
        end: datetime,
        what: str,
        rest: str = "",
    ) -> list[Row]:
        found: list[Row] = []
        wanted = list(ids)
        for at in range(0, len(wanted), _LINES_AT_ONCE):
            some = wanted[at : at + _LINES_AT_ONCE]
            marks = ", ".join("?" * len(some))
            found += self._database.read(
                f"SELECT line_id, {what} FROM {table.name} "
                f"WHERE line_id IN ({marks}) AND start_s >= ? AND start_s < ? {rest}",
                (*some, _seconds(start), _seconds(end)),
            )
        return found

    def _line_ids(self, lines: Sequence[LineKey]) -> dict[int, _LineFamily]:
        """The numbers of some lines, each with its family."""
        self._read_new_names()
        return {
            line_id: self._names[line_id]
            for line in dict.fromkeys(lines)
            for line_id in self._ids.get(line, ())
        }

    def _line_names(self, ids: Iterable[int]) -> Mapping[int, _LineFamily]:
        if any(line_id not in self._names for line_id in ids):
            self._read_new_names()
        return self._names

    def _read_new_names(self) -> None:
        """Read the lines and families that came since; numbers only grow."""
        rows = self._database.read(
            "SELECT line_id, family, tenant, probe, line FROM lines WHERE line_id > ? "
            "ORDER BY line_id",
            (self._last_id,),
        )
        if not rows:
            return
        new = {
            line_id: _LineFamily(LineKey(*names), family_of(family))
            for line_id, family, *names in rows
        }
        # Replaced and not changed: other threads read them meanwhile.
        names, ids = self._names | new, dict(self._ids)
        for line_id, named in new.items():
            ids[named.line] = (*ids.get(named.line, ()), line_id)
        self._names, self._ids, self._last_id = names, ids, rows[-1][0]
        self._have_families = len(ids) < len(names)


def _whole_lines(
    wanted: Sequence[tuple[int, int, float]], most: int
) -> Iterator[list[tuple[int, int, float]]]:
    """Parts of about `most`, in which all numbers of a line are together; they are in its order."""
    part: list[tuple[int, int, float]] = []
    for _, same in groupby(wanted, key=lambda one: one[1]):
        part += same
        if len(part) >= most:
            yield part
            part = []
    if part:
        yield part


def _profile_query(figure: str, count: int) -> str:
    """By hour of the week: how many lines have samples, and the sum of their means."""
    total, samples = _RATIOS.get(figure, (f"{figure}_sum", f"{figure}_count"))
    rows = ", ".join(
        ["(CAST(? AS bigint), CAST(? AS bigint), CAST(? AS double precision))"] * count
    )
    return (
        f"WITH wanted (line_id, line, factor) AS (VALUES {rows}) "
        "SELECT slot, count(*), sum(mean) FROM ("
        f"SELECT line, {_HOUR_OF_WEEK} AS slot, "
        f"sum({total}) * min(factor) / sum({samples}) AS mean "
        f"FROM wanted JOIN {FIGURES[Step.HOUR].name} USING (line_id) "
        f"WHERE start_s >= ? AND start_s < ? AND {samples} > 0 "
        "GROUP BY line, slot) AS means GROUP BY slot"
    )


def _overview_query(period: Period, *, whole: bool) -> tuple[str, list[int]]:
    """The added-up figures by `line_id`; if `whole`, those of a line's families together."""
    sums = ", ".join(f"sum({column.name}) AS {column.name}" for column in FIGURE_COLUMNS)
    names = column_names(FIGURE_COLUMNS)
    parts, values = [], []
    for piece in pieces(period):
        table = FIGURES[piece.step].name
        parts.append(f"SELECT line_id, {names} FROM {table} WHERE start_s >= ? AND start_s < ?")
        values += [_seconds(piece.start), _seconds(piece.end)]
    union = " UNION ALL ".join(parts)
    each = f"SELECT line_id, {sums} FROM ({union}) AS parts GROUP BY line_id"
    if not whole:
        return each, values
    joined = (
        f"SELECT min(line_id), {sums} FROM ({each}) AS families JOIN lines USING (line_id) "
        "GROUP BY tenant, probe, line"
    )
    return joined, values


def _seconds(at: datetime) -> int:
    return int(at.timestamp())


def _day(start_s: int) -> date:
    return local_day(datetime.fromtimestamp(start_s, UTC))
