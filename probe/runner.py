"""Floor 3. The runner: from "measure this now" to Results, and always to Results.

Owns what every measurement shares: the lock that lets one bulk test run at a time on a host, wall
clock and durations, host evidence, validity, and the last defence: an exception that leaves a
measurement is a bug of ours, is logged as one, and still becomes a failed result.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from importlib.metadata import version

from probe import clock, events
from probe.config import Config, LineConfig, ServerConfig
from probe.measure import host
from probe.measure.kinds import MEASURES
from probe.measure.measurement import Finding, Progress, Request, Stop, failed
from wire.result import KINDS, Clock, Outcome, Reason, Result, Validity

log = logging.getLogger(__name__)
VERSION = version("tramdo")
# NTP slews below this; a larger difference between wall and monotonic time is a step.
STEP_S = 0.5


class Runner:
    """Runs measurements one request at a time in each calling thread.

    Args:
        config: the probe's configuration.
        emit: where events for the display go.
    """

    def __init__(self, config: Config, emit: Callable[[events.Event], None]) -> None:
        self._config = config
        self._emit = emit
        self._bulk = threading.Lock()

    def run(
        self,
        kind: str,
        line: LineConfig,
        server: ServerConfig,
        stop: Stop,
        *,
        slot_at: datetime | None = None,
        continuous: bool = False,
    ) -> Iterator[Result]:
        """Measure a kind on a line; yields each result as soon as it is there.

        Args:
            kind: a name in `wire.result.KINDS`.
            line: the line to measure.
            server: the measurement server to measure against.
            stop: ends the measurement early when set.
            slot_at: when it was planned for, None where nobody planned it.
            continuous: go on until `stop`, for kinds that can.
        """
        measure = MEASURES[kind]
        request = Request(
            line=line,
            server=server,
            config=self._config,
            stop=stop,
            progress=lambda progress: self._emit(events.Progressed(line.id, kind, progress)),
        )
        run = measure.continuous if continuous and measure.continuous else measure.once
        guard = self._bulk if measure.bulk else threading.Lock()
        with guard:
            if measure.bulk:
                self._emit(events.Started(line.id, kind))
            try:
                yield from self._results(kind, line, run(request), slot_at)
            finally:
                if measure.bulk:
                    self._emit(events.Ended(line.id, kind))

    def skipped(
        self, kind: str, line: LineConfig, reason: Reason, detail: str, slot_at: datetime
    ) -> Result:
        """A planned measurement that was not made, and why."""
        finding = Finding(outcome=Outcome.SKIPPED, reason=reason, detail=detail)
        return self._result(kind, line, finding, _Span(), slot_at)
