"""Floor 2. Merges the deltas of stored results into the roll-ups by hour, day and month.

One transaction merges deltas and deletes them, so that each counts exactly once. A late result
changes its old buckets under a new revision, by which an issued report is found to be outdated.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from collector.registry.registry import LineKey
from collector.rollup.periods import Step, bucket_start
from collector.rollup.summary import Summary
from collector.store import rollup_tables
from collector.store.batch import utc_text
from collector.store.database import Transaction
from collector.store.rollup_tables import BODIES, FIGURES

_Buckets = dict[tuple[int, int], Summary]


class _LineFamily(NamedTuple):
    """What a `line_id` is of; `family` is a number of `family_number`."""

    line: LineKey
    family: int


def merge_deltas(transaction: Transaction, now: datetime, most_deltas: int) -> int:
    """Merge the oldest deltas; returns their number, 0 when there is none."""
    rows = transaction.execute(
        "SELECT number, tenant, probe, line, family, start_s, body FROM rollup_deltas "
        "ORDER BY number LIMIT ?",
        (most_deltas,),
    )
    if not rows:
        return 0
    hours: dict[tuple[_LineFamily, int], Summary] = {}
    for _, tenant, probe, line, family, start_s, body in rows:
        key = (_LineFamily(LineKey(tenant, probe, line), family), start_s)
        delta = rollup_tables.decode(bytes(body))
        hours[key] = hours[key].merged(delta) if key in hours else delta
    ids = _line_ids(transaction, {line for line, _ in hours})
    revision = _next_revision(transaction)
    buckets: _Buckets = {(ids[line], start_s): delta for (line, start_s), delta in hours.items()}
    for step in Step:
        _merge(transaction, step, _coarser(buckets, step), revision, now)
    transaction.execute("DELETE FROM rollup_deltas WHERE number <= ?", (rows[-1][0],))
    return len(rows)


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
    bodies, figures = BODIES[step], FIGURES[step]
    known = {
        (line_id, start_s): rollup_tables.decode(bytes(body))
        for line_id, start_s, body in transaction.select_pairs(
            bodies.name, "line_id, start_s, body", list(deltas)
        )
    }
    changed_at = utc_text(now)
    body_rows, figure_rows = [], []
    for key, delta in deltas.items():
        whole = known[key].merged(delta) if key in known else delta
        bucket = (*key, revision, changed_at)
        body_rows.append((*bucket, rollup_tables.encode(whole)))
        figure_rows.append((*bucket, *rollup_tables.figures(whole)))
    transaction.replace(bodies, body_rows)
    transaction.replace(figures, figure_rows)


def _line_ids(transaction: Transaction, lines: set[_LineFamily]) -> dict[_LineFamily, int]:
    rows = transaction.execute("SELECT line_id, family, tenant, probe, line FROM lines")
    ids = {_LineFamily(LineKey(*names), family): line_id for line_id, family, *names in rows}
    new = sorted(lines - ids.keys())
    for key in new:
        ((ids[key],),) = transaction.execute(
            "INSERT INTO lines (tenant, probe, line, family) VALUES (?, ?, ?, ?) RETURNING line_id",
            (*key.line, key.family),
        )
    return ids


def _next_revision(transaction: Transaction) -> int:
    ((revision,),) = transaction.execute(
        "INSERT INTO totals VALUES ('rollup_revision', 1) "
        "ON CONFLICT (name) DO UPDATE SET count = totals.count + 1 RETURNING count"
    )
    return int(revision)
