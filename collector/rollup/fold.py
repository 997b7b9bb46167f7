"""Floor 1. Stored results as what they add to each line's hours."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from collector.registry.registry import LineKey
from collector.rollup.summary import Summary, Tally
from wire.result import HOST_LINE, Result

_HOUR_S = 3600


class HourKey(NamedTuple):
    """An hour of a line; `start_s` is its beginning, seconds since 1970, UTC."""

    line: LineKey
    start_s: int


def fold(results: Iterable[tuple[str, str, Result]]) -> dict[HourKey, Summary]:
    """What results of (tenant, probe) add to which hours.

    A result belongs to the hour in which it started. What concerns the box as a whole
    (`HOST_LINE`) is of no line and is left out, and so is what a clock from before 1970 says.
    """
    tallies: dict[tuple[str, str, str, int], Tally] = {}
    for tenant, probe, result in results:
        start_s = int(result.started_at.timestamp() // _HOUR_S) * _HOUR_S
        line = result.line.id
        if line == HOST_LINE.id or start_s < 0:
            continue
        key = (tenant, probe, line, start_s)
        tally = tallies.get(key)
        if tally is None:
            tally = tallies[key] = Tally()
        tally.take(result.kind, result)
    return {
        HourKey(LineKey(tenant, probe, line), start_s): tally.summary()
        for (tenant, probe, line, start_s), tally in tallies.items()
    }
