"""Floor 1. Whether the wall clock is stable enough to delete things by their age.

A clock that jumps years ahead makes everything old at once. So the clock counts as stable once it
has run in step with the monotonic clock for `STEADY_FOR_S`; each jump and each start begins anew.
The caller passes times in seconds.
"""

from __future__ import annotations

STEADY_FOR_S = 3_600.0
# More than a clock is slewed in an hour, less than any jump that matters for ages in days.
_SAME_WITHIN_S = 60.0


class ClockStability:
    """Tracks since when the two clocks have run in step; to be called regularly."""

    def __init__(self) -> None:
        self._offset_s: float | None = None
        self._since_s = 0.0

    def is_stable(self, wall_s: float, monotonic_s: float) -> bool:
        """Whether something may be deleted now because of its age by the wall clock."""
        offset_s = wall_s - monotonic_s
        if self._offset_s is None or abs(offset_s - self._offset_s) > _SAME_WITHIN_S:
            self._offset_s, self._since_s = offset_s, monotonic_s
        return monotonic_s - self._since_s >= STEADY_FOR_S
