"""Floor 3. Many readers of a large centre at once: time to answer, memory, time to end.

The real collector on SQLite, with its real broker, has 10,000 probes of three lines each, with a
registry. Fifty readers ask for the live page, the overview and the system page in the same moment,
again and again, while results come in; those of the live page hold its event stream open too. Then
SIGTERM, while they go on.
"""

from __future__ import annotations

import http.client
import itertools
import math
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import psutil

from bench.report import Options, Outcome, Row, at_most, note, run
from collector.ingest.validation import validate
from collector.registry.communes import official
from collector.registry.registry import Isp, Probe, Registry
from collector.registry.registry import Line as RegisteredLine
from collector.store.messages import ValidatedMessage
from collector.store.sqlite import SqliteStore
from tests import samples
from tests.broker import Broker
from tests.client import Client
from tests.collector_process import CollectorProcess
from wire import messages, topics
from wire.messages import Presence, State
from wire.result import Line, Result
from wire.site import Site

TENANT = "toan-quoc"
LINES = tuple(
    Line(isp, isp, f"eth{number}") for number, isp in enumerate(("vnpt", "viettel", "fpt"))
)
PAGES = ("/live", "/", "/system")
_PROBES_A_BATCH = 100
_TIMEOUT_S = 60.0


class Size(NamedTuple):
    """How much of everything. `rounds`: how often all readers ask at once."""

    probes: int
    readers: int
    rounds: int


class Reading(NamedTuple):
    """One answer: its page, when all of it was there, and its size as transferred."""

    page: str
    seconds: float
    size_bytes: int


class Figures(NamedTuple):
    """What a run comes to.

    `first_s`: each page for the first time, nobody else reading. `ending_cpu_s`: the collector's
    processor time from SIGTERM to its end, which does not depend on what else the machine does.
    """

    readings: Sequence[Reading]
    first_s: dict[str, float]
    stored_meanwhile: int
    peak_resident_bytes: int
    ended_in_s: float
    ending_cpu_s: float
    exit_code: int


FULL = Size(10_000, 50, 20)
QUICK = Size(500, 50, 5)


def measured(options: Options) -> Outcome:
    size = QUICK if options.quick else FULL
    with tempfile.TemporaryDirectory(prefix="tramdo-readers-", dir="/var/tmp") as folder:
        figures = measure(Path(folder), size)
    rows = [_row(page, figures) for page in PAGES]
    every = [reading.seconds for reading in figures.readings]
    note(f"{figures.stored_meanwhile} results were stored meanwhile")
    return Outcome(
        rows,
        [
            at_most("p95 of all pages (ms)", round(percentile(every, 950) * 1e3, 1), 500.0),
            at_most("peak resident (MB)", round(figures.peak_resident_bytes / 1e6, 1), 400.0),
            at_most("ended after SIGTERM (s)", round(figures.ended_in_s, 2), 5.0),
        ],
    )


def measure(folder: Path, size: Size) -> Figures:
    """Fill a store, start the collector on it, read its pages, and end it."""
    with ExitStack() as stack:
        broker = stack.enter_context(Broker(folder / "broker"))
        store = SqliteStore(folder / "results.sqlite")
        fill(store, size.probes)
        store.close()
        collector = CollectorProcess(folder, broker.config())
        stack.enter_context(collector)
        assert collector.process is not None
        before = collector.get("/api/results?limit=1")[1]["next_after"]
        first_s = {page: fetch(collector.port, page).seconds for page in PAGES}
        note(f"the first time: {first_s}")
        with _incoming(broker, size.probes), _streams(collector.port, size.readers // 3):
            readings = _rounds(collector.port, size)
            stored = collector.get("/api/results?limit=1")[1]["next_after"] - before
            peak = _peak_resident_bytes(collector.process.pid)
            children_s = _children_cpu_s()
            with _endless_readers(collector.port, size.readers):
                began_s, before_s = time.monotonic(), _cpu_s(collector.process.pid)
                exit_code = collector.stop()
                ended_in_s = time.monotonic() - began_s
                ending_cpu_s = _children_cpu_s() - children_s - before_s
    return Figures(readings, first_s, stored, peak, ended_in_s, ending_cpu_s, exit_code)


def _cpu_s(pid: int) -> float:
    """The processor time that a process has used, in seconds."""
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def _children_cpu_s() -> float:
    """The processor time of all children that have ended, in seconds."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def fill(store: SqliteStore, probes: int) -> None:
    """A registry of so many probes, and of each its status and six results on each line."""
    codes = sorted(official())
    store.registry.apply(_registry(probes, codes), "bench", "bench", datetime.now(UTC))
    for begin in range(0, probes, _PROBES_A_BATCH):
        now = datetime.now(UTC)
        batch: list[ValidatedMessage] = []
        for number in range(begin, min(begin + _PROBES_A_BATCH, probes)):
            batch += _messages_of(number, codes[number % len(codes)], now)
        store.store_batch(batch, now)
        while store.roll_up(now):
            pass


def fetch(port: int, path: str, cookies: str = "") -> Reading:
    """Ask for a page as a browser does; the whole of its answer."""
    began_s = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_S)
    headers = {"Accept": "text/html", "Accept-Encoding": "gzip", "Cookie": cookies}
    with closing(connection):
        connection.request("GET", path, headers=headers)
        with connection.getresponse() as answer:
            body = answer.read()
    assert answer.status == 200, (path, answer.status, body[:200])
    return Reading(path, time.monotonic() - began_s, len(body))


def percentile(values: Sequence[float], per_mille: int) -> float:
    """The smallest x with F(x) >= p, without interpolation."""
    return sorted(values)[math.ceil(len(values) * per_mille / 1000) - 1]


def _row(page: str, figures: Figures) -> Row:
    of_page = [reading for reading in figures.readings if reading.page == page]
    seconds = [reading.seconds for reading in of_page]
    return {
        "page": page,
        "readings": len(of_page),
        "first_ms": round(figures.first_s[page] * 1e3, 1),
        "p50_ms": round(percentile(seconds, 500) * 1e3, 1),
        "p95_ms": round(percentile(seconds, 950) * 1e3, 1),
        "max_ms": round(max(seconds) * 1e3, 1),
        "bytes": max(reading.size_bytes for reading in of_page),
    }


def _name(number: int) -> str:
    return f"tram-{number:05}"


def _registry(probes: int, codes: Sequence[str]) -> Registry:
    lines = tuple(
        RegisteredLine(id=line.id, isp=line.id, plan_down_bps=300e6, plan_up_bps=200e6)
        for line in LINES
    )
    return Registry(
        communes=dict(official()),
        isps={line.id: Isp(id=line.id, name=line.id.upper()) for line in LINES},
        probes={
            (TENANT, _name(number)): Probe(
                tenant=TENANT,
                probe=_name(number),
                commune=codes[number % len(codes)],
                office=f"UBND {number}",
                lines=lines,
            )
            for number in range(probes)
        },
    )


def _messages_of(number: int, code: str, now: datetime) -> Iterator[ValidatedMessage]:
    name, epoch = _name(number), UUID(int=number + 1)
    statuses = (
        ("state", State(Presence.ONLINE, now)),
        ("info", samples.info(lines=LINES, epoch=epoch)),
        ("health", samples.health()),
    )
    for channel, message in statuses:
        topic = topics.of_probe(TENANT, name, channel)
        yield validate(topic, messages.encode(message), now)
    results = [result for line in LINES for result in _results(line, now - timedelta(minutes=5))]
    numbered = list(enumerate(sorted(results, key=lambda result: result.kind), start=1))
    for kind, of_kind in itertools.groupby(numbered, key=lambda pair: pair[1].kind):
        topic = topics.measurement(TENANT, name, kind)
        yield validate(topic, _envelope(name, epoch, code, list(of_kind), now), now)


def _results(line: Line, at: datetime) -> Iterator[Result]:
    yield samples.throughput(line=line, started_at=at)
    yield samples.availability(line=line, started_at=at)
    yield samples.web(line=line)
    yield samples.dns(line=line)
    for target in ("stamp:ha-noi", "icmp:gateway"):
        yield samples.latency(line=line, started_at=at, target=target)


def _envelope(
    name: str, epoch: UUID, code: str, numbered: Sequence[tuple[int, Result]], now: datetime
) -> bytes:
    return samples.envelope(
        numbered,
        tenant=TENANT,
        probe=name,
        epoch=epoch,
        site=Site(code, f"UBND {name}", None),
        sent_at=now,
    )


@contextmanager
def _incoming(broker: Broker, probes: int) -> Iterator[None]:
    """Results of twenty probes a second, as a nation's would come in."""
    ended = threading.Event()

    def publish() -> None:
        with Client(broker.config(), "readers") as client:
            for turn in itertools.count():
                number = (turn * 7_919) % probes
                now = datetime.now(UTC)
                numbered = [(1_000 + turn, samples.latency(line=LINES[0], started_at=now))]
                payload = _envelope(_name(number), UUID(int=number + 1), "01969", numbered, now)
                client.publish(topics.measurement(TENANT, _name(number), "latency"), payload)
                if ended.wait(0.05):
                    return

    with _threads([threading.Thread(target=publish, name="incoming")], ended):
        yield


@contextmanager
def _streams(port: int, count: int) -> Iterator[None]:
    """Event streams of the live page, read as they come."""
    ended = threading.Event()

    def listen() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_S)
        with suppress(OSError, http.client.HTTPException), closing(connection):
            connection.request("GET", "/events?after=0")
            with connection.getresponse() as answer:
                while not ended.is_set() and answer.read1():
                    pass

    with _threads([threading.Thread(target=listen, daemon=True) for _ in range(count)], ended):
        yield


@contextmanager
def _endless_readers(port: int, count: int) -> Iterator[None]:
    """Readers without a pause, until the collector has gone."""
    ended = threading.Event()

    def read(page: str) -> None:
        with suppress(OSError, http.client.HTTPException, AssertionError):
            while not ended.is_set():
                fetch(port, page)

    pages = itertools.islice(itertools.cycle(PAGES), count)
    with _threads([threading.Thread(target=read, args=(page,)) for page in pages], ended):
        time.sleep(1.0)
        yield


@contextmanager
def _threads(threads: Sequence[threading.Thread], ended: threading.Event) -> Iterator[None]:
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join(_TIMEOUT_S)


def _rounds(port: int, size: Size) -> list[Reading]:
    """All readers ask in the same moment, wait for each other, and ask again a second later."""
    barrier = threading.Barrier(size.readers)
    readings: list[Reading] = []
    failures: list[Exception] = []

    def read(page: str) -> None:
        try:
            for _ in range(size.rounds):
                barrier.wait(_TIMEOUT_S)
                readings.append(fetch(port, page))
                time.sleep(1.0)
        except (OSError, http.client.HTTPException, AssertionError) as error:
            failures.append(error)
            barrier.abort()
        except threading.BrokenBarrierError:
            pass

    pages = itertools.islice(itertools.cycle(PAGES), size.readers)
    with _threads([threading.Thread(target=read, args=(p,)) for p in pages], threading.Event()):
        pass
    if failures:
        raise failures[0]
    return readings


def _peak_resident_bytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("the kernel states no VmHWM")


if __name__ == "__main__":
    sys.exit(run("readers", measured))
