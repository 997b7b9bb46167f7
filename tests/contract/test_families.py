"""Address families over a real database: told apart in roll-ups, joined as sums."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import psycopg
import pytest

from collector.ingest.validation import validate
from collector.registry.registry import LineKey
from collector.rollup.periods import Step, parse_period, start_of_day
from collector.rollup.summary import Summary, fold
from collector.store import postgresql_schema, rollup_tables
from collector.store.database import Column, Table
from collector.store.kind_tables import kind_tables
from collector.store.messages import ResultsMessage
from collector.store.migrate import packaged
from collector.store.postgresql import PostgresqlStore
from collector.store.sql_store import SqlStore, derived_tables
from collector.store.sqlite import SqliteStore
from collector.store.store import Store
from tests import samples
from tests.postgresql import PostgresqlServer
from wire.result import GATEWAY_TARGET, Family, Outcome, Reason, Result

NOW = datetime(2026, 8, 3, 1, 0, tzinfo=UTC)
VNPT = LineKey(samples.TENANT, samples.PROBE, "vnpt")
JULY = parse_period("2026-07")
DOWN = "throughput_download_whole_bps"
BEFORE_FAMILIES = 3


def at(day: int, hour: int = 12) -> datetime:
    """A local hour of July 2026."""
    return start_of_day(date(2026, 7, 1)) + timedelta(days=day - 1, hours=hour, minutes=7)


def message(seq: int, result: Result) -> ResultsMessage:
    topic = f"tramdo/v1/{samples.TENANT}/{samples.PROBE}/m/{result.kind}"
    validated = validate(topic, samples.envelope([(seq, result)]), NOW)
    assert isinstance(validated, ResultsMessage), validated
    return validated


def put(store: Store, *results: Result, first_seq: int = 1) -> None:
    for seq, result in enumerate(results, start=first_seq):
        store.store_batch([message(seq, result)], NOW)
    while store.roll_up(NOW):
        pass


def dual_stack() -> list[Result]:
    """A line whose IPv6 is slower and measured less often, and a test from before the update."""
    return [
        samples.throughput(started_at=at(1), download_bps=50e6),
        samples.throughput(started_at=at(2, 1), family=Family.IPV4, download_bps=100e6),
        samples.throughput(started_at=at(2, 2), family=Family.IPV4, download_bps=100e6),
        samples.throughput(started_at=at(2, 2), family=Family.IPV4, download_bps=100e6),
        samples.throughput(started_at=at(2, 2), family=Family.IPV6, download_bps=20e6),
        samples.availability(started_at=at(2, 2)),
    ]


def test_samples_of_each_day_and_family(store: Store) -> None:
    put(store, *dual_stack(), samples.throughput(started_at=at(31, 23), family=Family.IPV4))
    put(store, samples.throughput(started_at=at(32), family=Family.IPV4), first_seq=20)
    other = LineKey(samples.TENANT, samples.PROBE, "never")
    found = store.summaries.daily_by_family([VNPT, other], JULY, DOWN)
    assert found.keys() == {VNPT}
    days = {
        family: [(one.day.day, one.count) for one in mine] for family, mine in found[VNPT].items()
    }
    assert days == {None: [(1, 1)], Family.IPV4: [(2, 3), (31, 1)], Family.IPV6: [(2, 1)]}
    assert found[VNPT][Family.IPV4][0].total == pytest.approx(300e6 * 0.97)
    whole = store.summaries.by_family([VNPT], JULY)[VNPT]
    for family, mine in found[VNPT].items():
        assert sum(one.total for one in mine) == pytest.approx(whole[family].metric(DOWN).total)


def test_families_are_told_apart_and_joined_as_sums(store: Store) -> None:
    put(store, *dual_stack())
    families = store.summaries.by_family([VNPT], JULY)[VNPT]
    assert families.keys() == {None, Family.IPV4, Family.IPV6}
    means = {family: summary.metric(DOWN).mean for family, summary in families.items()}
    assert means == {
        None: pytest.approx(50e6 * 0.97),
        Family.IPV4: pytest.approx(100e6 * 0.97),
        Family.IPV6: pytest.approx(20e6 * 0.97),
    }
    whole = store.summaries.of_lines([VNPT], JULY)[VNPT]
    # 370 / 5 Mbit/s, and not the mean of three means.
    assert whole.metric(DOWN).mean == pytest.approx(74e6 * 0.97)
    assert whole.counts("throughput").ok == 5
    assert whole.up_minutes == families[None].up_minutes > 0


def test_the_overview_has_both(store: Store) -> None:
    put(store, *dual_stack())
    quick = store.summaries.overview(JULY)
    assert quick.keys() == {VNPT}
    whole = store.summaries.of_lines([VNPT], JULY)[VNPT]
    assert quick[VNPT].metric(DOWN).mean == pytest.approx(whole.metric(DOWN).mean)
    assert quick[VNPT].counts("throughput").valid == 5
    each = store.summaries.overview_by_family(JULY)[VNPT]
    assert {family: s.counts("throughput").ok for family, s in each.items()} == {
        None: 1,
        Family.IPV4: 3,
        Family.IPV6: 1,
    }
    assert store.summaries.lines() == [VNPT]
    assert store.summaries.week_counts(JULY, "throughput") == {VNPT: {date(2026, 6, 29): 5}}


@pytest.mark.parametrize("step", list(Step))
def test_a_series_has_a_bucket_an_hour_whatever_the_families(store: Store, step: Step) -> None:
    put(store, *dual_stack())
    each = store.summaries.series_by_family(VNPT, JULY, step)
    whole = store.summaries.series(VNPT, JULY, step)
    starts = [bucket.start for bucket in whole]
    assert starts == sorted(set(starts))
    assert sum(bucket.summary.counts("throughput").ok for bucket in whole) == 5
    ok = {
        family: sum(b.summary.counts("throughput").ok for b in buckets)
        for family, buckets in each.items()
    }
    assert ok == {None: 1, Family.IPV4: 3, Family.IPV6: 1}


def test_a_family_that_comes_later_is_read_too(store: Store) -> None:
    put(store, samples.throughput(started_at=at(2), family=Family.IPV4))
    assert store.summaries.by_family([VNPT], JULY)[VNPT].keys() == {Family.IPV4}
    put(store, samples.throughput(started_at=at(2), family=Family.IPV6), first_seq=2)
    assert store.summaries.by_family([VNPT], JULY)[VNPT].keys() == {Family.IPV4, Family.IPV6}
    assert store.summaries.of_lines([VNPT], JULY)[VNPT].counts("throughput").ok == 2


def test_minutes_of_a_family_are_beside_those_of_the_line(store: Store) -> None:
    put(
        store,
        samples.availability(started_at=at(2, 1), ipv4_down=2, ipv6_down=40),
        samples.availability(started_at=at(2, 2), ipv4_down=2, ipv6_down=7),
        # Of a probe that reports none.
        samples.availability(started_at=at(2, 3)),
    )
    for summary in (
        store.summaries.overview(JULY)[VNPT],
        store.summaries.of_lines([VNPT], JULY)[VNPT],
    ):
        assert summary.down_minutes == 6
        assert summary.family_down_minutes(Family.IPV6) == 47
        assert summary.family_down_minutes(Family.IPV4) == 4
    put(store, samples.availability(line=samples.VIETTEL, started_at=at(2)), first_seq=4)
    other = store.summaries.overview(JULY)[VNPT._replace(line="viettel")]
    assert other.family_down_minutes(Family.IPV6) is None


def test_a_day_that_both_families_changed_is_revised_once(store: Store) -> None:
    put(store, *dual_stack())
    (first, second) = store.summaries.revised_since(JULY, [VNPT], 0)
    assert (first.day, second.day) == (date(2026, 7, 1), date(2026, 7, 2))


def test_the_last_result_of_one_family_is_not_that_of_the_other(store: Store) -> None:
    put(
        store,
        samples.latency(started_at=at(2, 1), family=Family.IPV4),
        samples.latency(started_at=at(2, 1), family=Family.IPV6),
        samples.latency(
            started_at=at(2, 2),
            family=Family.IPV6,
            lost=60,
            outcome=Outcome.FAILED,
            reason=Reason.NO_REPLY,
        ),
    )
    four, six = store.last_results(samples.TENANT, samples.PROBE)
    assert (four.family, six.family) == (Family.IPV4, Family.IPV6)
    assert four.last == four.last_ok
    assert (six.last.seq, six.last_ok.seq if six.last_ok else None) == (3, 2)


def test_what_was_last_before_the_families_is_not_shown_beside_them(store: Store) -> None:
    put(store, samples.latency(started_at=at(1)), samples.dns())
    put(store, samples.latency(started_at=at(2), family=Family.IPV6), first_seq=3)
    entries = store.last_results(samples.TENANT, samples.PROBE)
    assert [(entry.last.kind, entry.family) for entry in entries] == [
        ("dns", None),
        ("latency", Family.IPV6),
    ]
    # An older probe was put back.
    put(store, samples.latency(started_at=at(3)), first_seq=4)
    families = [one.family for one in store.last_results(samples.TENANT, samples.PROBE)]
    assert sorted(families, key=str) == [None, None, Family.IPV6]


def test_when_each_family_last_answered(store: Store) -> None:
    lost = {"lost": 60, "outcome": Outcome.FAILED, "reason": Reason.NO_REPLY}
    put(
        store,
        samples.latency(started_at=at(2, 1), family=Family.IPV4),
        samples.latency(started_at=at(2, 1), family=Family.IPV6),
        samples.latency(started_at=at(2, 3), family=Family.IPV4),
        samples.latency(started_at=at(2, 3), family=Family.IPV6, **lost),  # type: ignore[arg-type]
        # The router answers over IPv6 and says nothing of what is beyond it.
        samples.latency(started_at=at(2, 4), family=Family.IPV6, target=GATEWAY_TARGET),
        samples.latency(started_at=at(2, 5), target="icmp:192.0.2.1"),
    )
    replies = {one.family: one for one in store.family_replies()}
    assert replies.keys() == {Family.IPV4, Family.IPV6}
    assert replies[Family.IPV4].line == VNPT
    assert replies[Family.IPV4].answered_at == replies[Family.IPV4].asked_at == at(2, 3)
    assert replies[Family.IPV6][2:] == (at(2, 1), at(2, 3))


def test_each_result_is_stored_with_its_family_as_a_number(open_store: Callable[[], Store]) -> None:
    store = open_store()
    assert isinstance(store, SqlStore)
    put(store, *dual_stack())
    rows = store.read_sql("SELECT family, count(*) FROM throughput_results GROUP BY family")
    assert dict(rows) == {None: 1, 4: 3, 6: 1}
    store.close()


class Place(NamedTuple):
    """A database of version 0.1.0, with a month of one line in it."""

    name: str
    open: Callable[[], SqlStore]
    run: Callable[[str], list[tuple[object, ...]]]


def old_tables() -> list[Table]:
    """The derived tables as they were: kinds without `family`."""
    without = [
        Table(
            f"{name}_results",
            tuple(Column(c, kind.types[c]) for c in kind.columns if c != "family"),
            ("number",),
        )
        for name, kind in kind_tables().items()
    ]
    return [*without, *rollup_tables.TABLES]


OLD_VIEW = (
    "CREATE VIEW line_days AS SELECT tenant, probe, line, to_timestamp(start_s) AS start, "
    "rollup_day.* FROM rollup_day JOIN lines USING (line_id)"
)


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    statements = [
        statement for table in old_tables() for statement in postgresql_schema.missing([table], {})
    ]
    if request.param == "sqlite":
        path = tmp_path / "results.sqlite"
        SqliteStore(path, migrations=packaged("sqlite")[:BEFORE_FAMILIES]).close()

        def run(sql: str) -> list[tuple[object, ...]]:
            with closing(sqlite3.connect(path, isolation_level=None)) as connection:
                return connection.execute(sql).fetchall()

        for table in old_tables():
            names = ", ".join(column.name for column in table.columns)
            run(f"CREATE TABLE {table.name} ({names}, PRIMARY KEY ({', '.join(table.key)}))")
        yield Place("sqlite", lambda: SqliteStore(path), run)
        return
    server: PostgresqlServer = request.getfixturevalue("postgresql_server")
    name = server.new_database()
    conninfo = server.conninfo(name)
    PostgresqlStore(conninfo, migrations=packaged("postgresql")[:BEFORE_FAMILIES]).close()

    def look(sql: str) -> list[tuple[object, ...]]:
        with psycopg.connect(conninfo, autocommit=True) as connection:
            cursor = connection.execute(sql.encode())
            return cursor.fetchall() if cursor.description else []

    for statement in (*statements, OLD_VIEW):
        look(statement)
    yield Place("postgresql", lambda: PostgresqlStore(conninfo), look)
    server.drop(name)


def old_summary() -> Summary:
    (summary,) = fold(
        [(samples.TENANT, samples.PROBE, samples.throughput(started_at=at(1)))]
    ).values()
    return summary


def fill_as_before(place: Place) -> None:
    """A line with a rolled-up day, a delta that waits, and a last result, by the old columns."""
    line = f"'{samples.TENANT}', '{samples.PROBE}', 'vnpt'"
    body = rollup_tables.encode(old_summary()).hex()
    literal = f"x'{body}'" if place.name == "sqlite" else f"'\\x{body}'"
    day_s = int(start_of_day(date(2026, 7, 1)).timestamp())
    hour_s = int(at(1).timestamp()) // 3600 * 3600
    place.run(f"INSERT INTO lines (tenant, probe, line) VALUES ({line})")
    ((line_id,),) = place.run("SELECT line_id FROM lines")
    month_s = day_s
    for step, start_s in (("hour", hour_s), ("day", day_s), ("month", month_s)):
        key = f"{line_id}, {start_s}, 1, '2026-07-02T00:00:00.000000Z'"
        place.run(
            f"INSERT INTO rollup_{step}_summary (line_id, start_s, revision, changed_at, body) "
            f"VALUES ({key}, {literal})"
        )
        place.run(
            f"INSERT INTO rollup_{step} (line_id, start_s, revision, changed_at, throughput_ok, "
            "throughput_failed, throughput_skipped, throughput_valid) "
            f"VALUES ({key}, 1, 0, 0, 1)"
        )
    place.run(
        "INSERT INTO rollup_deltas (tenant, probe, line, start_s, body) "
        f"VALUES ({line}, {hour_s}, {literal})"
    )
    place.run(
        "INSERT INTO last_results (tenant, probe, line, kind, target, only_ok, epoch, seq, "
        f"started_at) VALUES ({line}, 'throughput', 'iperf3:may-chu-1', 1, '{samples.EPOCH}', 1, "
        "'2026-07-01T05:07:00.000000Z')"
    )


def test_figures_from_before_stay_as_those_of_no_stated_family(place: Place) -> None:
    fill_as_before(place)
    for opening in range(2):  # the second finds everything done
        store = place.open()
        while store.roll_up(NOW):
            pass
        families = store.summaries.by_family([VNPT], JULY)[VNPT]
        assert families.keys() == {None}, opening
        assert families[None].counts("throughput").ok == 2
        assert store.summaries.overview(JULY)[VNPT].counts("throughput").ok == 2
        store.close()
    assert place.run("SELECT family, only_ok, seq FROM last_results") == [(0, 1, 1)]
    assert place.run("SELECT family FROM lines") == [(0,)]
    store = place.open()
    put(store, samples.throughput(started_at=at(1), family=Family.IPV6), first_seq=9)
    assert store.summaries.of_lines([VNPT], JULY)[VNPT].counts("throughput").ok == 3
    assert store.summaries.by_family([VNPT], JULY)[VNPT].keys() == {None, Family.IPV6}
    store.close()


def test_the_views_of_postgresql_join_the_families_and_tell_them_apart(
    place: Place,
) -> None:
    if place.name == "sqlite":
        assert place.run("SELECT 1 FROM sqlite_master WHERE type = 'view'") == []
        return
    fill_as_before(place)
    store = place.open()
    put(store, *dual_stack()[1:], first_seq=2)
    day = f"start = to_timestamp({start_of_day(date(2026, 7, 2)).timestamp():.0f})"
    assert place.run(f"SELECT throughput_ok FROM line_days WHERE {day}") == [(4,)]
    rows = place.run(f"SELECT family, throughput_ok FROM line_family_days WHERE {day}")
    assert sorted(rows, key=str) == [(4, 3), (6, 1), (None, None)]
    assert len(place.run("SELECT * FROM line_hours")) == 3
    store.close()


def test_every_derived_table_is_there(open_store: Callable[[], Store]) -> None:
    store = open_store()
    assert isinstance(store, SqlStore)
    for table in derived_tables():
        assert store.read_sql(f"SELECT count(*) FROM {table.name}") == [(0,)]
    store.close()
