"""Floor 1. The chain of signature blocks of the outbox's epoch, as results get their numbers.

Results that are stored together, of one kind and with consecutive numbers, are one block. Its
signature is kept with the row of its last result.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from struct import Struct as Layout
from typing import Protocol
from uuid import UUID
from zlib import crc32

from msgspec import Struct

from wire.signature import (
    CHAIN_START,
    MAX_BLOCK_RESULTS,
    KeyId,
    SignatureBlock,
    block_digest,
    decode_signature,
    encode_signature,
    record_digest,
    signed_text,
)

# Count, key, previous digest, signature; then CRC-32 of these.
_PACKED, _CHECKSUM = Layout(">H8s32s64s"), Layout(">I")


class Signer(Protocol):
    """What signs: `probe.deliver.signing_key.SigningKey`."""

    key: KeyId
    certificate: str

    def sign(self, text: bytes) -> str | None:
        """The signature of a text, as it travels; None where that fails."""


class SignedResults(Struct, frozen=True):
    """For each of some results, the packed signature of the block that it ends, None elsewhere.

    `previous` is the digest of the last block, with which the chain goes on once this is stored.
    """

    signatures: list[bytes | None]
    previous: str


class SignatureChain:
    """The chain of the epoch that an outbox is in.

    Args:
        tenant: the probe's.
        probe: its name.
        most: how many results an envelope has at most; a block has no more.
    """

    def __init__(self, tenant: str, probe: str, most: int) -> None:
        self._tenant, self._probe = tenant, probe
        self.most = min(most, MAX_BLOCK_RESULTS)
        self._previous = CHAIN_START
        self.signer: Signer | None = None

    def begin(self) -> None:
        """An epoch begins."""
        self._previous = CHAIN_START

    def signed(
        self, epoch: UUID, first: int, results: Sequence[tuple[str, bytes]]
    ) -> SignedResults:
        """Sign results, (kind, body) each, that get the numbers from `first` on."""
        signatures: list[bytes | None] = [None] * len(results)
        previous, signer = self._previous, self.signer
        if signer is None:
            return SignedResults(signatures, previous)
        for begin, end in _blocks([kind for kind, _ in results], self.most):
            digests = [record_digest(body) for _, body in results[begin:end]]
            text = signed_text(self._tenant, self._probe, epoch, first + begin, previous, digests)
            signature = signer.sign(text)
            if signature is None:
                continue
            signatures[end - 1] = pack(
                SignatureBlock(
                    first=first + begin,
                    count=end - begin,
                    key=signer.key,
                    previous=previous,
                    signature=signature,
                )
            )
            previous = block_digest(text)
        return SignedResults(signatures, previous)

    def on_stored(self, signed: SignedResults) -> None:
        """What was signed is stored: the chain goes on behind it."""
        self._previous = signed.previous


def _blocks(kinds: Sequence[str], most: int) -> Iterator[tuple[int, int]]:
    """The (begin, end) of each block of results of these kinds."""
    begin = 0
    for _, run in groupby(kinds):
        end = begin + len(list(run))
        for at in range(begin, end, most):
            yield at, min(at + most, end)
        begin = end


def pack(block: SignatureBlock) -> bytes:
    """A block as it is kept with its last result; with a checksum, for a card changes bytes."""
    packed = _PACKED.pack(
        block.count,
        bytes.fromhex(block.key),
        bytes.fromhex(block.previous),
        decode_signature(block.signature),
    )
    return packed + _CHECKSUM.pack(crc32(packed))


def unpack(packed: bytes, last: int) -> SignatureBlock | None:
    """The block that ends with number `last`; None where its bytes were changed."""
    content, checksum = packed[: _PACKED.size], packed[_PACKED.size :]
    if checksum != _CHECKSUM.pack(crc32(content)) or len(content) != _PACKED.size:
        return None
    count, key, previous, signature = _PACKED.unpack(content)
    return SignatureBlock(
        first=last - count + 1,
        count=count,
        key=key.hex(),
        previous=previous.hex(),
        signature=encode_signature(signature),
    )
