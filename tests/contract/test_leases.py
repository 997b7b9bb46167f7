"""Leases of tenants in a real PostgreSQL, and the fence in each transaction that writes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from msgspec import structs
from psycopg.pq import ExecStatus

from collector.ingest.validation import validate
from collector.rollup.periods import Step
from collector.store import leases
from collector.store.lease_table import LeaseFence, LeaseTable, application_name
from collector.store.leases import EVERY_TENANT, MAINTENANCE, LeaseLostError, of_tenant
from collector.store.messages import RejectedMessage, ResultsMessage
from collector.store.postgresql import LeaseDatabase, PostgresqlStore
from collector.store.rollup_tables import BODIES, FIGURE_COLUMNS, FIGURES
from collector.store.store import Store, StoreError
from tests import samples
from tests.client import eventually
from tests.postgresql import PostgresqlServer
from wire.messages import Rejection
from wire.result import Result

NOW = datetime(2026, 8, 3, 1, 0, tzinfo=UTC)
LONG_S, SHORT_S = 300.0, 0.05
NORTH, SOUTH = of_tenant("north"), of_tenant("south")


@pytest.fixture
def conninfo(postgresql_server: PostgresqlServer, migrated: str) -> Iterator[str]:
    name = postgresql_server.new_database(migrated)
    yield postgresql_server.conninfo(name)
    postgresql_server.drop(name)


@pytest.fixture
def table(conninfo: str) -> Iterator[LeaseTable]:
    opened = LeaseTable(LeaseDatabase(conninfo))
    yield opened
    opened.close()


def fenced(conninfo: str, held: Mapping[str, int], holder: str = "one") -> PostgresqlStore:
    store = PostgresqlStore(conninfo, application_name=application_name(holder))
    store.fence = LeaseFence(lambda: held)
    return store


def message(tenant: str, *numbered: tuple[int, Result]) -> ResultsMessage:
    content = samples.envelope(list(numbered))
    checked = validate(
        f"tramdo/v1/{samples.TENANT}/{samples.PROBE}/m/{numbered[0][1].kind}", content, NOW
    )
    assert isinstance(checked, ResultsMessage), checked
    return structs.replace(checked, tenant=tenant)


def latency(tenant: str, seq: int) -> ResultsMessage:
    return message(tenant, (seq, samples.latency(rtt_ms=seq)))


def expired(table: LeaseTable, name: str) -> bool:
    return not {one.name: one for one in table.read()}[name].is_held


def test_a_lease_has_one_holder_until_it_expires_or_is_released(table: LeaseTable) -> None:
    assert table.read() == []
    assert table.take(NORTH, "one", LONG_S) == 1
    assert table.take(NORTH, "two", LONG_S) is None
    assert table.take(SOUTH, "two", SHORT_S) == 1
    eventually(lambda: expired(table, SOUTH), "it has expired")
    assert table.take(SOUTH, "one", LONG_S) == 2
    table.release("one", {NORTH: 1})
    assert table.take(NORTH, "two", LONG_S) == 2
    assert [(one.name, one.holder, one.generation, one.is_held) for one in table.read()] == [
        (NORTH, "two", 2, True),
        (SOUTH, "one", 2, True),
    ]


def test_only_what_is_still_held_is_renewed(table: LeaseTable) -> None:
    assert table.take(NORTH, "one", SHORT_S) == 1
    assert table.take(SOUTH, "one", SHORT_S) == 1
    eventually(lambda: expired(table, NORTH) and expired(table, SOUTH), "they have expired")
    assert table.take(SOUTH, "two", LONG_S) == 2
    # Nobody has taken the other one, so it is still its holder's.
    assert table.renew("one", {NORTH: 1, SOUTH: 1}, LONG_S) == {NORTH}
    assert table.take(NORTH, "two", LONG_S) is None


def test_a_restarted_collector_has_its_leases_back_at_once(table: LeaseTable) -> None:
    assert table.take(NORTH, "one", LONG_S) == 1
    assert table.take(NORTH, "one", LONG_S) is None
    assert table.take(NORTH, "two", LONG_S, restarted=True) is None
    assert table.take(NORTH, "one", LONG_S, restarted=True) == 2
    assert table.renew("one", {NORTH: 1}, LONG_S) == set()


def test_every_tenant_and_one_tenant_exclude_each_other(table: LeaseTable) -> None:
    assert table.take(NORTH, "one", LONG_S) == 1
    assert table.take(EVERY_TENANT, "two", LONG_S) is None
    table.release("one", {NORTH: 1})
    assert table.take(EVERY_TENANT, "two", SHORT_S) == 1
    assert table.take(MAINTENANCE, "one", LONG_S) == 1
    eventually(lambda: expired(table, EVERY_TENANT), "it has expired")
    assert table.take(SOUTH, "one", LONG_S) == 1
    # Its generation has changed with that: "two" writes for no tenant any more.
    assert table.renew("two", {EVERY_TENANT: 1}, LONG_S) == set()


def test_a_batch_of_another_holders_tenant_is_not_stored(table: LeaseTable, conninfo: str) -> None:
    held = {NORTH: 0, MAINTENANCE: 0}
    for name in held:
        generation = table.take(name, "one", SHORT_S)
        assert generation is not None
        held[name] = generation
    one = fenced(conninfo, held)
    assert one.store_batch([latency("north", 1)], NOW).stored == 1
    with pytest.raises(LeaseLostError, match="another collector holds tenant south") as refused:
        one.store_batch([latency("north", 2), latency("south", 1)], NOW)
    assert refused.value.generations == {SOUTH: None}
    eventually(lambda: expired(table, NORTH) and expired(table, MAINTENANCE), "expired")
    for name in held:
        assert table.take(name, "two", LONG_S) == 2
    rejected = RejectedMessage("tramdo/v1/north/box/x", b"", NOW, Rejection.TOPIC, "unknown")
    for batch in ([latency("north", 2)], [rejected]):
        with pytest.raises(LeaseLostError) as refused:
            one.store_batch(batch, NOW)
        assert refused.value.generations == {NORTH: 1}
    for what in (one.roll_up, lambda now: one.maintain(now, 1), lambda _: one.carry_over()):
        with pytest.raises(LeaseLostError, match="maintenance"):
            what(NOW)
    assert one.totals() == (1, 1, {})
    assert one.summaries.waiting() == 1
    two = fenced(conninfo, {NORTH: 2, MAINTENANCE: 2})
    assert two.store_batch([latency("north", 2), rejected], NOW).stored == 1
    assert two.roll_up(NOW) > 0
    one.close()
    two.close()


def test_who_takes_over_waits_for_what_the_holder_is_writing(
    table: LeaseTable, conninfo: str
) -> None:
    assert table.take(NORTH, "one", SHORT_S) == 1
    one = fenced(conninfo, {NORTH: 1})
    assert one.fence is not None
    with one.database.transaction() as transaction:
        one.fence.require_tenants(transaction, [latency("north", 1)])
        eventually(lambda: expired(table, NORTH), "it has expired")
        # Not for ever: it tries again (lock_timeout).
        with pytest.raises(StoreError, match="lock timeout"):
            table.take(NORTH, "two", LONG_S)
        # The holder itself may renew meanwhile.
        assert table.renew("one", {NORTH: 1}, SHORT_S) == {NORTH}
    eventually(lambda: expired(table, NORTH), "it has expired")
    assert table.take(NORTH, "two", LONG_S) == 2
    one.close()


def test_a_holder_that_hangs_in_a_copy_loses_its_connection(
    table: LeaseTable, conninfo: str
) -> None:
    """As a process that was stopped there: its locks would keep everybody from writing."""
    assert table.take(NORTH, "one", SHORT_S) == 1
    named = f"{conninfo} application_name='{application_name('one')}'"
    hung = psycopg.connect(named)
    hung.execute("SELECT 1 FROM leases WHERE name = %s FOR KEY SHARE", (NORTH,))
    assert hung.pgconn.exec_(b"COPY epochs FROM STDIN").status == ExecStatus.COPY_IN
    eventually(lambda: table.end_hung_holders() > 0, "it is ended")
    assert table.take(NORTH, "two", LONG_S) == 2
    hung.close()
    assert table.end_hung_holders() == 0


def test_a_collector_that_hangs_while_it_takes_a_lease_keeps_nobody_waiting(
    table: LeaseTable, conninfo: str
) -> None:
    def is_taken() -> bool:
        try:
            return table.take(NORTH, "two", LONG_S) == 1
        except StoreError:  # it waits for its lock, two seconds at a time
            return False

    hung = LeaseDatabase(conninfo)
    with pytest.raises(StoreError, match="idle-in-transaction timeout"), hung.transaction():
        eventually(is_taken, "the other one's connection was ended")
    hung.close()


def _rolled(store: PostgresqlStore) -> list[tuple[object, ...]]:
    """Every roll-up with its line's name: the figures and the bytes of each body."""
    figures = ", ".join(column.name for column in FIGURE_COLUMNS)
    return [
        row
        for step in Step
        for row in store.read_sql(
            f"SELECT tenant, probe, line, family, start_s, {figures}, body "
            f"FROM {FIGURES[step].name} JOIN {BODIES[step].name} USING (line_id, start_s) "
            "JOIN lines USING (line_id) ORDER BY tenant, probe, line, family, start_s"
        )
    ]


def _hours(tenant: str, turn: int) -> ResultsMessage:
    started = NOW - timedelta(hours=turn % 5, minutes=turn)
    many = [
        (20 * turn + place, samples.latency(rtt_ms=turn + place / 7, started_at=started))
        for place in range(1, 20)
    ]
    return message(tenant, *many)


def test_roll_ups_by_two_collectors_are_one_collectors_to_the_bit(
    postgresql_server: PostgresqlServer, migrated: str
) -> None:
    def opened(name: str, *held: str) -> PostgresqlStore:
        return fenced(postgresql_server.conninfo(name), dict.fromkeys(held, 1))

    alone, shared = (postgresql_server.new_database(migrated) for _ in range(2))
    for name in (alone, shared):
        table = LeaseTable(LeaseDatabase(postgresql_server.conninfo(name)))
        assert [table.take(one, "x", LONG_S) for one in (NORTH, SOUTH, MAINTENANCE)] == [1, 1, 1]
        table.close()
    one = opened(alone, NORTH, SOUTH, MAINTENANCE)
    # The maintenance goes from hand to hand, as after a death.
    pair = opened(shared, NORTH, MAINTENANCE), opened(shared, SOUTH, MAINTENANCE)
    for turn in range(12):
        for tenant, store in zip(("north", "south"), pair, strict=True):
            batch = _hours(tenant, turn)
            assert one.store_batch([batch], NOW).stored == 19
            assert store.store_batch([batch], NOW).stored == 19
        if turn % 3 == 2:
            while one.roll_up(NOW):
                pass
            while pair[turn // 3 % 2].roll_up(NOW):
                pass
    expected = _rolled(one)
    # Six hours, a day and a month of two lines.
    assert len(expected) == 16
    assert _rolled(pair[0]) == expected
    for store in (one, *pair):
        store.close()
    for name in (alone, shared):
        postgresql_server.drop(name)


def test_a_reader_whose_connection_died_tries_again_once(conninfo: str) -> None:
    store: Store = PostgresqlStore(conninfo)
    assert store.revision() == 0
    with psycopg.connect(conninfo, autocommit=True) as connection:
        for _ in range(3):
            (ended,) = connection.execute(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            ).fetchone() or (0,)
            assert ended > 0
            assert store.revision() == 0
    store.close()


def test_names_of_leases_are_read_as_they_are_written() -> None:
    assert leases.of_tenants([]) == [EVERY_TENANT]
    assert leases.tenants_of([SOUTH, MAINTENANCE, NORTH]) == ["north", "south"]
    assert leases.filters_of([MAINTENANCE]) == []
    assert leases.filters_of([EVERY_TENANT])[0] == "tramdo/v1/+/+/m/+"
    assert [leases.label(name) for name in (NORTH, EVERY_TENANT, MAINTENANCE)] == [
        "tenant north",
        "every tenant",
        "maintenance",
    ]
