"""The results of one probe and time, in every store: from blocks, from packs, each once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from collector.store.messages import NumberedResult, ResultsMessage
from collector.store.store import Store
from tests import samples
from tests.contract.conftest import OpenStore
from wire.result import Result, encode_result

BEGIN = samples.NOON
END = BEGIN + timedelta(days=2)


def take(
    store: Store, first: int, times: Sequence[datetime], *, probe: str = samples.PROBE
) -> list[bytes]:
    """Store results of these times as one message; returns their bodies."""
    results: list[Result] = [
        samples.latency(started_at=at, rtt_ms=first + place) for place, at in enumerate(times)
    ]
    message = ResultsMessage(
        tenant=samples.TENANT,
        probe=probe,
        received_at=times[-1],
        retained=False,
        kind="latency",
        epoch=samples.EPOCH,
        site=samples.SITE,
        records=tuple(
            NumberedResult(seq, result, encode_result(result))
            for seq, result in enumerate(results, first)
        ),
    )
    store.store_batch([message], times[-1])
    return [encode_result(result) for result in results]


def every(first: datetime, count: int, step: timedelta) -> list[datetime]:
    return [first + place * step for place in range(count)]


def fill(store: Store) -> list[bytes]:
    """Results before, within and after the time; returns the bodies of those within."""
    hour = timedelta(hours=1)
    take(store, 1, every(BEGIN - 30 * hour, 30, hour))
    within = take(store, 31, every(BEGIN, 20, hour))
    # An outbox that comes late, with results of the same block before and after the end.
    edge = take(store, 2_500, every(END - 3 * hour, 6, hour))
    take(store, 31, every(BEGIN, 5, hour), probe="tram-01981-1")
    return [*within, *edge[:3]]


def found(store: Store) -> list[tuple[int, bytes]]:
    results = store.results_of(samples.TENANT, samples.PROBE, BEGIN, END)
    return [(one.seq, one.body) for one in results]


def test_a_time_s_results_come_from_blocks_and_packs_alike(open_store: OpenStore) -> None:
    store = open_store()
    expected = list(zip([*range(31, 51), 2_500, 2_501, 2_502], fill(store), strict=True))
    assert found(store) == expected
    later = END + timedelta(days=3)
    while store.repack(later - timedelta(days=3, hours=20), 10):
        pass
    assert found(store) == expected, "some packed, some not"
    while store.repack(later):
        pass
    assert found(store) == expected
    store.close()


def test_results_that_arrive_meanwhile_do_not_disturb(open_store: OpenStore) -> None:
    store = open_store()
    expected = fill(store)
    reading = store.results_of(samples.TENANT, samples.PROBE, BEGIN, END)
    bodies = [next(reading).body]
    while store.repack(END + timedelta(days=3)):
        pass
    bodies += [one.body for one in reading]
    assert bodies == expected
    store.close()


def test_a_probe_without_results_has_none(store: Store) -> None:
    assert list(store.results_of(samples.TENANT, samples.PROBE, BEGIN, END)) == []
