#!/usr/bin/env bash
# One would guess: `iperf3 --server --idle-timeout 5` frees a server whose client is gone after 5 s. The manual says
# that the server restarts after so many seconds in case it gets stuck.
# What happens: a client whose link is cut in the middle of a test keeps the server busy for the rest of the test
# and some 40 s more, as without the option; everybody else is refused as "busy" all that time.
# Seen with iperf3 3.12 (Debian 12, 3.12-1+deb12u2), a download of 5 s cut after 2 s.
# For a builder: a lost probe blocks its port for much longer than its test; have several ports, and a back-off
# that outlasts a minute. Do not count on this option.
# Needs root: the client is in a network namespace of its own, so that its link can be cut.
set -euo pipefail
folder=$(mktemp -d)
name=idle$$
server=
cleanup() {
  [ -z "$server" ] || kill "$server" 2>/dev/null || true
  ip netns pids "$name" 2>/dev/null | xargs -r kill -9 2>/dev/null || true
  ip netns del "$name" 2>/dev/null || true
  ip link del "$name" 2>/dev/null || true
  rm -rf "$folder"
}
trap cleanup EXIT
(
  cd "$folder"
  apt-get --quiet=2 download iperf3=3.12-1+deb12u2 libiperf0=3.12-1+deb12u2 libsctp1 >/dev/null 2>&1
  for package in ./*.deb; do dpkg-deb --extract "$package" root; done
)
LD_LIBRARY_PATH=$(dirname "$(find "$folder/root" -name 'libiperf.so.0' | head -1)")
export LD_LIBRARY_PATH
iperf3="$folder/root/usr/bin/iperf3"
"$iperf3" --version | head -1

ip netns add "$name"
ip link add "$name" type veth peer name eth0 netns "$name"
ip address add 198.18.77.1/30 dev "$name"
ip link set "$name" up
ip -n "$name" address add 198.18.77.2/30 dev eth0
ip -n "$name" link set eth0 up

port=5398 idle_s=5 test_s=5
"$iperf3" --server --port $port --idle-timeout $idle_s >/dev/null 2>&1 &
server=$!
sleep 1
ip netns exec "$name" "$iperf3" --client 198.18.77.1 --port $port --reverse --time $test_s --bitrate 1M >/dev/null 2>&1 &
disown
sleep 2
ip -n "$name" route add blackhole 198.18.77.1/32
cut=$SECONDS
is_busy() {
  local said
  said=$("$iperf3" --client 127.0.0.1 --port $port --time 1 --bitrate 1M 2>&1) || true
  [[ $said == *"busy running a test"* ]]
}
while is_busy && [ $((SECONDS - cut)) -lt 300 ]; do sleep 1; done
busy_s=$((SECONDS - cut))
echo "the client was cut off in the middle of a test of $test_s s; --idle-timeout $idle_s; the server was busy for $busy_s s"
[ $busy_s -gt $((test_s + 2 * idle_s)) ] || { echo "it was freed in time"; exit 1; }
