"""Floor 1. The timetable: calls back for each planned slot at its time.

Times are UTC, so that a zone's clock change moves none. Reads no clock: whoever holds it gives the
time, and whoever is fired compares the slot with the clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from probe.plan.slots import Slot

# A slot that came due not longer ago than this is still fired when a plan is loaded.
LATE_S = 120.0


class Timetable:
    """One day's slots, and what to call for each when its time has come.

    Args:
        fire: called with each slot.
        checked: until when a timetable before this one has fired its slots; None for the first.

    Attributes:
        checked: the time of the last look.
    """

    def __init__(self, fire: Callable[[Slot], None], checked: datetime | None = None) -> None:
        self._fire = fire
        self._slots: list[Slot] = []
        self.checked = checked

    def load(self, slots: Iterable[Slot], now: datetime) -> None:
        """Replace the timetable; what is due of the old one is fired first.

        Of the new slots those are left out that were due before the old ones were last looked at,
        or, as after a start or a jump of the clock, longer ago than `LATE_S`.

        Args:
            slots: of a day, in any order.
            now: the time for which the plan was made, before it was made.
        """
        since = now - timedelta(seconds=LATE_S)
        if self.checked is None:
            since = now
        elif since < self.checked < now:
            since = self.checked
        self.run_due(now)
        self._slots = sorted((slot for slot in slots if slot.at >= since), key=lambda slot: slot.at)

    def run_due(self, now: datetime) -> None:
        """Fire what is due at a time."""
        self.checked = now
        while self._slots and self._slots[0].at <= now:
            self._fire(self._slots.pop(0))

    def next_at(self) -> datetime | None:
        """When the next slot fires (UTC); None where none is left."""
        return self._slots[0].at if self._slots else None
