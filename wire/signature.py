"""Floor 1. Signature blocks: a probe's signatures over its results, as one chain in each epoch.

After RFC 5848 (Signed Syslog Messages): a block covers results of consecutive numbers, by the
SHA-256 of each one's bytes, and the digest of the block before it. The signature is ES256
(RFC 7518 §3.4: ECDSA on P-256 with SHA-256, as R and S of 32 bytes each) by the key of the probe's
client certificate, over this text (`signed_text`), in ASCII, each line ended by a line feed:

    tramdo-signature/1
    TENANT/PROBE
    EPOCH                   the UUID as it is in the envelope
    FIRST                   the number of the first result, in decimal
    PREVIOUS                SHA-256 of the text of the block before; 64 zeros in an epoch's first
    DIGEST                  SHA-256 of the bytes of the first result, and so on, one line each

Digests are in lower-case hexadecimal, as `sha256sum` prints them. The bytes of a result are those
between `"result":` and the end of its record, exactly as they were sent (decision 115).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Annotated, Final
from uuid import UUID

from msgspec import Meta, Struct

from wire.record import Seq

VERSION: Final = "tramdo-signature/1"
# `previous` of an epoch's first block.
CHAIN_START: Final = "0" * 64
# So many results has a block at most, and so many digests an envelope can bring.
MAX_BLOCK_RESULTS: Final = 500
_KEY_ID_CHARACTERS: Final = 16
_SIGNATURE_BYTES: Final = 64
_INTEGER_BYTES: Final = _SIGNATURE_BYTES // 2
_DER_SEQUENCE, _DER_INTEGER = 0x30, 0x02

Digest = Annotated[
    str, Meta(pattern=r"^[0-9a-f]{64}\Z", description="a SHA-256, lower-case hexadecimal")
]
KeyId = Annotated[
    str,
    Meta(
        pattern=r"^[0-9a-f]{16}\Z",
        description="the first 16 digits of the SHA-256 fingerprint of a certificate (its DER)",
    ),
]
Signature = Annotated[
    str,
    Meta(
        pattern=r"^[0-9A-Za-z_-]{86}\Z",
        description="an ES256 signature (RFC 7518 §3.4) in base64url without padding",
    ),
]


class RecordDigest(Struct, frozen=True, forbid_unknown_fields=True):
    """The digest of a result that the envelope does not carry."""

    seq: Seq
    sha256: Digest


class SignatureBlock(
    Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True
):
    """A signature over the results `first` to `first + count - 1` of the envelope's epoch.

    `key` is the certificate's whose key signed. `digests` are those of the block's results that the
    envelope does not carry (they travel in another one), ascending.
    """

    first: Seq
    count: Annotated[int, Meta(ge=1, le=MAX_BLOCK_RESULTS)]
    key: KeyId
    previous: Digest
    signature: Signature
    digests: Annotated[list[RecordDigest], Meta(max_length=MAX_BLOCK_RESULTS)] = []

    @property
    def last(self) -> int:
        """The number of its last result."""
        return self.first + self.count - 1

    @property
    def seqs(self) -> range:
        """The numbers of its results."""
        return range(self.first, self.first + self.count)


def record_digest(body: bytes) -> str:
    """The digest of a result's bytes."""
    return sha256(body).hexdigest()


def signed_text(
    tenant: str, probe: str, epoch: UUID, first: int, previous: str, digests: Sequence[str]
) -> bytes:
    """What a signature is over: see the head of this module."""
    lines = (VERSION, f"{tenant}/{probe}", str(epoch), str(first), previous, *digests, "")
    return "\n".join(lines).encode("ascii")


def block_digest(text: bytes) -> str:
    """The digest of a block by its signed text: the next block's `previous`."""
    return sha256(text).hexdigest()


def all_digests(block: SignatureBlock, carried: Mapping[int, str]) -> list[str] | None:
    """The digests of a block's results, in order; None where one is not known.

    Args:
        block: the block.
        carried: those of the results that are there, by number. They come before what the block
            itself says: what is there must be what was signed.
    """
    stated = {one.seq: one.sha256 for one in block.digests}
    found = [carried.get(seq) or stated.get(seq) for seq in block.seqs]
    whole = [digest for digest in found if digest is not None]
    return whole if len(whole) == len(found) else None


def is_ordered(blocks: Iterable[SignatureBlock]) -> bool:
    """Whether blocks are ascending and none overlaps another."""
    last = 0
    for block in blocks:
        if block.first <= last:
            return False
        last = block.last
    return True


def key_id(certificate_der: bytes) -> str:
    """The `key` of signatures by a certificate's key."""
    return sha256(certificate_der).hexdigest()[:_KEY_ID_CHARACTERS]


def encode_signature(raw: bytes) -> str:
    """64 bytes of R and S as they travel."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def decode_signature(text: str) -> bytes:
    """The 64 bytes of R and S.

    Raises:
        ValueError: it is no signature.
    """
    try:
        raw = base64.urlsafe_b64decode(text + "==")
    except binascii.Error as error:
        raise ValueError(f"no base64url: {error}") from error
    if len(raw) != _SIGNATURE_BYTES:
        raise ValueError(f"a signature has {_SIGNATURE_BYTES} bytes, not {len(raw)}")
    return raw


def raw_signature(der: bytes) -> bytes:
    """R and S of 32 bytes each from a DER signature (RFC 3279 §2.2.3), as OpenSSL makes it.

    Raises:
        ValueError: it is none of P-256.
    """
    content, rest = _element(der, _DER_SEQUENCE)
    r, after = _element(content, _DER_INTEGER)
    s, end = _element(after, _DER_INTEGER)
    if rest or end:
        raise ValueError("something follows the signature")
    try:
        return b"".join(
            int.from_bytes(part, "big").to_bytes(_INTEGER_BYTES, "big") for part in (r, s)
        )
    except OverflowError as error:
        raise ValueError("not a signature on P-256") from error


def _element(der: bytes, tag: int) -> tuple[bytes, bytes]:
    """The content of a DER element of less than 128 bytes, and what follows it."""
    if len(der) < 2 or der[0] != tag or der[1] > 0x7F or len(der) < 2 + der[1]:
        raise ValueError("no DER signature")
    end = 2 + der[1]
    return der[2:end], der[end:]
