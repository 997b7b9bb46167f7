"""Floor 2. Reads results by number, from blocks, from packs, and from the table before them.

Results move from that table to blocks, and from blocks to packs, while others read. A reader asks
in the same order, so that what moves meanwhile is found twice, not never, and is returned once.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import islice
from typing import NamedTuple
from uuid import UUID

from msgspec import DecodeError, Struct, json

from collector.store import columns
from collector.store.batch import without_nul
from collector.store.bodies import BLOCK_RESULTS, DamagedBlockError, Dictionaries, decompress
from collector.store.database import Row
from collector.store.packs import PACK_RESULTS, Pack
from collector.store.records import StoredResult

# Read at once: rows of blocks at first and at most, and packs.
_BLOCKS_AT_FIRST, _BLOCKS_AT_ONCE = 64, 512
_PACKS_AT_ONCE = 64
# Some megabytes: a reader pages through a pack, and several ask for the newest results.
_PACKS_CACHED = 4
log = logging.getLogger(__name__)
Execute = Callable[[str, Sequence[object]], list[Row]]
PACKED_COLUMNS = (
    "b.number, e.tenant, e.probe, e.epoch, b.first_seq, b.kind, b.received_at, b.stored_at, "
    "b.results"
)
BLOCK_COLUMNS = f"{PACKED_COLUMNS}, b.dictionary_id, b.body"
OLD_COLUMNS = (
    "old_results.number, old_results.tenant, old_results.probe, old_results.epoch, "
    "old_results.seq, old_results.kind, old_results.line, old_results.target, "
    "old_results.received_at, old_results.stored_at, old_results.body"
)
# The pack that has a block `b`. A pack has results of one UTC day.
PACK_OF_BLOCK = (
    f"p.number <= b.number AND p.number > b.number - {PACK_RESULTS} "
    "AND p.number + p.results > b.number"
)
PACK_COLUMNS = "p.number, p.results, p.dictionary_id, p.body"


class _LineId(Struct):
    id: str


class _Head(Struct):
    """What of a body is a field of a StoredResult."""

    line: _LineId
    target: str | None = None


_decode_head = json.Decoder(_Head).decode


class _Segment(NamedTuple):
    """Results with ascending numbers, from `first` to `last`; decoded when they are wanted.

    `read` has those with a number of at least its argument.
    """

    first: int
    last: int
    read: Callable[[int], Iterator[StoredResult]]


class _BlockHead(NamedTuple):
    number: int
    tenant: str
    probe: str
    epoch: UUID
    first_seq: int
    kind: str
    received_at: datetime
    stored_at: datetime


class _CachedPack(NamedTuple):
    """A pack, and the results that were read from it, by their numbers."""

    content: bytes
    pack: Pack
    found: dict[int, StoredResult]

    def result(self, block: _BlockHead, place: int, first: int) -> StoredResult:
        """The result at this place of a block. `first`: the number of the pack."""
        number = block.number + place
        found = self.found.get(number)
        if found is None:
            body = self.pack.body(number - first)
            found = self.found[number] = _decoded(block, place, body)
        return found


class ResultReader:
    """Reads the results of one store. Thread-safe."""

    def __init__(self) -> None:
        self._dictionaries = Dictionaries()
        self._packs: dict[int, _CachedPack] = {}
        self._lock = threading.Lock()

    def after(self, execute: Execute, number: int, limit: int) -> list[StoredResult]:
        """At most `limit` results with a higher number, ascending."""
        found: list[StoredResult] = []
        rows = _BLOCKS_AT_FIRST
        end: int | None = number
        while end is not None and len(found) < limit:
            number, wanted = end, limit - len(found)
            segments, end = self._segments(execute, number, wanted, rows)
            found += islice(_in_order(segments, number, end), wanted)
            rows = min(2 * rows, _BLOCKS_AT_ONCE)
        return found

    def _segments(
        self, execute: Execute, number: int, limit: int, rows: int
    ) -> tuple[list[_Segment], int | None]:
        """What comes next after a number, and up to which number it is all; None: up to the end."""
        old = execute(
            f"SELECT {OLD_COLUMNS} FROM old_results WHERE number > ? ORDER BY number LIMIT ?",
            (number, limit),
        )
        blocks = execute(
            f"SELECT {BLOCK_COLUMNS} FROM result_blocks AS b JOIN epochs AS e USING (epoch_id) "
            "WHERE b.number > ? AND b.number + b.results > ? ORDER BY b.number LIMIT ?",
            # The first block may have lower numbers too.
            (number - BLOCK_RESULTS, number + 1, rows),
        )
        packs = execute(
            "SELECT number, started_at, results FROM result_packs "
            "WHERE number > ? AND number + results > ? ORDER BY number LIMIT ?",
            (number - PACK_RESULTS, number + 1, _PACKS_AT_ONCE),
        )
        segments = [
            *map(_of_old, old),
            *(self._of_block(execute, row) for row in blocks),
            *(self._of_pack(execute, row) for row in packs),
        ]
        full = [
            some[-1]
            for some, most in (
                ([row[0] for row in old], limit),
                ([row[0] + row[8] - 1 for row in blocks], rows),
                ([row[0] + row[2] - 1 for row in packs], _PACKS_AT_ONCE),
            )
            if len(some) == most
        ]
        return segments, min(full, default=None)

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
        packs = execute(
            "SELECT number, started_at, results FROM result_packs ORDER BY number DESC LIMIT ?",
            (limit,),
        )
        segments = [
            *map(_of_old, old),
            *(self._of_block(execute, row) for row in blocks),
            *(self._of_pack(execute, row) for row in packs),
        ]
        found: dict[int, StoredResult] = {}
        for segment in sorted(segments, key=lambda one: one.last, reverse=True):
            found |= {one.number: one for one in segment.read(segment.last - limit)}
            if len(found) >= limit:
                break
        return [found[number] for number in sorted(found)][-limit:] if limit else []

    def bodies(self, execute: Execute, dictionary_id: int, body: bytes, count: int) -> list[bytes]:
        """The bodies of a block. Raises DamagedBlockError."""
        return decompress(self._dictionary(execute, dictionary_id), body, count)

    def pack(self, execute: Execute, row: Row) -> _CachedPack:
        """A pack, of its `PACK_COLUMNS`; the last few are cached. Raises DamagedBlockError."""
        number, results, dictionary_id, content = row[0], row[1], row[2], bytes(row[3])
        with self._lock:
            cached = self._packs.get(number)
        if cached is None or cached.content != content:
            pack = Pack(self._dictionary(execute, dictionary_id), content, results)
            cached = _CachedPack(content, pack, {})
            with self._lock:
                self._packs[number] = cached
                while len(self._packs) > _PACKS_CACHED:
                    del self._packs[next(iter(self._packs))]
        return cached

    def packed_bodies(
        self,
        execute: Execute,
        same_day: Callable[[str, str], str],
        block: tuple[int, object],
        places: Sequence[int],
    ) -> dict[int, str]:
        """The bodies at these places of a packed block; none where its pack is damaged.

        Args:
            execute: runs a query.
            same_day: `Database.same_day`.
            block: its number and the cell of its start.
            places: which of its results.
        """
        number, started_at = block
        rows = execute(
            f"SELECT {PACK_COLUMNS} FROM packed_blocks AS b JOIN result_packs AS p "
            f"ON {PACK_OF_BLOCK} AND {same_day('p.started_at', 'b.started_at')} "
            "WHERE b.number = ? AND b.started_at = ?",
            (number, started_at),
        )
        try:
            return {
                place: self.pack(execute, row).pack.body(number - row[0] + place).decode()
                for row in rows
                for place in places
            }
        except (DamagedBlockError, UnicodeDecodeError, IndexError) as error:
            _log_damaged("pack of block", number, error)
            return {}

    def _dictionary(self, execute: Execute, dictionary_id: int) -> bytes:
        dictionary = self._dictionaries.get(dictionary_id)
        if dictionary is None:
            rows = execute("SELECT dictionary_id, content FROM dictionaries", ())
            self._dictionaries.add({number: bytes(content) for number, content in rows})
            dictionary = self._dictionaries.get(dictionary_id) or b""
        return dictionary

    def one(self, execute: Execute, row: Row, place: int) -> StoredResult | None:
        """The result at this place of a block; None where the block is damaged."""
        try:
            bodies = self.bodies(execute, row[9], bytes(row[10]), row[8])
            return _decoded(_head(row), place, bodies[place])
        except (DamagedBlockError, DecodeError, IndexError) as error:
            _log_damaged("block", row[0], error)
            return None

    def packed(self, execute: Execute, rows: Sequence[Row]) -> Iterator[tuple[Row, StoredResult]]:
        """Rows of packed results, each with its result; those of damaged packs are left out.

        The third cell of a row is the place in the block, then come the number and the start of the
        pack, then the block's `PACKED_COLUMNS`. Each pack is read once: many may be of one.
        """
        packs = {
            key: stored
            for key in {tuple(row[3:5]) for row in rows}
            for stored in self._stored_packs(execute, *key)
        }
        for row in rows:
            stored = packs.get(tuple(row[3:5]))
            if stored is None:
                continue
            try:
                yield row, self.pack(execute, stored).result(_head(row[5:]), row[2], stored[0])
            except (DamagedBlockError, DecodeError, IndexError) as error:
                _log_damaged("pack", stored[0], error)

    def _stored_packs(self, execute: Execute, number: int, started_at: object) -> list[Row]:
        """The pack of this number, as `PACK_COLUMNS`, if it is there."""
        return execute(
            f"SELECT {PACK_COLUMNS} FROM result_packs AS p WHERE p.number = ? AND p.started_at = ?",
            (number, started_at),
        )

    def block(self, execute: Execute, row: Row) -> list[StoredResult]:
        """The results of a block, of its `BLOCK_COLUMNS`; none where it is damaged.

        A block that the disk has damaged must not keep a reader from those after it.
        """
        try:
            bodies = self.bodies(execute, row[9], bytes(row[10]), row[8])
            head = _head(row)
            return [_decoded(head, place, body) for place, body in enumerate(bodies)]
        except (DamagedBlockError, DecodeError) as error:
            _log_damaged("block", row[0], error)
            return []

    def _of_block(self, execute: Execute, row: Row) -> _Segment:
        def read(least: int) -> Iterator[StoredResult]:
            return (one for one in self.block(execute, row) if one.number >= least)

        return _Segment(row[0], row[0] + row[8] - 1, read)

    def _of_pack(self, execute: Execute, row: Row) -> _Segment:
        number, started_at, results = row

        def read(least: int) -> Iterator[StoredResult]:
            for stored in self._stored_packs(execute, number, started_at):
                yield from self._packed(execute, stored, least)

        return _Segment(number, number + results - 1, read)

    def _packed(self, execute: Execute, stored: Row, least: int) -> Iterator[StoredResult]:
        first, results = stored[:2]
        least = max(first, least)
        try:
            cached = self.pack(execute, stored)
            numbers = range(least, first + results)
            if all(number in cached.found for number in numbers):
                yield from (cached.found[number] for number in numbers)
                return
            for row in execute(
                f"SELECT {PACKED_COLUMNS} FROM packed_blocks AS b JOIN epochs AS e "
                "USING (epoch_id) WHERE b.number >= ? AND b.number < ? ORDER BY b.number",
                (max(first, least - BLOCK_RESULTS + 1), first + results),
            ):
                head = _head(row)
                for place in range(max(0, least - row[0]), row[8]):
                    yield cached.result(head, place, first)
        except (DamagedBlockError, DecodeError, IndexError) as error:
            _log_damaged("pack", first, error)


def _of_old(row: Row) -> _Segment:
    return _Segment(row[0], row[0], lambda _: iter((columns.result(row),)))


def _in_order(segments: Sequence[_Segment], number: int, end: int | None) -> Iterator[StoredResult]:
    """The results after a number up to `end`, ascending, each once."""
    for segment in sorted(segments, key=lambda one: one.first):
        if segment.last <= number:
            continue
        for one in segment.read(number + 1):
            if end is not None and one.number > end:
                return
            if one.number > number:
                yield one
                number = one.number


def _head(row: Row) -> _BlockHead:
    """What the results of a block share, of its `PACKED_COLUMNS`."""
    number, tenant, probe, epoch, seq, kind, received_at, stored_at = row[:8]
    received, stored = columns.time(received_at), columns.time(stored_at)
    return _BlockHead(number, tenant, probe, _uuid(epoch), seq, kind, received, stored)


_uuid = lru_cache(4_096)(UUID)


def _decoded(block: _BlockHead, place: int, content: bytes) -> StoredResult:
    head = _decode_head(content)
    return StoredResult(
        number=block.number + place,
        tenant=block.tenant,
        probe=block.probe,
        epoch=block.epoch,
        seq=block.first_seq + place,
        kind=block.kind,
        line=head.line.id,
        target=without_nul(head.target),
        received_at=block.received_at,
        stored_at=block.stored_at,
        body=content,
    )


def _log_damaged(what: str, number: int, error: Exception) -> None:
    log.error("%s %s of results is damaged, left out: %s", what, number, error)
