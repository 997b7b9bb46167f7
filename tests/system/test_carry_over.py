"""Carrying old results over is killed in the middle, and goes on: nothing lost, nothing twice."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

from collector.store.maintenance import Maintenance
from collector.store.settings import StoreConfig
from collector.store.sqlite import SqliteStore
from tests import old_store
from tests.killed import kill_while_working

_RESULTS = 6_000
_MOST_BATCHES = 45


def test_a_carry_over_that_is_killed_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    old_store.make(path, _RESULTS)
    for _ in range(3):
        kill_while_working(__name__, path)
    store = SqliteStore(path)
    ((left,),) = store.read_sql("SELECT count(*) FROM old_results")
    assert 0 < left < _RESULTS, "it was killed in the middle"
    _is_whole(store)
    while store.carry_over():
        pass
    _is_whole(store)
    assert store.read_sql("SELECT count(*) FROM old_results") == [(0,)]
    store.close()


def test_maintenance_carries_over(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    old_store.make(path, 200)
    store = SqliteStore(path)
    maintenance = Maintenance(store, StoreConfig(raw_days=0), lambda: None)
    while maintenance.run_once(datetime.now(UTC)):
        pass
    assert store.read_sql("SELECT count(*) FROM old_results") == [(0,)]
    assert len(store.results_after(0, 1_000)) == 200
    store.close()


def _is_whole(store: SqliteStore) -> None:
    numbers = list(range(1, _RESULTS + 1))
    assert [one.number for one in store.results_after(0, _RESULTS + 1)] == numbers
    for table in ("results", "latency_results"):
        rows = store.read_sql(f"SELECT number FROM {table} ORDER BY number")
        assert [number for (number,) in rows] == numbers


def _carry_over(path: Path) -> None:
    store = SqliteStore(path)
    for _ in range(_MOST_BATCHES):
        store.carry_over(40)
        print("carried", flush=True)
    # However late it is killed, something is left to do.
    sys.stdin.read()


if __name__ == "__main__":
    _carry_over(Path(sys.argv[1]))
