"""Floor 3. What a result costs the centre, the wire and the store, beside an older commit.

`--against COMMIT` names the older build (`bench.builds` makes it once). Both do the same work, made
from one seed by `bench.workload`: the same envelopes by the published contract, one build after the
other in turn, each step in a process of its own, the commits made durable on a disk. A ratio is
this build over the older one, of the medians; other load on the machine then falls on both.

- `rows/s`: from messages to committed and rolled up, one process; one result in twenty is of
  another kind. `rows/cpu s`: a second of that process and of the database server, which is
  what is left to compare where others use the machine.
- `bytes a result`: what the store has grown by, indexes and roll-ups included, for latency results
  of 60 echoes in envelopes of 2; then after the maintenance of the night.
- `backup`, `restore`: the commands, on that store. `of a large store`: once more, with every result
  in it some ten times, under other numbers (part `copies`).
- `page`: HTTP GET from the collector on that store, the first and the median of the later ones,
  of pages and interfaces that nobody must sign in for, once the collectors have run for fifteen
  seconds: this build asks for its pages itself at the start. A tenth is left to what a timing
  varies.
- `wire bytes a result`, `delivery`: outbox, broker, centre and receipts; compressed where the
  build's centre can announce it. `CPU us a result`: of the process that the probe's delivery is in,
  and of the centre. `centre's peak memory`: the collector's meanwhile.
- `outbox`: latency results of 60 echoes stored by the probe, so many a transaction (a probe of two
  lines ends six windows at once): what it grows by, what is written to the disk, its processor.
"""

from __future__ import annotations

import resource
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import psutil
import psycopg

from bench import workload
from bench.builds import Build, older_build, this_build
from bench.process_cost import tree_cpu_s
from bench.report import (
    CannotMeasureError,
    IntegerOption,
    Options,
    Outcome,
    Row,
    Target,
    TextOption,
    at_least,
    at_most,
    note,
    run,
)
from bench.workload import Workload
from tests import postgresql
from tests.ports import free_port
from tests.postgresql import PostgresqlServer

_AGAINST = TextOption("against", "8833c83", "the older commit")
_RESULTS = IntegerOption("results", 0, "results in the store that is measured; 0: the mode's own")
_PARTS = TextOption("parts", "rates,volume,copies,outbox,delivery", "which are measured")
_SQLITE, _POSTGRESQL = "sqlite", "postgresql"
_ENVELOPES = (1, 2, 3, 20)
# As the probe's default: `delivery.batch`.
_FULL_ENVELOPE = 50
_TRANSACTIONS = (1, 2, 6, 50)
_CHUNK = 100_000
# Minutes of one probe, of six results each, that a store's results spread over: two days.
_RESULTS_A_PROBE = 2 * 1_440 * 6
# Days that pass before the maintenance of the night: nothing of the results is of today then.
_NIGHTS = 4
_START_S = 120.0
# What a collector does at its start is done then, and does not take the processor from a page.
_SETTLED_S = 15.0
# `found[question][build's name]`: the values of each round.
Found = dict[tuple[str, str], dict[str, list[float]]]


class Size(NamedTuple):
    """How much of everything."""

    rounds: int
    rate_results: int
    store_results: int
    large_results: int
    delivered: int
    counted: int
    gets: int


FULL = Size(3, 40_000, 10_000_000, 3_000_000, 20_000, 4_000, 20)
QUICK = Size(2, 10_000, 100_000, 0, 3_000, 500, 10)


class Limit(NamedTuple):
    """A target: the ratio of this build to the older one."""

    store: str
    question: str
    limit: float
    at_least: bool


LIMITS = (
    Limit(_SQLITE, "bytes a result", 0.25, at_least=False),
    Limit(_POSTGRESQL, "bytes a result", 0.25, at_least=False),
    Limit(_SQLITE, "bytes a result, after the night", 0.20, at_least=False),
    Limit(_POSTGRESQL, "bytes a result, after the night", 0.20, at_least=False),
    Limit(_SQLITE, "rows/s, envelopes of 2", 3.0, at_least=True),
    Limit(_SQLITE, "rows/s, envelopes of 20", 3.0, at_least=True),
    Limit(_POSTGRESQL, "rows/s, envelopes of 2", 2.5, at_least=True),
    Limit(_POSTGRESQL, "rows/s, envelopes of 20", 2.5, at_least=True),
    Limit(_SQLITE, "rows/cpu s, envelopes of 2", 3.0, at_least=True),
    Limit(_SQLITE, "rows/cpu s, envelopes of 20", 3.0, at_least=True),
    Limit(_POSTGRESQL, "rows/cpu s, envelopes of 2", 2.5, at_least=True),
    Limit(_POSTGRESQL, "rows/cpu s, envelopes of 20", 2.5, at_least=True),
    Limit(_SQLITE, "delivery, results/s, envelopes of 50", 2.5, at_least=True),
    Limit(_SQLITE, "wire bytes a result, envelopes of 20", 0.3, at_least=False),
    Limit(_SQLITE, "wire bytes a result, envelopes of 50", 0.3, at_least=False),
    Limit(_SQLITE, "backup, s", 0.4, at_least=False),
    Limit(_SQLITE, "restore, s", 0.4, at_least=False),
    Limit(_POSTGRESQL, "backup, s", 0.4, at_least=False),
    Limit(_POSTGRESQL, "restore, s", 0.4, at_least=False),
    Limit(_SQLITE, "backup of a large store, s", 0.4, at_least=False),
    Limit(_SQLITE, "restore of a large store, s", 0.4, at_least=False),
    Limit(_POSTGRESQL, "backup of a large store, s", 0.4, at_least=False),
    Limit(_POSTGRESQL, "restore of a large store, s", 0.4, at_least=False),
    Limit(_SQLITE, "centre's peak memory, MB", 1.0, at_least=False),
)


class Database(NamedTuple):
    """Where one build has one store: how a driver and a configuration name it, and its size."""

    address: str
    settings: Mapping[str, str]
    used_bytes: Callable[[], int]


class Stores:
    """Makes new stores of one kind."""

    def __init__(self, name: str, scratch: Path, server: PostgresqlServer | None) -> None:
        self.name = name
        self._scratch = scratch
        self._server = server
        self._made = 0

    def new(self) -> Database:
        """An empty one that no build has opened yet."""
        self._made += 1
        if self._server is None:
            path = self._scratch / f"store-{self._made}" / "results.sqlite"
            path.parent.mkdir()
            return Database(str(path), {"path": str(path)}, lambda: _file_bytes(path))
        conninfo = self._server.conninfo(self._server.new_database())
        return Database(conninfo, {"postgresql": conninfo}, lambda: _database_bytes(conninfo))

    def drop(self, database: Database) -> None:
        """Take it away, for the disk's sake."""
        if self._server is None:
            shutil.rmtree(Path(database.address).parent)
        else:
            self._server.drop(database.address.rpartition("=")[2])

    def server_cpu_s(self) -> float:
        """Processor seconds of the database server so far, 0 without one."""
        if self._server is None:
            return 0.0
        with psycopg.connect(self._server.conninfo("postgres")) as connection:
            postmaster = psutil.Process(connection.info.backend_pid).parent()
            assert postmaster is not None
            return tree_cpu_s(postmaster)


def measured(options: Options) -> Outcome:
    """Both builds through all of it, or the parts that were asked for."""
    parts = options.parts.split(",")
    if unknown := set(parts) - set(_PARTS.default.split(",")):
        raise CannotMeasureError(f"there is no part {', '.join(sorted(unknown))}")
    builds = (older_build(options.text), this_build())
    size = QUICK if options.quick else FULL
    if options.number:
        size = size._replace(store_results=options.number)
    found: Found = defaultdict(lambda: defaultdict(list))
    # On a disk, not in memory: a commit must cost what it costs.
    scratch = Path(tempfile.mkdtemp(prefix="tramdo-ingest-", dir="/var/tmp"))
    scratch.chmod(0o755)  # the database server runs as another user
    try:
        for name in (_SQLITE, _POSTGRESQL) if {"rates", "volume", "copies"} & set(parts) else ():
            with _stores(name, scratch) as stores:
                if "rates" in parts:
                    _rates(stores, builds, size, scratch, found)
                if {"volume", "copies"} & set(parts):
                    _volume(stores, builds, size, scratch, found, parts)
        if "outbox" in parts:
            _outbox(builds, size, scratch, found)
        if "delivery" in parts:
            _delivery(builds, size, scratch, found)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    older, this = (build.name for build in builds)
    # A part that nobody asked for misses no target.
    is_whole = options.parts == _PARTS.default
    targets = [one for one in targets_of(found, older, this) if is_whole or one.value is not None]
    return Outcome(list(rows_of(found, older, this)), targets)


@contextmanager
def _stores(name: str, scratch: Path) -> Iterator[Stores]:
    with ExitStack() as stack:
        server = None
        if name == _POSTGRESQL:
            settings = {"shared_buffers": "256MB", "max_wal_size": "4GB", "jit": "off"}
            server = stack.enter_context(postgresql.running(settings, scratch))
        yield Stores(name, scratch, server)


def _rates(
    stores: Stores, builds: Sequence[Build], size: Size, scratch: Path, found: Found
) -> None:
    for per_envelope in _ENVELOPES:
        work = Workload(size.rate_results, per_envelope, 200, _past(2))
        file = _written(scratch, workload.messages(work))
        for _ in range(size.rounds):
            for build in builds:
                database = stores.new()
                before_s = stores.server_cpu_s()
                did = _ingested(build, database, file, work.results)
                cpu_s = did["cpu_s"] + stores.server_cpu_s() - before_s
                stores.drop(database)
                for question, per_s in (
                    ("rows/s", work.results / did["wall_s"]),
                    ("rows/cpu s", work.results / cpu_s),
                ):
                    asked = f"{question}, envelopes of {per_envelope}"
                    _note(found, stores.name, asked, build, per_s)


def _volume(
    stores: Stores,
    builds: Sequence[Build],
    size: Size,
    scratch: Path,
    found: Found,
    parts: Collection[str],
) -> None:
    """Bytes, backup, restore and pages of one large store for each build."""
    databases = {build.name: stores.new() for build in builds}
    empty = _written(scratch, iter(()))
    probes = max(1, round(size.store_results / _RESULTS_A_PROBE))
    registry = scratch / "registry.toml"
    registry.write_text(workload.registry(probes), encoding="utf-8")
    for build in builds:
        database = databases[build.name]
        _ingested(build, database, empty, 0)
        # The days ahead have their partitions before anything is weighed.
        build.step("maintain", database.address, _NIGHTS)
        config = _config(scratch, database)
        build.run("-m", "collector.cli", "registry", "apply", registry, "--config", config)
    before = {name: database.used_bytes() for name, database in databases.items()}
    work = Workload(size.store_results, 2, probes, _past(3), mixed=False)
    for file, results in _chunks(scratch, workload.messages(work), work.per_envelope):
        for build in builds:
            _ingested(build, databases[build.name], file, results)
    for build in builds:
        database = databases[build.name]
        grown = database.used_bytes() - before[build.name]
        _note(found, stores.name, "bytes a result", build, grown / work.results)
        build.step("maintain", database.address, _NIGHTS)
        grown = database.used_bytes() - before[build.name]
        _note(found, stores.name, "bytes a result, after the night", build, grown / work.results)
    if "volume" in parts:
        for _ in range(size.rounds):
            _copies(stores, builds, databases, scratch, found, size.store_results)
        _pages(stores.name, builds, databases, size, scratch, found)
    times = round(size.large_results / size.store_results)
    if "copies" in parts and times > 1:
        results = times * size.store_results
        for build in builds:
            build.step("multiply", databases[build.name].address, times, size.store_results)
            _note(found, stores.name, "results of a large store", build, results)
        _copies(stores, builds, databases, scratch, found, results, " of a large store")
    for database in databases.values():
        stores.drop(database)


def _copies(
    stores: Stores,
    builds: Sequence[Build],
    databases: Mapping[str, Database],
    scratch: Path,
    found: Found,
    results: int,
    of: str = "",
) -> None:
    """One backup and one restore by each build."""
    for build in builds:
        copy, restored = scratch / f"{stores.name}.copy", stores.new()
        for verb, database in (("backup", databases[build.name]), ("restore", restored)):
            config = _config(scratch, database)
            began_s, began_cpu_s = time.monotonic(), _cpu_s(stores)
            build.run("-m", _program(build), verb, "--config", config, copy)
            _note(found, stores.name, f"{verb}{of}, s", build, time.monotonic() - began_s)
            _note(found, stores.name, f"{verb}{of}, CPU s", build, _cpu_s(stores) - began_cpu_s)
        per_result = copy.stat().st_size / results
        _note(found, stores.name, f"backup{of}, bytes a result", build, per_result)
        copy.unlink()
        stores.drop(restored)


def _cpu_s(stores: Stores) -> float:
    """Processor seconds so far of the database server and of the programs that have ended."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return stores.server_cpu_s() + ended.ru_utime + ended.ru_stime


def _program(build: Build) -> str:
    """The module that `tramdo-collector` runs in a build."""
    return "collector" if (build.root / "collector" / "__main__.py").exists() else "collector.cli"


def _pages(
    store: str,
    builds: Sequence[Build],
    databases: Mapping[str, Database],
    size: Size,
    scratch: Path,
    found: Found,
) -> None:
    paths = (
        "/", "/public", "/isps", "/alerts", "/system", "/metrics",
        f"/line/{workload.TENANT}/tram-00000-1/vnpt", f"/probe/{workload.TENANT}/tram-00000-1",
        f"/api/v1/lines/{workload.TENANT}/tram-00000-1/vnpt/series", "/api/results?limit=1000",
    )  # fmt: skip
    with ExitStack() as stack:
        urls = {
            build.name: stack.enter_context(_serving(build, databases[build.name], scratch))
            for build in builds
        }
        time.sleep(_SETTLED_S)
        for path in paths:
            took: dict[str, list[float]] = defaultdict(list)
            for _ in range(1 + size.gets):
                for name, url in urls.items():
                    took[name].append(_get_ms(url + path))
            shown = path.replace(f"/{workload.TENANT}/tram-00000-1", "/…")
            for build in builds:
                first, *later = took[build.name]
                _note(found, store, f"page {shown}, first, ms", build, first)
                _note(found, store, f"page {shown}, ms", build, statistics.median(later))


@contextmanager
def _serving(build: Build, database: Database, scratch: Path) -> Iterator[str]:
    """A collector of that build on that store, without a broker; where its pages are."""
    port = free_port()
    config = _config(scratch, database, port)
    log = scratch / f"collector-{build.name}.log"
    with log.open("w") as file:
        process = subprocess.Popen(
            build.argv("-m", "collector.cli", "run", "--config", config),
            cwd=build.root, env=build.environment(), stdout=file, stderr=file,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        until_s = time.monotonic() + _START_S
        while not _answers(url):
            if process.poll() is not None or time.monotonic() > until_s:
                raise CannotMeasureError(f"{build.name}: no pages: {log.read_text()[-800:]}")
            time.sleep(0.1)
        yield url
    finally:
        process.kill()
        process.wait()


def _outbox(builds: Sequence[Build], size: Size, scratch: Path, found: Found) -> None:
    work = Workload(size.counted, 1, 1, _past(3), mixed=False)
    file = _bodies(scratch, work)
    for per_transaction in _TRANSACTIONS:
        for build in builds:
            with tempfile.TemporaryDirectory(dir=scratch) as folder:
                did = build.step("outbox", folder, file, per_transaction)
            for question, value in (
                ("bytes a result", did["used_bytes"]),
                ("bytes written a result", did["written_bytes"]),
                ("CPU us a result", did["cpu_s"] * 1e6),
            ):
                asked = f"outbox, {question}, transactions of {per_transaction}"
                _note(found, _SQLITE, asked, build, value / did["results"])


def _delivery(builds: Sequence[Build], size: Size, scratch: Path, found: Found) -> None:
    for per_envelope in (*_ENVELOPES, _FULL_ENVELOPE):
        file = _bodies(scratch, Workload(size.counted + 1, per_envelope, 1, _past(3), mixed=False))
        for build in builds:
            did = _delivered(build, scratch, file, per_envelope, count_bytes=True)
            per_result = did["payload_bytes"] / did["results"]
            asked = f"wire bytes a result, envelopes of {per_envelope}"
            _note(found, _SQLITE, asked, build, per_result)
    for per_envelope in (2, 20, _FULL_ENVELOPE):
        file = _bodies(
            scratch, Workload(size.delivered + 1, per_envelope, 1, _past(3), mixed=False)
        )
        for _ in range(size.rounds):
            for build in builds:
                did = _delivered(build, scratch, file, per_envelope, count_bytes=False)
                _note_delivery(found, build, per_envelope, did)


def _delivered(
    build: Build, scratch: Path, file: Path, per_envelope: int, *, count_bytes: bool
) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        return build.step("deliver", folder, file, per_envelope, int(count_bytes))


def _note_delivery(found: Found, build: Build, per_envelope: int, did: Mapping[str, Any]) -> None:
    of, results = f"envelopes of {per_envelope}", did["results"]
    _note(found, _SQLITE, f"delivery, results/s, {of}", build, results / did["wall_s"])
    for end in ("probe", "centre"):
        cpu_us = did[f"{end}_cpu_s"] / results * 1e6
        _note(found, _SQLITE, f"delivery, {end}'s CPU us a result, {of}", build, cpu_us)
    if per_envelope == _FULL_ENVELOPE:
        peak = did["centre_peak_bytes"] / 1e6
        _note(found, _SQLITE, "centre's peak memory, MB", build, peak)


def _bodies(scratch: Path, work: Workload) -> Path:
    file = scratch / "bodies"
    file.write_bytes(msgspec.msgpack.encode(list(workload.bodies(work))))
    return file


def rows_of(found: Found, older: str, this: str) -> Iterator[Row]:
    """A row a question: both figures, and this build's over the older one's."""
    for (store, question), values in found.items():
        before, after = _median(values[older]), _median(values[this])
        yield {
            "store": store,
            "what": question,
            "rounds": len(values[this]),
            older: before,
            this: after,
            "ratio": ratio(before, after),
        }


def targets_of(found: Found, older: str, this: str) -> Iterator[Target]:
    """The promised ratios, and that no page is slower than it was."""
    for limit in LIMITS:
        values: Mapping[str, list[float]] = found.get((limit.store, limit.question), {})
        value = ratio(_median(values.get(older, [])), _median(values.get(this, [])))
        name = f"{limit.store}: {limit.question}, ratio"
        yield (at_least if limit.at_least else at_most)(name, value, limit.limit)
    for store in (_SQLITE, _POSTGRESQL):
        ratios = [
            (ratio(_median(values[older]), _median(values[this])) or 0.0, question)
            for (of, question), values in found.items()
            if of == store and question.startswith("page ") and "first" not in question
        ]
        worst, question = max(ratios, default=(None, "page"))
        yield at_most(f"{store}: slowest against before: {question}, ratio", worst, 1.1)


def ratio(before: float | None, after: float | None) -> float | None:
    """`after / before`; None where either is not known."""
    return None if not before or after is None else round(after / before, 3)


def _median(values: Sequence[float]) -> float | None:
    return round(statistics.median(values), 1) if values else None


def _note(found: Found, store: str, question: str, build: Build, value: float) -> None:
    found[store, question][build.name].append(value)
    note(f"{store}: {question}: {build.name}: {value:,.1f}")


def _ingested(build: Build, database: Database, file: Path, results: int) -> dict[str, Any]:
    did = build.step("ingest", database.address, file)
    if did["stored"] != results:
        raise CannotMeasureError(f"{build.name} stored {did['stored']} of {results} results")
    return did


def _past(days: int) -> datetime:
    return datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(days=days)


def _written(scratch: Path, sent: Iterator[tuple[str, bytes]]) -> Path:
    path = scratch / "messages"
    path.write_bytes(msgspec.msgpack.encode(list(sent)))
    return path


def _chunks(
    scratch: Path, sent: Iterator[tuple[str, bytes]], per_envelope: int
) -> Iterator[tuple[Path, int]]:
    """Files of messages with so many results in each, one at a time on the disk."""
    chunk: list[tuple[str, bytes]] = []
    for message in sent:
        chunk.append(message)
        if len(chunk) * per_envelope >= _CHUNK:
            yield _written(scratch, iter(chunk)), len(chunk) * per_envelope
            chunk = []
    if chunk:
        yield _written(scratch, iter(chunk)), len(chunk) * per_envelope


def _config(scratch: Path, database: Database, port: int | None = None) -> Path:
    directory = Path(tempfile.mkdtemp(dir=scratch))
    path = directory / "collector.toml"
    table = {
        "broker": {"host": "127.0.0.1", "port": 1, "tls": False},
        "store": dict(database.settings),
        "web": {"port": port or free_port(), "people_file": str(directory / "people.sqlite")},
        "alerts": {"path": str(directory / "alerts.sqlite")},
        "papers": {"path": str(directory / "papers")},
    }
    path.write_bytes(msgspec.toml.encode(table))
    return path


def _file_bytes(path: Path) -> int:
    """What is used of a SQLite file: pages that wait to be used again are no result's."""
    with closing(sqlite3.connect(path)) as database:
        pages, free, page_bytes = (
            int(database.execute(f"PRAGMA {name}").fetchone()[0])
            for name in ("page_count", "freelist_count", "page_size")
        )
    return (pages - free) * page_bytes


def _database_bytes(conninfo: str) -> int:
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute("VACUUM")
        row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    assert row is not None
    return int(row[0])


def _answers(url: str) -> bool:
    try:
        return _get_ms(f"{url}/healthz") > 0
    except urllib.error.HTTPError:
        return True  # it is not well without a broker, and says so
    except OSError:
        return False


def _get_ms(url: str) -> float:
    began_s = time.perf_counter()
    with urllib.request.urlopen(url, timeout=120) as answer:
        answer.read()
    return (time.perf_counter() - began_s) * 1_000


if __name__ == "__main__":
    sys.exit(run("ingest", measured, number=_RESULTS, text=_AGAINST, parts=_PARTS))
