"""Floor 1. Outages: runs of minutes in which nothing beyond the gateway answered.

An outage is on one side of the gateway: the line's (minutes down) or the office's own (unknown,
because the gateway did not answer either). It ends with a minute up, when the fault moves to the
other side, or after `BRIDGED_MINUTES` unknown minutes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from msgspec import Struct, structs

from probe.availability.minutes import MinuteState, ReachabilitySample
from wire.result import FaultLocation, OutageEnd

# An outage goes on over so many unknown minutes; a bulk test takes less (ours).
BRIDGED_MINUTES = 5
_SIDES = (MinuteState.DOWN, MinuteState.OWN_LAN)
_SAW_NOTHING = (FaultLocation.NONE, FaultLocation.UNDETERMINED)


class OpenOutage(Struct, frozen=True, kw_only=True):
    """An outage that goes on; `last` is its newest bad minute."""

    side: MinuteState
    first: int
    last: int
    bad_minutes: int = 1


class Outage(Struct, frozen=True, kw_only=True):
    """An outage that has ended, from `first` to before `end` (minutes)."""

    side: MinuteState
    first: int
    end: int
    bad_minutes: int
    ended_by: OutageEnd

    @property
    def unknown_minutes(self) -> int:
        """The unknown minutes within it."""
        return self.end - self.first - self.bad_minutes


def fold(
    running: OpenOutage | None, minute: int, state: MinuteState
) -> tuple[OpenOutage | None, Outage | None]:
    """The open outage after a minute, and the outage that ended with it. Minutes are in order."""
    if state in _SIDES:
        if running is None:
            return _begun(state, minute), None
        if running.side is not state:
            return _begun(state, minute), closed(running, OutageEnd.FAULT_MOVED)
        if minute - running.last - 1 > BRIDGED_MINUTES:
            return _begun(state, minute), closed(running, OutageEnd.UNKNOWN)
        return structs.replace(running, last=minute, bad_minutes=running.bad_minutes + 1), None
    if running is None:
        return None, None
    if state is MinuteState.UP:
        seen = minute == running.last + 1
        return None, closed(running, OutageEnd.UP if seen else OutageEnd.UNKNOWN)
    if minute - running.last > BRIDGED_MINUTES:
        return None, closed(running, OutageEnd.UNKNOWN)
    return running, None


def closed(running: OpenOutage, by: OutageEnd) -> Outage:
    """The outage, ended after its last bad minute."""
    return Outage(
        side=running.side,
        first=running.first,
        end=running.last + 1,
        bad_minutes=running.bad_minutes,
        ended_by=by,
    )


def observed_fault(fault: FaultLocation, samples: Iterable[ReachabilitySample]) -> FaultLocation:
    """What a path measurement says of the outage that it was made near: none where it was up.

    In an outage nothing beyond the office answers. A measurement that some target answered was made
    while the line broke or came back: to it the fault looks `beyond` whatever was broken.

    Args:
        fault: the location that it found by itself.
        samples: its own reachability samples.
    """
    answered = any(sample.answered for sample in samples if sample.host is not None)
    return FaultLocation.NONE if answered else fault


def fault_of(side: MinuteState, looks: Iterable[FaultLocation]) -> FaultLocation:
    """Where the fault of an outage was, by the path measurements made meanwhile.

    An outage on the office's own side needs none. Of several the most frequent location counts, and
    of equally frequent ones the latest. Those that found no fault, or could not locate it, are left
    out (`observed_fault`).

    Args:
        side: the outage's side of the gateway.
        looks: the locations in the order of time.
    """
    if side is MinuteState.OWN_LAN:
        return FaultLocation.OWN_LAN
    # `Counter.most_common` keeps the order of first occurrence among equals.
    seen = Counter(look for look in reversed(list(looks)) if look not in _SAW_NOTHING)
    return seen.most_common(1)[0][0] if seen else FaultLocation.UNDETERMINED


def _begun(side: MinuteState, minute: int) -> OpenOutage:
    return OpenOutage(side=side, first=minute, last=minute)
