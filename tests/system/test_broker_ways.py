"""Every way to the broker as it is deployed: both protocols, both transports, through proxies."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from msgspec import structs

from collector.config import Config as CollectorConfig
from collector.config import ReceiptConfig
from collector.ingest.pipeline import IngestPipeline
from collector.store.sqlite import SqliteStore
from probe import config
from probe.deliver.publisher import Publisher
from runtime.broker import ProxyConfig
from tests import samples
from tests.client import Client
from tests.proxy import Proxy
from tests.secured_broker import (
    COLLECTOR,
    HOST,
    PROBE,
    ROOT,
    TENANT,
    WAIT_S,
    Scene,
    scene,
    why_not,
)
from tests.unit.test_config import GOOD
from wire.envelope import MAX_ENVELOPE_BYTES

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))

PROTOCOLS = pytest.mark.parametrize("protocol", [5, 311])
TRANSPORTS = pytest.mark.parametrize("transport", ["tcp", "websockets"])


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with scene(tmp_path_factory.mktemp("scene")) as ready:
        yield ready


@PROTOCOLS
@TRANSPORTS
def test_results_arrive_and_receipts_come_back(
    stage: Scene, tmp_path: Path, protocol: int, transport: str
) -> None:
    """The real publisher, the real collector."""
    store = SqliteStore(tmp_path / "results.sqlite")
    ingest = IngestPipeline(
        CollectorConfig(
            broker=stage.broker.by_password(COLLECTOR, protocol=protocol),
            tenant=TENANT,
            receipts=ReceiptConfig(min_gap_s=0.0),
        ),
        store,
        lambda: None,
    )
    thread = threading.Thread(target=ingest.run)
    thread.start()
    office = structs.replace(
        config.parse(GOOD.encode(), "probe.toml"),
        broker=stage.broker.as_probe(stage.probe, protocol=protocol, transport=transport),
        delivery=config.DeliveryConfig(clock_wait_s=0.0),
    )
    publisher = Publisher(
        office, tmp_path / "outbox.sqlite", lambda _: None, samples.info_of, samples.health_of
    )
    publisher.start()
    try:
        for _ in range(20):
            publisher.submit(samples.latency())
        assert publisher.wait_delivered(WAIT_S, threading.Event())
    finally:
        publisher.stop()
        ingest.stop()
        thread.join(WAIT_S)
        store.close()


@PROTOCOLS
@TRANSPORTS
@pytest.mark.parametrize("kind", ["http", "socks5"])
def test_there_and_back_through_a_proxy(
    stage: Scene, protocol: int, transport: str, kind: Literal["http", "socks5"]
) -> None:
    name = f"{protocol} {transport} {kind}".encode()
    topics = [f"{ROOT}/{PROBE}/receipt"]
    with (
        Proxy(kind) as proxy,
        Client(stage.broker.by_password(COLLECTOR), "x", subscriptions=[f"{ROOT}/#"]) as centre,
    ):
        through = ProxyConfig(host="127.0.0.1", port=proxy.port, type=kind)
        broker = stage.broker.as_probe(
            stage.probe, protocol=protocol, transport=transport, proxy=through
        )
        with Client(broker, PROBE, subscriptions=topics) as sender:
            sender.publish(f"{ROOT}/{PROBE}/m/latency", name)
            centre.wait_for(lambda message: message.payload == name)
            centre.publish(f"{ROOT}/{PROBE}/receipt", name)
            sender.wait_for(lambda message: message.payload == name)
        assert proxy.asked == [f"{HOST}:{broker.port}"], "the proxy looks up the name"


@PROTOCOLS
@TRANSPORTS
def test_the_largest_envelope_passes(stage: Scene, protocol: int, transport: str) -> None:
    topic = f"{ROOT}/{PROBE}/m/throughput"
    largest = f"{protocol} {transport}".encode().ljust(MAX_ENVELOPE_BYTES, b".")
    with (
        Client(stage.broker.by_password(COLLECTOR), "x", subscriptions=[topic]) as centre,
        Client(
            stage.broker.as_probe(stage.probe, protocol=protocol, transport=transport), PROBE
        ) as writer,
    ):
        writer.publish(topic, largest)
        centre.wait_for(lambda message: message.payload == largest)
