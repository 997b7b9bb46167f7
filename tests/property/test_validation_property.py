"""No bytes on any topic make intake raise, and what it accepts can be stored and drawn."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector.ingest.validation import validate
from collector.store.batch import Batch
from collector.store.messages import RejectedMessage, ResultsMessage
from tests import samples
from wire import messages, topics

NOW = datetime(2026, 7, 25, 5, 2, tzinfo=UTC)
MEASUREMENT = topics.measurement(samples.TENANT, samples.PROBE, "latency")
OWN = [topics.of_probe(samples.TENANT, samples.PROBE, c) for c in ("state", "info", "health")]
GOOD = samples.envelope([(1, samples.latency()), (2, samples.latency(rtt_ms=80.0))])

json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def check(topic: str, payload: bytes) -> None:
    judged = validate(topic, payload, NOW)
    if isinstance(judged, RejectedMessage):
        assert judged.detail
    # Whatever it became, its rows can be made and are text that a database takes.
    batch = Batch([judged], NOW)
    for row in batch.rows:
        assert all(value.encode() or True for value in row if isinstance(value, str))
        assert 1 <= row.seq < 2**63


@given(st.text() | st.sampled_from([MEASUREMENT, *OWN]), st.binary(max_size=200))
def test_any_bytes(topic: str, payload: bytes) -> None:
    check(topic, payload)


@given(st.sampled_from([MEASUREMENT, *OWN]), json_values)
def test_any_json(topic: str, value: Any) -> None:
    check(topic, json.dumps(value).encode())


@given(st.data())
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_a_good_envelope_with_broken_bytes(data: st.DataObject) -> None:
    payload = bytearray(GOOD)
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(payload) - 1))
        payload[position : position + data.draw(st.integers(0, 3))] = data.draw(
            st.binary(max_size=3)
        )
    check(MEASUREMENT, bytes(payload))


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    if isinstance(value, dict | list):
        for key, child in value.items() if isinstance(value, dict) else enumerate(value):
            found += places(child, (*path, key))
    return found


@given(st.data())
def test_a_good_message_with_one_strange_value(data: st.DataObject) -> None:
    topic, good = data.draw(
        st.sampled_from(
            [
                (MEASUREMENT, GOOD),
                (OWN[1], messages.encode(samples.info())),
                (OWN[2], messages.encode(samples.health())),
            ]
        )
    )
    document = json.loads(good)
    *parents, last = data.draw(st.sampled_from(places(document)))
    place = document
    for key in parents:
        place = place[key]
    place[last] = data.draw(json_values)
    check(topic, json.dumps(document).encode())


def test_the_starting_point_is_good() -> None:
    assert isinstance(validate(MEASUREMENT, GOOD, NOW), ResultsMessage)
