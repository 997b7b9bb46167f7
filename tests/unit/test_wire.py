"""The contract: what is accepted, what is refused, and that the documents say the same."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import jsonschema
import msgspec
import pytest
from msgspec import structs

from deploy import contract
from tests import samples
from wire import documents, messages, topics
from wire.envelope import Envelope, decode_envelope, encode_envelope
from wire.messages import Receipt
from wire.result import (
    KINDS,
    Outcome,
    Reason,
    Result,
    decode_result,
    encode_result,
    headline,
    kind_of,
)

NOW = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)


def envelope(*results: Result) -> bytes:
    bodies = [(seq, encode_result(result)) for seq, result in enumerate(results, start=7)]
    return encode_envelope(samples.TENANT, samples.PROBE, samples.EPOCH, samples.SITE, NOW, bodies)


def changed(payload: bytes, path: list[str | int], value: Any) -> bytes:
    """The payload with the value at a path replaced; `...` removes it."""
    whole = json.loads(payload)
    place = whole
    for step in path[:-1]:
        place = place[step]
    if value is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return json.dumps(whole).encode()


def test_an_envelope_comes_back_as_it_went() -> None:
    sent = [samples.throughput(), samples.throughput(line=samples.VIETTEL)]
    got = decode_envelope(envelope(*sent))
    assert [record.seq for record in got.records] == [7, 8]
    assert [record.result for record in got.records] == sent
    assert (got.tenant, got.probe, got.epoch) == (samples.TENANT, samples.PROBE, samples.EPOCH)


def test_stored_bytes_are_sent_byte_for_byte() -> None:
    body = encode_result(samples.latency())
    payload = encode_envelope("t", "p", samples.EPOCH, samples.SITE, NOW, [(1, body)])
    assert body in payload


@pytest.mark.parametrize(
    ("path", "value", "complaint"),
    [
        (["probe"], "Phủ Thông", "probe"),
        (["epoch"], "1", "epoch"),
        (["schema"], "tramdo/2", "schema"),
        (["sent_at"], "2026-11-24T03:00:00", "sent_at"),
        (["records"], [], "records"),
        (["records", 0, "seq"], 0, "records"),
        (["records", 0, "result", "kind"], "unheard-of", "records"),
        (["records", 0, "result", "surprise"], 1, "surprise"),
        (["records", 0, "result", "values", "rtt_p50_ms"], -1.0, "rtt_p50_ms"),
        (["records", 0, "result", "outcome"], "perhaps", "outcome"),
        (["records", 0, "result", "reason"], "timeout", "reason"),
        (["records", 0, "result", "line", "id"], "../etc", "line"),
        (["records", 0, "result", "line", "id"], "vnpt\n", "line"),
        (["site", "commune_code"], 1969, "commune_code"),
        (["site"], ..., "site"),
    ],
)
def test_what_breaks_a_rule_is_refused_with_its_place(
    path: list[str | int], value: Any, complaint: str
) -> None:
    payload = changed(envelope(samples.latency()), path, value)
    with pytest.raises(msgspec.ValidationError, match=complaint):
        decode_envelope(payload)


def test_a_failure_needs_a_reason() -> None:
    with pytest.raises(ValueError, match="reason"):
        samples.latency(outcome=Outcome.FAILED)
    with pytest.raises(ValueError, match="reason"):
        samples.latency(reason=Reason.TIMEOUT)


def test_every_kind_knows_its_name_and_its_headline() -> None:
    for name, result_type in KINDS.items():
        assert kind_of(result_type) == name
    assert headline(samples.latency()).keys() == {"rtt_p50_ms", "rtt_p95_ms", "loss_ratio"}
    with pytest.raises(ValueError, match="not a kind"):
        kind_of(Result)


@pytest.mark.parametrize(
    "result",
    [
        samples.throughput(),
        samples.latency(),
        samples.dns(),
        samples.web(),
        samples.path(),
        samples.availability(),
        samples.outage(),
    ],
    ids=lambda result: result.kind,
)
def test_a_result_comes_back_as_it_was_with_its_own_type(result: Result) -> None:
    assert decode_result(encode_result(result)) == result


def test_every_figure_of_a_headline_is_there() -> None:
    for result in (
        samples.dns(),
        samples.web(),
        samples.path(),
        samples.availability(),
        samples.outage(),
    ):
        assert None not in headline(result).values(), result.kind


def test_availability_keeps_its_books() -> None:
    minutes, outage = samples.availability().values, samples.outage().values
    assert minutes is not None
    assert outage is not None
    with pytest.raises(ValueError, match="add up"):
        structs.replace(minutes, unknown_minutes=5)
    with pytest.raises(ValueError, match="ended_at"):
        structs.replace(outage, ended_at=samples.NOON)


@pytest.mark.parametrize(
    ("text", "topic"),
    [
        ("tramdo/v1/a/b/m/latency", topics.Topic("a", "b", "m", "latency")),
        ("tramdo/v1/a/b/receipt", topics.Topic("a", "b", "receipt")),
        ("tramdo/v1/a/b/cmd/identify", topics.Topic("a", "b", "cmd", "identify")),
        ("tramdo/v1/a/b/reply", topics.Topic("a", "b", "reply")),
        ("tramdo/v1/a/b/cmd", None),
        ("tramdo/v1/a/b/cmd/identify/more", None),
        ("tramdo/v1/a/b/m", None),
        ("tramdo/v1/a/b/state/x", None),
        ("tramdo/v1/a/b/nothing", None),
        ("tramdo/v1/A/b/state", None),
        ("tramdo/v1/a/+/state", None),
        ("tramdo/v2/a/b/state", None),
        ("tramdo/v1/a/b/state\n", None),
        (f"tramdo/v1/{'a' * 41}/b/state", None),
        ("", None),
    ],
)
def test_topics_are_parsed_strictly(text: str, topic: topics.Topic | None) -> None:
    assert topics.parse(text) == topic
    if topic is not None:
        assert topics.build(topic) == text


def test_the_longest_names_make_a_topic() -> None:
    longest = topics.Topic("a" * 40, "b" * 40, "m", "c" * 40)
    assert topics.parse(topics.build(longest)) == longest
    assert topics.parse(f"{topics.build(longest)}c") is None


def test_a_topic_that_is_not_ours_is_not_built() -> None:
    with pytest.raises(ValueError, match="not a topic"):
        topics.of_probe("a", "b/c", "state")


def test_filters_fit_the_topics() -> None:
    from paho.mqtt.client import topic_matches_sub  # noqa: PLC0415 - only here, to hold ours to it

    published = [
        topics.measurement("a", "b", "latency"),
        *(topics.of_probe("a", "b", channel) for channel in ("state", "info", "health", "reply")),
    ]
    for topic in published:
        matching = [f for f in topics.collector_filters() if topic_matches_sub(f, topic)]
        assert len(matching) == 1, f"{topic} must come exactly once"
        assert not any(topic_matches_sub(f, topic) for f in topics.collector_filters("c", "d"))


def test_a_receipt_is_small_and_exact() -> None:
    receipt = Receipt(epoch=samples.EPOCH, stored_through=9, missing=[(2, 3)], at=NOW)
    assert messages.decode(messages.encode(receipt), Receipt) == receipt


def test_the_documents_are_current() -> None:
    written = {
        path.name: path.read_bytes()
        for path in contract.FOLDER.iterdir()
        if path.suffix in {".json", ".dictionary"}
    }
    assert written == contract.files(), "run `make contract`"


def test_the_schema_accepts_what_the_types_accept_and_refuses_what_they_refuse() -> None:
    schema = documents.schema_of(Envelope)
    check = jsonschema.Draft202012Validator(schema)
    payload = envelope(samples.latency(), samples.latency())
    check.validate(json.loads(payload))
    for path, value in ([["probe"], "A"], [["records", 0, "result", "surprise"], 1]):
        assert not check.is_valid(json.loads(changed(payload, path, value)))  # type: ignore[arg-type]


def test_the_asyncapi_document_is_whole() -> None:
    document = documents.asyncapi(contract.examples_by_channel())
    text = json.dumps(document)
    for reference in {part.split('"')[0] for part in text.split('"$ref": "')[1:]}:
        place: Any = document
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]
    addresses = {channel["address"] for channel in document["channels"].values()}
    assert "tramdo/v1/{tenant}/{probe}/m/{kind}" in addresses
    assert len(addresses) == 10
