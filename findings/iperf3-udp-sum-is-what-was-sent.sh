#!/usr/bin/env bash
# One would guess: `end.sum` of a UDP test's JSON is what the receiver got: it has the receiver's jitter and losses, and
# with `--reverse` it says `"sender": false`. So `end.sum.bits_per_second` is the throughput.
# What happens: its bytes, packets and bits_per_second are what was sent, beside the losses of the receiver: where every
# second datagram is lost, it says 2 Mbit/s and 50 % lost, and with `--reverse`, at the receiver itself, it says so too,
# there with the seconds of one end and the rate by the seconds of the other. Only `end.sum_received` has the throughput.
# Seen with iperf3 3.12 (Debian 12, 3.12-1+deb12u2). PyPI's `iperf3` 0.1.11 takes bytes and bps of a UDP test from `end.sum`.
# For a builder: read `end.sum_received`; where a library gives the sum alone, multiply by the share that arrived, and say
# which of the two a figure is.
set -euo pipefail
folder=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$folder"' EXIT
(
  cd "$folder"
  apt-get --quiet=2 download iperf3=3.12-1+deb12u2 libiperf0=3.12-1+deb12u2 libsctp1 > /dev/null 2>&1
  for package in ./*.deb; do dpkg-deb --extract "$package" root; done
)
LD_LIBRARY_PATH=$(dirname "$(find "$folder/root" -name 'libiperf.so.0' | head -1)")
export LD_LIBRARY_PATH
iperf3="$folder/root/usr/bin/iperf3"
"$iperf3" --version | head -1
cat > "$folder/relay.py" <<'PYTHON'
"""TCP goes straight through to an iperf3 server; of UDP every second datagram is lost, after the first two."""

import socket
import subprocess
import sys
import threading


def pipe(source, sink):
    while data := source.recv(65536):
        sink.sendall(data)
    sink.shutdown(socket.SHUT_WR)


def control(listener, port):
    while True:
        client, _ = listener.accept()
        server = socket.create_connection(("127.0.0.1", port))
        for pair in ((client, server), (server, client)):
            threading.Thread(target=pipe, args=pair, daemon=True).start()


def datagrams(source, forward):
    count = 0
    while True:
        data, sender = source.recvfrom(65536)
        count += 1
        if count <= 2 or count % 2:
            forward(data, sender)


def relay(port):
    listener = socket.create_server(("127.0.0.1", 0))
    outside = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    outside.bind(listener.getsockname())
    inside = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    inside.connect(("127.0.0.1", port))
    client = []

    def towards_server(data, sender):
        client[:] = [sender]
        inside.send(data)

    for function, args in (
        (control, (listener, port)),
        (datagrams, (outside, towards_server)),
        (datagrams, (inside, lambda data, _: outside.sendto(data, client[0]))),
    ):
        threading.Thread(target=function, args=args, daemon=True).start()
    return listener.getsockname()[1]


subprocess.run([sys.argv[1], "--client", "127.0.0.1", "--port", str(relay(int(sys.argv[2]))), *sys.argv[3:]], check=True)
PYTHON
port=$(python3 -c 'import socket; one = socket.create_server(("127.0.0.1", 0)); print(one.getsockname()[1])')
"$iperf3" --server --port "$port" > /dev/null 2>&1 &
sleep 1
for way in upload download; do
  # The download needs both datagrams of its set-up, which are the first two.
  [ $way = upload ] && reverse='' || reverse=--reverse
  # shellcheck disable=SC2086
  python3 "$folder/relay.py" "$iperf3" "$port" --udp --bitrate 2M --length 1000 --time 3 --json $reverse > "$folder/$way.json"
  python3 - "$folder/$way.json" $way <<'PYTHON'
import json
import sys

end = json.load(open(sys.argv[1]))["end"]
for name in ("sum", "sum_sent", "sum_received"):
    one = end[name]
    print(f"{sys.argv[2]}, {name}: {one['bits_per_second'] / 1e6:.2f} Mbit/s, {one['bytes']} bytes in {one['seconds']:.2f} s, "
          f"{one['lost_percent']:.0f} % lost, sender {one['sender']}")
total, received = end["sum"], end["sum_received"]
assert 40 < total["lost_percent"] < 60, total
assert total["bits_per_second"] > 1.7 * received["bits_per_second"], end
assert total["bytes"] == end["sum_sent"]["bytes"] > 1.7 * received["bytes"], end
assert total["sender"] is (sys.argv[2] == "upload"), total
PYTHON
done
