"""Floor 2. Kind `throughput`: download, then upload, against one server's iperf3 ports.

Connects the rules (`method`), the child process (`iperf3_process`) and its report. A port serves
one test at a time and refuses others, so the server's other ports are tried at once, and all of
them again with back-off.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from probe import clock
from probe.measure import host
from probe.measure.latency.loaded import LoadedSession
from probe.measure.measurement import (
    Direction,
    MeasurementRequest,
    Progress,
    RawResult,
    SteadyInterval,
)
from probe.measure.throughput import iperf3_process, iperf3_report
from probe.measure.throughput.iperf3_report import Iperf3Sample
from probe.measure.throughput.method import (
    RELISTEN_WAITS_S,
    DirectionResult,
    Iperf3Result,
    Iperf3Spec,
    busy_backoff_s,
    raw_result,
    spec_for,
    upload_ports,
)
from wire.record import Reason


def measure(request: MeasurementRequest) -> Iterator[RawResult]:
    """Measure both directions of a line; yields one RawResult.

    The upload is tried whatever became of the download, unless the probe is to stop.
    """
    settings = request.config.throughput
    starve = host.transmit_queues_starve(_interface(request))
    waits = busy_backoff_s(settings, random.random, request.patience_s)
    download = _transfer(Direction.DOWNLOAD, request, request.server.iperf3_ports, waits)
    upload = None
    if download.reading.reason is not Reason.SHUTTING_DOWN:
        ports = upload_ports(request.server.iperf3_ports, download)
        served = download.spec.port if download.reading.transfer is not None else None
        upload = _transfer(Direction.UPLOAD, request, ports, waits, served)
    yield raw_result(request.server, settings, download, upload, queues_starve=starve)


def _transfer(
    direction: Direction,
    request: MeasurementRequest,
    ports: list[int],
    waits: Iterator[float],
    served: int | None = None,
) -> DirectionResult:
    """Test one direction on the first free port; both directions share the waits.

    `served` is the port that has just served the other direction, where one has.
    """
    settings = request.config.throughput
    while True:
        busy = None
        for port in ports:
            spec = spec_for(
                direction,
                request.line,
                request.server,
                port,
                settings,
                queues_starve=host.transmit_queues_starve(_interface(request)),
            )
            trial = _test(spec, request)
            if port == served:
                trial = _again_while_refused(trial, request)
            if trial.reading.reason not in (Reason.SERVER_BUSY, Reason.CONNECTION_REFUSED):
                return trial
            busy = trial if trial.reading.reason is Reason.SERVER_BUSY else busy
        wait_s = next(waits, None)
        if busy is None or wait_s is None:
            return busy or trial
        request.progress(Progress("server busy", _done_ratio(busy.spec, 0.0)))
        if request.stop.wait(wait_s):
            stopped = Iperf3Result(
                reason=Reason.SHUTTING_DOWN, detail="while waiting for a free port"
            )
            return DirectionResult(busy.spec, stopped)


def _again_while_refused(trial: DirectionResult, request: MeasurementRequest) -> DirectionResult:
    for wait_s in RELISTEN_WAITS_S:
        if trial.reading.reason is not Reason.CONNECTION_REFUSED or request.stop.wait(wait_s):
            break
        trial = _test(trial.spec, request)
    return trial


def _test(spec: Iperf3Spec, request: MeasurementRequest) -> DirectionResult:
    steady_s: list[float] = []

    def observe(sample: Iperf3Sample, rate_bps: float | None) -> None:
        if sample.at_s >= spec.warm_up_s:
            steady_s.append(clock.monotonic_s())
        session.transferred(sample.at_s)
        done_ratio = _done_ratio(spec, sample.at_s)
        request.progress(Progress(spec.direction.value, done_ratio, rate_bps))

    if request.stop.is_set():
        return DirectionResult(
            spec, Iperf3Result(reason=Reason.SHUTTING_DOWN, detail="before it began")
        )
    interface = _interface(request)
    with LoadedSession(request, spec.warm_up_s) as session:
        transcript = iperf3_process.run(spec, request.stop, observe, interface=interface)
        loaded = session.finish()
    steady = SteadyInterval(steady_s[0], steady_s[-1]) if steady_s else None
    return DirectionResult(spec, iperf3_report.read(transcript, spec), loaded, steady)


def _interface(request: MeasurementRequest) -> str | None:
    return request.line.interface or host.interface_of(request.line.source_address)


def _done_ratio(spec: Iperf3Spec, at_s: float) -> float:
    """The done ratio of both directions; each is half of it."""
    half = 0.5 * min(1.0, at_s / spec.total_s)
    return half if spec.direction is Direction.DOWNLOAD else 0.5 + half
