"""Floor 2. A probe that floods: publishes one payload as fast as the broker takes it, until killed.

python -m tests.flood PORT TOPIC FILE
"""

from __future__ import annotations

import queue
import sys
from pathlib import Path

from runtime.broker import BrokerConfig
from runtime.mqtt import Connected, Event, Message, MqttSession, Published

# Not answered yet: enough that the broker never waits for us.
_WINDOW = 500


def main() -> None:
    """Flood."""
    inbox: queue.SimpleQueue[Event] = queue.SimpleQueue()
    broker = BrokerConfig(host="127.0.0.1", port=int(sys.argv[1]), tls=False)
    message = Message(sys.argv[2], Path(sys.argv[3]).read_bytes())
    session = MqttSession(broker, "flood", inbox.put, kept=False)
    session.start()
    under_way = 0
    while True:
        event = inbox.get()
        if isinstance(event, Connected):
            under_way = 0
        elif isinstance(event, Published):
            under_way -= 1
        while under_way < _WINDOW and session.publish(message) is not None:
            under_way += 1


if __name__ == "__main__":
    main()
