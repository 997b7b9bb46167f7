"""Floor 1. Holds results back after a boot until the clock is synchronised, for a limited time.

NTP needs the same network as delivery, and some seconds. So after a boot results wait in the outbox
and nearly always leave with a synchronised clock. Where NTP is blocked they leave after `wait_s`
with an unknown clock, and the centre estimates their times.

Also keeps which boots' times are known, for the clock note of results of an unsynchronised clock.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from wire.clock_repair import MAX_KNOWN_BOOTS, UNSYNCHRONISED, ClockNote, KnownBoot
from wire.record import Clock


class ClockHold:
    """Decides whether results are held. Not thread-safe: the publisher's thread owns it.

    Args:
        wait_s: how long after a boot results may be held.
        known: boots whose time is known already, oldest first.
    """

    def __init__(self, wait_s: float, known: Sequence[KnownBoot] = ()) -> None:
        self._wait_s = wait_s
        self._released = False
        self.known = tuple(known)

    def is_holding(self, reading: Clock) -> bool:
        """Whether results are held now; once released, they are never held again."""
        # None: this system cannot report synchronisation, so there is nothing to wait for.
        waiting = reading.synchronised is False and reading.boottime_s < self._wait_s
        self._released = self._released or not waiting
        return not self._released

    def learn(self, reading: Clock, at: datetime) -> bool:
        """Record a reading; True where a boot became known, which is then to be stored."""
        if reading.synchronised is not True or reading.boot_id is None:
            return False
        if any(one.boot_id == reading.boot_id for one in self.known):
            return False
        boot = KnownBoot(reading.boot_id, reading.boottime_s, at)
        self.known = (*self.known, boot)[-MAX_KNOWN_BOOTS:]
        return True

    def clock_note(
        self, bodies: Sequence[bytes], read_clock: Callable[[], Clock]
    ) -> ClockNote | None:
        """The clock note of an envelope; None where all of its results had a synchronised clock."""
        if UNSYNCHRONISED in b"\n".join(bodies):
            return ClockNote(sending=read_clock(), known=list(self.known))
        return None
