"""Floor 1. Usage: what a line's bulk tests have moved this month, and what a test moved before.

The plan estimates a test by what the month before has shown, so that within a month the plan stays
the same; a line that has used its budget up keeps only the weekly minimum.
"""

from __future__ import annotations

from datetime import date

from msgspec import Struct, structs

from probe.plan.levels import ServerLevels, with_figures
from wire.result import HttpValues, Outcome, Result, ThroughputValues
from wire.stamp import PACKET_BYTES

# A full segment on the wire against its payload (Ethernet, IPv4, TCP with timestamps).
WIRE_RATIO = 1514 / 1448
# A packet of the session beside a transfer, or of kind `latency`'s (Ethernet, IPv4, UDP).
STAMP_WIRE_BYTES = 14 + 20 + 8 + PACKET_BYTES


class KindUsage(Struct, frozen=True):
    """Complete tests, and the bytes of all of them on the wire."""

    tests: int = 0
    wire_bytes: int = 0


class Usage(Struct, frozen=True, kw_only=True):
    """By line, and by kind within it. `month` is the local one, "2026-11"; "" before the first.

    `test_bytes` is what a complete test moved in the last month that had one. `levels` are what
    each server has shown (`probe.plan.levels`); they know no months.
    """

    month: str = ""
    used_bytes: dict[str, int] = {}
    moved: dict[str, dict[str, KindUsage]] = {}
    test_bytes: dict[str, dict[str, float]] = {}
    levels: dict[str, ServerLevels] = {}


def month_of(day: date) -> str:
    """The name of a day's month."""
    return f"{day.year:04}-{day.month:02}"


def in_month(usage: Usage, month: str) -> Usage:
    """The usage as a month begins; unchanged within it.

    Never back: a Pi without a clock battery boots in the past until NTP has told it better.
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
    """The usage with a bulk result's bytes; only complete tests say what a test moves."""
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
    """What a bulk test moved in both directions, headers included by their usual share."""
    values = result.values
    if not isinstance(values, ThroughputValues | HttpValues):
        return 0
    transfers = [one for one in (values.download, values.upload) if one is not None]
    beside = [one for one in (values.loaded_download, values.loaded_upload) if one is not None]
    packets = sum(one.sent + one.received for one in beside)
    payload = sum(one.transferred_bytes for one in transfers)
    return round(payload * WIRE_RATIO) + packets * STAMP_WIRE_BYTES
