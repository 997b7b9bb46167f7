"""Floor 1. A minute of a line: up, down or unknown, and why (docs/method.md#availability, A1).

Rules:
- Up: something beyond the office answered (`probe.measure.own_networks`, A10).
- Down: the gateway answered, at least 2 targets beyond the office were tried, and none answered.
- Unknown: all else. Without an answer of the gateway the fault may be the office's own; a probe
  that did not run, or had no power, has no evidence.

More answers never make a minute worse, and a minute without evidence is never down. Minutes are
numbered by the wall clock (Unix time / 60). Reads no clock.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from probe.config import PathConfig
from probe.measure.own_networks import OwnNetworks, is_beyond
from wire.result import (
    GATEWAY_TARGET,
    DnsEnding,
    DnsQuery,
    DnsResult,
    Family,
    HttpResult,
    LatencyResult,
    LatencyValues,
    Outcome,
    PathResult,
    Reason,
    Result,
    ThroughputResult,
    WebResult,
    WebValues,
)

MINUTE_S = 60.0
LEAST_TARGETS = 2
# Half a minute, less what the ends of windows may be off by: of two that meet in a minute's middle
# one always counts for it.
_HALF_S = 29.0
# Where the probe itself could not try, nothing was tried. A host whose port is closed is there, but
# who says so may be a firewall on the way.
_NOT_TRIED = (
    Reason.CONNECTION_REFUSED,
    Reason.PERMISSION_DENIED,
    Reason.TOOL_FAILED,
    Reason.TOOL_MISSING,
    Reason.NAME_RESOLUTION,
    Reason.SHUTTING_DOWN,
)


class MinuteState(StrEnum):
    """The state of a minute."""

    UP = "up"
    DOWN = "down"
    PROBE_OFF = "unknown_probe_off"
    NOT_RUNNING = "unknown_not_running"
    CLOCK = "unknown_clock"
    OWN_LAN = "unknown_own_lan"
    EVIDENCE = "unknown_evidence"


class ReachabilitySample(Struct, frozen=True):
    """Whether a host answered between two times (Unix seconds).

    `host` identifies the target; None is the gateway. `line_down`: the probe's own interface was.
    """

    from_s: float
    to_s: float
    host: str | None
    answered: bool
    line_down: bool = False


def samples_of(result: Result, own: OwnNetworks) -> Iterator[ReachabilitySample]:
    """The reachability samples that a result gives; none where it says nothing about the line.

    Latency windows and path measurements give answers and their absence, of the gateway and of
    targets beyond the office. Of other kinds only a success counts, because a failing server or
    page is not the line's fault; and only one that came from beyond the office for certain.
    """
    match result:
        case LatencyResult():
            yield from _of_window(result, own)
        case PathResult():
            yield from _of_path(result, own)
        case DnsResult(values=values) if values is not None:
            if is_beyond(values.resolver, own) and any(map(_is_of_no_cache, values.queries)):
                yield _evidence(result, values.resolver, answered=True)
        case WebResult(values=values) if values is not None:
            if is_beyond(values.address, own) and _is_of_its_server(values):
                yield _evidence(result, values.address, answered=True)
        case ThroughputResult(values=values) | HttpResult(values=values) if values is not None:
            if result.outcome is Outcome.OK and is_beyond(values.address, own):
                yield _evidence(result, values.address, answered=True)
        case _:
            return


def minutes_of(evidence: ReachabilitySample) -> list[int]:
    """The minutes that a sample counts for: half covered by it, or holding its middle.

    Windows that follow one another without a gap leave no minute without one.
    """
    first = math.ceil((evidence.from_s - MINUTE_S + _HALF_S) / MINUTE_S)
    last = math.floor((evidence.to_s - _HALF_S) / MINUTE_S)
    middle = minute_of((evidence.from_s + evidence.to_s) / 2)
    return sorted({*range(first, last + 1), middle})


def minute_of(unix_s: float) -> int:
    """The number of the minute that contains a Unix time."""
    return int(unix_s // MINUTE_S)


def minute_state(evidence: Iterable[ReachabilitySample]) -> MinuteState:
    """The state of a minute, from all of its samples."""
    all_ = list(evidence)
    far = [one for one in all_ if one.host is not None]
    near = [one for one in all_ if one.host is None]
    if any(one.answered for one in far):
        return MinuteState.UP
    if any(one.line_down for one in all_):
        return MinuteState.OWN_LAN
    if any(one.answered for one in near):
        tried = {one.host for one in far}
        return MinuteState.DOWN if len(tried) >= LEAST_TARGETS else MinuteState.EVIDENCE
    return MinuteState.OWN_LAN if near else MinuteState.EVIDENCE


def is_family_down(evidence: Iterable[ReachabilitySample], family: Family) -> bool | None:
    """Whether a minute is down over one address family; None where too little is known.

    It is by the rule of the whole minute with the targets of that family alone; an answer over the
    other family shows as well as the gateway's that the office's own network works.
    """
    all_ = list(evidence)
    of_family = [one for one in all_ if one.host is not None and Family.of(one.host) is family]
    if any(one.answered for one in of_family):
        return False
    enough = len({one.host for one in of_family}) >= LEAST_TARGETS
    return True if enough and any(one.answered for one in all_) else None


def is_within_office(result: Result, own: OwnNetworks) -> bool:
    """Whether a latency window is of a host in the office: not the gateway, nor beyond."""
    return (
        isinstance(result, LatencyResult)
        and result.values is not None
        and result.target != GATEWAY_TARGET
        and not is_beyond(result.values.address, own)
    )


def is_degraded(result: Result, config: PathConfig) -> bool:
    """Whether a latency window calls for a path measurement: failed, too lossy or too slow."""
    if not isinstance(result, LatencyResult):
        return False
    if result.outcome is Outcome.FAILED:
        return result.reason not in _NOT_TRIED
    values = result.values
    if values is None:
        return False
    slow = values.rtt_p50_ms is not None and values.rtt_p50_ms > config.bad_rtt_ms
    # One lost packet of a window that was cut short does not count.
    lossy = (values.loss_ratio or 0) > config.bad_loss_ratio and values.lost > 1
    return slow or lossy


def is_silent(result: Result) -> bool:
    """Whether nothing came back in a latency window."""
    values = result.values
    return isinstance(values, LatencyValues) and values.received + values.late == 0


def _is_of_no_cache(query: DnsQuery) -> bool:
    """Whether an answer is one that no cache and no router in the office can have given.

    A random label is in no cache. Routers without Internet lead every name to their own page, so
    an answer with addresses is not trusted.
    """
    return query.random_label and query.ending is DnsEnding.ANSWERED and not query.answers


def _is_of_its_server(values: WebValues) -> bool:
    """Whether a page came from its own server: its certificate was verified.

    A router that shows a page of its own ("no Internet") answers for any address.
    """
    return values.status is not None and values.tls_version is not None


def _of_window(result: LatencyResult, own: OwnNetworks) -> Iterator[ReachabilitySample]:
    values, target = result.values, result.target
    if result.reason is Reason.LINE_DOWN:
        yield _evidence(result, None, answered=False, line_down=True)
        return
    if values is None or not values.sent or result.reason in _NOT_TRIED:
        return
    is_gateway = target == GATEWAY_TARGET or values.address == own.router
    if not is_gateway and not is_beyond(values.address, own):
        return
    host = None if is_gateway else values.address
    yield _evidence(result, host, answered=values.received + values.late > 0)


def _of_path(result: PathResult, own: OwnNetworks) -> Iterator[ReachabilitySample]:
    values = result.values
    if values is None or result.outcome is not Outcome.OK:
        return
    if values.gateway_reached is not None:
        yield _evidence(result, None, answered=values.gateway_reached)
    for target in values.targets:
        if is_beyond(target.address, own):
            yield _evidence(result, target.address, answered=target.reached)


def _evidence(
    result: Result, host: str | None, *, answered: bool, line_down: bool = False
) -> ReachabilitySample:
    began_s = unix_s(result.started_at)
    return ReachabilitySample(began_s, began_s + result.duration_s, host, answered, line_down)


def unix_s(at: datetime) -> float:
    """Unix time of an aware time."""
    return at.timestamp()
