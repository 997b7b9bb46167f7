"""Floor 2. Reads the results of one probe and time, epoch by epoch, in the order of their numbers.

By the index of each epoch's blocks, so that other probes' results are not read. What moves from the
old table to blocks or from blocks to packs meanwhile is found twice and returned once.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import NamedTuple
from uuid import UUID

from msgspec import DecodeError, Struct, json

from collector.store import columns
from collector.store.database import Database, Row
from collector.store.records import StoredResult
from collector.store.result_reader import (
    BLOCK_COLUMNS,
    OLD_COLUMNS,
    PACK_OF_BLOCK,
    PACKED_COLUMNS,
    ResultReader,
)

# Numbers of an epoch that are read at a time.
_NUMBERS = 2_000


class _Started(Struct):
    started_at: datetime


_decode_started = json.Decoder(_Started).decode


class _Search(NamedTuple):
    """An epoch and the days whose blocks may have a result of the time; `values` are of `where`."""

    database: Database
    reader: ResultReader
    where: str
    values: tuple[object, ...]
    old_values: tuple[object, ...]


def results_of(
    database: Database,
    reader: ResultReader,
    probe: tuple[str, str],
    begin: datetime,
    end: datetime,
) -> Iterator[StoredResult]:
    """The results of a probe (tenant, name) that began from `begin` to before `end` (UTC).

    Epochs in the order of their text, results ascending. Some thousand are in memory at a time.
    """
    midnight = partial(datetime.replace, hour=0, minute=0, second=0, microsecond=0)
    # A block has results of one UTC day, and the time of the first.
    days = midnight(begin.astimezone(UTC)), midnight(end.astimezone(UTC)) + timedelta(days=1)
    for epoch in _epochs(database, probe):
        name = (*probe, str(epoch))
        search = _Search(
            database,
            reader,
            "e.tenant = ? AND e.probe = ? AND e.epoch = ? "
            "AND b.started_at >= ? AND b.started_at < ?",
            (*name, *(database.instant(day) for day in days)),
            name,
        )
        for result in _of_epoch(search):
            if begin <= _started_at(result) < end:
                yield result


def _epochs(database: Database, probe: tuple[str, str]) -> list[UUID]:
    rows = database.read("SELECT epoch FROM ledgers WHERE tenant = ? AND probe = ?", probe)
    return sorted((UUID(row[0]) for row in rows), key=str)


def _of_epoch(search: _Search) -> Iterator[StoredResult]:
    bounds = [row for row in _bounds(search) if row[0] is not None]
    if not bounds:
        return
    last = max(row[1] for row in bounds)
    for first in range(min(row[0] for row in bounds), last + 1, _NUMBERS):
        found = _between(search, first, min(first + _NUMBERS - 1, last))
        yield from (found[seq] for seq in sorted(found))


def _bounds(search: _Search) -> Iterator[Row]:
    """The first and last number of each table's results of these days."""
    read = search.database.read
    yield from read(
        "SELECT min(seq), max(seq) FROM old_results WHERE tenant = ? AND probe = ? AND epoch = ?",
        search.old_values,
    )
    for table in ("result_blocks", "packed_blocks"):
        yield from read(
            f"SELECT min(b.first_seq), max(b.first_seq) FROM epochs AS e JOIN {table} AS b "
            f"USING (epoch_id) WHERE {search.where}",
            search.values,
        )


def _between(search: _Search, first: int, last: int) -> dict[int, StoredResult]:
    """The results of old rows and blocks whose (first) number is in this range, by number."""
    read, reader = search.database.read, search.reader
    old = read(
        f"SELECT {OLD_COLUMNS} FROM old_results "
        "WHERE tenant = ? AND probe = ? AND epoch = ? AND seq BETWEEN ? AND ?",
        (*search.old_values, first, last),
    )
    found = [columns.result(row) for row in old]
    values = (*search.values, first, last)
    for row in read(
        f"SELECT {BLOCK_COLUMNS} FROM epochs AS e JOIN result_blocks AS b USING (epoch_id) "
        f"WHERE {search.where} AND b.first_seq BETWEEN ? AND ?",
        values,
    ):
        found += reader.block(read, row)
    found += [result for _, result in reader.packed(read, _packed_rows(search, values))]
    return {result.seq: result for result in found}


def _packed_rows(search: _Search, values: tuple[object, ...]) -> list[Row]:
    """The rows of packed results, as `ResultReader.packed` takes them."""
    same_day = search.database.same_day("p.started_at", "b.started_at")
    blocks = search.database.read(
        f"SELECT p.number, p.started_at, {PACKED_COLUMNS} FROM epochs AS e "
        "JOIN packed_blocks AS b USING (epoch_id) "
        f"JOIN result_packs AS p ON {PACK_OF_BLOCK} AND {same_day} "
        f"WHERE {search.where} AND b.first_seq BETWEEN ? AND ? ORDER BY b.number",
        values,
    )
    return [(None, None, place, *row) for row in blocks for place in range(row[-1])]


def _started_at(result: StoredResult) -> datetime:
    try:
        return _decode_started(result.body).started_at
    except DecodeError:
        return datetime.min.replace(tzinfo=UTC)
