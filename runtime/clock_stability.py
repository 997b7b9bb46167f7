"""Floor 1. Whether the wall clock may decide that something is old enough to be deleted.

A clock that jumps years ahead makes everything old at once. So age is believed only while the wall
clock has run along with the monotonic one for a while; each jump, and each start, begins it anew.
Times are seconds, and come from the caller.
"""

from __future__ import annotations

STEADY_FOR_S = 3_600.0
# More than a clock is slewed in an hour, less than any jump that could matter to an age in days.
_SAME_WITHIN_S = 60.0


class ClockStability:
    """Remembers since when the two clocks have run together. To be asked now and then."""

    def __init__(self) -> None:
        self._offset_s: float | None = None
        self._since_s = 0.0

    def is_stable(self, wall_s: float, monotonic_s: float) -> bool:
        """Whether an age by the wall clock may cost anything now."""
        offset_s = wall_s - monotonic_s
        if self._offset_s is None or abs(offset_s - self._offset_s) > _SAME_WITHIN_S:
            self._offset_s, self._since_s = offset_s, monotonic_s
        return monotonic_s - self._since_s >= STEADY_FOR_S
