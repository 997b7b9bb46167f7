"""Floor 3. What a broker costs: by TLS connection, by clean session, and in time to a receipt.

Mosquitto as it is deployed, with 1,000, 5,000 and 10,000 connections by certificate: memory and
processor time of each, all back after kill -9. Memory of a clean session at RabbitMQ and at NATS.
From publishing a result to the receipt of it, one after another, by the real collector: at
Mosquitto and at nodes of RabbitMQ and NATS. Connections are silent clients of a few processes
(`bench/broker_clients.py`); what probes cost is in `fleet`.
"""

from __future__ import annotations

import queue
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import psutil
from msgspec import structs

from bench.broker_clients import Clients, ClientSpec
from bench.fleet_probe import probe_name
from bench.fleet_scene import FleetBroker, certify, percentile
from bench.report import (
    CannotMeasureError,
    Cell,
    IntegerOption,
    Options,
    Outcome,
    Row,
    at_most,
    note,
    run,
)
from runtime.broker import BrokerConfig
from runtime.mqtt import Connected, Event, Message, MqttSession, Received
from tests import nats, rabbitmq, samples
from tests.cluster import COLLECTOR as USER
from tests.cluster import Cluster, Scene, clients_of
from tests.collector_process import CollectorProcess
from tests.secured_broker import COLLECTOR, PROBE, TENANT, Office, why_not
from wire import messages, topics
from wire.messages import Receipt

_WITHIN_S = 900.0
# Until what a connection has cost is in the figures: a broker tidies up behind a handshake.
_SETTLE_S = 5.0
_EPOCH = UUID(int=15)
E = TypeVar("E", Connected, Received)


class Cost:
    """Memory and processor time of processes with their children."""

    def __init__(self, pids: Sequence[int]) -> None:
        found = [psutil.Process(pid) for pid in pids]
        every = [one for each in found for one in (each, *each.children(recursive=True))]
        self.resident_bytes = sum(one.memory_info().rss for one in every)
        self.cpu_s = sum(one.cpu_times().user + one.cpu_times().system for one in every)


def row(broker: str, connections: int, **figures: float | None) -> Row:
    """A row; what is not given was not measured."""
    names = (
        "bytes_a_connection", "cpu_ms_a_connection", "all_in_s", "all_back_s", "cpu_back_s",
        "receipt_p50_s", "receipt_p99_s",
    )  # fmt: skip
    made: dict[str, Cell] = {"broker": broker, "connections": connections}
    return made | {name: figures.get(name) for name in names}


def until_connected(clients: Clients, count: int) -> float:
    """Wait until all are connected; how long it took, in seconds."""
    began_s = time.monotonic()
    while (connected := clients.connected()) < count:
        if time.monotonic() - began_s > _WITHIN_S:
            raise CannotMeasureError(f"{connected} of {count} are connected")
        time.sleep(0.2)
    return time.monotonic() - began_s


def mosquitto(folder: Path, count: int) -> Row:
    """Connections at Mosquitto, before and after its death."""
    office = Office(folder / "office")
    certify(office, folder / "certificates", count)
    names = [probe_name(number) for number in range(count)]
    with FleetBroker(folder / "broker", office, TENANT, count) as broker:
        spec = ClientSpec(
            [broker.ports["certificate"]], office.ca_file, folder / "certificates", TENANT
        )
        empty = Cost([broker.pid])
        with Clients(spec, names) as clients:
            in_s = until_connected(clients, count)
            time.sleep(_SETTLE_S)
            full = Cost([broker.pid])
            broker.kill()
            killed_s = time.monotonic()
            while clients.connected():
                time.sleep(0.1)
            broker.start()
            until_connected(clients, count)
            back_s = time.monotonic() - killed_s
            cpu_back_s = Cost([broker.pid]).cpu_s
    return row(
        "Mosquitto", count,
        bytes_a_connection=(full.resident_bytes - empty.resident_bytes) / count,
        cpu_ms_a_connection=(full.cpu_s - empty.cpu_s) * 1000 / count,
        all_in_s=in_s, all_back_s=back_s, cpu_back_s=cpu_back_s,
    )  # fmt: skip


@contextmanager
def cluster_of(kind: str, folder: Path, probes: Sequence[str]) -> Iterator[Scene]:
    """Nodes of RabbitMQ or NATS that know these probes too."""
    office = Office(folder / "office")
    who, identities = clients_of(office)
    here, *others = who.tenants
    here = structs.replace(here, probes=[*here.probes, *probes])
    who = structs.replace(who, tenants=[here, *others])
    made: Cluster = (
        nats.NatsCluster(folder / "nodes", office, 3, who)
        if kind == "NATS"
        else rabbitmq.RabbitCluster(folder / "nodes", office, who)
    )
    with made:
        yield Scene(made, identities)


def sessions(kind: str, folder: Path, count: int) -> Row:
    """Clean sessions at a cluster: memory and processor time of all of its nodes for each."""
    names = [probe_name(number) for number in range(count)]
    with cluster_of(kind, folder, names) as scene:
        cluster = scene.cluster
        certify(cluster.office, folder / "certificates", count)
        ports = [node.port for node in cluster.settings.nodes]
        spec = ClientSpec(ports, cluster.office.ca_file, folder / "certificates", TENANT)
        empty = Cost(cluster.pids)
        with Clients(spec, names) as clients:
            in_s = until_connected(clients, count)
            time.sleep(_SETTLE_S)
            full = Cost(cluster.pids)
    return row(
        shown(kind, cluster), count,
        bytes_a_connection=(full.resident_bytes - empty.resident_bytes) / count,
        cpu_ms_a_connection=(full.cpu_s - empty.cpu_s) * 1000 / count,
        all_in_s=in_s,
    )  # fmt: skip


def shown(kind: str, cluster: Cluster) -> str:
    """A cluster's name, with its release and how many nodes."""
    release = f" {rabbitmq.release()}" if kind == "RabbitMQ" else ""
    return f"{kind}{release}, {len(cluster.settings.nodes)} nodes"


class Sender:
    """A probe's connection that publishes a result and waits for its receipt."""

    def __init__(self, config: BrokerConfig) -> None:
        self._inbox: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._session = MqttSession(
            config, PROBE, self._inbox.put,
            subscriptions=[topics.of_probe(TENANT, PROBE, "receipt")], kept=False,
        )  # fmt: skip
        self._sent = 0

    def __enter__(self) -> Sender:
        self._session.start()
        self._until(Connected)
        # No event says that a subscription was granted at the first time.
        time.sleep(_SETTLE_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._session.stop()

    def receipt_s(self) -> float:
        """Send one more result; seconds until a receipt covers it."""
        self._sent += 1
        content = samples.envelope(
            [(self._sent, samples.latency())], tenant=TENANT, probe=PROBE, epoch=_EPOCH
        )
        began_s = time.monotonic()
        topic = topics.measurement(TENANT, PROBE, "latency")
        if self._session.publish(Message(topic, content)) is None:
            raise CannotMeasureError("the connection to the broker was lost")
        while True:
            came = self._until(Received)
            receipt = messages.decode(came.payload, Receipt)
            if receipt.epoch == _EPOCH and receipt.stored_through >= self._sent:
                return time.monotonic() - began_s

    def _until(self, wanted: type[E]) -> E:
        while True:
            try:
                event = self._inbox.get(timeout=60.0)
            except queue.Empty as error:
                raise CannotMeasureError(f"no {wanted.__name__} within a minute") from error
            if isinstance(event, wanted):
                return event


def receipts(name: str, collector: CollectorProcess, probe: BrokerConfig, count: int) -> Row:
    """How long a result waits for its receipt, one after another."""
    with collector, Sender(probe) as sender:
        sender.receipt_s()
        waited_s = []
        for _ in range(count):
            waited_s.append(sender.receipt_s())
            time.sleep(random.uniform(0.0, 0.2))
    return row(
        name, 1,
        receipt_p50_s=percentile(waited_s, 0.5), receipt_p99_s=percentile(waited_s, 0.99),
    )  # fmt: skip


def mosquitto_receipts(folder: Path, count: int) -> Row:
    """At one Mosquitto."""
    office = Office(folder / "office")
    probe = office.probe(PROBE)
    with FleetBroker(folder / "broker", office, TENANT, 1) as broker:
        collector = CollectorProcess(
            folder / "collector", broker.by_password(COLLECTOR), tables={"tenant": TENANT}
        )
        return receipts("Mosquitto", collector, broker.by_certificate(probe), count)


def cluster_receipts(kind: str, folder: Path, count: int) -> Row:
    """At the nodes of a cluster."""
    with cluster_of(kind, folder, []) as scene:
        cluster, identities = scene
        collector = CollectorProcess(
            folder / "collector",
            cluster.config(identities[USER]),
            tables={"tenant": TENANT, "client_id": USER},
        )
        probe = cluster.config(identities[PROBE])
        return receipts(shown(kind, cluster), collector, probe, count)


def clusters() -> Iterator[str]:
    """Those that are here; of the others it is said why not."""
    for kind, reason in (("RabbitMQ", rabbitmq.why_not()), ("NATS", nats.why_not())):
        if reason is None:
            yield kind
        else:
            note(reason)


def measured(options: Options) -> Outcome:
    """All of it; `quick` has fewer connections and results."""
    if (reason := why_not()) is not None:
        raise CannotMeasureError(reason)
    most = 200 if options.quick else options.number
    counts = sorted({min(most, count) for count in (1_000, 5_000, 10_000)} | {most})
    results, clean = (20, 50) if options.quick else (200, min(300, options.number))
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="tramdo-brokers-") as directory:
        folder = Path(directory)
        for count in counts:
            note(f"Mosquitto, {count} connections")
            rows.append(mosquitto(folder / f"mosquitto-{count}", count))
        rows.append(mosquitto_receipts(folder / "mosquitto", results))
        for kind in clusters():
            note(kind)
            rows.append(sessions(kind, folder / f"{kind}-sessions", clean))
            rows.append(cluster_receipts(kind, folder / f"{kind}-receipts", results))
    largest = rows[len(counts) - 1]
    cpu_s, name = largest["cpu_back_s"], f"{counts[-1]} back at Mosquitto, broker's CPU seconds"
    return Outcome(rows, [at_most(name, float(cpu_s or 0), 60.0)])


_CONNECTIONS = IntegerOption("connections", 10_000, "how many connections at most")

if __name__ == "__main__":
    sys.exit(run("brokers", measured, peers=("mosquitto", "rabbitmq-server"), number=_CONNECTIONS))
