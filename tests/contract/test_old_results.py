"""Results that a version before the blocks has stored: every reader has them beside new ones."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from collector.store.batch import utc_text
from collector.store.kind_tables import kind_tables
from collector.store.messages import NumberedResult, ResultsMessage
from collector.store.migrate import packaged
from collector.store.postgresql import PostgresqlStore
from collector.store.postgresql_schema import column_type
from collector.store.records import MaintenanceResult
from collector.store.sql_store import SqlStore
from collector.store.sqlite import SqliteStore
from collector.store.store import StoreError
from tests import samples
from tests.postgresql import PostgresqlServer
from wire.record import Result
from wire.result import encode_result

BEFORE_BLOCKS = 6
NOW = datetime(2026, 7, 25, 5, 2, tzinfo=UTC)
OpenStore = Callable[[], SqlStore]


def _insert(seq: int, result: Result) -> list[str]:
    """What version 0.1.0 wrote for a latency result."""
    names = f"'{samples.TENANT}', '{samples.PROBE}'"
    started, stored = utc_text(result.started_at), utc_text(NOW - timedelta(days=1))
    target, body = result.target, encode_result(result).decode()
    return [
        (
            f"INSERT INTO results VALUES ({seq}, {names}, '{samples.EPOCH}', {seq}, 'latency', "
            f"'vnpt', '{target}', 'ok', NULL, '{started}', '{stored}', '{stored}', '{body}')"
        ),
        (
            "INSERT INTO latency_results (number, tenant, probe, line, isp, target, started_at, "
            f"duration_s, outcome, validity, sent) VALUES ({seq}, {names}, 'vnpt', 'VNPT', "
            f"'{target}', '{started}', 60.0, 'ok', '', 60)"
        ),
    ]


def _content() -> list[str]:
    names = f"'{samples.TENANT}', '{samples.PROBE}'"
    started = utc_text(samples.NOON)
    return [
        *_insert(1, samples.latency()),
        *_insert(2, samples.latency(rtt_ms=7.0)),
        "INSERT INTO totals VALUES ('results', 2)",
        f"INSERT INTO ledgers VALUES ({names}, '{samples.EPOCH}', '[[1,2]]', 1, '[[1,2]]')",
        "INSERT INTO last_results (tenant, probe, line, kind, target, family, only_ok, epoch, "  # noqa: ISC004
        f"seq, started_at) VALUES ({names}, 'vnpt', 'latency', '{samples.latency().target}', 0, 0, "
        f"'{samples.EPOCH}', 2, '{started}')",
    ]


@pytest.fixture(params=["sqlite", "postgresql"])
def old_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OpenStore]:
    """Opens a store in which a version before the blocks has stored two results."""
    kind = kind_tables()["latency"]
    columns = ", ".join(
        f"{name} {column_type(kind.types[name]) if request.param == 'postgresql' else ''}"
        for name in kind.columns
    )
    if request.param == "sqlite":
        path = tmp_path / "results.sqlite"
        SqliteStore(path, migrations=packaged("sqlite")[:BEFORE_BLOCKS]).close()
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute(f"CREATE TABLE latency_results ({columns}, PRIMARY KEY (number))")
            for statement in _content():
                connection.execute(statement)
            connection.execute("UPDATE totals SET count = 2 WHERE name = 'number'")
        yield lambda: SqliteStore(path)
        return
    server: PostgresqlServer = request.getfixturevalue("postgresql_server")
    name = server.new_database()
    conninfo = server.conninfo(name)
    PostgresqlStore(conninfo, migrations=packaged("postgresql")[:BEFORE_BLOCKS]).close()
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute(
            f"CREATE TABLE latency_results ({columns}, PRIMARY KEY (number, started_at)) "
            "PARTITION BY RANGE (started_at)".encode()
        )
        connection.execute(
            "CREATE TABLE latency_results_other PARTITION OF latency_results DEFAULT"
        )
        for statement in _content():
            connection.execute(statement.encode())
        connection.execute("INSERT INTO totals VALUES ('number', 2)")
    yield lambda: PostgresqlStore(conninfo)
    server.drop(name)


def _batch(*numbered: tuple[int, Result]) -> ResultsMessage:
    return ResultsMessage(
        tenant=samples.TENANT,
        probe=samples.PROBE,
        received_at=NOW,
        retained=False,
        kind="latency",
        epoch=samples.EPOCH,
        site=samples.SITE,
        records=tuple(
            NumberedResult(seq, result, encode_result(result)) for seq, result in numbered
        ),
    )


def test_every_reader_has_old_and_new_results(old_store: OpenStore) -> None:
    for opening in range(2):
        store = old_store()
        (last,) = store.last_results(samples.TENANT, samples.PROBE)
        assert last.last.number == 2, opening
        assert last.last.body == encode_result(samples.latency(rtt_ms=7.0))
        store.close()
    store = old_store()
    again = (2, samples.latency(rtt_ms=7.0))
    done = store.store_batch([_batch(again, (3, samples.latency(rtt_ms=9.0)))], NOW)
    assert (done.stored, done.duplicates, done.rejected) == (1, 1, 0)
    assert [one.seq for one in store.results_after(0, 10)] == [1, 2, 3]
    assert [one.number for one in store.results_after(1, 1)] == [2]
    assert [one.number for one in store.newest_results(2)] == [2, 3]
    assert [one.number for one in store.newest_results(9)] == [1, 2, 3]
    rows = store.read_sql(
        "SELECT results.number, seq, isp, sent, results.kind, latency_results.started_at "
        "FROM results JOIN latency_results ON latency_results.number = results.number "
        "ORDER BY results.number"
    )
    assert [row[:-1] for row in rows] == [(seq, seq, "VNPT", 60, "latency") for seq in (1, 2, 3)]
    assert len({row[-1] for row in rows}) == 1
    (last,) = store.last_results(samples.TENANT, samples.PROBE)
    assert last.last.number == 3
    store.close()


def test_another_result_under_an_old_number_is_no_repeat(old_store: OpenStore) -> None:
    store = old_store()
    done = store.store_batch([_batch((2, samples.latency(rtt_ms=8.0)))], NOW)
    assert (done.stored, done.duplicates, done.rejected) == (0, 0, 1)
    store.close()


def _answers(store: SqlStore) -> list[object]:
    """What each reader says of the store's results."""
    return [
        store.results_after(0, 10),
        store.results_after(1, 1),
        store.newest_results(2),
        store.last_results(samples.TENANT, samples.PROBE),
        store.read_sql("SELECT * FROM results ORDER BY number"),
        store.read_sql(
            "SELECT number, tenant, probe, line, isp, target, family, started_at, duration_s, "
            "outcome, reason, validity, sent FROM latency_results ORDER BY number"
        ),
    ]


def test_what_is_carried_over_is_the_same_for_every_reader(old_store: OpenStore) -> None:
    store = old_store()
    store.store_batch([_batch((3, samples.latency(rtt_ms=9.0)))], NOW)
    before = _answers(store)
    assert store.carry_over(1) == 1
    assert _answers(store) == before  # in part
    store.close()
    store = old_store()
    assert store.carry_over(10) == 1
    assert store.carry_over(10) == 0
    assert _answers(store) == before
    assert store.read_sql("SELECT count(*) FROM old_results") == [(0,)]
    assert store.read_sql("SELECT count(*) FROM old_latency_results") == [(0,)]
    again = _batch((1, samples.latency()), (2, samples.latency(rtt_ms=8.0)))
    done = store.store_batch([again], NOW)
    assert (done.stored, done.duplicates, done.rejected) == (0, 1, 1)
    store.close()


def test_a_last_result_that_is_carried_over_is_found(old_store: OpenStore) -> None:
    store = old_store()
    before = store.last_results(samples.TENANT, samples.PROBE)
    assert store.carry_over() == 2
    assert store.last_results(samples.TENANT, samples.PROBE) == before
    assert store.read_sql("SELECT number, place FROM last_results") == [(2, 1)]
    store.close()


def test_what_cannot_be_decoded_stays_where_it_is(old_store: OpenStore) -> None:
    store = old_store()
    with store.database.transaction() as session:  # type: ignore[attr-defined]
        session.execute("UPDATE old_results SET body = '{}' WHERE number = 1")
    assert store.carry_over() == 2
    assert store.carry_over() == 0
    assert store.read_sql("SELECT number FROM old_results") == [(1,)]
    assert [one.number for one in store.results_after(0, 10)] == [1, 2]
    store.close()


def test_old_results_go_by_age(old_store: OpenStore) -> None:
    store = old_store()
    while store.maintain(NOW + timedelta(days=100), 90) != MaintenanceResult():
        pass
    assert store.results_after(0, 10) == []
    assert store.read_sql("SELECT number FROM latency_results") == []
    assert store.read_sql("SELECT number FROM results") == []
    store.close()


def test_a_field_in_the_middle_is_added_at_the_end_of_a_view(
    postgresql_server: PostgresqlServer, migrated: str
) -> None:
    """PostgreSQL replaces a view only by one that begins with the same columns."""
    name = postgresql_server.new_database(migrated)
    conninfo = postgresql_server.conninfo(name)
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute("DROP VIEW latency_results")
        connection.execute("ALTER TABLE latency_facts DROP COLUMN rtt_p50_ms")
        connection.execute(
            "CREATE VIEW latency_results AS SELECT number, started_at FROM latency_facts"
        )
    store = PostgresqlStore(conninfo)
    store.store_batch([_batch((1, samples.latency(rtt_ms=7.0)))], NOW)
    assert store.read_sql("SELECT number, rtt_p50_ms FROM latency_results") == [(1, 7.0)]
    store.close()
    postgresql_server.drop(name)


_REFUSAL = {
    SqliteStore: (
        "CREATE TRIGGER refuse BEFORE INSERT ON probes BEGIN SELECT RAISE(ABORT, 'refused'); END",
        "DROP TRIGGER refuse",
    ),
    PostgresqlStore: (
        (
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
            "'BEGIN RAISE EXCEPTION ''refused''; END'; "
            "CREATE TRIGGER refuse BEFORE INSERT ON probes FOR EACH STATEMENT "
            "EXECUTE FUNCTION refuse()"
        ),
        "DROP TRIGGER refuse ON probes",
    ),
}


def test_what_is_carried_over_uses_no_number_of_a_batch_that_was_not_committed(
    old_store: OpenStore,
) -> None:
    store = old_store()
    assert isinstance(store, (SqliteStore, PostgresqlStore))
    refuse, allow = _REFUSAL[type(store)]
    with store.database.transaction() as transaction:
        transaction.execute(refuse)
    # Of the epoch of the old results; its commit fails before anybody waits for it.
    finish = store.begin_batch([_batch((3, samples.latency(rtt_ms=9.0)))], NOW)
    assert store.carry_over() == 2
    with pytest.raises(StoreError):
        finish()
    with store.database.transaction() as transaction:
        transaction.execute(allow)
    assert [one.seq for one in store.results_after(0, 10)] == [1, 2]
    assert store.read_sql("SELECT count(*) FROM latency_results") == [(2,)]
    assert store.store_batch([_batch((3, samples.latency()))], NOW).stored == 1
    assert [one.seq for one in store.results_after(0, 10)] == [1, 2, 3]
    store.close()


def test_a_probe_s_results_of_a_time_have_them_before_and_after_they_are_carried_over(
    old_store: OpenStore,
) -> None:
    store = old_store()
    bodies = [encode_result(samples.latency()), encode_result(samples.latency(rtt_ms=7.0))]

    def found(begin: datetime) -> list[bytes]:
        end = begin + timedelta(minutes=1)
        return [one.body for one in store.results_of(samples.TENANT, samples.PROBE, begin, end)]

    assert found(samples.NOON) == bodies
    assert found(samples.NOON + timedelta(minutes=1)) == []
    while store.maintain(NOW, None) != MaintenanceResult():
        pass
    while store.carry_over():
        pass
    assert found(samples.NOON) == bodies
    store.close()
