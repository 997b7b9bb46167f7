"""Floor 1. Groups pending results into batches of one kind and a bounded size, one an envelope."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import Struct

# Small enough that a slow line carries it within a keep-alive, large enough to drain a month.
BATCH_BYTES = 131_072


class NumberedResult(Struct, frozen=True):
    """An encoded result with its sequence number."""

    seq: int
    kind: str
    body: bytes


class ResultBatch(Struct, frozen=True):
    """The content of one envelope: numbered bodies of one kind, in order."""

    kind: str
    numbered_bodies: list[tuple[int, bytes]]

    @property
    def last_seq(self) -> int:
        """The highest seq in the batch."""
        return self.numbered_bodies[-1][0]


def batches(pending: Iterable[NumberedResult], most: int) -> Iterator[ResultBatch]:
    """Group results by kind, keeping their order within the kind; a result is never split.

    Args:
        pending: in order.
        most: how many results an envelope may carry.
    """
    open_batches: dict[str, list[tuple[int, bytes]]] = {}
    sizes: dict[str, int] = {}
    for one in pending:
        size = sizes.get(one.kind, 0) + len(one.body)
        full = len(open_batches.get(one.kind, ())) >= most
        if one.kind in open_batches and (full or size > BATCH_BYTES):
            yield ResultBatch(one.kind, open_batches.pop(one.kind))
            size = len(one.body)
        open_batches.setdefault(one.kind, []).append((one.seq, one.body))
        sizes[one.kind] = size
    for kind, bodies in open_batches.items():
        yield ResultBatch(kind, bodies)
