#!/usr/bin/env bash
# One would guess: the offsets that `chronyc -c` prints for programs have one sign convention; a clock that is slow has
# the same sign in `tracking`, `sources`, `sourcestats` and `ntpdata`, so that one parser serves all of them.
# What happens: of one and the same sample of a clock that is slow, `sources` and `sourcestats` print a negative
# offset and `ntpdata` a positive one. In `tracking` the "System time" (5th field) of a slow clock is positive and of a
# fast one negative, as in `ntpdata`; only its text for people says which is meant.
# Seen with chrony 4.3 (Debian 12, 4.3-2+deb12u3); the manual of chronyc says "ahead" for each of them by itself.
# For a builder: take one command's field, and pin its sign with a server that is ahead by a known time. A probe that
# corrects its time stamps by the wrong one doubles the error.
set -euo pipefail
folder=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$folder"' EXIT
(
  cd "$folder"
  apt-get --quiet=2 download chrony=4.3-2+deb12u3 >/dev/null 2>&1
  dpkg-deb --extract ./chrony_*.deb root
)
chronyc="$folder/root/usr/bin/chronyc"
"$chronyc" --version
cat > "$folder/server.py" <<'PYTHON'
"""A server of stratum 1 whose clock is ahead of this machine's by so many seconds."""

import socket
import struct
import sys
import time


def ntp_time(unix_s):
    seconds = unix_s + 2_208_988_800
    return struct.pack("!II", int(seconds), int(seconds % 1 * 2**32))


sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("127.0.0.1", 0))
print(sock.getsockname()[1], flush=True)
while True:
    asked, client = sock.recvfrom(512)
    received = ntp_time(time.time() + float(sys.argv[1]))
    header = struct.pack("!BBbbII4s", asked[0] & 0x38 | 4, 1, 0, -20, 0, 0, b"GPS\0")
    sock.sendto(header + received + asked[40:48] + received + ntp_time(time.time() + float(sys.argv[1])), client)
PYTHON

# followed AHEAD_S [OPTION]: a chronyd that follows such a server and leaves the system's clock alone (-x).
followed() {
  python3 "$folder/server.py" "$1" > "$folder/port" &
  until [ -s "$folder/port" ]; do sleep 0.1; done
  mkdir -m 700 "$folder/run"
  printf '%s\n' "server 127.0.0.1 port $(cat "$folder/port") iburst minpoll 0 maxpoll 0 ${2:-}" 'cmdport 0' 'port 0' \
    "bindcmdaddress $folder/run/socket" "pidfile $folder/run/pid" > "$folder/chrony.conf"
  "$folder/root/usr/sbin/chronyd" -x -d -U -u "$(id -un)" -f "$folder/chrony.conf" > "$folder/log" 2>&1 &
}
asked() { "$chronyc" -h "$folder/run/socket" "$@"; }
until_true() { for _ in $(seq 120); do ! "$@" > /dev/null 2>&1 || return 0; sleep 0.5; done; cat "$folder/log"; return 1; }
ended() { kill $(jobs -p); wait 2>/dev/null || true; rm -rf "$folder/run" "$folder/port"; }
is_near() { awk -v seen="$1" -v meant="$2" 'BEGIN { exit !(seen - meant < 0.05 && meant - seen < 0.05) }'; }

# A source that is looked at and not followed: every sample shows the whole offset.
followed 0.25 noselect
has_samples() { asked -c sourcestats | awk -F, '$2 < 4 { exit 1 } END { exit !NR }'; }
until_true has_samples
sources=$(asked -c sources | cut -d, -f9)
stats=$(asked -c sourcestats | cut -d, -f7)
ntpdata=$(asked -c ntpdata | cut -d, -f19)
echo "the server is 0.25 s ahead, so the clock is slow: sources $sources, sourcestats $stats, ntpdata $ntpdata"
is_near "$sources" -0.25 && is_near "$stats" -0.25 && is_near "$ntpdata" 0.25
ended

for ahead in 0.25 -0.25; do
  followed "$ahead"
  is_synchronised() { asked -c tracking | grep -q Normal; }
  until_true is_synchronised
  text=$(asked tracking | grep '^System time')
  system=$(asked -c tracking | cut -d, -f5)
  echo "the server is $ahead s ahead: tracking's 5th field $system; in words: $text"
  is_near "$system" "$ahead"
  case $ahead in -*) [[ $text == *"fast of NTP time" ]] ;; *) [[ $text == *"slow of NTP time" ]] ;; esac
  ended
done
