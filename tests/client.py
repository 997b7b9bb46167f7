"""Floor 2. A plain MQTT client for tests: publish and wait for the PUBACK, look at what came.

with Client(broker.config(), "probe-1", subscriptions=["tramdo/v1/+/+/receipt"]) as client:
    client.publish(topic, payload)
    client.wait_for(lambda message: message.topic == topic)
"""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Sequence
from typing import Self, TypeVar

from runtime.broker import BrokerConfig
from runtime.mqtt import Connected, Event, Message, MqttSession, Published, Received

T = TypeVar("T")
_ANSWER_TIMEOUT_S = 60.0


class Client:
    """Connected while the context lasts; one thread uses it."""

    def __init__(
        self,
        broker: BrokerConfig,
        client_id: str,
        *,
        subscriptions: Sequence[str] = (),
        will: Message | None = None,
    ) -> None:
        self._inbox: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._session = MqttSession(
            broker, client_id, self._inbox.put, subscriptions=subscriptions, will=will
        )
        self.received: list[Received] = []

    def __enter__(self) -> Self:
        self._session.start()
        self._until(lambda event: isinstance(event, Connected), _ANSWER_TIMEOUT_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._session.stop()

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish with QoS 1 and wait until the broker has it; again on a new connection."""
        deadline_s = time.monotonic() + _ANSWER_TIMEOUT_S
        while (mid := self._session.publish(Message(topic, payload, 1, retain))) is None:
            assert time.monotonic() < deadline_s, "no connection to the broker"
            self._until(lambda event: isinstance(event, Connected), _ANSWER_TIMEOUT_S)
        self._until(lambda event: isinstance(event, Published) and event.mid == mid, 20.0)

    def hand_over(self, message: Message) -> int | None:
        """Publish without waiting for anything."""
        return self._session.publish(message)

    def look(self) -> None:
        """Take in what has come, without waiting."""
        while True:
            try:
                event = self._inbox.get_nowait()
            except queue.Empty:
                return
            if isinstance(event, Received):
                self.received.append(event)

    def wait_for(
        self, wanted: Callable[[Received], bool], timeout_s: float = _ANSWER_TIMEOUT_S
    ) -> Received:
        """The last message that is wanted, of those that came and those still to come."""
        if (known := next(filter(wanted, reversed(self.received)), None)) is not None:
            return known
        event = self._until(lambda event: isinstance(event, Received) and wanted(event), timeout_s)
        assert isinstance(event, Received)
        return event

    def _until(self, wanted: Callable[[Event], bool], timeout_s: float) -> Event:
        deadline_s = time.monotonic() + timeout_s
        while True:
            left_s = deadline_s - time.monotonic()
            assert left_s > 0, f"it did not come in {timeout_s} s"
            try:
                event = self._inbox.get(timeout=left_s)
            except queue.Empty:
                continue
            if isinstance(event, Received):
                self.received.append(event)
            if wanted(event):
                return event


def eventually(ask: Callable[[], T | None], what: str, timeout_s: float = 60.0) -> T:
    """The first answer that is neither None nor False; AssertionError when it takes too long."""
    deadline_s = time.monotonic() + timeout_s
    while True:
        answer = ask()
        if answer is not None and answer is not False:
            return answer
        assert time.monotonic() < deadline_s, f"not within {timeout_s} s: {what}"
        time.sleep(0.02)
