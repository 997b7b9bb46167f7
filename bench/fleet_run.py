"""Floor 3. One fleet at one centre: set up, started, asked, counted."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
from msgspec import Struct, structs

from bench.builds import Build
from bench.fleet_probe import FleetSpec
from bench.fleet_scene import (
    ClusterBroker,
    Count,
    FleetBroker,
    PlainBroker,
    certify,
    count,
    open_store,
)
from bench.fleet_values import IspFault
from bench.fleet_worker import Snapshot, Workers
from bench.process_cost import tree_cpu_s
from bench.report import CannotMeasureError, note
from tests.collector_process import CollectorProcess
from tests.lab.namespace import Namespace
from tests.postgresql import PostgresqlServer
from tests.secured_broker import Office

TENANT = "toan-quoc"
AnyBroker = FleetBroker | PlainBroker | ClusterBroker
WITHIN_S = 1_800.0
# A process looks through its open files for each outbox that it opens: some hundred probes each.
_PROBES_A_PROCESS = 500
_SEED = 15
_LOOK_EVERY_S = 1.0
# Of probes that are made: what a process makes of them costs it some 10 ms each.
_STARTED_PER_S = 100.0


class Setup(Struct, frozen=True, kw_only=True):
    """What is set up.

    Attributes:
        probes: how many.
        window_s: how often each line has latency windows.
        reconnect_max_s: as `broker.reconnect_max_s` of each probe; the spread of their return,
            30 s, is no longer than that.
        secured: the broker as deployed, TLS with certificates, results signed; else a plain one.
        backlog: results that wait in each twentieth outbox.
        database: the PostgreSQL server and database of the collectors; None: SQLite.
        older: the build whose collector it is, with results as it reads them; None: this one.
        collectors: how many are made; the first one is started.
        processes: of the fleet; 0: by its size.
        namespace: of the broker; None: this one.
        keepalive_s: as `broker.keepalive_s` of all.
        cluster: whether the broker is three nodes of NATS.
    """

    probes: int
    window_s: float = 60.0
    reconnect_max_s: float = 120.0
    secured: bool = True
    backlog: int = 30
    database: str | None = None
    older: Build | None = None
    collectors: int = 1
    processes: int = 0
    namespace: Namespace | None = None
    keepalive_s: int = 60
    cluster: bool = False


class Fleet:
    """Probes, their broker and collectors."""

    def __init__(
        self,
        setup: Setup,
        broker: AnyBroker,
        collectors: list[CollectorProcess],
        workers: Workers,
    ) -> None:
        self.setup = setup
        self.broker = broker
        self.collectors = collectors
        self.workers = workers

    @property
    def collector(self) -> CollectorProcess:
        """The first one."""
        return self.collectors[0]

    def start(self, below: int | None = None) -> Snapshot:
        """Make and start the probes below a number, or all; until they are connected."""
        probes = self.setup.probes if below is None else below
        self.workers.start(over_s=probes / _STARTED_PER_S, below=below)
        return self.until(lambda one: one.connected == one.started == probes, "all are connected")

    def until_delivered(self) -> Snapshot:
        """Wait until every probe has everything confirmed."""
        return self.until(lambda one: not one.undelivered, "all is confirmed")

    def until_delivered_once(self) -> None:
        """Wait until backlogs are gone: at most each twentieth probe has something on its way."""
        self.until(lambda one: one.undelivered <= one.started / 20 + 1, "backlogs are gone")

    def until(
        self, ask: Callable[[Snapshot], bool], what: str, within_s: float = WITHIN_S
    ) -> Snapshot:
        """Wait until a snapshot is as asked; its lists are of all snapshots meanwhile."""
        began_s = noted_s = time.monotonic()
        before = Snapshot()
        while True:
            one = self.workers.snapshot()
            found = structs.replace(
                one,
                confirmed_s=before.confirmed_s + one.confirmed_s,
                waits_s=before.waits_s + one.waits_s,
            )
            if ask(one):
                return found
            before, now_s = found, time.monotonic()
            text = (
                f"{what}: after {now_s - began_s:.0f} s {one.connected} of {one.started} are "
                f"connected, {one.undelivered} have results that are not confirmed"
            )
            if now_s - began_s > within_s:
                raise CannotMeasureError(text)
            if now_s - noted_s > 30:
                noted_s = now_s
                note(text)
            time.sleep(_LOOK_EVERY_S)

    def over(self, seconds: float) -> Snapshot:
        """Let results go on for so long; the snapshot of that time."""
        self.workers.snapshot()
        time.sleep(seconds)
        return self.workers.snapshot()

    def counted(self) -> Count:
        """Let the rest be delivered, end the fleet, compare number by number."""
        self.workers.produce(on=False)
        left = self.until_delivered()
        numbered = self.workers.finish()
        for collector in self.collectors:
            if collector.process is not None and collector.process.poll() is None:
                collector.stop()
        setup = self.setup
        store = open_store(
            {"postgresql": setup.database}
            if setup.database
            else {"path": str(self.collector.store_path)}
        )
        try:
            found = count(store, numbered, left.submitted, left.undelivered)
        finally:
            store.close()
        for finding in found.verdict.findings[:10]:
            note(finding)
        return found

    def collector_cpu_s(self) -> float:
        """Processor seconds of the first collector so far."""
        assert self.collector.process is not None
        return tree_cpu_s(psutil.Process(self.collector.process.pid))

    def broker_cpu_s(self) -> float:
        """Processor seconds of the broker's present process."""
        assert not isinstance(self.broker, ClusterBroker)
        return tree_cpu_s(psutil.Process(self.broker.pid))

    def collector_bytes(self) -> int:
        """Resident memory of the first collector."""
        assert self.collector.process is not None
        return int(psutil.Process(self.collector.process.pid).memory_info().rss)


@contextmanager
def fleet(folder: Path, setup: Setup) -> Iterator[Fleet]:
    """A broker, a collector that runs, and probes that have not been started."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "outboxes").mkdir()
    with ExitStack() as stack:
        broker = _broker(folder, setup)
        stack.enter_context(broker)
        collectors = [_collector(folder, setup, broker, one) for one in range(setup.collectors)]
        for one in collectors:
            # Whichever runs at the end is ended.
            stack.push(one.__exit__)
        collectors[0].start()
        processes = setup.processes or max(2, -(-setup.probes // _PROBES_A_PROCESS))
        workers = Workers(_spec(folder, setup, broker), setup.probes, processes)
        yield Fleet(setup, broker, collectors, stack.enter_context(workers))


def _broker(folder: Path, setup: Setup) -> AnyBroker:
    if not setup.secured:
        return PlainBroker(folder / "broker")
    office = Office(folder / "office")
    certify(office, folder / "certificates", setup.probes)
    if setup.cluster:
        return ClusterBroker(folder / "nodes", office, TENANT, setup.probes)
    return FleetBroker(folder / "broker", office, TENANT, setup.probes, setup.namespace)


def _collector(folder: Path, setup: Setup, broker: AnyBroker, number: int) -> CollectorProcess:
    tables: dict[str, Any] = {"tenant": TENANT, "client_id": f"collector-{number}"}
    if setup.database is not None:
        tables["store"] = {"postgresql": setup.database}
    at = folder / f"collector-{number}"
    broker_config = broker.for_collector(number, setup.keepalive_s)
    if setup.older is None:
        return CollectorProcess(at, broker_config, tables=tables)
    return CollectorProcess(
        at,
        broker_config,
        tables=tables,
        environment=setup.older.environment(),
        command=setup.older.argv("-m", "collector.cli"),
        root=setup.older.root,
    )


def _spec(folder: Path, setup: Setup, broker: AnyBroker) -> FleetSpec:
    now = datetime.now(UTC)
    # Results of an older build's form are for a comparison: nothing but the load is wanted of them.
    plain = not setup.secured
    return FleetSpec(
        seed=_SEED,
        tenant=TENANT,
        broker=broker.for_probes(setup.reconnect_max_s, setup.keepalive_s),
        certificates=None if plain else folder / "certificates",
        folder=folder / "outboxes",
        window_s=setup.window_s,
        faults=(IspFault("vnpt", now, now + timedelta(minutes=10), 0.2, 0.6),),
        backlog=setup.backlog,
        bulk_plans=0 if plain else 1_000,
        wrong_clock_ratio=0.0 if plain else 0.02,
        as_version_0_1_0=plain,
    )


@contextmanager
def database_of(server: PostgresqlServer) -> Iterator[str]:
    """A new database of a server; its connection string."""
    name = server.new_database()
    try:
        yield server.conninfo(name)
    finally:
        server.drop(name)
