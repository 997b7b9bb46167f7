"""What a latency result of 60 echoes costs in the store, in envelopes of two (decision 93)."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from uuid import UUID

from bench.centre_load import measured
from collector.store.messages import NumberedResult, ResultsMessage
from collector.store.postgresql import PostgresqlStore
from collector.store.sql_store import SqlStore
from collector.store.sqlite import SqliteStore
from collector.store.store import Store
from tests import samples
from wire.result import encode_result

_RESULTS, _PROBES = 9_000, 20
# Before blocks 1,940 and 2,210; their share that grows with the number of results.
_BYTES = {"SqliteStore": 470, "PostgresqlStore": 560}
_GROWING = "result_blocks|latency_facts|latency_dimensions|results|latency_results"


def test_a_latency_result_costs_a_quarter_of_what_it_did(store: Store) -> None:
    assert isinstance(store, SqlStore)
    rng, now = random.Random(14), datetime(2026, 7, 25, 5, tzinfo=UTC)
    sizes = []
    for first in range(0, _RESULTS, 1_000):
        pairs = range(first // 2, (first + 1_000) // 2)
        store.store_batch([_envelope(rng, now, pair) for pair in pairs], now)
        sizes.append(_size(store))
    # Without what a store takes when it is empty, and the first rows of dimensions.
    assert (sizes[-1] - sizes[0]) / (_RESULTS - 1_000) <= _BYTES[type(store).__name__]


def _envelope(rng: random.Random, now: datetime, pair: int) -> ResultsMessage:
    number = pair % _PROBES
    seq = 1 + 2 * (pair // _PROBES)
    records = []
    for place in range(2):
        at = now - timedelta(seconds=rng.uniform(60, 3_600))
        _, latency = measured(rng, at, latency_packets=60)
        body = encode_result(latency)
        records.append(NumberedResult(seq + place, latency, body))
    return ResultsMessage(
        tenant=samples.TENANT,
        probe=f"tram-{number}",
        received_at=now,
        retained=False,
        kind="latency",
        epoch=UUID(int=number + 1),
        site=samples.SITE,
        records=tuple(records),
    )


def _size(store: SqlStore) -> int:
    """The bytes of the tables of results, with their indexes."""
    if isinstance(store, SqliteStore):
        names = " OR ".join(f"name GLOB '{name}*'" for name in _GROWING.split("|"))
        ((size,),) = store.read_sql(f"SELECT sum(pgsize) FROM dbstat WHERE {names}")
        return int(size)
    assert isinstance(store, PostgresqlStore)
    ((size,),) = store.read_sql(
        "SELECT sum(pg_relation_size(oid)) FROM pg_class "
        f"WHERE relkind IN ('r', 'i') AND relname ~ '^({_GROWING})'"
    )
    return int(size)
