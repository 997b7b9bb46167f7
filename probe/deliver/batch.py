"""Floor 1. Batches: pending results to envelopes, one epoch and kind each, of a bounded size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from uuid import UUID

from msgspec import Struct

from probe.deliver.epochs import Epochs

# Small enough that a slow line carries it within a keep-alive, large enough to drain a month.
BATCH_BYTES = 131_072


class NumberedResult(Struct, frozen=True):
    """An encoded result and its row in the outbox.

    `signature` is that of the block which it ends (`signature_chain.pack`), None elsewhere.
    """

    row: int
    kind: str
    body: bytes
    signature: bytes | None = None


class ResultBatch(Struct, frozen=True):
    """What one envelope carries: (number, body) of one kind and epoch, in order; and their rows.

    `signatures` are those of the results that end a block, by number.
    """

    epoch: UUID
    kind: str
    rows: list[int]
    numbered_bodies: list[tuple[int, bytes]]
    signatures: dict[int, bytes]


def batches(pending: Iterable[NumberedResult], most: int, epochs: Epochs) -> Iterator[ResultBatch]:
    """Group results by epoch and kind, keeping their order within each; none is split.

    Args:
        pending: in order.
        most: how many results an envelope may carry.
        epochs: of the outbox that the results are from.
    """
    # An epoch by the row that it begins at: a UUID is hashed by Python code, three times a result.
    open_batches: dict[tuple[int, str], ResultBatch] = {}
    sizes: dict[tuple[int, str], int] = {}
    for one in pending:
        epoch, seq = epochs.identity(one.row)
        key = one.row - seq, one.kind
        size = sizes.get(key, 0) + len(one.body)
        batch = open_batches.get(key)
        if batch is not None and (len(batch.rows) >= most or size > BATCH_BYTES):
            yield open_batches.pop(key)
            batch, size = None, len(one.body)
        if batch is None:
            batch = open_batches[key] = ResultBatch(epoch, one.kind, [], [], {})
        batch.rows.append(one.row)
        batch.numbered_bodies.append((seq, one.body))
        if one.signature is not None:
            batch.signatures[seq] = one.signature
        sizes[key] = size
    yield from open_batches.values()
