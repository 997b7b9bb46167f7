"""Probes that sign: keys and certificates of `tramdo-authority`, envelopes with their blocks."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from deploy.authority import authority
from deploy.authority.authority import Authority
from probe.deliver.signing_key import SigningKey
from runtime.signing_certificate import SigningCertificate
from tests import samples
from wire.envelope import encode_envelope
from wire.result import Result, encode_result
from wire.signature import (
    CHAIN_START,
    SignatureBlock,
    block_digest,
    record_digest,
    signed_text,
)

ISSUED_AT = datetime(2026, 1, 1, tzinfo=UTC)


class SigningProbe:
    """A probe's name, key and certificate, and the chain of one epoch.

    Args:
        folder: that of the authority, made where it is missing.
        name: the probe's.
        at: when its certificate is issued.
        epoch: of its results.
    """

    def __init__(
        self,
        folder: Path,
        name: str = samples.PROBE,
        *,
        at: datetime = ISSUED_AT,
        epoch: UUID = samples.EPOCH,
    ) -> None:
        if not folder.exists():
            authority.init(folder, "Test", None, at)
        key_file, request = folder / f"{name}.key", folder / f"{name}.csr"
        authority.request(key_file, request, name, None)
        self.files = Authority(folder).sign(request.read_bytes(), at), key_file
        self.authority_pem = (folder / "ca.pem").read_bytes()
        self.name, self.epoch = name, epoch
        self.key = SigningKey(*self.files)
        self.previous = CHAIN_START

    @property
    def certificate(self) -> SigningCertificate:
        """Its certificate, as a checker reads it."""
        return SigningCertificate(base64.b64decode(self.key.certificate))

    def block(self, first: int, bodies: Sequence[bytes]) -> SignatureBlock:
        """The next block of the chain."""
        digests = [record_digest(body) for body in bodies]
        text = signed_text(samples.TENANT, self.name, self.epoch, first, self.previous, digests)
        block = SignatureBlock(
            first=first,
            count=len(bodies),
            key=self.key.key,
            previous=self.previous,
            signature=self.key.sign(text) or "",
        )
        self.previous = block_digest(text)
        return block

    def envelope(
        self, first: int, results: Sequence[Result], sent_at: datetime = samples.NOON
    ) -> bytes:
        """An envelope of results that are one block."""
        bodies = [encode_result(result) for result in results]
        return self.payload(list(enumerate(bodies, first)), [self.block(first, bodies)], sent_at)

    def payload(
        self,
        numbered: Sequence[tuple[int, bytes]],
        blocks: Sequence[SignatureBlock],
        sent_at: datetime = samples.NOON,
    ) -> bytes:
        """An envelope of these results and blocks."""
        return encode_envelope(
            samples.TENANT,
            self.name,
            self.epoch,
            samples.SITE,
            sent_at,
            numbered,
            signatures=blocks,
        )
