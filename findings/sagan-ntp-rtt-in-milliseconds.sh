#!/usr/bin/env bash
# One would guess: `ripe.atlas.sagan`, RIPE Atlas' own parser, gives the round-trip time of an NTP measurement as the
# probe wrote it. Atlas writes it in seconds with six decimals; Sagan's other round-trip times are in milliseconds,
# rounded to three decimals, which is a microsecond.
# What happens: the seconds of NTP are rounded to three decimals as well, which is a millisecond. A server 0.4 ms away
# has a round-trip time of 0.0, one 1.5 ms away of 0.002; `rtt_min`, `rtt_median` and `rtt_max` are made from these. The
# offset beside them is not rounded, so the two no longer fit each other. A lost packet has the `rtt` None, and raises
# AttributeError when it is asked for one of its times (`origin_time`).
# Seen with ripe.atlas.sagan 2.0.1 (PyPI), Python 3.11; source: ripe/atlas/sagan/ntp.py, class Packet.
# For a builder: take `packet.raw_data["rtt"]`, or final - origin - (transmit - receive) from the four timestamps; look
# whether a packet's `rtt` is None before asking for its times.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install ripe.atlas.sagan==2.0.1 2>/dev/null
cat > "$folder/rtt.py" <<'PYTHON'
from importlib.metadata import version

from ripe.atlas.sagan import Result


def ntp(*packets):
    return Result.get(
        {
            "af": 4, "dst_addr": "203.0.113.1", "dst_name": "203.0.113.1", "from": "198.51.100.7", "fw": 5080,
            "group_id": 1, "li": "no", "mode": "server", "msm_id": 1, "msm_name": "Ntp", "poll": 8, "prb_id": 1,
            "precision": 1e-06, "proto": "UDP", "ref-id": "GPS", "ref-ts": 3899999990.0, "root-delay": 0.0,
            "root-dispersion": 0.0, "src_addr": "192.0.2.5", "stratum": 1, "timestamp": 1691011200, "type": "ntp",
            "version": 4, "result": list(packets),
        }
    )


def packet(rtt, offset):
    return {
        "origin-ts": 3900000000.5, "receive-ts": 3900000000.6, "transmit-ts": 3900000000.6, "final-ts": 3900000000.7,
        "offset": offset, "rtt": rtt,
    }


result = ntp(packet(0.000412, 0.000123), packet(0.001534, 0.000456), {"x": "*"})
print(f"ripe.atlas.sagan {version('ripe.atlas.sagan')}: {type(result).__name__}, malformed {result.is_malformed}")
for one in result.packets:
    print(f"as written {one.raw_data.get('rtt')} s: rtt {one.rtt}, offset {one.offset}")
print(f"rtt_min {result.rtt_min}, rtt_median {result.rtt_median}, rtt_max {result.rtt_max}")
assert [one.rtt for one in result.packets] == [0.0, 0.002, None]
assert result.packets[0].offset == 0.000123
assert (result.rtt_min, result.rtt_max) == (0.0, 0.002)
try:
    seen = repr(result.packets[2].origin_time)
except AttributeError as error:
    seen = f"AttributeError: {error}"
print(f"origin_time of the lost packet: {seen}")
assert seen.startswith("AttributeError")
PYTHON
"$folder/venv/bin/python" "$folder/rtt.py"
