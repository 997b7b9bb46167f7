"""Columns of roll-ups that a version before had not are filled from the whole Summaries."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec import structs

from collector.registry.registry import LineKey
from collector.rollup.metrics import OVERVIEW_LOADED
from collector.rollup.periods import Period, Step, local_day
from collector.store.figure_fill import statement
from collector.store.rollup_tables import FIGURES
from collector.store.sql_store import SqlStore
from collector.store.sqlite import SqliteStore
from collector.store.store import Store
from tests import samples
from tests.contract.test_store import results
from wire.result import ThroughputResult

LINE = LineKey(samples.TENANT, samples.PROBE, samples.VNPT.id)
NOW = samples.NOON + timedelta(hours=1)
TODAY = Period(local_day(samples.NOON), local_day(samples.NOON))


def loaded() -> ThroughputResult:
    measured = samples.throughput(line=samples.VNPT, started_at=samples.NOON)
    assert measured.values is not None
    values = structs.replace(
        measured.values, rtt_loaded_download_p50_ms=42.5, rtt_loaded_upload_p50_ms=80.25
    )
    return structs.replace(measured, values=values)


def test_columns_of_a_version_before_are_filled(store: Store) -> None:
    assert isinstance(store, SqlStore)
    store.store_batch(
        [
            results([(1, loaded())], at=NOW),
            results([(2, samples.latency(started_at=samples.NOON))], at=NOW),
        ],
        NOW,
    )
    while store.roll_up(NOW):
        pass
    before = dict(store.summaries.overview(TODAY)[LINE].metrics)
    assert set(OVERVIEW_LOADED) <= before.keys()
    columns = ", ".join(
        f"{name}_{part} = NULL" for name in OVERVIEW_LOADED for part in ("count", "sum", "squares")
    )
    with store._database.transaction() as transaction:
        for table in FIGURES.values():
            transaction.execute(f"UPDATE {table.name} SET {columns}")
    assert not set(OVERVIEW_LOADED) & store.summaries.overview(TODAY)[LINE].metrics.keys()
    assert store.rollup_differences(LINE, TODAY.first), "the check would call it a difference"
    rows = 0
    while filled := store.carry_over():
        rows += filled
    assert rows == len(Step), "an hour, a day and a month"
    assert dict(store.summaries.overview(TODAY)[LINE].metrics) == before
    assert store.rollup_differences(LINE, TODAY.first, whole_month=True) == []
    assert store.carry_over() == 0


@pytest.mark.parametrize("step", list(Step))
def test_what_comes_next_is_found_by_the_key(tmp_path: Path, step: Step) -> None:
    """And not by reading all that was filled before: a nation has millions of hours."""
    path = tmp_path / "results.sqlite"
    SqliteStore(path).close()
    with closing(sqlite3.connect(path)) as database:
        plan = database.execute(f"EXPLAIN QUERY PLAN {statement(step, begun=True)}", (1, 1))
        first, *_ = [row[3] for row in plan]
    assert first.startswith("SEARCH f USING PRIMARY KEY")
    assert first.endswith(">(?,?))")
