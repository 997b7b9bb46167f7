"""Floor 1. Outages: runs of minutes in which nothing beyond the gateway answered.

A run is on one side of the gateway: the line's (minutes down) or the office's own (unknown, for
the gateway did not answer either). It ends with a minute up, with a fault that moved to the other
side, or with so many minutes of which nothing is known that it cannot be said to go on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from msgspec import Struct, structs

from probe.availability.minutes import MinuteState
from wire.result import FaultLocation, OutageEnd

# A run goes on over so many minutes of which nothing is known; a bulk test takes less (ours).
BRIDGED_MINUTES = 5
_SIDES = (MinuteState.DOWN, MinuteState.OWN_LAN)
_SAW_NOTHING = (FaultLocation.NONE, FaultLocation.UNDETERMINED)


class OpenOutage(Struct, frozen=True, kw_only=True):
    """A run that has not ended; `last` is its newest bad minute."""

    side: MinuteState
    first: int
    last: int
    bad_minutes: int = 1


class Outage(Struct, frozen=True, kw_only=True):
    """A run that has ended, from `first` to before `end` (minutes)."""

    side: MinuteState
    first: int
    end: int
    bad_minutes: int
    ended_by: OutageEnd

    @property
    def unknown_minutes(self) -> int:
        """Minutes in between of which nothing was known."""
        return self.end - self.first - self.bad_minutes


def fold(
    running: OpenOutage | None, minute: int, state: MinuteState
) -> tuple[OpenOutage | None, Outage | None]:
    """What is running after a minute, and what ended with it. Minutes come in order."""
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
    """The run, ended after its last bad minute."""
    return Outage(
        side=running.side,
        first=running.first,
        end=running.last + 1,
        bad_minutes=running.bad_minutes,
        ended_by=by,
    )


def fault_of(side: MinuteState, looks: Iterable[FaultLocation]) -> FaultLocation:
    """Where the fault of an outage was, by the looks that were taken meanwhile.

    The office's own side needs none. Of several, what was seen most often; a look that saw no
    fault came too late or too early, and one that could not tell outvotes none that could.
    """
    if side is MinuteState.OWN_LAN:
        return FaultLocation.OWN_LAN
    seen = Counter(look for look in looks if look not in _SAW_NOTHING)
    return seen.most_common(1)[0][0] if seen else FaultLocation.UNDETERMINED


def _begun(side: MinuteState, minute: int) -> OpenOutage:
    return OpenOutage(side=side, first=minute, last=minute)
