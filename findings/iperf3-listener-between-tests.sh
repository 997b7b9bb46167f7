#!/usr/bin/env bash
# One would guess: `iperf3 --server` is a server that listens all the time. While a test runs it answers others
# with "the server is busy"; right after a test it takes the next one.
# What happens: after each test it closes its listening socket and opens a new one. Between the two nobody
# listens, so a client that comes at once (the upload after the download) gets "Connection refused", which looks
# like a server that is down. Idle machines close the gap in under a millisecond; a busy server does not.
# Seen with iperf3 3.12 (Debian 12, 3.12-1+deb12u2). Each line below is one listening socket by the kernel's
# inode number in /proc/net/tcp6 (or tcp): one before the first test, and another after each test.
# For a builder: refused right after a test is not "down": try the same port again after a moment, and do not
# watch such a server with a check that connects once.
set -euo pipefail
folder=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$folder"' EXIT
(
  cd "$folder"
  apt-get --quiet=2 download iperf3=3.12-1+deb12u2 libiperf0=3.12-1+deb12u2 libsctp1 >/dev/null 2>&1
  for package in ./*.deb; do dpkg-deb --extract "$package" root; done
)
LD_LIBRARY_PATH=$(dirname "$(find "$folder/root" -name 'libiperf.so.0' | head -1)")
export LD_LIBRARY_PATH
iperf3="$folder/root/usr/bin/iperf3"
"$iperf3" --version | head -1

port=5397
listener() { # the inode of the socket that listens on the port
  awk -v port="$(printf '%04X' $port)" '$4 == "0A" && substr($2, length($2) - 3) == port { print $10 }' \
    /proc/net/tcp /proc/net/tcp6
}
until_listening() { for _ in $(seq 600); do [ -n "$(listener)" ] && return; sleep 0.1; done; return 1; }

"$iperf3" --server --port $port >/dev/null 2>&1 &
server=$!
until_listening
sockets=("$(listener)")
for test in 1 2 3; do
  "$iperf3" --client 127.0.0.1 --port $port --time 1 --bitrate 1M >/dev/null
  sleep 1
  until_listening
  sockets+=("$(listener)")
  echo "listening socket before test $test: ${sockets[test - 1]}, after: ${sockets[test]}"
  [ "${sockets[test - 1]}" != "${sockets[test]}" ] || { echo "it is the same: the server has kept it"; exit 1; }
done
kill -0 $server && echo "one server process all the time ($server), four listening sockets"
