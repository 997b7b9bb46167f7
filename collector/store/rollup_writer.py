"""Floor 2. Merges the deltas of stored results into the roll-ups by hour, day and month.

One transaction merges deltas and deletes them, so that each counts exactly once. A late result
changes its old buckets under a new revision, by which an issued report is found to be outdated.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import NamedTuple

from collector.registry.registry import LineKey
from collector.rollup.periods import Step, bucket_start
from collector.rollup.summary import HourGroups, HourKey, ResultGroup, Summary, summary_of
from collector.rollup.windows import Windows
from collector.store import rollup_tables
from collector.store.batch import family_number, utc_text
from collector.store.database import Row, Transaction
from collector.store.rollup_tables import BODIES, FIGURES, BatchDelta, ProbeResults, delta_of
from collector.store.store import HOURS_SHARE

_Buckets = dict[tuple[int, int], Summary]


# So many batches are looked at for one roll-up: a nation's in some minutes.
_MOST_BATCHES = 2_000


class LineFamily(NamedTuple):
    """What a `line_id` is of; `family` is a number of `family_number`."""

    line: LineKey
    family: int


_Hours = dict[tuple[LineFamily, int], Summary]
Buckets = Mapping[tuple[LineFamily, int], Summary]


class RollUpWriter:
    """Merges deltas. One for each store; it remembers the lines' numbers."""

    def __init__(self) -> None:
        self._ids: dict[LineFamily, int] = {}
        self._last_id = 0

    def forget(self) -> None:
        """Forget the numbers, where another server may answer, which lacks the last of them."""
        self._ids, self._last_id = {}, 0

    def merge_deltas(self, transaction: Transaction, now: datetime, most_results: int) -> int:
        """Merge the oldest deltas; returns of how many results, 0 when there is none.

        Args:
            transaction: the transaction.
            now: the centre's clock.
            most_results: so many are read at most, unless one batch has more; of these, the first
                `1 / HOURS_SHARE` as many hours of lines are merged.
        """
        hours, merged = _old_deltas(transaction, max(most_results // 10, 1))
        if not merged:
            hours, merged = _new_deltas(transaction, most_results)
        if not merged:
            return 0
        ids = self._line_ids(transaction, {line for line, _ in hours})
        revision = _next_revision(transaction)
        buckets: _Buckets = {
            (ids[line], start_s): delta for (line, start_s), delta in hours.items()
        }
        for step in Step:
            _merge(transaction, step, _coarser(buckets, step), revision, now)
        return merged

    def replace(
        self, transaction: Transaction, steps: Mapping[Step, Buckets], now: datetime
    ) -> None:
        """Write whole buckets in place of those that are stored, under a new revision."""
        ids = self._line_ids(transaction, {line for some in steps.values() for line, _ in some})
        revision = _next_revision(transaction)
        for step, some in steps.items():
            whole = {(ids[line], start_s): summary for (line, start_s), summary in some.items()}
            _write(transaction, step, whole, revision, now)

    def _line_ids(
        self, transaction: Transaction, lines: set[LineFamily]
    ) -> Mapping[LineFamily, int]:
        """The numbers of lines; numbers only grow, so only new ones are read."""
        rows = transaction.execute(
            "SELECT line_id, family, tenant, probe, line FROM lines WHERE line_id > ? "
            "ORDER BY line_id",
            (self._last_id,),
        )
        for line_id, family, *names in rows:
            self._ids[LineFamily(LineKey(*names), family)] = self._last_id = line_id
        new = sorted(line for line in lines if line not in self._ids)
        if not new:
            return self._ids
        # Not remembered before they are committed.
        ids = dict(self._ids)
        for key in new:
            ((ids[key],),) = transaction.execute(
                "INSERT INTO lines (tenant, probe, line, family) VALUES (?, ?, ?, ?) "
                "RETURNING line_id",
                (*key.line, key.family),
            )
        return ids


def _new_deltas(transaction: Transaction, most_results: int) -> tuple[_Hours, int]:
    """Take the oldest batches' deltas; returns their Summaries and the number of results.

    Of `1 / HOURS_SHARE` as many hours as results at most. What the other hours have in all batches
    that were read is left as one delta, so that an hour of a line is merged once for many batches.
    """
    sizes = transaction.execute(
        "SELECT number, results FROM rollup_batches ORDER BY number LIMIT ?", (_MOST_BATCHES,)
    )
    if not sizes:
        return {}, 0
    last = _last_within(sizes, most_results)
    deltas = [
        rollup_tables.decode_delta(bytes(body))
        for (body,) in transaction.execute(
            "SELECT body FROM rollup_batches WHERE number <= ? ORDER BY number", (last,)
        )
    ]
    waiting = _Waiting(deltas, max(most_results // HOURS_SHARE, 1))
    if waiting.left:
        transaction.execute(
            "UPDATE rollup_batches SET results = ?, body = ? WHERE number = ?",
            (waiting.left, rollup_tables.encode_delta(waiting.rest()), last),
        )
        last -= 1
    transaction.execute("DELETE FROM rollup_batches WHERE number <= ?", (last,))
    return waiting.summaries(), max(waiting.results - waiting.left, 1)


class _Waiting:
    """What some batches add: the first `at_once` hours are merged now, the others are left."""

    def __init__(self, deltas: Sequence[BatchDelta], at_once: int) -> None:
        self._at_once = at_once
        self._windows = Windows([one.windows for one in deltas if one.windows is not None])
        groups: dict[HourKey, list[ResultGroup]] = defaultdict(list)
        for delta in deltas:
            for hour in delta.hours:
                groups[hour.key] += hour.groups
        every = dict.fromkeys([*self._windows.hours, *groups])
        taken = dict.fromkeys(islice(every, at_once))
        self._groups = {key: some for key, some in groups.items() if key in taken}
        self._groups_left = {key: some for key, some in groups.items() if key not in taken}
        in_groups = [_results(some) for some in groups.values()]
        self.results = self._windows.results + sum(in_groups)
        self._windows_left = self._windows.rest(at_once)
        in_windows = 0 if self._windows_left is None else self._windows_left.results
        self.left = in_windows + sum(map(_results, self._groups_left.values()))

    def summaries(self) -> _Hours:
        """The Summaries of the hours that are merged."""
        found = self._windows.summaries(self._at_once)
        for key, groups in self._groups.items():
            more = summary_of(groups)
            found[key] = found[key].merged(more) if key in found else more
        return {
            (LineFamily(key.line, family_number(key.family)), key.start_s): summary
            for key, summary in found.items()
        }

    def rest(self) -> BatchDelta:
        """What the hours that are left add."""
        return BatchDelta(
            self._windows_left,
            [
                HourGroups(*key.line, key.family, key.start_s, groups)
                for key, groups in self._groups_left.items()
            ],
        )


def summaries_of(some: ProbeResults) -> _Hours:
    """What a roll-up makes of some results at once: a Summary of each hour of each line."""
    return _Waiting([delta_of([some])], at_once=max(len(some.results), 1)).summaries()


def _last_within(sizes: Sequence[Row], most_results: int) -> int:
    """The last number up to which batches have at most so many results, of one batch at least."""
    taken, last = 0, int(sizes[0][0])
    for number, results in sizes:
        taken += results
        if taken > most_results:
            break
        last = int(number)
    return last


def _results(groups: Sequence[ResultGroup]) -> int:
    return sum(group.counts.attempted + group.counts.skipped for group in groups)


def _old_deltas(transaction: Transaction, most_deltas: int) -> tuple[_Hours, int]:
    """Take deltas that a version before 0.2.0 left, a Summary each; returns their number too."""
    rows = transaction.execute(
        "SELECT number, tenant, probe, line, family, start_s, body FROM rollup_deltas "
        "ORDER BY number LIMIT ?",
        (most_deltas,),
    )
    hours: _Hours = {}
    for _, tenant, probe, line, family, start_s, body in rows:
        key = (LineFamily(LineKey(tenant, probe, line), family), start_s)
        delta = rollup_tables.decode(bytes(body))
        hours[key] = hours[key].merged(delta) if key in hours else delta
    if rows:
        transaction.execute("DELETE FROM rollup_deltas WHERE number <= ?", (rows[-1][0],))
    return hours, len(rows)


def delete_rollups(transaction: Transaction, cut: datetime) -> None:
    """Delete the hours and days that began before `cut`. Months stay."""
    for step in (Step.HOUR, Step.DAY):
        for table in (FIGURES[step], BODIES[step]):
            transaction.execute(
                f"DELETE FROM {table.name} WHERE start_s < ?", (int(cut.timestamp()),)
            )


def _coarser(hours: _Buckets, step: Step) -> _Buckets:
    if step is Step.HOUR:
        return hours
    found: _Buckets = {}
    starts: dict[int, int] = {}
    for (line_id, start_s), delta in hours.items():
        if start_s not in starts:
            at = datetime.fromtimestamp(start_s, UTC)
            starts[start_s] = int(bucket_start(at, step).timestamp())
        key = (line_id, starts[start_s])
        found[key] = found[key].merged(delta) if key in found else delta
    return found


def _merge(
    transaction: Transaction, step: Step, deltas: Mapping[tuple[int, int], Summary], revision: int,
    now: datetime,
) -> None:  # fmt: skip
    bodies = BODIES[step]
    known = {
        (line_id, start_s): rollup_tables.decode(bytes(body))
        for line_id, start_s, body in transaction.select_pairs(
            bodies.name, "line_id, start_s, body", list(deltas)
        )
    }
    whole = {
        key: known[key].merged(delta) if key in known else delta for key, delta in deltas.items()
    }
    _write(transaction, step, whole, revision, now)


def _write(
    transaction: Transaction, step: Step, buckets: _Buckets, revision: int, now: datetime
) -> None:
    bodies, figures = BODIES[step], FIGURES[step]
    changed_at = utc_text(now)
    body_rows, figure_rows = [], []
    for key, whole in buckets.items():
        bucket = (*key, revision, changed_at)
        body_rows.append((*bucket, rollup_tables.encode(whole)))
        figure_rows.append((*bucket, *rollup_tables.figures(whole)))
    transaction.replace(bodies, body_rows)
    transaction.replace(figures, figure_rows)


def _next_revision(transaction: Transaction) -> int:
    ((revision,),) = transaction.execute(
        "INSERT INTO totals VALUES ('rollup_revision', 1) "
        "ON CONFLICT (name) DO UPDATE SET count = totals.count + 1 RETURNING count"
    )
    return int(revision)
