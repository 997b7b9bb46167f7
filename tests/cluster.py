"""Floor 2. Three nodes of a broker on loopback ports, configured as deploy/broker renders them.

What a cluster is made of is in `tests.nats` and `tests.rabbitmq`; here is what they share.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple, Self

from msgspec import structs

from deploy.broker.cluster import ClusterSettings, ClusterTenant, Node
from probe import config
from runtime.broker import BrokerConfig
from tests import samples
from tests.client import Client, eventually
from tests.collector_process import CollectorProcess
from tests.ports import free_port
from tests.secured_broker import HOST, NEIGHBOUR, PROBE, TENANT, Identity, Office
from tests.system.test_publisher import Office as Probe
from tests.unit.test_config import GOOD

START_TIMEOUT_S = 120.0
COLLECTOR, SUBSCRIBER, STRANGER = "collector-1", "reader-vnpt", "chua-khai-01"
# A second tenant, which the collector takes in too.
OTHER_TENANT, FOREIGNER = "bac-kan", "song-cau-01"
# Of all that is on its way when nodes die, until it is stored once.
_DELIVERY_TIMEOUT_S = 240.0
_FOR_MAJORITY = 3


class Cluster:
    """Nodes of one cluster; each can be killed and started by its number.

    Args:
        directory: the nodes' configurations, logs and stores.
        office: whose certificates they take.
        nodes: how many, whatever `who` says.
        who: tenant and clients.
    """

    protocol = 311

    def __init__(self, directory: Path, office: Office, nodes: int, who: ClusterSettings) -> None:
        self.office = office
        self.directory = directory
        self.settings = structs.replace(
            who,
            nodes=[
                Node(
                    name=f"node-{number}",
                    cluster_host="127.0.0.1",
                    cluster_port=free_port(),
                    port=free_port(),
                    address="127.0.0.1",
                )
                for number in range(nodes)
            ],
            ca_file=str(office.ca_file),
            certificate_file=str(office.server.certificate),
            key_file=str(office.server.key),
        )
        self.running: set[int] = set()

    def __enter__(self) -> Self:
        try:
            for number in range(len(self.settings.nodes)):
                self.start(number)
            self.until_ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for number in list(self.running):
            self.kill(number)

    def start(self, number: int) -> None:
        """Start a node on what it has stored."""
        self.folder(number).mkdir(parents=True, exist_ok=True)
        self._start(number)
        self.running.add(number)

    def kill(self, number: int) -> None:
        """End a node as a power cut would."""
        self.running.discard(number)
        self._kill(number)

    def until_ready(self) -> None:
        """Wait until every running node takes clients."""
        for number in sorted(self.running):
            eventually(partial(self._is_ready, number), "the node is ready", START_TIMEOUT_S)

    def folder(self, number: int) -> Path:
        """Where a node has its files."""
        return self.directory / str(number)

    def log(self, number: int) -> str:
        """All that a node has logged."""
        return (self.folder(number) / "log").read_text(encoding="utf-8", errors="replace")

    @property
    def pids(self) -> list[int]:
        """The process of each running node."""
        return [self._pid(number) for number in sorted(self.running)]

    def describe(self, number: int) -> str:
        """What a running node says of its connections, subscriptions and queues."""
        raise NotImplementedError

    def first_node_of(self, name: str) -> int:
        """The number of the node that a client tries first."""
        return self.order_of(name)[0]

    def order_of(self, name: str) -> list[int]:
        """The numbers of the nodes as a client tries them."""
        ports = [node.port for node in self.settings.nodes]
        addresses = [f"{HOST}:{port}" for port in ports]
        tried = BrokerConfig(addresses=addresses).endpoints_of(name)
        return [ports.index(one.port) for one in tried]

    def config(self, identity: Identity, **changes: object) -> BrokerConfig:
        """How the owner of a certificate reaches the cluster."""
        fields: dict[str, object] = {
            "addresses": [f"{HOST}:{node.port}" for node in self.settings.nodes],
            "protocol": self.protocol,
            "ca_file": str(self.office.ca_file),
            "certificate_file": str(identity.certificate),
            "key_file": str(identity.key),
            "connect_timeout_s": 10.0,
            "reconnect_max_s": 1.0,
        }
        return BrokerConfig(**(fields | changes))  # type: ignore[arg-type]  # fields are by name

    def _start(self, number: int) -> None:
        raise NotImplementedError

    def _kill(self, number: int) -> None:
        raise NotImplementedError

    def _pid(self, number: int) -> int:
        raise NotImplementedError

    def _is_ready(self, number: int) -> bool:
        raise NotImplementedError


class Scene(NamedTuple):
    """A running cluster, and certificates by name."""

    cluster: Cluster
    identities: dict[str, Identity]

    def client(self, name: str, *topics: str) -> Client:
        """A client of its own name, by its certificate."""
        return Client(self.cluster.config(self.identities[name]), name, subscriptions=topics)


def clients_of(office: Office) -> tuple[ClusterSettings, dict[str, Identity]]:
    """Who may use a cluster, and certificates by name: theirs and a stranger's."""
    names = (PROBE, NEIGHBOUR, FOREIGNER, COLLECTOR, SUBSCRIBER, STRANGER)
    who = ClusterSettings(
        nodes=[Node(name="any", cluster_host="127.0.0.1")],
        tenants=[
            ClusterTenant(
                name=TENANT,
                probes=[PROBE, NEIGHBOUR],
                collectors=[COLLECTOR],
                subscribers=[SUBSCRIBER],
            ),
            ClusterTenant(name=OTHER_TENANT, probes=[FOREIGNER], collectors=[COLLECTOR]),
        ],
    )
    return who, {name: office.probe(name) for name in names}


class Delivery:
    """A probe that measures, and the collector that stores it, over one cluster."""

    def __init__(self, collector: CollectorProcess, probe: Probe) -> None:
        self.collector = collector
        self.probe = probe
        self._submitted = 0

    def submit(self, count: int) -> None:
        """Hand over so many results."""
        for _ in range(count):
            self.probe.publisher.submit(samples.latency())
        self._submitted += count

    def until_stored(self) -> None:
        """Wait until all is stored and confirmed; each number is there once."""
        eventually(self._all_stored, f"{self._submitted} are stored", _DELIVERY_TIMEOUT_S)
        eventually(self.probe.delivered, "a receipt for all that is stored", _DELIVERY_TIMEOUT_S)
        numbers = sorted(row["seq"] for row in self.collector.results())
        assert numbers == list(range(1, self._submitted + 1)), "each once"

    def _all_stored(self) -> bool:
        return len(self.collector.results()) >= self._submitted


@contextmanager
def delivery(scene: Scene, folder: Path) -> Iterator[Delivery]:
    """A collector by its own name, for its tenant, and the publisher of a probe."""
    cluster = scene.cluster
    settings = structs.replace(
        config.parse(GOOD.encode(), "probe.toml"),
        probe=PROBE,
        broker=cluster.config(scene.identities[PROBE]),
        delivery=config.DeliveryConfig(resend_after_s=2.0, clock_wait_s=0.0),
    )
    with CollectorProcess(
        folder / "collector",
        cluster.config(scene.identities[COLLECTOR]),
        # Not every tenant's: a subscription may not reach further than the rights.
        tables={"tenant": TENANT, "client_id": COLLECTOR},
    ) as collector:
        probe = Probe(settings, folder)
        try:
            yield Delivery(collector, probe)
        except AssertionError:
            # While both are connected: afterwards there is nothing to see.
            for number in sorted(cluster.running):
                text = cluster.describe(number)
                (folder / f"node-{number}.txt").write_text(text, encoding="utf-8")
            raise
        finally:
            probe.publisher.stop()


def deliver_through_deaths(scene: Scene, folder: Path) -> None:
    """The probe's node dies, the collector's, two, then all; results go on meanwhile."""
    cluster = scene.cluster
    with delivery(scene, folder) as running:
        running.submit(30)
        running.until_stored()
        for name in (PROBE, COLLECTOR):
            number = cluster.first_node_of(name)
            running.submit(15)
            cluster.kill(number)
            running.submit(15)
            if cluster.running:
                running.until_stored()
            cluster.start(number)
            cluster.until_ready()
            running.until_stored()
        _deliver_while_one_of_two_is_back(cluster, running)
        running.submit(15)
        for number in sorted(cluster.running):
            cluster.kill(number)
        running.submit(15)
        for number in range(len(cluster.settings.nodes)):
            cluster.start(number)
        cluster.until_ready()
        running.until_stored()


def _deliver_while_one_of_two_is_back(cluster: Cluster, running: Delivery) -> None:
    """Two of three die, the probe's last, and a majority is back when one of them is."""
    if len(cluster.settings.nodes) < _FOR_MAJORITY:
        return
    first, *others = cluster.order_of(PROBE)
    # One of the two is the one that the probe is connected to by then.
    for second in others:
        cluster.kill(first)
        running.submit(15)
        running.until_stored()
        cluster.kill(second)
        running.submit(15)
        cluster.start(first)
        # Not until it says that it is well: whether results are stored is what counts.
        running.until_stored()
        cluster.start(second)
        cluster.until_ready()
        running.until_stored()
