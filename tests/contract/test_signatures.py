"""Signature blocks in every store: they come back with what verifies them, byte for byte."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from msgspec import structs

from collector.domain import signature_cli
from collector.ingest.signature_check import SignatureCheck
from collector.ingest.validation import validate
from collector.store.messages import (
    EpochKey,
    ProbeCertificate,
    ResultsMessage,
    SignatureOutcome,
    ValidatedMessage,
)
from collector.store.records import StoredSignature
from collector.store.store import Store
from tests import samples
from tests.contract.conftest import OpenStore
from tests.signing import SigningProbe
from wire import messages
from wire.decoding import converted
from wire.result import (
    DropCause,
    Result,
    ResultsDroppedValues,
    Validity,
    encode_result,
)
from wire.signature import (
    RecordDigest,
    SignatureBlock,
    all_digests,
    record_digest,
    signed_text,
)

NOW = samples.NOON + timedelta(minutes=1)
KEY = EpochKey(samples.TENANT, samples.PROBE, samples.EPOCH)
LATER = datetime(2026, 12, 25, tzinfo=UTC)


@pytest.fixture
def probe(tmp_path: Path) -> SigningProbe:
    return SigningProbe(tmp_path / "authority")


def latencies(count: int) -> list[Result]:
    return [samples.latency(rtt_ms=10.0 + at) for at in range(count)]


def info(probe: SigningProbe) -> ValidatedMessage:
    told = structs.replace(samples.info(), certificate=probe.key.certificate)
    topic = f"tramdo/v1/{samples.TENANT}/{samples.PROBE}/info"
    return validate(topic, messages.encode(told), NOW)


def take(store: Store, probe: SigningProbe, *payloads: bytes) -> None:
    """Check and store messages with results as ingest does, the probe's `info` before them."""
    topic = f"tramdo/v1/{samples.TENANT}/{samples.PROBE}/m/latency"
    check = SignatureCheck(probe.authority_pem, store.certificates)
    arrived = [info(probe), *(validate(topic, payload, NOW) for payload in payloads)]
    assert all(isinstance(one, ResultsMessage) for one in arrived[1:]), arrived
    store.store_batch(check.checked(arrived), NOW)


def verifies(store: Store, probe: SigningProbe, stored: StoredSignature) -> bool:
    """Whether what the store has of a block is what the probe signed."""
    bodies = {one.seq: one.body for one in store.results_after(0, 1_000)} | dict(stored.sent)
    carried = {seq: record_digest(body) for seq, body in bodies.items()}
    block = structs.replace(
        stored.block, digests=[RecordDigest(*one) for one in stored.digests.items()]
    )
    digests = all_digests(block, carried)
    assert digests is not None
    text = signed_text(*stored.epoch, block.first, block.previous, digests)
    return probe.certificate.verifies(text, block.signature)


def of(found: Sequence[StoredSignature]) -> list[tuple[int, int, SignatureOutcome]]:
    return [(one.block.first, one.block.count, one.outcome) for one in found]


def test_a_block_comes_back_with_what_verifies_it(store: Store, probe: SigningProbe) -> None:
    take(store, probe, probe.envelope(1, latencies(2)), probe.envelope(3, latencies(1)))
    found = store.signatures(KEY, 1, 3)
    checked = SignatureOutcome.CHECKED
    assert of(found) == [(1, 2, checked), (3, 1, checked)]
    assert all(verifies(store, probe, one) for one in found)
    assert found[0].block.key == probe.key.key
    assert of(store.signatures(KEY, 2, 2)) == [(1, 2, checked)]
    assert store.signatures(KEY, 4, 9) == []
    assert store.signatures(KEY._replace(epoch=samples.OTHER_EPOCH), 1, 3) == []


def test_certificates_outlive_the_program(open_store: OpenStore, probe: SigningProbe) -> None:
    before = open_store()
    take(before, probe)
    take(before, probe)
    before.close()
    store = open_store()
    one = probe.certificate
    assert store.certificates(samples.TENANT, samples.PROBE) == [
        ProbeCertificate(one.key, one.der, one.begins, one.ends)
    ]
    assert store.certificates(samples.TENANT, "other") == []
    check = SignatureCheck(probe.authority_pem, store.certificates)
    topic = f"tramdo/v1/{samples.TENANT}/{samples.PROBE}/m/latency"
    store.store_batch(check.checked([validate(topic, probe.envelope(1, latencies(1)), NOW)]), NOW)
    assert of(store.signatures(KEY, 1, 1)) == [(1, 1, SignatureOutcome.CHECKED)]
    store.close()


def test_a_repetition_adds_nothing(store: Store, probe: SigningProbe) -> None:
    payload = probe.envelope(1, latencies(2))
    for _ in range(3):
        take(store, probe, payload)
    assert of(store.signatures(KEY, 1, 2)) == [(1, 2, SignatureOutcome.CHECKED)]


def test_a_block_that_came_in_two_envelopes_is_verified_by_either(
    store: Store, probe: SigningProbe
) -> None:
    bodies = [encode_result(result) for result in latencies(2)]
    block = probe.block(1, bodies)
    halves = list[bytes]()
    for seq, other in ((2, 1), (1, 2)):
        absent = RecordDigest(other, record_digest(bodies[other - 1]))
        with_absent = structs.replace(block, digests=[absent])
        halves.append(probe.payload([(seq, bodies[seq - 1])], [with_absent]))
    for half in halves:
        take(store, probe, half)
        assert all(verifies(store, probe, one) for one in store.signatures(KEY, 1, 2))


def test_what_was_changed_is_stored_as_it_came_beside_the_flag(
    store: Store, probe: SigningProbe
) -> None:
    payload = probe.envelope(1, latencies(2))
    changed = payload.replace(b'"received":60', b'"received":59', 1)
    take(store, probe, changed)
    (found,) = store.signatures(KEY, 1, 2)
    assert found.outcome is SignatureOutcome.MISMATCH
    stored = store.results_after(0, 10)
    assert all(Validity.SIGNATURE_MISMATCH.encode() in one.body for one in stored)
    assert sorted(found.sent) == [1, 2]
    assert found.sent[1] in changed
    assert not verifies(store, probe, found)


def test_a_time_that_the_centre_flagged_does_not_cost_the_evidence(
    store: Store, probe: SigningProbe
) -> None:
    future = structs.replace(samples.latency(), started_at=NOW + timedelta(days=3))
    take(store, probe, probe.envelope(1, [future]))
    (found,) = store.signatures(KEY, 1, 1)
    assert found.outcome is SignatureOutcome.CHECKED
    (stored,) = store.results_after(0, 10)
    assert stored.body != found.sent[1] == encode_result(future)
    assert verifies(store, probe, found)


def test_a_rejected_result_leaves_its_digest(store: Store, probe: SigningProbe) -> None:
    bodies = [encode_result(samples.latency()), encode_result(samples.dns())]
    take(store, probe, probe.payload(list(enumerate(bodies, 1)), [probe.block(1, bodies)]))
    (found,) = store.signatures(KEY, 1, 2)
    assert found.digests == {2: record_digest(bodies[1])}
    assert verifies(store, probe, found)


def test_signatures_go_by_age_with_the_results(store: Store, probe: SigningProbe) -> None:
    ancient = structs.replace(samples.latency(), started_at=NOW - timedelta(days=9_000))
    take(store, probe, probe.envelope(1, latencies(2)), probe.envelope(3, [ancient]))
    store.roll_up(NOW)
    store.maintain(LATER, raw_days=400)
    assert len(store.signatures(KEY, 1, 3)) == 2
    while store.maintain(LATER, raw_days=30) != (0, 0):
        pass
    assert store.results_after(0, 10) == []
    assert store.signatures(KEY, 1, 3) == []
    assert len(store.certificates(samples.TENANT, samples.PROBE)) == 1


def test_each_result_says_what_came_of_its_signature(store: Store, probe: SigningProbe) -> None:
    changed = probe.envelope(3, latencies(1)).replace(b'"received":60', b'"received":59', 1)
    stranger = SigningProbe(probe.files[1].parent.parent / "other-authority")
    unsigned = samples.envelope([(5, samples.latency())])
    take(store, probe, probe.envelope(1, latencies(2)), changed, stranger.envelope(4, latencies(1)))
    take(store, probe, unsigned)
    take(store, probe, samples.envelope([(1, samples.latency())], epoch=samples.OTHER_EPOCH))
    checked = SignatureOutcome.CHECKED
    assert store.signature_outcomes(store.results_after(0, 10)) == [
        checked,
        checked,
        SignatureOutcome.MISMATCH,
        SignatureOutcome.UNKNOWN_KEY,
        None,
        None,
    ]
    assert store.signature_outcomes([]) == []


def test_results_from_before_their_certificate_are_checked_again(
    store: Store, probe: SigningProbe, caplog: pytest.LogCaptureFixture
) -> None:
    """As when an `info` comes behind a backlog, or the authority is configured later."""
    check = SignatureCheck(b"", store.certificates)
    stranger = SigningProbe(probe.files[1].parent.parent / "other-authority")
    payloads = [probe.envelope(1, latencies(2)), probe.envelope(3, latencies(2))]
    # The third block is not what was signed, and nobody could say so when it came.
    third = probe.envelope(5, latencies(1))
    payloads.append(third.replace(b'"received":60', b'"received":59', 1))
    payloads.append(stranger.envelope(6, latencies(1)))
    topic = f"tramdo/v1/{samples.TENANT}/{samples.PROBE}/m/latency"
    store.store_batch(check.checked([validate(topic, one, NOW) for one in payloads]), NOW)
    unknown, checked = SignatureOutcome.UNKNOWN_KEY, SignatureOutcome.CHECKED
    assert outcomes(store) == [unknown] * 6
    assert not store.recheck_signatures()
    assert outcomes(store) == [unknown] * 6
    take(store, probe)
    while store.recheck_signatures():
        pass
    assert outcomes(store) == [checked] * 4 + [SignatureOutcome.MISMATCH, unknown]
    assert "results 5 to 5" in caplog.text
    assert not store.recheck_signatures(), "what is left has no certificate"


def outcomes(store: Store) -> list[SignatureOutcome | None]:
    return list(store.signature_outcomes(store.results_after(0, 10)))


def chain_of(store: Store, capsys: pytest.CaptureFixture[str]) -> tuple[int, list[str]]:
    """What `tramdo-collector signatures` says: its exit code, and its lines."""
    code = signature_cli.run(argparse.Namespace(probe=samples.PROBE), store)
    return code, [line.strip() for line in capsys.readouterr().out.splitlines()]


HEAD = f"{samples.TENANT}/{samples.PROBE} {samples.EPOCH}"


def test_a_whole_chain_is_said_to_be_whole(
    store: Store, probe: SigningProbe, capsys: pytest.CaptureFixture[str]
) -> None:
    future = structs.replace(samples.latency(), started_at=NOW + timedelta(days=3))
    take(store, probe, probe.envelope(1, latencies(2)), probe.envelope(3, [future]))
    assert chain_of(store, capsys) == (0, [f"{HEAD}: 3 results signed and checked"])


def test_a_signed_block_that_the_centre_has_left_out_shows(
    store: Store, probe: SigningProbe, capsys: pytest.CaptureFixture[str]
) -> None:
    first, _, third = (probe.envelope(seq, latencies(1)) for seq in (1, 2, 3))
    take(store, probe, first, third)
    assert chain_of(store, capsys) == (
        3,
        [f"{HEAD}: 2 results signed and checked", "missing: 2 to 2"],
    )


def test_what_the_probe_gave_up_or_did_not_sign_is_no_fault(
    store: Store, probe: SigningProbe, capsys: pytest.CaptureFixture[str]
) -> None:
    first, _, third = (probe.envelope(seq, latencies(1)) for seq in (1, 2, 3))
    fifth = probe.envelope(5, latencies(1))
    unsigned = samples.envelope([(4, samples.latency()), (6, samples.latency())])
    take(store, probe, first, third, unsigned, fifth)
    values = ResultsDroppedValues(
        cause=DropCause.OUTBOX_FULL, epoch=samples.EPOCH, count=1, ranges=[(2, 2)]
    )
    dropped = samples.envelope([(1, samples.dropped(values))], epoch=samples.OTHER_EPOCH)
    topic = f"tramdo/v1/{samples.TENANT}/{samples.PROBE}/m/results_dropped"
    store.store_batch([validate(topic, dropped, NOW)], NOW)
    code, lines = chain_of(store, capsys)
    assert code == 0
    assert lines[:4] == [
        f"{HEAD}: 3 results signed and checked",
        "given_up: 2 to 2",
        "unsigned: 4 to 4",
        "unsigned: 6 to 6",
    ]


def test_a_result_that_was_changed_in_the_store_shows(
    store: Store, probe: SigningProbe, capsys: pytest.CaptureFixture[str]
) -> None:
    """By another body under the number of a signed one, as who holds the database can do."""
    other = samples.envelope([(1, samples.latency(rtt_ms=3.0))])
    take(store, probe, other)
    signed = probe.envelope(1, [samples.latency(rtt_ms=30.0), samples.latency()])
    halved = msgspec.json.decode(signed)
    digest = record_digest(encode_result(samples.latency(rtt_ms=30.0)))
    block = halved["signatures"][0] | {"digests": [{"seq": 1, "sha256": digest}]}
    numbered = [(2, encode_result(samples.latency()))]
    take(store, probe, probe.payload(numbered, [converted(block, SignatureBlock)]))
    assert chain_of(store, capsys) == (
        3,
        [f"{HEAD}: 0 results signed and checked", "mismatch: 1 to 2"],
    )


def test_the_beginning_may_have_gone_by_age(
    store: Store, probe: SigningProbe, capsys: pytest.CaptureFixture[str]
) -> None:
    _, second = (probe.envelope(seq, latencies(1)) for seq in (1, 2))
    take(store, probe, second)
    assert chain_of(store, capsys) == (
        0,
        [f"{HEAD}: 1 results signed and checked", "before: 1 to 1"],
    )
