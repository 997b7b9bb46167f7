"""Floor 2. The timetable: calls back for each planned slot at its time. Wraps `schedule`.

Each slot is a daily `.at()` entry that removes itself once fired: `every(n).seconds` would count
from the end of a test and drift (measured: 1.31 s for 1 s). `schedule` works in the system's local
wall time; slots are translated here, and whoever is fired compares the slot with the clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

import schedule

from probe.plan.slots import Slot


class Timetable:
    """One day's slots, and what to call for each when its time has come."""

    def __init__(self, fire: Callable[[Slot], None]) -> None:
        self._fire = fire
        self._scheduler = schedule.Scheduler()

    def load(self, slots: Iterable[Slot], now: datetime) -> None:
        """Replace the timetable by the slots that lie within the 24 hours after `now`."""
        self._scheduler.clear()
        for slot in slots:
            if 0 < (slot.at - now).total_seconds() < 86_400:  # .at() knows only a time of day
                local = slot.at.astimezone().strftime("%H:%M:%S")
                self._scheduler.every().day.at(local).do(self._fire_once, slot)

    def run_due(self) -> None:
        """Fire what is due now."""
        self._scheduler.run_pending()

    def next_at(self) -> datetime | None:
        """When the next slot fires, aware, in local time; None where none is left."""
        next_run: datetime | None = self._scheduler.next_run
        return None if next_run is None else next_run.astimezone()

    def _fire_once(self, slot: Slot) -> type[schedule.CancelJob]:
        self._fire(slot)
        return schedule.CancelJob
