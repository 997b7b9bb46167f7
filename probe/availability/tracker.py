"""Floor 1. The availability tracker of a line: reachability samples in, periods and outages out.

Every minute is decided once, in order, after the time in which its samples may arrive; so the
counts of all periods add up to the minutes from the first to the last, whatever comes late, twice
or never. The caller passes times and boot ids. `TrackerState` is stored and restored by the next
daemon, which counts the minutes in between as unknown.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from probe.availability import outages
from probe.availability.minutes import (
    MinuteState,
    ReachabilitySample,
    is_family_down,
    minute_of,
    minute_state,
    minutes_of,
)
from probe.availability.outages import OpenOutage, Outage, fault_of, fold
from wire.result import Family, FaultLocation, OutageEnd

# NTP slews below this; a larger difference between wall and monotonic time is a step.
_STEP_S = 30.0
# A clock that goes back further than this was corrected, and the tracker starts anew.
_BACK_MINUTES = 2
# A stored state older than this is not restored: its clock may have been wrong.
_FORGOTTEN_MINUTES = 400 * 1440
_MINUTES_A_DAY = 1440
# A path measurement belongs to an outage that begins so much later or ended so much before.
_PATH_MARGIN_S = 120.0


class Instant(Struct, frozen=True):
    """A moment by both clocks, and its boot."""

    unix_s: float
    monotonic_s: float
    boot_id: str | None


class AvailabilityPeriod(Struct, frozen=True):
    """The decided minutes from `first` to before `end`, counted by state.

    `family_down`: those in which one family was down; a family of which nothing is known is absent.
    """

    first: int
    end: int
    counts: dict[MinuteState, int]
    family_down: dict[Family, int] = {}


class LocatedOutage(Struct, frozen=True):
    """An ended outage, its fault location, and how many path measurements located it."""

    outage: Outage
    fault: FaultLocation
    path_observations: int


class PathObservation(Struct, frozen=True):
    """A fault location by a path measurement, and its Unix time."""

    at_s: float
    fault: FaultLocation


class TrackerState(Struct, frozen=True, kw_only=True, rename={"path_observations": "looks"}):
    """The stored state: the next minute to decide, the period's counts, the open outage.

    `evidence`: the samples of minutes that were open when the daemon ended, by minute.
    """

    boot_id: str | None
    next: int
    first: int
    counts: dict[MinuteState, int]
    running: OpenOutage | None
    path_observations: list[PathObservation]
    evidence: dict[int, list[ReachabilitySample]] = {}
    family_down: dict[Family, int] = {}


class AvailabilityTracker:
    """Tracks the minutes of one line.

    Args:
        now: the present moment.
        settle_s: how long after a minute its samples may arrive.
        period_min: a period ends where the wall clock's minutes are a multiple of this.
        before: the state that the previous daemon stored, None where there is none.
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
        # Minutes before this one without samples are unknown for that cause.
        self._gap = (0, MinuteState.EVIDENCE)
        self._begin(minute_of(now.unix_s))
        # A Pi without a clock battery boots in the past: the state may fit once the clock is set.
        self._previous = None if before is None or self._restore(before, now) else before

    def note(self, evidence: ReachabilitySample) -> None:
        """Add a sample; it is ignored where its minute is decided already."""
        for minute in minutes_of(evidence):
            if minute >= self._next:
                self._evidence.setdefault(minute, []).append(evidence)

    def note_path(self, at_s: float, fault: FaultLocation) -> None:
        """Add a fault location; those that no outage can need are dropped."""
        first = self._next if self._running is None else self._running.first
        kept = [
            look for look in self._path_observations if look.at_s >= first * 60 - _PATH_MARGIN_S
        ]
        self._path_observations = [*kept, PathObservation(at_s, fault)]

    def advance(self, now: Instant) -> Iterator[AvailabilityPeriod | LocatedOutage]:
        """Decide the minutes that are due; yields periods and outages that ended."""
        yield from self._check_clock(now)
        until = minute_of(now.unix_s - self._settle_s)
        yield from self._decide(until)

    def close(self, now: Instant) -> Iterator[AvailabilityPeriod | LocatedOutage]:
        """Decide what can be decided at the end; the present minute is up or left open.

        The samples of an open minute go into `state` for the next daemon to add to. A state that
        was stored before `close` has none: with only half of its samples an answered minute could
        be taken for a down one.
        """
        yield from self._check_clock(now)
        current = minute_of(now.unix_s)
        up = minute_state(self._evidence.get(current, [])) is MinuteState.UP
        yield from self._decide(current + 1 if up else current)
        self._left = self._evidence
        yield from self._period_ended()

    def state(self) -> TrackerState:
        """The state to store."""
        return TrackerState(
            boot_id=self._then.boot_id,
            next=self._next,
            first=self._first,
            counts={state: count for state, count in self._counts.items() if count},
            running=self._running,
            path_observations=list(self._path_observations),
            evidence=self._left,
            family_down=dict(self._family_down),
        )

    def _begin(self, minute: int) -> None:
        self._next = self._first = minute
        self._counts = dict.fromkeys(MinuteState, 0)
        self._family_down: dict[Family, int] = {}
        self._running: OpenOutage | None = None
        self._path_observations = []

    def _restore(self, before: TrackerState, now: Instant) -> bool:
        """Restore a stored state where its time fits; returns whether it was restored."""
        current = minute_of(now.unix_s)
        if not current - _FORGOTTEN_MINUTES < before.next <= current + 1:
            return False
        self._next, self._first = before.next, before.first
        self._counts |= before.counts
        self._family_down = dict(before.family_down)
        self._running = before.running
        self._path_observations = list(before.path_observations)
        for minute, evidence in before.evidence.items():
            self._evidence.setdefault(minute, []).extend(evidence)
        same_boot = before.boot_id is not None and before.boot_id == now.boot_id
        self._gap = current, MinuteState.NOT_RUNNING if same_boot else MinuteState.PROBE_OFF
        return True

    def _check_clock(self, now: Instant) -> Iterator[AvailabilityPeriod | LocatedOutage]:
        """Handle clock steps: a step forward leaves a gap, a step back starts anew."""
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
        """End the period of a wrong clock; the centre may repair its times."""
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
            # A gap is reported by the day, not by the hour: it may be months without power.
            in_gap = self._next < self._gap[0] and self._next not in self._evidence
            if self._next % (_MINUTES_A_DAY if in_gap else self._period_min) == 0:
                yield from self._period_ended()

    def _decided(self, minute: int) -> MinuteState:
        evidence = self._evidence.pop(minute, None)
        until, cause = self._gap
        if not evidence:
            return cause if minute < until else MinuteState.EVIDENCE
        for family in Family:
            down = is_family_down(evidence, family)
            if down is not None:
                self._family_down[family] = self._family_down.get(family, 0) + down
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
            yield AvailabilityPeriod(self._first, self._next, counts, self._family_down)
        self._first = self._next
        self._counts = dict.fromkeys(MinuteState, 0)
        self._family_down = {}
