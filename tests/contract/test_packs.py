"""Packed results: byte for byte, by number and by identity, once, while others read and write."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

from collector.store.messages import NumberedResult, ResultsMessage
from collector.store.packs import PACK_RESULTS
from collector.store.postgresql import PostgresqlStore
from collector.store.records import MaintenanceResult, StoredResult
from collector.store.sqlite import SqliteStore
from tests import samples
from wire.result import Result, encode_result

NOW = datetime(2026, 7, 25, 5, 2, tzinfo=UTC)
LATER = NOW + timedelta(days=1)
AnyStore = SqliteStore | PostgresqlStore
OpenStore = Callable[[], AnyStore]


def _message(
    *numbered: tuple[int, Result], epoch: UUID = samples.EPOCH, at: datetime = NOW
) -> ResultsMessage:
    return ResultsMessage(
        tenant=samples.TENANT,
        probe=samples.PROBE,
        received_at=at,
        retained=False,
        kind=numbered[0][1].kind,
        epoch=epoch,
        site=samples.SITE,
        records=tuple(
            NumberedResult(seq, result, encode_result(result)) for seq, result in numbered
        ),
    )


def _result(seq: int, at: datetime = NOW) -> Result:
    return samples.latency(target=f"stamp:{seq % 7}", rtt_ms=1 + seq / 100, started_at=at)


def _fill(store: AnyStore, count: int, at: datetime = NOW, first: int = 1) -> None:
    """Results of two epochs in turn, in envelopes of one to three."""
    seqs = {samples.EPOCH: first, samples.OTHER_EPOCH: first}
    done = 0
    messages = []
    while done < count:
        epoch = (samples.EPOCH, samples.OTHER_EPOCH)[done % 2]
        some = range(seqs[epoch], seqs[epoch] + 1 + done % 3)
        numbered = [(seq, _result(seq, at)) for seq in some]
        messages.append(_message(*numbered, epoch=epoch, at=at))
        seqs[epoch] += len(some)
        done += len(some)
    store.store_batch(messages, at)


def _all(store: AnyStore, limit: int = 1_000) -> list[StoredResult]:
    found: list[StoredResult] = []
    while page := store.results_after(found[-1].number if found else 0, limit):
        found += page
    return found


def _repack(store: AnyStore, most: int = 1_000) -> None:
    while store.repack(LATER, most):
        pass


def _count(store: AnyStore, table: str) -> int:
    ((count,),) = store.read_sql(f"SELECT count(*) FROM {table}")
    return int(count)


def test_packed_results_are_read_as_they_were(open_store: OpenStore) -> None:
    store = open_store()
    _fill(store, 700)
    other = [samples.throughput(), samples.dns(), samples.web(), samples.outage()]
    for seq, result in enumerate(other, start=5_000):
        store.store_batch([_message((seq, result))], NOW)
    before = _all(store)
    view = store.read_sql("SELECT * FROM results ORDER BY number")
    last = store.last_results(samples.TENANT, samples.PROBE)
    _repack(store)
    assert _count(store, "result_blocks") == 0
    assert 2 <= _count(store, "result_packs") <= 4
    assert _all(store) == before
    for limit in (1, 7, 200):
        assert store.results_after(340, limit) == before[340 : 340 + limit]
        assert store.newest_results(limit) == before[-limit:]
    assert store.read_sql("SELECT * FROM results ORDER BY number") == view
    assert store.last_results(samples.TENANT, samples.PROBE) == last
    _fill(store, 20, LATER, first=9_000)
    paged = _all(store, 33)
    assert paged[: len(before)] == before
    assert len(paged) == _count(store, "results") > len(before)
    store.close()


def test_results_that_are_not_old_stay(open_store: OpenStore) -> None:
    store = open_store()
    _fill(store, 10)
    _fill(store, 10, LATER, first=100)
    while store.repack(NOW + timedelta(hours=1)):
        pass
    assert _count(store, "packed_blocks") > 0
    assert _count(store, "result_blocks") == _count(store, "packed_blocks")
    store.close()


def test_a_repeat_of_a_packed_result_is_one_and_another_result_is_refused(
    open_store: OpenStore,
) -> None:
    store = open_store()
    _fill(store, 600)
    _repack(store)
    same = [(seq, _result(seq)) for seq in (1, 2, 250)]
    other = [(seq, _result(seq + 1)) for seq in (3, 251)]
    done = store.store_batch([_message(*sorted([*same, *other], key=lambda one: one[0]))], LATER)
    assert (done.stored, done.duplicates, done.rejected) == (0, 3, 2)
    store.close()


def test_a_damaged_pack_or_block_keeps_nobody_from_the_others(open_store: OpenStore) -> None:
    store = open_store()
    _fill(store, PACK_RESULTS + 50)
    with store.database.transaction() as transaction:
        transaction.execute(
            "UPDATE result_blocks SET body = ? WHERE number = "
            "(SELECT max(number) FROM result_blocks WHERE number < 20)",
            (b"damaged",),
        )
    readable = _all(store)
    _repack(store)
    assert _count(store, "result_blocks") == 1
    assert _all(store) == readable
    (number, sound), *_ = store.read_sql(
        "SELECT number, body FROM result_packs ORDER BY number DESC"
    )
    wanted = {one.number: one for one in readable}
    whole = bytes(sound)
    for place in range(0, len(whole), len(whole) // 12):
        damaged = bytearray(whole)
        damaged[place] ^= 0x10
        with store.database.transaction() as transaction:
            transaction.execute(
                "UPDATE result_packs SET body = ? WHERE number = ?", (bytes(damaged), number)
            )
        found = _all(store)
        assert {one.number for one in found} >= {n for n in wanted if n < number}, place
        assert all(wanted[one.number] == one for one in found), place
        store.last_results(samples.TENANT, samples.PROBE)
    store.close()


def test_days_are_packed_apart_and_go_by_age(open_store: OpenStore) -> None:
    store = open_store()
    next_day = NOW + timedelta(days=2)
    _fill(store, 90)
    _fill(store, 90, next_day, first=1_000)
    while store.repack(next_day + timedelta(days=1), 37):
        pass
    assert _count(store, "result_blocks") == 0
    packs = _count(store, "result_packs")
    assert packs < 9
    now = NOW + timedelta(days=11)
    while store.maintain(now, raw_days=10) != MaintenanceResult():
        pass
    left = _all(store)
    assert left
    assert all(one.received_at == next_day for one in left)
    assert _count(store, "latency_facts") == len(left) == _count(store, "results")
    assert 0 < _count(store, "result_packs") < packs
    while store.maintain(now + timedelta(days=30), raw_days=10) != MaintenanceResult():
        pass
    for table in ("result_packs", "packed_blocks", "latency_facts", "results"):
        assert _count(store, table) == 0
    store.close()


def test_readers_miss_nothing_while_results_are_packed_and_come_in(open_store: OpenStore) -> None:
    store, writer = open_store(), open_store()
    _fill(store, 900)
    numbers = [one.number for one in _all(store)]
    ended = threading.Event()
    wrong: list[object] = []

    def read() -> None:
        while not ended.is_set():
            found = [one.number for one in _all(store, 100)]
            if found[: len(numbers)] != numbers:
                wrong.append(found)
            if len(store.newest_results(50)) != 50:
                wrong.append("newest")

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for first in range(10_000, 10_400, 100):
            _fill(writer, 10, LATER + timedelta(hours=1), first)
            store.repack(LATER, 150)
        _repack(store, 150)
    finally:
        ended.set()
        reader.join()
    assert not wrong
    assert _count(store, "packed_blocks") > 0
    writer.close()
    store.close()


def test_two_programs_that_pack_at_once_move_each_result_once(open_store: OpenStore) -> None:
    stores = [open_store(), open_store()]
    _fill(stores[0], 900)
    before = _all(stores[0])
    threads = [threading.Thread(target=_repack, args=(store, 100)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    _repack(stores[0])
    assert _count(stores[0], "result_blocks") == 0
    assert _all(stores[0]) == before
    ((packed,),) = stores[0].read_sql("SELECT sum(results) FROM result_packs")
    assert packed == len(before)
    for store in stores:
        store.close()
