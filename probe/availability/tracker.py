"""Floor 1. One line's book of minutes: evidence in, periods and outages out.

Every minute is decided once, in order, when its evidence must be there; so the counts of all
periods add up to the minutes from the first to the last, whatever comes late, twice or never.
Times and boots are handed in; the book can be put away (`TrackerState`) and taken up by the next
daemon, which then knows for how long there was none.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from probe.availability import outages
from probe.availability.minutes import (
    MinuteState,
    ReachabilitySample,
    minute_of,
    minute_state,
    minutes_of,
)
from probe.availability.outages import OpenOutage, Outage, fault_of, fold
from wire.result import FaultLocation, OutageEnd

# NTP slews below this; a larger difference between wall and monotonic time is a step.
_STEP_S = 30.0
# Further back than this a clock was set right: what it said before is no base to go on from.
_BACK_MINUTES = 2
# A box that was away longer begins anew: its old book may bear any clock.
_FORGOTTEN_MINUTES = 400 * 1440
_MINUTES_A_DAY = 1440
# A look at the path belongs to an outage that begins as much later, or ended as much before.
_PATH_MARGIN_S = 120.0


class Instant(Struct, frozen=True):
    """The time, by both clocks, and which boot it is."""

    unix_s: float
    monotonic_s: float
    boot_id: str | None


class AvailabilityPeriod(Struct, frozen=True):
    """Decided minutes from `first` to before `end`, counted by their state."""

    first: int
    end: int
    counts: dict[MinuteState, int]


class LocatedOutage(Struct, frozen=True):
    """An outage that ended, where its fault was, and how many looks that rests on."""

    outage: Outage
    fault: FaultLocation
    path_observations: int


class PathObservation(Struct, frozen=True):
    """Where a look at the path saw the fault, and when (Unix time)."""

    at_s: float
    fault: FaultLocation


class TrackerState(Struct, frozen=True, kw_only=True, rename={"path_observations": "looks"}):
    """What is put away: the next minute to decide, the period's counts, what is running.

    `evidence`: of minutes that were still open when the daemon ended, by minute.
    """

    boot_id: str | None
    next: int
    first: int
    counts: dict[MinuteState, int]
    running: OpenOutage | None
    path_observations: list[PathObservation]
    evidence: dict[int, list[ReachabilitySample]] = {}


class AvailabilityTracker:
    """The minutes of one line.

    Args:
        now: when the book is opened.
        settle_s: how long after a minute its evidence may come.
        period_min: a period ends where the wall clock's minutes are a multiple of this.
        before: the book of the daemon before, None where there is none.
    """

    def __init__(
        self, now: Instant, settle_s: float, period_min: int, before: TrackerState | None = None
    ) -> None:
        self._settle_s = settle_s
        self._period_min = period_min
        self._evidence: dict[int, list[ReachabilitySample]] = {}
        self._left: dict[int, list[ReachabilitySample]] = {}
        self._path_observations: list[PathObservation] = []
        self._then = now
        # Minutes before this one, if nothing else is known of them, are unknown for that cause.
        self._gap = (0, MinuteState.EVIDENCE)
        self._begin(minute_of(now.unix_s))
        # A Pi without a clock wakes in the past: the old book may fit once the clock is set.
        self._previous = None if before is None or self._restore(before, now) else before

    def note(self, evidence: ReachabilitySample) -> None:
        """Take evidence in; what comes after its minute was decided is too late."""
        for minute in minutes_of(evidence):
            if minute >= self._next:
                self._evidence.setdefault(minute, []).append(evidence)

    def note_path(self, at_s: float, fault: FaultLocation) -> None:
        """Take in where the path was seen to break; what no outage can need is forgotten."""
        first = self._next if self._running is None else self._running.first
        kept = [
            look for look in self._path_observations if look.at_s >= first * 60 - _PATH_MARGIN_S
        ]
        self._path_observations = [*kept, PathObservation(at_s, fault)]

    def advance(self, now: Instant) -> Iterator[AvailabilityPeriod | LocatedOutage]:
        """Decide what is to be decided by now."""
        yield from self._check_clock(now)
        until = minute_of(now.unix_s - self._settle_s)
        yield from self._decide(until)

    def close(self, now: Instant) -> Iterator[AvailabilityPeriod | LocatedOutage]:
        """Decide what can be: no more evidence comes. The minute that runs is up or left open.

        What is known of an open one goes into `state`, for the next daemon to add to: a restart
        may take the rest of it. The state before a close has none: a daemon that is killed leaves
        half of the evidence, and by half a minute with an answer could be down.
        """
        yield from self._check_clock(now)
        current = minute_of(now.unix_s)
        up = minute_state(self._evidence.get(current, [])) is MinuteState.UP
        yield from self._decide(current + 1 if up else current)
        self._left = self._evidence
        yield from self._period_ended()

    def state(self) -> TrackerState:
        """The book as it is put away."""
        return TrackerState(
            boot_id=self._then.boot_id,
            next=self._next,
            first=self._first,
            counts={state: count for state, count in self._counts.items() if count},
            running=self._running,
            path_observations=list(self._path_observations),
            evidence=self._left,
        )

    def _begin(self, minute: int) -> None:
        self._next = self._first = minute
        self._counts = dict.fromkeys(MinuteState, 0)
        self._running: OpenOutage | None = None
        self._path_observations = []

    def _restore(self, before: TrackerState, now: Instant) -> bool:
        """Go on with an old book, if it can be of the time before now."""
        current = minute_of(now.unix_s)
        if not current - _FORGOTTEN_MINUTES < before.next <= current + 1:
            return False
        self._next, self._first = before.next, before.first
        self._counts |= before.counts
        self._running = before.running
        self._path_observations = list(before.path_observations)
        for minute, evidence in before.evidence.items():
            self._evidence.setdefault(minute, []).extend(evidence)
        same_boot = before.boot_id is not None and before.boot_id == now.boot_id
        self._gap = current, MinuteState.NOT_RUNNING if same_boot else MinuteState.PROBE_OFF
        return True

    def _check_clock(self, now: Instant) -> Iterator[AvailabilityPeriod | LocatedOutage]:
        """A wall clock that was set forward leaves a gap; one set back begins the book anew."""
        then, self._then = self._then, now
        step_s = (now.unix_s - then.unix_s) - (now.monotonic_s - then.monotonic_s)
        current = minute_of(now.unix_s)
        if step_s > _STEP_S:
            yield from self._set_forward(current, then, now)
        elif current + _BACK_MINUTES < self._next:
            yield from self._close_with(then)
            self._begin(current)

    def _set_forward(
        self, current: int, then: Instant, now: Instant
    ) -> Iterator[AvailabilityPeriod | LocatedOutage]:
        previous, self._previous = self._previous, None
        if previous is None and current - self._next <= _FORGOTTEN_MINUTES:
            self._gap = current, MinuteState.CLOCK
            return
        yield from self._close_with(then)
        self._begin(current)
        if previous is not None:
            self._restore(previous, now)

    def _close_with(self, then: Instant) -> Iterator[AvailabilityPeriod | LocatedOutage]:
        """End the book by a clock that was wrong; the centre may repair its times."""
        yield from self._decide(minute_of(then.unix_s))
        if self._running is not None:
            yield self._located(outages.closed(self._running, OutageEnd.UNKNOWN))
        yield from self._period_ended()
        self._evidence.clear()

    def _decide(self, until: int) -> Iterator[AvailabilityPeriod | LocatedOutage]:
        while self._next < until:
            minute = self._next
            state = self._decided(minute)
            self._next += 1
            self._counts[state] += 1
            self._running, ended = fold(self._running, minute, state)
            if ended is not None:
                yield self._located(ended)
            # A gap is told by the day: after months without power not one result an hour.
            in_gap = self._next < self._gap[0] and self._next not in self._evidence
            if self._next % (_MINUTES_A_DAY if in_gap else self._period_min) == 0:
                yield from self._period_ended()

    def _decided(self, minute: int) -> MinuteState:
        evidence = self._evidence.pop(minute, None)
        until, cause = self._gap
        if not evidence:
            return cause if minute < until else MinuteState.EVIDENCE
        return minute_state(evidence)

    def _located(self, outage: Outage) -> LocatedOutage:
        first_s, end_s = outage.first * 60 - _PATH_MARGIN_S, outage.end * 60 + _PATH_MARGIN_S
        path_observations = [
            look.fault for look in self._path_observations if first_s <= look.at_s <= end_s
        ]
        self._path_observations = [look for look in self._path_observations if look.at_s > end_s]
        return LocatedOutage(
            outage, fault_of(outage.side, path_observations), len(path_observations)
        )

    def _period_ended(self) -> Iterator[AvailabilityPeriod]:
        if self._next > self._first:
            counts = {state: count for state, count in self._counts.items() if count}
            yield AvailabilityPeriod(self._first, self._next, counts)
        self._first = self._next
        self._counts = dict.fromkeys(MinuteState, 0)
