"""RabbitMQ as deploy/broker renders it, real nodes: rights, a name taken out, results.

The release is this Debian's own or that of TRAMDO_RABBITMQ_ROOT: three nodes of RabbitMQ 4, or one
of 3.10.8 (Debian 12), which `ClusterSettings` refuses more of. RabbitMQ ends the connection of who
does what it may not.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from runtime.mqtt import Connected, Disconnected, Message, MqttSession, Received
from tests.client import eventually
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
from tests.rabbitmq import RabbitCluster, why_not
from tests.secured_broker import NEIGHBOUR, PROBE, ROOT, TENANT, Office, refusal, session
from wire import topics

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))

OWN = ("m/latency", "m/throughput", "state", "info", "health", "reply")
CENTRES = ("receipt", "cmd/identify")
WAIT_S = 60.0


class RabbitScene(Scene):
    """The same on RabbitMQ."""

    cluster: RabbitCluster


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitScene]:
    path = tmp_path_factory.mktemp("rabbitmq")
    office = Office(path / "office")
    who, identities = clients_of(office)
    with RabbitCluster(path / "nodes", office, who) as cluster:
        yield RabbitScene(cluster, identities)


def is_refused(
    scene: RabbitScene,
    name: str,
    *,
    publish: str | None = None,
    subscribe: str | None = None,
    client_id: str | None = None,
) -> bool:
    """Whether the connection of a client ends at what it does; it is allowed where it goes on."""
    inbox: list[object] = []
    running = MqttSession(
        scene.cluster.config(scene.identities[name], reconnect_max_s=3600.0),
        client_id or name,
        inbox.append,
        subscriptions=[] if subscribe is None else [subscribe],
        kept=False,
    )
    running.start()
    try:
        eventually(lambda: any(isinstance(one, Connected) for one in inbox), "in", WAIT_S)
        # What is allowed to everybody here is answered; after what is refused comes nothing.
        mid = running.publish(Message(publish or "", b"forged")) if publish else None
        return eventually(partial(outcome, inbox, mid), "an outcome", WAIT_S) == "refused"
    finally:
        running.stop()


def outcome(inbox: list[object], mid: int | None) -> str | None:
    if any(isinstance(one, Disconnected) for one in inbox):
        return "refused"
    if mid is not None:
        return "allowed" if any(getattr(one, "mid", None) == mid for one in inbox) else None
    return None


def test_the_rights_are_those_of_mosquitto(scene: RabbitScene) -> None:
    with (
        scene.client(COLLECTOR, *topics.collector_filters(TENANT, OTHER_TENANT)) as centre,
        scene.client(SUBSCRIBER, *(f"{ROOT}/+/{one}" for one in ("m/+", "state"))) as reader,
        scene.client(PROBE, *(f"{ROOT}/{PROBE}/{one}" for one in ("receipt", "cmd/+"))) as probe,
        scene.client(FOREIGNER) as foreigner,
    ):
        for channel in OWN:
            assert is_refused(scene, NEIGHBOUR, publish=f"{ROOT}/{PROBE}/{channel}"), channel
        for channel in CENTRES:
            assert is_refused(scene, NEIGHBOUR, publish=f"{ROOT}/{NEIGHBOUR}/{channel}"), channel
        for name, topic in (
            (NEIGHBOUR, f"{ROOT}/{NEIGHBOUR}/m/anything"),
            (NEIGHBOUR, f"{ROOT}/{NEIGHBOUR}/m/latency/more"),
            (NEIGHBOUR, f"{ROOT}/{NEIGHBOUR}/m/*"),
            (NEIGHBOUR, f"{ROOT}x/{NEIGHBOUR}/state"),
            (NEIGHBOUR, "anything"),
            # Below its own name, of another tenant.
            (FOREIGNER, f"{ROOT}/{FOREIGNER}/state"),
        ):
            assert is_refused(scene, name, publish=topic), topic
        for channel in OWN:
            probe.publish(f"{ROOT}/{PROBE}/{channel}", channel.encode())
            centre.wait_for(partial(has_payload, channel.encode()))
        foreigner.publish(topics.of_probe(OTHER_TENANT, FOREIGNER, "state"), b"at home")
        centre.wait_for(partial(has_payload, b"at home"))
        for channel in CENTRES:
            centre.publish(f"{ROOT}/{PROBE}/{channel}", channel.encode())
            probe.wait_for(partial(has_payload, channel.encode()))
        reader.wait_for(partial(has_payload, b"state"))
        for client in (centre, reader, probe):
            client.look()
            assert [one for one in client.received if one.payload == b"forged"] == []
        expected = {b"m/latency", b"m/throughput", b"state"}
        assert {one.payload for one in reader.received} == expected
    for name, topic in (
        (COLLECTOR, f"{ROOT}/{PROBE}/state"),
        (COLLECTOR, f"{ROOT}x/{PROBE}/receipt"),
        (SUBSCRIBER, f"{ROOT}/{PROBE}/state"),
        (SUBSCRIBER, f"{ROOT}/{PROBE}/receipt"),
    ):
        assert is_refused(scene, name, publish=topic), (name, topic)


@pytest.mark.parametrize(
    ("name", "topic_filter"),
    [
        (PROBE, "#"),
        (PROBE, "*"),
        (PROBE, f"{ROOT}/#"),
        (PROBE, f"{ROOT}/+/receipt"),
        (PROBE, f"{ROOT}/*/receipt"),
        (PROBE, f"{ROOT}/{PROBE}/#"),
        (PROBE, f"{ROOT}/{PROBE}/state"),
        (PROBE, f"{ROOT}/{NEIGHBOUR}/cmd/+"),
        (COLLECTOR, "#"),
        (COLLECTOR, "tramdo/#"),
        (SUBSCRIBER, f"{ROOT}/#"),
        (SUBSCRIBER, f"{ROOT}/+/#"),
        (SUBSCRIBER, f"{ROOT}/+/receipt"),
        (SUBSCRIBER, f"{ROOT}/+/reply"),
    ],
)
def test_no_subscription_reaches_further_than_the_rights(
    scene: RabbitScene, name: str, topic_filter: str
) -> None:
    assert is_refused(scene, name, subscribe=topic_filter)


def test_who_is_not_listed_does_not_come_in(scene: RabbitScene) -> None:
    config_of = scene.cluster.config
    assert "refused the name" in refusal(config_of(scene.identities[STRANGER]), STRANGER)
    nobody = config_of(scene.identities[PROBE], certificate_file=None, key_file=None)
    assert refusal(nobody, PROBE)


def test_a_queue_belongs_to_the_name_of_the_certificate(scene: RabbitScene) -> None:
    """Under another's client identifier nothing can be read, of one's own neither."""
    topic = f"{ROOT}/{PROBE}/receipt"
    assert is_refused(scene, PROBE, subscribe=topic, client_id=NEIGHBOUR)
    assert is_refused(scene, PROBE, subscribe=topic, client_id="anything")


def test_results_are_stored_once_and_confirmed(scene: RabbitScene, tmp_path: Path) -> None:
    with delivery(scene, tmp_path) as running:
        running.submit(30)
        running.until_stored()


def test_a_name_that_is_taken_out_is_out(scene: RabbitScene) -> None:
    """In the place of the revocation list. Last here, because the name is gone."""
    cluster = scene.cluster
    with session(cluster.config(scene.identities[NEIGHBOUR]), NEIGHBOUR) as inbox:
        assert isinstance(inbox.get(timeout=WAIT_S), Connected)
        cluster.control(0, "delete_user", NEIGHBOUR)
        assert isinstance(inbox.get(timeout=WAIT_S), Disconnected), "its connection ends too"
    assert "refused the name" in refusal(cluster.config(scene.identities[NEIGHBOUR]), NEIGHBOUR)


def has_payload(payload: bytes, message: Received) -> bool:
    return message.payload == payload
