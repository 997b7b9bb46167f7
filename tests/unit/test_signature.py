"""What a signature is over, and how it travels: `wire.signature`."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire import signature
from wire.signature import CHAIN_START, RecordDigest, SignatureBlock

EPOCH = UUID("01234567-89ab-4cde-8f01-23456789abcd")
ONE, TWO = b'{"kind":"latency","a":1}', b'{"kind":"latency","a":2}'
SIGNED = signature.encode_signature(bytes(64))


def block(first: int, count: int, *digests: RecordDigest) -> SignatureBlock:
    return SignatureBlock(
        first=first,
        count=count,
        key="0" * 16,
        previous=CHAIN_START,
        signature=SIGNED,
        digests=list(digests),
    )


def test_the_signed_text_is_these_bytes() -> None:
    digests = [signature.record_digest(ONE), signature.record_digest(TWO)]
    text = signature.signed_text("bach-thong", "phu-thong-01", EPOCH, 7, CHAIN_START, digests)
    lines = [
        "tramdo-signature/1",
        "bach-thong/phu-thong-01",
        "01234567-89ab-4cde-8f01-23456789abcd",
        "7",
        "0000000000000000000000000000000000000000000000000000000000000000",
        hashlib.sha256(ONE).hexdigest(),
        hashlib.sha256(TWO).hexdigest(),
    ]
    assert text == "".join(f"{line}\n" for line in lines).encode()
    assert signature.block_digest(text) == hashlib.sha256(text).hexdigest()


def test_what_is_there_comes_before_what_is_stated() -> None:
    stated = block(1, 2, RecordDigest(1, "a" * 64), RecordDigest(2, "b" * 64))
    assert signature.all_digests(stated, {1: "c" * 64}) == ["c" * 64, "b" * 64]


def test_a_block_of_which_a_digest_is_missing_cannot_be_checked() -> None:
    assert signature.all_digests(block(1, 2, RecordDigest(2, "b" * 64)), {}) is None


@pytest.mark.parametrize(
    ("blocks", "ordered"),
    [([], True), ([(1, 2), (3, 1)], True), ([(1, 2), (2, 1)], False), ([(3, 1), (1, 2)], False)],
)
def test_blocks_are_ascending_and_do_not_overlap(
    blocks: list[tuple[int, int]], ordered: bool
) -> None:
    assert signature.is_ordered([block(*one) for one in blocks]) is ordered


@given(st.binary(min_size=64, max_size=64))
def test_a_signature_travels_as_text(raw: bytes) -> None:
    text = signature.encode_signature(raw)
    assert len(text) == 86
    assert signature.decode_signature(text) == raw


@given(st.binary(max_size=80))
def test_no_bytes_break_the_reading_of_a_der_signature(der: bytes) -> None:
    with suppress(ValueError):
        assert len(signature.raw_signature(der)) == 64


@pytest.mark.parametrize("text", ["", "AAAA", "é", "A" * 85])
def test_what_is_no_signature_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"signature|base64|ascii|ASCII"):
        signature.decode_signature(text)
