"""Floor 2. The clocks: wall time for what people read, monotonic time for every duration.

The only file of the probe that reads a clock. Whether the wall clock is synchronised is asked of
the kernel (`runtime.kernel_time`).
"""

from __future__ import annotations

import functools
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from runtime import kernel_time
from wire.result import Clock


def utc_now() -> datetime:
    """Wall-clock time, aware, UTC."""
    return datetime.now(UTC)


def monotonic_s() -> float:
    """Monotonic time in seconds; only differences mean something."""
    return time.monotonic()


def utc_at(at_s: float) -> datetime:
    """The wall-clock time of a monotonic time, by the wall clock as it is now."""
    return utc_now() - timedelta(seconds=monotonic_s() - at_s)


def reading(at_s: float | None = None) -> Clock:
    """What the clock is worth now, with what it takes to repair its times later.

    Args:
        at_s: the monotonic time whose boottime is wanted; now where it is not given.
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
    """Whether the kernel says that the wall clock is disciplined; None where it cannot be asked."""
    return kernel_time.synchronised()


@functools.cache
def _boot_id() -> str | None:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return None
