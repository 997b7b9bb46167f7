"""Floor 1. The plan: (config, day) to the day's slots, at absolute times.

A day is cut into as many equal parts as there are tests; each part's slot falls where a hash of
probe, line, day and part puts it. So a fleet never starts at the top of the hour (the most common
complaint about such systems), a line sees every hour over the days, and the same probe on the same
day always has the same plan. Bulk tests of one host never overlap.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from msgspec import Struct, structs

from probe.config import Config, ThroughputConfig
from wire.result import ThroughputResult, kind_of

THROUGHPUT = kind_of(ThroughputResult)

# What a test takes beyond its transfers: connecting, results, one retry on another port.
OVERHEAD_S = 15.0


class Slot(Struct, frozen=True):
    """One planned bulk measurement."""

    at: datetime
    kind: str
    line_id: str
    server_name: str


def bulk_seconds(config: ThroughputConfig) -> float:
    """How long one throughput test may hold the host's bulk lock, both directions."""
    return 2 * (config.warm_up_s + config.duration_s) + OVERHEAD_S


def day_plan(config: Config, day: date) -> list[Slot]:
    """The slots of a local day, in order of time, in UTC.

    Slots are at least a test's length apart, so a host measures one line at a time. Where a day is
    too short for all of them the last ones are left out.
    """
    start, end = _utc(day, config.timezone), _utc(day + timedelta(days=1), config.timezone)
    wanted = sorted(_wanted(config, day, start, end), key=lambda slot: (slot.at, slot.line_id))
    return _apart(wanted, timedelta(seconds=bulk_seconds(config.throughput)), start, end)


def _wanted(config: Config, day: date, start: datetime, end: datetime) -> Iterator[Slot]:
    parts = config.throughput.per_day
    for line in config.lines:
        for part in range(parts):
            name = f"{config.tenant}/{config.probe}/{line.id}/{day.isoformat()}/{part}"
            fraction = _fraction(name)
            server = config.servers[(day.toordinal() + part) % len(config.servers)]
            at = start + (end - start) * (part + fraction) / parts
            yield Slot(at.replace(microsecond=0), THROUGHPUT, line.id, server.name)


def _apart(slots: Sequence[Slot], least: timedelta, start: datetime, end: datetime) -> list[Slot]:
    """Push slots that are too close later; then draw back from the day's end what fell out."""
    placed: list[Slot] = []
    for slot in slots:
        earliest = placed[-1].at + least if placed else slot.at
        placed.append(structs.replace(slot, at=max(slot.at, earliest)))
    latest = end - least
    for index in reversed(range(len(placed))):
        if placed[index].at <= latest:
            break
        placed[index] = structs.replace(placed[index], at=latest)
        latest -= least
    return [slot for slot in placed if slot.at >= start]


def _fraction(name: str) -> float:
    """0 <= f < 1 from a name, the same on every machine."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:7]) / 2**56


def _utc(day: date, timezone: str) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(timezone)).astimezone(UTC)
