"""A centre whose store comes back from a backup, over a real broker: nothing that a probe keeps is
lost, whatever epochs the backup knows, and nobody has to measure anything for it.
"""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from collector.store.sqlite import SqliteStore
from probe import config
from probe.config import Config
from probe.deliver.publisher import Publisher
from tests import samples
from tests.broker import Broker, why_not
from tests.chaos import witness
from tests.client import Client, eventually
from tests.collector_process import COMMAND, ROOT, CollectorProcess
from tests.unit.test_config import GOOD
from wire import messages, topics
from wire.envelope import decode_envelope
from wire.messages import Receipt

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))

WAIT_S = 60.0
RECEIPT = topics.of_probe(samples.TENANT, samples.PROBE, "receipt")


class World:
    """A broker, a collector, and a probe's publisher that is opened again and again."""

    def __init__(self, folder: Path, broker: Broker) -> None:
        self.folder = folder
        self.broker = broker
        self.collector = CollectorProcess(folder / "collector", broker.config())
        self.publisher: Publisher | None = None
        self.made = 0
        delivery = config.DeliveryConfig(resend_after_s=2.0, health_every_s=1.0, clock_wait_s=0.0)
        self._settings: Config = msgspec.structs.replace(
            config.parse(GOOD.encode(), "probe.toml"),
            tenant=samples.TENANT,
            probe=samples.PROBE,
            broker=broker.config(),
            delivery=delivery,
        )

    def open(self) -> None:
        """Begin an epoch."""
        self.publisher = Publisher(
            self._settings,
            self.folder / "outbox.sqlite",
            lambda _event: None,
            lambda epoch: samples.info(epoch=epoch),
            lambda pending, size: msgspec.structs.replace(
                samples.health(), pending=pending, outbox_bytes=size
            ),
        )
        self.publisher.start()

    def measure(self, count: int) -> None:
        assert self.publisher is not None
        for _ in range(count):
            self.made += 1
            self.publisher.submit(samples.latency(rtt_ms=float(self.made)))
        assert self.publisher.wait_delivered(WAIT_S, threading.Event())

    def close(self) -> None:
        if self.publisher is not None:
            self.publisher.stop()
            self.publisher = None

    def epoch_of(self, count: int) -> None:
        """An epoch of so many results, all of them confirmed."""
        self.open()
        self.measure(count)
        self.close()

    def back_up(self, name: str) -> Path:
        path = self.folder / name
        witness.back_up(self.collector.store_path, path)
        return path

    def lose_the_store(self, backup: Path) -> None:
        """The collector ends, its store is lost, and a backup is put in its place."""
        self.collector.kill()
        for suffix in ("", "-wal", "-shm"):
            Path(f"{self.collector.store_path}{suffix}").unlink(missing_ok=True)
        shutil.copy(backup, self.collector.store_path)

    def stored(self) -> int:
        return witness.stored_count(self.collector.store_path)

    def all_stored(self) -> None:
        eventually(
            lambda: self.stored() == self.made, "everything that was measured is stored", WAIT_S
        )


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with Broker(tmp_path / "broker") as broker:
        found = World(tmp_path, broker)
        try:
            with found.collector:
                yield found
        finally:
            found.close()


def connected(world: World) -> None:
    eventually(lambda: world.collector.get("/healthz")[0] == 200, "the collector is connected")


def test_a_backup_from_before_an_epoch_began_gets_it_back_by_itself(world: World) -> None:
    world.epoch_of(20)
    backup = world.back_up("backup.sqlite")
    world.epoch_of(30)
    world.open()
    world.measure(10)
    world.lose_the_store(backup)
    assert world.stored() == 20
    world.collector.start()
    # The probe stays connected and measures nothing new.
    world.all_stored()


def test_a_backup_that_knows_no_probe_gets_all_back_once_the_probe_connects(
    world: World,
) -> None:
    connected(world)
    empty = world.back_up("backup.sqlite")
    world.epoch_of(20)
    world.epoch_of(30)
    world.lose_the_store(empty)
    world.broker.kill()
    # Sessions, queues and retained messages: nothing of them is needed.
    for file in world.broker.directory.glob("*.db*"):
        file.unlink()
    world.broker.start()
    world.collector.start()
    connected(world)
    world.open()
    world.all_stored()


def test_the_command_that_restores_a_backup_ends_the_same(world: World) -> None:
    world.epoch_of(20)
    backup = world.back_up("backup.sqlite")
    world.epoch_of(30)
    world.lose_the_store(backup)
    world.collector.store_path.unlink()
    restore = [*COMMAND, "restore", "--config", str(world.collector.config_path), str(backup)]
    subprocess.run(restore, cwd=ROOT, check=True, timeout=60)
    world.collector.start()
    world.open()
    world.all_stored()


def test_a_clock_that_was_ahead_before_the_store_was_lost_does_no_harm(world: World) -> None:
    world.epoch_of(20)
    backup = world.back_up("backup.sqlite")
    world.collector.kill()
    # As a centre leaves it whose clock stood five years ahead when it was started.
    store = SqliteStore(world.collector.store_path)
    store.open_generation(samples.NOON.replace(year=samples.NOON.year + 5))
    store.close()
    world.collector.start()
    world.epoch_of(30)
    world.lose_the_store(backup)
    world.collector.start()
    world.open()
    world.all_stored()
    world.measure(5)


def test_an_old_receipt_is_no_restored_store(world: World) -> None:
    connected(world)

    def numbered(through: int) -> Callable[[Receipt], bool]:
        return lambda one: one.order is not None and one.stored_through == through

    results = f"{topics.ROOT}/{samples.TENANT}/{samples.PROBE}/m/+"
    with Client(world.broker.config(), "watcher", subscriptions=[RECEIPT, results]) as watcher:
        world.open()
        world.measure(1)
        old = caught(watcher, numbered(1))
        world.measure(40)
        newest = caught(watcher, numbered(41))
        assert old.order is not None
        assert newest.order is not None
        assert old.order < newest.order
        watcher.received.clear()
        # As another node of a broker has retained it, and as one delivers it late.
        watcher.publish(RECEIPT, messages.encode(old), retain=True)
        world.close()
        world.open()
        world.measure(1)
        watcher.publish(RECEIPT, messages.encode(old))
        world.measure(1)
        watcher.look()
        sent = [one.payload for one in watcher.received if one.topic.endswith("/m/latency")]
        assert sent
        assert old.epoch not in {decode_envelope(payload).epoch for payload in sent}


def test_a_probe_of_before_0_2_0_gets_receipts_that_it_can_read(world: World) -> None:
    connected(world)
    with Client(world.broker.config(), samples.PROBE, subscriptions=[RECEIPT]) as old_probe:
        latency = topics.measurement(samples.TENANT, samples.PROBE, "latency")
        info = topics.of_probe(samples.TENANT, samples.PROBE, "info")
        old_probe.publish(latency, samples.envelope([(1, samples.latency())]))
        read = caught(old_probe, lambda one: one.stored_through == 1)
        assert read.order is None
        old_probe.received.clear()
        old_probe.publish(info, messages.encode(samples.info()), retain=True)
        # One with a number, which it refuses; and one that it can read, which stays retained.
        caught(old_probe, lambda one: one.order is not None)
        caught(old_probe, lambda one: one.order is None)
        with Client(world.broker.config(), "later", subscriptions=[RECEIPT]) as later:
            retained = caught(later, lambda _one: True)
        assert retained.order is None
        assert retained.stored_through == 1


def test_a_store_that_was_away_begins_a_generation(world: World) -> None:
    connected(world)
    with Client(world.broker.config(), samples.PROBE, subscriptions=[RECEIPT]) as new_probe:
        latency = topics.measurement(samples.TENANT, samples.PROBE, "latency")
        info = msgspec.structs.replace(
            samples.info(), epochs=[samples.EPOCH, samples.OTHER_EPOCH], receipt_generation=1
        )
        new_probe.publish(
            topics.of_probe(samples.TENANT, samples.PROBE, "info"), messages.encode(info)
        )
        before = caught(new_probe, lambda one: one.epoch == samples.OTHER_EPOCH).order
        assert before is not None
        with closing(sqlite3.connect(world.collector.store_path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            new_probe.publish(latency, samples.envelope([(1, samples.latency())]))
            eventually(lambda: "cannot store" in world.collector.log, "it waits", WAIT_S)
            other.execute("ROLLBACK")
        # A database that took over may have no more than an earlier backup.
        after = caught(
            new_probe,
            lambda one: one.epoch == samples.OTHER_EPOCH and generation_of(one) > before[0],
        )
        assert after.stored_through == 0
        caught(new_probe, lambda one: one.epoch == samples.EPOCH and one.stored_through == 1)


def test_a_centre_without_numbers_gets_an_info_that_it_can_read(world: World) -> None:
    world.collector.kill()
    info = topics.of_probe(samples.TENANT, samples.PROBE, "info")
    results = topics.measurement(samples.TENANT, samples.PROBE, "latency")
    with Client(world.broker.config(), "old-centre", subscriptions=[info, results]) as old_centre:
        world.open()
        assert world.publisher is not None
        world.publisher.submit(samples.latency())
        sent = old_centre.wait_for(lambda one: one.topic == results)
        receipt = Receipt(
            epoch=decode_envelope(sent.payload).epoch, stored_through=1, at=samples.NOON
        )
        old_centre.publish(RECEIPT, messages.encode(receipt), retain=True)
        assert world.publisher.wait_delivered(WAIT_S, threading.Event())
        old_centre.received.clear()
        world.publisher.republish_info()
        old_centre.wait_for(lambda one: one.topic == info)
        infos = [one for one in old_centre.received if one.topic == info]
        assert infos
        assert all(b'"epochs"' not in one.payload for one in infos)
        assert all(b'"receipt_generation"' not in one.payload for one in infos)


def generation_of(receipt: Receipt) -> int:
    return receipt.order[0] if receipt.order else 0


def caught(client: Client, fits: Callable[[Receipt], bool]) -> Receipt:
    """The first receipt that came and fits."""

    def is_one(payload: bytes) -> bool:
        return fits(messages.decode(payload, Receipt))

    found = client.wait_for(lambda one: one.topic == RECEIPT and is_one(one.payload))
    return messages.decode(found.payload, Receipt)
