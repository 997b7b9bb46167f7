"""NATS as deploy/broker renders it, three real nodes: rights by certificate, results, receipts."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import msgspec
import pytest

from runtime.mqtt import Connected, Disconnected, Received
from tests.cluster import (
    COLLECTOR,
    FOREIGNER,
    OTHER_TENANT,
    STRANGER,
    SUBSCRIBER,
    Scene,
    clients_of,
    delivery,
)
from tests.nats import NatsCluster, why_not
from tests.secured_broker import NEIGHBOUR, PROBE, ROOT, TENANT, Office, refusal
from tests.secured_broker import session as secured_session
from wire import topics

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))

OWN = ("m/latency", "m/throughput", "state", "info", "health", "reply")
CENTRES = ("receipt", "cmd/identify")


class NatsScene(Scene):
    """The same on NATS."""

    cluster: NatsCluster


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[NatsScene]:
    office = Office(tmp_path / "office")
    who, identities = clients_of(office)
    with NatsCluster(tmp_path / "nats", office, 3, who) as cluster:
        yield NatsScene(cluster, identities)


def test_the_rights_are_those_of_mosquitto(scene: NatsScene) -> None:
    """Denials are silent under MQTT 3.1.1: what was allowed after them has come, they have not."""
    # A subscription to what NATS delivers by itself must not open a way around the rights.
    everything = ("#", f"{ROOT}/#", "$MQTT/sub/#", "$MQTT/msgs/#")
    with (
        scene.client(COLLECTOR, *topics.collector_filters(TENANT, OTHER_TENANT)) as collector,
        scene.client(SUBSCRIBER, *(f"{ROOT}/+/{one}" for one in ("m/+", "state")), "#") as reader,
        scene.client(PROBE, *everything, *(f"{ROOT}/{PROBE}/{one}" for one in CENTRES)) as probe,
        scene.client(NEIGHBOUR) as neighbour,
        scene.client(FOREIGNER) as foreigner,
    ):
        # A probe of another tenant, below its own name here; and, at the end, at home.
        foreigner.publish(f"{ROOT}/{FOREIGNER}/state", b"forged by another tenant's")
        for channel in (*OWN, *CENTRES):
            neighbour.publish(f"{ROOT}/{PROBE}/{channel}", b"forged by a neighbour")
            reader.publish(f"{ROOT}/{PROBE}/{channel}", b"forged by a reader")
        for channel in CENTRES:
            probe.publish(f"{ROOT}/{PROBE}/{channel}", b"forged by itself")
            collector.publish(f"{ROOT}/{NEIGHBOUR}/{channel}", b"its own")
        for channel in OWN:
            collector.publish(f"{ROOT}/{PROBE}/{channel}", b"forged by the centre")
            probe.publish(f"{ROOT}/{PROBE}/{channel}", channel.encode())
        foreigner.publish(topics.of_probe(OTHER_TENANT, FOREIGNER, "state"), b"at home")
        for payload in (*(channel.encode() for channel in OWN), b"at home"):
            collector.wait_for(partial(has_payload, payload))
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


def test_who_is_not_listed_does_not_come_in(scene: NatsScene) -> None:
    config_of = scene.cluster.config
    assert "refused the name" in refusal(config_of(scene.identities[STRANGER]), STRANGER)
    nobody = config_of(scene.identities[PROBE], certificate_file=None, key_file=None)
    assert refusal(nobody, PROBE)


def test_a_probe_that_is_taken_out_of_the_list_is_out(scene: NatsScene) -> None:
    """In the place of the revocation list, which NATS does not read."""
    cluster = scene.cluster
    with secured_session(cluster.config(scene.identities[NEIGHBOUR]), NEIGHBOUR) as inbox:
        assert isinstance(inbox.get(timeout=60), Connected)
        here, *others = cluster.settings.tenants
        left = [msgspec.structs.replace(here, probes=[PROBE]), *others]
        cluster.reload(msgspec.structs.replace(cluster.settings, tenants=left))
        assert isinstance(inbox.get(timeout=60), Disconnected), "its connection ends too"
    assert "refused the name" in refusal(cluster.config(scene.identities[NEIGHBOUR]), NEIGHBOUR)
    with scene.client(PROBE):
        pass


def test_results_are_stored_once_and_confirmed_also_when_a_node_dies(
    scene: NatsScene, tmp_path: Path
) -> None:
    with delivery(scene, tmp_path) as running:
        running.submit(30)
        running.until_stored()
        running.submit(10)
        scene.cluster.kill(scene.cluster.first_node_of(PROBE))
        running.submit(10)
        running.until_stored()


def has_payload(payload: bytes, message: Received) -> bool:
    return message.payload == payload
