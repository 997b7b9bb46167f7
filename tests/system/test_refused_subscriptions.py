"""A broker that refuses a subscription and keeps the connection, as NATS without a leader does."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import structs

from probe import config, events
from runtime.broker import BrokerConfig
from runtime.connection_failure import FailureCause
from runtime.mqtt import Connected, Disconnected, Event, MqttSession
from tests import samples
from tests.broker import Broker, why_not
from tests.client import eventually
from tests.collector_process import CollectorProcess
from tests.refusing_proxy import RefusingProxy
from tests.system.test_publisher import Office as Probe
from tests.unit.test_config import GOOD

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with Broker(tmp_path / "broker") as started:
        yield started


def through(proxy: RefusingProxy, **changes: object) -> BrokerConfig:
    fields: dict[str, object] = {"reconnect_max_s": 1.0, "protocol": 311}
    return BrokerConfig(host="127.0.0.1", port=proxy.port, tls=False, **fields | changes)  # type: ignore[arg-type]  # by name


def deliver(probe_broker: BrokerConfig, collector_broker: BrokerConfig, folder: Path) -> Probe:
    """Ten results of a probe, stored and confirmed; the probe has ended."""
    settings = structs.replace(
        config.parse(GOOD.encode(), "probe.toml"),
        broker=probe_broker,
        delivery=config.DeliveryConfig(resend_after_s=2.0, clock_wait_s=0.0),
    )
    with CollectorProcess(folder / "collector", collector_broker) as collector:
        probe = Probe(settings, folder)
        try:
            for _ in range(10):
                probe.publisher.submit(samples.latency())
            eventually(lambda: len(collector.results()) >= 10, "all are stored")
            eventually(probe.delivered, "a receipt for all that is stored")
            assert sorted(row["seq"] for row in collector.results()) == list(range(1, 11))
        finally:
            probe.publisher.stop()
    return probe


def test_a_probe_gets_its_receipts_after_a_refused_subscription(
    broker: Broker, tmp_path: Path
) -> None:
    with RefusingProxy(broker.port, refusals=2) as proxy:
        probe = deliver(through(proxy), broker.config(), tmp_path)
        assert proxy.refused == 2
        assert proxy.connections == 1, "the connection stands"
    faults = [
        one.text for one in probe.events if isinstance(one, events.Fault) and one.part == "broker"
    ]
    assert faults[0] is not None
    assert "refused a subscription" in faults[0].en
    assert faults[-1] is None, "and it is over"


def test_a_collector_stores_after_a_refused_subscription(broker: Broker, tmp_path: Path) -> None:
    with RefusingProxy(broker.port, refusals=1) as proxy:
        deliver(broker.config(), through(proxy), tmp_path)
        assert proxy.refused == 1
        assert proxy.connections == 1


def test_a_connection_that_does_not_answer_a_subscription_is_ended(broker: Broker) -> None:
    inbox: queue.SimpleQueue[Event] = queue.SimpleQueue()
    with RefusingProxy(broker.port, refusals=1, answers=False) as proxy:
        session = MqttSession(
            through(proxy, connect_timeout_s=1.0), "probe", inbox.put, subscriptions=["x"]
        )
        session.start()
        assert isinstance(inbox.get(timeout=60), Connected)
        ended = inbox.get(timeout=60)
        assert isinstance(ended, Disconnected)
        assert ended.failure.cause is FailureCause.NO_ANSWER
        assert "SUBACK" in ended.failure.detail
        assert isinstance(inbox.get(timeout=60), Connected)
        session.stop()
