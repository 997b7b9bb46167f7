"""What the peers print, as they printed it."""

from __future__ import annotations

import json

import pytest

from bench.peer_output import PeerReading, read_fping, read_irtt, read_ping

PING = """PING 203.0.113.1 (203.0.113.1) from 192.168.1.2 vnpt: 56(84) bytes of data.
64 bytes from 203.0.113.1: icmp_seq=1 ttl=63 time=10.3 ms
64 bytes from 203.0.113.1: icmp_seq=1 ttl=63 time=10.4 ms (DUP!)
64 bytes from 203.0.113.1: icmp_seq=3 ttl=63 time=0.041 ms

--- 203.0.113.1 ping statistics ---
3 packets transmitted, 2 received, +1 duplicates, 33.3333% packet loss, time 21ms
rtt min/avg/max/mdev = 0.041/5.165/10.305/0.038 ms
"""
FPING = """203.0.113.1 : duplicate for [1], 64 bytes, 10.2 ms
203.0.113.1 : 10.2 0.032 - 101
"""


def test_ping() -> None:
    assert read_ping(PING) == PeerReading(3, 2, 1, [10.3, 0.041])
    plain = PING.replace(", +1 duplicates", "")
    assert read_ping(plain).duplicates == 0


def test_fping() -> None:
    assert read_fping(FPING) == PeerReading(4, 3, 1, [10.2, 0.032, 101.0])


def test_irtt() -> None:
    report = {
        "stats": {"packets_sent": 3, "packets_received": 2, "duplicates": 1, "rtt": {}},
        "round_trips": [
            {"seqno": 0, "lost": "false", "delay": {"rtt": 10_308_552}},
            {"seqno": 1, "lost": "true"},
            {"seqno": 2, "lost": "false", "delay": {"rtt": 200_000}},
        ],
    }
    assert read_irtt(json.dumps(report)) == PeerReading(3, 2, 1, [10.308552, 0.2])


@pytest.mark.parametrize("read", [read_ping, read_fping, read_irtt])
def test_what_is_no_report_is_refused(read: type) -> None:
    with pytest.raises(ValueError, match="not a"):
        read("connect: Network is unreachable")
