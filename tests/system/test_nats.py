"""NATS as deploy/broker renders it, three real nodes: rights by certificate, results, receipts."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from deploy.broker.cluster import ClusterSettings, Node
from probe import config
from runtime.mqtt import Connected, Disconnected, Received
from tests import samples
from tests.client import Client, eventually
from tests.collector_process import CollectorProcess
from tests.nats import NatsCluster, why_not
from tests.secured_broker import NEIGHBOUR, PROBE, ROOT, TENANT, Identity, Office, refusal
from tests.secured_broker import session as secured_session
from tests.system.test_publisher import Office as Probe
from tests.unit.test_config import GOOD
from wire import topics

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))

COLLECTOR, SUBSCRIBER, STRANGER = "collector-1", "reader-vnpt", "chua-khai-01"
OWN = ("m/latency", "m/throughput", "state", "info", "health", "reply")
CENTRES = ("receipt", "cmd/identify")


class Scene(NamedTuple):
    """A running cluster, and certificates by name."""

    cluster: NatsCluster
    identities: dict[str, Identity]

    def client(self, name: str, *topics: str) -> Client:
        """A client of its own name, by its certificate."""
        return Client(self.cluster.config(self.identities[name]), name, subscriptions=topics)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    office = Office(tmp_path / "office")
    names = (PROBE, NEIGHBOUR, COLLECTOR, SUBSCRIBER, STRANGER)
    identities = {name: office.probe(name) for name in names}
    who = ClusterSettings(
        tenant=TENANT,
        nodes=[Node(name="any", cluster_host="127.0.0.1")],
        probes=[PROBE, NEIGHBOUR],
        collectors=[COLLECTOR],
        subscribers=[SUBSCRIBER],
    )
    with NatsCluster(tmp_path / "nats", office, 3, who) as cluster:
        yield Scene(cluster, identities)


def test_the_rights_are_those_of_mosquitto(scene: Scene) -> None:
    """Denials are silent under MQTT 3.1.1: what was allowed after them has come, they have not."""
    # A subscription to what NATS delivers by itself must not open a way around the rights.
    everything = ("#", f"{ROOT}/#", "$MQTT/sub/#", "$MQTT/msgs/#")
    with (
        scene.client(COLLECTOR, *topics.collector_filters(TENANT)) as collector,
        scene.client(SUBSCRIBER, *(f"{ROOT}/+/{one}" for one in ("m/+", "state")), "#") as reader,
        scene.client(PROBE, *everything, *(f"{ROOT}/{PROBE}/{one}" for one in CENTRES)) as probe,
        scene.client(NEIGHBOUR) as neighbour,
    ):
        for channel in (*OWN, *CENTRES):
            neighbour.publish(f"{ROOT}/{PROBE}/{channel}", b"forged by a neighbour")
            reader.publish(f"{ROOT}/{PROBE}/{channel}", b"forged by a reader")
        for channel in CENTRES:
            probe.publish(f"{ROOT}/{PROBE}/{channel}", b"forged by itself")
            collector.publish(f"{ROOT}/{NEIGHBOUR}/{channel}", b"its own")
        for channel in OWN:
            collector.publish(f"{ROOT}/{PROBE}/{channel}", b"forged by the centre")
            probe.publish(f"{ROOT}/{PROBE}/{channel}", channel.encode())
        for channel in OWN:
            collector.wait_for(partial(has_payload, channel.encode()))
        for channel in CENTRES:
            collector.publish(f"{ROOT}/{PROBE}/{channel}", channel.encode())
            probe.wait_for(partial(has_payload, channel.encode()))
        reader.wait_for(partial(has_payload, b"state"))
        for client in (collector, reader, probe):
            client.look()
            assert [m for m in client.received if m.payload.startswith(b"forged")] == []
        assert {one.topic for one in probe.received} == {f"{ROOT}/{PROBE}/{one}" for one in CENTRES}
        assert {one.payload for one in reader.received} == {
            b"m/latency",
            b"m/throughput",
            b"state",
        }


def test_who_is_not_listed_does_not_come_in(scene: Scene) -> None:
    config_of = scene.cluster.config
    assert "refused the name" in refusal(config_of(scene.identities[STRANGER]), STRANGER)
    nobody = config_of(scene.identities[PROBE], certificate_file=None, key_file=None)
    assert refusal(nobody, PROBE)


def test_a_probe_that_is_taken_out_of_the_list_is_out(scene: Scene) -> None:
    """In the place of the revocation list, which NATS does not read."""
    cluster = scene.cluster
    with secured_session(cluster.config(scene.identities[NEIGHBOUR]), NEIGHBOUR) as inbox:
        assert isinstance(inbox.get(timeout=60), Connected)
        cluster.reload(msgspec.structs.replace(cluster.settings, probes=[PROBE]))
        assert isinstance(inbox.get(timeout=60), Disconnected), "its connection ends too"
    assert "refused the name" in refusal(cluster.config(scene.identities[NEIGHBOUR]), NEIGHBOUR)
    with scene.client(PROBE):
        pass


def test_results_are_stored_once_and_confirmed(scene: Scene, tmp_path: Path) -> None:
    cluster = scene.cluster
    settings = msgspec.structs.replace(
        config.parse(GOOD.encode(), "probe.toml"),
        broker=cluster.config(scene.identities[PROBE]),
        delivery=config.DeliveryConfig(resend_after_s=2.0, clock_wait_s=0.0),
    )
    as_collector = cluster.config(scene.identities[COLLECTOR])
    # Not every tenant's: NATS refuses a subscription that reaches further than the rights.
    with CollectorProcess(
        tmp_path / "collector", as_collector, tables={"tenant": TENANT}
    ) as collector:
        probe = Probe(settings, tmp_path)
        try:
            for _ in range(30):
                probe.publisher.submit(samples.latency())
            eventually(lambda: len(collector.results()) >= 30, "all are stored", 120.0)
            eventually(probe.delivered, "a receipt for all that is stored", 60.0)
            assert sorted(row["seq"] for row in collector.results()) == list(range(1, 31))
        finally:
            probe.publisher.stop()


def has_payload(payload: bytes, message: Received) -> bool:
    return message.payload == payload
