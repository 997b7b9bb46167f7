"""Floor 1. Kind `throughput`: the parameters of iperf3 tests, and the RawResult of both.

Implements docs/method.md#throughput (BEREC: parallel streams, one direction at a time, 3 s of
warm-up and 10 s measured). Knows no processes and sockets.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence

from msgspec import Struct

from probe.config import LineConfig, ServerConfig, ThroughputConfig
from probe.measure.host_limits import bypassed_interface, had_cross_traffic
from probe.measure.latency.summary import loaded_columns
from probe.measure.measurement import Direction, RawResult, SteadyInterval
from runtime.backoff import backoff_s
from wire.result import (
    Family,
    LoadedLatency,
    Method,
    Outcome,
    Reason,
    ThroughputValues,
    Transfer,
    Validity,
)

# BEREC and SamKnows: four streams fill a line up to this rate, eight above.
_EIGHT_STREAMS_ABOVE_BPS = 950e6
# A test may take this much longer than its data, without connecting: the exchange of results
# through a full queue.
_EXCHANGE_S = 5.0
# Less of the steady part than this is flagged `short` (ours).
_SHORT_RATIO = 0.8
# libiperf up to 3.15 is one thread: when it keeps a core this busy, that core is the limit (ours).
_CPU_LIMIT_RATIO = 0.95
_SEGMENT_BYTES = 1448
# iperf3 closes its listening socket after each test and opens a new one, so a busy server refuses
# whoever comes right after (3.12 to 3.18); the waits before each further try (ours).
RELISTEN_WAITS_S = (0.5, 1.0, 2.0)
# ndt7 specification: so that probes that met at a busy server do not meet again.
_JITTER = (0.5, 1.5)
# What libiperf states where it got no connection; 3.9 goes on to write to one that it has not.
_NO_CONNECTION = ("unable to connect to server", "control message: Bad file descriptor")
# The last wait takes this much of the time left, at least; the rest is jitter (ours).
_LEAST_OF_REST = 0.75


class Iperf3Spec(Struct, frozen=True, kw_only=True):
    """The parameters of one test, passed to the child process as JSON.

    `total_s` includes `warm_up_s`. libiperf's own `omit` is not used: it loses the interval in
    which the warm-up ends, so the whole transfer would be unknown. `deadline_s` ends the test
    whatever the server does.
    """

    host: str
    # The host's address that is tested; None: the child looks one up, of `family` where given.
    address: str | None = None
    family: Family | None = None
    port: int
    reverse: bool
    streams: int
    warm_up_s: float
    total_s: int
    interval_s: float
    connect_timeout_s: float
    deadline_s: float
    bind_address: str | None
    bind_device: str | None
    congestion_control: str | None

    @property
    def direction(self) -> Direction:
        """Which way the payload goes."""
        return Direction.DOWNLOAD if self.reverse else Direction.UPLOAD


class Iperf3Result(Struct, frozen=True, kw_only=True):
    """The result of one test: a transfer, a reason, or an interrupted transfer and its reason."""

    transfer: Transfer | None = None
    reason: Reason | None = None
    detail: str | None = None
    version: str | None = None


class DirectionResult(Struct, frozen=True):
    """The result of one direction with its test, latency under load and steady part."""

    spec: Iperf3Spec
    reading: Iperf3Result
    loaded: LoadedLatency | None = None
    steady: SteadyInterval | None = None


def spec_for(
    direction: Direction,
    line: LineConfig,
    server: ServerConfig,
    port: int,
    settings: ThroughputConfig,
    *,
    queues_starve: bool = False,
) -> Iperf3Spec:
    """The parameters of one direction's test against one port of a server.

    Args:
        direction: download or upload.
        line: the plan decides the number of streams.
        server: the measurement server.
        port: of its iperf3 servers.
        settings: those in effect.
        queues_starve: whether several upload streams would starve each other on this host.
    """
    total_s = settings.warm_up_s + settings.duration_s
    return Iperf3Spec(
        host=server.host,
        port=port,
        reverse=direction is Direction.DOWNLOAD,
        streams=_streams(direction, line, settings, queues_starve=queues_starve),
        warm_up_s=settings.warm_up_s,
        total_s=total_s,
        interval_s=settings.interval_s,
        connect_timeout_s=settings.connect_timeout_s,
        deadline_s=settings.connect_timeout_s + total_s + _EXCHANGE_S,
        bind_address=line.source_address,
        bind_device=line.interface,
        congestion_control=settings.congestion_control,
    )


def _streams(
    direction: Direction, line: LineConfig, settings: ThroughputConfig, *, queues_starve: bool
) -> int:
    plan_bps = line.plan_download_bps
    if direction is Direction.UPLOAD:
        if settings.upload_streams is not None:
            return settings.upload_streams
        if queues_starve:
            return 1
        plan_bps = line.plan_upload_bps
    if plan_bps is not None and plan_bps > _EIGHT_STREAMS_ABOVE_BPS:
        return max(8, settings.streams)
    return settings.streams


def busy_backoff_s(
    settings: ThroughputConfig, draw: Callable[[], float], patience_s: float | None = None
) -> Iterator[float]:
    """The waits before each further try at a busy server, in seconds.

    Each wait is about twice the one before, times 0.5 to 1.5 so that probes do not meet again
    (ndt7 specification). The one that would pass the limit, `busy_limit_s`, is 0.75 to 1 of
    what is left of it, so all of them come to 0.75 of it at least: a server that lost its client
    in the middle of a test is busy for the test's length and 40 s.

    Args:
        settings: with the first wait and the limit.
        draw: returns a random number in [0, 1).
        patience_s: the time that the slot has left; None without limit.
    """
    limit_s = settings.busy_limit_s
    if patience_s is not None:
        limit_s = min(limit_s, patience_s)
    spent_s = 0.0
    for failures in itertools.count(1):
        wait_s = backoff_s(failures, settings.busy_first_wait_s, math.inf, draw(), jitter=_JITTER)
        left_s = limit_s - spent_s
        if wait_s >= left_s:
            last_s = left_s * (_LEAST_OF_REST + (1 - _LEAST_OF_REST) * draw())
            if last_s > 0:
                yield last_s
            return
        spent_s += wait_s
        yield wait_s


def could_not_connect(reading: Iperf3Result) -> bool:
    """Whether the server's address could not be reached, so that another may be tried.

    A test that was connected and then stalled is not: it has taken its full time already.
    """
    if reading.transfer is not None:
        return False
    if reading.reason in (Reason.CONNECTION_REFUSED, Reason.UNREACHABLE):
        return True
    unsure = reading.reason in (Reason.TIMEOUT, Reason.CONNECTION_LOST)
    return unsure and any(text in str(reading.detail) for text in _NO_CONNECTION)


def upload_ports(ports: Sequence[int], download: DirectionResult) -> list[int]:
    """The server's ports in the order to try for the upload.

    First the one that served the download. One where the download broke off is last: its server
    may be busy with the lost test (`busy_backoff_s`).
    """
    tried, broken = download.spec.port, download.reading.reason is not None
    return sorted(ports, key=lambda port: (port == tried) == broken)


def raw_result(
    server: ServerConfig,
    settings: ThroughputConfig,
    download: DirectionResult,
    upload: DirectionResult | None,
    *,
    queues_starve: bool = False,
) -> RawResult:
    """One RawResult of both directions; `upload` is None where the probe ended before it.

    Outcome and reason are those of the first direction that failed; the other's figure stays. An
    interrupted transfer is kept in `values`, without rates for its direction; a test that failed
    before any has the address there. Whether the host's transmit queues required one upload stream
    is recorded (`spec_for`).
    """
    tested = [download] if upload is None else [download, upload]
    failed = [one for one in tested if one.reading.reason is not None]
    reason = failed[0].reading.reason if failed else None
    detail = "; ".join(f"{one.spec.direction}: {one.reading.detail}" for one in failed)[:500]
    outcome, address = _outcome(reason), download.spec.address
    values = None
    if any(one.reading.transfer is not None for one in tested) or (
        outcome is Outcome.FAILED and address is not None
    ):
        values = _values(download, upload)
    return RawResult(
        outcome=outcome,
        family=download.spec.family if address is None else Family.of(address),
        reason=reason,
        detail=detail or None,
        target=f"iperf3:{server.name}",
        values=values,
        validity=sorted({flag for one in tested for flag in _validity(one)}),
        method=_method(settings, tested, queues_starve=queues_starve),
        steady_download=download.steady,
        steady_upload=None if upload is None else upload.steady,
    )


def _outcome(reason: Reason | None) -> Outcome:
    if reason is None:
        return Outcome.OK
    skips = (Reason.SERVER_BUSY, Reason.SHUTTING_DOWN)
    return Outcome.SKIPPED if reason in skips else Outcome.FAILED


def _values(download: DirectionResult, upload: DirectionResult | None) -> ThroughputValues:
    down = download.reading.transfer
    up = None if upload is None else upload.reading.transfer
    return ThroughputValues(
        server_host=download.spec.host,
        address=download.spec.address,
        server_port=download.spec.port,
        streams=download.spec.streams,
        warm_up_s=download.spec.warm_up_s,
        download_bps=None if down is None or not down.complete else down.steady_bps,
        download_whole_bps=None if down is None or not down.complete else down.whole_bps,
        upload_bps=None if up is None or not up.complete else up.steady_bps,
        upload_whole_bps=None if up is None or not up.complete else up.whole_bps,
        download=down,
        upload=up,
        **loaded_columns(download.loaded, None if upload is None else upload.loaded),
    )


def _validity(trial: DirectionResult) -> Iterator[Validity]:
    transfer = trial.reading.transfer
    if transfer is None:
        return
    wanted_s = trial.spec.total_s - trial.spec.warm_up_s
    if transfer.steady_s < _SHORT_RATIO * wanted_s:
        yield Validity.SHORT
    busy_ratio = transfer.cpu_local_ratio or 0.0
    if busy_ratio > _CPU_LIMIT_RATIO and _single_threaded(trial.reading.version):
        yield Validity.PROBE_LIMITED
    carried = transfer.interface_bytes
    sent_twice = (transfer.retransmits or 0) * _SEGMENT_BYTES
    if had_cross_traffic(transfer.transferred_bytes + sent_twice, carried):
        yield Validity.CROSS_TRAFFIC
    # The counter starts at the first sample, which may have bytes already.
    sampled = sum(interval.transferred_bytes for interval in transfer.intervals)
    if bypassed_interface(sampled, carried):
        yield Validity.INTERFACE_MISMATCH


def _single_threaded(version: str | None) -> bool:
    """Whether all streams share one core: libiperf up to 3.15. False where unknown."""
    numbers = (version or "").split(".")
    return (
        numbers[0] == "3" and len(numbers) > 1 and numbers[1].isdecimal() and int(numbers[1]) < 16
    )


def _method(
    settings: ThroughputConfig, tested: list[DirectionResult], *, queues_starve: bool
) -> Method:
    in_effect: dict[str, str | int | float | bool | None] = {
        "warm_up_s": settings.warm_up_s,
        "duration_s": settings.duration_s,
        "interval_s": settings.interval_s,
        "congestion_control": settings.congestion_control,
        "transmit_queues_starve": queues_starve,
        "counted_by": "TCP_INFO: bytes received, bytes acknowledged (RFC 4898)",
    }
    for one in tested:
        in_effect[f"{one.spec.direction}_streams"] = one.spec.streams
        in_effect[f"{one.spec.direction}_port"] = one.spec.port
    versions = [one.reading.version for one in tested if one.reading.version is not None]
    return Method(tool="libiperf", version=versions[0] if versions else None, settings=in_effect)
