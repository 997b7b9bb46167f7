#!/usr/bin/env bash
# One would guess: what collectd's plugin `mqtt` publishes is the text that its manual shows, a time and one or more
# values with colons between them ("1700000000.000:0.25"), so `float(payload.split(b":")[1])` reads it.
# What happens: every payload ends with a NUL byte, the end of the C string, which is sent as a part of the message. A
# terminal does not show it; `float` refuses the last value, a JSON parser or a database's text column the whole, and
# a broker's or bridge's comparison of two payloads fails.
# Seen with collectd-core 5.12.0-14 and mosquitto 2.0.11 (both Debian 12); source: `mqtt_write` in src/mqtt.c.
# For a builder: strip trailing NUL bytes from what comes by MQTT from programs in C before it is decoded, and show the
# bytes (`mosquitto_sub -F %x`) when a value that looks right is refused.
set -euo pipefail
folder=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$folder"' EXIT
(
  cd "$folder"
  apt-get --quiet=2 download collectd-core=5.12.0-14 libltdl7 libyajl2 mosquitto=2.0.11-1.2+deb12u2 \
    mosquitto-clients=2.0.11-1.2+deb12u2 libmosquitto1=2.0.11-1.2+deb12u2 libcjson1 libdlt2 libwebsockets17 \
    libev4 libuv1 > /dev/null 2>&1
  for package in ./*.deb; do dpkg-deb --extract "$package" root; done
)
LD_LIBRARY_PATH=$(dirname "$(find "$folder/root" -name 'libmosquitto.so.1' | head -1)")
export LD_LIBRARY_PATH
port=$(python3 -c 'import socket; one = socket.create_server(("127.0.0.1", 0)); print(one.getsockname()[1])')
"$folder/root/usr/sbin/mosquitto" -p "$port" > "$folder/broker.log" 2>&1 &
mkdir "$folder/base"
cat > "$folder/collectd.conf" <<CONF
BaseDir "$folder/base"
PIDFile "$folder/base/pid"
PluginDir "$folder/root/usr/lib/collectd"
TypesDB "$folder/root/usr/share/collectd/types.db"
Interval 1
Hostname "box"
LoadPlugin uptime
LoadPlugin mqtt
<Plugin mqtt>
  <Publish "broker">
    Host "127.0.0.1"
    Port $port
    Prefix "collectd"
  </Publish>
</Plugin>
CONF
collectd="$folder/root/usr/sbin/collectd"
"$collectd" -h | grep '^collectd'
"$collectd" -f -C "$folder/collectd.conf" > "$folder/collectd.log" 2>&1 &
hex=
for _ in $(seq 60); do
  hex=$("$folder/root/usr/bin/mosquitto_sub" -p "$port" -t 'collectd/#' -C 1 -W 5 -F %x 2> "$folder/sub.log") && break
  sleep 1
done
[ -n "$hex" ] || { cat "$folder/broker.log" "$folder/collectd.log" "$folder/sub.log"; exit 1; }
python3 - "$hex" <<'PYTHON'
import sys

payload = bytes.fromhex(sys.argv[1])
print(f"collectd published {payload!r}")
assert payload.endswith(b"\0") and payload.count(b"\0") == 1, payload
try:
    float(payload.split(b":")[1])
except ValueError as error:
    print(f"float: {error}")
else:
    sys.exit("float read it")
print(f"without it: {float(payload.rstrip(bytes(1)).split(b':')[1])} s of uptime")
PYTHON
