"""A disk that fails in the middle of a batch: SQLite ends the transaction by itself.

In a process of its own, because the limit of a file's size, which makes the error, is a process's.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

from collector.ingest.validation import validate
from collector.store.messages import ResultsMessage
from collector.store.sqlite import SqliteStore
from collector.store.store import StoreError
from tests import samples
from tests.samples import NOON

_ROOT = Path(__file__).parents[2]
_BATCHES, _RESULTS = 6, 100


def test_what_an_io_error_took_back_is_not_held_for_stored(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", __name__, str(tmp_path / "results.sqlite")],
        cwd=_ROOT, capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    said = json.loads(ended.stdout)
    assert "disk I/O error" in said["error"]
    assert said["after_error"] == {"ledger": [[1, 10]], "results": 10, "of_kind": 10}
    whole = 10 + _BATCHES * _RESULTS
    assert (said["stored"], said["duplicates"]) == (_BATCHES * _RESULTS, 0)
    assert said["after_retry"] == {"ledger": [[1, whole]], "results": whole, "of_kind": whole}


def _store_through_an_error(path: Path) -> dict[str, object]:
    store = SqliteStore(path)
    store.store_batch([_message(1, 11)], NOON)
    # A cache that spills into the log before the commit, as 64 MiB of changed pages do.
    writer = store.database._writer
    assert writer is not None
    writer.execute("PRAGMA cache_size = 3")
    batch = [_message(11 + _RESULTS * i, 11 + _RESULTS * (i + 1)) for i in range(_BATCHES)]
    log_bytes = path.with_name(path.name + "-wal").stat().st_size
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (log_bytes + 60_000, most))
    try:
        store.begin_batch(batch, NOON)()
        error = "none"
    except StoreError as told:
        error = str(told)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    after_error = _held(store)
    again = store.store_batch(batch, NOON)
    return {
        "error": error, "after_error": after_error, "stored": again.stored,
        "duplicates": again.duplicates, "after_retry": _held(store),
    }  # fmt: skip


def _held(store: SqliteStore) -> dict[str, object]:
    (ledger,) = store.ledgers().values()
    ((results,),) = store.read_sql("SELECT count(*) FROM results")
    ((of_kind,),) = store.read_sql("SELECT count(*) FROM latency_results")
    return {"ledger": ledger.ranges, "results": results, "of_kind": of_kind}


def _message(first: int, end: int) -> ResultsMessage:
    numbered = [(seq, samples.latency(rtt_ms=10.0 + seq % 50)) for seq in range(first, end)]
    topic = f"tramdo/v1/{samples.TENANT}/{samples.PROBE}/m/latency"
    judged = validate(topic, samples.envelope(numbered), NOON)
    assert isinstance(judged, ResultsMessage), judged
    return judged


if __name__ == "__main__":
    print(json.dumps(_store_through_an_error(Path(sys.argv[1]))))
