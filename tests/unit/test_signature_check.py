"""The centre's check: real keys, real certificates, envelopes as they arrive."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from msgspec import structs

from collector.ingest.signature_check import SignatureCheck
from collector.ingest.signatures import Claim, claims_of, outcomes
from collector.ingest.validation import validate
from collector.rollup.metrics import invalidating
from collector.store.messages import (
    ProbeCertificate,
    ResultsMessage,
    SignatureOutcome,
    StatusMessage,
)
from collector.store.store import StoreError
from tests import samples
from tests.signing import SigningProbe
from wire import messages
from wire.compression import compress
from wire.result import KINDS, Result, Validity, decode_result, encode_result
from wire.signature import RecordDigest, record_digest

NOW = samples.NOON + timedelta(minutes=1)
CHECKED, UNKNOWN, MISMATCH = (
    SignatureOutcome.CHECKED,
    SignatureOutcome.UNKNOWN_KEY,
    SignatureOutcome.MISMATCH,
)


@pytest.fixture
def probe(tmp_path: Path) -> SigningProbe:
    return SigningProbe(tmp_path / "authority")


@pytest.fixture
def check(probe: SigningProbe) -> SignatureCheck:
    """A check that has been told the probe's certificate."""
    made = SignatureCheck(probe.authority_pem, nothing_stored)
    (told,) = made.checked([info(probe)])
    assert isinstance(told, StatusMessage)
    assert told.certificate is not None
    return made


def nothing_stored(_tenant: str, _probe: str) -> Sequence[ProbeCertificate]:
    return []


def info(probe: SigningProbe, *, topic_of: str | None = None) -> StatusMessage:
    payload = messages.encode(structs.replace(samples.info(), certificate=probe.key.certificate))
    topic = f"tramdo/v1/{samples.TENANT}/{topic_of or probe.name}/info"
    found = validate(topic, payload, NOW)
    assert isinstance(found, StatusMessage), found
    return found


def arrived(payload: bytes, *, name: str = samples.PROBE, at: datetime = NOW) -> ResultsMessage:
    found = validate(f"tramdo/v1/{samples.TENANT}/{name}/m/latency", payload, at)
    assert isinstance(found, ResultsMessage), found
    return found


def latencies(count: int) -> list[Result]:
    return [samples.latency(rtt_ms=10.0 + at) for at in range(count)]


def check_one(check: SignatureCheck, payload: bytes, at: datetime = NOW) -> ResultsMessage:
    (found,) = check.checked([arrived(payload, at=at)])
    assert isinstance(found, ResultsMessage)
    return found


def outcomes_of(message: ResultsMessage) -> list[SignatureOutcome | None]:
    return [one.outcome for one in message.signatures]


def flags(message: ResultsMessage) -> list[list[Validity]]:
    return [record.result.validity for record in message.records]


def test_what_the_probe_signed_is_checked_and_left_as_it_is(
    probe: SigningProbe, check: SignatureCheck
) -> None:
    results = latencies(3)
    found = check_one(check, probe.envelope(1, results))
    assert outcomes_of(found) == [CHECKED]
    assert [record.body for record in found.records] == [encode_result(r) for r in results]
    assert found.sent == {}


def test_a_compressed_envelope_is_signed_over_the_same_bytes(
    probe: SigningProbe, check: SignatureCheck
) -> None:
    assert outcomes_of(check_one(check, compress(probe.envelope(1, latencies(3))))) == [CHECKED]


@pytest.mark.parametrize(
    "changes",
    [
        {b'"received":60': b'"received":59'},
        {b'{"seq":1,': b"{SWAP", b'{"seq":2,': b'{"seq":1,', b"{SWAP": b'{"seq":2,'},
        {str(samples.EPOCH).encode(): str(samples.OTHER_EPOCH).encode()},
        {b'"previous":"00': b'"previous":"01'},
    ],
    ids=["a figure", "the numbers", "the epoch", "the chain"],
)
def test_what_was_changed_on_its_way_is_kept_and_flagged(
    probe: SigningProbe, check: SignatureCheck, changes: dict[bytes, bytes]
) -> None:
    payload = probe.envelope(1, latencies(2))
    for old, new in changes.items():
        assert old in payload
        payload = payload.replace(old, new, 1)
    before, found = arrived(payload), check_one(check, payload)
    assert outcomes_of(found) == [MISMATCH]
    assert flags(found) == [[Validity.SIGNATURE_MISMATCH]] * 2
    assert [decode_result(one.body).validity for one in found.records] == flags(found)
    assert found.sent == {record.seq: record.body for record in before.records}


@pytest.mark.parametrize("kind", KINDS)
def test_a_mismatch_is_in_no_figure(kind: str) -> None:
    assert Validity.SIGNATURE_MISMATCH in invalidating(kind)


def test_a_result_left_out_needs_its_digest(probe: SigningProbe, check: SignatureCheck) -> None:
    bodies = [encode_result(result) for result in latencies(3)]
    block = probe.block(1, bodies)
    some = [(1, bodies[0]), (3, bodies[2])]
    assert check_one(check, probe.payload(some, [block])).signatures == ()
    whole = structs.replace(block, digests=[RecordDigest(2, record_digest(bodies[1]))])
    assert outcomes_of(check_one(check, probe.payload(some, [whole]))) == [CHECKED]
    forged = structs.replace(block, digests=[RecordDigest(2, record_digest(b"another"))])
    assert outcomes_of(check_one(check, probe.payload(some, [forged]))) == [MISMATCH]


def test_an_old_probe_s_envelope_is_unsigned_and_as_good_as_before(check: SignatureCheck) -> None:
    payload = samples.envelope([(1, samples.latency())])
    assert check.checked([arrived(payload)]) == [arrived(payload)]
    assert arrived(payload).signatures == ()


def test_another_probe_s_key_or_an_unknown_one_is_told(
    check: SignatureCheck, tmp_path: Path
) -> None:
    other = SigningProbe(tmp_path / "authority", "tram-2")
    payload = other.envelope(1, latencies(1)).replace(b"tram-2", samples.PROBE.encode())
    found = check_one(check, payload)
    assert outcomes_of(found) == [UNKNOWN]
    assert flags(found) == [[]]


def test_a_certificate_of_another_name_or_authority_does_not_count(
    probe: SigningProbe, tmp_path: Path
) -> None:
    stranger = SigningProbe(tmp_path / "other-authority")
    check = SignatureCheck(probe.authority_pem, nothing_stored)
    told = check.checked([info(stranger), info(probe, topic_of="tram-2")])
    assert [one.certificate for one in told if isinstance(one, StatusMessage)] == [None, None]
    assert outcomes_of(check_one(check, stranger.envelope(1, latencies(1)))) == [UNKNOWN]


@pytest.mark.parametrize("text", ["AAAA", "=", "AA==", "A"])
def test_what_is_no_certificate_does_not_count(probe: SigningProbe, text: str) -> None:
    check = SignatureCheck(probe.authority_pem, nothing_stored)
    told = structs.replace(info(probe), message=structs.replace(samples.info(), certificate=text))
    assert check.checked([told]) == [told]


def test_without_an_authority_nothing_is_believed_and_nothing_is_lost(
    probe: SigningProbe,
) -> None:
    check = SignatureCheck(b"", nothing_stored)
    found = check.checked([info(probe), arrived(probe.envelope(1, latencies(1)))])
    assert isinstance(found[1], ResultsMessage)
    assert outcomes_of(found[1]) == [UNKNOWN]


def test_a_certificate_counts_between_its_dates(tmp_path: Path) -> None:
    old = SigningProbe(tmp_path / "authority", at=samples.NOON - timedelta(days=800))
    check = SignatureCheck(old.authority_pem, nothing_stored)
    check.checked([info(old)])
    assert outcomes_of(check_one(check, old.envelope(1, latencies(1)))) == [UNKNOWN]
    then = samples.NOON - timedelta(days=100)
    backlog = structs.replace(samples.latency(), started_at=then)
    assert outcomes_of(check_one(check, old.envelope(2, [backlog]))) == [CHECKED]


def test_a_centre_that_was_started_anew_has_certificates_from_its_store(
    probe: SigningProbe,
) -> None:
    certificate = probe.certificate
    stored = ProbeCertificate(
        certificate.key, certificate.der, certificate.begins, certificate.ends
    )
    failures = iter([True, False])

    def certificates(_tenant: str, _probe: str) -> Sequence[ProbeCertificate]:
        if next(failures):
            raise StoreError("locked")
        return [stored]

    check = SignatureCheck(probe.authority_pem, certificates)
    assert outcomes_of(check_one(check, probe.envelope(1, latencies(1)))) == [UNKNOWN]
    assert outcomes_of(check_one(check, probe.envelope(2, latencies(1)))) == [CHECKED]


def test_a_time_that_the_centre_repairs_is_checked_as_it_was_sent(
    probe: SigningProbe, check: SignatureCheck
) -> None:
    future = structs.replace(samples.latency(), started_at=NOW + timedelta(days=3))
    found = check_one(check, probe.envelope(1, [future]))
    assert outcomes_of(found) == [CHECKED]
    assert flags(found) == [[Validity.TIME_IN_FUTURE]]
    assert found.sent == {1: encode_result(future)}


def test_a_rejected_record_does_not_cost_its_neighbours_their_signature(
    probe: SigningProbe, check: SignatureCheck
) -> None:
    bodies = [encode_result(samples.latency()), encode_result(samples.dns())]
    block = probe.block(1, bodies)
    found = check_one(check, probe.payload(list(enumerate(bodies, 1)), [block]))
    assert [one.seq for one in found.records] == [1]
    assert outcomes_of(found) == [CHECKED]


def test_blocks_out_of_order_are_no_work(probe: SigningProbe, check: SignatureCheck) -> None:
    bodies = [encode_result(result) for result in latencies(2)]
    blocks = [probe.block(1, bodies[:1]), probe.block(2, bodies[1:])]
    numbered = list(enumerate(bodies, 1))
    assert outcomes_of(check_one(check, probe.payload(numbered, blocks))) == [CHECKED] * 2
    assert check_one(check, probe.payload(numbered, blocks[::-1])).signatures == ()
    assert check_one(check, probe.payload(numbered, [blocks[0]] * 2)).signatures == ()


class Counted:
    """How often a signature was verified, and with which outcome for the text given."""

    def __init__(self, probe: SigningProbe) -> None:
        self._certificate = probe.certificate
        self.times = 0

    def __call__(self, claim: Claim) -> SignatureOutcome:
        self.times += 1
        good = self._certificate.verifies(claim.text, claim.block.signature)
        return CHECKED if good else MISMATCH


def claims(probe: SigningProbe, count: int, changed: int | None = None) -> list[Claim]:
    found = []
    for first in range(1, count + 1):
        payload = probe.envelope(first, latencies(1))
        if first == changed:
            payload = payload.replace(b'"received":60', b'"received":59', 1)
        message = arrived(payload)
        found += claims_of(message)
    return found


def test_of_a_chain_the_last_signature_covers_the_others(probe: SigningProbe) -> None:
    chain, counted = claims(probe, 6), Counted(probe)
    assert outcomes(chain, counted) == [CHECKED] * 6
    assert counted.times == 1


def test_a_changed_link_is_found_and_those_before_it_are_verified(probe: SigningProbe) -> None:
    chain, counted = claims(probe, 6, changed=3), Counted(probe)
    expected = [CHECKED, CHECKED, MISMATCH, CHECKED, CHECKED, CHECKED]
    assert outcomes(chain, counted) == expected
    # The last; the third, whose digest is not what the fourth has; the second.
    assert counted.times == 3


def test_a_gap_in_the_chain_is_verified_on_both_sides(probe: SigningProbe) -> None:
    chain, counted = claims(probe, 6), Counted(probe)
    del chain[2]
    assert outcomes(chain, counted) == [CHECKED] * 5
    assert counted.times == 2


def test_a_forged_last_block_vouches_for_nothing(probe: SigningProbe) -> None:
    chain, counted = claims(probe, 3), Counted(probe)
    forged = chain[2]._replace(
        block=structs.replace(chain[2].block, signature=chain[0].block.signature)
    )
    assert outcomes([*chain[:2], forged], counted) == [CHECKED, CHECKED, MISMATCH]
