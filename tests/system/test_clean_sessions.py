"""Probes without a session at the broker, over a real Mosquitto and the real ingest pipeline.

Nothing rests on what the broker keeps: commands wait at the centre until their probe connects, a
probe that connects is sent a receipt at once, and a centre that starts later knows all its probes
from its store, the broker's disk wiped meanwhile.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from uuid import UUID, uuid4

import msgspec
import pytest

from collector.commands import builder
from collector.commands.state import CommandStatus, NotSentError
from collector.config import Config as CollectorConfig
from collector.ingest.pipeline import IngestPipeline
from collector.store.settings import StoreConfig
from collector.store.sqlite import SqliteStore
from probe import config, events
from probe.config import Config
from runtime.mqtt import Received
from tests import samples
from tests.broker import Broker, why_not
from tests.client import Client, eventually
from tests.system.test_commands import Office
from tests.unit.test_config import GOOD
from wire import messages, topics
from wire.commands import Answer, Identify, Reply, encode_command
from wire.messages import Presence, Receipt, State

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))

WAIT_S = 60.0


class World:
    """A broker, and what is started beside it."""

    def __init__(self, folder: Path, broker: Broker) -> None:
        self.folder = folder
        self.broker = broker
        self.settings: Config = msgspec.structs.replace(
            config.parse(GOOD.encode(), "probe.toml"),
            broker=broker.config(),
            delivery=config.DeliveryConfig(clock_wait_s=0.0, resend_after_s=600.0),
        )
        self.key = self.settings.tenant, self.settings.probe
        self.store: SqliteStore | None = None

    @contextmanager
    def centre(self) -> Iterator[IngestPipeline]:
        """The pipeline as `tramdo-collector run` has it, on the same store each time."""
        path = self.folder / "results.sqlite"
        store = self.store = SqliteStore(path)
        settings = CollectorConfig(broker=self.broker.config(), store=StoreConfig(path=str(path)))
        pipeline = IngestPipeline(settings, store, lambda: None)
        thread = threading.Thread(target=pipeline.run)
        thread.start()
        try:
            yield pipeline
        finally:
            pipeline.stop()
            thread.join(WAIT_S)
            store.close()

    @contextmanager
    def probe(self) -> Iterator[Office]:
        """The probe's publisher and commands, connected."""
        office = Office(self.settings, self.folder / "office")
        try:
            eventually(office.connected, "the probe is connected", WAIT_S)
            yield office
        finally:
            office.publisher.stop()

    def topic(self, channel: str) -> str:
        return topics.of_probe(*self.key, channel)

    def presence(self) -> Presence | None:
        """As the running centre has stored it."""
        assert self.store is not None
        stored = self.store.probe(*self.key)
        return stored.presence if stored else None

    def results(self) -> int:
        assert self.store is not None
        return self.store.totals().results

    def wipe_the_broker(self) -> None:
        """Sessions, queues and retained messages are gone."""
        self.broker.kill()
        (self.broker.directory / "mosquitto.db").unlink(missing_ok=True)
        self.broker.start()

    def no_retained_message(self) -> bool:
        """Whether the broker gives a new subscriber nothing (a marker of its own ends the wait)."""
        with Client(self.broker.config(), "looker", subscriptions=["tramdo/#"]) as looker:
            looker.publish("tramdo/marker", b"")
            looker.wait_for(lambda message: message.topic == "tramdo/marker")
            return not [message for message in looker.received if message.retained]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with Broker(tmp_path / "broker") as broker:
        yield World(tmp_path, broker)


def flashes(office: Office) -> int:
    return sum(isinstance(event, events.IdentifyRequested) for event in office.events)


def status_of(centre: IngestPipeline, command_id: UUID) -> CommandStatus:
    status = centre.commands.status(command_id)
    assert status is not None
    return status


def is_done(centre: IngestPipeline, command_id: UUID) -> bool:
    reply = status_of(centre, command_id).reply
    return reply is not None and reply.answer is Answer.DONE


def is_reply_to(command_id: UUID, message: Received) -> bool:
    return messages.decode(message.payload, Reply).id == command_id


def test_the_broker_queues_nothing_for_a_probe_not_even_in_its_session_of_before(
    world: World,
) -> None:
    """An older version left a session; a probe of this one discards it, and leaves none."""
    now = datetime.now(UTC)
    queued = [
        Identify(id=uuid4(), issued_at=now, expires_at=now + timedelta(hours=1)) for _ in "ab"
    ]
    filters = topics.probe_filters(*world.key)
    with Client(world.broker.config(), world.settings.probe, subscriptions=filters):
        pass  # as 0.1.0: a session that is kept
    with Client(world.broker.config(), "writer", subscriptions=[world.topic("reply")]) as writer:
        topic = topics.command(*world.key, "identify")
        for command in queued:
            writer.publish(topic, encode_command(command))
            with world.probe() as office:
                last = Identify(id=uuid4(), issued_at=now, expires_at=now + timedelta(hours=1))
                writer.publish(topic, encode_command(last))
                writer.wait_for(partial(is_reply_to, last.id))
                assert flashes(office) == 1, "the one that was sent while it was connected"


def test_a_probe_of_before_still_gets_what_its_session_kept(world: World) -> None:
    """Beside the others: its session is its own affair, and the centre sends as to all."""
    filters = topics.probe_filters(*world.key)
    with world.centre() as centre:
        with Client(world.broker.config(), world.settings.probe, subscriptions=filters) as old:
            publish_state(old, world, Presence.ONLINE)
            eventually(lambda: world.presence() is Presence.ONLINE, "it is known", WAIT_S)
        # Its connection is gone, and the centre has not learned of it.
        command = builder.identify(uuid4(), datetime.now(UTC))
        centre.commands.send(*world.key, command)
        with Client(world.broker.config(), world.settings.probe, subscriptions=filters) as old:
            got = old.wait_for(lambda message: "/cmd/" in message.topic)
            assert got.payload == encode_command(command)


def publish_state(client: Client, world: World, presence: Presence) -> None:
    client.publish(world.topic("state"), messages.encode(State(presence)), retain=True)


def test_a_command_waits_at_the_centre_until_its_probe_connects(world: World) -> None:
    commands = [f"{topics.ROOT}/+/+/cmd/+"]
    with (
        world.centre() as centre,
        Client(world.broker.config(), "listener", subscriptions=commands) as listener,
    ):
        with world.probe():
            eventually(lambda: world.presence() is Presence.ONLINE, "it is there", WAIT_S)
        eventually(lambda: world.presence() is Presence.OFFLINE, "it has left", WAIT_S)
        command = builder.identify(uuid4(), datetime.now(UTC))
        centre.commands.send(*world.key, command)
        assert status_of(centre, command.id).sent_at is None
        with world.probe() as office:
            eventually(lambda: is_done(centre, command.id), "it is executed", WAIT_S)
            assert flashes(office) == 1
            listener.look()
            # Once, or twice where it connected anew before it had answered.
            sent = len(listener.received)
            # What else shows that a probe is there has nothing sent again.
            office.publisher.republish_info()
            office.publisher.submit(samples.latency())
            eventually(lambda: centre._store.totals().results == 1, "a result", WAIT_S)
        eventually(lambda: world.presence() is Presence.OFFLINE, "it has left", WAIT_S)
        with world.probe() as office:
            eventually(lambda: world.presence() is Presence.ONLINE, "it is back", WAIT_S)
            assert flashes(office) == 0, "answered on the connection before"
        listener.look()
        assert len(listener.received) == sent >= 1
        assert status_of(centre, command.id).sent_at is not None


def test_a_connection_that_died_with_a_command_costs_nothing(world: World) -> None:
    """The probe's power goes; until the broker notices, the centre takes it for connected."""
    with world.centre() as centre:
        with Client(world.broker.config(), "stand-in") as stand_in:
            publish_state(stand_in, world, Presence.ONLINE)
            eventually(lambda: world.presence() is Presence.ONLINE, "it is known", WAIT_S)
        command = builder.identify(uuid4(), datetime.now(UTC))
        centre.commands.send(*world.key, command)
        assert status_of(centre, command.id).sent_at is not None, "to nobody"
        with world.probe() as office:
            eventually(lambda: is_done(centre, command.id), "it is executed all the same", WAIT_S)
            assert flashes(office) == 1


def test_a_centre_that_starts_later_knows_its_probes_and_needs_no_retained_message(
    world: World,
) -> None:
    with world.centre(), world.probe() as office:
        office.publisher.submit(samples.latency())
        assert office.publisher.wait_delivered(WAIT_S, threading.Event())
    world.wipe_the_broker()
    assert world.no_retained_message()
    with world.centre() as centre:
        # By its store alone: it was switched off, so the command waits.
        command = builder.identify(uuid4(), datetime.now(UTC))
        centre.commands.send(*world.key, command)
        assert status_of(centre, command.id).sent_at is None
        with world.probe() as office:
            eventually(lambda: is_done(centre, command.id), "the command", WAIT_S)
            # `resend_after_s` is ten minutes here, and nothing is measured: only an answer to what
            # the probe says when it connects brings a receipt.
            assert office.publisher.wait_delivered(WAIT_S, threading.Event())


def test_a_probe_that_connects_gets_a_receipt_at_once(world: World) -> None:
    """Of each epoch that it names, live, whatever the broker keeps."""
    with world.centre():
        with world.probe() as office:
            office.publisher.submit(samples.latency())
            assert office.publisher.wait_delivered(WAIT_S, threading.Event())
        receipts = [world.topic("receipt")]
        with Client(world.broker.config(), "listener", subscriptions=receipts) as listener:
            with world.probe() as office:
                # The epoch of each opening: of the first with a result, of the second with none.
                listener.wait_for(lambda message: through(message.payload) == 1)
                listener.wait_for(
                    lambda message: not message.retained and through(message.payload) == 0
                )
                assert office.publisher.wait_delivered(WAIT_S, threading.Event())
            live = [message for message in listener.received if not message.retained]
            assert any(through(message.payload) == 1 for message in live)


def through(payload: bytes) -> int:
    return messages.decode(payload, Receipt).stored_through


def test_a_probe_that_was_never_seen_is_sent_to_at_once(world: World) -> None:
    """Nothing is known of it: it may be there, and the broker keeps nothing for it."""
    filters = topics.probe_filters(*world.key)
    with world.centre() as centre:
        command = builder.identify(uuid4(), datetime.now(UTC))
        with Client(world.broker.config(), "stand-in", subscriptions=filters) as stand_in:
            eventually(lambda: centre.state.broker_trouble is None, "connected", WAIT_S)
            eventually(lambda: sent(centre, world, command), "it is sent", WAIT_S)
            stand_in.wait_for(lambda message: message.payload == encode_command(command))


def sent(centre: IngestPipeline, world: World, command: Identify) -> bool:
    try:
        centre.commands.send(*world.key, command)
    except NotSentError:
        return False
    return True


def test_the_marker_of_this_file_sees_a_retained_message(world: World) -> None:
    """That `no_retained_message` can fail."""
    with Client(world.broker.config(), "writer") as writer:
        publish_state(writer, world, Presence.ONLINE)
    assert not world.no_retained_message()
