"""Floor 1. Usage: the bytes of a line's bulk tests this month, and of a test in earlier months.

The plan estimates a test's bytes by the month before, so that it stays the same within a month; a
line that has used up its budget keeps only the weekly minimum.
"""

from __future__ import annotations

from datetime import date

from msgspec import Struct, structs

from probe.plan.levels import ServerLevels, with_figures
from wire.result import Family, HttpValues, Outcome, Result, ThroughputValues
from wire.stamp import PACKET_BYTES

# The bytes of a full segment on the wire by its payload (Ethernet, IPv4, TCP with timestamps).
WIRE_RATIO = 1514 / 1448
# A STAMP packet on the wire (Ethernet, IPv4, UDP).
STAMP_WIRE_BYTES = 14 + 20 + 8 + PACKET_BYTES
# IPv6's header is so much longer than IPv4's (RFC 8200 §3), within the same 1514 bytes.
_LONGER_HEADER_BYTES = 20


class KindUsage(Struct, frozen=True):
    """The number of complete tests and their bytes on the wire."""

    tests: int = 0
    wire_bytes: int = 0


class Spent(Struct, frozen=True):
    """The bytes of tests by line, of a month and a day that the host ran.

    `month` is "" where the clock was not believed. `run_s` is the time that the host had run
    (`ClockEvidence`) at the last of the tests.
    """

    month: str
    run_s: float
    used_bytes: dict[str, int] = {}


class ClockEvidence(Struct, frozen=True, kw_only=True):
    """What is known of time at a reading of the clocks (`probe.plan.ledger`).

    Attributes:
        run_s: how long the host has run since the first reading; what it was off is not in it.
        boot_id, boottime_s: of the reading.
        wall_s, wall_run_s, wall_boot_id: the last synchronised wall clock (Unix time), and `run_s`
            and boot of then; None before the first.
        distrusted_until_s: no month is believed before `run_s` is this.
        is_trusted: whether the month of the reading is believed.
    """

    run_s: float = 0.0
    boot_id: str | None = None
    boottime_s: float = 0.0
    wall_s: float | None = None
    wall_run_s: float = 0.0
    wall_boot_id: str | None = None
    distrusted_until_s: float = 0.0
    is_trusted: bool = False


class Usage(Struct, frozen=True, kw_only=True):
    """By line, and by kind within it. `month` is the local one, "2026-11"; "" before the first.

    `test_bytes` is the mean of a complete test in the last month that had one. `levels` are the
    rates by server (`probe.plan.levels`), independent of months. `spent` and `clock` are what
    `used_bytes` is reckoned from (`probe.plan.ledger`).
    """

    month: str = ""
    used_bytes: dict[str, int] = {}
    moved: dict[str, dict[str, KindUsage]] = {}
    test_bytes: dict[str, dict[str, float]] = {}
    levels: dict[str, ServerLevels] = {}
    spent: list[Spent] = []
    clock: ClockEvidence = ClockEvidence()


def month_of(day: date) -> str:
    """The name of a day's month."""
    return f"{day.year:04}-{day.month:02}"


def in_month(usage: Usage, month: str) -> Usage:
    """The usage in a month: unchanged within its own, reset in a later one.

    Never reset by an earlier month: a Pi without a clock battery boots in the past until NTP.
    """
    if month <= usage.month:
        return usage
    seen = {
        line_id: {
            **usage.test_bytes.get(line_id, {}),
            **{kind: one.wire_bytes / one.tests for kind, one in kinds.items() if one.tests},
        }
        for line_id, kinds in usage.moved.items()
    }
    return Usage(month=month, test_bytes={**usage.test_bytes, **seen}, levels=usage.levels)


def with_bulk_result(usage: Usage, result: Result) -> Usage:
    """The usage with a bulk result's bytes; only complete tests count for `test_bytes`."""
    moved_bytes = wire_bytes(result)
    line_id = result.line.id
    used = {**usage.used_bytes, line_id: usage.used_bytes.get(line_id, 0) + moved_bytes}
    usage = structs.replace(usage, used_bytes=used, levels=with_figures(usage.levels, result))
    if result.outcome is not Outcome.OK or moved_bytes == 0:
        return usage
    kinds = usage.moved.get(line_id, {})
    before = kinds.get(result.kind, KindUsage())
    after = KindUsage(before.tests + 1, before.wire_bytes + moved_bytes)
    return structs.replace(usage, moved={**usage.moved, line_id: {**kinds, result.kind: after}})


def wire_bytes(result: Result) -> int:
    """The bytes of a bulk test on the wire in both directions, with an estimate of headers."""
    values = result.values
    if not isinstance(values, ThroughputValues | HttpValues):
        return 0
    transfers = [one for one in (values.download, values.upload) if one is not None]
    beside = [one for one in (values.loaded_download, values.loaded_upload) if one is not None]
    packets = sum(one.sent + one.received for one in beside)
    payload = sum(one.transferred_bytes for one in transfers)
    longer = _LONGER_HEADER_BYTES if result.family is Family.IPV6 else 0
    ratio = WIRE_RATIO if not longer else 1514 / (1448 - longer)
    return round(payload * ratio) + packets * (STAMP_WIRE_BYTES + longer)
