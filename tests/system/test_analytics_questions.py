"""The questions of docs/analytics.md: ClickHouse's answers beside PostgreSQL's on the same results.

Counts and sums are equal; means and medians are to nine digits; percentiles over all packets are
within the 1 % that the question promises, beside every round-trip time sorted.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import pytest

from collector.analytics import tables
from collector.analytics.exporter import Exporter
from collector.analytics.http_client import HttpClient
from collector.analytics.settings import AnalyticsConfig
from collector.ingest.validation import validate
from collector.rollup.metrics import invalidating
from collector.store.postgresql import PostgresqlStore
from deploy.grafana import make_clickhouse_dashboard as dashboard
from tests import clickhouse, postgresql, questions, samples, seeded_centre
from tests.clickhouse import Server
from tests.questions import QUESTIONS
from wire import topics
from wire.result import Family, Line, Outcome, Reason, Result, decode_result

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 7, 26, 3, 0, tzinfo=UTC)
BEGINS, ENDS = NOW - timedelta(days=4), NOW - timedelta(hours=5)


class Both(NamedTuple):
    """The same results in both."""

    engine: Server
    store: PostgresqlStore


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    memory = Path("/dev/shm")
    folder = tmp_path_factory.mktemp("clickhouse")
    with (
        postgresql.running({"fsync": "off"}, memory if memory.is_dir() else None) as server,
        clickhouse.running(folder) as engine,
    ):
        store = PostgresqlStore(server.conninfo(server.new_database()))
        seeded_centre.fill(store, NOW, days=6)
        fill_light_kinds(store)
        client = HttpClient(AnalyticsConfig(url=engine.url))
        for statement in tables.creation("tramdo", cluster=False):
            client.execute(statement)
        exporter = Exporter(store, client, lambda stored: stored.body, 5_000)
        exporter.export_lines()
        while exporter.export_range() is not None:
            pass
        yield Both(engine, store)
        store.close()


def fill_light_kinds(store: PostgresqlStore) -> None:
    """Windows with every round-trip time over both families, resolvers, pages; some fail."""
    rng = random.Random(113)
    for place, probe in enumerate(seeded_centre.PROBES):
        by_kind: dict[str, list[tuple[int, Result]]] = {}
        for seq, result in enumerate(light_results(rng, [one.line for one in probe.lines]), 1):
            by_kind.setdefault(result.kind, []).append((seq, result))
        store.store_batch(
            [
                validate(
                    topics.measurement(seeded_centre.TENANT, probe.probe, kind),
                    samples.envelope(
                        numbered, tenant=seeded_centre.TENANT, probe=probe.probe,
                        epoch=UUID(int=place + 1), sent_at=NOW,
                    ),
                    NOW,
                )
                for kind, numbered in by_kind.items()
            ],
            NOW,
        )  # fmt: skip


def light_results(rng: random.Random, lines: Sequence[Line]) -> Iterator[Result]:
    for line in lines:
        for hour in range(5 * 24):
            at = NOW - timedelta(hours=hour, seconds=rng.randrange(3_000))
            for family in Family:
                yield window(rng, line, family, at)
            asked = samples.dns(line=line, rtt_ms=rng.uniform(2, 30))
            assert asked.values is not None
            answered = rng.choice([1, 2, 2, 2])
            values = msgspec.structs.replace(
                asked.values, answered=answered, timeouts=2 - answered,
                failure_ratio=(2 - answered) / 2,
            )  # fmt: skip
            yield msgspec.structs.replace(asked, started_at=at, values=values)
            yield msgspec.structs.replace(samples.web(line=line), started_at=at)
            if rng.random() < 0.1:
                reason = rng.choice([Reason.TIMEOUT, Reason.NO_REPLY])
                yield msgspec.structs.replace(
                    samples.path(line=line), started_at=at, outcome=Outcome.FAILED, reason=reason,
                    values=None,
                )  # fmt: skip


def window(rng: random.Random, line: Line, family: Family, at: datetime) -> Result:
    rtt_us = [int(rng.lognormvariate(9.4, 0.5)) for _ in range(60 - rng.choice([0, 0, 0, 1, 5]))]
    one = samples.latency(
        line=line, family=family, started_at=at, lost=60 - len(rtt_us),
        rtt_ms=sorted(rtt_us)[len(rtt_us) // 2] / 1e3,
    )  # fmt: skip
    assert one.values is not None
    values = msgspec.structs.replace(one.values, rtt_us=rtt_us, rtt_samples=len(rtt_us))
    return msgspec.structs.replace(one, values=values)


@pytest.mark.parametrize("name", QUESTIONS)
def test_both_answer_alike(name: str, both: Both) -> None:
    found = questions.in_clickhouse(both.engine, name, BEGINS, ENDS)
    other = both.store.read_sql(
        questions.in_postgresql(name, both.store.registry.read(), BEGINS, ENDS)
    )
    assert len(found) == len(other) > 0
    for ours, theirs in zip(found, other, strict=True):
        for cell, beside in zip(ours, theirs, strict=False):
            if isinstance(cell, float):
                assert math.isclose(cell, float(beside), rel_tol=1e-9), (name, ours, theirs)
            else:
                assert cell == beside, (name, ours, theirs)
        assert len(ours) - len(theirs) == (name == "06-every-packet")


def test_percentiles_over_all_packets(both: Both) -> None:
    isp_of = {key: line.isp.upper() for key in both.store.registry.read().lines()
              if (line := both.store.registry.read().line(key)) is not None}  # fmt: skip
    packets: dict[str, list[int]] = {}
    for stored in both.store.results_after(0, 100_000):
        if stored.kind == "latency" and (stored.target or "").startswith("stamp:"):
            result: Any = decode_result(stored.body)
            if BEGINS <= result.started_at < ENDS and result.values.rtt_us:
                isp = isp_of[(stored.tenant, stored.probe, stored.line)]  # type: ignore[index]
                packets.setdefault(isp, []).extend(result.values.rtt_us)
    found = questions.in_clickhouse(both.engine, "06-every-packet", BEGINS, ENDS)
    assert {row[0].upper(): row[1] for row in found} == {k: len(v) for k, v in packets.items()}
    assert min(map(len, packets.values())) > 10_000
    for isp, *_, percentiles in found:
        of = sorted(packets[isp.upper()])
        for share, cell in zip((0.5, 0.95, 0.99), percentiles, strict=True):
            place = share * (len(of) - 1)
            assert of[math.floor(place)] * 0.99 <= cell <= of[math.ceil(place)] * 1.01


def test_there_are_ten_questions_and_the_document_quotes_each() -> None:
    page = (ROOT / "docs" / "analytics.md").read_text(encoding="utf-8")
    assert len(QUESTIONS) == 10
    assert list(QUESTIONS) == questions.NAMES
    for name, sql in QUESTIONS.items():
        assert f"(../deploy/clickhouse/questions/{name}.sql)" in page
        assert sql.startswith("-- ")


def test_the_flags_that_keep_a_speed_out_are_the_centre_s() -> None:
    listed = re.search(r"hasAny\(validity, \[(.*?)\]\)", QUESTIONS["01-speed-by-isp"], re.DOTALL)
    assert listed is not None
    assert set(re.findall(r"'(\w+)'", listed[1])) == set(invalidating("throughput"))


# Grafana


def test_the_dashboard_is_what_its_program_writes() -> None:
    assert dashboard.FILE.read_text(encoding="utf-8") == dashboard.text()


@pytest.mark.parametrize("name", dashboard.QUERIES)
def test_a_panel_s_query_is_answered(name: str, both: Both) -> None:
    """With the macros of Grafana's ClickHouse data source expanded as it documents them."""
    sql = dashboard.QUERIES[name]
    bounds = [f"toDateTime64('{at:%F %T}', 3, 'UTC')" for at in (BEGINS, ENDS)]
    sql = sql.replace("$__fromTime", bounds[0]).replace("$__toTime", bounds[1])
    sql = sql.replace("${isp:singlequote}", "'VNPT','Viettel'")
    assert "$" not in sql, sql
    assert both.engine.rows(sql, "tramdo")
