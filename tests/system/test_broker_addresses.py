"""Three brokers behind one list of addresses: which one a session takes, and where it goes next."""

from __future__ import annotations

import queue
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from collector.cli import main
from probe.doctor import network_checks
from probe.doctor.check import CheckStatus
from runtime.broker import BrokerConfig
from runtime.connection_failure import ConnectionFailure, FailureCause
from runtime.mqtt import Connected, Disconnected, Event, MqttSession, Received
from tests.broker import Broker, why_not
from tests.client import Client

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))

PROBE = "phu-thong-01"
_WAIT_S = 60.0


@pytest.fixture
def brokers(tmp_path: Path) -> Iterator[list[Broker]]:
    """In the order in which our probe tries them."""
    with ExitStack() as stack:
        started = [stack.enter_context(Broker(tmp_path / str(number))) for number in range(3)]
        by_port = {broker.port: broker for broker in started}
        yield [by_port[one.port] for one in config_of(started).endpoints_of(PROBE)]


def config_of(brokers: list[Broker]) -> BrokerConfig:
    return BrokerConfig(
        addresses=[f"127.0.0.1:{broker.port}" for broker in brokers],
        tls=False,
        connect_timeout_s=5.0,
        reconnect_max_s=1.0,
    )


class Session:
    """A session that subscribes to `x`, and what it reported."""

    def __init__(self, config: BrokerConfig) -> None:
        self._inbox: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._session = MqttSession(config, PROBE, self._inbox.put, subscriptions=["x"])
        self.failures: list[ConnectionFailure] = []
        self.connected = False

    def __enter__(self) -> Session:
        self._session.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._session.stop()

    def until_connected(self) -> None:
        while not isinstance(self._next(), Connected):
            pass

    def until_failures(self, count: int) -> None:
        while len(self.failures) < count:
            self._next()

    def is_at(self, broker: Broker) -> bool:
        """Whether a message to this broker's subscribers of `x` comes here."""
        with Client(broker.config(), "writer") as writer:
            deadline_s = time.monotonic() + _WAIT_S
            while time.monotonic() < deadline_s:
                here = str(broker.port).encode()
                writer.publish("x", here)
                try:
                    event = self._inbox.get(timeout=1)
                    if isinstance(event, Received) and event.payload == here:
                        return True
                except queue.Empty:
                    continue
        return False

    def _next(self) -> Event:
        event = self._inbox.get(timeout=_WAIT_S)
        if isinstance(event, Disconnected):
            self.failures.append(event.failure)
        return event


def test_after_each_death_comes_the_next_and_after_the_last_the_first(
    brokers: list[Broker],
) -> None:
    first, second, third = brokers
    with Session(config_of(brokers)) as session:
        session.until_connected()
        assert session.is_at(first)
        first.kill()
        session.until_connected()
        assert session.is_at(second)
        # It is back, and nothing goes back to it while a connection stands.
        first.start()
        second.kill()
        session.until_connected()
        assert session.is_at(third)
        third.kill()
        session.until_connected()
        assert session.is_at(first)
        assert [failure.address for failure in session.failures] == [
            f"127.0.0.1:{broker.port}" for broker in brokers
        ]


def test_all_down_and_one_back(brokers: list[Broker]) -> None:
    for broker in brokers:
        broker.kill()
    with Session(config_of(brokers)) as session:
        session.until_failures(4)
        addresses = [f"127.0.0.1:{broker.port}" for broker in brokers]
        assert [one.address for one in session.failures[:4]] == [*addresses, addresses[0]]
        assert {one.cause for one in session.failures} == {FailureCause.REFUSED}
        assert session.failures[1].report().vi.startswith(f"{addresses[1]}: ")
        brokers[1].start()
        session.until_connected()
        assert session.is_at(brokers[1])


def test_the_doctor_tries_each_address(brokers: list[Broker]) -> None:
    brokers[1].kill()
    config = config_of(brokers)
    found = list(network_checks.broker(config, datetime.now(UTC), PROBE))
    assert [one.verdict for one in found] == [
        CheckStatus.GOOD,
        CheckStatus.BAD,
        CheckStatus.GOOD,
    ]
    for broker, one in zip(brokers, found, strict=True):
        assert re.match(rf"127\.0\.0\.1 cổng {broker.port}\b", one.seen.vi)


def test_check_is_ready_where_one_takes_us_and_names_the_other(
    brokers: list[Broker], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second, _ = brokers
    second.kill()
    settings = tmp_path / "collector.toml"
    settings.write_text(
        f"[broker]\naddresses = ['127.0.0.1:{first.port}', '127.0.0.1:{second.port}']\n"
        f"tls = false\n[store]\npath = '{tmp_path}/results.sqlite'\n",
        encoding="utf-8",
    )
    assert main(["check", "--config", str(settings)]) == 0
    said = capsys.readouterr().out
    assert f"broker: 127.0.0.1 port {first.port} takes us\n" in said
    refused = f"problem: broker 127.0.0.1 port {second.port}: nothing accepts the connection"
    assert refused in said
