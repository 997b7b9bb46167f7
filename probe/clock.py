"""Floor 2. The clocks: wall time for time stamps, monotonic time for every duration.

The only file of the probe that reads a clock. Whether the wall clock is synchronised is read from
the kernel (`runtime.kernel_time`).
"""

from __future__ import annotations

import functools
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from runtime import kernel_time
from wire.record import Clock


def utc_now() -> datetime:
    """Wall-clock time, aware, UTC."""
    return datetime.now(UTC)


def monotonic_s() -> float:
    """Monotonic time in seconds; only differences have a meaning."""
    return time.monotonic()


def utc_at(at_s: float) -> datetime:
    """The wall-clock time (UTC) of a monotonic time, by the present wall clock."""
    return utc_now() - timedelta(seconds=monotonic_s() - at_s)


def reading(at_s: float | None = None) -> Clock:
    """Whether the clock is synchronised, with the boot id and boot time to repair it by later.

    Args:
        at_s: the monotonic time that the boot time is for; now where it is None.
    """
    boottime_s = time.clock_gettime(time.CLOCK_BOOTTIME)
    if at_s is not None:
        boottime_s -= monotonic_s() - at_s
    return Clock(
        synchronised=synchronised(),
        boot_id=_boot_id(),
        boottime_s=round(max(boottime_s, 0.0), 6),
    )


def synchronised() -> bool | None:
    """Whether the kernel reports a synchronised clock; None where it cannot be asked."""
    return kernel_time.synchronised()


@functools.cache
def _boot_id() -> str | None:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return None
