"""Floor 3. ClickHouse behind the centre: bytes a result, seconds of docs/analytics.md's questions.

Windows of `bench.workload` (60 round-trip times, three targets, both families), for twelve of them
a throughput test, a round of queries and an hour's availability, and now and then an outage, go
through validation into PostgreSQL, are exported by the real exporter, and are asked for in both.
ClickHouse is chDB, its engine as a library, behind a plain HTTP server (`tests.clickhouse`), on the
same two cores. Of each question the median of three readings.
"""

from __future__ import annotations

import random
import re
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from uuid import UUID

import msgspec

from bench import workload
from bench.report import IntegerOption, Options, Outcome, Row, Target, at_most, note, run
from bench.workload import Workload
from collector.analytics import tables
from collector.analytics.exporter import Exporter
from collector.analytics.http_client import HttpClient
from collector.analytics.settings import AnalyticsConfig
from collector.ingest.validation import validate
from collector.registry.communes import official
from collector.registry.file_format import parse_toml
from collector.store.messages import ValidatedMessage
from collector.store.postgresql import PostgresqlStore
from tests import clickhouse, postgresql, questions, samples
from tests.clickhouse import Server
from wire import result as wire_result
from wire import topics
from wire.result import KINDS, Family, Line, Reason, Result

_WINDOWS, _QUICK_WINDOWS = 60_000, 3_600
_SIZE = IntegerOption("windows", _WINDOWS, "how many latency windows there are")
_PROBES = 50
_READINGS = 3
_MOST_BYTES, _MOST_S = 200, 5


def measured(options: Options) -> Outcome:
    results = _QUICK_WINDOWS if options.quick else options.number
    scratch = Path(tempfile.mkdtemp(prefix="tramdo-analytics-", dir="/var/tmp"))
    scratch.chmod(0o755)  # the server runs as another user
    try:
        with (
            postgresql.running({"shared_buffers": "256MB", "jit": "off"}, scratch) as server,
            clickhouse.running(scratch / "clickhouse") as engine,
        ):
            store = PostgresqlStore(server.conninfo(server.new_database()))
            begins_at = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
            begins_at -= timedelta(days=5)
            _fill(store, results, begins_at)
            note(f"{store.totals().results} results are in PostgreSQL")
            rows = [*_export(store, engine)]
            rows += _questions(store, engine, begins_at)
            store.close()
            return Outcome(rows, [*_targets(rows)])
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _fill(store: PostgresqlStore, windows: int, begins_at: datetime) -> None:
    now = datetime.now(UTC)
    plan = "plan_down_mbit_s = 300\nplan_up_mbit_s = 300\n"
    listed = re.sub(r'(isp = "\w+"\n)', rf"\1{plan}", workload.registry(_PROBES))
    registry = parse_toml(listed.encode(), "bench", official())
    store.registry.apply(registry, "bench", "bench", now)
    work = Workload(windows, 20, _PROBES, begins_at)
    for number in range(_PROBES):
        store.store_batch([*_messages(work, number, now)], now)
    with store.database.transaction() as transaction:
        transaction.execute("ANALYZE")


def _messages(work: Workload, number: int, now: datetime) -> Iterator[ValidatedMessage]:
    """All of one probe: an envelope for each twenty results of a kind."""
    probe, by_kind = f"tram-{number:05d}-1", dict[str, list[tuple[int, Result]]]()
    for seq, result in enumerate(_results(work, number), start=1):
        by_kind.setdefault(result.kind, []).append((seq, result))
    for kind, numbered in by_kind.items():
        for begin in range(0, len(numbered), work.per_envelope):
            envelope = samples.envelope(
                numbered[begin : begin + work.per_envelope],
                tenant=workload.TENANT, probe=probe, epoch=UUID(int=number + 1), sent_at=now,
            )  # fmt: skip
            yield validate(topics.measurement(workload.TENANT, probe, kind), envelope, now)


def _results(work: Workload, number: int) -> Iterator[Result]:
    stream, rng = workload.Stream(work, number), random.Random(f"{work.seed} {number}")
    for made in range(work.results // work.probes):
        window = stream.latency()
        assert window.values is not None
        yield msgspec.structs.replace(window, family=Family.of(window.values.address))
        if made % 12 == 0:
            yield from _others(rng, window.line, window.started_at, made)


def _others(rng: random.Random, line: Line, at: datetime, made: int) -> Iterator[Result]:
    tested = samples.throughput(line=line, started_at=at, download_bps=rng.gauss(240e6, 40e6))
    assert tested.values is not None
    loaded = msgspec.structs.replace(
        tested.values,
        rtt_loaded_download_p50_ms=rng.lognormvariate(3.5, 0.4),
        rtt_loaded_upload_p50_ms=rng.lognormvariate(4, 0.4),
    )
    yield msgspec.structs.replace(tested, values=loaded)
    asked = samples.dns(line=line, rtt_ms=rng.uniform(2, 30))
    yield msgspec.structs.replace(asked, started_at=at)
    yield samples.availability(line=line, started_at=at)
    if made % 600 == 0:
        yield samples.outage(line=line, began_at=at, down=rng.randrange(2, 90))
        yield samples.latency(
            line=line, started_at=at, outcome=wire_result.Outcome.FAILED, reason=Reason.TIMEOUT
        )


def _export(store: PostgresqlStore, engine: Server) -> Iterator[Row]:
    config = AnalyticsConfig(url=engine.url)
    client = HttpClient(config)
    for statement in tables.creation(config.database, cluster=False):
        client.execute(statement)
    exporter = Exporter(store, client, lambda stored: stored.body, config.range_results)
    exporter.export_lines()
    began, began_cpu = time.monotonic(), time.process_time()
    exported = sum(one.results for one in iter(exporter.export_range, None))
    yield _row("export, results/s", exported / (time.monotonic() - began))
    cpu_s = time.process_time() - began_cpu
    yield _row("export, results a second of our processor", exported / cpu_s)
    for kind in KINDS:
        client.execute(f"OPTIMIZE TABLE {config.database}.{kind} FINAL")
    (count, packets) = engine.rows("SELECT count(), sum(length(rtt_us)) FROM tramdo.latency")[0]
    yield _row("latency results", count)
    yield _row("round-trip times in them", packets)
    (whole,) = engine.rows(
        "SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND database = 'tramdo' "
        "AND table = 'latency'"
    )[0]
    (times,) = engine.rows(
        "SELECT sum(column_data_compressed_bytes) FROM system.parts_columns WHERE active "
        "AND database = 'tramdo' AND table = 'latency' AND column = 'rtt_us'"
    )[0]
    yield _row("bytes a latency result", whole / count)
    yield _row("of them, its round-trip times", times / count)
    (other,) = store.read_sql(
        "SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class AS c WHERE relkind IN ('r', 'p') "
        "AND relname ~ '^(result_blocks|[a-z_]+_facts|[a-z_]+_dimensions)'"
    )[0]
    yield _row("bytes a result in the store, for comparison", float(other) / exported)


def _questions(store: PostgresqlStore, engine: Server, begins_at: datetime) -> Iterator[Row]:
    registry, ends = store.registry.read(), begins_at + timedelta(days=30)
    for name in questions.NAMES:
        sql = questions.in_postgresql(name, registry, begins_at, ends)
        found = questions.in_clickhouse(engine, name, begins_at, ends)
        assert len(found) == len(store.read_sql(sql)) > 0, f"{name} is asked of nothing"
        yield _row(
            f"{name}, s",
            _median_s(partial(questions.in_clickhouse, engine, name, begins_at, ends)),
            # Lists of numbers cannot be asked for in SQL there.
            None if name == "06-every-packet" else _median_s(partial(store.read_sql, sql)),
        )


def _median_s(ask: Callable[[], object]) -> float:
    took = []
    for _ in range(_READINGS):
        began = time.perf_counter()
        ask()
        took.append(time.perf_counter() - began)
    return statistics.median(took)


def _row(figure: str, clickhouse_: float, postgresql_: float | None = None) -> Row:
    return {
        "figure": figure,
        "clickhouse": _rounded(clickhouse_),
        "postgresql": None if postgresql_ is None else _rounded(postgresql_),
    }


def _rounded(value: float) -> float:
    return round(value) if value >= 1_000 else round(value, 3)


def _targets(rows: list[Row]) -> Iterator[Target]:
    of = {str(row["figure"]): row["clickhouse"] for row in rows}
    yield at_most("bytes a latency result", _number(of["bytes a latency result"]), _MOST_BYTES)
    slowest = max(_number(of[f"{name}, s"]) for name in questions.NAMES)
    yield at_most("the slowest question, s", slowest, _MOST_S)


def _number(cell: object) -> float:
    assert isinstance(cell, int | float)
    return float(cell)


if __name__ == "__main__":
    sys.exit(run("analytics", measured, peers=("postgresql",), number=_SIZE))
