"""Floor 2. Kind `http`: ping, jitter, download and upload over HTTP, as i-Speed does.

Wires the connections, the transfers and their report together. A server without `http_port` offers
no such test, so nothing is measured and no result is made.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext

from msgspec import structs

from probe import clock
from probe.measure.failure import Failure
from probe.measure.families import bound_family, peers_of
from probe.measure.http.connection import LineHttp, Route, library_version
from probe.measure.http.early_stop import TransferSample
from probe.measure.http.failures import LineHttpError
from probe.measure.http.method import calibrates, rate_bps
from probe.measure.http.results import HttpTest, TransferRecord, raw_result
from probe.measure.http.transfer import transfer
from probe.measure.latency.loaded import LoadedSession
from probe.measure.lookup import Address
from probe.measure.measurement import Direction, MeasurementRequest, Progress, RawResult, request_at
from wire.record import Reason

# Over how many samples the progress rate is taken.
_RECENT_SAMPLES = 5
# After these before the first ping the server's next address is tried.
_NO_CONNECTION = (Reason.CONNECTION_REFUSED, Reason.UNREACHABLE, Reason.TIMEOUT)


def measure(request: MeasurementRequest) -> Iterator[RawResult]:
    """Measure a line against a server's nginx; yields one RawResult, none without `http_port`.

    The upload is left out when the download failed: it would fail the same way.
    """
    port = request.server.http_port
    if port is None:
        return
    test = _tested(request, port)
    raw = raw_result(request.server, port, request.config.http, test, library_version())
    family = raw.family or bound_family(request.line, request.family)
    yield structs.replace(raw, family=family)


def _tested(request: MeasurementRequest, port: int) -> HttpTest:
    config, line = request.config.http, request.line
    place = f"{request.config.tenant}/{request.config.probe}/{line.id}"
    calibration = config.early_stop and calibrates(place, request.slot_at, config.calibration_ratio)
    request.progress(Progress("ping", 0.0))
    peers = peers_of(request, port, config.timeout_s)
    if isinstance(peers, Failure):
        return HttpTest(failure=peers)
    route, pings_ms, failure = _reached(request, peers)
    if failure is not None:
        return HttpTest(address=route.peer.ip, pings_ms=pings_ms, failure=failure)
    stop_early = config.early_stop and not calibration
    download = _transferred(Direction.DOWNLOAD, request, route, stop_early=stop_early)
    upload = None
    if download.failure is None:
        upload = _transferred(Direction.UPLOAD, request, route, stop_early=stop_early)
    return HttpTest(
        address=route.peer.ip,
        calibration=calibration,
        pings_ms=pings_ms,
        download=download,
        upload=upload,
    )


def _reached(
    request: MeasurementRequest, peers: Sequence[Address]
) -> tuple[Route, list[float], Failure | None]:
    """The way to the first address that can be reached, and its pings; else the first one's."""
    trials = []
    for peer in peers:
        route = Route(request.line, peer, request.server.host, request.lease_token)
        trials.append((route, *_pings(request, route)))
        _, pings_ms, failure = trials[-1]
        if failure is None or pings_ms or failure.reason not in _NO_CONNECTION:
            return trials[-1]
    return trials[0]


def _pings(request: MeasurementRequest, route: Route) -> tuple[list[float], Failure | None]:
    """The round-trip times of pings in ms on a warm connection, and what ended them early."""
    config = request.config.http
    rtts_ms: list[float] = []
    try:
        connection = LineHttp(route, config.timeout_s)
    except LineHttpError as error:
        return rtts_ms, error.failure
    try:
        connection.ping()  # warms it up on both ends
        while len(rtts_ms) < config.pings:
            if request.stop.is_set():
                return rtts_ms, _shutting_down()
            asked_s = clock.monotonic_s()
            connection.ping()
            rtts_ms.append((clock.monotonic_s() - asked_s) * 1000)
    except LineHttpError as error:
        return rtts_ms, error.failure
    finally:
        connection.close()
    return rtts_ms, None


def _transferred(
    direction: Direction, request: MeasurementRequest, route: Route, *, stop_early: bool
) -> TransferRecord:
    config = request.config.http
    before_ratio = 0.0 if direction is Direction.DOWNLOAD else 0.5
    # A transfer that may stop early is too short for a latency session beside it.
    beside = None
    if not stop_early:
        beside = LoadedSession(request_at(request, route.peer.text), config.warm_up_s)

    def observe(samples: Sequence[TransferSample]) -> None:
        done_ratio = samples[-1].at_s / (config.warm_up_s + config.duration_s)
        recent_bps = rate_bps(samples[-_RECENT_SAMPLES:][0], samples[-1])
        progress = Progress(direction, before_ratio + min(1.0, done_ratio) / 2, recent_bps)
        request.progress(progress)
        if beside is not None:
            beside.transferred(samples[-1].at_s)

    with beside or nullcontext():
        transferred = transfer(
            direction, route, config, request.stop, observe, stop_early=stop_early
        )
        loaded = beside.finish() if beside is not None else None
    return structs.replace(transferred, loaded=loaded)


def _shutting_down() -> Failure:
    return Failure(Reason.SHUTTING_DOWN, "The probe is stopping.")
