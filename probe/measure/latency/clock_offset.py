"""Floor 1. The offset of wall clock and monotonic clock, to convert kernel timestamps.

The kernel timestamps packets by the wall clock, which can be stepped. NTP slews both clocks alike,
so their difference is constant between steps: kept as first read it adds no noise to a delay, and a
change of it means a step. Reads no clock itself.
"""

from __future__ import annotations

from typing import NamedTuple

# A change smaller than this beyond the readings' uncertainty cannot be distinguished from noise.
STEP_NS = 10_000


class ClockReading(NamedTuple):
    """The wall clock (Unix time) read between two readings of the monotonic clock, in ns."""

    monotonic_before_ns: int
    wall_ns: int
    monotonic_after_ns: int

    @property
    def offset_ns(self) -> int:
        """Wall time minus monotonic time."""
        return self.wall_ns - (self.monotonic_before_ns + self.monotonic_after_ns) // 2

    @property
    def uncertainty_ns(self) -> int:
        """The uncertainty of `offset_ns`: the thread may have been suspended in between."""
        return (self.monotonic_after_ns - self.monotonic_before_ns + 1) // 2


class ClockOffset:
    """Converts wall-clock timestamps to monotonic time; detects steps of the wall clock."""

    def __init__(self, reading: ClockReading) -> None:
        self._reading = reading

    def stepped(self, reading: ClockReading) -> bool:
        """Whether the wall clock was stepped since the reading in use.

        After a step the new offset is used. Steps under `STEP_NS` beyond the uncertainty of the two
        readings go undetected and change a delay by no more than that.
        """
        allowed_ns = STEP_NS + reading.uncertainty_ns + self._reading.uncertainty_ns
        if abs(reading.offset_ns - self._reading.offset_ns) <= allowed_ns:
            return False
        self._reading = reading
        return True

    def monotonic_ns(self, wall_ns: int) -> int:
        """The monotonic time of a wall-clock timestamp taken since the last step."""
        return wall_ns - self._reading.offset_ns
