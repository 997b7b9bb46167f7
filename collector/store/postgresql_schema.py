"""Floor 1. PostgreSQL's SQL for tables, columns and views that are derived from types."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

from collector.store.database import Column, ColumnType, Table
from collector.store.result_views import Dialect
from collector.store.result_views import views as views_of_results
from collector.store.rollup_tables import FIGURES

_TYPES = {
    ColumnType.INTEGER: "bigint",
    ColumnType.SMALL: "smallint",
    ColumnType.REAL: "double precision",
    ColumnType.TEXT: "text",
    ColumnType.BOOLEAN: "boolean",
    ColumnType.TIME: "timestamptz",
    ColumnType.BYTES: "bytea",
    ColumnType.INSTANT: "timestamptz",
    ColumnType.ID: "integer",
}


def column_type(kind: ColumnType) -> str:
    """The name of a column's type."""
    return _TYPES[kind]


def missing(tables: Iterable[Table], known: Mapping[str, Container[str]]) -> Iterator[str]:
    """The statements that create missing tables and columns.

    Args:
        tables: the tables that there shall be.
        known: the columns of each existing table.
    """
    for table in tables:
        if table.name not in known:
            yield from _create_table(table)
            continue
        for column in table.columns:
            if column.name not in known[table.name]:
                yield f"ALTER TABLE {table.name} ADD COLUMN {_column_sql(column)}"


def views(known: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """The statements that create views of the roll-ups by line and time.

    `line_hours` and so on have the figures of a line; `line_family_hours` those of each of its
    address families (NULL where none is stated).

    Args:
        known: the columns of each table in the order that it has them; a view is only replaced by
            one that begins with the same columns.
    """
    for step, table in FIGURES.items():
        types = {column.name: column.type for column in table.columns}
        joined = ", ".join(_joined(name, types[name]) for name in known[table.name])
        yield (
            f"CREATE OR REPLACE VIEW line_{step}s AS SELECT tenant, probe, line, "
            f"to_timestamp(start_s) AS start, {joined} "
            f"FROM {table.name} JOIN lines USING (line_id) "
            "GROUP BY tenant, probe, line, start_s"
        )
        yield (
            f"CREATE OR REPLACE VIEW line_family_{step}s AS SELECT tenant, probe, line, "
            f"nullif(family, 0) AS family, to_timestamp(start_s) AS start, {table.name}.* "
            f"FROM {table.name} JOIN lines USING (line_id)"
        )


def result_views(known: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """The statements that create the views of results."""
    for name, query in views_of_results(known, DIALECT):
        yield f"CREATE OR REPLACE VIEW {name} AS {query}"


def same_day(partition: str, of: str) -> str:
    """`Database.same_day`: bounds that the planner can compare with those of the partitions."""
    day = f"date_trunc('day', {of}, 'UTC')"
    return f"{partition} >= {day} AND {partition} < {day} + interval '1 day'"


DIALECT = Dialect(
    lambda instant: instant,
    same_day,
    lambda kind, name: f"NULL::{_TYPES[kind.types[name]]}",
)


def _joined(name: str, kind: ColumnType) -> str:
    """A column of a line from those of its families."""
    match name:
        case "start_s":
            return name
        case "line_id":
            return f"min({name}) AS {name}"
        case "revision" | "changed_at":
            return f"max({name}) AS {name}"
    # The sum of bigint is numeric.
    return f"sum({name})::{_TYPES[kind]} AS {name}"


def _create_table(table: Table) -> Iterator[str]:
    columns = ", ".join(_column_sql(column) for column in table.columns)
    if table.daily is None:
        yield f"CREATE TABLE {table.name} ({columns}, PRIMARY KEY ({', '.join(table.key)}))"
        for index in table.indexes:
            yield f"CREATE INDEX {table.name}_by_{index[0]} ON {table.name} ({', '.join(index)})"
        return
    # No index by number: an index costs a fifth of what a row takes, and numbers are in the order
    # of the rows, so that a summary of each range of pages (BRIN) finds them.
    yield f"CREATE TABLE {table.name} ({columns}) PARTITION BY RANGE ({table.daily})"
    # A part is a day: with the time in it, each entry is another one and takes five times as much.
    yield f"CREATE INDEX {table.name}_by_line ON {table.name} (dimension_id)"
    yield f"CREATE INDEX {table.name}_by_number ON {table.name} USING brin (number)"
    yield f"CREATE TABLE {table.name}_other PARTITION OF {table.name} DEFAULT"


def _column_sql(column: Column) -> str:
    return f"{column.name} {_TYPES[column.type]}{' NOT NULL' if column.required else ''}"
