"""Floor 3. A subscriber that only acknowledges: the most that any collector could take in.

    python -m bench.acknowledger HOST PORT COUNT

It says `ready`, takes COUNT messages, each acknowledged as it comes, and says `done`.
"""

from __future__ import annotations

import queue
import sys

from runtime import mqtt
from runtime.broker import BrokerConfig
from wire import topics

_RECEIVE_MAXIMUM = 200


def main(host: str, port: str, count: str) -> int:
    inbox: queue.SimpleQueue[mqtt.Event] = queue.SimpleQueue()
    session = mqtt.MqttSession(
        BrokerConfig(host=host, port=int(port), tls=False),
        "acknowledger",
        inbox.put,
        subscriptions=topics.collector_filters(),
        receive_maximum=_RECEIVE_MAXIMUM,
    )
    session.start()
    while not isinstance(inbox.get(), mqtt.Connected):
        pass
    print("ready", flush=True)
    left = int(count)
    while left:
        event = inbox.get()
        if isinstance(event, mqtt.Received) and event.topic.split("/")[4] == "m":
            left -= 1
    print("done", flush=True)
    session.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
