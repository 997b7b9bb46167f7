"""Floor 2. Carries results that a version before the blocks has stored into blocks.

Each call is in one transaction: whatever ends the program, a result is either in the old tables or
in a block, and the next call goes on after the last one. Numbers stay.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from datetime import datetime

import msgspec

from collector.store import batch_writer, last_results
from collector.store.batch import ResultRow, utc_text
from collector.store.database import Row, Transaction
from collector.store.kind_tables import kind_tables
from collector.store.result_writer import NumberedRow, ResultWriter, blocks_of_rows
from wire.result import decode_result

_MARK = "carried_over"

log = logging.getLogger(__name__)


def carry_over(
    transaction: Transaction, writer: ResultWriter, tables: Collection[str], most: int
) -> int:
    """Carry the oldest results over.

    Args:
        transaction: an open one.
        writer: of the store; to forget its caches if the transaction fails.
        tables: the names of the store's tables.
        most: how many results at most.

    Returns:
        How many were read; 0 when nothing is left. One that this version cannot decode stays where
        it is, until it goes by age.
    """
    done = _mark(transaction, _MARK)
    rows = transaction.execute(
        f"SELECT number, {', '.join(ResultRow._fields)} FROM old_results "
        "WHERE number > ? ORDER BY number LIMIT ?",
        (done, most),
    )
    if not rows:
        return 0
    found = [one for row in rows if (one := _decoded(row)) is not None]
    if found:
        _delete(transaction, found, tables)
        at = datetime.fromisoformat(found[-1].row.stored_at)
        blocks = blocks_of_rows(found)
        writer.write_blocks(transaction, blocks, at.year * 12 + at.month, batch_writer.count)
        last_results.carry_over(transaction, blocks)
    batch_writer.count(transaction, _MARK, rows[-1][0] - done)
    return len(rows)


def _mark(transaction: Transaction, name: str) -> int:
    rows = transaction.execute("SELECT count FROM totals WHERE name = ?", (name,))
    return int(rows[0][0]) if rows else 0


def _decoded(row: Row) -> NumberedRow | None:
    number: int = row[0]
    cells = row[1:]
    if isinstance(cells[-2], datetime):  # PostgreSQL's
        cells = tuple(utc_text(c) if isinstance(c, datetime) else c for c in cells)
    stored = ResultRow._make(cells)
    try:
        result = decode_result(stored.body.encode())
    except msgspec.MsgspecError:
        log.warning("result %d cannot be decoded and stays in old_results", number)
        return None
    return NumberedRow(number, stored, result)


def _delete(
    transaction: Transaction, results: Sequence[NumberedRow], tables: Collection[str]
) -> None:
    ranges = _ranges([one.number for one in results])
    names = {"old_results", *(f"old_{one.row.kind}_results" for one in results)}
    if ranges[0][0] <= _mark(transaction, "backfill_to"):
        # `maintain` has written facts of results from before there were tables of kinds.
        names |= {kind_tables()[one.row.kind].facts.name for one in results}
    for table in sorted(names.intersection(tables)):
        for first, last in ranges:
            transaction.execute(f"DELETE FROM {table} WHERE number BETWEEN ? AND ?", (first, last))


def _ranges(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """The ranges of ascending numbers."""
    found: list[tuple[int, int]] = []
    for number in numbers:
        if found and found[-1][1] == number - 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found
