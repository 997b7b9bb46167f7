"""Floor 3. The availability monitor: feeds each result to its line's tracker and emits results.

Results come from any thread; the trackers belong to the main thread, which calls `tick`. A degraded
window requests a path measurement, at most one a line in `path.every_min`; and once more in that
time when a window without any answer follows one that had some.
"""

from __future__ import annotations

import queue
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from msgspec import structs

from probe import clock
from probe.availability import minutes, outages, results
from probe.availability.tracker import (
    AvailabilityPeriod,
    AvailabilityTracker,
    Instant,
    LocatedOutage,
    TrackerState,
)
from probe.config import Config, LineConfig
from probe.measure import gateway, line_networks
from probe.measure.measurement import RawResult
from probe.schedule.admission import QueuedMeasurement
from probe.state.json_file import JsonFile
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
# Added to window and timeout: a result arrives a moment after its packets are decided.
_GRACE_S = 10.0
_SAVE_EVERY_S = 300.0


def state_file(state_dir: str) -> JsonFile[dict[str, TrackerState]]:
    """The trackers' states by line id.

    Written now and then and when the daemon ends, without fsync; minutes that a power cut loses
    are reported as unknown.
    """
    return JsonFile(Path(state_dir) / "availability.json", dict[str, TrackerState])


class _PathRequest(NamedTuple):
    """The last request for a path measurement of a line, and whether nothing answered then."""

    at_s: float
    silent: bool


class AvailabilityMonitor:
    """The trackers of all lines.

    Args:
        config: the probe's configuration.
        derive: makes the result of a period or an outage, of a kind on a line.
        request: takes requests for path measurements.
        on_result: takes results.
    """

    def __init__(
        self,
        config: Config,
        derive: Callable[[str, LineConfig, RawResult], Result],
        request: Callable[[QueuedMeasurement], None],
        on_result: Callable[[Result], None],
    ) -> None:
        self._config = config
        # Without latency windows no minute has samples, so nothing is reported.
        self._lines = config.lines if config.latency.enabled else []
        self._derive = derive
        self._request = request
        self._on_result = on_result
        self._inbox: queue.SimpleQueue[Result] = queue.SimpleQueue()
        self._file = state_file(config.state_dir)
        self._closed = False
        self._saved_at_s = clock.monotonic_s()
        self._path_requests: dict[str, _PathRequest] = {}
        self._hosts: dict[str, set[str]] = {line.id: set() for line in config.lines}
        before, now = self._file.load({}), _now()
        latency = config.latency
        settle_s = latency.window_s + latency.timeout_s + _GRACE_S
        period_min = config.availability.report_every_min
        self._trackers = {
            line.id: AvailabilityTracker(now, settle_s, period_min, before.get(line.id))
            for line in self._lines
        }

    def note(self, result: Result) -> None:
        """Add a result; from any thread."""
        self._inbox.put(result)

    def tick(self) -> None:
        """Process new results and emit what is due; cheap, to be called often."""
        self._drain_inbox()
        now = _now()
        for line in self._lines:
            for derived in self._trackers[line.id].advance(now):
                self._emit(line, derived)
        if now.monotonic_s - self._saved_at_s > _SAVE_EVERY_S:
            self._save(now)

    def close(self) -> None:
        """Emit what can be decided and store the trackers' states."""
        if self._closed:
            return
        self._closed = True
        self._drain_inbox()
        now = _now()
        for line in self._lines:
            for derived in self._trackers[line.id].close(now):
                self._emit(line, derived)
        self._save(now)

    def _drain_inbox(self) -> None:
        while True:
            try:
                result = self._inbox.get_nowait()
            except queue.Empty:
                return
            line = self._config.line(result.line.id)
            if line is not None and line.id in self._trackers:
                self._note(line, result)

    def _note(self, line: LineConfig, result: Result) -> None:
        tracker, own = self._trackers[line.id], line_networks.of_line(line)
        samples = list(minutes.samples_of(result, own))
        for evidence in samples:
            if evidence.host is not None:
                self._hosts[line.id].add(evidence.host)
            tracker.note(evidence)
        if isinstance(result, PathResult) and result.values is not None:
            fault = outages.observed_fault(result.values.fault, samples)
            tracker.note_path(minutes.unix_s(result.started_at), fault)
        within = minutes.is_within_office(result, own)
        if minutes.is_degraded(result, self._config.path) and not within:
            self._request_path(line, silent=minutes.is_silent(result))

    def _request_path(self, line: LineConfig, *, silent: bool) -> None:
        now_s = clock.monotonic_s()
        last = self._path_requests.get(line.id)
        if last is None or now_s - last.at_s >= self._config.path.every_min * minutes.MINUTE_S:
            self._path_requests[line.id] = _PathRequest(now_s, silent)
        elif silent and not last.silent:
            # A fault that has got worse since is another one; its second look opens no new period.
            self._path_requests[line.id] = _PathRequest(last.at_s, silent)
        else:
            return
        self._request(QueuedMeasurement(kind=PATH, line=line, server=self._config.servers[0]))

    def _emit(self, line: LineConfig, derived: AvailabilityPeriod | LocatedOutage) -> None:
        if isinstance(derived, AvailabilityPeriod):
            targets = sorted(self._hosts[line.id])
            self._hosts[line.id].clear()
            values = results.availability(derived, gateway.of_line(line), targets)
            self._result(AVAILABILITY, line, derived.first, derived.end, values)
        else:
            outage = derived.outage
            self._result(OUTAGE, line, outage.first, outage.end, results.outage(derived))

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
        raw = results.raw_result(values, method, clock.monotonic_s() - ago_s, duration_s)
        result = self._derive(kind, line, raw)
        # Host evidence would be of this moment, not of the period.
        result = structs.replace(result, started_at=began_at, host=None)
        if ago_s > clock.reading().boottime_s:
            # It began in another boot, so this boot's reading must not repair its time.
            unknown = structs.replace(result.clock, boot_id=None)
            result = structs.replace(result, clock=unknown)
        self._on_result(result)

    def _save(self, now: Instant) -> None:
        self._saved_at_s = now.monotonic_s
        self._file.save({line_id: tracker.state() for line_id, tracker in self._trackers.items()})


def _now() -> Instant:
    return Instant(clock.utc_now().timestamp(), clock.monotonic_s(), clock.reading().boot_id)
