"""Floor 1. Stored blocks: the results of one transaction and one kind, kept as one row.

They have nearly the same text: together they are packed in two thirds of the bytes and half of the
time that they take one by one, and a burst's can be sent as they were packed (decision 135).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence

from msgspec import Struct

from probe.deliver import row_codec
from probe.deliver.batch import BATCH_BYTES, NumberedResult, StoredBlock
from wire.signature import MAX_BLOCK_RESULTS

# No row holds more, so that a result's row can be found by its number.
MAX_RESULTS = MAX_BLOCK_RESULTS

# Last result's row, how many results, kind, Unix time of storing, packed bodies, checksum, packed
# signature of the last.
Row = tuple[int, int, str, float, bytes, int, bytes | None]


class Numbering(Struct, frozen=True):
    """What results get next: the row, the number in the epoch, and how many a block may have."""

    row: int
    seq: int
    most: int


def stored(
    results: Sequence[tuple[str, bytes]],
    signatures: Sequence[bytes | None],
    at: Numbering,
    now_s: float,
) -> tuple[list[Row], list[NumberedResult]]:
    """Encoded results, (kind, body) each, as rows of the file, and as they are sent."""
    rows: list[Row] = []
    numbered: list[NumberedResult] = []
    for begin, end in _cuts(results, signatures, min(at.most, MAX_RESULTS)):
        bodies = [body for _, body in results[begin:end]]
        kind, last, seq = results[begin][0], at.row + end - 1, at.seq + begin
        packed = row_codec.pack(bodies, seq)
        checksum = row_codec.checksum(last, kind.encode(), packed, end - begin)
        rows.append((last, end - begin, kind, now_s, packed, checksum, signatures[end - 1]))
        block = stored_block(at.row + begin, seq, bodies, packed)
        numbered += numbered_results(block, kind, bodies, signatures[end - 1])
    return rows, numbered


def stored_block(first: int, seq: int, bodies: Sequence[bytes], packed: bytes) -> StoredBlock:
    """The block of these bodies."""
    last = first + len(bodies) - 1
    begun = row_codec.sendable(packed)
    if begun is None:
        return StoredBlock(first, last)
    text = row_codec.records_text(bodies, seq)
    return StoredBlock(first, last, begun, zlib.adler32(text))


def numbered_results(
    block: StoredBlock, kind: str, bodies: Sequence[bytes], signature: bytes | None
) -> Iterator[NumberedResult]:
    """The results of a block; `signature` is that of the last."""
    for row, body in enumerate(bodies, start=block.first):
        yield NumberedResult(row, kind, body, signature if row == block.last else None, block)


def _cuts(
    results: Sequence[tuple[str, bytes]], signatures: Sequence[bytes | None], most: int
) -> Iterator[tuple[int, int]]:
    """The (begin, end) of each block: of one kind and a bounded size, ended by a signature."""
    begin = size = 0
    for at, (kind, body) in enumerate(results):
        if at > begin and (
            kind != results[begin][0]
            or at - begin >= most
            or size + len(body) > BATCH_BYTES
            or signatures[at - 1] is not None
            or b"\n" in body
            or b"\n" in results[at - 1][1]
        ):
            yield begin, at
            begin, size = at, 0
        size += len(body)
    if results:
        yield begin, len(results)
