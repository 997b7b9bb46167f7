"""Floor 1. Admission: whether a queued measurement may start, when it is retried or abandoned.

A bulk test is deferred for two reasons: cross traffic on the line, and a server that is busy with
another test. Both back off by one rule: 60 to 960 s, doubling, with jitter (ndt7 specification),
within the slot's part of the day. Reads no clock, thread or interface.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from msgspec import Struct, structs

from probe.config import Config, LineConfig, ServerConfig
from probe.plan.budget import bulk_kinds
from probe.plan.hours import longest_idle_check_s
from runtime.backoff import backoff_s
from wire.record import Family, Method, Reason, Result, Validity

_FIRST_WAIT_S, _LONGEST_WAIT_S = 60.0, 960.0
# 60, 120, 240, 480, 960 s: half an hour in all, then the slot is abandoned.
_MOST_WAITS = 5


class InterfaceRates(Struct, frozen=True):
    """The rates of an interface, in bit/s; None where unknown."""

    received_bps: float | None
    sent_bps: float | None


class QueuedMeasurement(Struct, frozen=True, kw_only=True):
    """A measurement to make, and what it has waited for.

    Attributes:
        slot_at: when it was planned; None for an on-demand one, which neither checks nor waits.
        family: the address family whose turn it is; None where it is bound to none.
        until: the latest start of its idle check, for a bulk test; None where it does not wait.
        due_s: when it may be tried (monotonic).
        deferrals: how often cross traffic held it back.
        busy_count: how often a busy server held it back.
        rates_before: the interface's rates in its last idle check.
        command_id: the centre's command that asked for it.
        kept: of the weekly minimum, which runs also when the line's budget is used up.
    """

    kind: str
    line: LineConfig
    server: ServerConfig
    slot_at: datetime | None = None
    family: Family | None = None
    until: datetime | None = None
    due_s: float = 0.0
    deferrals: int = 0
    busy_count: int = 0
    rates_before: InterfaceRates | None = None
    command_id: UUID | None = None
    kept: bool = False


class InterfaceCounters(Struct, frozen=True):
    """The byte counters of an interface at a monotonic time; None where they cannot be read."""

    at_s: float
    received_bytes: int | None
    sent_bytes: int | None


class CrossTrafficLimits(Struct, frozen=True):
    """Rates on a line's interface above which there is cross traffic, in bit/s."""

    download_bps: float
    upload_bps: float


class AdmissionDecision(StrEnum):
    """Whether a bulk test may begin."""

    GO = "go"
    DEFER = "defer"


def rates_between(then: InterfaceCounters, now: InterfaceCounters) -> InterfaceRates:
    """The rates between two readings; None where a counter is missing or was reset."""
    elapsed_s = now.at_s - then.at_s

    def rate(before: int | None, after: int | None) -> float | None:
        if before is None or after is None or after < before or elapsed_s <= 0:
            return None
        return (after - before) * 8 / elapsed_s

    return InterfaceRates(
        rate(then.received_bytes, now.received_bytes), rate(then.sent_bytes, now.sent_bytes)
    )


def bulk_admission(
    then: InterfaceCounters, now: InterfaceCounters, limits: CrossTrafficLimits
) -> AdmissionDecision:
    """Whether a line is idle enough for a bulk test (docs/method.md#plan, B7).

    Counters that cannot be read do not defer a test; its result then states no rates.
    """
    rates = rates_between(then, now)
    over = (rates.received_bps or 0.0) > limits.download_bps
    over = over or (rates.sent_bps or 0.0) > limits.upload_bps
    return AdmissionDecision.DEFER if over else AdmissionDecision.GO


def remaining_start_s(config: Config, wanted: QueuedMeasurement, at: datetime) -> float | None:
    """Seconds in which a bulk test may still start after its idle check; negative: too late.

    None where it has no time limit. A slot belongs to its part of the day: a later start would run
    into hours that are to be avoided.
    """
    if wanted.until is None:
        return None
    last = wanted.until + timedelta(seconds=longest_idle_check_s(config.plan))
    return (last - at).total_seconds()


def with_deferral(wanted: QueuedMeasurement, reason: Reason) -> QueuedMeasurement:
    """The measurement with one more deferral counted, by a busy server or by cross traffic."""
    if reason is Reason.SERVER_BUSY:
        return structs.replace(wanted, busy_count=wanted.busy_count + 1)
    return structs.replace(wanted, deferrals=wanted.deferrals + 1)


def rescheduled(
    wanted: QueuedMeasurement, at: datetime, now_s: float, draw: Callable[[], float]
) -> QueuedMeasurement | None:
    """A deferred measurement with its next time; None where it is to be abandoned.

    Args:
        wanted: the result of `with_deferral`.
        at: wall-clock time.
        now_s: monotonic time.
        draw: uniform in [0, 1).
    """
    waits = wanted.deferrals + wanted.busy_count
    pause_s = max(_FIRST_WAIT_S, backoff_s(waits, _FIRST_WAIT_S, _LONGEST_WAIT_S, draw()))
    in_time = wanted.until is not None and at + timedelta(seconds=pause_s) <= wanted.until
    if waits > _MOST_WAITS or not in_time:
        return None
    return structs.replace(wanted, due_s=now_s + pause_s)


def deferral_reason(result: Result) -> Reason | None:
    """Why nothing was measured where the slot may come again; None where it may not.

    The server was busy, or people used the line while its lease was waited for.
    """
    again = result.reason in (Reason.SERVER_BUSY, Reason.CROSS_TRAFFIC) and result.values is None
    return result.reason if again else None


def next_server(config: Config, wanted: QueuedMeasurement) -> ServerConfig:
    """The next server that offers the kind; each serves one test at a time."""
    pools = {one.kind: one.servers for one in bulk_kinds(config)}
    pool = pools.get(wanted.kind, config.servers)
    return pool[(pool.index(wanted.server) + 1) % len(pool)]


def first_due(waiting: Sequence[QueuedMeasurement], now_s: float) -> QueuedMeasurement | None:
    """The queued measurement that has been due the longest; None where none is due."""
    due = [one for one in waiting if one.due_s <= now_s]
    return min(due, key=lambda one: one.due_s, default=None)


def abandoned_detail(wanted: QueuedMeasurement, reason: Reason) -> str:
    """The detail text of an abandoned slot."""
    text = f"given up: deferred {wanted.deferrals} times, servers busy {wanted.busy_count} times"
    if reason is Reason.CROSS_TRAFFIC and wanted.rates_before is not None:
        text += (
            f"; the interface carried {_kbps(wanted.rates_before.received_bps)} down, "
            f"{_kbps(wanted.rates_before.sent_bps)} up"
        )
    return text


def too_late_detail(wanted: QueuedMeasurement) -> str:
    """The detail text of a slot that could only start after its part of the day."""
    return (
        f"its turn came after its part of the day: deferred {wanted.deferrals} times, "
        f"servers busy {wanted.busy_count} times"
    )


def with_admission_history(result: Result, wanted: QueuedMeasurement, version: str) -> Result:
    """The result with its deferrals and the rates of its idle check among the method's settings."""
    method = result.method or Method("tramdo-probe", version, {})
    rates_before = wanted.rates_before or InterfaceRates(None, None)
    history: dict[str, str | int | float | bool | None] = {
        "deferrals": wanted.deferrals,
        "busy_servers": wanted.busy_count,
        "before_received_bps": rates_before.received_bps,
        "before_sent_bps": rates_before.sent_bps,
        "cross_traffic_seen_at": "the probe's own interface",
    }
    method = structs.replace(method, settings={**method.settings, **history})
    return structs.replace(result, method=method)


def with_flag(result: Result, flag: Validity) -> Result:
    """The result with one more validity flag."""
    return structs.replace(result, validity=sorted({*result.validity, flag}))


def _kbps(rate_bps: float | None) -> str:
    return "an unknown rate" if rate_bps is None else f"{rate_bps / 1e3:.0f} kbit/s"
