"""Floor 1. Who carries a line: its public addresses over time, and what their changes mean.

From stays (an address with its NAT, from when to when) it finds lines that were plugged in
crosswise, a line that leaves by another network than usual (a router that fell back to LTE), and an
ISP that changed a line's NAT. A dynamic address within the usual networks is no finding. Networks
are an ISP's by the registry's prefixes; without them a /16 (IPv4) or /32 (IPv6) stands for it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from msgspec import Struct, structs

from collector.registry.registry import Isp, LineKey
from runtime.ip_address import is_ip_address
from wire.record import Family, LineOperator, Nat

# Of a line and family; the shortest stay makes place for a new one.
MOST_STAYS = 60
# For so long after it ended.
KEPT = timedelta(days=90)
# A probe that asks hourly and misses two answers still knows.
_FRESH = timedelta(hours=3)
# Addresses whose network is cached: 20 MB at most.
_MOST_CACHED = 100_000
# Dynamic addresses of one pool; what one operator was allocated (APNIC: /32 of IPv6 at least).
_BLOCK_BITS = {Family.IPV4: 16, Family.IPV6: 32}
# What a page may show without a permission: 256 addresses; one site (RFC 6177).
_SHOWN_BITS = {Family.IPV4: 24, Family.IPV6: 48}
# The networks that a line had for this share of its time are its usual ones; a line with more than
# two of them is in a pool of many, of which a new one says nothing.
_USUAL_SHARE = 0.9
_MOST_USUAL = 2
# An address held so long before it turned up on the other line was not handed on by chance.
_STEADY = timedelta(days=1)


class OperatorStay(Struct, frozen=True, kw_only=True):
    """A line's public address and NAT, first and last seen (the centre's clock, UTC)."""

    address: str
    nat: Nat
    first_at: datetime
    last_at: datetime

    @property
    def duration(self) -> timedelta:
        """How long it was seen."""
        return self.last_at - self.first_at


History = Mapping[Family, Sequence[OperatorStay]]


class OperatorLimits(NamedTuple):
    """When a change counts: seen for `hold`, after `usual` of something else, and until `usual`.

    `nat_hold` is longer: a router that does not answer once looks like another NAT.
    """

    hold: timedelta
    nat_hold: timedelta
    usual: timedelta


class FindingKind(StrEnum):
    """What the addresses of a line show."""

    CROSSED = "crossed"
    OTHER_NETWORK = "other_network"
    NAT_CHANGED = "nat_changed"


class Finding(Struct, frozen=True, kw_only=True):
    """Whether it is so: True, False, or None where that cannot be said. No whole address."""

    kind: FindingKind
    key: LineKey
    holds: bool | None
    since: datetime | None = None
    evidence: dict[str, str | int | float] = {}


class IspPrefixes:
    """Which ISP a public address belongs to: the longest of the registry's prefixes (RFC 4632)."""

    def __init__(self, isps: Iterable[Isp] = ()) -> None:
        self._networks: dict[tuple[int, int], dict[int, str]] = {}
        self._known: set[str] = set()
        for isp in isps:
            for text in isp.prefixes:
                network = ipaddress.ip_network(text)
                key = (network.version, network.prefixlen)
                self._networks.setdefault(key, {})[int(network.network_address)] = isp.id
                self._known.add(isp.id)
        self._lengths = sorted(self._networks, reverse=True)
        # A line has the same few addresses at each evaluation.
        self._carriers: dict[str, str] = {}

    def knows(self, isp: str) -> bool:
        """Whether the registry has prefixes of an ISP."""
        return isp in self._known

    def isp_of(self, text: str) -> str | None:
        """The id of the ISP that has an address; None where no prefix covers it."""
        address = ipaddress.ip_address(text)
        for version, length in self._lengths:
            if version == address.version:
                host_bits = address.max_prefixlen - length
                found = self._networks[version, length].get(int(address) >> host_bits << host_bits)
                if found is not None:
                    return found
        return None

    def carrier(self, text: str) -> str:
        """The ISP's id where a prefix covers the address, else the block it is in."""
        found = self._carriers.get(text)
        if found is None:
            if len(self._carriers) >= _MOST_CACHED:
                self._carriers.clear()
            found = self._carriers[text] = self.isp_of(text) or block_of(text)
        return found


def block_of(text: str) -> str:
    """The /16 or /32 that an address is in."""
    return _network(text, _BLOCK_BITS)


def masked(text: str) -> str:
    """An address as anybody may see it: its /24 or /48."""
    return _network(text, _SHOWN_BITS)


def fresh_observations(
    seen: Sequence[LineOperator], stated_at: datetime, heard_at: datetime
) -> list[tuple[LineOperator, datetime]]:
    """The operators that a probe stated and still knows, each with its time by our clock.

    Args:
        seen: what the probe stated.
        stated_at: when, by the probe's clock, which may be wrong.
        heard_at: when, by the centre's clock.
    """
    known = [one for one in seen if is_ip_address(one.public_address)]
    ages = ((one, max(timedelta(0), stated_at - one.observed_at)) for one in known)
    return [(one, heard_at - age) for one, age in ages if age <= _FRESH]


def with_observation(
    stays: Sequence[OperatorStay], seen: LineOperator, at: datetime
) -> Sequence[OperatorStay]:
    """The stays with one more observation; the same object where it is no later."""
    last = stays[-1] if stays else None
    if last is not None and at <= last.last_at:
        return stays
    if last is not None and (last.address, last.nat) == (seen.public_address, seen.nat):
        return (*stays[:-1], structs.replace(last, last_at=at))
    new = OperatorStay(address=seen.public_address, nat=seen.nat, first_at=at, last_at=at)
    kept = [stay for stay in stays if at - stay.last_at < KEPT]
    if len(kept) >= MOST_STAYS:
        kept.remove(min(kept[:-1], key=lambda stay: stay.duration))
    return (*kept, new)


class ObservedLine(Struct, frozen=True, kw_only=True):
    """A line of a probe with its history; `isp` is its ISP's id in the registry, "" if unknown."""

    key: LineKey
    isp: str
    history: History


def findings(
    lines: Sequence[ObservedLine], prefixes: IspPrefixes, limits: OperatorLimits, now: datetime
) -> list[Finding]:
    """Every finding of the lines of one probe: one of each kind for each line.

    What holds over one family holds for the line.
    """
    over = {
        family: [
            _now_of(line, line.history[family], prefixes, now)
            for line in lines
            if line.history.get(family)
        ]
        for family in Family
    }
    circles = {family: _circles(each, prefixes, limits, now) for family, each in over.items()}
    found: list[Finding] = []
    for line in lines:
        of_line: dict[FindingKind, list[Finding]] = {kind: [] for kind in FindingKind}
        for family, present in over.items():
            for one in present:
                if one.key == line.key:
                    for finding in _of_family(one, present, circles[family], prefixes, limits, now):
                        stated = {"family": str(family)} | finding.evidence
                        of_line[finding.kind].append(structs.replace(finding, evidence=stated))
        found += [_joined(kind, line.key, each) for kind, each in of_line.items()]
    return found


class _Now(Struct, frozen=True, kw_only=True):
    """A line over one family: all its stays, and what it shows now since `stays[begin]`."""

    key: LineKey
    isp: str
    stays: Sequence[OperatorStay]
    begin: int
    carrier: str
    usual: frozenset[str]
    usual_time: timedelta
    is_fresh: bool

    @property
    def stay(self) -> OperatorStay:
        """The present one."""
        return self.stays[-1]

    @property
    def since(self) -> datetime:
        """Since when the line shows this network."""
        return self.stays[self.begin].first_at

    def own(self, prefixes: IspPrefixes) -> frozenset[str]:
        """The networks that the line should show: its ISP's, else its usual ones."""
        return frozenset({self.isp}) if prefixes.knows(self.isp) else self.usual

    def held(self, address: str) -> bool:
        """Whether the line had this address steadily before the one it has now."""
        return any(stay.address == address and stay.duration >= _STEADY for stay in self.stays[:-1])


def _now_of(
    line: ObservedLine, stays: Sequence[OperatorStay], prefixes: IspPrefixes, now: datetime
) -> _Now:
    carrier = prefixes.carrier(stays[-1].address)
    begin = len(stays) - 1
    while begin > 0 and prefixes.carrier(stays[begin - 1].address) == carrier:
        begin -= 1
    times: dict[str, timedelta] = {}
    for stay in stays[:begin]:
        name = prefixes.carrier(stay.address)
        times[name] = times.get(name, timedelta(0)) + stay.duration
    total = sum(times.values(), timedelta(0))
    return _Now(
        key=line.key,
        isp=line.isp,
        stays=stays,
        begin=begin,
        carrier=carrier,
        usual=frozenset(_most_of(times, total)),
        usual_time=total,
        is_fresh=now - stays[-1].last_at <= _FRESH,
    )


def _most_of(times: Mapping[str, timedelta], total: timedelta) -> Iterable[str]:
    """The networks with most of the time, until `_USUAL_SHARE` of it is covered."""
    covered = timedelta(0)
    for name in sorted(times, key=lambda name: times[name], reverse=True):
        if covered >= total * _USUAL_SHARE:
            return
        covered += times[name]
        yield name


def _of_family(
    one: _Now,
    present: Sequence[_Now],
    circles: Mapping[LineKey, Sequence[_Now]],
    prefixes: IspPrefixes,
    limits: OperatorLimits,
    now: datetime,
) -> list[Finding]:
    if not one.is_fresh:
        return []
    crossed = _crossed(one, circles.get(one.key, ()), limits, now)
    other = _other_network(one, present, prefixes, limits, now)
    if crossed.evidence:
        other = Finding(kind=FindingKind.OTHER_NETWORK, key=one.key, holds=False)
    return [crossed, other, _nat_changed(one, prefixes, limits, now)]


def _circles(
    present: Sequence[_Now], prefixes: IspPrefixes, limits: OperatorLimits, now: datetime
) -> dict[LineKey, Sequence[_Now]]:
    """Of each line in a circle of lines that show each other's network or address: the circle."""
    fresh = [each for each in present if each.is_fresh]
    shows = {
        each.key: {
            other.key
            for other in fresh
            if other.key != each.key and _shows(each, other, prefixes, limits, now)
        }
        for each in fresh
    }
    reached = {key: _reached(shows, key) for key in shows}
    return {
        key: [each for each in fresh if each.key in found and key in reached[each.key]]
        for key, found in reached.items()
        if key in found
    }


def _crossed(one: _Now, circle: Sequence[_Now], limits: OperatorLimits, now: datetime) -> Finding:
    """Whether a line is in a circle, which is empty where it is not, and for long enough."""
    if not circle:
        return Finding(kind=FindingKind.CROSSED, key=one.key, holds=False)
    since = max(each.stay.first_at for each in circle)
    if now - since < limits.hold:
        return Finding(kind=FindingKind.CROSSED, key=one.key, holds=None)
    # One alert for the circle, at its first line.
    keys = sorted(each.key for each in circle)
    return Finding(
        kind=FindingKind.CROSSED,
        key=one.key,
        holds=one.key == keys[0],
        since=since if one.key == keys[0] else None,
        evidence={"lines": ", ".join(key.line for key in keys)},
    )


def _shows(
    one: _Now, other: _Now, prefixes: IspPrefixes, limits: OperatorLimits, now: datetime
) -> bool:
    """Whether a line shows what is another line's, and not its own."""
    recent = now - one.stay.first_at < limits.usual
    if recent and other.held(one.stay.address) and not one.held(one.stay.address):
        return True
    own, others = one.own(prefixes), other.own(prefixes)
    if one.carrier in own or one.carrier not in others or not own:
        return False
    return prefixes.knows(one.isp) or (one.usual_time >= _STEADY and now - one.since < limits.usual)


def _reached(shows: Mapping[LineKey, set[LineKey]], begin: LineKey) -> set[LineKey]:
    found: set[LineKey] = set()
    waiting = list(shows.get(begin, ()))
    while waiting:
        key = waiting.pop()
        if key not in found:
            found.add(key)
            waiting += shows.get(key, ())
    return found


def _other_network(
    one: _Now,
    present: Sequence[_Now],
    prefixes: IspPrefixes,
    limits: OperatorLimits,
    now: datetime,
) -> Finding:
    kind, age = FindingKind.OTHER_NETWORK, now - one.since
    if one.carrier == one.isp or one.carrier in one.usual:
        return Finding(kind=kind, key=one.key, holds=False)
    is_another_isp = prefixes.isp_of(one.stay.address) is not None and prefixes.knows(one.isp)
    if not is_another_isp:
        if one.usual_time < limits.usual:
            return Finding(kind=kind, key=one.key, holds=None)
        if len(one.usual) > _MOST_USUAL or age >= limits.usual:
            return Finding(kind=kind, key=one.key, holds=False)
    if age < limits.hold:
        return Finding(kind=kind, key=one.key, holds=None)
    evidence: dict[str, str | int | float] = {"network": one.carrier}
    if usual := sorted(one.own(prefixes)):
        evidence["usual"] = ", ".join(usual)
    if leads := [other.key.line for other in present if _is_of(other, one, prefixes)]:
        evidence["other_line"] = leads[0]
    return Finding(kind=kind, key=one.key, holds=True, since=one.since, evidence=evidence)


def _is_of(other: _Now, one: _Now, prefixes: IspPrefixes) -> bool:
    return other.key != one.key and one.carrier in other.own(prefixes) | {other.carrier}


def _nat_changed(
    one: _Now, prefixes: IspPrefixes, limits: OperatorLimits, now: datetime
) -> Finding:
    """Against the NAT of most of the time in the same network, before the present one began.

    From `carrier_grade` to `nat` is none: a router that stops stating its address looks so.
    """
    kind = FindingKind.NAT_CHANGED
    same = [stay for stay in one.stays if prefixes.carrier(stay.address) == one.carrier]
    begin = len(same)
    while begin > 0 and same[begin - 1].nat is one.stay.nat:
        begin -= 1
    times = {
        nat: sum((s.duration for s in same[:begin] if s.nat is nat), timedelta(0)) for nat in Nat
    }
    total = sum(times.values(), timedelta(0))
    if total < limits.usual:
        return Finding(kind=kind, key=one.key, holds=False if begin == 0 and same else None)
    before = max(times, key=lambda nat: times[nat])
    since = same[begin].first_at
    is_weaker = (before, one.stay.nat) == (Nat.CARRIER_GRADE, Nat.NAT)
    if before is one.stay.nat or is_weaker or now - since >= limits.usual:
        return Finding(kind=kind, key=one.key, holds=False)
    if times[before] < total * _USUAL_SHARE or now - since < limits.nat_hold:
        return Finding(kind=kind, key=one.key, holds=None)
    evidence: dict[str, str | int | float] = {"nat": str(one.stay.nat), "nat_before": str(before)}
    return Finding(kind=kind, key=one.key, holds=True, since=since, evidence=evidence)


def _joined(kind: FindingKind, key: LineKey, each: Sequence[Finding]) -> Finding:
    for holds in (True, False):
        if found := [one for one in each if one.holds is holds]:
            return found[0]
    return Finding(kind=kind, key=key, holds=None)


def _network(text: str, bits: Mapping[Family, int]) -> str:
    return str(ipaddress.ip_network(f"{text}/{bits[Family.of(text)]}", strict=False))
