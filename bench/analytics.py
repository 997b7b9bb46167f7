"""Floor 3. ClickHouse behind the centre: bytes a result, seconds of docs/analytics.md's questions.

Results of `bench.workload` (60 round-trip times a window, three targets, both families, one result
in twenty of another kind) go through validation into PostgreSQL, are exported by the real exporter,
and are asked for in both. ClickHouse is chDB, its engine as a library, behind a plain HTTP server
(`tests.clickhouse`), on the same two cores. Of each question the median of three readings.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

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
from collector.store.postgresql import PostgresqlStore
from tests import clickhouse, postgresql, questions
from tests.clickhouse import Server
from wire.result import KINDS

_RESULTS, _QUICK_RESULTS = 60_000, 4_000
_PROBES = 50
_BATCH = 200
_READINGS = 3
_MOST_BYTES, _MOST_S = 200, 5


def measured(options: Options) -> Outcome:
    results = _QUICK_RESULTS if options.quick else options.number
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
            _fill(store, Workload(results, 20, _PROBES, begins_at))
            note(f"{results} results are in PostgreSQL")
            rows = [*_export(store, engine)]
            rows += _questions(store, engine, begins_at)
            store.close()
            return Outcome(rows, [*_targets(rows)])
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _fill(store: PostgresqlStore, work: Workload) -> None:
    now = datetime.now(UTC)
    registry = parse_toml(workload.registry(_PROBES).encode(), "bench", official())
    store.registry.apply(registry, "bench", "bench", now)
    waiting = [validate(topic, payload, now) for topic, payload in workload.messages(work)]
    for begin in range(0, len(waiting), _BATCH):
        store.store_batch(waiting[begin : begin + _BATCH], now)
    with store.database.transaction() as transaction:
        transaction.execute("ANALYZE")


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
    sys.exit(
        run(
            "analytics",
            measured,
            peers=("postgresql",),
            number=IntegerOption("results", _RESULTS, "how many results there are"),
        )
    )
