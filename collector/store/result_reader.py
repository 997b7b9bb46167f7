"""Floor 2. Reads results by number, from blocks and from the table that was before them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from uuid import UUID

from msgspec import DecodeError, Struct, json

from collector.store import columns
from collector.store.batch import without_nul
from collector.store.bodies import BLOCK_RESULTS, DamagedBlockError, Dictionaries, decompress
from collector.store.database import Row
from collector.store.records import StoredResult

# More than those that begin at most a block's results before a number.
_BLOCKS_AT_ONCE = 2 * BLOCK_RESULTS
log = logging.getLogger(__name__)
Execute = Callable[[str, Sequence[object]], list[Row]]
BLOCK_COLUMNS = (
    "b.number, e.tenant, e.probe, e.epoch, b.first_seq, b.kind, b.received_at, b.stored_at, "
    "b.results, b.dictionary_id, b.body"
)
OLD_COLUMNS = (
    "old_results.number, old_results.tenant, old_results.probe, old_results.epoch, "
    "old_results.seq, old_results.kind, old_results.line, old_results.target, "
    "old_results.received_at, old_results.stored_at, old_results.body"
)


class _LineId(Struct):
    id: str


class _Head(Struct):
    """What of a body is a field of a StoredResult."""

    line: _LineId
    target: str | None = None


_decode_head = json.Decoder(_Head).decode


class ResultReader:
    """Reads the results of one store. Thread-safe."""

    def __init__(self) -> None:
        self._dictionaries = Dictionaries()

    def after(self, execute: Execute, number: int, limit: int) -> list[StoredResult]:
        """At most `limit` results with a higher number, ascending."""
        # The old ones first: one that is carried over meanwhile is in both then, not in neither.
        old = execute(
            f"SELECT {OLD_COLUMNS} FROM old_results WHERE number > ? ORDER BY number LIMIT ?",
            (number, limit),
        )
        found = {row[0]: columns.result(row) for row in old}
        # The first block may have lower numbers too.
        every = self._from_block(execute, number - BLOCK_RESULTS)
        some = islice((one for one in every if one.number > number), limit)
        found |= {one.number: one for one in some}
        return [found[at] for at in sorted(found)][:limit]

    def _from_block(self, execute: Execute, number: int) -> Iterator[StoredResult]:
        """The results of the blocks with a higher number, ascending; read as far as needed."""
        while True:
            blocks = execute(
                f"SELECT {BLOCK_COLUMNS} FROM result_blocks AS b JOIN epochs AS e USING (epoch_id) "
                "WHERE b.number > ? ORDER BY b.number LIMIT ?",
                (number, _BLOCKS_AT_ONCE),
            )
            for row in blocks:
                yield from self.block(execute, row)
            if len(blocks) < _BLOCKS_AT_ONCE:
                return
            number = blocks[-1][0]

    def newest(self, execute: Execute, limit: int) -> list[StoredResult]:
        """The `limit` results with the highest numbers, ascending."""
        old = execute(
            f"SELECT {OLD_COLUMNS} FROM old_results ORDER BY number DESC LIMIT ?", (limit,)
        )
        blocks = execute(
            f"SELECT {BLOCK_COLUMNS} FROM result_blocks AS b JOIN epochs AS e USING (epoch_id) "
            "ORDER BY b.number DESC LIMIT ?",
            (limit,),
        )
        found = self._joined(execute, old, blocks)
        return found[len(found) - limit :] if len(found) > limit else found

    def _joined(
        self, execute: Execute, old: Sequence[Row], blocks: Sequence[Row]
    ) -> list[StoredResult]:
        """The results of rows of both, each once, ascending."""
        found = {row[0]: columns.result(row) for row in old}
        found |= {one.number: one for row in blocks for one in self.block(execute, row)}
        return [found[number] for number in sorted(found)]

    def bodies(self, execute: Execute, dictionary_id: int, body: bytes, count: int) -> list[bytes]:
        """The bodies of a block. Raises DamagedBlockError."""
        dictionary = self._dictionaries.get(dictionary_id)
        if dictionary is None:
            rows = execute("SELECT dictionary_id, content FROM dictionaries", ())
            self._dictionaries.add({number: bytes(content) for number, content in rows})
            dictionary = self._dictionaries.get(dictionary_id) or b""
        return decompress(dictionary, body, count)

    def one(self, execute: Execute, row: Row, place: int) -> StoredResult | None:
        """The result at this place of a block; None where the block is damaged."""
        return next(islice(self.block(execute, row), place, None), None)

    def block(self, execute: Execute, row: Row) -> list[StoredResult]:
        """The results of a block, of its `BLOCK_COLUMNS`; none where it is damaged.

        A block that the disk has damaged must not keep a reader from those after it.
        """
        try:
            return list(self._decoded(execute, row))
        except (DamagedBlockError, DecodeError) as error:
            log.error("block %s of results is damaged, left out: %s", row[0], error)  # noqa: TRY400
            return []

    def _decoded(self, execute: Execute, row: Row) -> Iterator[StoredResult]:
        number, tenant, probe, epoch, seq, kind, received_at, stored_at, count, by, body = row
        received, stored = columns.time(received_at), columns.time(stored_at)
        epoch = UUID(epoch)
        for place, content in enumerate(self.bodies(execute, by, bytes(body), count)):
            head = _decode_head(content)
            yield StoredResult(
                number=number + place,
                tenant=tenant,
                probe=probe,
                epoch=epoch,
                seq=seq + place,
                kind=kind,
                line=head.line.id,
                target=without_nul(head.target),
                received_at=received,
                stored_at=stored,
                body=content,
            )
