"""Floor 3. The centre under a nation's load: ingest, overview, line page, monthly report.

3,321 communes with two lines each, 1 M results (a week) and 10 M (ten weeks), on SQLite and on
PostgreSQL; beside each query of roll-ups the same query over the raw rows by SQL.
Ingest is the real path (validated, stored, rolled up, commits made durable) on a store of its own.
The pages are fetched over HTTP from the collector's own web server.
"""

from __future__ import annotations

import random
import shutil
import statistics
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

from bench import centre_load
from bench.centre_load import Loader, Nation
from bench.report import Options, Outcome, Row, Target, at_least, at_most, note, run
from collector.domain import thresholds_file
from collector.domain.read_model import ReadModel
from collector.ingest.pipeline import tune_interpreter
from collector.ingest.status import IngestStatus
from collector.ingest.validation import validate
from collector.registry.communes import official
from collector.registry.registry import LineKey
from collector.rollup.periods import Period, Step, last_days, local_day, month_of
from collector.rollup.summary import merge_summaries
from collector.store.batch import utc_text
from collector.store.postgresql import PostgresqlStore
from collector.store.records import BatchResult
from collector.store.sqlite import SqliteStore
from collector.users.user_store import UserStore
from collector.web.app import Web
from collector.web.change_signal import ChangeSignal
from collector.web.server import WebServer
from tests import postgresql, samples
from tests.ports import free_port

_MESSAGES_A_BATCH = 200
_RESULTS_A_MESSAGE = 20
AnyStore = SqliteStore | PostgresqlStore


class Size(NamedTuple):
    """How much of everything."""

    communes: int
    days: tuple[int, int]
    ingest_messages: int
    readings: int
    raw_readings: int


FULL = Size(3_321, (7, 70), 5_000, 30, 2)
QUICK = Size(200, (7, 21), 600, 10, 1)


class Timing(NamedTuple):
    """Milliseconds."""

    p50_ms: float
    p95_ms: float


def measured(options: Options) -> Outcome:
    tune_interpreter()
    size = QUICK if options.quick else FULL
    rows: list[Row] = []
    targets: list[Target] = []
    # On a disk, not in memory: a commit must cost what it costs.
    scratch = Path(tempfile.mkdtemp(prefix="tramdo-centre-", dir="/var/tmp"))
    scratch.chmod(0o755)  # the server runs as another user
    try:
        for name in ("sqlite", "postgresql"):
            with ExitStack() as stack:
                new_store = _stores(name, scratch, stack)
                _measure(name, size, new_store, rows, targets)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return Outcome(rows, targets)


def _stores(name: str, scratch: Path, stack: ExitStack) -> Callable[[str], AnyStore]:
    if name == "sqlite":
        return lambda what: SqliteStore(scratch / f"{what}.sqlite")
    settings = {"shared_buffers": "512MB", "max_wal_size": "4GB", "jit": "off"}
    server = stack.enter_context(postgresql.running(settings, scratch))
    return lambda _what: PostgresqlStore(server.conninfo(server.new_database()))


def _measure(
    name: str,
    size: Size,
    new_store: Callable[[str], AnyStore],
    rows: list[Row],
    targets: list[Target],
) -> None:
    store = new_store("ingest")
    per_s, per_cpu_s = _ingest(store, size.ingest_messages)
    store.close()
    rows.append(_row(name, 0, "ingest, rolled up", rows_per_s=per_s))
    # Where others use the machine, this is what it would come to without them.
    rows.append(_row(name, 0, "ingest, a second of our processor", rows_per_s=per_cpu_s))
    targets.append(at_least(f"{name}: ingest rows/s", round(per_s), 20_000))
    store = new_store("centre")
    today = local_day(datetime.now(UTC))
    nation = Nation(tuple(list(official())[: size.communes]))
    store.registry.apply(nation.registry(), "bench", "bench", datetime.now(UTC))
    loader = Loader(store, store.database, nation, today)
    before: dict[str, float] = {}
    for days in size.days:
        began = time.monotonic()
        results = loader.load(days)
        if isinstance(store, PostgresqlStore):
            with store.database.transaction() as session:
                session.execute("ANALYZE")
        note(f"{name}: {results} results are there, {time.monotonic() - began:.0f} s")
        found = _readings(store, nation, today, days, size)
        for question, timing in found.items():
            rows.append(_row(name, results, question, p50_ms=timing.p50_ms, p95_ms=timing.p95_ms))
        last = days == size.days[-1]
        if last:
            targets += _judged(name, found, before)
        before = {question: timing.p50_ms for question, timing in found.items()}
    store.close()


def _judged(name: str, found: dict[str, Timing], before: dict[str, float]) -> Iterator[Target]:
    for question, limit in (("overview", 300), ("line page", 200)):
        for way in ("roll-ups", "page"):
            key = f"{question}, {way}"
            yield at_most(f"{name}: {key}, p95 ms", round(found[key].p95_ms, 1), limit)
            growth = found[key].p50_ms / before[key]
            yield at_most(f"{name}: {key}, growth of p50", round(growth, 2), 1.3)


def _ingest(store: AnyStore, messages: int) -> tuple[float, float]:
    """Rows a second, and a second of this process, by the real path: 20 results a message."""
    rng = random.Random(7)
    day = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(days=1)
    windows = [
        [
            centre_load.measured(rng, day + timedelta(minutes=minute))[1]
            for minute in range(_RESULTS_A_MESSAGE)
        ]
        for _ in range(20)
    ]
    payloads = []
    for number in range(messages):
        probe, seq = f"tram-{number % 1_000}", number // 1_000 * _RESULTS_A_MESSAGE + 1
        numbered = list(enumerate(rng.choice(windows), start=seq))
        payloads.append(
            (
                f"tramdo/v1/{centre_load.TENANT}/{probe}/m/latency",
                samples.envelope(
                    numbered, tenant=centre_load.TENANT, probe=probe, epoch=UUID(int=number % 1_000)
                ),
            )
        )
    now = datetime.now(UTC)
    began, began_cpu = time.monotonic(), time.process_time()
    finish: Callable[[], BatchResult] | None = None
    stored = 0
    for begin in range(0, messages, _MESSAGES_A_BATCH):
        # As `collector.ingest.pipeline` does it: validated while the batch before it is written.
        validated = [
            validate(topic, payload, now)
            for topic, payload in payloads[begin : begin + _MESSAGES_A_BATCH]
        ]
        stored += finish().stored if finish is not None else 0
        finish = store.begin_batch(validated, now)
    stored += finish().stored if finish is not None else 0
    assert stored == messages * _RESULTS_A_MESSAGE, stored
    while store.roll_up(now):
        pass
    rows = messages * _RESULTS_A_MESSAGE
    return rows / (time.monotonic() - began), rows / (time.process_time() - began_cpu)


def _readings(
    store: AnyStore, nation: Nation, today: date, days: int, size: Size
) -> dict[str, Timing]:
    summaries, lines = store.summaries, nation.lines
    week = last_days(7, today)
    # A whole month that lies in what was loaded, where there is one.
    reported = month_of(today.replace(day=1) - timedelta(days=1)) if days > 60 else month_of(today)
    group = lines[: 2 * 12]
    rng = random.Random(5)

    def line_page() -> None:
        line = rng.choice(lines)
        summaries.series(line, week, Step.HOUR)
        summaries.hours_of_week(line, week)
        summaries.of_lines([line], week)

    found = {
        "overview, roll-ups": _timed(lambda: summaries.overview(week), size.readings),
        "line page, roll-ups": _timed(line_page, size.readings),
        "month of a group, roll-ups": _timed(
            lambda: merge_summaries(summaries.of_lines(group, reported).values()),
            size.readings,
        ),
        "month of the nation, roll-ups": _timed(
            lambda: merge_summaries(summaries.of_lines(lines, reported).values()), 3
        ),
    }
    with _pages(store) as url:
        line_urls = [f"{url}/line/{line.tenant}/{line.probe}/{line.line}" for line in lines]
        found["overview, page, first"] = _timed(lambda: _get(f"{url}/"), 1)
        found["overview, page"] = _timed(lambda: _get(f"{url}/"), size.readings)
        found["line page, page"] = _timed(lambda: _get(rng.choice(line_urls)), size.readings)
    for question, sql in _raw_questions(week, reported, lines[7], group).items():
        found[f"{question}, raw rows"] = _timed(partial(_read_all, store, sql), size.raw_readings)
    return found


def _read_all(store: AnyStore, statements: Sequence[str]) -> None:
    for sql in statements:
        store.read_sql(sql)


def _raw_questions(
    week: Period, reported: Period, line: LineKey,
    group: Sequence[LineKey],
) -> dict[str, list[str]]:  # fmt: skip
    def between(period: Period) -> str:
        begin, end = utc_text(period.starts_at), utc_text(period.ends_at)
        return f"started_at >= '{begin}' AND started_at < '{end}'"

    def means(where: str, per: str) -> list[str]:
        speeds = "avg(download_whole_bps), avg(upload_whole_bps) FROM throughput_results"
        delays = "avg(rtt_mean_ms), sum(lost), sum(sent) FROM latency_results"
        return [
            f"SELECT {per}, count(*), {what} WHERE outcome = 'ok' AND {where} GROUP BY {per}"
            for what in (speeds, delays)
        ]

    one = f"tenant = '{line.tenant}' AND probe = '{line.probe}' AND line = '{line.line}'"
    probes = ", ".join(sorted({f"'{key.probe}'" for key in group}))
    some = f"tenant = '{line.tenant}' AND probe IN ({probes})"
    return {
        "overview": means(between(week), "probe, line"),
        "line page": means(f"{one} AND {between(week)}", "started_at"),
        "month of a group": means(f"{some} AND {between(reported)}", "probe, line"),
        "month of the nation": means(between(reported), "probe, line"),
    }


@contextmanager
def _pages(store: AnyStore) -> Iterator[str]:
    port = free_port()
    with tempfile.TemporaryDirectory() as directory:
        change_signal = ChangeSignal()
        user_store = UserStore(Path(directory) / "people.sqlite")
        web = Web(
            ReadModel(store, thresholds_file.read()), change_signal,
            lambda: IngestStatus(None, None), "Asia/Ho_Chi_Minh", user_store,
        )  # fmt: skip
        server = WebServer(web.application(), "127.0.0.1", port)
        server.start()
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            change_signal.close()
            server.stop()


def _get(url: str) -> None:
    with urllib.request.urlopen(url, timeout=120) as answer:
        assert answer.status == 200
        answer.read()


def _timed(ask: Callable[[], object], times: int) -> Timing:
    if times > 3:
        ask()  # the first one pays for names that are remembered from then on
    took = []
    for _ in range(times):
        began = time.perf_counter()
        ask()
        took.append((time.perf_counter() - began) * 1_000)
    took.sort()
    return Timing(statistics.median(took), took[min(int(0.95 * len(took)), len(took) - 1)])


def _row(
    store: str,
    results: int,
    question: str,
    *,
    p50_ms: float | None = None,
    p95_ms: float | None = None,
    rows_per_s: float | None = None,
) -> Row:
    return {
        "store": store,
        "results": results,
        "question": question,
        "p50_ms": p50_ms and round(p50_ms, 1),
        "p95_ms": p95_ms and round(p95_ms, 1),
        "rows_per_s": rows_per_s and round(rows_per_s),
    }


if __name__ == "__main__":
    sys.exit(run("centre", measured))
