"""A broker within its memory: 5 % of a small fleet does the worst that its rights and limits allow.

Real Mosquitto with the rendered configuration and the smallest memory limit that the rule of
`deploy.broker.limits` takes. Everything here stays within what the broker grants.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from msgspec import structs

from deploy.broker import configuration
from deploy.broker.limits import MAX_PACKET_BYTES, PROBE_CHANNELS, BrokerLimits, memory_budget
from runtime.mqtt import Message
from tests.broker import SMALL_LIMITS, BrokerError
from tests.client import Client, eventually
from tests.secured_broker import (
    COLLECTOR,
    COMMANDER,
    NEIGHBOUR,
    PROBE,
    ROOT,
    SUBSCRIBER,
    TENANT,
    Office,
    SecuredBroker,
    Writer,
    why_not,
)
from wire.envelope import MAX_ENVELOPE_BYTES
from wire.result import KINDS

CHECK = Path(configuration.__file__).with_name("check-persistence")

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))

LARGEST = bytes(MAX_ENVELOPE_BYTES)
RESULT = f"{ROOT}/{NEIGHBOUR}/m/latency"
# More than the limit allows, had each a topic of its own.
INVENTED = 35


def limits() -> BrokerLimits:
    """The smallest memory with which the rule holds for the three users by password."""
    smallest = memory_budget(SMALL_LIMITS, sessions=3).smallest_limit_bytes
    return structs.replace(SMALL_LIMITS, memory_limit_bytes=smallest + 1)


def go_away(broker: SecuredBroker, user: str) -> None:
    """Subscribe to everything that the user may read and leave; the session is kept."""
    channels = [right.topic for right in configuration.subscriber_acl(TENANT)]
    with Client(broker.by_password(user), user, subscriptions=channels):
        pass


def do_the_worst(writer: Writer) -> None:
    """A largest retained message on every topic that may be written, and on many that may not."""
    kinds = [f"m/{kind}" for kind in KINDS]
    invented = [f"m/kind_{'a' * n}" for n in range(INVENTED)]
    for channel in (*kinds, *PROBE_CHANNELS, *invented):
        writer.publish(f"{ROOT}/{PROBE}/{channel}", LARGEST, retain=True)
    for _ in range(20):
        writer.publish(f"{ROOT}/{PROBE}/m/latency", LARGEST)


def result_arrives(honest: Writer, centre: Client, payload: bytes) -> None:
    """A neighbour's result gets through; it sends again, as a probe does without a receipt."""

    def sent_and_seen() -> bool:
        honest.publish(RESULT, payload)
        centre.look()
        return any(message.payload == payload for message in centre.received)

    eventually(sent_and_seen, f"{payload!r} arrives")


def test_the_others_results_flow_and_the_broker_restarts(tmp_path: Path) -> None:
    office = Office(tmp_path / "office")
    hostile, neighbour = office.probe(PROBE), office.probe(NEIGHBOUR)
    with SecuredBroker(tmp_path / "broker", office, limits()) as broker:
        for user in (SUBSCRIBER, COMMANDER):
            go_away(broker, user)
        filters = [f"{ROOT}/+/m/+"]
        with (
            Client(broker.by_password(COLLECTOR), "x", subscriptions=filters) as centre,
            Writer(broker.by_certificate(neighbour), NEIGHBOUR) as honest,
            Writer(broker.by_certificate(hostile), PROBE) as writer,
        ):
            do_the_worst(writer)
            for number in range(20):
                result_arrives(honest, centre, b"meanwhile %d" % number)
            broker.restart()
            result_arrives(honest, centre, b"after a restart")
            broker.kill()
            broker.start()
            result_arrives(honest, centre, b"after a power cut")
        assert "Out of memory" not in broker.log
        assert broker.is_running()


def test_an_exactly_once_message_is_not_held(tmp_path: Path) -> None:
    """Held until its sender releases it, it would stay; no program of ours sends one."""
    office = Office(tmp_path / "office")
    probe = office.probe(PROBE)
    with (
        SecuredBroker(tmp_path / "broker", office) as broker,
        Writer(broker.by_certificate(probe), PROBE) as writer,
    ):
        writer.hand_over(Message(f"{ROOT}/{PROBE}/m/latency", b"{}", qos=2))
        eventually(lambda: f"Too high QoS in PUBLISH from {PROBE}" in broker.log, "it is refused")


def test_the_largest_packet_is_what_the_rule_counts(tmp_path: Path) -> None:
    office = Office(tmp_path / "office")
    probe = office.probe(PROBE)
    with (
        SecuredBroker(tmp_path / "broker", office) as broker,
        Writer(broker.by_certificate(probe), PROBE) as writer,
    ):
        assert writer.disconnected_by(f"{ROOT}/{PROBE}/m/latency", bytes(MAX_PACKET_BYTES))


def checked(broker: SecuredBroker) -> str:
    """What the check before a start says."""
    command = [str(CHECK), str(broker.directory / "mosquitto.conf")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return done.stderr


def test_a_broker_that_cannot_load_its_persistence_starts_without_it(tmp_path: Path) -> None:
    """However it was filled: here by a limit that is lowered under a queue of 2 MiB."""
    office = Office(tmp_path / "office")
    probe = office.probe(NEIGHBOUR)
    with SecuredBroker(tmp_path / "broker", office, limits()) as broker:
        go_away(broker, SUBSCRIBER)
        with Writer(broker.by_certificate(probe), NEIGHBOUR) as writer:
            for _ in range(2):
                writer.publish(RESULT, LARGEST)
        broker.stop()
        assert checked(broker) == ""
        broker.limit(["memory_limit 1000000"])
        with pytest.raises(BrokerError, match="Couldn't open database"):
            broker.start()
        assert "cannot be loaded within the memory limit" in checked(broker)
        assert (broker.directory / "mosquitto.db.set-aside").stat().st_size > 2 * 2**20
        broker.start()
        assert checked(broker) == "", "there is nothing yet"


def test_the_check_leaves_a_sound_persistence_as_it_is(tmp_path: Path) -> None:
    office = Office(tmp_path / "office")
    probe = office.probe(NEIGHBOUR)
    with SecuredBroker(tmp_path / "broker", office, limits()) as broker:
        go_away(broker, SUBSCRIBER)
        with Writer(broker.by_certificate(probe), NEIGHBOUR) as writer:
            writer.publish(RESULT, b"kept")
        broker.stop()
        before = (broker.directory / "mosquitto.db").read_bytes()
        assert checked(broker) == ""
        assert (broker.directory / "mosquitto.db").read_bytes() == before
        broker.start()
        with Client(broker.by_password(SUBSCRIBER), SUBSCRIBER) as reader:
            reader.wait_for(lambda message: message.payload == b"kept")


def test_a_damaged_persistence_is_set_aside(tmp_path: Path) -> None:
    office = Office(tmp_path / "office")
    with SecuredBroker(tmp_path / "broker", office, limits()) as broker:
        broker.stop()
        (broker.directory / "mosquitto.db").write_bytes(b"\0mosquitto db" + bytes(100))
        assert "set aside" in checked(broker)
        broker.start()
