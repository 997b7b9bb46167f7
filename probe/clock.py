"""Floor 2. The clocks: wall time for time stamps, monotonic time for every duration.

The only file of the probe that reads a clock. Whether the wall clock is synchronised is read from
the kernel (`runtime.kernel_time`).
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from msgspec import Struct

from runtime import kernel_time
from wire.record import Clock


def utc_now() -> datetime:
    """Wall-clock time, aware, UTC."""
    return datetime.now(UTC)


def monotonic_s() -> float:
    """Monotonic time in seconds; only differences have a meaning."""
    return time.monotonic()


def boottime_s() -> float:
    """Seconds since the boot, those in suspend included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def synchronised() -> bool | None:
    """Whether the kernel reports a synchronised clock; None where it cannot be asked."""
    return kernel_time.synchronised()


@functools.cache
def _boot_id() -> str | None:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return None


class Clocks(Struct, frozen=True, kw_only=True):
    """A host's clocks: those of this one, unless others are given."""

    utc_now: Callable[[], datetime] = utc_now
    monotonic_s: Callable[[], float] = monotonic_s
    boottime_s: Callable[[], float] = boottime_s
    synchronised: Callable[[], bool | None] = synchronised

    def offset_s(self) -> float:
        """Wall less monotonic time, in seconds; it changes by a step of the wall clock alone."""
        return self.utc_now().timestamp() - self.monotonic_s()

    def utc_at(self, at_s: float) -> datetime:
        """The wall-clock time (UTC) of a monotonic time, by the present wall clock."""
        return self.utc_now() - timedelta(seconds=self.monotonic_s() - at_s)

    def reading(self, at_s: float | None = None) -> Clock:
        """Whether the clock is synchronised, with the boot id and boot time to repair it by later.

        Args:
            at_s: the monotonic time that the boot time is for; now where it is None.
        """
        since_boot_s = self.boottime_s()
        if at_s is not None:
            since_boot_s -= self.monotonic_s() - at_s
        return Clock(
            synchronised=self.synchronised(),
            boot_id=_boot_id(),
            boottime_s=round(max(since_boot_s, 0.0), 6),
        )


HOST_CLOCKS = Clocks()
utc_at = HOST_CLOCKS.utc_at
reading = HOST_CLOCKS.reading
