"""Floor 2. The result that names what the probe had to give up: its clock, no line."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from probe import clock
from probe.version import VERSION
from wire.result import (
    HOST_LINE,
    DropCause,
    Outcome,
    ResultsDroppedResult,
    ResultsDroppedValues,
)


def dropped_result(
    cause: DropCause, epoch: UUID | None, count: int | None, ranges: Sequence[tuple[int, int]]
) -> ResultsDroppedResult:
    """What was given up; see `ResultsDroppedValues` for what a missing epoch or count says."""
    return ResultsDroppedResult(
        outcome=Outcome.OK,
        line=HOST_LINE,
        target=None,
        slot_at=None,
        started_at=clock.utc_now(),
        duration_s=0.0,
        clock=clock.reading(),
        host=None,
        method=None,
        probe_version=VERSION,
        values=ResultsDroppedValues(cause=cause, epoch=epoch, count=count, ranges=list(ranges)),
    )
