"""Floor 1. What each measurement server has shown of a line: does one read low against the others?

A server that is overloaded, or far away, or badly connected reads as a slow line. With two servers
in turn the difference shows, and the result says so (METHOD, Throughput; arXiv 2205.12376). Servers
are held against each other by figures of the same days only: what one has shown of the line as it
was before says nothing of another today, least of all where it is not asked any more.
"""

from __future__ import annotations

import statistics
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from wire.result import HttpValues, Outcome, Result, ThroughputValues, Validity

# How many of a server's last figures count, how few say nothing, and how old one may be (ours).
KEPT, LEAST = 10, 5
RECENT = timedelta(days=7)
# A server whose median is under this much of the best other one's reads low (ours).
LOW_RATIO = 0.9


class ServerFigures(Struct, frozen=True):
    """The steady figures of one result, in bit/s, and when it began (UTC)."""

    at: datetime
    download_bps: float | None
    upload_bps: float | None


class ServerLevels(Struct, frozen=True):
    """What a server has last shown of one line and kind, as it came.

    Files of before had bare figures here; they are passed over, for nobody knows of which days.
    """

    shown: list[ServerFigures] = []


# By line, kind and target; a key is those three, parted by spaces.
History = Mapping[str, ServerLevels]


def with_figures(history: History, result: Result) -> dict[str, ServerLevels]:
    """The history with a result's figures; those that say nothing of the line are left out."""
    values = result.values
    known = dict(history)
    if not isinstance(values, ThroughputValues | HttpValues) or result.target is None:
        return known
    if result.outcome is not Outcome.OK or _spoilt(result):
        return known
    shown = ServerFigures(result.started_at, values.download_bps, values.upload_bps)
    before = known.get(_key(result), ServerLevels()).shown
    known[_key(result)] = ServerLevels([*before, shown][-KEPT:])
    return known


def reads_low(history: History, result: Result, servers: Collection[str]) -> bool:
    """Whether the server of a result reads low on this line, in either direction.

    Args:
        history: of before this result, which is not to be its own judge.
        result: the one that is asked about.
        servers: the names of those that are configured now; no other is held against it.
    """
    if result.values is None:
        return False
    now = result.started_at
    own = _between(history.get(_key(result), ServerLevels()), now - RECENT, now)
    if not own:
        return False
    since = min(one.at for one in own)
    others = [_between(one, since, now) for one in _others(history, result, servers)]
    return _low(
        [one.download_bps for one in own], [[one.download_bps for one in o] for o in others]
    ) or _low([one.upload_bps for one in own], [[one.upload_bps for one in o] for o in others])


def _between(levels: ServerLevels, first: datetime, last: datetime) -> list[ServerFigures]:
    return [one for one in levels.shown if first <= one.at <= last]


def _low(own: Sequence[float | None], others: Sequence[Sequence[float | None]]) -> bool:
    mine = _median(own)
    best = max((_median(one) or 0.0 for one in others), default=0.0)
    return mine is not None and mine < LOW_RATIO * best


def _median(figures: Sequence[float | None]) -> float | None:
    known = [figure for figure in figures if figure is not None]
    return statistics.median(known) if len(known) >= LEAST else None


def _others(history: History, result: Result, servers: Collection[str]) -> Iterator[ServerLevels]:
    place, own = f"{result.line.id} {result.kind} ", _key(result)
    for key, levels in history.items():
        # A target is its tool and the server's name: "iperf3:hn-1".
        name = key.removeprefix(place).partition(":")[2]
        if key.startswith(place) and key != own and name in servers:
            yield levels


def _spoilt(result: Result) -> bool:
    """Whether something else than line and server has made the figure."""
    reasons = (Validity.CROSS_TRAFFIC, Validity.PROBE_LIMITED, Validity.THROTTLED)
    return any(flag in result.validity for flag in reasons)


def _key(result: Result) -> str:
    return f"{result.line.id} {result.kind} {result.target}"
