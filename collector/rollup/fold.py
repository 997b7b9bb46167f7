"""Floor 1. Stored results as what they add to each line's hours."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from collector.registry.registry import LineKey
from collector.rollup.summary import Summary, SummaryBuilder
from wire.result import HOST_LINE, KIND_OF, Result

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
    tallies: dict[tuple[str, str, str, int], SummaryBuilder] = defaultdict(SummaryBuilder)
    host = HOST_LINE.id
    for tenant, probe, result in results:
        line = result.line.id
        hour = int(result.started_at.timestamp() // _HOUR_S)
        if hour >= 0 and line != host:
            tallies[tenant, probe, line, hour].take(KIND_OF[type(result)], result)
    return {
        HourKey(LineKey(tenant, probe, line), hour * _HOUR_S): tally.summary()
        for (tenant, probe, line, hour), tally in tallies.items()
    }
