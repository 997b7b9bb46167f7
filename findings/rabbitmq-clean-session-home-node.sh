#!/usr/bin/env bash
# One would guess: an MQTT client with a clean session leaves nothing behind, so that it can connect to any other node of a
# RabbitMQ cluster when its own node dies.
# What happens with 3.10.8: a QoS 1 subscription of a clean session is a durable, auto-delete classic queue
# `mqtt-subscription-{client}qos1` on the node that the client was connected to. When that node is killed, every other node
# accepts the connection and ends it at the subscription (404, "home node … of durable queue … is down or inaccessible"),
# until the dead node is back.
# Seen with rabbitmq-server 3.10.8-1.1+deb12u1 (Debian 12), Erlang 25.2.3, paho-mqtt 2.1.0. With 4.0.5 (Debian 13) the queue
# goes with its connection, and the client is served at once.
# For a builder: with RabbitMQ before 3.12 give clients kept sessions with `mqtt.durable_queue_type = quorum` (a replicated
# queue each), or take 4. Test a node's death with the sessions that you will use.
# Needs Debian's rabbitmq-server and erlang-base, and is done in a minute.
set -euo pipefail
folder=$(mktemp -d)
programs=/usr/lib/rabbitmq/bin
epmd_pid=
pids=()
clean() {
  for pid in "${pids[@]}"; do kill -9 -- "-$pid" 2>/dev/null || true; done
  [ -z "$epmd_pid" ] || kill "$epmd_pid" 2>/dev/null || true
  rm -rf "$folder"
}
trap clean EXIT
if [ ! -x $programs/rabbitmq-server ]; then
  echo "needs Debian's rabbitmq-server (apt-get install rabbitmq-server)" >&2
  exit 2
fi
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install paho-mqtt==2.1.0 2>/dev/null
ports=($("$folder/venv/bin/python" - <<'PYTHON'
import socket
held = [socket.socket() for _ in range(5)]
for each in held:
    each.bind(("127.0.0.1", 0))
print(*(each.getsockname()[1] for each in held))
PYTHON
))
export HOME=$folder ERL_EPMD_PORT=${ports[4]}
echo finding > "$folder/.erlang.cookie"
chmod 400 "$folder/.erlang.cookie"
epmd -port "$ERL_EPMD_PORT" -address 127.0.0.1 &
epmd_pid=$!

start() { # number, MQTT port, Erlang port
  local node=$folder/$1
  mkdir -p "$node"
  echo '[rabbitmq_mqtt].' > "$node/plugins"
  cat > "$node/rabbitmq.conf" <<CONF
listeners.tcp = none
mqtt.listeners.tcp.default = 127.0.0.1:$2
mqtt.allow_anonymous = true
cluster_formation.peer_discovery_backend = classic_config
cluster_formation.classic_config.nodes.1 = one@127.0.0.1
cluster_formation.classic_config.nodes.2 = two@127.0.0.1
CONF
  RABBITMQ_USE_LONGNAME=true RABBITMQ_NODENAME=$1@127.0.0.1 RABBITMQ_DIST_PORT=$3 RABBITMQ_CONF_ENV_FILE=$node/none \
    RABBITMQ_CONFIG_FILE=$node/rabbitmq.conf RABBITMQ_ENABLED_PLUGINS_FILE=$node/plugins \
    RABBITMQ_MNESIA_BASE=$node/store RABBITMQ_LOG_BASE=$node/logs RABBITMQ_GENERATED_CONFIG_DIR=$node/generated \
    RABBITMQ_SCHEMA_DIR=$node/schema RABBITMQ_LOGS=- setsid $programs/rabbitmq-server > "$node/log" 2>&1 &
  pids+=($!)
  disown
  for _ in $(seq 240); do
    grep -q "Server startup complete" "$node/log" && return
    sleep 0.5
  done
  tail -20 "$node/log" >&2
  exit 2
}
start one "${ports[0]}" "${ports[1]}"
start two "${ports[2]}" "${ports[3]}"
grep -ho "Starting RabbitMQ [0-9.]* on Erlang [0-9.]*" "$folder/one/log" | head -1
cat > "$folder/client.py" <<'PYTHON'
import queue
import sys

import paho.mqtt.client as mqtt


def subscribed(port, keep=None):
    """What becomes of a clean session's QoS 1 subscription at a node: granted, or the connection's end."""
    events = queue.Queue()
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, "probe", clean_session=True, reconnect_on_failure=False)
    client.on_connect = lambda *_: client.subscribe("probe/receipt", 1)
    client.on_subscribe = lambda *_: events.put("granted")
    client.on_disconnect = lambda *_: events.put("connection ended")
    client.connect("127.0.0.1", port)
    client.loop_start()
    outcome = events.get(timeout=60)
    if keep:
        print(outcome, flush=True)
        sys.stdin.readline()
    return outcome


print(subscribed(int(sys.argv[1]), keep=len(sys.argv) > 2), flush=True)
PYTHON
mkfifo "$folder/end"
"$folder/venv/bin/python" "$folder/client.py" "${ports[0]}" stay < "$folder/end" > "$folder/first" &
exec 7> "$folder/end"
for _ in $(seq 120); do [ -s "$folder/first" ] && break; sleep 0.5; done
echo "at its first node: $(head -1 "$folder/first")"
kill -9 -- "-${pids[0]}"
second=$("$folder/venv/bin/python" "$folder/client.py" "${ports[2]}" | head -1)
echo "at the other node, the first one killed: $second"
grep -ho "home node '[^']*' of durable queue '[^']*' in vhost '/' is down or inaccessible" "$folder/two/log" | head -1
exec 7>&-
if [ "$second" = "connection ended" ]; then
  echo "a clean session is bound to the node that it began on"
else
  echo "BEHAVIOUR HAS CHANGED: a clean session goes on at another node" >&2
  exit 1
fi
