"""Floor 3. The watch: every result into its line's book; what follows out as results.

Results come from any thread; the books are the main thread's, which calls `tick`. A bad minute
makes the watch want a look at the path, at most one a line in `path.every_min`.
"""

from __future__ import annotations

import queue
from collections.abc import Callable
from datetime import UTC, datetime

from msgspec import structs

from probe import clock
from probe.availability import minutes, results
from probe.availability.tracker import (
    AvailabilityPeriod,
    AvailabilityTracker,
    Instant,
    LocatedOutage,
)
from probe.config import Config, LineConfig
from probe.measure import gateway
from probe.measure.runner import Runner
from probe.schedule.admission import QueuedMeasurement
from probe.state.availability import AvailabilityFile
from probe.version import VERSION
from wire.result import (
    AvailabilityResult,
    Method,
    OutageResult,
    PathResult,
    Result,
    kind_of,
)

AVAILABILITY, OUTAGE = kind_of(AvailabilityResult), kind_of(OutageResult)
PATH = kind_of(PathResult)
# Beyond window and timeout: a result comes a moment after its packets are decided.
_GRACE_S = 10.0
_PUT_AWAY_S = 300.0


class AvailabilityMonitor:
    """The books of all lines.

    Args:
        config: the probe's configuration.
        runner: makes results of what the books tell.
        want: where looks at the path are asked for.
        take: where results go.
    """

    def __init__(
        self,
        config: Config,
        runner: Runner,
        want: Callable[[QueuedMeasurement], None],
        take: Callable[[Result], None],
    ) -> None:
        self._config = config
        # Without latency windows nothing is known of any minute, and nothing is told.
        self._lines = config.lines if config.latency.enabled else []
        self._runner = runner
        self._want = want
        self._take = take
        self._inbox: queue.SimpleQueue[Result] = queue.SimpleQueue()
        self._file = AvailabilityFile(config.state_dir)
        self._closed = False
        self._put_away_s = clock.monotonic_s()
        self._looked_s: dict[str, float] = {}
        self._hosts: dict[str, set[str]] = {line.id: set() for line in config.lines}
        before, now = self._file.read(), _now()
        latency = config.latency
        settle_s = latency.window_s + latency.timeout_s + _GRACE_S
        period_min = config.availability.report_every_min
        self._books = {
            line.id: AvailabilityTracker(now, settle_s, period_min, before.get(line.id))
            for line in self._lines
        }

    def note(self, result: Result) -> None:
        """Take a result in; from any thread."""
        self._inbox.put(result)

    def tick(self) -> None:
        """Do what is due: cheap, to be called often."""
        self._take_in()
        now = _now()
        for line in self._lines:
            for told in self._books[line.id].advance(now):
                self._tell(line, told)
        if now.monotonic_s - self._put_away_s > _PUT_AWAY_S:
            self._put_away(now)

    def close(self) -> None:
        """Tell what can be told, and put the books away; the watch is over then."""
        if self._closed:
            return
        self._closed = True
        self._take_in()
        now = _now()
        for line in self._lines:
            for told in self._books[line.id].close(now):
                self._tell(line, told)
        self._put_away(now)

    def _take_in(self) -> None:
        while True:
            try:
                result = self._inbox.get_nowait()
            except queue.Empty:
                return
            line = self._config.line(result.line.id)
            if line is not None and line.id in self._books:
                self._note(line, result)

    def _note(self, line: LineConfig, result: Result) -> None:
        book = self._books[line.id]
        for evidence in minutes.samples_of(result, gateway.of_line(line)):
            if evidence.host is not None:
                self._hosts[line.id].add(evidence.host)
            book.note(evidence)
        if isinstance(result, PathResult) and result.values is not None:
            book.looked(minutes.unix_s(result.started_at), result.values.fault)
        if minutes.is_degraded(result, self._config.path):
            self._look(line)

    def _look(self, line: LineConfig) -> None:
        now_s = clock.monotonic_s()
        last_s = self._looked_s.get(line.id)
        if last_s is None or now_s - last_s >= self._config.path.every_min * minutes.MINUTE_S:
            self._looked_s[line.id] = now_s
            self._want(QueuedMeasurement(kind=PATH, line=line, server=self._config.servers[0]))

    def _tell(self, line: LineConfig, told: AvailabilityPeriod | LocatedOutage) -> None:
        if isinstance(told, AvailabilityPeriod):
            targets = sorted(self._hosts[line.id])
            self._hosts[line.id].clear()
            values = results.availability(told, gateway.of_line(line), targets)
            self._result(AVAILABILITY, line, told.first, told.end, values)
        else:
            outage = told.outage
            self._result(OUTAGE, line, outage.first, outage.end, results.outage(told))

    def _result(
        self, kind: str, line: LineConfig, first: int, end: int, values: results.Values
    ) -> None:
        method = Method(
            "tramdo-availability",
            VERSION,
            {
                "least_targets": minutes.LEAST_TARGETS,
                "window_s": self._config.latency.window_s,
                "period_min": self._config.availability.report_every_min,
            },
        )
        began_at = datetime.fromtimestamp(first * minutes.MINUTE_S, UTC)
        duration_s = (end - first) * minutes.MINUTE_S
        ago_s = (clock.utc_now() - began_at).total_seconds()
        finding = results.raw_result(values, method, clock.monotonic_s() - ago_s, duration_s)
        result = self._runner.told(kind, line, finding)
        # The host's evidence would be of this moment, not of the period.
        result = structs.replace(result, started_at=began_at, host=None)
        if ago_s > clock.reading().boottime_s:
            # It began in another boot: this one's reading is not to repair its time by.
            unknown = structs.replace(result.clock, boot_id=None)
            result = structs.replace(result, clock=unknown)
        self._take(result)

    def _put_away(self, now: Instant) -> None:
        self._put_away_s = now.monotonic_s
        self._file.write({line_id: book.state() for line_id, book in self._books.items()})


def _now() -> Instant:
    return Instant(clock.utc_now().timestamp(), clock.monotonic_s(), clock.reading().boot_id)
