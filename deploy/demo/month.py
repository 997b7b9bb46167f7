"""Floor 1. A seeded month of an office: what its probe would have measured, made up.

The same seed and time give the same results. Samples follow the plan that the probe states; speeds
fall towards the evening and vary from day to day; a fault of the district takes what it would.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from msgspec import structs

from collector.rollup.periods import VIETNAM
from deploy.demo.district import DistrictLine, Fault, Office
from tests import samples
from wire.kinds.path import FaultLocation
from wire.messages import PlannedKind
from wire.record import LineOperator, Nat
from wire.result import (
    AnyResult,
    AvailabilityResult,
    Family,
    LatencyResult,
    Line,
    Outcome,
    Reason,
    Result,
    ThroughputResult,
)

# A month of the default plan is thirty times as many results, most of them latency windows. The
# last days have one an hour, for the charts that a line's page opens with.
LATENCY_A_DAY, LATENCY_OF_LATE_A_DAY = 10, 24
_LIGHT_A_DAY, _REPORTS_A_DAY = 2, 4
_PACKETS = 60
_DAY = timedelta(days=1)
_REPORT = _DAY / _REPORTS_A_DAY
_SERVER = "203.0.113.5"
# Documentation prefixes (RFC 5737), an ISP each.
_PUBLIC_PREFIX = {"vnpt": "203.0.113.", "viettel": "198.51.100."}
_FAILED = 0.015
PROBE_VERSION = "0.2.0"


class LineDay(NamedTuple):
    """A line on one day: from local midnight (UTC) to `ends`, with the faults that touch it."""

    place: int
    line: DistrictLine
    midnight: datetime
    ends: datetime
    faults: Sequence[Fault]
    latency_a_day: int = LATENCY_A_DAY

    @property
    def wire_line(self) -> Line:
        """The line as results have it."""
        interface = "eth0" if self.line.id == "vnpt" else "eth1"
        return Line(self.line.id, self.line.isp, interface, f"192.168.{1 + self.place % 2}.20")

    def fault(self, at: datetime) -> Fault | None:
        """The fault that lasts at a time."""
        return next((one for one in self.faults if one.begins <= at < one.ends), None)


def plan_of(office: Office) -> list[PlannedKind]:
    """The plan that its probe states."""
    return [
        PlannedKind("throughput", office.tests_a_day),
        PlannedKind("latency", LATENCY_A_DAY),
        PlannedKind("dns", _LIGHT_A_DAY),
        PlannedKind("web", _LIGHT_A_DAY),
    ]


def day_results(
    office: Office,
    midnight: datetime,
    ends: datetime,
    faults: Sequence[Fault],
    latency_a_day: int = LATENCY_A_DAY,
) -> Iterator[Result]:
    """The results of an office from local midnight to `ends`, at most a day."""
    for place, line in enumerate(office.lines):
        its = [one for one in faults if one.probe == office.probe and line.id in one.lines]
        day = LineDay(place, line, midnight, ends, its, latency_a_day)
        chance = random.Random(f"{office.probe} {line.id} {midnight.date()}")
        made = [*_tests(office, day, chance), *_light(day, chance), *_minutes(day)]
        for result in made:
            fault = day.fault(result.started_at)
            # A box without power measures nothing.
            if fault is None or fault.location is not None:
                yield _of_this_probe(result, day)


def public_address(probe: str, line: DistrictLine) -> str:
    """The line's public address."""
    return f"{_PUBLIC_PREFIX[line.id]}{10 + int(probe.split('-')[1]) % 200}"


def _of_this_probe(result: Result, day: LineDay) -> Result:
    return structs.replace(result, probe_version=PROBE_VERSION, line=day.wire_line)


def _tests(office: Office, day: LineDay, chance: random.Random) -> Iterator[ThroughputResult]:
    """The day's speed tests, spread over all hours; of fewer than one a day those of this day."""
    calm = chance.gauss(1, 0.02)
    operator = LineOperator(public_address(office.probe, day.line), Nat.NAT, day.midnight)
    for at in _slots(office.tests_a_day, day):
        result = _test(day, at, calm, chance)
        yield structs.replace(result, operator=operator, slot_at=at)


def _slots(a_day: float, day: LineDay) -> Iterator[datetime]:
    """Spread over the day, so many a day; as many of two kinds fall into the same hours."""
    chance = random.Random(f"{day.line} {day.midnight.date()} {a_day}")
    number = day.midnight.date().toordinal()
    # So that any seven days in a row hold seven times as many, as the probe's own plan does it.
    count = int((number + 1) * a_day) - int(number * a_day)
    for place in range(count):
        at = day.midnight + _DAY * (place + chance.random() * 0.8) / count
        if at < day.ends:
            yield at


def _test(day: LineDay, at: datetime, calm: float, chance: random.Random) -> ThroughputResult:
    line, reason = day.wire_line, None
    if day.fault(at) is not None:
        reason = Reason.UNREACHABLE
    elif chance.random() < _FAILED:
        reason = Reason.TIMEOUT
    if reason is not None:
        return samples.throughput(
            line=line, family=Family.IPV4, started_at=at, outcome=Outcome.FAILED, reason=reason
        )
    busy = _busy(at)
    share = day.line.down * (1 - day.line.peak_drop * busy) * calm * chance.gauss(1, 0.03)
    up = day.line.up * (1 - day.line.peak_drop / 4 * busy) * calm * chance.gauss(1, 0.02)
    result = samples.throughput(
        line=line,
        family=Family.IPV4,
        started_at=at,
        download_bps=day.line.plan_down * 1e6 * min(share, 1.04),
        upload_bps=day.line.plan_up * 1e6 * min(up, 1.04),
        intervals=0,
    )
    assert result.values is not None
    loaded = day.line.rtt_ms * (1 + 3 * day.line.peak_drop * busy)
    values = structs.replace(
        result.values,
        rtt_loaded_download_p50_ms=loaded * chance.gauss(2.4, 0.3),
        rtt_loaded_download_p95_ms=loaded * chance.gauss(4.2, 0.4),
        rtt_loaded_upload_p50_ms=loaded * chance.gauss(3.1, 0.4),
        rtt_loaded_upload_p95_ms=loaded * chance.gauss(5.0, 0.5),
    )
    return structs.replace(result, values=values)


def _light(day: LineDay, chance: random.Random) -> Iterator[AnyResult]:
    for at in _slots(day.latency_a_day, day):
        yield _latency(day, at, chance)
    for at in _slots(_LIGHT_A_DAY, day):
        if day.fault(at) is None:
            rtt_ms = day.line.rtt_ms * chance.uniform(0.3, 0.6)
            yield structs.replace(samples.dns(line=day.wire_line, rtt_ms=rtt_ms), started_at=at)
            yield structs.replace(samples.web(line=day.wire_line), started_at=at)
        else:
            location = day.fault(at)
            fault = FaultLocation.NONE if location is None else location.location
            path = samples.path(
                line=day.wire_line, fault=fault or FaultLocation.NONE, reached=False
            )
            yield structs.replace(path, started_at=at)


def _latency(day: LineDay, at: datetime, chance: random.Random) -> LatencyResult:
    """A window with each packet's delay: what the percentiles of an hour and a day need."""
    line, family = day.wire_line, Family.IPV4
    if day.fault(at) is not None:
        return samples.latency(
            line=line,
            family=family,
            started_at=at,
            lost=_PACKETS,
            outcome=Outcome.FAILED,
            reason=Reason.NO_REPLY,
        )
    busy = _busy(at)
    middle_us = day.line.rtt_ms * 1000 * (1 + 0.5 * day.line.peak_drop * busy)
    loss = day.line.loss * (1 + busy)
    delays = [
        int(middle_us * (1 + chance.expovariate(12))) for _ in range(_PACKETS)
        if chance.random() >= loss
    ]  # fmt: skip
    result = samples.latency(
        line=line,
        family=family,
        started_at=at,
        rtt_ms=sorted(delays)[len(delays) // 2] / 1000,
        lost=_PACKETS - len(delays),
    )
    assert result.values is not None
    values = structs.replace(
        result.values,
        rtt_us=delays,
        rtt_samples=len(delays),
        rtt_min_ms=min(delays) / 1000,
        rtt_mean_ms=sum(delays) / len(delays) / 1000,
        rtt_max_ms=max(delays) / 1000,
    )
    return structs.replace(result, values=values)


def _minutes(day: LineDay) -> Iterator[Result]:
    """Minutes up and down, by quarters of the day, and the outages that ended in this day."""
    for place in range(_REPORTS_A_DAY):
        begins = day.midnight + place * _REPORT
        if begins + _REPORT <= day.ends:
            yield _report(day, begins)
    for fault in day.faults:
        if day.midnight <= fault.ends < day.ends and fault.location is not None:
            outage = samples.outage(
                line=day.wire_line,
                began_at=fault.begins,
                down=fault.minutes,
                fault=fault.location,
            )
            yield outage


def _report(day: LineDay, begins: datetime) -> AvailabilityResult:
    down = unknown = 0
    for fault in day.faults:
        minutes = _overlap_minutes(fault, begins, begins + _REPORT)
        if fault.location is None:
            unknown += minutes
        else:
            down += minutes
    whole = int(_REPORT / timedelta(minutes=1))
    return samples.availability(
        line=day.wire_line,
        started_at=begins,
        up=whole - down - unknown,
        down=down,
        unknown=unknown,
    )


def _overlap_minutes(fault: Fault, begins: datetime, ends: datetime) -> int:
    shared = min(fault.ends, ends) - max(fault.begins, begins)
    return max(0, int(shared / timedelta(minutes=1)))


def _busy(at: datetime) -> float:
    """How much of the evening's load: 1 at 20:00 local, 0 by night; less in office hours."""
    local = at.astimezone(VIETNAM)
    hour = local.hour + local.minute / 60
    evening = max(0.0, 1 - abs(hour - 20) / 4)
    office = 0.25 if local.isoweekday() < 6 and 8 <= hour < 17 else 0.0
    return max(evening, office)
