"""Floor 1. The bytes that light kinds use in a month: latency, dns, web, path.

They run whatever the budget is, so their bytes are subtracted before bulk tests are planned: 1 GB a
month is little on a fibre line and a fifth of a metered one. Bytes are estimates, of Ethernet
frames in both directions. Latency and path are measured over each family that a line may have.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from msgspec import Struct

from probe.config import Config, LineConfig
from probe.plan.family_rotation import planned_families
from probe.plan.usage import STAMP_WIRE_BYTES
from wire.record import Family
from wire.result import DnsResult, LatencyResult, PathResult, WebResult, kind_of

_DAY_S, _DAY_MIN = 86_400, 1440
# Ethernet, IPv4, ICMP and the 56 octets that ping sends.
_ECHO_WIRE_BYTES = 14 + 20 + 8 + 56
# A query and its answer, with headers (ours).
_QUESTION_BYTES = 90 + 200
# A start page with its TLS handshake (ours: the median of public-service portals is unknown).
_PAGE_BYTES = 250_000
# A time-exceeded message quotes the packet (RFC 1812, 4.3.2.3).
_HOP_BYTES = 2 * _ECHO_WIRE_BYTES


class LightKind(Struct, frozen=True):
    """A light kind on one line: results or windows a day, and bytes a day in both directions."""

    kind: str
    per_day: int
    day_bytes: float


def light_kinds(config: Config, line: LineConfig) -> Iterator[LightKind]:
    """The light kinds of a line."""
    latency = config.latency
    if latency.enabled:
        # The gateway (read from the kernel where not configured), every server, other targets.
        servers = (server.host for server in config.servers)
        hosts = {line.gateway, *servers, *latency.icmp_targets}
        echoes = sum(len(_families_of_host(line, host)) for host in hosts)
        sessions = len(_families_of_host(line, config.servers[0].host))
        round_trip = 2 * (sessions * STAMP_WIRE_BYTES + echoes * _ECHO_WIRE_BYTES)
        packets = _DAY_S / latency.mean_gap_s
        windows = round(_DAY_S / latency.window_s)
        yield LightKind(kind_of(LatencyResult), windows, packets * round_trip)
    looks = _DAY_MIN // config.plan.light_every_min
    dns = config.dns
    if dns.names:
        # Where the line's resolvers are not known (`resolvers.with_resolvers`), its router is.
        public = dns.public_resolver is not None and dns.public_resolver not in line.resolvers
        asked = max(1, len(line.resolvers)) + public
        questions = asked * (len(dns.names) * dns.repeats + dns.random_labels)
        yield LightKind(kind_of(DnsResult), looks, looks * questions * _QUESTION_BYTES)
    if config.web.pages:
        page_bytes = min(config.web.max_bytes, _PAGE_BYTES)
        day_bytes = looks * len(config.web.pages) * page_bytes
        yield LightKind(kind_of(WebResult), looks, day_bytes)
    targets = (*(server.host for server in config.servers), *latency.icmp_targets)
    paths = len({family for host in targets for family in _families_of_host(line, host)})
    probes = max(1, paths) * config.path.max_hops * config.path.probes_per_hop
    yield LightKind(kind_of(PathResult), looks, looks * probes * _HOP_BYTES)


def light_bytes(config: Config, line: LineConfig, days: int) -> float:
    """The expected bytes of all light kinds in a month of `days` days."""
    return days * sum(one.day_bytes for one in light_kinds(config, line))


def _families_of_host(line: LineConfig, host: str | None) -> tuple[Family, ...]:
    """The families that a host may be measured over: an address has one, a name as the line."""
    try:
        family = Family.of(str(ipaddress.ip_address((host or "").partition("%")[0])))
    except ValueError:
        return planned_families(line)
    return tuple(one for one in planned_families(line) if one is family)
