"""Floor 3. Keeps the district's offices in contact while the demo runs, through the broker.

Their results are of the past; without a sign of life all of them would be silent within an hour.
"""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import Self

from deploy.demo.district import OFFICES
from deploy.demo.past import Past, health
from deploy.demo.settings import TENANT
from runtime.broker import BrokerConfig
from runtime.mqtt import Event, Message, MqttSession
from wire import messages, topics

# A probe's default.
_EVERY_S = 300.0


class Pulse:
    """Publishes each office's `health` while the context lasts, but for those without power."""

    def __init__(self, broker: BrokerConfig, past: Past) -> None:
        self._past = past
        self._stopping = threading.Event()
        self._session = MqttSession(broker, "demo-district", _ignore, kept=False)
        self._thread = threading.Thread(target=self._run, name="district")

    def __enter__(self) -> Self:
        self._session.start()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()
        self._session.stop()

    def _run(self) -> None:
        while not self._stopping.wait(_EVERY_S):
            at = datetime.now(UTC)
            for office in OFFICES:
                if not office.unplugged_days:
                    payload = messages.encode(health(office, self._past, at))
                    topic = topics.of_probe(TENANT, office.probe, "health")
                    self._session.publish(Message(topic, payload))


def _ignore(_event: Event) -> None:
    """Nothing is received; what a lost connection drops comes again."""
