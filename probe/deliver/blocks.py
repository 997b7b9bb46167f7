"""Floor 1. Stored blocks: the results of one transaction and one kind, kept as one row.

They have nearly the same text: together they are packed in two thirds of the bytes and half of the
time that they take one by one, and a burst's can be sent as they were packed (decision 135).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise
from operator import itemgetter

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
        block = stored_block(at.row + begin, end - begin, packed)
        numbered += numbered_results(block, kind, bodies, signatures[end - 1])
    return rows, numbered


def stored_block(first: int, count: int, packed: bytes) -> StoredBlock:
    """The block of so many results from a row on."""
    return StoredBlock(first, first + count - 1, *(row_codec.sendable(packed) or ()))


def numbered_results(
    block: StoredBlock, kind: str, bodies: Sequence[bytes], signature: bytes | None
) -> list[NumberedResult]:
    """The results of a block; `signature` is that of the last."""
    last = block.last
    return [
        NumberedResult(row, kind, body, signature if row == last else None, block)
        for row, body in enumerate(bodies, start=block.first)
    ]


def _cuts(
    results: Sequence[tuple[str, bytes]], signatures: Sequence[bytes | None], most: int
) -> Iterator[tuple[int, int]]:
    """The (begin, end) of each block: of one kind and a bounded size, ended by a signature."""
    begin = 0
    for _, run in groupby(results, key=itemgetter(0)):
        bodies = [body for _, body in run]
        for at in range(0, len(bodies), most):
            part = bodies[at : at + most]
            ends = _ends(part, signatures[begin : begin + len(part)])
            yield from ((begin + first, begin + end) for first, end in pairwise([0, *ends]))
            begin += len(part)


def _ends(bodies: Sequence[bytes], signatures: Sequence[bytes | None]) -> list[int]:
    """Where blocks of these bodies end."""
    if not (
        sum(map(len, bodies)) > BATCH_BYTES
        or any(signatures[:-1])
        or (len(bodies) > 1 and b"\n" in b"".join(bodies))
    ):
        return [len(bodies)]
    ends: list[int] = []
    size = 0
    for at, body in enumerate(bodies):
        is_separate = b"\n" in body or b"\n" in bodies[at - 1] or signatures[at - 1] is not None
        if at and (size + len(body) > BATCH_BYTES or is_separate):
            ends.append(at)
            size = 0
        size += len(body)
    return [*ends, len(bodies)]
