"""Floor 3. What dies under load in `bench.fleet`: the broker, a collector, the network.

Each function goes on from a fleet whose probes are connected, and gives what it has timed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, LiteralString, NamedTuple

import psycopg

from bench.fleet_run import TENANT, WITHIN_S, Fleet
from bench.fleet_scene import ClusterBroker, FleetBroker, join, split
from bench.fleet_worker import Snapshot
from tests.client import eventually
from tests.lab.namespace import Namespace

_SETTLE_S = 2.0


class Return(NamedTuple):
    """All probes after a broker's death: until the last was back, what it cost the broker."""

    all_back_s: float
    longest_wait_s: float
    broker_cpu_s: float
    tries: int


def broker_dies(running: Fleet) -> Return:
    """Kill the broker as a power cut would, and start it again on what it has kept."""
    assert not isinstance(running.broker, ClusterBroker)
    before = running.workers.snapshot()
    running.broker.kill()
    killed_s = time.monotonic()
    running.until(lambda one: not one.connected, "all have noticed")
    running.broker.start()
    back = running.until(lambda one: one.connected == before.started, "all are back")
    return Return(
        time.monotonic() - killed_s,
        max(back.waits_s, default=0.0),
        running.broker_cpu_s(),
        back.tries - before.tries,
    )


class Writers:
    """Which collector wrote which block of results, and when: by the database server itself.

    Two columns with defaults are added to the table; inserts name their columns.
    """

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo
        with psycopg.connect(conninfo, autocommit=True) as connection:
            connection.execute(
                "ALTER TABLE result_blocks "
                "ADD COLUMN writer text DEFAULT current_setting('application_name'), "
                "ADD COLUMN written_at timestamptz DEFAULT clock_timestamp()"
            )

    def now(self) -> datetime:
        """The server's clock."""
        at: datetime = self._one("SELECT clock_timestamp()", ())
        return at

    def blocks_of(self, number: int, since: datetime) -> int:
        """How many blocks a collector has written since a time, all committed."""
        return int(
            self._one(
                "SELECT count(*) FROM result_blocks WHERE writer LIKE %s AND written_at >= %s",
                (f"tramdo-collector collector-{number}@%", since),
            )
        )

    def _one(self, query: LiteralString, values: Sequence[object]) -> Any:  # noqa: ANN401 - SQL's
        with psycopg.connect(self._conninfo) as connection:
            row = connection.execute(query, values).fetchone()
        assert row is not None
        return row[0]


def nodes_die(running: Fleet, names: Sequence[str], gap_s: float) -> list[float]:
    """The nodes that these clients try first die one after another, and are started again.

    Returns:
        For each, seconds until every probe was connected and backlogs were gone.
    """
    assert isinstance(running.broker, ClusterBroker)
    cluster, found = running.broker.cluster, []
    for name in names:
        number = cluster.first_node_of(name)
        cluster.kill(number)
        killed_s = time.monotonic()
        running.over(_SETTLE_S)
        running.until(lambda one: one.connected == one.started, "all are back")
        running.until_delivered_once()
        found.append(time.monotonic() - killed_s)
        cluster.start(number)
        cluster.until_ready()
        running.over(gap_s)
    return found


class Takeover(NamedTuple):
    """Until receipts came again after a collector's end, seconds; and what was written by whom."""

    after_death_s: float
    after_pause_s: float
    blocks_of_paused: int
    blocks_of_holder: int


def collectors_change(running: Fleet, conninfo: str) -> Takeover:
    """The holder of the tenant is killed; the spare, now the holder, is paused and goes on."""
    first, second = running.collectors
    second.start()
    writers = Writers(conninfo)
    running.over(_SETTLE_S)
    after_death_s = until_confirmed_again(running, first.kill)
    first.start()
    running.over(_SETTLE_S)
    after_pause_s = until_confirmed_again(running, second.hang)
    since = writers.now()
    second.go_on()
    noticed = f"taken tenant {TENANT} over"
    eventually(lambda: noticed in second.log, "the paused one notices", WITHIN_S)
    running.over(10.0)
    return Takeover(
        after_death_s, after_pause_s, writers.blocks_of(1, since), writers.blocks_of(0, since)
    )


class SplitEnds(NamedTuple):
    """Seconds from the end of a split until all probes were back, until receipts came again."""

    probes_back_s: float
    receipts_again_s: float


def network_splits(running: Fleet, namespace: Namespace) -> SplitEnds:
    """First no probe reaches the broker, then the collector does not; packets vanish."""
    assert isinstance(running.broker, FleetBroker)
    ports, probes = running.broker.ports, running.setup.probes
    split(namespace, ports["certificate"])
    running.until(lambda one: not one.connected, "all have noticed")
    join(namespace)
    joined_s = time.monotonic()
    running.until(lambda one: one.connected == probes, "all are back")
    probes_back_s = time.monotonic() - joined_s
    running.until_delivered_once()
    split(namespace, ports["password"])
    # Longer than the broker waits for a client: one and a half keepalives (MQTT 5, 3.1.2.10).
    running.over(2 * running.setup.keepalive_s)
    return SplitEnds(probes_back_s, until_confirmed_again(running, lambda: join(namespace)))


def until_confirmed_again(running: Fleet, end: Callable[[], None]) -> float:
    """Seconds from an end until receipts come again; those that were on their way do not count."""
    began_s = time.monotonic()
    end()
    time.sleep(1.0)
    running.workers.snapshot()

    def confirmed(one: Snapshot) -> bool:
        return bool(one.confirmed_s)

    running.until(confirmed, "receipts come again")
    return time.monotonic() - began_s
