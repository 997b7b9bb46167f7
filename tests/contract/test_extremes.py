"""Whatever the gate lets in, a store takes and rolls up: each field at its ends, and many at once.

A result that a store could not take would end the thread that stores, and come again after the
start: one stolen key would be enough.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from collector.ingest.validation import validate
from collector.store.messages import ResultsMessage
from collector.store.store import Store
from tests import samples
from wire import topics
from wire.envelope import encode_envelope
from wire.result import Result, encode_result

NOW = datetime(2026, 7, 25, 5, 2, tzinfo=UTC)
# What a probe sends in many messages comes here in one.
_MOST_BYTES = 10_000_000
NUMBERS = (0, -0.0, 5e-324, 1, 1e10, 1e12, 1e13, 2**53 - 1, None)
TEXTS = ("", "\0", "x" * 500, "\n\r", "=1+1", "0001-01-01T00:00:00+14:00", "9999-12-30T00:00:00Z")
KINDS = (
    samples.throughput(), samples.latency(), samples.dns(), samples.web(), samples.path(),
    samples.availability(), samples.outage(),
)  # fmt: skip


def spoilt(told: Any, place: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Where in a result what is put in the place of what stands there."""
    match told:
        case dict():
            for name, inside in told.items():
                yield from spoilt(inside, (*place, name))
        case list():
            for number, inside in enumerate(told[:1]):
                yield from spoilt(inside, (*place, number))
        case bool():
            return
        case int() | float():
            yield from ((place, number) for number in NUMBERS)
        case str():
            yield from ((place, text) for text in TEXTS)


def bodies(result: Result) -> Iterator[bytes]:
    body = encode_result(result)
    for (*way, last), value in spoilt(json.loads(body)):
        document = place = json.loads(body)
        for step in way:
            place = place[step]
        place[last] = value
        yield json.dumps(document).encode()


def stored(store: Store, kind: str, some: list[bytes]) -> int:
    payload = encode_envelope(
        samples.TENANT, samples.PROBE, samples.EPOCH, samples.SITE, NOW,
        list(enumerate(some, start=1)),
    )  # fmt: skip
    topic = topics.measurement(samples.TENANT, samples.PROBE, kind)
    judged = validate(topic, payload, NOW, max_bytes=_MOST_BYTES)
    assert isinstance(judged, ResultsMessage), judged
    return store.store_batch([judged], NOW).stored


@pytest.mark.parametrize("result", KINDS, ids=lambda result: result.kind)
def test_what_is_let_in_is_stored_and_rolled_up(store: Store, result: Result) -> None:
    assert stored(store, result.kind, list(bodies(result))) > 50
    while store.roll_up(NOW):
        pass
    assert store.summaries.waiting() == 0


def test_many_windows_of_invented_counts_are_stored_and_rolled_up(store: Store) -> None:
    told = samples.latency()
    assert told.values is not None
    most = 2**53 - 1
    values = msgspec.structs.replace(told.values, sent=most, lost=most, rtt_us=[most])
    body = encode_result(msgspec.structs.replace(told, values=values))
    each = 900
    batch = []
    for first in range(1, 3 * each, each):
        payload = encode_envelope(
            samples.TENANT, samples.PROBE, samples.EPOCH, samples.SITE, NOW,
            [(first + number, body) for number in range(each)],
        )  # fmt: skip
        topic = topics.measurement(samples.TENANT, samples.PROBE, "latency")
        batch.append(validate(topic, payload, NOW, max_bytes=_MOST_BYTES))
    assert store.store_batch(batch, NOW).stored == 3 * each
    assert store.roll_up(NOW) > 0
