"""The schema's steps, on both databases: failed, run again, run twice, and one from the future."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import psycopg
import pytest

from collector.store.migrate import Migration, packaged, split_statements
from collector.store.postgresql import PostgresqlStore
from collector.store.sql_store import SqlStore
from collector.store.sqlite import SqliteStore
from collector.store.store import StoreError
from tests.postgresql import PostgresqlServer

BROKEN = ("CREATE TABLE more (a text)", "INSERT INTO nowhere VALUES (1)")
MENDED = ("CREATE TABLE more (a text)",)


class Place(NamedTuple):
    """An empty database: how to open a store in it, and how to look into it past the store."""

    name: str
    open: Callable[[Sequence[Migration] | None], SqlStore]
    look: Callable[[str], list[tuple[object, ...]]]

    def applied(self) -> list[tuple[object, ...]]:
        return self.look("SELECT number, name FROM migrations ORDER BY number")

    def has_table(self, name: str) -> bool:
        catalogue = "sqlite_master" if self.name == "sqlite" else "pg_class"
        column = "name" if self.name == "sqlite" else "relname"
        return bool(self.look(f"SELECT 1 FROM {catalogue} WHERE {column} = '{name}'"))


def _sqlite(path: Path) -> Place:
    def look(sql: str) -> list[tuple[object, ...]]:
        with closing(sqlite3.connect(path)) as connection:
            return connection.execute(sql).fetchall()

    return Place("sqlite", lambda steps: SqliteStore(path, migrations=steps), look)


def _postgresql(conninfo: str) -> Place:
    def look(sql: str) -> list[tuple[object, ...]]:
        with psycopg.connect(conninfo, autocommit=True) as connection:
            return connection.execute(sql.encode()).fetchall()

    return Place("postgresql", lambda steps: PostgresqlStore(conninfo, migrations=steps), look)


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param == "sqlite":
        yield _sqlite(tmp_path / "results.sqlite")
        return
    server: PostgresqlServer = request.getfixturevalue("postgresql_server")
    name = server.new_database()
    yield _postgresql(server.conninfo(name))
    server.drop(name)


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_packaged_migrations_are_numbered_and_have_statements(database: str) -> None:
    steps = packaged(database)
    assert [step.number for step in steps] == list(range(1, len(steps) + 1))
    assert steps[0].name == "first"
    assert all(step.statements for step in steps)


def test_statements_are_split_at_line_ends() -> None:
    script = "-- a; b\nCREATE TABLE a (\n    -- why;\n    b TEXT\n);\nSELECT ';' AS c;\n"
    assert split_statements(script) == ("CREATE TABLE a (\n    b TEXT\n)", "SELECT ';' AS c")


def test_a_second_run_applies_nothing(place: Place) -> None:
    place.open(None).close()
    first = place.look("SELECT number, name, applied_at FROM migrations ORDER BY number")
    place.open(None).close()
    assert place.look("SELECT number, name, applied_at FROM migrations ORDER BY number") == first
    assert place.applied() == [(step.number, step.name) for step in packaged(place.name)]


def test_a_failed_migration_leaves_nothing_and_runs_again(place: Place) -> None:
    steps = packaged(place.name)
    applied = [(step.number, step.name) for step in steps]
    next_one = len(steps) + 1
    # Twice: a failure has left nothing that stands in its own way.
    for _ in range(2):
        with pytest.raises(StoreError, match="nowhere"):
            place.open([*steps, Migration(next_one, "broken", BROKEN)])
        assert place.applied() == applied
        assert not place.has_table("more")
    place.open([*steps, Migration(next_one, "mended", MENDED)]).close()
    assert place.applied() == [*applied, (next_one, "mended")]
    assert place.has_table("more")


def test_a_first_migration_that_fails_leaves_an_empty_database(place: Place) -> None:
    with pytest.raises(StoreError, match="nowhere"):
        place.open([Migration(1, "broken", BROKEN)])
    assert place.applied() == []
    assert not place.has_table("more")
    place.open(None).close()
    assert place.has_table("results")


def test_a_store_that_stopped_half_way_goes_on_from_there(place: Place) -> None:
    steps = packaged(place.name)
    place.open(steps[:1]).close()
    assert not place.has_table("registry_probes")
    place.open(None).close()
    assert place.applied() == [(step.number, step.name) for step in steps]
    assert place.has_table("registry_probes")


def test_a_newer_store_is_refused_and_left_alone(place: Place) -> None:
    later = Migration(len(packaged(place.name)) + 1, "later", ("CREATE TABLE later (a text)",))
    place.open([*packaged(place.name), later]).close()
    before = place.applied()
    with pytest.raises(StoreError, match="a newer version has written it"):
        place.open(None)
    assert place.applied() == before


def test_last_results_are_the_same_by_the_number_of_their_series(place: Place) -> None:
    """Also of an epoch without blocks, of a series none of which went well, and of the reverse."""
    steps = packaged(place.name)
    before = next(at for at, step in enumerate(steps) if step.name == "series")
    store = place.open(steps[:before])
    columns = "tenant, probe, line, kind, target, family, only_ok, epoch, seq, started_at, number"
    rows = [
        ("'t', 'p', 'a', 'latency', 'x', 4, 0, 'e1', 7, '2026-07-25T05:00:00.250000Z', 3"),
        ("'t', 'p', 'a', 'latency', 'x', 4, 1, 'e2', 5, '1969-12-31T23:59:59.750000Z', NULL"),
        ("'t', 'p', 'b', 'latency', 'x', 0, 0, 'e1', 9, '2026-07-25T05:00:00.000000Z', 4"),
        ("'t', 'p', 'c', 'dns', '', 6, 1, 'e3', 1, '2026-07-25T05:00:00.000000Z', 5"),
    ]
    with store.database.transaction() as session:  # type: ignore[attr-defined]
        session.execute("INSERT INTO epochs VALUES (1, 't', 'p', 'e1')")
        for row in rows:
            session.execute(f"INSERT INTO last_results ({columns}) VALUES ({row})")
    kept = f"SELECT {columns} FROM last_results ORDER BY line, only_ok"
    expected = place.look(kept)
    assert len(expected) == len(rows)
    store.close()
    place.open(None).close()
    assert place.look(kept) == expected
    assert place.look("SELECT name, count FROM totals WHERE name LIKE '%_id' ORDER BY name") == [
        ("epoch_id", 3), ("series_id", 3),
    ]  # fmt: skip
