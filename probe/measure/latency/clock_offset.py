"""Floor 1. One time line for kernel timestamps: wall-clock nanoseconds to monotonic ones.

The kernel stamps packets by the wall clock, which can be stepped. NTP slews both clocks alike, so
their difference is constant between steps: kept as it was first read, it adds no noise to a delay,
and when it changes the wall clock was stepped. Reads no clock itself.
"""

from __future__ import annotations

from typing import NamedTuple

# Beyond what the two readings may be off, so small a change is not told from noise.
STEP_NS = 10_000


class ClockReading(NamedTuple):
    """The wall clock (Unix time), read between two readings of the monotonic clock; all ns."""

    monotonic_before_ns: int
    wall_ns: int
    monotonic_after_ns: int

    @property
    def offset_ns(self) -> int:
        """Wall less monotonic time."""
        return self.wall_ns - (self.monotonic_before_ns + self.monotonic_after_ns) // 2

    @property
    def uncertainty_ns(self) -> int:
        """How far off `offset_ns` can be: the thread may have been away in between."""
        return (self.monotonic_after_ns - self.monotonic_before_ns + 1) // 2


class ClockOffset:
    """Translates wall-clock stamps to monotonic time; notices a step of the wall clock."""

    def __init__(self, reading: ClockReading) -> None:
        self._reading = reading

    def stepped(self, reading: ClockReading) -> bool:
        """Whether the wall clock was stepped since the last reading that was kept.

        After a step the new offset holds. Steps under `STEP_NS` beyond the uncertainty of the two
        readings go unseen and falsify a delay by no more than that.
        """
        allowed_ns = STEP_NS + reading.uncertainty_ns + self._reading.uncertainty_ns
        if abs(reading.offset_ns - self._reading.offset_ns) <= allowed_ns:
            return False
        self._reading = reading
        return True

    def monotonic_ns(self, wall_ns: int) -> int:
        """The monotonic time of a wall-clock stamp taken since the last step."""
        return wall_ns - self._reading.offset_ns
