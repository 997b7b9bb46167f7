"""Floor 1. What each measurement server has shown of a line: does one read low against the others?

A server that is overloaded, or far away, or badly connected reads as a slow line. With two servers
in turn the difference shows, and the result says so (METHOD, Throughput; arXiv 2205.12376).
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping

from msgspec import Struct

from wire.result import HttpValues, Outcome, Result, ThroughputValues, Validity

# How many of a server's last figures count, and how few say nothing (ours).
KEPT, LEAST = 10, 5
# A server whose median is under this much of the best other one's reads low (ours).
LOW_RATIO = 0.9


class Levels(Struct, frozen=True):
    """A server's last steady figures of one line and kind, oldest first, in bit/s."""

    download_bps: list[float] = []
    upload_bps: list[float] = []


# By line, kind and target; a key is those three, parted by spaces.
History = Mapping[str, Levels]


def noted(history: History, result: Result) -> dict[str, Levels]:
    """The history with a result's figures; those that say nothing of the line are left out."""
    values = result.values
    known = dict(history)
    if not isinstance(values, ThroughputValues | HttpValues) or result.target is None:
        return known
    if result.outcome is not Outcome.OK or _spoilt(result):
        return known
    before = known.get(_key(result), Levels())
    known[_key(result)] = Levels(
        _with(before.download_bps, values.download_bps), _with(before.upload_bps, values.upload_bps)
    )
    return known


def reads_low(history: History, result: Result) -> bool:
    """Whether the server of a result reads low on this line, in either direction."""
    if result.values is None:
        return False
    own = history.get(_key(result), Levels())
    others = list(_others(history, result))
    return _low(own.download_bps, [one.download_bps for one in others]) or _low(
        own.upload_bps, [one.upload_bps for one in others]
    )


def _low(own: list[float], others: list[list[float]]) -> bool:
    mine = _median(own)
    best = max((_median(one) or 0.0 for one in others), default=0.0)
    return mine is not None and mine < LOW_RATIO * best


def _median(figures: list[float]) -> float | None:
    return statistics.median(figures) if len(figures) >= LEAST else None


def _others(history: History, result: Result) -> Iterator[Levels]:
    place = f"{result.line.id} {result.kind} "
    own = _key(result)
    yield from (one for key, one in history.items() if key.startswith(place) and key != own)


def _spoilt(result: Result) -> bool:
    """Whether something else than line and server has made the figure."""
    reasons = (Validity.CROSS_TRAFFIC, Validity.PROBE_LIMITED, Validity.THROTTLED)
    return any(flag in result.validity for flag in reasons)


def _with(figures: list[float], figure: float | None) -> list[float]:
    return figures if figure is None else [*figures, figure][-KEPT:]


def _key(result: Result) -> str:
    return f"{result.line.id} {result.kind} {result.target}"
