"""Floor 1. Makes the RawResult of an HTTP test: values, reason, validity, method.

Knows neither connections nor clocks.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from probe.config import HttpConfig, ServerConfig
from probe.measure.failure import Failure
from probe.measure.host_limits import bypassed_interface, had_cross_traffic
from probe.measure.http import early_stop as http_stop
from probe.measure.http.early_stop import EarlyFigure, TransferSample
from probe.measure.http.method import ping_statistics, rate_bps, steady_part
from probe.measure.latency.summary import loaded_columns
from probe.measure.measurement import Direction, RawResult, SteadyInterval
from wire.result import (
    Family,
    HttpTransfer,
    HttpValues,
    LoadedLatency,
    Method,
    Outcome,
    Reason,
    Validity,
)

_SKIPS = (Reason.SERVER_BUSY, Reason.SHUTTING_DOWN)


class TransferRecord(Struct, frozen=True):
    """The record of one direction.

    Attributes:
        samples: since the requests; the first is (0, 0).
        early: the stop rule's first estimate, whether it ended the transfer or not.
        early_stopped: whether the stop rule ended the transfer.
        connections_lost: how many ended before the transfer did.
        failure: why it was cut short; None where it was not.
        congestion_control: of the probe's end.
        interface_bytes: the interface's bytes meanwhile.
        tcp_bytes: the TCP bytes of the test's own connections meanwhile.
        loaded: the latency under load, where it was to run full length.
        began_s: when the first sample was taken (monotonic).
    """

    samples: list[TransferSample]
    early: EarlyFigure | None = None
    early_stopped: bool = False
    connections_lost: int = 0
    failure: Failure | None = None
    congestion_control: str | None = None
    interface_bytes: int | None = None
    tcp_bytes: int | None = None
    loaded: LoadedLatency | None = None
    began_s: float | None = None


class HttpTest(Struct, frozen=True, kw_only=True):
    """The record of one test, as far as it got.

    Attributes:
        address: the server's; None where its name could not be resolved.
        calibration: whether it was drawn to run full length.
        pings_ms: from request to response in ms, in the order of sending.
        failure: what ended it before the transfers; a transfer has its own.
    """

    address: str | None = None
    calibration: bool = False
    pings_ms: Sequence[float] = ()
    failure: Failure | None = None
    download: TransferRecord | None = None
    upload: TransferRecord | None = None


def raw_result(
    server: ServerConfig, port: int, config: HttpConfig, test: HttpTest, version: str
) -> RawResult:
    """One RawResult of pings and both directions, up to the failure.

    An interrupted transfer is kept in `values`, without a headline rate for its direction.

    Args:
        server: the measurement server.
        port: of its HTTP test.
        config: the settings in effect.
        test: the test's record.
        version: of urllib3.
    """
    transfers = {Direction.DOWNLOAD: test.download, Direction.UPLOAD: test.upload}
    failure, detail = test.failure, test.failure.sentence if test.failure else None
    for direction, transferred in transfers.items():
        if transferred is not None and transferred.failure is not None:
            failure = transferred.failure
            detail = f"{direction}: {failure.sentence}"
    return RawResult(
        outcome=_outcome(failure),
        reason=None if failure is None else failure.reason,
        detail=None if detail is None else detail[:500],
        target=f"http:{server.name}",
        family=None if test.address is None else Family.of(test.address),
        values=_values(server, port, config, test),
        validity=sorted({flag for one in transfers.values() if one for flag in _validity(one)}),
        method=_method(config, test, version),
        steady_download=_steady(config, test.download),
        steady_upload=_steady(config, test.upload),
    )


def _steady(config: HttpConfig, transferred: TransferRecord | None) -> SteadyInterval | None:
    """The steady part of a direction: that of the stop rule, or all after the warm-up."""
    if transferred is None or transferred.began_s is None:
        return None
    began_s, early = transferred.began_s, transferred.early
    if transferred.early_stopped and early is not None:
        return SteadyInterval(began_s + early.from_s, began_s + early.at_s)
    to_s = transferred.samples[-1].at_s
    if to_s <= config.warm_up_s:
        return None
    return SteadyInterval(began_s + config.warm_up_s, began_s + to_s)


def _outcome(failure: Failure | None) -> Outcome:
    if failure is None:
        return Outcome.OK
    return Outcome.SKIPPED if failure.reason in _SKIPS else Outcome.FAILED


def _values(
    server: ServerConfig, port: int, config: HttpConfig, test: HttpTest
) -> HttpValues | None:
    if test.address is None:
        return None
    if test.failure is not None and not test.pings_ms and _outcome(test.failure) is Outcome.SKIPPED:
        return None  # nothing was tried
    pings = ping_statistics(test.pings_ms)
    down, up = _transfer(config, test.download), _transfer(config, test.upload)
    return HttpValues(
        server_host=server.host,
        server_port=port,
        address=test.address,
        connections=config.connections,
        warm_up_s=config.warm_up_s,
        calibration=test.calibration,
        pings=len(test.pings_ms),
        ping_min_ms=pings.min_ms,
        ping_p50_ms=pings.p50_ms,
        jitter_abs_mean_ms=pings.jitter_abs_mean_ms,
        jitter_std_ms=pings.jitter_std_ms,
        download_bps=down.steady_bps if down and down.complete else None,
        download_whole_bps=down.whole_bps if down and down.complete else None,
        upload_bps=up.steady_bps if up and up.complete else None,
        upload_whole_bps=up.whole_bps if up and up.complete else None,
        download=down,
        upload=up,
        **loaded_columns(
            test.download.loaded if test.download else None,
            test.upload.loaded if test.upload else None,
        ),
    )


def _transfer(config: HttpConfig, transferred: TransferRecord | None) -> HttpTransfer | None:
    if transferred is None:
        return None
    samples, early, failure = transferred.samples, transferred.early, transferred.failure
    first, last = samples[0], samples[-1]
    if transferred.early_stopped and early is not None:
        steady_bps: float | None = early.rate_bps
        steady_s = early.at_s - early.from_s
    else:
        steady = steady_part(samples, config.warm_up_s)
        steady_bps = None if steady is None else rate_bps(*steady)
        steady_s = 0.0 if steady is None else steady[1].at_s - steady[0].at_s
    return HttpTransfer(
        steady_bps=steady_bps,
        whole_bps=rate_bps(first, last),
        steady_s=steady_s,
        whole_s=last.at_s,
        transferred_bytes=last.total_bytes,
        connections=config.connections,
        connections_lost=transferred.connections_lost,
        complete=failure is None,
        early_stopped=transferred.early_stopped,
        early_bps=early.rate_bps if early else None,
        early_at_s=early.at_s if early else None,
        early_bytes=early.total_bytes if early else None,
        sample_at_ms=[round(sample.at_s * 1000) for sample in samples[1:]],
        sample_bytes=[sample.total_bytes for sample in samples[1:]],
        error=failure.sentence[:500] if failure else None,
        interface_bytes=transferred.interface_bytes,
        tcp_bytes=transferred.tcp_bytes,
    )


def _validity(transferred: TransferRecord) -> list[Validity]:
    flags = []
    if transferred.early_stopped:
        flags.append(Validity.EARLY_STOPPED)
    elif transferred.failure is not None:
        flags.append(Validity.SHORT)
    if had_cross_traffic(transferred.tcp_bytes, transferred.interface_bytes):
        flags.append(Validity.CROSS_TRAFFIC)
    if bypassed_interface(transferred.samples[-1].total_bytes, transferred.interface_bytes):
        flags.append(Validity.INTERFACE_MISMATCH)
    return flags


def _method(config: HttpConfig, test: HttpTest, version: str) -> Method:
    return Method(
        tool="urllib3",
        version=version,
        settings={
            "connections": config.connections,
            "pings": config.pings,
            "warm_up_s": config.warm_up_s,
            "duration_s": config.duration_s,
            "early_stop": config.early_stop,
            "calibration_ratio": config.calibration_ratio,
            "stop_rule": http_stop.RULE,
            "sample_s": http_stop.SAMPLE_S,
            "upload_counted_by": "TCP_INFO: bytes acknowledged (RFC 4898)",
            "congestion_control": test.upload.congestion_control if test.upload else None,
        },
    )
