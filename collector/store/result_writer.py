"""Floor 2. Writes results: a compressed block of bodies for each run, and a row of facts for each.

The numbers of epochs and dimensions are cached. What a transaction added to the caches is only true
once it is committed: the store calls `forget` when one was not.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from operator import itemgetter
from sys import intern
from typing import NamedTuple, TypeVar

from collector.store.batch import Batch, ResultRow, Span, microseconds
from collector.store.bodies import BLOCK_BYTES, BLOCK_RESULTS, BodyCompressor, packaged_dictionary
from collector.store.database import Row, Transaction
from collector.store.kind_tables import KindRow, KindTable, kind_tables
from collector.store.migrated_tables import BLOCKS, EPOCHS
from collector.store.rollup_tables import ProbeResults
from wire.result import Result

_DAY_US = 86_400_000_000
_CACHED = 50_000
# Parameters of one statement: SQLite takes 32,766.
_AT_ONCE = 5_000
_EpochName = tuple[str, str, str]
# Month, digest.
_DimensionKey = tuple[int, bytes]
_Cells = tuple[object, ...]
Count = Callable[..., int]
_K = TypeVar("_K")
_T = TypeVar("_T")


class NumberedRow(NamedTuple):
    """A result that is stored as a row and is to be in a block, with its number."""

    number: int
    row: ResultRow
    result: Result


class Block(NamedTuple):
    """Results that are stored together: of one message, kind and UTC day, numbered on.

    `epoch` is its tenant, probe and epoch; times are microseconds since 1970.
    """

    number: int
    epoch: _EpochName
    kind: str
    first_seq: int
    received_us: int
    stored_us: int
    started_us: Sequence[int]
    results: Sequence[Result]
    bodies: Sequence[bytes]

    @property
    def of_probe(self) -> ProbeResults:
        """Its results and their probe."""
        return ProbeResults(self.epoch[0], self.epoch[1], self.results, self.started_us)


class StoredPlaces:
    """Where the results of a batch have been stored."""

    def __init__(self, blocks: Iterable[Block]) -> None:
        self._blocks: dict[_EpochName, list[tuple[int, int, int]]] = {}
        for block in blocks:
            of_epoch = self._blocks.setdefault(block.epoch, [])
            of_epoch.append((block.first_seq, len(block.results), block.number))
        for of_epoch in self._blocks.values():
            of_epoch.sort()

    def find(self, epoch: _EpochName, seq: int) -> tuple[int, int] | None:
        """The number and the place in its block of a result; None: it is not one of these."""
        blocks = self._blocks.get(epoch)
        if blocks is None:
            return None
        # Nearly always one: a message's.
        at = 0 if len(blocks) == 1 else bisect_right(blocks, seq, key=itemgetter(0)) - 1
        first, count, number = blocks[at]
        return (number + seq - first, seq - first) if 0 <= seq - first < count else None


class ResultWriter:
    """Writes the results of one store. For one thread at a time."""

    def __init__(self) -> None:
        self._compressor = BodyCompressor()
        self._dictionary_id: int | None = None
        self._epochs: dict[_EpochName, int] = {}
        self._dimensions: dict[str, dict[_DimensionKey, int]] = {}
        # The same of plain results, by kind, month, tenant and probe.
        self._plain: dict[tuple[str, int, str, str], dict[_Cells, int]] = {}
        self._plain_cached = 0

    def forget(self) -> None:
        """Empty the caches, after a transaction that may not have been committed."""
        self._dictionary_id = None
        self._epochs.clear()
        self._dimensions.clear()
        self._forget_plain()

    def _forget_plain(self) -> None:
        self._plain.clear()
        self._plain_cached = 0

    def write(
        self, transaction: Transaction, batch: Batch, spans: Sequence[Span], count: Count
    ) -> list[Block]:
        """Write the results in these spans of the batch.

        Args:
            transaction: the one that stores the batch.
            batch: the batch.
            spans: its new results.
            count: adds to a counter of the store and returns its new value.

        Returns:
            The blocks in which they are.
        """
        new = sum(len(span.records) for span in spans)
        if not new:
            return []
        number = count(transaction, "number", new, "results") - new + 1
        stored_us = microseconds(batch.stored_at)
        blocks: list[Block] = []
        for span in spans:
            blocks += _blocks_of(number, span, stored_us)
            number += len(span.records)
        month = batch.stored_at.year * 12 + batch.stored_at.month
        self.write_blocks(transaction, blocks, month, count)
        return blocks

    def write_blocks(
        self, transaction: Transaction, blocks: Sequence[Block], month: int, count: Count
    ) -> None:
        """Write blocks of results; `month` is that of the dimensions: of the latest storage."""
        epochs = self._epoch_ids(transaction, {block.epoch for block in blocks}, count)
        dictionary_id = self.dictionary(transaction)
        compress = self._compressor.compress
        transaction.insert(
            BLOCKS,
            [
                (
                    block.number,
                    block.started_us[0],
                    block.received_us,
                    block.stored_us,
                    block.first_seq,
                    epochs[block.epoch],
                    len(block.results),
                    dictionary_id,
                    block.kind,
                    compress(block.bodies),
                )
                for block in blocks
            ],
        )
        self.write_facts(transaction, blocks, month, count)

    def epoch_id(self, name: _EpochName) -> int:
        """The number of an epoch of which a result has just been written."""
        return self._epochs[name]

    def write_facts(
        self, transaction: Transaction, blocks: Iterable[Block], month: int, count: Count
    ) -> None:
        """Write the rows of results in their kinds' tables; `month` is that of the dimensions."""
        by_kind: dict[str, list[Block]] = {}
        for block in blocks:
            by_kind.setdefault(block.kind, []).append(block)
        every = []
        for kind, same in by_kind.items():
            table = kind_tables()[kind]
            facts = _Facts(table)
            for block in same:
                tenant, probe, _ = block.epoch
                of_probe = kind, month, tenant, probe
                facts.add(block, self._plain.setdefault(of_probe, {}) if table.has_plain else {})
            every.append(facts)
        self._add_others(transaction, every, month, count)
        for facts in every:
            transaction.insert(facts.table.facts, facts.rows)

    def _add_others(
        self, transaction: Transaction, every: Sequence[_Facts], month: int, count: Count
    ) -> None:
        """Add the rows whose dimensions are not cached by their cells."""
        made = {facts.table.kind: facts.other_rows() for facts in every if facts.others}
        if not made:
            return
        ids = self._dimension_ids(transaction, made, month, count)
        for facts in every:
            self._plain_cached += facts.add_others(
                made.get(facts.table.kind, ()), ids.get(facts.table.kind, {})
            )
        if self._plain_cached > _CACHED:
            self._forget_plain()

    def dictionary(self, transaction: Transaction) -> int:
        """The number of the packaged dictionary in the store, which has it then."""
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
        self, transaction: Transaction, wanted: set[_EpochName], count: Count
    ) -> dict[_EpochName, int]:
        # Not the difference of the sets, for which Python would look at each cached epoch.
        missing = sorted(name for name in wanted if name not in self._epochs)
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
            transaction.insert_new(EPOCHS, [(found[name], *name) for name in new])
        _cache(self._epochs, found)
        return found

    def _dimension_ids(
        self,
        transaction: Transaction,
        rows: Mapping[str, Sequence[KindRow]],
        month: int,
        count: Count,
    ) -> dict[str, dict[bytes, int]]:
        """The numbers of dimensions by kind and digest; new ones are inserted.

        For all kinds at once: a batch has few results of each other kind than `latency`.
        """
        wanted = {kind: {row.digest: row for row in some} for kind, some in rows.items()}
        found = {kind: self._cached_ids(kind, month, some) for kind, some in wanted.items()}
        missing = [
            (kind, digest)
            for kind, some in wanted.items()
            for digest in some
            if digest not in found[kind]
        ]
        for portion in _portions(missing):
            for kind, digest, number in _read_dimensions(transaction, month, portion):
                found[kind][bytes(digest)] = number
        new = [(kind, digest) for kind, digest in missing if digest not in found[kind]]
        if new:
            first = count(transaction, "dimension_id", len(new)) - len(new) + 1
            inserted: dict[str, list[tuple[object, ...]]] = {}
            for number, (kind, digest) in enumerate(new, start=first):
                found[kind][digest] = number
                row = (number, month, digest, *wanted[kind][digest].dimensions)
                inserted.setdefault(kind, []).append(row)
            for kind, some in inserted.items():
                transaction.insert_new(kind_tables()[kind].dimensions, some)
        for kind, ids in found.items():
            if not kind_tables()[kind].has_plain:  # else it is cached by its cells
                cached = self._dimensions.setdefault(kind, {})
                _cache(cached, {(month, digest): number for digest, number in ids.items()})
        return found

    def _cached_ids(self, kind: str, month: int, digests: Iterable[bytes]) -> dict[bytes, int]:
        cached = self._dimensions.get(kind, {})
        return {digest: cached[month, digest] for digest in digests if (month, digest) in cached}


def _read_dimensions(
    transaction: Transaction, month: int, wanted: Sequence[tuple[str, bytes]]
) -> list[Row]:
    """Kind, digest and number of those dimensions of a month that are stored."""
    by_kind: dict[str, list[bytes]] = {}
    for kind, digest in wanted:
        by_kind.setdefault(kind, []).append(digest)
    return transaction.execute(
        " UNION ALL ".join(
            f"SELECT '{kind}', digest, dimension_id FROM {kind_tables()[kind].dimensions.name} "
            f"WHERE month = ? AND digest IN ({', '.join('?' * len(digests))})"
            for kind, digests in by_kind.items()
        ),
        [value for digests in by_kind.values() for value in (month, *digests)],
    )


class _Other(NamedTuple):
    """A result of a block whose dimensions are not cached by their cells.

    `identity` are the cells by which `cached` will have them, None of one that is not plain: it
    has a flag or no values, or its kind has columns that are converted.
    """

    block: Block
    place: int
    identity: _Cells | None
    cached: dict[_Cells, int]


class _Facts:
    """The rows of facts of one kind, and the results that need more for one."""

    def __init__(self, table: KindTable) -> None:
        self.table = table
        self.rows: list[tuple[object, ...]] = []
        self.others: list[_Other] = []

    def add(self, block: Block, cached: dict[_Cells, int]) -> None:
        """Add the results of a block; `cached` are the dimensions of its probe by their cells."""
        has_plain, cells_of = self.table.has_plain, self.table.plain_cells
        number, times = block.number, block.started_us
        for place, result in enumerate(block.results):
            if not has_plain or result.values is None or result.validity:
                self.others.append(_Other(block, place, None, cached))
                continue
            identity, facts = cells_of(result)
            dimension_id = cached.get(identity)
            if dimension_id is None:
                self.others.append(_Other(block, place, identity, cached))
            else:
                self.rows.append((number + place, times[place], dimension_id, place, *facts))

    def other_rows(self) -> list[KindRow]:
        """The cells of the results that need more."""
        return [
            self.table.row(tenant, probe, block.results[place], block.bodies[place])
            for block, place, *_ in self.others
            for tenant, probe, _ in (block.epoch,)
        ]

    def add_others(self, made: Sequence[KindRow], ids: Mapping[bytes, int]) -> int:
        """Add their rows; returns how many dimensions are cached by their cells now."""
        more = 0
        for (block, place, identity, cached), row in zip(self.others, made, strict=True):
            number, started_us = block.number + place, block.started_us[place]
            dimension_id = ids[row.digest]
            self.rows.append((number, started_us, dimension_id, place, *row.facts))
            if identity is not None and identity not in cached:
                cached[_interned(identity)] = dimension_id
                more += 1
        return more


def _interned(cells: _Cells) -> _Cells:
    """The same cells, whose texts share memory with others."""
    return tuple(
        [
            intern(cell) if type(cell) is str else _interned(cell) if type(cell) is tuple else cell
            for cell in cells
        ]
    )


def _blocks_of(number: int, span: Span, stored_us: int) -> Iterator[Block]:
    """The results of a span in blocks, numbered from `number`."""
    message, key = span.message, span.key
    epoch = key.tenant, key.probe, span.epoch
    received_us = microseconds(message.received_at)
    seqs = [record.seq for record in span.records]
    results = [record.result for record in span.records]
    bodies = [record.body for record in span.records]
    started_us = [microseconds(result.started_at) for result in results]
    for begin, end in _cuts(seqs, started_us, bodies):
        yield Block(
            number + begin, epoch, message.kind, seqs[begin], received_us, stored_us,
            started_us[begin:end], results[begin:end], bodies[begin:end],
        )  # fmt: skip


def _cuts(
    seqs: Sequence[int], started_us: Sequence[int], bodies: Sequence[bytes]
) -> Iterator[tuple[int, int]]:
    """Where blocks begin and end: numbered on, of one UTC day, not too large."""
    begin, size = 0, 0
    for at, body in enumerate(bodies):
        size += len(body)
        if at > begin and (
            seqs[at] != seqs[at - 1] + 1
            or started_us[at] // _DAY_US != started_us[begin] // _DAY_US
            or at - begin >= BLOCK_RESULTS
            or size >= BLOCK_BYTES
        ):
            yield begin, at
            begin, size = at, len(body)
    yield begin, len(bodies)


def blocks_of_rows(results: Sequence[NumberedRow]) -> list[Block]:
    """Blocks of results that have their numbers, ascending."""
    blocks: list[Block] = []
    same: list[NumberedRow] = []
    for one in results:
        if same and not _continues(same[-1], one):
            blocks += _blocks_of_same(same)
            same = []
        same.append(one)
    return [*blocks, *_blocks_of_same(same)]


def _continues(last: NumberedRow, one: NumberedRow) -> bool:
    """Whether two rows may be in one block, but for their day and the block's size."""
    row, before = one.row, last.row
    return (
        one.number == last.number + 1
        and row.kind == before.kind
        and _epoch(row) == _epoch(before)
        and row.received_at == before.received_at
        and row.stored_at == before.stored_at
    )


@lru_cache(4_096)
def _instant(text: str) -> int:
    return microseconds(datetime.fromisoformat(text))


def _blocks_of_same(same: Sequence[NumberedRow]) -> Iterator[Block]:
    first = same[0].row
    seqs = [one.row.seq for one in same]
    results = [one.result for one in same]
    bodies = [one.row.body.encode() for one in same]
    started_us = [microseconds(result.started_at) for result in results]
    received_us, stored_us = (_instant(text) for text in (first.received_at, first.stored_at))
    for begin, end in _cuts(seqs, started_us, bodies):
        yield Block(
            same[begin].number, _epoch(first), first.kind, seqs[begin], received_us, stored_us,
            started_us[begin:end], results[begin:end], bodies[begin:end],
        )  # fmt: skip


def _epoch(row: ResultRow) -> _EpochName:
    return row.tenant, row.probe, row.epoch


def _portions(every: Sequence[_T]) -> Iterable[Sequence[_T]]:
    return (every[at : at + _AT_ONCE] for at in range(0, len(every), _AT_ONCE))


def _cache(cached: dict[_K, int], found: dict[_K, int]) -> None:
    if len(cached) + len(found) > _CACHED:
        cached.clear()
    cached.update(found)
