"""A block that the disk has damaged, and repeats: no other result is lost to them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

from collector.store.messages import NumberedResult, ResultsMessage
from collector.store.postgresql import PostgresqlStore
from collector.store.repeats import first_numbers
from collector.store.sqlite import SqliteStore
from tests import samples
from wire.record import Result
from wire.result import encode_result

NOW = datetime(2026, 7, 25, 5, 2, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)
AnyStore = SqliteStore | PostgresqlStore
OpenStore = Callable[[], AnyStore]


def _message(*numbered: tuple[int, Result], epoch: UUID = samples.EPOCH) -> ResultsMessage:
    return ResultsMessage(
        tenant=samples.TENANT,
        probe=samples.PROBE,
        received_at=NOW,
        retained=False,
        kind="latency",
        epoch=epoch,
        site=samples.SITE,
        records=tuple(
            NumberedResult(seq, result, encode_result(result)) for seq, result in numbered
        ),
    )


def _result(seq: int) -> Result:
    return samples.latency(target=f"stamp:may-chu-{seq}", rtt_ms=float(seq))


def _damage(store: AnyStore, body: bytes) -> None:
    """Write another body into the block of number 2."""
    with store.database.transaction() as transaction:
        transaction.execute("UPDATE result_blocks SET body = ? WHERE number = 2", (body,))


def test_a_damaged_block_is_left_out_and_keeps_nobody_from_the_others(
    open_store: OpenStore,
) -> None:
    store = open_store()
    for seq in (1, 2, 3):
        store.store_batch([_message((seq, _result(seq)))], NOW)
    ((cell,),) = store.read_sql("SELECT body FROM result_blocks WHERE number = 2")
    sound = bytes(cell)
    for place in range(len(sound)):
        damaged = bytearray(sound)
        damaged[place] ^= 0x10
        _damage(store, bytes(damaged))
        found = {one.number: one.body for one in store.results_after(0, 10)}
        # Some bits of a frame's header mean nothing; no bit may give another result.
        assert found.keys() >= {1, 3}, place
        assert found.get(2) in (None, encode_result(_result(2))), place
    for body in (sound[:-1], sound[:10], b"", b"{}", sound + b"\0"):
        _damage(store, body)
        assert {one.number for one in store.results_after(0, 10)} >= {1, 3}
        assert {one.number for one in store.newest_results(3)} >= {1, 3}
        assert {one.last.number for one in store.last_results(samples.TENANT, samples.PROBE)} >= {
            1,
            3,
        }
    _damage(store, sound[:10])
    done = store.store_batch([_message((2, _result(2)), (4, _result(4)))], LATER)
    assert (done.stored, done.duplicates, done.rejected) == (1, 1, 0)
    store.close()


def test_a_repeat_does_not_replace_a_last_result_of_a_clock_that_was_ahead(
    open_store: OpenStore,
) -> None:
    store = open_store()
    before = samples.latency(started_at=NOW - timedelta(hours=1))
    ahead = samples.latency(started_at=NOW + timedelta(hours=5))
    store.store_batch([_message((1, before))], NOW)
    store.store_batch([_message((1, ahead), epoch=samples.OTHER_EPOCH)], NOW)
    store.store_batch([_message((1, before))], LATER)
    (last,) = store.last_results(samples.TENANT, samples.PROBE)
    assert last.last.number == 2
    store.close()


def test_results_are_read_in_pages_of_any_size_over_many_blocks(open_store: OpenStore) -> None:
    store = open_store()
    # 150 blocks of a result, then 3 of 64: more than are read at once.
    seqs = [*range(1, 301, 2), *range(400, 592)]
    for at in range(0, len(seqs), 50):
        some = seqs[at : at + 50]
        store.store_batch([_message(*((seq, samples.latency()) for seq in some))], NOW)
    for limit in (1, 7, 64, 200, 1_000):
        found: list[int] = []
        number = 0
        while page := store.results_after(number, limit):
            assert len(page) == limit or page[-1].seq == seqs[-1]
            found += [one.seq for one in page]
            number = page[-1].number
        assert found == seqs
    store.close()


def test_scattered_repeats_are_compared_without_reading_what_is_between(
    open_store: OpenStore,
) -> None:
    assert first_numbers({1, 2, 60, 1_000_000}) == [(-62, 60), (999_937, 1_000_000)]
    store = open_store()
    seqs = [*range(1, 71), 500, *range(10_000, 10_100)]
    store.store_batch([_message(*((seq, _result(seq)) for seq in seqs))], NOW)
    same, other = [2, 64, 65, 70, 10_000, 10_063, 10_099], [1, 63, 66, 500, 10_064]
    repeats = [*((seq, _result(seq)) for seq in same), *((seq, _result(seq + 1)) for seq in other)]
    done = store.store_batch([_message(*sorted(repeats, key=lambda one: one[0]))], LATER)
    assert (done.stored, done.duplicates, done.rejected) == (0, len(same), len(other))
    store.close()
