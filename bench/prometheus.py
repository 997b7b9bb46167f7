"""Floor 3. The centre beside Prometheus and beside plain COPY: what a minute's figures cost.

The same latency windows of the same lines (`bench.workload`) go to our centre (SQLite, PostgreSQL;
raw bodies, tables and roll-ups), to Prometheus as eight samples a window (`promtool tsdb
create-blocks-from openmetrics`, the fastest way into it), and by one COPY, with the body and the
same eight figures, into a table of PostgreSQL with one index: the limit of a database there.
Prometheus keeps no round-trip times of single echoes, no duplicates apart and no evidence.

`overview` is the week of each line: ours from roll-ups, Prometheus' and PostgreSQL's by a query.
`packed` is `bytes_a_window` after the maintenance of the night.
`peak_mb` is of the process that stores (promtool; our ingest), of COPY's client nothing is taken.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import psycopg

from bench import workload
from bench.builds import this_build
from bench.ingest import Stores
from bench.report import CannotMeasureError, Options, Outcome, Row, note, run
from bench.workload import Workload
from collector.rollup.periods import last_days, local_day
from collector.store.postgresql import PostgresqlStore
from collector.store.sqlite import SqliteStore
from tests import postgresql
from tests.ports import free_port
from tests.postgresql import PostgresqlServer
from wire.envelope import decode_envelope

FIGURES = (
    "rtt_min_ms", "rtt_mean_ms", "rtt_p50_ms", "rtt_p95_ms", "rtt_max_ms", "loss_ratio",
    "ipdv_abs_mean_ms", "jitter_rfc3550_ms",
)  # fmt: skip
_START_S = 60.0
_ASKED = 5
# Days that pass before the maintenance of the night.
_NIGHTS = 4


class Window(NamedTuple):
    """A latency result as peers get it."""

    probe: str
    line: str
    target: str
    started_at: datetime
    figures: Sequence[float]
    body: str


class Cost(NamedTuple):
    """What storing took; None where it is not known."""

    wall_s: float
    cpu_s: float | None
    peak_bytes: int | None
    stored_bytes: int
    overview_ms: float
    # After the maintenance of the night.
    packed_bytes: int | None = None


def measured(options: Options) -> Outcome:
    """Each system in turn, on the same windows."""
    for program in ("prometheus", "promtool"):
        if shutil.which(program) is None:
            raise CannotMeasureError(f"{program} is not installed (Debian: prometheus)")
    probes, minutes = (2, 1_000) if options.quick else (20, 7 * 1_440)
    begins_at = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=minutes)
    work = Workload(probes * minutes * 6, 20, probes, begins_at, mixed=False)
    scratch = Path(tempfile.mkdtemp(prefix="tramdo-prometheus-", dir="/var/tmp"))
    scratch.chmod(0o755)  # the database server runs as another user
    try:
        rows = [row_of(name, work.results, cost) for name, cost in _costs(work, scratch)]
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return Outcome(rows, [])


def _costs(work: Workload, scratch: Path) -> Iterator[tuple[str, Cost]]:
    sent = list(workload.messages(work))
    messages = scratch / "messages"
    messages.write_bytes(msgspec.msgpack.encode(sent))
    windows = list(windows_of(sent))
    lines = 2 * work.probes
    note(f"{len(windows)} windows")
    yield "Prometheus", _prometheus(windows, scratch)
    yield "ours, SQLite", _ours(Stores("sqlite", scratch, None), messages, lines)
    with postgresql.running({"shared_buffers": "256MB", "jit": "off"}, scratch) as server:
        yield "ours, PostgreSQL", _ours(Stores("postgresql", scratch, server), messages, lines)
        yield "COPY into PostgreSQL", _copy(windows, server)


def windows_of(sent: Sequence[tuple[str, bytes]]) -> Iterator[Window]:
    """The latency windows of messages."""
    for _, payload in sent:
        envelope = decode_envelope(payload)
        for record in envelope.records:
            result = record.result
            values: dict[str, Any] = msgspec.to_builtins(result.values)
            yield Window(
                envelope.probe, result.line.id, str(result.target), result.started_at,
                [values[name] for name in FIGURES], msgspec.json.encode(result).decode(),
            )  # fmt: skip


def open_metrics(windows: Sequence[Window]) -> Iterator[str]:
    """The windows as OpenMetrics text (a sample a figure), series by series, in order of time."""
    for place, name in enumerate(FIGURES):
        yield f"# TYPE tramdo_{name} gauge\n"
        for one in sorted(windows, key=lambda w: (w.probe, w.line, w.target, w.started_at)):
            labels = f'probe="{one.probe}",line="{one.line}",target="{one.target}"'
            at = one.started_at.timestamp()
            yield f"tramdo_{name}{{{labels}}} {one.figures[place]} {at:.3f}\n"
    yield "# EOF\n"


def row_of(name: str, results: int, cost: Cost) -> Row:
    """A system's row; a sample is one figure of a window."""
    samples = results * len(FIGURES)
    return {
        "system": name,
        "windows": results,
        "samples_per_s": round(samples / cost.wall_s),
        "cpu_us_a_window": None if cost.cpu_s is None else round(cost.cpu_s / results * 1e6, 1),
        "peak_mb": None if cost.peak_bytes is None else round(cost.peak_bytes / 1e6, 1),
        "bytes_a_window": round(cost.stored_bytes / results, 1),
        "packed": None if cost.packed_bytes is None else round(cost.packed_bytes / results, 1),
        "bytes_a_sample": round(cost.stored_bytes / samples, 2),
        "overview_ms": round(cost.overview_ms, 1),
    }


def _prometheus(windows: Sequence[Window], scratch: Path) -> Cost:
    text, data = scratch / "windows.om", scratch / "prometheus"
    with text.open("w", encoding="utf-8") as file:
        file.writelines(open_metrics(windows))
    argv = ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(text), str(data)]
    began_s = time.monotonic()
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    said = process.stderr.read().decode(errors="replace")
    _, status, used = os.wait4(process.pid, 0)
    wall_s = time.monotonic() - began_s
    if status != 0:
        raise CannotMeasureError(f"promtool: {said[-500:]}")
    stored_bytes = sum(file.stat().st_size for file in data.rglob("*") if file.is_file())
    with _prometheus_serving(data, scratch) as url:
        query = "avg by (probe, line) (avg_over_time(tramdo_rtt_mean_ms[7d]))"
        overview_ms = _median_ms(lambda: _lines_in(url, query, windows))
    return Cost(
        wall_s, used.ru_utime + used.ru_stime, used.ru_maxrss * 1_024, stored_bytes, overview_ms
    )


def _lines_in(url: str, query: str, windows: Sequence[Window]) -> None:
    with urllib.request.urlopen(
        f"{url}/api/v1/query?{urllib.parse.urlencode({'query': query})}", timeout=60
    ) as answer:
        found = json.load(answer)["data"]["result"]
    lines = {(window.probe, window.line) for window in windows}
    if len(found) != len(lines):
        raise CannotMeasureError(f"Prometheus has {len(found)} of {len(lines)} lines")


@contextmanager
def _prometheus_serving(data: Path, scratch: Path) -> Iterator[str]:
    config = scratch / "prometheus.yml"
    config.write_text("scrape_configs: []\n", encoding="utf-8")
    address = f"127.0.0.1:{free_port()}"
    argv = [
        "prometheus", f"--config.file={config}", f"--storage.tsdb.path={data}",
        f"--web.listen-address={address}", "--storage.tsdb.retention.time=3650d",
    ]  # fmt: skip
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until_s = time.monotonic() + _START_S
        while not _is_ready(f"http://{address}/-/ready"):
            if process.poll() is not None or time.monotonic() > until_s:
                raise CannotMeasureError("prometheus does not start")
            time.sleep(0.1)
        yield f"http://{address}"
    finally:
        process.kill()
        process.wait()


def _is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _ours(stores: Stores, messages: Path, lines: int) -> Cost:
    database = stores.new()
    nothing = messages.with_name("nothing")
    nothing.write_bytes(msgspec.msgpack.encode([]))
    build = this_build()
    build.step("ingest", database.address, nothing)
    # The days ahead have their partitions before anything is weighed.
    build.step("maintain", database.address, _NIGHTS)
    before_bytes, before_s = database.used_bytes(), stores.server_cpu_s()
    did = build.step("ingest", database.address, messages)
    cpu_s = did["cpu_s"] + stores.server_cpu_s() - before_s
    stored_bytes = database.used_bytes() - before_bytes
    store: SqliteStore | PostgresqlStore = (
        SqliteStore(Path(database.address))
        if stores.name == "sqlite"
        else PostgresqlStore(database.address)
    )
    week = last_days(7, local_day(datetime.now(UTC)))
    overview_ms = _median_ms(lambda: store.summaries.overview(week))
    found = len(store.summaries.overview(week))
    store.close()
    if found != lines:
        raise CannotMeasureError(f"our overview has {found} of {lines} lines")
    build.step("maintain", database.address, _NIGHTS)
    packed_bytes = database.used_bytes() - before_bytes
    return Cost(did["wall_s"], cpu_s, did["peak_bytes"], stored_bytes, overview_ms, packed_bytes)


def _copy(windows: Sequence[Window], server: PostgresqlServer) -> Cost:
    conninfo = server.conninfo(server.new_database())
    columns = ", ".join(f"{name} double precision" for name in FIGURES)
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE windows (probe text, line text, target text, started_at timestamptz, "
            f"{columns}, body text)"
        )
        connection.execute("CREATE INDEX ON windows (probe, line, started_at)")
        before_bytes = _size(connection)
        began_s = time.monotonic()
        with connection.cursor() as cursor, cursor.copy("COPY windows FROM STDIN") as copy:
            for one in windows:
                copy.write_row([*one[:4], *one.figures, one.body])
        wall_s = time.monotonic() - began_s
        stored_bytes = _size(connection) - before_bytes
        query = "SELECT probe, line, avg(rtt_mean_ms) FROM windows GROUP BY probe, line"
        overview_ms = _median_ms(lambda: connection.execute(query).fetchall())
    return Cost(wall_s, None, None, stored_bytes, overview_ms)


def _size(connection: psycopg.Connection[Any]) -> int:
    row = connection.execute("SELECT pg_total_relation_size('windows')").fetchone()
    assert row is not None
    return int(row[0])


def _median_ms(ask: Callable[[], object]) -> float:
    took = []
    for _ in range(_ASKED):
        began_s = time.perf_counter()
        ask()
        took.append((time.perf_counter() - began_s) * 1_000)
    return statistics.median(took)


if __name__ == "__main__":
    sys.exit(run("prometheus", measured, peers=("prometheus", "postgresql")))
