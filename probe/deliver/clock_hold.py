"""Floor 1. Whether results wait: after a boot, until the clock is known, and no longer than so.

NTP needs the same network that delivery needs, and seconds. So after a boot results wait a little
(in the outbox, numbered and safe), and nearly always leave with a known clock. Where NTP never
comes (an office that blocks it), they leave marked, and the centre's own clock must do.

Also here: which boots are known, for the note that goes with results of an unknown clock.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from wire.clock_repair import MAX_KNOWN_BOOTS, UNSYNCHRONISED, ClockNote, KnownBoot
from wire.record import Clock


class ClockHold:
    """Not thread-safe: the courier's thread owns it.

    Args:
        wait_s: how long after a boot results may wait.
        known: boots whose time was known before, oldest first.
    """

    def __init__(self, wait_s: float, known: Sequence[KnownBoot] = ()) -> None:
        self._wait_s = wait_s
        self._released = False
        self.known = tuple(known)

    def is_holding(self, reading: Clock) -> bool:
        """Whether nothing may leave now. Once released, for good."""
        # None: this system cannot say, so there is nothing to wait for.
        waiting = reading.synchronised is False and reading.boottime_s < self._wait_s
        self._released = self._released or not waiting
        return not self._released

    def learn(self, reading: Clock, at: datetime) -> bool:
        """Take note of a reading; True where a boot became known that was not, to be kept."""
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
        """What goes with an envelope; None where every result in it had a known clock."""
        if any(UNSYNCHRONISED in body for body in bodies):
            return ClockNote(sending=read_clock(), known=list(self.known))
        return None
