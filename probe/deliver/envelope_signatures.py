"""Floor 1. The signature blocks of an envelope: those that cover a result which it carries.

Blocks were signed as results got their numbers, envelopes are cut as they are sent. Of a block
whose results are not all in the envelope the others' digests are sent beside it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from msgspec import structs

from probe.deliver.batch import NumberedResult, ResultBatch
from probe.deliver.signature_chain import unpack
from wire.signature import MAX_BLOCK_RESULTS, RecordDigest, SignatureBlock, record_digest


class KeptResults(Protocol):
    """What is read of the outbox: `probe.deliver.outbox.Outbox`."""

    def kept(self, first: int, last: int, limit: int) -> Sequence[NumberedResult]:
        """The results in these rows."""

    def next_signature(self, first: int, last: int) -> tuple[int, bytes] | None:
        """The first of these rows that ends a block, and its packed signature."""


def signature_blocks(batch: ResultBatch, outbox: KeptResults) -> list[SignatureBlock]:
    """The blocks of a batch, ascending.

    A block of which a result is not kept any more is left out: what is left of it is unsigned.
    """
    carried = [seq for seq, _ in batch.numbered_bodies]
    shift = batch.rows[0] - carried[0]
    here = set(carried)
    found: list[SignatureBlock] = []
    through = 0
    for seq in carried:
        if seq <= through:
            continue
        block = _next_block(seq, batch.signatures, shift, outbox)
        if block is None:
            through = seq + MAX_BLOCK_RESULTS - 1
        elif block.first > seq:
            through = block.first - 1
        else:
            through = block.last
            if (whole := _completed(block, here, shift, outbox)) is not None:
                found.append(whole)
    return found


def _next_block(
    seq: int, signatures: Mapping[int, bytes], shift: int, outbox: KeptResults
) -> SignatureBlock | None:
    """The first block that ends at a result or behind it; None where none is near."""
    end = next((end for end in signatures if end >= seq), None)
    if end is not None:
        block = unpack(signatures[end], end)
        if block is not None and block.first <= seq:
            return block
    # It ends with a result that is not here.
    row = seq + shift
    found = outbox.next_signature(row, row + MAX_BLOCK_RESULTS - 1)
    return None if found is None else unpack(found[1], found[0] - shift)


def _completed(
    block: SignatureBlock, here: Collection[int], shift: int, outbox: KeptResults
) -> SignatureBlock | None:
    """The block with the digests of its results that are not here; None where one is gone."""
    missing = [seq for seq in block.seqs if seq not in here]
    if not missing:
        return block
    kept = outbox.kept(missing[0] + shift, missing[-1] + shift, block.count)
    bodies = {one.row - shift: one.body for one in kept}
    if not bodies.keys() >= set(missing):
        return None
    digests = [RecordDigest(seq, record_digest(bodies[seq])) for seq in missing]
    return structs.replace(block, digests=digests)
