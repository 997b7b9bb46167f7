"""A table a kind, made from the types: every scalar is a column, and old stores get new ones."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import msgspec
import pytest
from msgspec import inspect

from collector.store.database import ColumnType
from collector.store.kind_tables import KindTable, kind_tables
from collector.store.sqlite import SqliteStore
from tests import samples
from wire.result import KINDS, Outcome, Reason, Result, Validity, encode_result


def row_of(result: Result) -> dict[str, object]:
    table = kind_tables()[result.kind]
    cells = table.cells("t", "p", result, encode_result(result))
    return dict(zip(table.columns, cells, strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_table_whose_columns_are_apart(kind: str) -> None:
    table = kind_tables()[kind]
    assert (table.facts.name, table.dimensions.name) == (f"{kind}_facts", f"{kind}_dimensions")
    names = {column.name for column in (*table.facts.columns, *table.dimensions.columns)}
    assert set(table.columns) <= names
    assert len(set(table.columns)) == len(table.columns)
    assert all(name.isidentifier() and name.islower() for name in table.columns)


@pytest.mark.parametrize("kind", KINDS)
def test_every_headline_figure_is_a_column(kind: str) -> None:
    (values,) = (f.type for f in msgspec.structs.fields(KINDS[kind]) if f.name == "values")
    headline = {name for option in values.__args__ for name in getattr(option, "headline", ())}
    assert headline
    assert headline <= set(kind_tables()[kind].columns)


def test_a_result_is_a_row() -> None:
    result = samples.throughput(validity=[Validity.SHORT, Validity.CROSS_TRAFFIC])
    row = row_of(result)
    assert result.values is not None
    assert row["isp"] == "VNPT"
    assert row["validity"] == "cross_traffic short"
    assert row["download_whole_bps"] == result.values.download_whole_bps
    # The same figure stands in the part; it is told once.
    assert result.values.download is not None
    assert row["download_retransmits"] == result.values.download.retransmits
    assert row["download_steady_bps"] == result.values.download.steady_bps
    assert "download_intervals" not in row
    assert row["download_complete"] is True


def test_a_failure_has_no_figures() -> None:
    row = row_of(samples.throughput(outcome=Outcome.FAILED, reason=Reason.TIMEOUT))
    assert (row["outcome"], row["reason"]) == ("failed", "timeout")
    assert row["download_bps"] is None
    assert row["download_retransmits"] is None


def test_what_no_column_can_hold_is_replaced() -> None:
    result = samples.latency()
    assert result.values is not None
    values = msgspec.structs.replace(result.values, address="a\0b")
    row = row_of(msgspec.structs.replace(result, values=values))
    assert row["address"] == "a\ufffdb"


def test_every_whole_number_has_room_in_its_column() -> None:
    """What the contract allows must be storable: 64 bits, signed."""

    def bounds(info: inspect.Type) -> list[int | float | None]:
        match info:
            case inspect.IntType(le=most, lt=below):
                return [most if most is not None else below]
            case inspect.UnionType(types=types):
                return [bound for option in types for bound in bounds(option)]
            case inspect.StructType(fields=fields):
                return [bound for field in fields for bound in bounds(field.type)]
        return []

    found = {
        kind: bounds(inspect.type_info(field.type))
        for kind, result_type in KINDS.items()
        for field in msgspec.structs.fields(result_type)
        if field.name == "values"
    }
    assert found.keys() == KINDS.keys()
    assert found["latency"], "sent and lost are whole numbers"
    for kind, of_kind in found.items():
        assert all(bound is not None and bound < 2**63 for bound in of_kind), kind


class OldValues(msgspec.Struct, frozen=True, kw_only=True):
    """What kind `latency` had once."""

    rtt_p50_ms: float | None


class OldResult(Result, frozen=True, kw_only=True, tag="latency"):
    """A result of then."""

    values: OldValues | None


def test_a_field_that_is_added_becomes_a_column(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    SqliteStore(path).close()
    old = KindTable("latency", OldResult)
    with sqlite3.connect(path) as connection:
        connection.execute("DROP VIEW latency_results")
        connection.execute("DROP VIEW results")
        for table in (old.facts, old.dimensions):
            connection.execute(f"DROP TABLE {table.name}")
            names = ", ".join(f"{column.name} {_WORDS[column.type]}" for column in table.columns)
            connection.execute(
                f"CREATE TABLE {table.name} ({names}, PRIMARY KEY ({table.key[0]})) STRICT"
            )
    connection.close()
    for _ in range(2):
        SqliteStore(path).close()
        with sqlite3.connect(path) as connection:
            columns = {row[1] for row in connection.execute("PRAGMA table_info(latency_results)")}
        connection.close()
        assert columns == set(kind_tables()["latency"].columns)


_WORDS = {
    ColumnType.SMALL: "INTEGER",
    ColumnType.INTEGER: "INTEGER",
    ColumnType.REAL: "REAL",
    ColumnType.TEXT: "TEXT",
    ColumnType.TIME: "TEXT",
    ColumnType.BYTES: "BLOB",
    ColumnType.INSTANT: "INTEGER",
    ColumnType.ID: "INTEGER",
}
