"""Floor 1. What happens in the daemon, as values that the display folds into a status.

Whoever measures or delivers emits these and forgets them: they travel through a small queue that
drops when full, so that no LED and no file ever delays a measurement.
"""

from __future__ import annotations

from msgspec import Struct

from probe.measure.measurement import Progress
from wire.result import Result


class MeasurementStarted(Struct, frozen=True):
    """A measurement has begun on a line."""

    line_id: str
    kind: str


class MeasurementProgressed(Struct, frozen=True):
    """A measurement on a line has come this far."""

    line_id: str
    kind: str
    progress: Progress


class ResultProduced(Struct, frozen=True):
    """A measurement on a line has ended with this result."""

    result: Result


class MeasurementEnded(Struct, frozen=True):
    """No more results come from this run of a measurement."""

    line_id: str
    kind: str


class DeliveryStatus(Struct, frozen=True):
    """Where delivery stands. `cause` says in words why there is no connection."""

    connected: bool
    pending: int
    cause: str | None = None


class Fault(Struct, frozen=True):
    """Something is wrong with the probe itself (text), or no longer so (None)."""

    part: str
    text: str | None


class IdentifyRequested(Struct, frozen=True):
    """Somebody looks for the box: flash until this monotonic time."""

    until_s: float


Event = (
    MeasurementStarted
    | MeasurementProgressed
    | ResultProduced
    | MeasurementEnded
    | DeliveryStatus
    | Fault
    | IdentifyRequested
)
