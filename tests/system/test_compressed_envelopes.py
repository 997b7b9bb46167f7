"""Compressed envelopes on a real Mosquitto: each pair of an older and a newer end, the switch set
while a backlog drains, a centre that another one replaces. Nothing is lost and nothing doubled.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from threading import Event
from typing import Literal
from uuid import UUID

import msgspec
import pytest
from msgspec import structs

from probe import config
from probe.config import Config
from probe.deliver.outbox import Outbox
from probe.deliver.publisher import Publisher
from runtime.broker import BrokerConfig
from tests import samples
from tests.broker import Broker, why_not
from tests.client import Client, eventually
from tests.collector_process import CollectorProcess
from tests.unit.test_config import GOOD
from wire import messages, topics
from wire.compression import compress, is_compressed
from wire.envelope import decode_envelope
from wire.ledger import Ledger
from wire.result import encode_result

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))

WAIT_S = 60.0
TENANT, PROBE = samples.TENANT, samples.PROBE
RESULTS = f"tramdo/v1/{TENANT}/{PROBE}/m/+"
LATENCY = topics.measurement(TENANT, PROBE, "latency")
RECEIPT = topics.of_probe(TENANT, PROBE, "receipt")
Protocol = Literal[5, 311]


class OldReceipt(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A receipt as a probe of 0.1.0 reads it: with anything more it is none."""

    epoch: UUID
    stored_through: int
    missing: list[tuple[int, int]] = []
    at: datetime


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with Broker(tmp_path / "broker") as started:
        yield started


@pytest.fixture
def reader(broker: Broker) -> Iterator[Client]:
    with Client(broker.config(), "reader", subscriptions=[RESULTS]) as client:
        yield client


def centre(
    folder: Path, broker: Broker, *, compression: bool, protocol: Protocol = 5
) -> CollectorProcess:
    """The same folder again is the same centre, with this switch."""
    reached = structs.replace(broker.config(), protocol=protocol)
    return CollectorProcess(folder, reached, tables={"intake": {"compression": compression}})


@contextmanager
def publisher(
    broker: BrokerConfig, folder: Path, *, resend_after_s: float = 5.0
) -> Iterator[Publisher]:
    settings = structs.replace(
        config.parse(GOOD.encode(), "probe.toml"),
        tenant=TENANT,
        probe=PROBE,
        broker=broker,
        delivery=config.DeliveryConfig(
            resend_after_s=resend_after_s, clock_wait_s=0.0, batch=20, health_every_s=1.0
        ),
    )
    running = _publisher(settings, folder)
    running.start()
    try:
        yield running
    finally:
        running.stop()


def _publisher(settings: Config, folder: Path) -> Publisher:
    folder.mkdir(exist_ok=True)
    return Publisher(
        settings, folder / "outbox.sqlite", lambda _event: None, samples.info_of, samples.health_of
    )


def fill(folder: Path, count: int) -> None:
    """A backlog in the probe's outbox."""
    folder.mkdir()
    body = encode_result(samples.latency())
    with closing(Outbox(folder / "outbox.sqlite")) as outbox:
        outbox.put((("latency", body) for _ in range(count)), time.time())


def delivered(probe: Publisher) -> bool:
    return probe.wait_delivered(WAIT_S, Event())


def stored(collector: CollectorProcess) -> list[tuple[str, int]]:
    """(epoch, number) of every stored result."""
    return [(one["epoch"], one["seq"]) for one in collector.results()]


def stored_count(collector: CollectorProcess) -> int:
    return len(stored(collector))


def codings(reader: Client) -> set[bool]:
    """Whether envelopes came compressed, plain, or both."""
    reader.look()
    return {is_compressed(one.payload) for one in reader.received}


def _payloads(reader: Client) -> list[bytes]:
    reader.look()
    return [one.payload for one in reader.received]


def submit(probe: Publisher, count: int) -> None:
    for number in range(count):
        probe.submit(samples.latency(target=f"stamp:{number % 5}"))


def test_envelopes_are_compressed_once_the_centre_announces_it(
    tmp_path: Path, broker: Broker, reader: Client
) -> None:
    with (
        centre(tmp_path / "centre", broker, compression=True) as collector,
        publisher(broker.config(), tmp_path / "probe") as probe,
    ):
        submit(probe, 1)
        assert delivered(probe)
        reader.look()
        reader.received.clear()
        submit(probe, 60)
        assert delivered(probe)
        eventually(lambda: codings(reader), "envelopes", WAIT_S)
        assert codings(reader) == {True}
        found = stored(collector)
        assert sorted(seq for _, seq in found) == list(range(1, 62))
        assert len({epoch for epoch, _ in found}) == 1
        # One that starts anew finds the announcement with its retained receipt.
        probe.stop()
        with publisher(broker.config(), tmp_path / "probe") as again:
            submit(again, 1)
            assert delivered(again)
            reader.look()
            reader.received.clear()
            submit(again, 20)
            assert delivered(again)
            eventually(lambda: codings(reader), "envelopes", WAIT_S)
        assert codings(reader) == {True}
        assert stored_count(collector) == 82


def test_a_burst_is_sent_in_the_bytes_in_which_it_was_stored(
    tmp_path: Path, broker: Broker, reader: Client
) -> None:
    sent = [samples.latency(rtt_ms=1.0 + number) for number in range(100)]
    with (
        centre(tmp_path / "centre", broker, compression=True) as collector,
        publisher(broker.config(), tmp_path / "probe") as probe,
    ):
        submit(probe, 1)
        assert delivered(probe)
        for result in sent:
            probe.submit(result)
        assert delivered(probe)
        eventually(lambda: len(_payloads(reader)) >= 6, "envelopes", WAIT_S)
        found = sorted(collector.results(), key=lambda one: int(one["seq"]))
        bodies = [msgspec.json.encode(one["result"]) for one in found]
    assert bodies[1:] == [encode_result(result) for result in sent]
    with closing(sqlite3.connect(tmp_path / "probe" / "outbox.sqlite")) as outbox:
        packed = [row[0] for row in outbox.execute("SELECT body FROM blocks WHERE count >= 16")]
    payloads = _payloads(reader)
    assert packed
    for body in packed:
        assert any(payload.startswith(body[5:]) for payload in payloads)


@pytest.mark.parametrize(
    ("compression", "protocol"),
    [(False, 5), (True, 311)],
    ids=["centre announces nothing", "probe with MQTT 3.1.1"],
)
def test_without_an_announcement_envelopes_are_json(
    tmp_path: Path, broker: Broker, reader: Client, compression: bool, protocol: Protocol
) -> None:
    of_probe = structs.replace(broker.config(), protocol=protocol)
    with (
        centre(tmp_path / "centre", broker, compression=compression) as collector,
        publisher(of_probe, tmp_path / "probe") as probe,
    ):
        for _ in range(2):
            submit(probe, 20)
            assert delivered(probe)
        assert stored_count(collector) == 40
    assert codings(reader) == {False}
    assert [decode_envelope(one.payload).probe for one in reader.received]


def test_a_probe_that_knows_nothing_of_it_reads_the_receipts_of_a_centre_that_announces(
    tmp_path: Path, broker: Broker
) -> None:
    with (
        centre(tmp_path / "centre", broker, compression=True) as collector,
        Client(broker.config(), PROBE, subscriptions=[RECEIPT]) as old,
    ):
        numbered = [(seq, samples.latency()) for seq in (1, 2, 3)]
        old.publish(LATENCY, samples.envelope(numbered))
        receipt = old.wait_for(lambda message: message.topic == RECEIPT)
        read = msgspec.json.decode(receipt.payload, type=OldReceipt)
        assert (read.epoch, read.stored_through, read.missing) == (samples.EPOCH, 3, [])
        assert stored_count(collector) == 3


def test_the_switch_may_be_turned_while_a_backlog_drains(
    tmp_path: Path, broker: Broker, reader: Client
) -> None:
    count = 3_000
    fill(tmp_path / "probe", count)
    seen: set[bool] = set()
    with publisher(broker.config(), tmp_path / "probe") as probe:
        # Off, on, off, on: what is on its way then was encoded for the centre before.
        for number, compression in enumerate((False, True, False, True)):
            with centre(tmp_path / "centre", broker, compression=compression) as collector:
                enough = min(count, 600 * (number + 1))
                eventually(partial(_has, collector, enough), f"{enough} results", WAIT_S)
                submit(probe, 10)
                if number == 3:
                    assert delivered(probe)
                    found = stored(collector)
                assert collector.stop() == 0
            seen |= codings(reader)
    assert seen == {False, True}
    assert len(found) == len(set(found)) == count + 40


def _has(collector: CollectorProcess, count: int) -> bool:
    return stored_count(collector) >= count


class OldCentre:
    """A centre that reads JSON alone and announces nothing, with an empty store."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._taken = 0
        self.unreadable = 0
        self.stored: dict[tuple[UUID, int], bytes] = {}

    def turn(self) -> int:
        """Store what has come and send receipts; how many results are stored."""
        self._client.look()
        new, self._taken = self._client.received[self._taken :], len(self._client.received)
        for message in new:
            try:
                envelope = decode_envelope(message.payload)
            except msgspec.MsgspecError:
                self.unreadable += 1
                continue
            for record in envelope.records:
                self.stored.setdefault((envelope.epoch, record.seq), encode_result(record.result))
            self._confirm(envelope.epoch)
        return len(self.stored)

    def _confirm(self, epoch: UUID) -> None:
        ledger = Ledger().with_seqs(seq for of, seq in self.stored if of == epoch)
        receipt = messages.encode(ledger.receipt(epoch, datetime.now(UTC)))
        self._client.publish(RECEIPT, receipt, retain=True)


def test_a_centre_that_cannot_read_it_may_replace_one_that_announced(
    tmp_path: Path, broker: Broker
) -> None:
    """With an empty store it sends no receipt of its own accord: the retained one announces on."""
    with publisher(broker.config(), tmp_path / "probe", resend_after_s=2.0) as probe:
        with centre(tmp_path / "centre", broker, compression=True) as collector:
            submit(probe, 30)
            assert delivered(probe)
            of_before = stored_count(collector)
            assert collector.stop() == 0
        # A receipt without a number is believed on a new connection alone.
        broker.kill()
        broker.start()
        with Client(broker.config(), "old-centre", subscriptions=[RESULTS]) as client:
            old = OldCentre(client)
            submit(probe, 30)
            eventually(lambda: old.turn() >= 30, "the results as JSON", WAIT_S)
            assert old.unreadable > 0, "the first came as the centre before read them"
            submit(probe, 30)
            # What its receipts call missing is of the store before, and comes again.
            eventually(lambda: old.turn() == 90, "all that was ever measured", WAIT_S)
    assert of_before == 30
    assert sorted(seq for _, seq in old.stored) == list(range(1, 91))


def test_a_damaged_and_an_oversized_stream_are_refused_and_cost_no_other_result(
    tmp_path: Path, broker: Broker
) -> None:
    good = compress(samples.envelope([(1, samples.latency())]))
    with (
        centre(tmp_path / "centre", broker, compression=False) as collector,
        Client(broker.config(), PROBE, subscriptions=[RECEIPT]) as probe,
    ):
        probe.publish(LATENCY, good[:-3])
        probe.publish(LATENCY, compress(b"{" + b" " * 1_048_576))
        probe.publish(LATENCY, good)
        probe.wait_for(lambda message: message.topic == RECEIPT)
        assert stored_count(collector) == 1, "read with the switch off too"
        log = collector.log
    assert "rejected (not_zlib)" in log
    assert "rejected (decompressed_too_large)" in log
