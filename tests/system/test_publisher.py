"""The publisher against a real Mosquitto, with a centre played by a test that sends receipts."""

from __future__ import annotations

import os
import queue
import socket
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from uuid import UUID

import msgspec
import pytest

from probe import clock, config, events
from probe.config import Config
from probe.deliver.publisher import Publisher
from runtime import mqtt
from runtime.broker import BrokerConfig
from tests import samples
from tests.broker import Broker, why_not
from tests.unit.test_config import GOOD
from wire import messages, topics
from wire.envelope import decode_envelope
from wire.ledger import Ledger
from wire.messages import Health, Info, Receipt, State
from wire.result import Result, ResultsDroppedValues

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))

WAIT_S = 60.0
NOBODY = BrokerConfig(host="127.0.0.1", port=1, tls=False)


def until(condition: Callable[[], bool], what: str) -> None:
    deadline_s = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline_s, f"waited {WAIT_S} s for {what}"
        time.sleep(0.02)


class Centre:
    """A subscriber that remembers what came and confirms what it is told to."""

    def __init__(self, broker: Broker, settings: Config, *, confirms: bool = True) -> None:
        self.settings = settings
        self.confirms = confirms
        self.seqs: list[int] = []
        self.states: list[str] = []
        self.infos: list[Info] = []
        self.given_up: list[ResultsDroppedValues] = []
        self.healths: list[Health] = []
        self.epoch: UUID | None = None
        # What is stored, by identity; the first that came with a number keeps it.
        self.stored: dict[tuple[UUID, int], Result] = {}
        self._inbox: queue.SimpleQueue[mqtt.Event] = queue.SimpleQueue()
        self._session = mqtt.MqttSession(
            broker.config(), "centre", self._inbox.put, subscriptions=topics.collector_filters()
        )
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._session.start()
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join(5)
        self._session.stop()

    def confirm(self, through: int, missing: list[tuple[int, int]] | None = None) -> None:
        assert self.epoch is not None
        receipt = Receipt(
            epoch=self.epoch, stored_through=through, missing=missing or [], at=clock.utc_now()
        )
        topic = topics.of_probe(self.settings.tenant, self.settings.probe, "receipt")
        until(
            lambda: (
                self._session.publish(mqtt.Message(topic, messages.encode(receipt), retain=True))
                is not None
            ),
            "the centre's own connection",
        )

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                event = self._inbox.get(timeout=0.1)
            except queue.Empty:
                continue
            if isinstance(event, mqtt.Received):
                self._on(event)

    def _on(self, event: mqtt.Received) -> None:
        channel = event.topic.split("/")[4]
        if channel == "m":
            envelope = decode_envelope(event.payload)
            self.epoch = envelope.epoch
            self.seqs += [record.seq for record in envelope.records]
            for record in envelope.records:
                self.stored.setdefault((envelope.epoch, record.seq), record.result)
            values = [record.result.values for record in envelope.records]
            self.given_up += [one for one in values if isinstance(one, ResultsDroppedValues)]
            if self.confirms:
                stored = Ledger().with_seqs(
                    seq for epoch, seq in self.stored if epoch == envelope.epoch
                )
                self.confirm(stored.stored_through, list(stored.missing))
        elif channel == "state":
            self.states.append(messages.decode(event.payload, State).presence)
        elif channel == "info":
            self.infos.append(messages.decode(event.payload, Info))
        elif channel == "health":
            self.healths.append(messages.decode(event.payload, Health))


class Office:
    """A publisher on its outbox, and the events that it emitted."""

    def __init__(self, settings: Config, folder: Path) -> None:
        self.events: list[events.Event] = []
        self.publisher = Publisher(
            settings,
            folder / "outbox.sqlite",
            self.events.append,
            samples.info_of,
            samples.health_of,
        )
        self.publisher.start()

    def delivered(self) -> bool:
        return self.publisher.wait_delivered(WAIT_S, threading.Event())

    def pending(self) -> int:
        shown = [event for event in self.events if isinstance(event, events.DeliveryStatus)]
        return shown[-1].pending if shown else -1


def is_pending(office: Office, count: int) -> bool:
    return office.pending() == count


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with Broker(tmp_path / "broker") as started:
        yield started


@pytest.fixture
def settings(broker: Broker) -> Config:
    parsed = config.parse(GOOD.encode(), "probe.toml")
    delivery = config.DeliveryConfig(resend_after_s=2.0, health_every_s=1.0, clock_wait_s=0.0)
    return msgspec.structs.replace(parsed, broker=broker.config(), delivery=delivery)


def test_results_arrive_in_order_and_are_confirmed(
    broker: Broker, settings: Config, tmp_path: Path
) -> None:
    centre = Centre(broker, settings)
    office = Office(settings, tmp_path)
    for _ in range(20):
        office.publisher.submit(samples.latency())
    assert office.delivered()
    assert centre.seqs == list(range(1, 21))
    until(lambda: centre.states[-1:] == ["online"], "state online")
    until(lambda: bool(centre.infos and centre.healths), "info and health")
    told = len(centre.infos)
    office.publisher.republish_info()
    until(lambda: len(centre.infos) > told, "what it plans, as a month begins")
    office.publisher.stop()
    until(lambda: centre.states[-1] == "offline", "state offline")
    centre.close()


def test_a_puback_does_not_end_the_waiting(
    broker: Broker, settings: Config, tmp_path: Path
) -> None:
    centre = Centre(broker, settings, confirms=False)
    office = Office(settings, tmp_path)
    office.publisher.submit(samples.latency())
    until(lambda: centre.seqs.count(1) >= 2, "the repetition of what has no receipt")
    assert office.pending() == 1
    centre.confirm(1)
    assert office.delivered()
    office.publisher.stop()
    centre.close()


def test_by_the_brokers_word_nothing_waits_for_a_receipt(
    broker: Broker, settings: Config, tmp_path: Path
) -> None:
    delivery = msgspec.structs.replace(settings.delivery, confirm="broker")
    centre = Centre(broker, settings, confirms=False)
    office = Office(msgspec.structs.replace(settings, delivery=delivery), tmp_path)
    for _ in range(5):
        office.publisher.submit(samples.latency())
    assert office.delivered()
    until(lambda: sorted(centre.seqs) == [1, 2, 3, 4, 5], "every result, once")
    office.publisher.stop()
    centre.close()


def test_a_gap_in_the_receipt_is_filled(broker: Broker, settings: Config, tmp_path: Path) -> None:
    centre = Centre(broker, settings, confirms=False)
    office = Office(settings, tmp_path)
    for _ in range(5):
        office.publisher.submit(samples.latency())
    until(lambda: len(centre.seqs) >= 5, "five results")
    centre.confirm(5, missing=[(2, 3)])
    until(lambda: office.pending() == 2, "two pending results")
    until(lambda: centre.seqs.count(2) >= 2 and centre.seqs.count(3) >= 2, "the missing ones again")
    centre.confirm(5)
    assert office.delivered()
    office.publisher.stop()
    centre.close()


def test_a_killed_broker_loses_nothing(broker: Broker, settings: Config, tmp_path: Path) -> None:
    centre = Centre(broker, settings)
    office = Office(settings, tmp_path)
    office.publisher.submit(samples.latency())
    assert office.delivered()
    broker.kill()
    until(
        lambda: any(
            isinstance(e, events.DeliveryStatus) and not e.connected for e in office.events[1:]
        ),
        "the publisher's notice of the loss",
    )
    for _ in range(10):
        office.publisher.submit(samples.latency())
    broker.start()
    assert office.delivered()
    assert sorted(set(centre.seqs)) == list(range(1, 12))
    office.publisher.stop()
    centre.close()


def test_a_killed_probe_goes_on_where_it_was(
    broker: Broker, settings: Config, tmp_path: Path
) -> None:
    """The outbox outlives the publisher: nothing was connected when the results were taken."""
    broker.stop()
    first = Office(settings, tmp_path)
    for _ in range(3):
        first.publisher.submit(samples.latency())
    until(lambda: first.pending() == 3, "three stored results")
    first.publisher.stop()
    broker.start()
    centre = Centre(broker, settings)
    second = Office(settings, tmp_path)
    assert second.delivered()
    assert sorted(set(centre.seqs)) == [1, 2, 3]
    second.publisher.stop()
    centre.close()


def test_a_probe_that_vanishes_is_told_lost(
    broker: Broker, settings: Config, tmp_path: Path
) -> None:
    centre = Centre(broker, settings)
    office = Office(settings, tmp_path)
    until(lambda: centre.states[-1:] == ["online"], "state online")
    client = office.publisher._session._client
    assert client is not None
    sock = client.socket()
    assert isinstance(sock, socket.socket)
    sock.shutdown(socket.SHUT_RDWR)  # as a cut line would: no DISCONNECT packet
    until(lambda: "lost" in centre.states, "the last will")
    office.publisher.stop()
    centre.close()


def test_nonsense_on_the_receipt_topic_is_ignored(
    broker: Broker, settings: Config, tmp_path: Path
) -> None:
    centre = Centre(broker, settings, confirms=False)
    office = Office(settings, tmp_path)
    office.publisher.submit(samples.latency())
    until(lambda: centre.epoch is not None, "the first result")
    topic = topics.of_probe(settings.tenant, settings.probe, "receipt")
    for payload in (b"", b"{}", b"\xff", b'{"epoch": 1}', b"[" * 100_000):
        centre._session.publish(mqtt.Message(topic, payload))
    other = Receipt(epoch=samples.OTHER_EPOCH, stored_through=99, at=clock.utc_now())
    centre._session.publish(mqtt.Message(topic, messages.encode(other)))
    until(lambda: centre.seqs.count(1) >= 2, "the repetition: no receipt of ours came")
    centre.confirm(1)
    assert office.delivered()
    office.publisher.stop()
    centre.close()


def test_a_damaged_outbox_is_set_aside_and_the_centre_is_told(
    broker: Broker, settings: Config, tmp_path: Path
) -> None:
    centre = Centre(broker, settings)
    first = Office(settings, tmp_path)
    first.publisher.submit(samples.latency())
    assert first.delivered()
    old_epoch = centre.epoch
    first.publisher.stop()
    (tmp_path / "outbox.sqlite").write_bytes(b"a power cut wrote this" * 1000)
    centre.seqs.clear()
    second = Office(settings, tmp_path)
    second.publisher.submit(samples.latency())
    assert second.delivered()
    assert centre.epoch != old_epoch
    assert sorted(set(centre.seqs)) == [1, 2]
    assert [values.epoch for values in centre.given_up] == [old_epoch]
    assert list(tmp_path.glob("outbox.sqlite.damaged-*")), "a person can still look at it"
    second.publisher.stop()
    centre.close()


def test_a_file_that_cannot_be_read_when_a_receipt_comes_ends_nothing(
    broker: Broker, settings: Config, tmp_path: Path
) -> None:
    centre = Centre(broker, settings, confirms=False)
    office = Office(settings, tmp_path)
    office.publisher.submit(samples.latency())
    until(lambda: office.pending() == 1 and 1 in centre.seqs, "the result, without a receipt")
    with closing(sqlite3.connect(tmp_path / "outbox.sqlite")) as another_program:
        another_program.execute("DROP VIEW results")
        another_program.execute("ALTER TABLE blocks RENAME TO away")
        centre.confirm(1)
        until(lambda: any(isinstance(one, events.Fault) for one in office.events), "the fault")
        another_program.execute("ALTER TABLE away RENAME TO blocks")
    centre.confirms = True
    office.publisher.submit(samples.latency())
    assert office.delivered()
    assert office.pending() == 0
    office.publisher.stop()
    centre.close()


@pytest.mark.parametrize("offline", [2, 5, 12], ids=["shorter", "equal", "longer"])
def test_a_card_restored_from_an_older_image_loses_no_result(
    broker: Broker, settings: Config, tmp_path: Path, offline: int
) -> None:
    """Else numbers that the centre has are given again, and new results taken for repeats."""
    centre = Centre(broker, settings)
    first = Office(settings, tmp_path)
    first.publisher.submit(samples.latency(target="before"))
    assert first.delivered()
    first.publisher.stop()
    # The file and the mark beside it, which else would tell.
    files = [tmp_path / "outbox.sqlite", tmp_path / "outbox.sqlite.mark"]
    image = [file.read_bytes() for file in files]
    for life in range(2):
        office = Office(settings, tmp_path)
        for number in range(5):
            office.publisher.submit(samples.latency(target=f"lost card {life} {number}"))
        assert office.delivered()
        office.publisher.stop()
        for file, content in zip(files, image, strict=True):
            file.write_bytes(content)
        away = Office(msgspec.structs.replace(settings, broker=NOBODY), tmp_path)
        for number in range(offline):
            away.publisher.submit(samples.latency(target=f"restored {life} {number}"))
        until(partial(is_pending, away, offline), "the results to be in the file")
        away.publisher.stop()
        back = Office(settings, tmp_path)
        back.publisher.submit(samples.latency(target=f"back {life}"))
        assert back.delivered()
        back.publisher.stop()
    measured = [
        "before",
        *(f"lost card {life} {number}" for life in range(2) for number in range(5)),
        *(f"restored {life} {number}" for life in range(2) for number in range(offline)),
        *(f"back {life}" for life in range(2)),
    ]
    targets = [str(one.target) for one in centre.stored.values() if one.kind == "latency"]
    assert sorted(targets) == sorted(measured), "each result once"
    centre.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a small disk")
def test_a_full_disk_costs_nothing_once_it_is_emptied(
    broker: Broker, settings: Config, tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", disk], check=True)
    try:
        ballast = disk / "ballast"
        ballast.write_bytes(b"x" * 520_000)
        centre = Centre(broker, settings)
        office = Office(settings, disk)
        for _ in range(5):
            office.publisher.submit(samples.latency())
        until(
            lambda: any(isinstance(e, events.Fault) and e.text for e in office.events),
            "the fault to be told",
        )
        ballast.unlink()
        assert office.delivered()
        assert sorted(set(centre.seqs)) == [1, 2, 3, 4, 5]
        assert isinstance(office.events[-1], events.Fault | events.DeliveryStatus)
        office.publisher.stop()
        centre.close()
    finally:
        subprocess.run(["umount", disk], check=True)


def test_latency_results_linger_for_one_envelope_and_an_outage_takes_them_along(
    broker: Broker, settings: Config, tmp_path: Path
) -> None:
    lingering = msgspec.structs.replace(settings.delivery, linger_s=600.0)
    centre = Centre(broker, settings)
    office = Office(msgspec.structs.replace(settings, delivery=lingering), tmp_path)
    until(lambda: bool(centre.healths), "a connection")
    for _ in range(3):
        office.publisher.submit(samples.latency())
    until(lambda: any(health.pending == 3 for health in centre.healths), "health meanwhile")
    assert centre.seqs == []
    assert office.pending() == 0, "the LED shows no trouble"
    office.publisher.submit(samples.outage())
    until(lambda: sorted(centre.seqs) == [1, 2, 3, 4], "the outage, and what waited")
    office.publisher.submit(samples.latency())
    assert office.delivered(), "whoever waits for delivery has it at once"
    office.publisher.stop()
    centre.close()
