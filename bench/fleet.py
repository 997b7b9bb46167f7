"""Floor 3. A fleet at a real centre: what it costs, and what is lost when parts die under load.

Each probe is the product's own outbox, session, publisher and plan (`bench/fleet_probe.py`), some
hundred a process; its results are made by seed. The broker is Mosquitto as it is deployed, TLS with
a certificate a probe; the collector is the real one. At the end everything is counted number by
number: each result that was numbered is stored exactly once and confirmed to its probe.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.fleet_probe import FleetSpec
from bench.fleet_scene import Count, FleetBroker, certify, count, open_store, percentile
from bench.fleet_values import IspFault
from bench.fleet_worker import Snapshot, Workers
from bench.process_cost import cost_of
from bench.report import (
    CannotMeasureError,
    IntegerOption,
    Options,
    Outcome,
    Row,
    Target,
    at_most,
    note,
    run,
)
from tests.collector_process import CollectorProcess
from tests.secured_broker import Office, why_not

TENANT = "toan-quoc"
_WITHIN_S = 600.0
_SEED = 15
_BACKLOG = 30


class Fleet:
    """Probes, their broker and a collector, and the figures of a run.

    Attributes:
        broker, collector, workers: the parts.
        settings: the collector's `[store]`.
    """

    def __init__(
        self,
        broker: FleetBroker,
        collector: CollectorProcess,
        workers: Workers,
        settings: dict[str, str],
        probes: int,
    ) -> None:
        self.broker, self.collector, self.workers = broker, collector, workers
        self.settings = settings
        self.probes = probes

    def until_connected(self, within_s: float = _WITHIN_S) -> Snapshot:
        """Wait until every probe is connected; the sum of the snapshots meanwhile."""
        return self.until(lambda one: one.connected == self.probes, "all are connected", within_s)

    def until_delivered(self, within_s: float = _WITHIN_S) -> Snapshot:
        """Wait until every probe has everything confirmed."""
        return self.until(lambda one: not one.undelivered, "all is confirmed", within_s)

    def until(self, ask: Callable[[Snapshot], bool], what: str, within_s: float) -> Snapshot:
        """Wait until a snapshot is as asked; its lists are of all snapshots meanwhile."""
        until_s = time.monotonic() + within_s
        waits_s: list[float] = []
        confirmed_s: list[float] = []
        while True:
            one = self.workers.snapshot()
            waits_s += one.waits_s
            confirmed_s += one.confirmed_s
            if ask(one):
                return Snapshot(
                    started=one.started, connected=one.connected, submitted=one.submitted,
                    undelivered=one.undelivered, tries=one.tries, cpu_s=one.cpu_s,
                    confirmed_s=confirmed_s, waits_s=waits_s,
                )  # fmt: skip
            if time.monotonic() > until_s:
                raise CannotMeasureError(
                    f"not within {within_s:.0f} s: {what}; {one.connected} of {self.probes} are "
                    f"connected, {one.undelivered} have results that are not confirmed"
                )
            time.sleep(0.5)

    def over(self, seconds: float) -> Snapshot:
        """Let results go on for so long; the snapshot of then."""
        self.workers.snapshot()
        time.sleep(seconds)
        return self.workers.snapshot()

    def counted(self) -> Count:
        """Let the rest be delivered, end the fleet, compare number by number."""
        self.workers.produce(on=False)
        left = self.until_delivered()
        numbered = self.workers.finish()
        if self.collector.process is not None and self.collector.process.poll() is None:
            self.collector.stop()
        store = open_store(self.settings)
        try:
            return count(store, numbered, left.submitted, left.undelivered)
        finally:
            store.close()


@contextmanager
def fleet(
    folder: Path,
    probes: int,
    *,
    window_s: float = 60.0,
    reconnect_max_s: float = 120.0,
    processes: int = 0,
) -> Iterator[Fleet]:
    """A broker, a collector and a fleet that has not been started."""
    office = Office(folder / "office")
    certify(office, folder / "certificates", probes)
    (folder / "outboxes").mkdir()
    now = datetime.now(UTC)
    with FleetBroker(folder / "broker", office, TENANT, probes) as broker:
        spec = FleetSpec(
            seed=_SEED,
            tenant=TENANT,
            broker=broker.for_probes(reconnect_max_s),
            certificates=folder / "certificates",
            folder=folder / "outboxes",
            window_s=window_s,
            faults=(IspFault("vnpt", now, now + timedelta(minutes=2), 0.2, 0.6),),
            backlog=_BACKLOG,
        )
        collector = CollectorProcess(
            folder / "collector", broker.for_collector(), tables={"tenant": TENANT}
        )
        with collector, Workers(spec, probes, processes or max(2, probes // 1_000)) as workers:
            settings = {"path": str(collector.store_path)}
            yield Fleet(broker, collector, workers, settings, probes)


def through_the_brokers_death(running: Fleet, seconds: float) -> tuple[Snapshot, Snapshot, float]:
    """Results go on; some offices are cut off; the broker is killed and started again.

    Returns:
        The snapshots of before and after, and how long it took until all were back, in seconds.
    """
    running.workers.start(over_s=running.probes / 100)
    running.until(lambda one: one.started == running.probes, "all are made", _WITHIN_S)
    running.until_connected()
    running.workers.cut(0.05, seconds / 2)
    before = running.over(seconds)
    running.broker.kill()
    killed_s = time.monotonic()
    running.until(lambda one: not one.connected, "all have noticed", _WITHIN_S)
    running.broker.start()
    back = running.until_connected()
    return before, back, time.monotonic() - killed_s


def broker_dies(folder: Path, probes: int, seconds: float) -> Row:
    """The row of a fleet whose broker dies."""
    with fleet(folder, probes) as running:
        before, back, back_s = through_the_brokers_death(running, seconds)
        broker_cpu_s = cost_of(running.broker.pid).cpu_s
        running.over(seconds)
        counted = running.counted()
    verdict = counted.verdict
    for finding in verdict.findings[:10]:
        note(finding)
    return {
        "scenario": "broker killed",
        "store": "SQLite",
        "probes": probes,
        "results": verdict.sent,
        "lost": verdict.lost + counted.unnumbered,
        "doubled": verdict.doubled,
        "unconfirmed": counted.unconfirmed,
        "receipt_p99_s": percentile(before.confirmed_s, 0.99),
        "all_back_s": back_s,
        "longest_wait_s": max(back.waits_s, default=None),
        "broker_cpu_s": broker_cpu_s,
    }


def measured(options: Options) -> Outcome:
    if (reason := why_not()) is not None:
        raise CannotMeasureError(reason)
    probes = min(options.number, 100) if options.quick else options.number
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(
        prefix="tramdo-fleet-", dir=memory if memory.is_dir() else None
    ) as directory:
        row: Row = broker_dies(Path(directory), probes, 20.0 if options.quick else 60.0)
    return Outcome([row], list(_targets(row)))


def _targets(row: Row) -> Iterator[Target]:
    for name in ("lost", "doubled", "unconfirmed"):
        value = row[name]
        yield at_most(f"{row['scenario']}: {name}", float(value or 0), 0)


_PROBES = IntegerOption("probes", 500, "how many probes")

if __name__ == "__main__":
    sys.exit(run("fleet", measured, peers=("mosquitto",), number=_PROBES))
