"""Results are signed as they get their numbers, and each envelope brings what covers its results.

With a certificate and key of `tramdo-authority`, OpenSSL's library and a real outbox file.
"""

from __future__ import annotations

import base64
import sqlite3
import subprocess
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploy.authority import authority
from deploy.authority.authority import Authority
from probe.deliver.batch import BATCH_BYTES, ResultBatch, batches
from probe.deliver.envelope_signatures import signature_blocks
from probe.deliver.outbox import Outbox
from probe.deliver.sender_state import Coverage
from probe.deliver.signature_chain import SignatureChain, pack, unpack
from probe.deliver.signing_key import SigningKey, SigningKeyError
from runtime.libcrypto import PrivateKey
from runtime.signing_certificate import Authorities, CertificateError, SigningCertificate
from wire.signature import (
    CHAIN_START,
    SignatureBlock,
    all_digests,
    block_digest,
    record_digest,
    signed_text,
)

NOW = datetime(2026, 11, 30, 9, tzinfo=UTC)
TENANT, PROBE = "bach-thong", "phu-thong-01"
MOST = 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority, and a probe's key and certificate of it."""
    path: Path = tmp_path_factory.mktemp("keys")
    authority.init(path / "authority", "Test", None, NOW)
    issued(path, PROBE)
    return path


def issued(folder: Path, name: str) -> tuple[Path, Path]:
    """The certificate and key of a name."""
    key, request = folder / f"{name}.key", folder / f"{name}.csr"
    authority.request(key, request, name, None)
    return Authority(folder / "authority").sign(request.read_bytes(), NOW), key


def signing_key(folder: Path) -> SigningKey:
    return SigningKey(folder / "authority" / "probes" / f"{PROBE}.pem", folder / f"{PROBE}.key")


def certificate(folder: Path) -> SigningCertificate:
    return SigningCertificate(base64.b64decode(signing_key(folder).certificate))


@pytest.fixture
def chain(folder: Path) -> SignatureChain:
    made = SignatureChain(TENANT, PROBE, MOST)
    made.signer = signing_key(folder)
    return made


@pytest.fixture
def outbox(tmp_path: Path, chain: SignatureChain) -> Iterator[Outbox]:
    opened = Outbox(tmp_path / "outbox.sqlite", chain)
    yield opened
    opened.close()


def text_of(block: SignatureBlock, outbox: Outbox, carried: Sequence[tuple[int, bytes]]) -> bytes:
    digests = all_digests(block, {seq: record_digest(body) for seq, body in carried})
    assert digests is not None
    return signed_text(TENANT, PROBE, outbox.epoch, block.first, block.previous, digests)


def sent(outbox: Outbox, most: int = 50) -> list[ResultBatch]:
    return list(batches(outbox.pending(0, outbox.last_row, 10_000), most, outbox.epochs))


def put(outbox: Outbox, *kinds: str) -> None:
    start = outbox.last_row
    outbox.put([(kind, b"%s %d" % (kind.encode(), start + at)) for at, kind in enumerate(kinds)], 0)


def test_an_envelope_brings_the_blocks_of_its_results(folder: Path, outbox: Outbox) -> None:
    put(outbox, "dns", "latency", "latency")
    put(outbox, "latency")
    dns, latency = sent(outbox)
    assert [(one.first, one.count) for one in signature_blocks(dns, outbox)] == [(1, 1)]
    blocks = signature_blocks(latency, outbox)
    assert [(one.first, one.count, one.digests) for one in blocks] == [(2, 2, []), (4, 1, [])]
    for block in blocks:
        text = text_of(block, outbox, latency.numbered_bodies)
        assert certificate(folder).verifies(text, block.signature)
        assert not certificate(folder).verifies(text + b" ", block.signature)


def test_the_blocks_of_an_epoch_are_one_chain(outbox: Outbox) -> None:
    put(outbox, "dns", *["latency"] * 5)
    put(outbox, "latency")
    every = [
        (block, batch.numbered_bodies)
        for batch in sent(outbox)
        for block in signature_blocks(batch, outbox)
    ]
    assert [(one.first, one.count) for one, _ in every] == [(1, 1), (2, 4), (6, 1), (7, 1)]
    previous = CHAIN_START
    for block, carried in every:
        assert block.previous == previous
        previous = block_digest(text_of(block, outbox, carried))


def test_each_opening_begins_a_chain(tmp_path: Path, chain: SignatureChain) -> None:
    for _ in range(2):
        opened = Outbox(tmp_path / "outbox.sqlite", chain)
        put(opened, "dns")
        (*_, newest) = sent(opened)
        (block,) = signature_blocks(newest, opened)
        assert (block.first, block.previous) == (1, CHAIN_START)
        opened.close()


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_however_envelopes_are_cut_each_brings_what_checks_it(
    data: st.DataObject, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    chain = SignatureChain(TENANT, PROBE, MOST)
    chain.signer = signing_key(folder)
    outbox = Outbox(tmp_path_factory.mktemp("outbox") / "outbox.sqlite", chain)
    kinds = st.lists(st.sampled_from(["dns", "latency"]), min_size=1, max_size=9)
    for transaction in data.draw(st.lists(kinds, min_size=1, max_size=4)):
        put(outbox, *sorted(transaction))
    missing = data.draw(st.sets(st.integers(1, outbox.last_row)))
    covered = set(range(1, outbox.last_row + 1)) - missing
    outbox.apply_coverage(
        Coverage(outbox.last_row, tuple((seq, seq) for seq in sorted(missing)))
        if covered
        else Coverage()
    )
    checks = certificate(folder)
    for batch in sent(outbox, data.draw(st.integers(1, 12))):
        blocks = signature_blocks(batch, outbox)
        reached = {seq for block in blocks for seq in block.seqs}
        assert reached >= {seq for seq, _ in batch.numbered_bodies}
        for block in blocks:
            text = text_of(block, outbox, batch.numbered_bodies)
            assert checks.verifies(text, block.signature)
    outbox.close()


def test_a_block_whose_signature_the_card_changed_is_sent_unsigned(
    tmp_path: Path, chain: SignatureChain
) -> None:
    path = tmp_path / "outbox.sqlite"
    opened = Outbox(path, chain)
    put(opened, "dns")
    (batch,) = sent(opened)
    packed = bytearray(batch.signatures[1])
    packed[50] ^= 1
    batch.signatures[1] = bytes(packed)
    assert unpack(bytes(packed), 1) is None
    # The outbox still has it unharmed.
    assert len(signature_blocks(batch, opened)) == 1
    opened.close()


def test_a_block_of_which_a_result_was_given_up_is_not_sent(
    tmp_path: Path, chain: SignatureChain
) -> None:
    path = tmp_path / "outbox.sqlite"
    opened = Outbox(path, chain)
    # Too large to be kept together, and signed together.
    opened.put([("latency", b"%d" % number * BATCH_BYTES) for number in (1, 2)], 0)
    put(opened, "latency")
    opened.close()
    with sqlite3.connect(path) as db:
        db.execute("DELETE FROM blocks WHERE seq = 1")
    chain.signer = None
    opened = Outbox(path, chain)
    large, small = sent(opened)
    assert signature_blocks(large, opened) == []
    assert [one.first for one in signature_blocks(small, opened)] == [3]
    opened.close()


def test_without_a_key_nothing_is_signed(tmp_path: Path) -> None:
    opened = Outbox(tmp_path / "outbox.sqlite", SignatureChain(TENANT, PROBE, MOST))
    put(opened, "dns")
    (batch,) = sent(opened)
    assert signature_blocks(batch, opened) == []
    opened.close()


def test_a_block_comes_back_as_it_was_packed(folder: Path) -> None:
    block = SignatureBlock(
        first=17,
        count=3,
        key=signing_key(folder).key,
        previous="0f" * 32,
        signature=signing_key(folder).sign(b"x") or "",
    )
    assert unpack(pack(block), 19) == block


def test_a_key_that_others_can_read_signs_nothing(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "open.key"
    copy.write_bytes((folder / f"{PROBE}.key").read_bytes())
    copy.chmod(0o644)
    with pytest.raises(SigningKeyError, match="read by others"):
        SigningKey(folder / "authority" / "probes" / f"{PROBE}.pem", copy)


def test_a_key_of_another_certificate_signs_nothing(folder: Path) -> None:
    """As while a renewal has written one of the two files."""
    certificate_file, _ = issued(folder, "other")
    with pytest.raises(SigningKeyError, match="no certificate for"):
        SigningKey(certificate_file, folder / f"{PROBE}.key")
    with pytest.raises(SigningKeyError, match="no certificate for"):
        SigningKey(folder / f"{PROBE}.key", folder / f"{PROBE}.key")


@pytest.mark.parametrize("content", [b"", b"no key", b"-----BEGIN PRIVATE KEY-----\nAAAA\n"])
def test_what_is_no_key_signs_nothing(folder: Path, tmp_path: Path, content: bytes) -> None:
    broken = tmp_path / "broken.key"
    broken.write_bytes(content)
    broken.chmod(0o600)
    with pytest.raises(SigningKeyError):
        SigningKey(folder / "authority" / "probes" / f"{PROBE}.pem", broken)


@pytest.mark.parametrize(
    "options",
    [
        ["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
        ["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
        ["genpkey", "-algorithm", "ED25519"],
        ["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-aes256", "-pass",
         "pass:secret"],
    ],
)  # fmt: skip
def test_only_an_open_key_of_p_256_signs(
    folder: Path, tmp_path: Path, options: Sequence[str]
) -> None:
    other = tmp_path / "other.key"
    subprocess.run(["openssl", *options, "-out", other], check=True, capture_output=True)
    other.chmod(0o600)
    with pytest.raises(SigningKeyError):
        SigningKey(folder / "authority" / "probes" / f"{PROBE}.pem", other)


def test_openssl_verifies_what_the_probe_signed(folder: Path, tmp_path: Path) -> None:
    """By the commands that a stranger would use."""
    (tmp_path / "text").write_bytes(b"tramdo-signature/1\n")
    signature = PrivateKey((folder / f"{PROBE}.key").read_bytes()).sign(b"tramdo-signature/1\n")
    (tmp_path / "signature").write_bytes(signature)
    pem = folder / "authority" / "probes" / f"{PROBE}.pem"
    public = subprocess.run(
        ["openssl", "x509", "-in", pem, "-noout", "-pubkey"], check=True, capture_output=True
    )
    (tmp_path / "public").write_bytes(public.stdout)
    subprocess.run(
        ["openssl", "dgst", "-sha256", "-verify", tmp_path / "public", "-signature",
         tmp_path / "signature", tmp_path / "text"],
        check=True, capture_output=True,
    )  # fmt: skip


def test_a_certificate_counts_when_our_authority_issued_it_to_this_name(
    folder: Path, tmp_path: Path
) -> None:
    ours = Authorities((folder / "authority" / "ca.pem").read_bytes())
    own = certificate(folder)
    own.require_issued_by(ours, PROBE)
    with pytest.raises(CertificateError, match="not `other`'s"):
        own.require_issued_by(ours, "other")
    authority.init(tmp_path / "other", "Test", None, NOW)
    with pytest.raises(CertificateError, match="another authority"):
        own.require_issued_by(Authorities((tmp_path / "other" / "ca.pem").read_bytes()), PROBE)
    assert own.is_in_force([NOW])
    assert not own.is_in_force([NOW - timedelta(days=2), NOW + timedelta(days=900)])
