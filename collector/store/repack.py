"""Floor 2. Packs results that are some hours old: fewer bytes, in the order of their numbers.

What is packed is read and compressed while ingest goes on. Then one short transaction moves it: the
rows of `result_blocks` to `packed_blocks`, without their bodies, which are in `result_packs`.
Whatever ends the program, a result is in one or in the other. There is no state beside: what is in
`result_blocks` is not packed.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from collector.store.batch import microseconds
from collector.store.bodies import DamagedBlockError
from collector.store.database import Row, Transaction
from collector.store.migrated_tables import PACKED_BLOCKS, PACKS
from collector.store.packs import PACK_BYTES, PACK_RESULTS, PackWriter
from collector.store.result_reader import Execute, ResultReader

_DAY_US = 86_400_000_000
_BLOCKS_AT_ONCE = 4_096
log = logging.getLogger(__name__)


class _Block(NamedTuple):
    """A row of `result_blocks`, its times in microseconds; `started` as the database has it."""

    number: int
    started: object
    started_us: int
    received_us: int
    stored_us: int
    first_seq: int
    epoch_id: int
    results: int
    dictionary_id: int
    kind: str
    body: bytes


class GoneError(Exception):
    """Blocks that were to be packed are not there any more."""


class MadePack(NamedTuple):
    """A pack, and the blocks that are in it."""

    blocks: tuple[_Block, ...]
    content: bytes


class Portion(NamedTuple):
    """What one transaction moves.

    `after`: the number of the last block that was read; 0 where nothing was left. `results`: how
    many were read, those of damaged blocks too, which stay where they are.
    """

    packs: Sequence[MadePack]
    after: int
    results: int


class Repacker:
    """Packs the results of one store. For one thread at a time."""

    def __init__(self, reader: ResultReader) -> None:
        self._reader = reader
        self._writer = PackWriter()

    def read(self, execute: Execute, after: int, before: object, most: int) -> Portion:
        """Make packs of the blocks that come next after a number.

        Args:
            execute: runs a query.
            after: blocks with a higher number.
            before: blocks stored before this, as the database compares it.
            most: about so many results at most.
        """
        where = "FROM result_blocks WHERE number > ? AND stored_at < ?"
        heads = execute(
            f"SELECT number, results {where} ORDER BY number LIMIT ?",
            (after, before, min(most, _BLOCKS_AT_ONCE)),
        )
        last, results = _portion(heads, most)
        if not results:
            return Portion((), 0, 0)
        rows = execute(
            "SELECT number, started_at, received_at, stored_at, first_seq, epoch_id, results, "
            f"dictionary_id, kind, body {where} AND number <= ? ORDER BY number",
            (after, before, last),
        )
        groups = list(_groups(self._unpacked(execute, rows)))
        more = len(heads) > len(rows) or len(heads) == _BLOCKS_AT_ONCE
        if more and len(groups) > 1:
            # The next portion goes on with the last one, so that no pack is small without need.
            blocks, bodies = groups.pop()
            last, results = blocks[0].number - 1, results - len(bodies)
        packs = [MadePack(tuple(blocks), self._writer.pack(bodies)) for blocks, bodies in groups]
        return Portion(packs, last, results)

    def _unpacked(
        self, execute: Execute, rows: Sequence[Row]
    ) -> Iterator[tuple[_Block, list[bytes]]]:
        """The blocks that can be read, with their bodies."""
        for row in rows:
            block = _block(row)
            try:
                args = execute, block.dictionary_id, block.body, block.results
                yield block, self._reader.bodies(*args)
            except DamagedBlockError as error:
                log.error("block %d is damaged, not packed: %s", block.number, error)  # noqa: TRY400


def _groups(
    unpacked: Iterator[tuple[_Block, list[bytes]]],
) -> Iterator[tuple[list[_Block], list[bytes]]]:
    """The blocks and bodies of each pack."""
    blocks: list[_Block] = []
    bodies: list[bytes] = []
    size = 0
    for block, found in unpacked:
        size += sum(map(len, found))
        if blocks and not _continues(blocks[-1], block, len(bodies) + len(found), size):
            yield blocks, bodies
            blocks, bodies, size = [], [], sum(map(len, found))
        blocks.append(block)
        bodies += found
    if blocks:
        yield blocks, bodies


def move(transaction: Transaction, packs: Sequence[MadePack], dictionary_id: int) -> None:
    """Replace blocks by packs.

    Raises:
        GoneError: some are not there any more; nothing must be committed.
    """
    transaction.insert(
        PACKS,
        [
            (
                pack.blocks[0].number,
                pack.blocks[0].started_us,
                sum(block.results for block in pack.blocks),
                dictionary_id,
                pack.content,
            )
            for pack in packs
        ],
    )
    transaction.insert(PACKED_BLOCKS, [_packed(block) for pack in packs for block in pack.blocks])
    for pack in packs:
        _delete(transaction, pack.blocks)


def _delete(transaction: Transaction, blocks: Sequence[_Block]) -> None:
    # The times let PostgreSQL look in one part only.
    starts = sorted((block.started_us, place) for place, block in enumerate(blocks))
    first, last = (blocks[place].started for _, place in (starts[0], starts[-1]))
    deleted = transaction.execute(
        "DELETE FROM result_blocks WHERE number BETWEEN ? AND ? AND started_at BETWEEN ? AND ? "
        "RETURNING number",
        (blocks[0].number, blocks[-1].number, first, last),
    )
    if len(deleted) != len(blocks):
        raise GoneError(f"blocks {blocks[0].number} to {blocks[-1].number}")


def _portion(heads: Sequence[Row], most: int) -> tuple[int, int]:
    """The last number of so many results, at least of one block, and how many there are."""
    last, results = 0, 0
    for number, count in heads:
        if results and results + count > most:
            break
        last, results = number, results + count
    return last, results


def _block(row: Row) -> _Block:
    number, started, received, stored, first_seq, epoch_id, results, by, kind, body = row
    return _Block(
        number,
        started,
        _microseconds(started),
        _microseconds(received),
        _microseconds(stored),
        first_seq,
        epoch_id,
        results,
        by,
        kind,
        bytes(body),
    )


def _microseconds(cell: int | datetime) -> int:
    return cell if isinstance(cell, int) else microseconds(cell)


def _packed(block: _Block) -> tuple[object, ...]:
    return (
        block.number,
        block.started_us,
        block.received_us,
        block.stored_us,
        block.first_seq,
        block.epoch_id,
        block.results,
        block.kind,
    )


def _continues(last: _Block, block: _Block, results: int, size: int) -> bool:
    return (
        block.number == last.number + last.results
        and block.started_us // _DAY_US == last.started_us // _DAY_US
        and results <= PACK_RESULTS
        and size <= PACK_BYTES
    )
