"""Floor 2. Samples the host during a bulk test: every core's time and the under-voltage alarm.

A thread reads both every half second. The cores, because a mean over the whole test, with its waits
and handshakes and both directions, hides a core that was saturated in one of them
(docs/method.md#validity, V2). The alarm, because the kernel's driver polls the firmware every 2 s
and keeps only the last state (drivers/hwmon/raspberrypi-hwmon.c): an under-voltage early in a test
would not be seen at its end.
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
# Half an hour: the longest test of both directions, with waits for a busy server.
_KEPT = 4096


class _HostSample(NamedTuple):
    at_s: float
    cores: list[CoreTime]


class HostSampler:
    """Samples the host while its context is entered.

    Args:
        sysfs: the directory of sysfs.
    """

    def __init__(self, sysfs: Path = SYSFS) -> None:
        self._sysfs = sysfs
        self._looks: deque[_HostSample] = deque(maxlen=_KEPT)
        self._throttled: bool | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="host-watch", daemon=True)

    def __enter__(self) -> HostSampler:
        """Take the first sample and start the thread."""
        self._look()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the thread."""
        self._stopping.set()
        self._thread.join()

    @property
    def throttled(self) -> bool | None:
        """Whether any sample saw under-voltage; None where it cannot be read."""
        return self._throttled

    def busy_ratios(self, steady: SteadyInterval | None) -> list[float] | None:
        """Each core's busy ratio over the steady part of a transfer, from the samples within it.

        None where the part is unknown; empty where it was too short.
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
