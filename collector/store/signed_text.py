"""Floor 1. The text that a stored signature block signs."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import structs

from collector.store.records import StoredSignature
from wire.signature import RecordDigest, all_digests, record_digest, signed_text


def text_of(one: StoredSignature, bodies: Mapping[int, bytes]) -> bytes | None:
    """The signed text of a block by what is stored; None where a digest is not known."""
    there = {seq: bodies[seq] for seq in one.block.seqs if seq in bodies} | dict(one.sent)
    stated = [RecordDigest(seq, digest) for seq, digest in one.digests.items()]
    digests = all_digests(
        structs.replace(one.block, digests=stated),
        {seq: record_digest(body) for seq, body in there.items()},
    )
    if digests is None:
        return None
    epoch = one.epoch
    return signed_text(
        epoch.tenant, epoch.probe, epoch.epoch, one.block.first, one.block.previous, digests
    )
