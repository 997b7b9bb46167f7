"""Floor 2. Writes results: a compressed block of bodies for each run, and a row of facts for each.

The numbers of epochs and dimensions are cached. What a transaction added to the caches is only true
once it is committed: the store calls `forget` when one was not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import NamedTuple, TypeVar

from collector.store.batch import Batch, ResultRow, microseconds
from collector.store.bodies import BLOCK_BYTES, BLOCK_RESULTS, BodyCompressor, packaged_dictionary
from collector.store.database import Row, Transaction
from collector.store.kind_tables import KindRow, KindTable, kind_tables
from collector.store.migrated_tables import BLOCKS, EPOCHS
from wire.result import Result

_DAY_US = 86_400_000_000
_CACHED = 50_000
# Parameters of one statement: SQLite takes 32,766.
_AT_ONCE = 5_000
_EpochName = tuple[str, str, str]
# Month, digest.
_DimensionKey = tuple[int, bytes]


class NumberedRow(NamedTuple):
    """A result that is to be stored, with its number and its place in its block."""

    number: int
    place: int
    row: ResultRow
    result: Result
    started_us: int


class ResultWriter:
    """Writes the results of one store. For one thread at a time."""

    def __init__(self) -> None:
        self._compressor = BodyCompressor()
        self._dictionary_id: int | None = None
        self._epochs: dict[_EpochName, int] = {}
        self._dimensions: dict[str, dict[_DimensionKey, int]] = {}

    def forget(self) -> None:
        """Empty the caches, after a transaction that may not have been committed."""
        self._dictionary_id = None
        self._epochs.clear()
        self._dimensions.clear()

    def write(
        self,
        transaction: Transaction,
        batch: Batch,
        places: Sequence[int],
        count: Callable[[Transaction, str, int], int],
    ) -> list[NumberedRow]:
        """Write the results at these indices of the batch.

        Args:
            transaction: the one that stores the batch.
            batch: the batch.
            places: the indices of new results, ascending.
            count: adds to a counter of the store and returns its new value.

        Returns:
            The results with their numbers.
        """
        if not places:
            return []
        first = count(transaction, "number", len(places)) - len(places) + 1
        numbered = [
            NumberedRow(
                number,
                0,
                batch.results[index],
                batch.decoded[index],
                microseconds(batch.decoded[index].started_at),
            )
            for number, index in enumerate(places, start=first)
        ]
        month = batch.stored_at.year * 12 + batch.stored_at.month
        return self.write_numbered(transaction, numbered, month, count)

    def write_numbered(
        self,
        transaction: Transaction,
        results: Sequence[NumberedRow],
        month: int,
        count: Callable[[Transaction, str, int], int],
    ) -> list[NumberedRow]:
        """Write results that have their numbers, ascending; returns them with their places.

        `month` is that of the dimensions: of the latest storage.
        """
        blocks = list(_blocks(results))
        epochs = self._epoch_ids(transaction, {_epoch(block[0].row) for block in blocks}, count)
        dictionary_id = self._dictionary(transaction)
        times = {row.received_at for row in (block[0].row for block in blocks)}
        times |= {block[0].row.stored_at for block in blocks}
        instants = {text: microseconds(datetime.fromisoformat(text)) for text in times}
        transaction.insert(
            BLOCKS,
            [
                (
                    block[0].number,
                    block[0].started_us,
                    instants[block[0].row.received_at],
                    instants[block[0].row.stored_at],
                    block[0].row.seq,
                    epochs[_epoch(block[0].row)],
                    len(block),
                    dictionary_id,
                    block[0].row.kind,
                    self._compressor.compress([one.row.body.encode() for one in block]),
                )
                for block in blocks
            ],
        )
        every = [one for block in blocks for one in block]
        self.write_facts(transaction, every, month, count)
        return every

    def epoch_id(self, name: _EpochName) -> int:
        """The number of an epoch of which a result has just been written."""
        return self._epochs[name]

    def write_facts(
        self,
        transaction: Transaction,
        results: Iterable[NumberedRow],
        month: int,
        count: Callable[[Transaction, str, int], int],
    ) -> None:
        """Write the rows of results in their kinds' tables; `month` is that of the dimensions."""
        by_kind: dict[str, list[tuple[NumberedRow, KindRow]]] = {}
        tables = kind_tables()
        for one in results:
            kind = one.row.kind
            by_kind.setdefault(kind, []).append((one, tables[kind].row(one.row, one.result)))
        for kind, rows in by_kind.items():
            table = tables[kind]
            ids = self._dimension_ids(transaction, table, month, [row for _, row in rows], count)
            transaction.insert(
                table.facts,
                [
                    (one.number, one.started_us, ids[row.digest], one.place, *row.facts)
                    for one, row in rows
                ],
            )

    def _dictionary(self, transaction: Transaction) -> int:
        if self._dictionary_id is None:
            content = packaged_dictionary()
            rows = transaction.execute("SELECT dictionary_id, content FROM dictionaries")
            known = {bytes(stored): number for number, stored in rows}
            if content not in known:
                known[content] = len(known) + 1
                transaction.execute(
                    "INSERT INTO dictionaries VALUES (?, ?)", (known[content], content)
                )
            self._dictionary_id = known[content]
        return self._dictionary_id

    def _epoch_ids(
        self,
        transaction: Transaction,
        wanted: set[_EpochName],
        count: Callable[[Transaction, str, int], int],
    ) -> dict[_EpochName, int]:
        missing = sorted(wanted - self._epochs.keys())
        found = {name: self._epochs[name] for name in wanted if name in self._epochs}
        for some in _portions(missing):
            marks = ", ".join(["(?, ?, ?)"] * len(some))
            rows = transaction.execute(
                f"WITH wanted (tenant, probe, epoch) AS (VALUES {marks}) "
                "SELECT tenant, probe, epoch, epoch_id FROM wanted "
                "JOIN epochs USING (tenant, probe, epoch)",
                [cell for name in some for cell in name],
            )
            found |= {(tenant, probe, epoch): number for tenant, probe, epoch, number in rows}
        new = [name for name in missing if name not in found]
        if new:
            first = count(transaction, "epoch_id", len(new)) - len(new) + 1
            found |= {name: number for number, name in enumerate(new, start=first)}
            transaction.insert(EPOCHS, [(found[name], *name) for name in new])
        _cache(self._epochs, found)
        return found

    def _dimension_ids(
        self,
        transaction: Transaction,
        table: KindTable,
        month: int,
        rows: Sequence[KindRow],
        count: Callable[[Transaction, str, int], int],
    ) -> dict[bytes, int]:
        cached = self._dimensions.setdefault(table.kind, {})
        wanted = {row.digest: row for row in rows}
        found = {digest: cached[month, digest] for digest in wanted if (month, digest) in cached}
        missing = [digest for digest in wanted if digest not in found]
        for some in _portions(missing):
            known = transaction.execute(
                f"SELECT digest, dimension_id FROM {table.dimensions.name} "
                f"WHERE month = ? AND digest IN ({', '.join('?' * len(some))})",
                (month, *some),
            )
            found |= {bytes(digest): number for digest, number in known}
        new = [digest for digest in missing if digest not in found]
        if new:
            first = count(transaction, "dimension_id", len(new)) - len(new) + 1
            found |= {digest: number for number, digest in enumerate(new, start=first)}
            transaction.insert(
                table.dimensions,
                [(found[digest], month, digest, *wanted[digest].dimensions) for digest in new],
            )
        _cache(cached, {(month, digest): number for digest, number in found.items()})
        return found


def _blocks(results: Sequence[NumberedRow]) -> Iterable[list[NumberedRow]]:
    """The results divided into blocks."""
    block: list[NumberedRow] = []
    size = 0
    for one in results:
        size += len(one.row.body)
        if block and not _continues(block, one, size):
            yield block
            block, size = [], len(one.row.body)
        block.append(one._replace(place=len(block)))
    yield block


def _continues(block: list[NumberedRow], one: NumberedRow, size: int) -> bool:
    last, row = block[-1], one.row
    return (
        one.number == last.number + 1
        and row.seq == last.row.seq + 1
        and row.kind == last.row.kind
        and _epoch(row) == _epoch(last.row)
        and row.received_at == last.row.received_at
        and row.stored_at == last.row.stored_at
        and one.started_us // _DAY_US == last.started_us // _DAY_US
        and len(block) < BLOCK_RESULTS
        and size < BLOCK_BYTES
    )


def _epoch(row: ResultRow) -> _EpochName:
    return row.tenant, row.probe, row.epoch


def _portions(every: Sequence[Row | bytes]) -> Iterable[Sequence[Row | bytes]]:
    return (every[at : at + _AT_ONCE] for at in range(0, len(every), _AT_ONCE))


_K = TypeVar("_K")


def _cache(cached: dict[_K, int], found: dict[_K, int]) -> None:
    if len(cached) + len(found) > _CACHED:
        cached.clear()
    cached.update(found)
