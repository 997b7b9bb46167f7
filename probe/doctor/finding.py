"""Floor 1. What the doctor finds, and how it judges: a verdict, what was seen, what to do.

`watch` is what will become bad or may explain odd figures; `unknown` what cannot be seen from here.
Only `bad` makes the command fail.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from msgspec import Struct

from wire.record import Clock

_DATE_BAD, _DATE_WATCH = timedelta(0), timedelta(days=60)
# A Pi 4 and 5 throttle at 80 °C, softly from 60 °C on a 3B+.
_WARM_C, _HOT_C = 70.0, 80.0
_LEAST_FREE_BYTES = 500_000_000
# Pi 4's firmware of 2020 and Debian's kernels all have what we need from here on.
_OLDEST_PYTHON = (3, 11)


class Verdict(StrEnum):
    """What a finding means for the technician."""

    GOOD = "good"
    WATCH = "watch"
    BAD = "bad"
    UNKNOWN = "unknown"


class Finding(Struct, frozen=True):
    """One thing looked at. `todo` is None where there is nothing to do."""

    part: str
    verdict: Verdict
    seen: str
    todo: str | None = None


class Report(Struct, frozen=True, kw_only=True):
    """All of it, as `--json` prints it."""

    at: datetime
    probe: str
    version: str
    well: bool
    findings: list[Finding]


def good(part: str, seen: str) -> Finding:
    """Nothing to do."""
    return Finding(part, Verdict.GOOD, seen)


def bad(part: str, seen: str, todo: str) -> Finding:
    """To be mended before one leaves."""
    return Finding(part, Verdict.BAD, seen, todo)


def watch(part: str, seen: str, todo: str) -> Finding:
    """To be known, and seen to in time."""
    return Finding(part, Verdict.WATCH, seen, todo)


def unknown(part: str, seen: str, todo: str | None = None) -> Finding:
    """Not to be seen from here."""
    return Finding(part, Verdict.UNKNOWN, seen, todo)


def certificate(part: str, ends_at: datetime | None, now: datetime, renew: str) -> Finding:
    """By its end date."""
    if ends_at is None:
        return unknown(part, "its end date cannot be read", renew)
    left = ends_at - now
    seen = f"holds until {ends_at.astimezone(UTC):%Y-%m-%d} ({left.days} days)"
    if left <= _DATE_BAD:
        return bad(part, f"ended on {ends_at.astimezone(UTC):%Y-%m-%d}", renew)
    return watch(part, seen, renew) if left < _DATE_WATCH else good(part, seen)


def clock(reading: Clock, now: datetime) -> Finding:
    """By the kernel's word."""
    shown = f"{now.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    if reading.synchronised:
        return good("clock", f"{shown}, synchronised")
    todo = (
        "let NTP out (UDP 123), and see `timedatectl`; until then results are marked, and their "
        "times are worked out by the centre"
    )
    if reading.synchronised is None:
        return unknown("clock", f"{shown}; this kernel does not say whether it is right", todo)
    return watch("clock", f"{shown}, not synchronised", todo)


def disk(free_bytes: int | None, outbox_bytes: int, outbox_limit_bytes: int) -> Finding:
    """By what is free, and what the outbox may still take."""
    if free_bytes is None:
        return bad(
            "disk", "the state directory is not there", "make `state_dir`, or mount its disk"
        )
    seen = f"{free_bytes / 1e9:.1f} GB free; the outbox has {outbox_bytes / 1e6:.1f} MB"
    if free_bytes < _LEAST_FREE_BYTES:
        return bad("disk", seen, "make room: `journalctl --vacuum-size=50M`, old packages")
    if outbox_bytes + free_bytes < outbox_limit_bytes:
        todo = "lower `delivery.max_bytes`, or use a larger card"
        return watch("disk", f"{seen}, which may grow to more than there is", todo)
    return good("disk", seen)


def power(throttled: bool | None) -> Finding:
    """By the Pi's own alarm."""
    if throttled is None:
        return unknown("power", "this board has no under-voltage alarm")
    if throttled:
        todo = "use the board's own power supply and a short cable; results are marked `throttled`"
        return bad("power", "the supply voltage was too low", todo)
    return good("power", "the supply voltage is sound")


def temperature(celsius: float | None) -> Finding:
    """By where a Pi begins to slow down."""
    if celsius is None:
        return unknown("temperature", "this board does not tell")
    seen = f"{celsius:.0f} °C"
    todo = "give it air: out of the cabinet, a heat sink, no sun"
    if celsius >= _HOT_C:
        return bad("temperature", seen, todo)
    return watch("temperature", seen, todo) if celsius >= _WARM_C else good("temperature", seen)


def python(version: tuple[int, int]) -> Finding:
    """By what we run on."""
    seen = f"Python {version[0]}.{version[1]}"
    if version < _OLDEST_PYTHON:
        return bad("versions", seen, "Debian 12 or newer has it")
    return good("versions", seen)


def is_well(findings: Sequence[Finding]) -> bool:
    """Whether nothing is bad."""
    return all(one.verdict is not Verdict.BAD for one in findings)


_SIGNS = {Verdict.GOOD: "ok", Verdict.WATCH: "watch", Verdict.BAD: "BAD", Verdict.UNKNOWN: "?"}


def text(report: Report) -> str:
    """For a person at a terminal; what to do stands under what is not well."""
    width = max((len(one.part) for one in report.findings), default=0)
    lines = [f"{report.probe}, tramdo-probe {report.version}, {report.at:%Y-%m-%d %H:%M} UTC", ""]
    for one in report.findings:
        lines.append(f"{_SIGNS[one.verdict]:>5}  {one.part:<{width}}  {one.seen}")
        if one.todo is not None:
            lines.append(f"{'':>5}  {'':<{width}}  -> {one.todo}")
    bad_count = sum(one.verdict is Verdict.BAD for one in report.findings)
    lines += ["", "all is well" if report.well else f"{bad_count} to be mended"]
    return "\n".join(lines)
