"""Floor 1. Events of the daemon, from which the display computes the status.

They pass through a small queue that drops when full, so that no LED and no file ever delays a
measurement.
"""

from __future__ import annotations

from msgspec import Struct

from probe.measure.measurement import Progress
from runtime.language import Phrase
from wire.record import Result


class MeasurementStarted(Struct, frozen=True):
    """A bulk measurement has started on a line."""

    line_id: str
    kind: str


class MeasurementProgressed(Struct, frozen=True):
    """A measurement on a line reports its progress."""

    line_id: str
    kind: str
    progress: Progress


class ResultProduced(Struct, frozen=True):
    """A measurement on a line has produced a result; `within_office`: it is of a host in there."""

    result: Result
    within_office: bool = False


class MeasurementEnded(Struct, frozen=True):
    """A bulk measurement on a line has ended."""

    line_id: str
    kind: str


class DeliveryStatus(Struct, frozen=True):
    """The state of delivery. `cause` describes why there is no connection."""

    connected: bool
    pending: int
    cause: Phrase | None = None


class Fault(Struct, frozen=True):
    """A fault of a part of the probe; `text` is None when it has cleared."""

    part: str
    text: Phrase | None


class IdentifyRequested(Struct, frozen=True):
    """Flash every LED until this monotonic time, so that the box can be found."""

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
