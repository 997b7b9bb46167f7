"""Floor 1. One shape for every measurement: a callable that yields Findings.

The caller (`probe.measure.runner`) owns slot, clock, identity, host evidence and the lock on bulk
tests; a measurement knows only its line, its server and its settings. "Could not" is a Finding with
a reason; an exception that leaves a measurement is a bug.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, Protocol

from msgspec import Struct

from probe.config import Config, LineConfig, ServerConfig
from wire.result import Method, Outcome, Reason, Validity


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
    """The part of a transfer that its figure is of: from when to when (monotonic)."""

    from_s: float
    to_s: float


class RawResult(Struct, frozen=True, kw_only=True):
    """What one measurement found, before it is given time, line and host evidence.

    `values` is the kind's values type from `wire.result`, or None. A failed measurement keeps the
    values that it had (an interrupted transfer, say). `began_s` (monotonic) and `duration_s` are
    given by a measurement that yields more than one; else the caller's own stand. A bulk test says
    when it measured each direction, so that the host is judged by that time alone.
    """

    outcome: Outcome
    reason: Reason | None = None
    detail: str | None = None
    target: str | None = None
    values: Struct | None = None
    validity: list[Validity] = []
    method: Method | None = None
    began_s: float | None = None
    duration_s: float | None = None
    steady_download: SteadyInterval | None = None
    steady_upload: SteadyInterval | None = None


def failed_result(
    reason: Reason, detail: str, *, target: str | None = None, method: Method | None = None
) -> RawResult:
    """A failure without values."""
    return RawResult(
        outcome=Outcome.FAILED, reason=reason, detail=detail[:500], target=target, method=method
    )


class Progress(Struct, frozen=True):
    """How far a measurement is: the step in a word, 0..1 of the whole, the rate if known."""

    step: str
    done_ratio: float
    rate_bps: float | None = None


class Stop(Protocol):
    """Told when the daemon wants to end (threading.Event fits)."""

    def is_set(self) -> bool:
        """Whether to stop."""

    def wait(self, timeout: float | None = None) -> bool:
        """Sleep for at most `timeout` seconds; True as soon as to stop."""


class MeasurementRequest(Struct, frozen=True, kw_only=True):
    """What to measure: on which line, against which server, under which settings.

    `slot_at` is what a measurement may draw lots by: the same slot always draws the same.
    `patience_s` is how long it may wait for a busy server where that is less than configured.
    """

    line: LineConfig
    server: ServerConfig
    config: Config
    stop: Stop
    progress: Callable[[Progress], None]
    slot_at: datetime | None = None
    patience_s: float | None = None


# Yields one Finding (throughput) or one for each target and window until stopped (latency).
MeasureFunction = Callable[[MeasurementRequest], Iterator[RawResult]]
