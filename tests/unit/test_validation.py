"""What intake takes and refuses, each refusal with its reason."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from collector.ingest.validation import is_deletion, validate
from collector.store.messages import RejectedMessage, ResultsMessage, StatusMessage
from tests import samples
from wire import messages, topics
from wire.envelope import decode_whole, encode_envelope
from wire.messages import Presence, Rejection, State
from wire.result import Result, encode_result

NOW = datetime(2026, 7, 25, 5, 2, tzinfo=UTC)
TOPIC = topics.measurement(samples.TENANT, samples.PROBE, "latency")


def valid() -> dict[str, Any]:
    """A good envelope as plain JSON, to be spoilt."""
    document: dict[str, Any] = json.loads(samples.envelope([(1, samples.latency())]))
    return document


def refusal(document: dict[str, Any], topic: str = TOPIC) -> tuple[Rejection, str]:
    judged = validate(topic, json.dumps(document).encode(), NOW)
    assert isinstance(judged, RejectedMessage), judged
    assert judged.topic == topic
    assert judged.received_at == NOW
    return judged.reason, judged.detail


def test_an_envelope_is_accepted_with_bodies_as_sent() -> None:
    good, slow = samples.latency(), samples.latency(rtt_ms=80.0)
    judged = validate(TOPIC, samples.envelope([(4, good), (5, slow)]), NOW)
    assert isinstance(judged, ResultsMessage)
    assert (judged.tenant, judged.probe, judged.kind) == (samples.TENANT, samples.PROBE, "latency")
    assert judged.epoch == samples.EPOCH
    assert judged.site == samples.SITE
    assert [record.seq for record in judged.records] == [4, 5]
    assert [record.result for record in judged.records] == [good, slow]
    assert [record.body for record in judged.records] == [
        encode_result(good),
        encode_result(slow),
    ]


@pytest.mark.parametrize("result", [samples.latency(), samples.dns(), samples.path()])
@pytest.mark.parametrize("at_once", [True, False])
def test_no_body_with_a_byte_that_is_no_text_is_stored(result: Result, at_once: bool) -> None:
    # With an indent it is read record by record. 0xFF is in no text of UTF-8.
    topic = topics.measurement(samples.TENANT, samples.PROBE, result.kind)
    payload = samples.envelope([(1, result)])
    if not at_once:
        payload = json.dumps(json.loads(payload), indent=1, ensure_ascii=False).encode()
    assert (decode_whole(payload) is not None) is at_once
    assert isinstance(validate(topic, payload, NOW), ResultsMessage)
    begin, end = payload.index(b'"result"'), payload.rindex(b"]")
    for place in range(begin, end):
        judged = validate(topic, payload[:place] + b"\xff" + payload[place + 1 :], NOW)
        assert isinstance(judged, RejectedMessage), payload[place - 30 : place + 30]


def test_bodies_keep_the_senders_spelling() -> None:
    # Another probe's encoder may space its JSON: what is stored is what was sent.
    payload = json.dumps(valid(), indent=1).encode()
    judged = validate(TOPIC, payload, NOW)
    assert isinstance(judged, ResultsMessage)
    assert judged.records[0].body.startswith(b'{\n    "kind": "latency"')


@pytest.mark.parametrize(
    ("channel", "message"),
    [
        ("state", State(Presence.ONLINE, NOW)),
        ("state", State(Presence.LOST)),
        ("info", samples.info()),
        ("health", samples.health()),
    ],
)
def test_a_probes_own_messages_are_taken(
    channel: str, message: State | messages.Info | messages.Health
) -> None:
    topic = topics.of_probe(samples.TENANT, samples.PROBE, channel)
    judged = validate(topic, messages.encode(message), NOW, retained=True)
    assert judged == StatusMessage(samples.TENANT, samples.PROBE, NOW, True, message)


@pytest.mark.parametrize(
    ("channel", "payload", "deletes"),
    [
        ("state", b"", True),
        ("info", b"", True),
        ("receipt", b"", True),
        ("state", b" ", False),
        ("health", b"", False),
        ("m/latency", b"", False),
    ],
)
def test_an_empty_payload_deletes_what_is_retained(
    channel: str, payload: bytes, deletes: bool
) -> None:
    topic = f"tramdo/v1/{samples.TENANT}/{samples.PROBE}/{channel}"
    assert is_deletion(topic, payload) is deletes
    assert not is_deletion("another/topic", b"")


def test_a_message_over_the_limit_is_not_read() -> None:
    payload = samples.envelope([(1, samples.latency())])
    judged = validate(TOPIC, payload, NOW, max_bytes=len(payload) - 1)
    assert isinstance(judged, RejectedMessage)
    assert judged.reason is Rejection.TOO_LARGE
    assert judged.payload == payload
    assert isinstance(validate(TOPIC, payload, NOW, max_bytes=len(payload)), ResultsMessage)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"hello",
        b"\xff\xfe",
        b'{"schema":"\xed\xa0\x80"}',
        b'{"schema":"\\ud800"}',
        b"[" * 100_000,
        b'{"schema":"tramdo/1","site":' + b"[" * 100_000,
        b"\x00" * 1000,
    ],
)
def test_bytes_that_are_not_json(payload: bytes) -> None:
    judged = validate(TOPIC, payload, NOW)
    assert isinstance(judged, RejectedMessage)
    assert judged.reason in (Rejection.NOT_JSON, Rejection.SCHEMA)
    assert judged.detail
    assert len(judged.detail) <= 500


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "tramdo/v2/a/b/m/latency",
        "tramdo/v1/A/b/m/latency",
        "tramdo/v1/a/b/m",
        "tramdo/v1/a/b/m/latency/x",
        "tramdo/v1/a/b/cmd/reload",
        f"tramdo/v1/{samples.TENANT}/{samples.PROBE}/receipt",
        "tramdo/v1/a/b\x00/state",
    ],
)
def test_topics_that_no_probe_publishes_on(topic: str) -> None:
    reason, detail = refusal(valid(), topic)
    assert reason is Rejection.TOPIC
    assert detail


@pytest.mark.parametrize(("field", "value"), [("tenant", "other"), ("probe", "tram-2")])
def test_a_probe_cannot_speak_for_another(field: str, value: str) -> None:
    reason, detail = refusal(valid() | {field: value})
    assert reason is Rejection.IDENTITY
    assert value in detail


def test_each_record_must_be_of_the_topics_kind() -> None:
    judged = validate(TOPIC, samples.envelope([(2, samples.throughput())]), NOW)
    assert isinstance(judged, RejectedMessage)
    assert judged.reason is Rejection.KIND
    assert judged.detail == "record 2: it is of kind throughput, the topic is for latency"


def test_a_broken_record_does_not_cost_its_neighbours() -> None:
    sound = encode_result(samples.latency())
    broken = {
        2: (encode_result(samples.throughput()), Rejection.KIND),
        3: (sound.replace(b'"sent":60', b'"sent":-6'), Rejection.SCHEMA),
        5: (sound.replace(b"vnpt", b"vn\xffpt"), Rejection.NOT_JSON),
    }
    bodies = [(seq, broken[seq][0] if seq in broken else sound) for seq in range(1, 7)]
    payload = encode_envelope(
        samples.TENANT, samples.PROBE, samples.EPOCH, samples.SITE, NOW, bodies
    )
    judged = validate(TOPIC, payload, NOW)
    assert isinstance(judged, ResultsMessage)
    assert [record.seq for record in judged.records] == [1, 4, 6]
    assert [(one.payload, one.reason) for one in judged.rejected_records] == list(broken.values())
    assert [one.detail.split(":")[0] for one in judged.rejected_records] == [
        f"record {seq}" for seq in broken
    ]
    assert [one.topic for one in judged.rejected_records] == [TOPIC] * 3


def spoil(document: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    *parents, last = path.split(".")
    place: Any = document
    for step in parents:
        place = place[int(step) if step.isdigit() else step]
    place[last] = value
    return document


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("schema", "tramdo/2"),
        ("records", []),
        ("epoch", "1"),
        ("sent_at", "2026-07-25 05:00:00"),
        ("site.commune_code", "1969"),
        ("surprise", 1),
        ("records.0.seq", 0),
        ("records.0.seq", -1),
        ("records.0.seq", 2**63),
        ("records.0.seq", 2**70),
        ("records.0.seq", 1.5),
        ("records.0.seq", True),
        ("records.0.result.kind", "speed"),
        ("records.0.result.outcome", "fine"),
        ("records.0.result.outcome", "failed"),
        ("records.0.result.validity", ["lucky"]),
        ("records.0.result.duration_s", -1),
        ("records.0.result.line.id", "VNPT"),
        ("records.0.result.started_at", "2026-07-25T05:00:00"),
        ("records.0.result.started_at", "0001-01-01T00:00:00+14:00"),
        ("records.0.result.started_at", "9999-12-31T23:59:59-14:00"),
        ("records.0.result.started_at", "9999-12-31T20:00:00Z"),
        ("records.0.result.values.loss_ratio", 1.5),
        ("records.0.result.values.surprise", 0),
        # Figures that would make every sum of the nation infinite.
        ("records.0.result.values.rtt_mean_ms", 1e300),
        ("records.0.result.duration_s", 1e300),
    ],
)
def test_what_does_not_fit_the_schema(path: str, value: object) -> None:
    reason, detail = refusal(spoil(valid(), path, value))
    assert reason is Rejection.SCHEMA
    assert detail


def test_a_state_that_is_no_state() -> None:
    topic = topics.of_probe(samples.TENANT, samples.PROBE, "state")
    for document in ({"presence": "happy"}, {"presence": "online", "at": "9999-12-31T20:00:00Z"}):
        reason, _ = refusal(document, topic)
        assert reason is Rejection.SCHEMA


def test_a_probe_has_no_more_lines_than_an_office_can_have() -> None:
    many = [msgspec.structs.replace(samples.VNPT, id=f"line-{n}") for n in range(65)]
    topic = topics.of_probe(samples.TENANT, samples.PROBE, "info")
    judged = validate(topic, messages.encode(samples.info(lines=many)), NOW)
    assert isinstance(judged, RejectedMessage)
    assert "length <= 64" in judged.detail
