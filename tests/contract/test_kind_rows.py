"""What SQL people and Grafana read: a row in the table of its kind for each stored result."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from collector.ingest.validation import validate
from collector.store.kind_tables import kind_tables
from collector.store.messages import ResultsMessage
from collector.store.sql_store import SqlStore
from collector.store.store import Store
from tests import samples
from wire.result import Outcome, Reason, Result, Validity

NOW = datetime(2026, 7, 25, 5, 2, tzinfo=UTC)


def put(store: Store, *numbered: tuple[int, Result]) -> None:
    topic = f"tramdo/v1/{samples.TENANT}/{samples.PROBE}/m/{numbered[0][1].kind}"
    judged = validate(topic, samples.envelope(numbered), NOW)
    assert isinstance(judged, ResultsMessage), judged
    store.store_batch([judged], NOW)


def read(store: Store, sql: str) -> list[tuple[object, ...]]:
    assert isinstance(store, SqlStore)
    return store.read_sql(sql)


def test_a_result_can_be_read_by_its_columns(store: Store) -> None:
    good = samples.throughput(download_bps=250e6, validity=[Validity.CLOCK_UNSYNCED])
    bad = samples.throughput(outcome=Outcome.FAILED, reason=Reason.TIMEOUT)
    put(store, (1, good), (2, bad))
    put(store, (3, samples.latency(lost=6)))
    (first, second) = read(
        store,
        "SELECT number, line, isp, outcome, reason, validity, download_bps, download_retransmits "
        "FROM throughput_results ORDER BY number",
    )
    assert first == (1, "vnpt", "VNPT", "ok", None, "clock_unsynced", 250e6, 3)
    assert second == (2, "vnpt", "VNPT", "failed", "timeout", "", None, None)
    assert read(store, "SELECT number, sent, lost, loss_ratio FROM latency_results") == [
        (3, 60, 6, 0.1)
    ]
    # The whole result stands beside it, under the same number.
    assert read(store, "SELECT epoch, seq, kind FROM results WHERE number = 3") == [
        (str(samples.EPOCH), 3, "latency")
    ]
    (third,) = store.results_after(2, 10)
    assert (third.number, b'"rtt_p50_ms"' in third.body) == (3, True)


def test_a_repeat_makes_no_second_row(store: Store) -> None:
    put(store, (1, samples.latency()))
    put(store, (1, samples.latency()), (2, samples.latency()))
    assert read(store, "SELECT count(*) FROM latency_results") == [(2,)]
    assert read(store, "SELECT number FROM results ORDER BY number") == [(1,), (2,)]


@pytest.mark.parametrize("kind", kind_tables())
def test_every_kind_has_its_table(store: Store, kind: str) -> None:
    names = ", ".join(kind_tables()[kind].columns)
    assert read(store, f"SELECT {names} FROM {kind}_results") == []
