#!/usr/bin/env bash
# One would guess: a router that speaks NAT-PMP answers a request for its external address (RFC 6886 §3.2) with the
# address of its WAN interface; so an address of 100.64.0.0/10 (RFC 6598) there shows that it is behind a
# carrier-grade NAT.
# What happens: where its WAN has a shared or private address, miniupnpd answers result code 3 (network failure) and
# 0.0.0.0, though the line works and its own log says "probably behind NAT". A documentation address as `ext_ip` is
# refused at the start as "reserved / private".
# Seen with miniupnpd 2.3.1 (Debian 12, miniupnpd-nftables 2.3.1-1).
# For a builder: result code 3 does not mean that the router has no lease; and silence about the address cannot be read as
# "no carrier-grade NAT". In a lab give `ext_ip` a public address.
# Needs root: the router is in a network namespace of its own.
set -euo pipefail
folder=$(mktemp -d)
name=pmp$$
router=
cleanup() {
  [ -z "$router" ] || kill "$router" 2>/dev/null || true
  ip netns del "$name" 2>/dev/null || true
  ip link del "$name" 2>/dev/null || true
  rm -rf "$folder"
}
trap cleanup EXIT
(
  cd "$folder"
  apt-get --quiet=2 download miniupnpd-nftables=2.3.1-1 libnftnl11 libmnl0 >/dev/null 2>&1
  for package in ./*.deb; do dpkg-deb --extract "$package" root; done
)
LD_LIBRARY_PATH=$(dirname "$(find "$folder/root" -name 'libnftnl.so.11' | head -1)")
export LD_LIBRARY_PATH

ip netns add "$name"
ip link add "$name" type veth peer name lan netns "$name"
ip address add 198.18.79.2/24 dev "$name"
ip link set "$name" up
ip -n "$name" address add 198.18.79.1/24 dev lan
ip -n "$name" link set lan up
ip -n "$name" link add wan type veth peer name isp
ip -n "$name" address add 100.64.7.7/24 dev wan
ip -n "$name" link set wan up
ip -n "$name" link set isp up

printf '%s\n' ext_ifname=wan listening_ip=lan enable_natpmp=yes enable_upnp=no port=0 \
  'allow 1024-65535 0.0.0.0/0 1024-65535' > "$folder/router.conf"

asked() {
  ip netns exec "$name" "$folder/root/usr/sbin/miniupnpd" -d -f "$folder/router.conf" -P "$folder/pid" "$@" \
    > "$folder/log" 2>&1 &
  router=$!
  python3 - <<'PYTHON'
import socket, struct, time

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
    sock.settimeout(0.25)
    sock.connect(("198.18.79.1", 5351))
    for _ in range(240):
        try:
            sock.send(b"\0\0")
            answer = sock.recv(64)
            break
        except OSError:
            time.sleep(0.25)
    _, opcode, result, _, address = struct.unpack("!BBHI4s", answer[:12])
    print(opcode, result, socket.inet_ntoa(address))
PYTHON
  kill "$router"
  wait "$router" 2>/dev/null || true
  router=
}
behind=$(asked)
echo "WAN 100.64.7.7: opcode, result code, address: $behind"
grep -o "probably behind NAT" "$folder/log" | head -1
public=$(asked -o 8.8.4.4)
echo "ext_ip 8.8.4.4: opcode, result code, address: $public"
[ "$behind" = "128 3 0.0.0.0" ]
[ "$public" = "128 0 8.8.4.4" ]
