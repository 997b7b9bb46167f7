"""Packing old results is killed in the middle, and goes on; at night, and by a command."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from collector.store.maintenance import Maintenance
from collector.store.messages import NumberedResult, ResultsMessage
from collector.store.settings import StoreConfig
from collector.store.sqlite import SqliteStore
from tests import samples
from tests.killed import kill_while_working
from wire.result import encode_result

_ROOT = Path(__file__).parents[2]
_RESULTS = 6_000
_AT = datetime(2026, 7, 25, 5, 2, tzinfo=UTC)
# 02:00 in Vietnam.
_NIGHT = datetime(2026, 7, 27, 19, 0, tzinfo=UTC)
_STEPS = 45


def _fill(path: Path, count: int) -> None:
    store = SqliteStore(path)
    for first in range(1, count + 1, 500):
        store.store_batch([_message(seq) for seq in range(first, first + 500)], _AT)
    store.close()


def _message(seq: int) -> ResultsMessage:
    result = samples.latency(rtt_ms=1 + seq / 1_000, started_at=_AT)
    return ResultsMessage(
        tenant=samples.TENANT,
        probe=samples.PROBE,
        received_at=_AT,
        retained=False,
        kind="latency",
        epoch=samples.EPOCH,
        site=samples.SITE,
        records=(NumberedResult(seq, result, encode_result(result)),),
    )


def test_packing_that_is_killed_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    _fill(path, _RESULTS)
    for _ in range(3):
        kill_while_working(__name__, path)
        store = SqliteStore(path)
        _is_whole(store)
        ((left,),) = store.read_sql("SELECT count(*) FROM result_blocks")
        assert 0 < left < _RESULTS, "it was killed in the middle"
        store.close()
    store = SqliteStore(path)
    while store.repack(_NIGHT):
        pass
    _is_whole(store)
    assert store.read_sql("SELECT count(*) FROM result_blocks") == [(0,)]
    store.close()


def test_maintenance_packs_at_night_if_it_shall(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    _fill(path, 500)
    store = SqliteStore(path)
    for repack, now, packed in (
        (False, _NIGHT, 0),
        (True, _NIGHT - timedelta(hours=6), 0),
        (True, _NIGHT, 500),
    ):
        maintenance = Maintenance(store, StoreConfig(raw_days=0, repack=repack), lambda: None)
        while maintenance.run_once(now):
            pass
        rows = store.read_sql("SELECT coalesce(sum(results), 0) FROM result_packs")
        assert rows == [(packed,)]
    assert len(store.results_after(0, 1_000)) == 500
    store.close()


def test_the_command_packs_while_results_come_in(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    _fill(path, 1_000)
    config = tmp_path / "collector.toml"
    config.write_bytes(
        msgspec.toml.encode({"broker": {"host": "127.0.0.1"}, "store": {"path": str(path)}})
    )
    store = SqliteStore(path)
    command = [sys.executable, "-m", "collector.cli", "repack", "--config", str(config)]
    with subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True) as process:
        seq = 1_001
        while process.poll() is None:
            store.store_batch([_message(seq)], datetime.now(UTC))
            seq += 1
        assert process.stdout is not None
        said = process.stdout.read()
    assert process.returncode == 0
    assert "1000 results are packed" in said
    assert [one.seq for one in store.results_after(0, 10_000)] == list(range(1, seq))
    store.close()


def _is_whole(store: SqliteStore) -> None:
    found = store.results_after(0, _RESULTS + 1)
    assert [one.number for one in found] == list(range(1, _RESULTS + 1))
    wanted = [
        encode_result(samples.latency(rtt_ms=1 + one.seq / 1_000, started_at=_AT)) for one in found
    ]
    assert [one.body for one in found] == wanted
    rows = store.read_sql("SELECT number FROM results ORDER BY number")
    assert [number for (number,) in rows] == list(range(1, _RESULTS + 1))


def _repack(path: Path) -> None:
    store = SqliteStore(path)
    for _ in range(_STEPS):
        store.repack(_NIGHT, 40)
        print("packed", flush=True)
    # However late it is killed, something is left to do.
    sys.stdin.read()


if __name__ == "__main__":
    _repack(Path(sys.argv[1]))
