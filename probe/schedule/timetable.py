"""Floor 2. The timetable: calls back for each planned slot at its time. Wraps `schedule`.

`schedule` compares local wall times, which a zone's clock change repeats or leaves out; its jobs
here have aware times in UTC and are due by the time that they are given. Reads no clock: whoever
holds the timetable gives the time, and whoever is fired compares the slot with the clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

import schedule

from probe.plan.slots import Slot

# A slot that came due not longer ago than this is still fired when a plan is loaded.
LATE_S = 120.0


class _SlotScheduler(schedule.Scheduler):
    """A scheduler of jobs that run once, by the time in `now`."""

    def __init__(self) -> None:
        super().__init__()
        self.now = datetime.min.replace(tzinfo=UTC)

    def add(self, slot: Slot, fire: Callable[[Slot], None]) -> None:
        """Fire a slot once, at its time."""
        job = _SlotJob(1, self)
        job.unit = "days"

        def fire_once() -> None:
            # First: a job that fails is not run again.
            self.cancel_job(job)
            fire(slot)

        job.do(fire_once)
        job.next_run = slot.at


class _SlotJob(schedule.Job):
    """A job that is due by its scheduler's time, not by local wall time."""

    scheduler: _SlotScheduler

    @property
    def should_run(self) -> bool:
        """Whether its time has come."""
        return self.next_run is not None and self.next_run <= self.scheduler.now


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
        self._scheduler = _SlotScheduler()
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
        self._scheduler.clear()
        for slot in slots:
            if slot.at >= since:
                self._scheduler.add(slot, self._fire)

    def run_due(self, now: datetime) -> None:
        """Fire what is due at a time."""
        self.checked = self._scheduler.now = now
        self._scheduler.run_pending()

    def next_at(self) -> datetime | None:
        """When the next slot fires (UTC); None where none is left."""
        next_run: datetime | None = self._scheduler.next_run
        return next_run
