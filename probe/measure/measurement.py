"""Floor 1. The interface of every kind of measurement: a function that yields RawResults.

The caller (`probe.measure.runner`) owns slot, clock, identity, host evidence and the lock on bulk
tests; a measurement gets its line, its server and its settings. A failure is a RawResult with
a reason; an exception that leaves a measurement is a bug.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, Protocol

from msgspec import Struct, structs

from probe.config import Config, LineConfig, ServerConfig
from wire.record import Family, Method, Outcome, Reason, Validity


class Direction(StrEnum):
    """Which way a bulk transfer's payload goes, as seen from the office."""

    DOWNLOAD = "download"
    UPLOAD = "upload"


class MeasurementStatus(NamedTuple):
    """How a measurement ended."""

    outcome: Outcome
    reason: Reason | None
    detail: str | None


class SteadyInterval(NamedTuple):
    """The steady part of a transfer, that its rate is taken from (monotonic seconds)."""

    from_s: float
    to_s: float


class RawResult(Struct, frozen=True, kw_only=True):
    """The output of one measurement, before the runner adds times, line and host evidence.

    `values` is the kind's values type from `wire.result`, or None. A failed measurement keeps the
    values that it had (of an interrupted transfer, for example). `began_s` (monotonic) and
    `duration_s` are set by a measurement that yields more than one; else the caller's times are
    used. `family` is the one that was measured, None where the request's holds. A bulk test gives
    each direction's steady part, for which the host's load is taken.
    """

    outcome: Outcome
    reason: Reason | None = None
    detail: str | None = None
    target: str | None = None
    family: Family | None = None
    values: Struct | None = None
    validity: list[Validity] = []
    method: Method | None = None
    began_s: float | None = None
    duration_s: float | None = None
    steady_download: SteadyInterval | None = None
    steady_upload: SteadyInterval | None = None


def failed_result(
    reason: Reason,
    detail: str,
    *,
    target: str | None = None,
    method: Method | None = None,
    family: Family | None = None,
) -> RawResult:
    """A failed measurement without values."""
    return RawResult(
        outcome=Outcome.FAILED,
        reason=reason,
        detail=detail[:500],
        target=target,
        method=method,
        family=family,
    )


class Progress(Struct, frozen=True):
    """The progress of a measurement: step, done ratio 0 to 1, and rate in bit/s if known."""

    step: str
    done_ratio: float
    rate_bps: float | None = None


class Stop(Protocol):
    """Set when the measurement is to stop (threading.Event fits)."""

    def is_set(self) -> bool:
        """Whether it is set."""

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for at most `timeout` seconds; True as soon as it is set."""


class MeasurementRequest(Struct, frozen=True, kw_only=True):
    """What to measure: line, server and settings.

    `slot_at` seeds random choices, so that the same slot always draws the same. `patience_s` limits
    the wait for a busy server where that is less than configured. `family` is what the measurement
    is bound to, None where it may use any that the line has (decision 77). `lease_token` is that of
    the lease under which a transfer runs, where the server grants them.
    """

    line: LineConfig
    server: ServerConfig
    config: Config
    stop: Stop
    progress: Callable[[Progress], None]
    slot_at: datetime | None = None
    family: Family | None = None
    patience_s: float | None = None
    lease_token: str | None = None


def request_at(request: MeasurementRequest, address: str | None) -> MeasurementRequest:
    """The request against one address of its server, for what is measured beside a transfer."""
    if address is None:
        return request
    server = structs.replace(request.server, host=address)
    return structs.replace(request, server=server, family=Family.of(address))


# Yields one RawResult (throughput) or one for each target and window until stopped (latency).
MeasureFunction = Callable[[MeasurementRequest], Iterator[RawResult]]
