"""Who may write and read what on the broker as it is deployed: real Mosquitto, our access list.

What must not arrive is followed by a message that must: once that one is there, the other would
have been. A client's session outlives its connection, so a test tells its own messages by payload.
"""

from __future__ import annotations

import queue
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import structs

from deploy.broker.configuration import Tenant
from runtime.mqtt import Event, Message, MqttSession
from tests.client import Client, eventually
from tests.secured_broker import (
    COLLECTOR,
    NEIGHBOUR,
    PROBE,
    ROOT,
    SUBSCRIBER,
    TENANT,
    WAIT_S,
    Office,
    Scene,
    SecuredBroker,
    Writer,
    scene,
    why_not,
)
from wire.result import KINDS

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))

# Every channel that a probe publishes on, and every one that the centre publishes on.
OWN_CHANNELS = (*(f"m/{kind}" for kind in KINDS), "state", "info", "health", "reply")
CENTRE_CHANNELS = ("receipt", "cmd/identify")
DENIED = "Not authorized"


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with scene(tmp_path_factory.mktemp("scene")) as ready:
        yield ready


@pytest.mark.parametrize("channel", OWN_CHANNELS)
def test_a_probe_writes_its_own_channels(stage: Scene, channel: str) -> None:
    payload = f"own {channel}".encode()
    with (
        Client(stage.broker.by_password(COLLECTOR), "x", subscriptions=[f"{ROOT}/#"]) as centre,
        Writer(stage.broker.by_certificate(stage.probe), PROBE) as writer,
    ):
        assert writer.answer(f"{ROOT}/{PROBE}/{channel}", payload) is None
        came = centre.wait_for(lambda message: message.payload == payload)
        assert came.topic == f"{ROOT}/{PROBE}/{channel}"


@pytest.mark.parametrize(
    "topic",
    [
        *(f"{ROOT}/{NEIGHBOUR}/{channel}" for channel in (*OWN_CHANNELS, *CENTRE_CHANNELS)),
        *(f"{ROOT}/{PROBE}/{channel}" for channel in CENTRE_CHANNELS),
        f"{ROOT}/{PROBE}",
        f"{ROOT}/{PROBE}/m",
        f"{ROOT}/{PROBE}/m/latency/more",
        # A kind that the contract does not have: each topic could keep a retained message.
        f"{ROOT}/{PROBE}/m/unknown_kind",
        f"{ROOT}/{PROBE}/anything",
        f"tramdo/v1/another-tenant/{PROBE}/m/latency",
        f"tramdo/v2/{TENANT}/{PROBE}/m/latency",
        "$SYS/broker/version",
        "elsewhere",
    ],
)
def test_a_probe_writes_nothing_else(stage: Scene, topic: str) -> None:
    with Writer(stage.broker.by_certificate(stage.probe), PROBE) as writer:
        assert writer.answer(topic) == DENIED


def test_what_is_denied_reaches_nobody(stage: Scene) -> None:
    with (
        Client(stage.broker.by_password(COLLECTOR), "x", subscriptions=["#"]) as centre,
        Writer(stage.broker.by_certificate(stage.probe), PROBE) as intruder,
        Writer(stage.broker.by_certificate(stage.neighbour), NEIGHBOUR) as rightful,
    ):
        assert intruder.answer(f"{ROOT}/{NEIGHBOUR}/state", b"forged") == DENIED
        assert rightful.answer(f"{ROOT}/{NEIGHBOUR}/m/latency", b"true") is None
        centre.wait_for(lambda message: message.payload == b"true")
        assert b"forged" not in {message.payload for message in centre.received}


@pytest.mark.parametrize("protocol", [5, 311])
def test_a_last_will_is_no_way_around_the_rights(stage: Scene, protocol: int) -> None:
    """A client that vanishes lets the broker speak for it: below its own name only."""
    config = stage.broker.by_certificate(stage.probe, protocol=protocol)
    forged, true = f"forged will {protocol}".encode(), f"true will {protocol}".encode()
    with Client(stage.broker.by_password(COLLECTOR), "x", subscriptions=["#"]) as centre:
        for topic, payload in (
            (f"{ROOT}/{NEIGHBOUR}/state", forged),
            (f"{ROOT}/{PROBE}/state", true),
        ):
            inbox: queue.SimpleQueue[Event] = queue.SimpleQueue()
            vanishing = MqttSession(config, PROBE, inbox.put, will=Message(topic, payload))
            vanishing.start()
            # Let in or not: Mosquitto may refuse a client for its will.
            inbox.get(timeout=WAIT_S)
            client = vanishing._client
            connection = client and client.socket()
            if connection:
                with socket.fromfd(connection.fileno(), socket.AF_INET, socket.SOCK_STREAM) as cut:
                    cut.shutdown(socket.SHUT_RDWR)
            vanishing.stop()
        centre.wait_for(lambda message: message.payload == true)
        assert forged not in {message.payload for message in centre.received}


def test_a_shared_subscription_is_no_way_around_the_rights(stage: Scene) -> None:
    payload = b"read in a group"
    groups = [f"$share/group/{ROOT}/{NEIGHBOUR}/#", f"$share/group/{ROOT}/+/cmd/#"]
    with (
        Client(stage.broker.by_certificate(stage.probe), PROBE, subscriptions=groups) as reader,
        Writer(stage.broker.by_certificate(stage.neighbour), NEIGHBOUR) as other,
        Writer(stage.broker.by_password(COLLECTOR), "x") as centre,
    ):
        assert other.answer(f"{ROOT}/{NEIGHBOUR}/m/latency", payload) is None
        assert centre.answer(f"{ROOT}/{NEIGHBOUR}/cmd/identify", payload) is None
        assert centre.answer(f"{ROOT}/{PROBE}/cmd/identify", payload) is None
        reader.wait_for(lambda message: message.topic == f"{ROOT}/{PROBE}/cmd/identify")
        topics = {message.topic for message in reader.received if message.payload == payload}
        assert topics == {f"{ROOT}/{PROBE}/cmd/identify"}


def test_under_3_1_1_a_denial_is_silent_and_reaches_nobody_either(stage: Scene) -> None:
    config = stage.broker.by_certificate(stage.probe, protocol=311)
    with (
        Client(stage.broker.by_password(COLLECTOR), "x", subscriptions=["#"]) as centre,
        Writer(config, PROBE) as writer,
    ):
        assert writer.answer(f"{ROOT}/{NEIGHBOUR}/state", b"forged too") is None, "the trap"
        assert writer.answer(f"{ROOT}/{PROBE}/state", b"own") is None
        centre.wait_for(lambda message: message.payload == b"own")
        assert b"forged too" not in {message.payload for message in centre.received}


@pytest.mark.parametrize("protocol", [5, 311])
def test_a_probe_reads_its_receipts_and_commands_and_nothing_else(
    stage: Scene, protocol: int
) -> None:
    config = stage.broker.by_certificate(stage.probe, protocol=protocol)
    mine = {f"{ROOT}/{PROBE}/{channel}" for channel in CENTRE_CHANNELS}
    payload = f"read by {protocol}".encode()
    with (
        Client(config, PROBE, subscriptions=["#", f"{ROOT}/#", f"{ROOT}/+/receipt"]) as reader,
        Writer(stage.broker.by_certificate(stage.neighbour), NEIGHBOUR) as other,
        Writer(stage.broker.by_password(COLLECTOR), "x") as centre,
    ):
        assert other.answer(f"{ROOT}/{NEIGHBOUR}/m/latency") is None
        for name in (NEIGHBOUR, PROBE):
            for channel in CENTRE_CHANNELS:
                assert centre.answer(f"{ROOT}/{name}/{channel}", payload) is None
        last = f"{ROOT}/{PROBE}/{CENTRE_CHANNELS[-1]}"
        reader.wait_for(lambda message: message.topic == last and message.payload == payload)
        assert {message.topic for message in reader.received} == mine


@pytest.mark.parametrize(
    "topic",
    [
        *(f"{ROOT}/{PROBE}/{channel}" for channel in (*OWN_CHANNELS, *CENTRE_CHANNELS)),
        f"{ROOT}/{SUBSCRIBER}/m/latency",
        f"{ROOT}/{SUBSCRIBER}/state",
    ],
)
def test_a_subscriber_writes_nothing(stage: Scene, topic: str) -> None:
    with Writer(stage.broker.by_password(SUBSCRIBER), "x") as writer:
        assert writer.answer(topic) == DENIED


def test_a_subscriber_reads_results_but_no_commands(stage: Scene) -> None:
    with (
        Client(stage.broker.by_password(SUBSCRIBER), "x", subscriptions=["#"]) as reader,
        Writer(stage.broker.by_password(COLLECTOR), "x") as centre,
        Writer(stage.broker.by_certificate(stage.probe), PROBE) as writer,
    ):
        for channel in CENTRE_CHANNELS:
            assert centre.answer(f"{ROOT}/{PROBE}/{channel}") is None
        assert writer.answer(f"{ROOT}/{PROBE}/reply") is None
        assert writer.answer(f"{ROOT}/{PROBE}/m/latency", b"a result") is None
        reader.wait_for(lambda message: message.payload == b"a result")
        channels = {message.topic.split("/")[4] for message in reader.received}
        assert channels <= {"m", "state", "info", "health"}


@pytest.mark.parametrize(
    "topic",
    [*(f"{ROOT}/{PROBE}/{channel}" for channel in OWN_CHANNELS), f"{ROOT}/{COLLECTOR}/m/latency"],
)
def test_a_collector_writes_receipts_and_commands_only(stage: Scene, topic: str) -> None:
    with Writer(stage.broker.by_password(COLLECTOR), "x") as writer:
        assert writer.answer(topic) == DENIED
        assert writer.answer(f"{ROOT}/{PROBE}/receipt") is None


def test_the_certificate_decides_and_not_the_user_name_beside_it(stage: Scene) -> None:
    disguised = stage.broker.by_certificate(
        stage.probe,
        username=COLLECTOR,
        password_file=str(stage.office.path / f"{COLLECTOR}.password"),
    )
    with Writer(disguised, PROBE) as writer:
        assert writer.answer(f"{ROOT}/{PROBE}/receipt") == DENIED
        assert writer.answer(f"{ROOT}/{PROBE}/state") is None


def test_several_tenants_share_a_broker_and_no_probe_writes_in_another_s_tree(
    tmp_path: Path,
) -> None:
    office = Office(tmp_path / "office")
    here, there = office.probe(PROBE), office.probe("song-cau-01")
    broker = SecuredBroker(tmp_path / "broker", office)
    broker.settings = structs.replace(
        broker.settings,
        tenant=None,
        collectors=[],
        subscribers=[],
        tenants=[
            Tenant(name=TENANT, probes=[PROBE], collectors=[COLLECTOR], subscribers=[SUBSCRIBER]),
            Tenant(name="bac-kan", probes=["song-cau-01"], collectors=[COLLECTOR]),
        ],
    )
    every = [f"{ROOT}/#", "tramdo/v1/bac-kan/#"]
    with (
        broker,
        Writer(broker.by_password(COLLECTOR), "x", subscriptions=every) as centre,
        Writer(broker.by_password(SUBSCRIBER), "y", subscriptions=every) as reader,
        Writer(broker.by_certificate(here), PROBE, subscriptions=every) as probe,
        Writer(broker.by_certificate(there), "song-cau-01") as foreigner,
    ):
        for topic in (f"{ROOT}/song-cau-01/state", f"{ROOT}/{PROBE}/state"):
            assert foreigner.answer(topic, b"forged") == DENIED, topic
        for topic in ("tramdo/v1/bac-kan/x/state", "tramdo/v1/other/x/receipt"):
            assert centre.answer(topic, b"forged") == DENIED, topic
        own = "tramdo/v1/bac-kan/song-cau-01/state"
        assert foreigner.answer(own, b"at home") is None
        assert centre.wait_for(lambda message: message.payload == b"at home").topic == own
        assert centre.answer("tramdo/v1/bac-kan/song-cau-01/receipt", b"theirs") is None
        assert centre.answer(f"{ROOT}/{PROBE}/receipt", b"ours") is None
        probe.wait_for(lambda message: message.payload == b"ours")
        assert probe.answer(f"{ROOT}/{PROBE}/state", b"here") is None
        reader.wait_for(lambda message: message.payload == b"here")
        for client in (probe, reader):
            client.look()
            assert {one.topic.split("/")[2] for one in client.received} == {TENANT}


def test_a_collector_reads_the_version_of_the_broker_and_a_probe_does_not(stage: Scene) -> None:
    inbox: queue.SimpleQueue[Event] = queue.SimpleQueue()
    asking = MqttSession(
        stage.broker.by_password(COLLECTOR), "x", inbox.put, kept=False, asks_version=True
    )
    asking.start()
    try:
        version = eventually(lambda: asking.broker_version, "the broker's version")
    finally:
        asking.stop()
    assert re.fullmatch(r"Mosquitto 2\.\d+\.\d+", version)
    # What a probe asks for that it may not read does not come; what it may read does.
    subscriptions = ["$SYS/#", f"{ROOT}/{PROBE}/receipt"]
    with (
        Client(
            stage.broker.by_certificate(stage.probe), PROBE, subscriptions=subscriptions
        ) as probe,
        Client(stage.broker.by_password(COLLECTOR), "x") as centre,
    ):
        centre.publish(f"{ROOT}/{PROBE}/receipt", b"after the version")
        probe.wait_for(lambda message: message.payload == b"after the version")
        assert not [one for one in probe.received if one.topic.startswith("$SYS")]
