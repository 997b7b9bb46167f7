#!/usr/bin/env bash
# One would guess: `on_disconnect` is called once for each connection that ends, and a call of `loop_misc()` that
# closes the socket says so by what it returns.
# What happens: where the broker stops answering pings (a box that froze, a NAT that forgot), `on_disconnect` is
# called twice for the one connection, both times with "Keep alive timeout"; so it is with `loop()`. And where no
# CONNACK ever came, the call of `loop_misc()` in which the socket is closed returns MQTT_ERR_SUCCESS: the next
# one returns MQTT_ERR_NO_CONN.
# Seen with paho-mqtt 2.2.0 (PyPI), Python 3.11, MQTT 3.1.1.
# For a builder: count losses and start the back-off by connection, not by calls of `on_disconnect`; in a loop of
# your own look at `socket()` after every `loop_*` call, before its descriptor is given to another connection.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install paho-mqtt==2.2.0 2>/dev/null
cat > "$folder/silent.py" <<'PYTHON'
import select
import socket
import sys
import threading
import time
from importlib.metadata import version

import paho.mqtt.client as mqtt

KEEPALIVE_S = 2


def silent_broker(connack):
    """The port of one that accepts a connection, answers CONNECT or not, and then says nothing."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        connection, _ = listener.accept()
        connection.recv(1024)
        if connack:
            connection.sendall(bytes([0x20, 2, 0, 0]))
        time.sleep(60)

    threading.Thread(target=serve, daemon=True).start()
    return listener.getsockname()[1]


def lost(connack):
    """What the call that closed the socket returned, and the reasons of `on_disconnect`."""
    reasons = []
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, "probe")
    client.on_disconnect = lambda _client, _data, _flags, reason, _properties: reasons.append(str(reason))
    client.connect("127.0.0.1", silent_broker(connack), keepalive=KEEPALIVE_S)
    returned = None
    while client.socket() is not None:
        if select.select([client.socket()], [], [], 0.1)[0]:
            client.loop_read()
        if client.want_write():
            client.loop_write()
        returned = client.loop_misc()
    return int(returned), reasons, int(client.loop_misc())


print("paho-mqtt", version("paho-mqtt"), "Python", sys.version.split()[0])
seen = []
for connack in (True, False):
    returned, reasons, next_one = lost(connack)
    print(f"CONNACK {connack}: the closing call returned {returned}, the next one {next_one}; on_disconnect: {reasons}")
    seen.append((returned, len(reasons), next_one))
changed = seen != [(7, 2, 4), (0, 1, 4)]
print("it has changed" if changed else "as described")
sys.exit(changed)
PYTHON
"$folder/venv/bin/python" "$folder/silent.py"
