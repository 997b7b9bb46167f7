"""Floor 1. What ping, fping and irtt print, as numbers. Pure; knows no process and no truth.

A delay is as exact as the tool prints it: ping and fping give three significant digits, so no
better than 0.1 ms from 10 ms on and 1 ms from 100 ms on.
"""

from __future__ import annotations

import re

import msgspec
from msgspec import Struct

_PING_REPLY = re.compile(r"icmp_seq=\d+ .*time=([0-9.]+) ms(.*)")
_PING_SUMMARY = re.compile(
    r"(?P<sent>\d+) packets transmitted, (?P<received>\d+) received"
    r"(?:, \+(?P<twice>\d+) duplicates)?"
)
_NS_PER_MS = 1_000_000


class PeerReading(Struct, frozen=True):
    """One run of a peer. `duplicates` is None where the tool does not count them."""

    sent: int
    received: int
    duplicates: int | None
    rtts_ms: list[float]


class _Delay(Struct):
    rtt: int


class _RoundTrip(Struct):
    delay: _Delay | None = None


class _Counts(Struct):
    packets_sent: int
    packets_received: int
    duplicates: int


class _Irtt(Struct):
    stats: _Counts
    round_trips: list[_RoundTrip]


def read_ping(printed: str) -> PeerReading:
    """What `ping` (iputils) printed, not quiet. ValueError for anything else."""
    summary = _PING_SUMMARY.search(printed)
    if summary is None:
        raise ValueError(f"not a summary of ping: {printed[-200:]!r}")
    replies = _PING_REPLY.findall(printed)
    rtts_ms = [float(time) for time, rest in replies if "DUP!" not in rest]
    return PeerReading(
        int(summary["sent"]), int(summary["received"]), int(summary["twice"] or 0), rtts_ms
    )


def read_fping(printed: str) -> PeerReading:
    """What `fping -C n -q` printed for one host: a time or "-" for each packet, in order.

    Where copies came, fping has said so in a line each: "… : duplicate for [3], …".
    """
    lists = [line for line in printed.splitlines() if re.fullmatch(r"\S+\s*:( [0-9.]+| -)+", line)]
    if len(lists) != 1:
        raise ValueError(f"not a list of fping for one host: {printed[-200:]!r}")
    times = lists[0].partition(" : ")[2].split()
    rtts_ms = [float(time) for time in times if time != "-"]
    return PeerReading(len(times), len(rtts_ms), printed.count("duplicate for ["), rtts_ms)


def read_irtt(printed: str) -> PeerReading:
    """The JSON of `irtt client -o -`. Its RTT leaves out what the server says that it took."""
    try:
        report = msgspec.json.decode(printed, type=_Irtt)
    except msgspec.MsgspecError as error:
        raise ValueError(f"not a report of irtt: {error}") from error
    trips = [trip.delay.rtt / _NS_PER_MS for trip in report.round_trips if trip.delay is not None]
    counts = report.stats
    return PeerReading(counts.packets_sent, counts.packets_received, counts.duplicates, trips)
