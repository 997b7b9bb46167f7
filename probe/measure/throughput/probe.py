"""Floor 2. Kind `throughput`: download, then upload, against one server's iperf3 ports.

Connects the rules (`method`), the child process (`iperf3_process`) and its report. A port serves
one test at a time and refuses others, so the server's other ports are tried at once, and all of
them again with back-off. An address that cannot be reached is followed by the server's next one.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from msgspec import structs

from probe import clock
from probe.measure import host
from probe.measure.failure import Failure
from probe.measure.families import bound_family, peers_of
from probe.measure.latency.loaded import LoadedSession
from probe.measure.lookup import Address
from probe.measure.measurement import (
    Direction,
    MeasurementRequest,
    Progress,
    RawResult,
    SteadyInterval,
    request_at,
)
from probe.measure.throughput import iperf3_process, iperf3_report
from probe.measure.throughput.iperf3_report import Iperf3Sample
from probe.measure.throughput.method import (
    RELISTEN_WAITS_S,
    DirectionResult,
    Iperf3Result,
    Iperf3Spec,
    busy_backoff_s,
    could_not_connect,
    raw_result,
    spec_for,
    upload_ports,
)
from wire.record import Reason

_LOOK_UP_LIMIT_S = 15.0


class _Place(NamedTuple):
    """Where one iperf3 server listens."""

    address: str | None
    port: int


def measure(request: MeasurementRequest) -> Iterator[RawResult]:
    """Measure both directions of a line; yields one RawResult.

    The upload is tried whatever became of the download, unless the probe is to stop.
    """
    settings, ports = request.config.throughput, request.server.iperf3_ports
    starve = host.transmit_queues_starve(_interface(request))
    waits = busy_backoff_s(settings, random.random, request.patience_s)
    peers = peers_of(request, ports[0], _LOOK_UP_LIMIT_S)
    if isinstance(peers, Failure):
        family = bound_family(request.line, request.family)
        spec = structs.replace(_spec(Direction.DOWNLOAD, request, ports[0]), family=family)
        nothing = DirectionResult(spec, Iperf3Result(reason=peers.reason, detail=peers.sentence))
        yield raw_result(request.server, settings, nothing, None, queues_starve=starve)
        return
    download = _transfer(Direction.DOWNLOAD, request, peers, ports, waits)
    upload = None
    if download.reading.reason is not Reason.SHUTTING_DOWN:
        served = None
        if download.reading.transfer is not None:
            served = _Place(download.spec.address, download.spec.port)
        peers = sorted(peers, key=lambda peer: peer.text != download.spec.address)
        ports = upload_ports(ports, download)
        upload = _transfer(Direction.UPLOAD, request, peers, ports, waits, served)
    yield raw_result(request.server, settings, download, upload, queues_starve=starve)


def _transfer(
    direction: Direction,
    request: MeasurementRequest,
    peers: Sequence[Address],
    ports: list[int],
    waits: Iterator[float],
    served: _Place | None = None,
) -> DirectionResult:
    """Test one direction on the first free port; both directions share the waits.

    `served` is what has just served the other direction, where something has.
    """
    while True:
        trial = _on_reached_address(direction, request, peers, ports, served)
        wait_s = next(waits, None) if trial.reading.reason is Reason.SERVER_BUSY else None
        if wait_s is None:
            return trial
        request.progress(Progress("server busy", _done_ratio(trial.spec, 0.0)))
        if request.stop.wait(wait_s):
            stopped = Iperf3Result(
                reason=Reason.SHUTTING_DOWN, detail="while waiting for a free port"
            )
            return DirectionResult(trial.spec, stopped)


def _on_reached_address(
    direction: Direction,
    request: MeasurementRequest,
    peers: Sequence[Address],
    ports: list[int],
    served: _Place | None,
) -> DirectionResult:
    """Test against the first address that can be reached; else the first one's result."""
    trials = []
    for peer in peers:
        trials.append(_on_free_port(direction, request, peer, ports, served))
        if not could_not_connect(trials[-1].reading):
            return trials[-1]
    return trials[0]


def _on_free_port(
    direction: Direction,
    request: MeasurementRequest,
    peer: Address,
    ports: list[int],
    served: _Place | None,
) -> DirectionResult:
    """Test against the first port that is neither busy nor refused; else a busy one's result."""
    busy = None
    for port in ports:
        trial = _test(_spec(direction, request, port, peer), request)
        if served == (peer.text, port):
            trial = _again_while_refused(trial, request)
        if trial.reading.reason not in (Reason.SERVER_BUSY, Reason.CONNECTION_REFUSED):
            return trial
        busy = trial if trial.reading.reason is Reason.SERVER_BUSY else busy
    return busy or trial


def _spec(
    direction: Direction, request: MeasurementRequest, port: int, peer: Address | None = None
) -> Iperf3Spec:
    spec = spec_for(
        direction,
        request.line,
        request.server,
        port,
        request.config.throughput,
        queues_starve=host.transmit_queues_starve(_interface(request)),
    )
    return spec if peer is None else structs.replace(spec, address=peer.text)


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
    with LoadedSession(request_at(request, spec.address), spec.warm_up_s) as session:
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
