"""Floor 3. Logs every MQTT message of the demo to a file: one JSON object a line.

`{"topic": …, "payload": …}`, for whoever writes a subscriber and wants real messages to read.
"""

from __future__ import annotations

from pathlib import Path
from typing import Self

import msgspec

from runtime.broker import BrokerConfig
from runtime.mqtt import Event, MqttSession, Received
from wire.topics import ROOT


class MessageLog:
    """Subscribed to all of the contract's topics, and writing to the file, while the context lasts.

    Raises:
        OSError: the file cannot be written.
    """

    def __init__(self, broker: BrokerConfig, file: Path) -> None:
        self._file = file.open("wb")
        self._session = MqttSession(
            broker, "demo-message-log", self._write, subscriptions=[f"{ROOT}/#"], kept=False
        )

    def __enter__(self) -> Self:
        self._session.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._session.stop()
        self._file.close()

    def _write(self, event: Event) -> None:
        """Called from the session's thread; nobody else writes."""
        # A retained message that is withdrawn is empty, and no payload of the contract.
        if isinstance(event, Received) and event.payload:
            line = {"topic": event.topic, "payload": msgspec.Raw(event.payload)}
            self._file.write(msgspec.json.encode(line) + b"\n")
            self._file.flush()
