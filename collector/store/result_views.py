"""Floor 1. SQL of the views by which users read results: `results` and `latency_results` and so on.

They have the columns of the tables of these names before 0.2.0, save `results.body`: SQL cannot
decompress it. The API has it (`GET /api/results`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterator, Mapping, Sequence
from typing import NamedTuple

from collector.store.kind_tables import KindTable, kind_tables

_RESULT_COLUMNS = (
    "number, tenant, probe, epoch, seq, kind, line, target, outcome, reason, started_at, "
    "received_at, stored_at"
)

_BLOCKS = ("result_blocks", "packed_blocks")


class Dialect(NamedTuple):
    """What differs between databases. All are functions from SQL to SQL.

    `time` makes a time of an INSTANT; `same_day` is `Database.same_day`; `null` is a NULL of the
    type of a column.
    """

    time: Callable[[str], str]
    same_day: Callable[[str, str], str]
    null: Callable[[KindTable, str], str]


def views(tables: Mapping[str, Collection[str]], dialect: Dialect) -> Iterator[tuple[str, str]]:
    """The name and the query of each view.

    Args:
        tables: the columns of each table, and of each view that there is: PostgreSQL replaces one
            only by one that begins with the same columns.
        dialect: of the database.
    """
    kinds = kind_tables().values()
    for kind in kinds:
        before = [name for name in tables.get(f"{kind.kind}_results", ()) if name in kind.types]
        names = [*before, *(name for name in kind.columns if name not in before)]
        query = _kind(kind, names, dialect)
        old = tables.get(f"old_{kind.kind}_results")
        if old is not None:
            columns = ", ".join(
                name if name in old else f"{dialect.null(kind, name)} AS {name}" for name in names
            )
            query = f"SELECT {columns} FROM old_{kind.kind}_results UNION ALL {query}"
        yield f"{kind.kind}_results", query
    every = [_results(kind, blocks, dialect) for kind in kinds for blocks in _BLOCKS]
    if "old_results" in tables:
        every.insert(0, f"SELECT {_RESULT_COLUMNS} FROM old_results")
    yield "results", " UNION ALL ".join(every)


def _kind(kind: KindTable, names: Sequence[str], dialect: Dialect) -> str:
    in_facts = {column.name for column in kind.facts.columns}
    columns = ", ".join(_column(name, in_facts, dialect) for name in names)
    return f"SELECT {columns} {_joined(kind)}"


def _column(name: str, in_facts: Container[str], dialect: Dialect) -> str:
    if name == "started_at":
        return f"{dialect.time('f.started_at')} AS started_at"
    return f"f.{name}" if name in in_facts else f"d.{name}"


def _results(kind: KindTable, blocks: str, dialect: Dialect) -> str:
    return (
        "SELECT f.number, d.tenant, d.probe, e.epoch, b.first_seq + f.place AS seq, "
        f"b.kind, d.line, d.target, d.outcome, d.reason, {dialect.time('f.started_at')} AS "
        f"started_at, {dialect.time('b.received_at')} AS received_at, "
        f"{dialect.time('b.stored_at')} AS stored_at {_joined(kind)} "
        f"JOIN {blocks} AS b ON b.number = f.number - f.place AND "
        f"{dialect.same_day('b.started_at', 'f.started_at')} "
        "JOIN epochs AS e ON e.epoch_id = b.epoch_id"
    )


def _joined(kind: KindTable) -> str:
    return (
        f"FROM {kind.facts.name} AS f "
        f"JOIN {kind.dimensions.name} AS d ON d.dimension_id = f.dimension_id"
    )
