"""Floor 3. A fleet at a real centre: what it costs, and what is lost when parts die under load.

Each probe is the product's own outbox, session, publisher and plan (`bench/fleet_probe.py`), some
hundred a process; its results are made by seed. The broker is Mosquitto as it is deployed, TLS with
a certificate a probe; the collector is the real one. At the end everything is counted number by
number: each result that was numbered is stored exactly once and confirmed to its probe.

Scenarios (`--scenario live,growth`; all by default):
- live: the collector's CPU a result at 200 results a second, and of an older build in turn
- nation: 3,321 probes of two lines on one collector and PostgreSQL
- growth: 100, 1,000 and 10,000 probes: cost, memory; then the broker is killed
- collectors: of two, the holder is killed, then the other one is paused and goes on
- primary: under Patroni the primary's machine dies
- nodes: of three NATS nodes two die, one after another
- network: the broker is unreachable, for the probes and then for the collector
- promotion: the primary of PostgreSQL is killed, its standby promoted by hand
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import psutil
import psycopg
from msgspec import structs

from bench.builds import Build, older_build
from bench.fleet_deaths import (
    broker_dies,
    collectors_change,
    network_splits,
    nodes_die,
    until_confirmed_again,
)
from bench.fleet_probe import probe_name
from bench.fleet_run import Setup, database_of, fleet
from bench.fleet_scene import Count, broker_namespace, percentile
from bench.process_cost import tree_cpu_s
from bench.report import (
    CannotMeasureError,
    IntegerOption,
    Options,
    Outcome,
    Row,
    TextOption,
    at_least,
    at_most,
    note,
    run,
)
from tests import nats, patroni, postgresql
from tests.lab import namespace as namespaces
from tests.postgresql import PostgresqlServer
from tests.secured_broker import why_not

OLDER = "8833c83"
NATION_PROBES, NATION_PER_S, CORES = 3_321, 350.0, 2
_MEGABYTE = 1e6


class Figure(NamedTuple):
    """One figure; its unit is in its name. `least`: whether the limit is a least one."""

    what: str
    value: float | None
    limit: float | None = None
    least: bool = False


class Size(NamedTuple):
    """How much is done."""

    live_probes: int
    live_rounds: int
    nation_probes: int
    growth: tuple[int, ...]
    probes: int
    seconds: float


FULL = Size(2_000, 2, NATION_PROBES, (100, 1_000, 10_000), 500, 60.0)
QUICK = Size(100, 1, 200, (50, 100, 200), 50, 10.0)
Scenario = Callable[[Path, Size], Iterator[Figure]]


def measured(options: Options) -> Outcome:
    """The scenarios that were asked for, one after another."""
    if (reason := why_not()) is not None:
        raise CannotMeasureError(reason)
    if postgresql.programs() is None:
        raise CannotMeasureError("postgresql is not installed (deploy/packages.txt)")
    names = options.text.split(",") if options.text != "all" else list(SCENARIOS)
    if unknown := set(names) - SCENARIOS.keys():
        raise CannotMeasureError(f"no such scenario: {', '.join(sorted(unknown))}")
    size = QUICK if options.quick else FULL
    if options.number:
        size = size._replace(
            live_probes=options.number, nation_probes=options.number, probes=options.number,
            growth=(max(1, options.number // 10), options.number),
        )  # fmt: skip
    found: dict[str, list[Figure]] = {}
    for name in names:
        with _folder() as folder:
            found[name] = []
            for figure in SCENARIOS[name](folder, size):
                note(f"{name}: {figure.what}: {figure.value}")
                found[name].append(figure)
    return _outcome(found)


def live(folder: Path, size: Size, older: str = OLDER) -> Iterator[Figure]:
    """The collector's CPU a result, in turns with an older build; and the delay of receipts."""
    builds: dict[str, Build | None] = {older: older_build(older), "this": None}
    costs: dict[str, list[float]] = {name: [] for name in builds}
    p99: list[float] = []
    setup = Setup(
        probes=size.live_probes,
        secured=False,
        backlog=0,
        window_s=60.0 * size.live_probes / FULL.live_probes,
    )
    for number in range(size.live_rounds):
        for name, build in builds.items():
            at = folder / f"{name}-{number}"
            with fleet(at, structs.replace(setup, older=build)) as running:
                running.start()
                running.over(size.seconds / 3)
                began_s, before = running.collector_cpu_s(), running.workers.snapshot()
                after = running.over(size.seconds)
                results = after.submitted - before.submitted
                costs[name].append((running.collector_cpu_s() - began_s) / results * 1e6)
                yield Figure(f"{name}, round {number + 1}: results/s", results / size.seconds)
                yield Figure(f"{name}, round {number + 1}: CPU us a result", costs[name][-1])
                p50, high = (percentile(after.confirmed_s, ratio) for ratio in (0.5, 0.99))
                yield Figure(f"{name}, round {number + 1}: receipt p50, s", p50)
                yield Figure(f"{name}, round {number + 1}: receipt p99, s", high)
                if name == "this" and high is not None:
                    p99.append(high)
                yield from _counted(running.counted(), f"{name}, round {number + 1}: ")
            shutil.rmtree(at)
    before_us, after_us = (statistics.median(costs[name]) for name in (older, "this"))
    yield Figure(f"collector's CPU a result, of {older}'s (ratio)", after_us / before_us, 0.30)
    yield Figure("receipt p99, s", statistics.median(p99), 1.0)


def nation(folder: Path, size: Size) -> Iterator[Figure]:
    """Every commune's probe, two lines each, on one collector and PostgreSQL."""
    with _durable() as server, database_of(server) as database:
        setup = Setup(probes=size.nation_probes, database=database)
        with fleet(folder / "fleet", setup) as running:
            running.start()
            running.until_delivered_once()
            collector_s, server_s = running.collector_cpu_s(), _server_cpu_s(server)
            before = running.workers.snapshot()
            seconds = 3 * size.seconds
            after = running.over(seconds)
            collector_s = running.collector_cpu_s() - collector_s
            server_s = _server_cpu_s(server) - server_s
            results = after.submitted - before.submitted
            yield Figure("results/s", results / seconds)
            yield Figure("collector's CPU us a result", collector_s / results * 1e6)
            yield Figure("PostgreSQL's CPU us a result", server_s / results * 1e6)
            share = (collector_s + server_s) / results * NATION_PER_S / CORES
            yield Figure("of two cores at 350 results/s (ratio)", share, 0.25)
            yield Figure("receipt p50, s", percentile(after.confirmed_s, 0.5))
            yield Figure("receipt p99, s", percentile(after.confirmed_s, 0.99))
            yield from _counted(running.counted())


def growth(folder: Path, size: Size) -> Iterator[Figure]:
    """What a probe costs, as the fleet grows; then the broker is killed and all come back."""
    most = size.growth[-1]
    setup = Setup(probes=most, window_s=60.0 * max(1, most // 2_000), backlog=10)
    per_probe: list[float] = []
    memory: list[tuple[int, int]] = []
    with fleet(folder / "fleet", setup) as running:
        for probes in size.growth:
            running.start(below=probes)
            running.until_delivered_once()
            began_s = running.collector_cpu_s() + running.broker_cpu_s()
            before = running.workers.snapshot()
            after = running.over(size.seconds)
            cost_s = running.collector_cpu_s() + running.broker_cpu_s() - began_s
            memory.append((probes, running.collector_bytes()))
            per_probe.append(cost_s / probes / size.seconds * 1e6)
            results = after.submitted - before.submitted
            yield Figure(f"{probes} probes: results/s", results / size.seconds)
            yield Figure(f"{probes} probes: CPU of centre and broker, us a probe-second",
                         per_probe[-1])  # fmt: skip
            yield Figure(f"{probes} probes: collector's memory, MB", memory[-1][1] / _MEGABYTE)
        yield Figure("cost per probe, most against fewest (ratio)", per_probe[-1] / per_probe[0], 1)
        (few, few_bytes), (many, many_bytes) = memory[0], memory[-1]
        grown = (many_bytes - few_bytes) / (many - few) * 1_000 / _MEGABYTE
        yield Figure("collector's memory, MB per 1,000 probes", grown, 15)
        back = broker_dies(running)
        yield Figure(f"{most} back after kill -9, s", back.all_back_s)
        yield Figure("broker's CPU until then, s", back.broker_cpu_s, 60)
        yield Figure("longest that one waited, s", back.longest_wait_s, 120)
        yield Figure("tries of connecting", back.tries)
        running.over(size.seconds / 2)
        yield from _counted(running.counted())


def collectors(folder: Path, size: Size) -> Iterator[Figure]:
    """Two collectors, one lease: one is killed, the other one paused."""
    with _durable() as server, database_of(server) as database:
        setup = _under_load(size, database=database, collectors=2)
        with fleet(folder / "fleet", setup) as running:
            running.start()
            running.over(size.seconds / 3)
            found = collectors_change(running, database)
            yield Figure("stored again after the holder's death, s", found.after_death_s, 15)
            yield Figure("stored again after the holder's pause, s", found.after_pause_s, 15)
            yield Figure("blocks written by the paused one", found.blocks_of_paused, 0)
            yield Figure("blocks written by the holder meanwhile", found.blocks_of_holder, 1, True)
            running.over(size.seconds / 3)
            yield from _counted(running.counted())


def primary(folder: Path, size: Size) -> Iterator[Figure]:
    """Under Patroni the primary's machine dies; its synchronous standby takes over by itself."""
    if (reason := patroni.why_not()) is not None:
        raise CannotMeasureError(reason)
    with patroni.running() as cluster:
        setup = _under_load(size, database=cluster.conninfo)

        def die() -> None:
            name = cluster.primary()
            assert name is not None, "there is a primary"
            cluster.kill(name)

        yield from _without_primary(folder, size, setup, die)


def promotion(folder: Path, size: Size) -> Iterator[Figure]:
    """Without Patroni: the primary is killed, its streaming standby promoted at once."""
    with _durable() as server, server.standby() as standby:
        hosts = f"host={server.host},{standby.host} target_session_attrs=read-write"
        name = server.new_database()
        setup = _under_load(size, database=f"{hosts} user=tramdo dbname={name}")

        def die() -> None:
            server.kill()
            standby.promote()

        yield from _without_primary(folder, size, setup, die)


def _without_primary(
    folder: Path, size: Size, setup: Setup, die: Callable[[], None]
) -> Iterator[Figure]:
    with fleet(folder / "fleet", setup) as running:
        running.start()
        running.over(size.seconds / 3)
        again_s = until_confirmed_again(running, die)
        yield Figure("stored again after the primary's death, s", again_s, 30)
        # Each probe sends once more: a receipt then says what a standby that was behind has lost,
        # and the probe sends it again.
        running.over(2 * setup.window_s)
        yield from _counted(running.counted())


def network(folder: Path, size: Size) -> Iterator[Figure]:
    """The broker is in a network namespace; first the probes, then the collector are split off."""
    if (reason := namespaces.why_not()) is not None:
        raise CannotMeasureError(reason)
    with broker_namespace() as namespace:
        setup = structs.replace(
            _under_load(size, database=None), namespace=namespace, keepalive_s=15
        )
        with fleet(folder / "fleet", setup) as running:
            running.start()
            running.over(size.seconds / 3)
            ends = network_splits(running, namespace)
            yield Figure("all probes back after their split, s", ends.probes_back_s, 120)
            yield Figure("receipts again after the collector's split, s", ends.receipts_again_s)
            running.over(size.seconds / 3)
            yield from _counted(running.counted())


def nodes(folder: Path, size: Size) -> Iterator[Figure]:
    """Of three nodes of NATS the collector's dies, then that of the first probe."""
    if (reason := nats.why_not()) is not None:
        raise CannotMeasureError(reason)
    setup = structs.replace(_under_load(size, database=None), cluster=True)
    with fleet(folder / "fleet", setup) as running:
        running.start()
        running.over(size.seconds / 3)
        took_s = nodes_die(running, ("collector-0", probe_name(0)), size.seconds)
        yield Figure("all delivered again after a node's death, s", took_s[0], 30)
        yield Figure("the same after another one's, a minute later, s", took_s[1], 30)
        yield from _counted(running.counted())


SCENARIOS: Mapping[str, Scenario] = {
    "live": live,
    "nation": nation,
    "growth": growth,
    "collectors": collectors,
    "primary": primary,
    "promotion": promotion,
    "network": network,
    "nodes": nodes,
}


def _under_load(size: Size, *, database: str | None, collectors: int = 1) -> Setup:
    """A fleet that is small and busy: what dies, dies with results on their way."""
    return Setup(
        probes=size.probes, window_s=15.0, reconnect_max_s=10.0, database=database,
        collectors=collectors,
    )  # fmt: skip


def _counted(counted: Count, prefix: str = "") -> Iterator[Figure]:
    verdict = counted.verdict
    yield Figure(f"{prefix}results", verdict.sent)
    yield Figure(f"{prefix}lost", verdict.lost + counted.unnumbered, 0)
    yield Figure(f"{prefix}doubled", verdict.doubled, 0)
    yield Figure(f"{prefix}probes with results that are not confirmed", counted.unconfirmed, 0)
    yield Figure(f"{prefix}findings of the count", len(verdict.findings), 0)


def _outcome(found: Mapping[str, list[Figure]]) -> Outcome:
    rows: list[Row] = [
        {"scenario": name, "what": one.what, "value": one.value, "limit": one.limit}
        for name, figures in found.items()
        for one in figures
    ]
    targets = [
        (at_least if one.least else at_most)(f"{name}: {one.what}", one.value, one.limit)
        for name, figures in found.items()
        for one in figures
        if one.limit is not None
    ]
    return Outcome(rows, targets)


@contextmanager
def _folder() -> Iterator[Path]:
    """In memory: a probe's card is its own, and the probes here would share one disk."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(
        prefix="tramdo-fleet-", dir=memory if memory.is_dir() else None
    ) as folder:
        yield Path(folder)


# On a disk: a commit must cost what it costs.
_durable = partial(postgresql.running, parent=Path("/var/tmp"))


def _server_cpu_s(server: PostgresqlServer) -> float:
    """Processor seconds of the database server so far."""
    with psycopg.connect(server.conninfo("postgres")) as connection:
        postmaster = psutil.Process(connection.info.backend_pid).parent()
        assert postmaster is not None
        return tree_cpu_s(postmaster)


_PROBES = IntegerOption("probes", 0, "how many probes each scenario has; 0: its own number")
_SCENARIO = TextOption("scenario", "all", f"some of {','.join(SCENARIOS)}")

if __name__ == "__main__":
    sys.exit(
        run("fleet", measured, peers=("mosquitto", "postgresql-15"), number=_PROBES, text=_SCENARIO)
    )
