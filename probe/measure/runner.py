"""Floor 3. The runner: runs a measurement and always makes Results of it.

Owns what all measurements share: the lock that lets one bulk test run at a time on a host, clocks
and durations, host evidence and validity. An exception that leaves a measurement is a bug; it is
logged and becomes a failed result.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from datetime import datetime
from types import MappingProxyType

from msgspec import structs

from probe import events
from probe.clock import HOST_CLOCKS, Clocks
from probe.config import Config, LineConfig, ServerConfig
from probe.measure import host
from probe.measure.host_limits import validity_from
from probe.measure.host_sampler import HostSampler
from probe.measure.kinds import MEASURES, MeasureKind
from probe.measure.measurement import MeasurementRequest, RawResult, Stop, failed_result
from probe.version import VERSION
from wire.messages import Ceiling
from wire.result import (
    KINDS,
    Clock,
    Family,
    Host,
    LineOperator,
    Outcome,
    Reason,
    Result,
    Validity,
)

log = logging.getLogger(__name__)
# NTP slews below this; a larger difference between wall and monotonic time is a step.
STEP_S = 0.5
# RawResults of one window come within this; they share their host evidence.
_TOGETHER_S = 1.0


class _MeasurementSpan:
    """Times and host evidence from a measurement's start to each of its results."""

    def __init__(
        self,
        line: LineConfig,
        ceiling: Ceiling | None,
        clocks: Clocks,
        watch: HostSampler | None = None,
        family: Family | None = None,
    ) -> None:
        self._line = line
        self._family = family
        self._watch = watch
        self._ceiling = ceiling
        self._interface = line.interface or host.interface_of(line.source_address)
        self._clocks = clocks
        self._began_s = clocks.monotonic_s()
        self._offset_s = clocks.offset_s()
        self._stepped = False
        self._before = host.snapshot(self._interface)
        self._evidence: tuple[float, Host] | None = None

    def family(self, raw: RawResult) -> Family | None:
        """The address family that was measured: the result's own, else what was asked for."""
        return raw.family or self._family

    def times(self, raw: RawResult) -> tuple[float, float]:
        """When the measurement began (monotonic) and its duration, in seconds."""
        if raw.began_s is not None and raw.duration_s is not None:
            return raw.began_s, raw.duration_s
        return self._began_s, self._clocks.monotonic_s() - self._began_s

    def evidence(self, raw: RawResult) -> Host:
        """The host evidence since the last one; results that come together share it."""
        now_s = self._clocks.monotonic_s()
        if self._evidence is None or now_s - self._evidence[0] > _TOGETHER_S:
            after = host.snapshot(self._interface)
            found = host.evidence(self._before, after)
            if self._ceiling is not None:
                found = structs.replace(
                    found,
                    ceiling_download_bps=self._ceiling.download_bps,
                    ceiling_upload_bps=self._ceiling.upload_bps,
                )
            if self._watch is not None:
                watched = self._watch.throttled
                found = structs.replace(
                    found,
                    throttled=found.throttled if watched is None else watched or found.throttled,
                    cpu_download_per_core_ratio=self._watch.busy_ratios(raw.steady_download),
                    cpu_upload_per_core_ratio=self._watch.busy_ratios(raw.steady_upload),
                )
            self._evidence = now_s, found
            self._before = after
            # A step flags the measurement that it fell into, and no later one.
            was, self._offset_s = self._offset_s, self._clocks.offset_s()
            self._stepped = abs(self._offset_s - was) > STEP_S
        return self._evidence[1]

    def validity(self, raw: RawResult, evidence: Host, reading: Clock) -> list[Validity]:
        """The measurement's own flags with those of clock and host."""
        flags = {*raw.validity, *validity_from(evidence, self._line, raw.values)}
        if reading.synchronised is False:
            flags.add(Validity.CLOCK_UNSYNCED)
        if self._stepped:
            flags.add(Validity.CLOCK_STEPPED)
        return sorted(flags)


class Runner:
    """Runs measurements one request at a time in each calling thread.

    Args:
        config: the probe's configuration.
        emit: takes events for the display.
        ceilings: the host's ceilings by line, for the evidence of bulk tests.
        clocks: those that time stamps, durations and flags are taken from.
        measures: the kinds that can be measured, by name.
        operator_of: returns who carries a line over a family, for every result.
    """

    def __init__(
        self,
        config: Config,
        emit: Callable[[events.Event], None],
        ceilings: Mapping[str, Ceiling] = MappingProxyType({}),
        clocks: Clocks = HOST_CLOCKS,
        measures: Mapping[str, MeasureKind] = MappingProxyType(MEASURES),
        operator_of: Callable[[str, Family | None], LineOperator | None] = lambda *_: None,
    ) -> None:
        self._config = config
        self._emit = emit
        self._ceilings = ceilings
        self._clocks = clocks
        self._measures = measures
        self._operator_of = operator_of
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
        family: Family | None = None,
        patience_s: float | None = None,
    ) -> Iterator[Result]:
        """Measure a kind on a line; yields each result as soon as it is available.

        Args:
            kind: a name in `wire.result.KINDS`.
            line: the line to measure.
            server: the measurement server to measure against.
            stop: ends the measurement early when set.
            slot_at: its planned time, None for an on-demand measurement.
            continuous: run until `stop`, for kinds that support it.
            family: the address family to measure over, None for any that the line has.
            patience_s: the longest wait for a busy server; None: as configured.
        """
        measure = self._measures[kind]
        request = MeasurementRequest(
            line=line,
            server=server,
            config=self._config,
            stop=stop,
            progress=lambda progress: self._emit(
                events.MeasurementProgressed(line.id, kind, progress)
            ),
            slot_at=slot_at,
            family=family,
            patience_s=patience_s,
        )
        run = measure.continuous if continuous and measure.continuous else measure.once
        guard = self._bulk if measure.bulk else threading.Lock()
        with guard:
            if measure.bulk:
                self._emit(events.MeasurementStarted(line.id, kind))
            try:
                yield from self._results(kind, request, run(request))
            finally:
                if measure.bulk:
                    self._emit(events.MeasurementEnded(line.id, kind))

    def skipped(
        self,
        kind: str,
        line: LineConfig,
        reason: Reason,
        detail: str,
        slot_at: datetime,
        family: Family | None = None,
    ) -> Result:
        """The skipped result of a planned measurement."""
        raw = RawResult(outcome=Outcome.SKIPPED, reason=reason, detail=detail, family=family)
        return self._result(kind, line, raw, self._span(kind, line), slot_at)

    def _span(
        self,
        kind: str,
        line: LineConfig,
        watch: HostSampler | None = None,
        family: Family | None = None,
    ) -> _MeasurementSpan:
        ceiling = self._ceilings.get(line.id) if self._measures[kind].bulk else None
        return _MeasurementSpan(line, ceiling, self._clocks, watch, family)

    def derived(self, kind: str, line: LineConfig, raw: RawResult) -> Result:
        """A result that is derived from others, without a measurement of its own."""
        span = _MeasurementSpan(line, None, self._clocks)
        return self._result(kind, line, raw, span, None)

    def _results(
        self, kind: str, request: MeasurementRequest, findings: Iterator[RawResult]
    ) -> Iterator[Result]:
        line, slot_at = request.line, request.slot_at
        watch = HostSampler() if self._measures[kind].bulk else None
        with watch or nullcontext():
            span = self._span(kind, line, watch, request.family)
            try:
                for raw in findings:
                    yield self._result(kind, line, raw, span, slot_at)
            except Exception as error:
                log.exception("internal error while measuring %s on %s", kind, line.id)
                detail = f"the probe itself failed: {type(error).__name__}: {error}"
                yield self._result(
                    kind, line, failed_result(Reason.TOOL_FAILED, detail), span, slot_at
                )

    def _result(
        self,
        kind: str,
        line: LineConfig,
        raw: RawResult,
        span: _MeasurementSpan,
        slot_at: datetime | None,
    ) -> Result:
        began_s, duration_s = span.times(raw)
        evidence = span.evidence(raw)
        # Read together with the wall clock for `started_at`.
        reading = self._clocks.reading(began_s)
        return KINDS[kind](
            outcome=raw.outcome,
            reason=raw.reason,
            detail=raw.detail,
            validity=span.validity(raw, evidence, reading),
            line=line.identity,
            family=span.family(raw),
            operator=self._operator_of(line.id, span.family(raw)),
            target=raw.target,
            slot_at=slot_at,
            started_at=self._clocks.utc_at(began_s),
            duration_s=duration_s,
            clock=reading,
            host=evidence,
            method=raw.method,
            probe_version=VERSION,
            values=raw.values,
        )
