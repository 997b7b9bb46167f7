#!/usr/bin/env bash
# One would guess: paho-mqtt's `connect_timeout` bounds the time until a client is connected or knows that
# it is not.
# What happens: it bounds the TCP connection and the TLS handshake alone. A port that accepts and never sends
# a CONNACK (a wrong service, a broker that hangs, a middlebox) is waited for as long as the keep-alive, 60 s
# by default, and `on_disconnect` then says "Keep alive timeout", though there never was an MQTT connection.
# `connect()` itself returns 0.
# Seen with paho-mqtt 2.2.0 (PyPI), Python 3.11, MQTT 5.
# For a builder: start a timer of your own at `connect()` and end it in `on_connect`; do not show the
# reason of `on_disconnect` as the cause where `on_connect` was never called.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install paho-mqtt==2.2.0 2>/dev/null
cat > "$folder/silent.py" <<'PYTHON'
import socket
import threading
import time
from importlib.metadata import version

from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

CONNECT_TIMEOUT_S, KEEPALIVE_S = 1.0, 6
server = socket.create_server(("127.0.0.1", 0))
accepted = []


def accept():
    while True:
        accepted.append(server.accept()[0])


threading.Thread(target=accept, daemon=True).start()
events = []
client = mqtt.Client(
    CallbackAPIVersion.VERSION2, "one", protocol=mqtt.MQTTv5, reconnect_on_failure=False
)
client.connect_timeout = CONNECT_TIMEOUT_S
client.on_connect = lambda *arguments: events.append("on_connect")
client.on_disconnect = lambda *arguments: events.append(f"on_disconnect: {arguments[3]}")
began_s = time.monotonic()
returned = client.connect("127.0.0.1", server.getsockname()[1], keepalive=KEEPALIVE_S)
print(f"paho-mqtt {version('paho-mqtt')}: connect() returned {int(returned)}")
while client.loop(0.5) == 0 and time.monotonic() - began_s < 60:
    pass
took_s = time.monotonic() - began_s
print(f"connect_timeout {CONNECT_TIMEOUT_S:g} s, keepalive {KEEPALIVE_S} s: gave up after {took_s:.0f} s")
print(events)
assert int(returned) == 0
assert events == ["on_disconnect: Keep alive timeout"], events
assert took_s >= KEEPALIVE_S - 1, took_s
PYTHON
"$folder/venv/bin/python" "$folder/silent.py"
