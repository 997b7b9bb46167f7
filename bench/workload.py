"""Floor 1. Results as a nation's probes send them, the same for the same seed: for `bench.ingest`.

Two lines a probe, IPv4 and IPv6, three targets; a latency window of 60 echoes each minute whose
round-trip times have noise and whose figures are computed from them, so that no two are alike and
nothing compresses better than it would at a real centre. With `mixed`, one result in twenty is of
another kind, in turn.

Bodies have the fields that the contract of version 0.1.0 had: an older build refuses later ones,
and this one must read results of older probes.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Iterator, Set
from datetime import datetime, timedelta
from itertools import pairwise
from typing import NamedTuple
from uuid import UUID

import msgspec

from tests import samples
from wire.envelope import encode_envelope
from wire.record import Line
from wire.result import LatencyResult, Method, Result, encode_result, kind_of
from wire.site import Site

TENANT = "toan-quoc"
ECHOES = 60
OTHER_KIND_EVERY = 20
# Name, what it adds to the line's round-trip time (ms), address by family.
_TARGETS = (
    ("stamp:hn-1", 8.0, ("203.0.113.5", "2001:db8:1::5")),
    ("icmp:gateway", 0.4, ("192.168.1.1", "fe80::1")),
    ("icmp:8.8.8.8", 24.0, ("8.8.8.8", "2001:4860:4860::8888")),
)
_SINCE_0_1_0 = {
    *("family", "operator", "stated_at", "altered_timestamps"),
    *("lease", "tcp_ipv4_ms", "tcp_ipv6_ms", "ipv4_down_minutes", "ipv6_down_minutes"),
}
# Names that other kinds had before.
_SINCE_0_1_0_OF = {"throughput": frozenset({"address"})}


class Workload(NamedTuple):
    """How much, from when; `seed` makes all of it."""

    results: int
    per_envelope: int
    probes: int
    begins_at: datetime
    mixed: bool = True
    seed: int = 14


def messages(work: Workload) -> Iterator[tuple[str, bytes]]:
    """Topic and payload of each envelope, in the order in which they would arrive."""
    streams = [Stream(work, number) for number in range(work.probes)]
    left, number = work.results, 0
    while left > 0:
        count = min(work.per_envelope, left)
        yield streams[number % work.probes].envelope(count)
        left, number = left - count, number + 1


def bodies(work: Workload) -> Iterator[bytes]:
    """The JSON of single results of one probe."""
    stream = Stream(work, 0)
    for _ in range(work.results):
        yield body(stream.latency())


def registry(probes: int) -> str:
    """A registry with every line of so many probes, as TOML."""
    parts = [f'[[isp]]\nid = "{isp}"\nname = "{isp.upper()}"\n' for isp in ("vnpt", "viettel")]
    for number in range(probes):
        parts.append(
            f'[[probe]]\ntenant = "{TENANT}"\nprobe = "{_name(number)}"\ncommune = "01969"\n'
            f'office = "UBND {number}"\n'
        )
        parts += [f'[[probe.line]]\nid = "{i}"\nisp = "{i}"\n' for i in ("vnpt", "viettel")]
    return "\n".join(parts)


def body(result: Result) -> bytes:
    """A result's JSON as version 0.1.0 would have sent it."""
    found = msgspec.json.decode(encode_result(result))
    later = _SINCE_0_1_0 | _SINCE_0_1_0_OF.get(found["kind"], frozenset())
    return msgspec.json.encode(_without(found, later))


def round_trips(rng: random.Random, base_ms: float, count: int) -> list[int]:
    """So many round-trip times around a base, in microseconds, with a long tail."""
    return [round(1_000 * base_ms * factor) for factor in round_factors(rng, count)]


def round_factors(rng: random.Random, count: int) -> list[float]:
    """So many round-trip times as factors of their base."""
    return [0.9 + rng.lognormvariate(-2, 0.6) for _ in range(count)]


def window(
    line: Line, target: str, address: str, at: datetime, rtt_us: list[int], jitter_ms: float
) -> LatencyResult:
    """A window of `ECHOES` with these round-trip times, three at least; the others were lost."""
    found = samples.latency(line=line, target=target, started_at=at, lost=ECHOES - len(rtt_us))
    assert found.values is not None
    ordered = sorted(rtt_us)
    steps = [abs(after - before) for before, after in pairwise(rtt_us)]
    values = msgspec.structs.replace(
        found.values,
        address=address,
        rtt_min_ms=ordered[0] / 1_000,
        rtt_mean_ms=round(statistics.fmean(rtt_us) / 1_000, 6),
        rtt_p50_ms=ordered[len(ordered) // 2] / 1_000,
        rtt_p95_ms=ordered[-3] / 1_000,
        rtt_max_ms=ordered[-1] / 1_000,
        ipdv_abs_mean_ms=round(statistics.fmean(steps) / 1_000, 6),
        pdv_ms=round((ordered[-3] - ordered[0]) / 1_000, 3),
        jitter_rfc3550_ms=jitter_ms,
        rtt_samples=len(rtt_us),
        rtt_us=rtt_us,
    )
    return msgspec.structs.replace(found, values=values)


def _without(value: object, later: Set[str]) -> object:
    if isinstance(value, dict):
        return {key: _without(inner, later) for key, inner in value.items() if key not in later}
    return [_without(inner, later) for inner in value] if isinstance(value, list) else value


class Stream:
    """One probe: its lines, its clock, its numbers."""

    def __init__(self, work: Workload, number: int) -> None:
        self._rng = random.Random(f"{work.seed} {number}")
        self._work = work
        self._probe = _name(number)
        self._epoch = UUID(int=self._rng.getrandbits(128), version=4)
        self._boot = str(UUID(int=self._rng.getrandbits(128), version=4))
        self._lines = [
            Line(line.id, line.isp, line.interface, f"192.168.{self._rng.randrange(256)}.10")
            for line in (samples.VNPT, samples.VIETTEL)
        ]
        # The other kinds come at each probe's own time.
        self._seq, self._made, self._envelopes = 0, 0, number

    def envelope(self, count: int) -> tuple[str, bytes]:
        """The next envelope; all of one kind, as a probe makes them."""
        self._envelopes += 1
        other = self._work.mixed and self._envelopes % OTHER_KIND_EVERY == 0
        results: list[Result] = (
            [self._other(place) for place in range(count)]
            if other
            else [self.latency() for _ in range(count)]
        )
        numbered = [
            (self._seq + place, body(result)) for place, result in enumerate(results, start=1)
        ]
        self._seq += count
        kind = kind_of(type(results[0]))
        site = Site(self._probe[5:10], "Văn phòng UBND xã Phủ Thông", "Bạch Thông (cũ)")
        payload = encode_envelope(
            TENANT, self._probe, self._epoch, site, self._at() + timedelta(seconds=70), numbered
        )
        return f"tramdo/v1/{TENANT}/{self._probe}/m/{kind}", payload

    def latency(self) -> LatencyResult:
        """The next window: a minute has one for each line and target."""
        line = self._lines[self._made % 2]
        name, base_ms, addresses = _TARGETS[self._made // 2 % len(_TARGETS)]
        ipv6 = self._made // 6 % 2 == 1
        at, rng = self._at(), self._rng
        self._made += 1
        lost = 1 if rng.random() < 0.05 else 0
        rtt_us = round_trips(rng, base_ms, ECHOES - lost)
        found = window(line, name, addresses[ipv6], at, rtt_us, round(rng.uniform(0.1, 2), 6))
        clock = msgspec.structs.replace(
            found.clock, boot_id=self._boot, boottime_s=round(self._made * 10 + rng.random(), 6)
        )
        duration_s = 60 + rng.randrange(10**6) / 1e9
        return msgspec.structs.replace(found, clock=clock, duration_s=duration_s)

    def _at(self) -> datetime:
        minute, place = divmod(self._made, 2 * len(_TARGETS))
        return self._work.begins_at + timedelta(minutes=minute, milliseconds=137 * place)

    def _other(self, place: int) -> Result:
        rng, line = self._rng, self._lines[self._envelopes % 2]
        at = self._at() + timedelta(seconds=place)
        made: list[Result] = [
            samples.throughput(line=line, started_at=at, download_bps=rng.gauss(240e6, 40e6)),
            samples.dns(line=line, rtt_ms=rng.uniform(2, 30)),
            samples.web(line=line),
            samples.path(line=line),
            samples.availability(line=line, started_at=at),
            samples.outage(line=line),
        ]
        return msgspec.structs.replace(
            made[self._envelopes // OTHER_KIND_EVERY % len(made)], started_at=at
        )


def _name(number: int) -> str:
    return f"tram-{number:05d}-1"


def _method(target: str, address: str) -> Method:
    stamp = target.startswith("stamp")
    settings = {
        "host": address, "port": 862 if stamp else None,
        "socket": "udp" if stamp else "icmp datagram", "mean_gap_s": 1.0, "timeout_s": 3.0,
        "window_s": 60.0,
    }  # fmt: skip
    return Method("STAMP (RFC 8762), unauthenticated" if stamp else "ICMP echo", None, settings)
