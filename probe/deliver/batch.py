"""Floor 1. Batches: pending results to envelopes, one epoch and kind each, of a bounded size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from uuid import UUID

from msgspec import Struct

from probe.deliver.epochs import Epochs

# Small enough that a slow line carries it within a keep-alive, large enough to drain a month.
BATCH_BYTES = 131_072


class StoredBlock(Struct, frozen=True):
    """Consecutive results of one kind and epoch that the outbox keeps together.

    `begun` is the beginning of a compressed envelope with all of them (`row_codec.sendable`), and
    `checksum` the Adler-32 of its text; None where they are fewer.
    """

    first: int
    last: int
    begun: bytes | None = None
    checksum: int = 0


class NumberedResult(Struct, frozen=True):
    """An encoded result and its row in the outbox.

    `signature` is that of the signature block which it ends (`signature_chain.pack`), None
    elsewhere; `block` is what it is kept in, None where that is not known.
    """

    row: int
    kind: str
    body: bytes
    signature: bytes | None = None
    block: StoredBlock | None = None


class ResultBatch(Struct, frozen=True):
    """What one envelope carries: (number, body) of one kind and epoch, in order; and their rows.

    `signatures` are those of the results that end a signature block, by number. `block` is set
    where these are the results of a stored block, all of them and no others.
    """

    epoch: UUID
    kind: str
    rows: list[int]
    numbered_bodies: list[tuple[int, bytes]]
    signatures: dict[int, bytes]
    block: StoredBlock | None = None


def batches(pending: Iterable[NumberedResult], most: int, epochs: Epochs) -> Iterator[ResultBatch]:
    """Group results by epoch and kind, keeping their order within each; none is split.

    Results that are kept together stay together where an envelope may carry them.

    Args:
        pending: in order.
        most: how many results an envelope may carry.
        epochs: of the outbox that the results are from.
    """
    # An epoch by the row that it begins at: a UUID is hashed by Python code.
    waiting: dict[tuple[int, str], list[NumberedResult]] = {}
    sizes: dict[tuple[int, str], int] = {}
    for together in _kept_together(list(pending), most):
        _, seq = epochs.identity(together[0].row)
        key = together[0].row - seq, together[0].kind
        size = sum(len(one.body) for one in together)
        before = waiting.get(key)
        if before and (len(before) + len(together) > most or sizes[key] + size > BATCH_BYTES):
            yield _batch(waiting.pop(key), epochs)
            before = None
        waiting[key] = together if before is None else before + together
        sizes[key] = size if before is None else sizes[key] + size
    for results in waiting.values():
        yield _batch(results, epochs)


def without_cut_block(pending: list[NumberedResult]) -> list[NumberedResult]:
    """The results without those at the end whose block goes on behind them, but for the first."""
    block = pending[-1].block
    if block is None or block.last == pending[-1].row or block is pending[0].block:
        return pending
    return [one for one in pending if one.block is not block]


def _kept_together(pending: Sequence[NumberedResult], most: int) -> Iterator[list[NumberedResult]]:
    """Runs of results that are of one stored block, `most` at most."""
    at = 0
    while at < len(pending):
        end = _end_of_block(pending, at)
        for begin in range(at, end, most):
            yield list(pending[begin : min(begin + most, end)])
        at = end


def _end_of_block(pending: Sequence[NumberedResult], at: int) -> int:
    """Where the results end that are of the same stored block as one."""
    first, block = pending[at], pending[at].block
    if block is None:
        return at + 1
    end = at + block.last - first.row + 1
    if end <= len(pending) and pending[end - 1].row == block.last:
        return end
    # Some of it are not pending, or not read.
    return next(
        (end for end in range(at + 1, len(pending)) if pending[end].block is not block),
        len(pending),
    )


def _batch(results: list[NumberedResult], epochs: Epochs) -> ResultBatch:
    first, last, block = results[0], results[-1], results[0].block
    epoch, seq = epochs.identity(first.row)
    shift = first.row - seq
    is_whole = (
        block is not None
        and (block.first, block.last) == (first.row, last.row)
        and len(results) == last.row - first.row + 1
    )
    # A signature is that of a block's last result.
    ends = [last] if is_whole else results
    return ResultBatch(
        epoch,
        first.kind,
        [one.row for one in results],
        [(one.row - shift, one.body) for one in results],
        {one.row - shift: one.signature for one in ends if one.signature is not None},
        block if is_whole else None,
    )
