"""Floor 1. The rates that each server measured on a line, and whether one reads low.

A server that is overloaded, far away or badly connected makes a line look slow. With two servers in
turn the difference shows, and the result is flagged (docs/method.md#throughput, T14). Servers
are compared by results of the same days only, because the line may have changed since.
"""

from __future__ import annotations

import statistics
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from wire.result import HttpValues, Outcome, Result, ThroughputValues, Validity

# How many of a server's last results are kept, the least for a comparison, the oldest (ours).
KEPT, LEAST = 10, 5
RECENT = timedelta(days=7)
# A server whose median is under this share of the best other one's reads low (ours).
LOW_RATIO = 0.9


class ServerFigures(Struct, frozen=True):
    """The steady rates of one result, in bit/s, and its start (UTC)."""

    at: datetime
    download_bps: float | None
    upload_bps: float | None


class ServerLevels(Struct, frozen=True):
    """The last results of a server for one line and kind, in order of arrival.

    Files of an older version had rates without times here; those are ignored.
    """

    shown: list[ServerFigures] = []


# By "line kind target".
History = Mapping[str, ServerLevels]


def with_figures(history: History, result: Result) -> dict[str, ServerLevels]:
    """The history with a result's rates added, where they are valid for the line."""
    values = result.values
    known = dict(history)
    if not isinstance(values, ThroughputValues | HttpValues) or result.target is None:
        return known
    if result.outcome is not Outcome.OK or _is_disturbed(result):
        return known
    shown = ServerFigures(result.started_at, values.download_bps, values.upload_bps)
    before = known.get(_key(result), ServerLevels()).shown
    known[_key(result)] = ServerLevels([*before, shown][-KEPT:])
    return known


def reads_low(history: History, result: Result, servers: Collection[str]) -> bool:
    """Whether the server of a result reads low on this line, in either direction.

    Args:
        history: without this result.
        result: the result to check.
        servers: the names of the configured servers, which it is compared with.
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


def _is_disturbed(result: Result) -> bool:
    """Whether something other than line and server influenced the rate."""
    reasons = (
        Validity.CROSS_TRAFFIC,
        Validity.PROBE_LIMITED,
        Validity.SERVER_CONTENTION,
        Validity.THROTTLED,
    )
    return any(flag in result.validity for flag in reasons)


def _key(result: Result) -> str:
    return f"{result.line.id} {result.kind} {result.target}"
