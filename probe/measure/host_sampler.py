"""Floor 2. Watches the host while a bulk test runs: every core's time, and the supply's alarm.

Both are read by a thread every half second. The cores, because a mean over the whole test, with its
waits, its handshakes and the direction that was easy, hides a core that had no more to give in the
other (METHOD, Throughput: `probe_limited`). The alarm, because the kernel's driver asks the
firmware every 2 s and forgets what it was told before (drivers/hwmon/raspberrypi-hwmon.c): a supply
that gave in early in a test would not be seen at its end.
"""

from __future__ import annotations

import threading
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from probe import clock
from probe.measure import host
from probe.measure.host import SYSFS, CoreTime
from probe.measure.measurement import SteadyInterval

_EVERY_S = 0.5
# Half an hour of it: the longest test of both directions, and much waiting for a busy server.
_KEPT = 4096


class _HostSample(NamedTuple):
    at_s: float
    cores: list[CoreTime]


class HostSampler:
    """Looks at the host as long as it is entered.

    Args:
        sysfs: where the alarms are.
    """

    def __init__(self, sysfs: Path = SYSFS) -> None:
        self._sysfs = sysfs
        self._looks: deque[_HostSample] = deque(maxlen=_KEPT)
        self._throttled: bool | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="host-watch", daemon=True)

    def __enter__(self) -> HostSampler:
        """Look once, and again and again."""
        self._look()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Look no more."""
        self._stopping.set()
        self._thread.join()

    @property
    def throttled(self) -> bool | None:
        """Whether the supply was too low at any look so far; None where it cannot be read."""
        return self._throttled

    def busy_ratios(self, steady: SteadyInterval | None) -> list[float] | None:
        """How busy each core was over the steady part of a transfer, by the looks within it.

        None where the part is not known; empty where it was too short to tell.
        """
        if steady is None:
            return None
        within = [look for look in list(self._looks) if steady.from_s <= look.at_s <= steady.to_s]
        return host.busy_ratios(within[0].cores, within[-1].cores) if within else []

    def _run(self) -> None:
        while not self._stopping.wait(_EVERY_S):
            self._look()

    def _look(self) -> None:
        self._looks.append(_HostSample(clock.monotonic_s(), host.core_times()))
        seen = host.throttled(self._sysfs)
        if seen is not None:
            self._throttled = bool(self._throttled) or seen
