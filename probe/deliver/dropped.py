"""Floor 2. Makes the `results_dropped` result: time and clock of the probe, and no line."""

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
    """A result that reports dropped results; see `ResultsDroppedValues` for None in its fields."""
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
