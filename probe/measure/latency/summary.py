"""Floor 1. The values, status and validity of a closed latency window.

Knows no socket and no clock; failures are passed in.
"""

from __future__ import annotations

from statistics import fmean
from typing import Any

from msgspec import Struct

from probe.measure.failure import Failure
from probe.measure.latency import statistics
from probe.measure.latency.session import LatencyWindow, Packet, PacketStatus
from probe.measure.measurement import MeasurementStatus
from wire.result import LatencyValues, LoadedLatency, Outcome, Reason, Validity
from wire.stamp import PACKET_BYTES

_NS_PER_MS = 1_000_000
_NS_PER_US = 1000
_NS_PER_S = 1_000_000_000
# IPv4 (RFC 791) or IPv6 (RFC 8200), then UDP (RFC 768).
_HEADER_BYTES = {4: 20 + 8, 6: 40 + 8}


class SessionParameters(Struct, frozen=True, kw_only=True):
    """The parameters of a session: protocol, address, Tmax and mean gap."""

    protocol: str
    address: str
    timeout_s: float
    mean_gap_s: float


def window_values(window: LatencyWindow, parameters: SessionParameters) -> LatencyValues:
    """The values of a closed window, computed by `statistics`."""
    packets = list(window.packets.values())
    delays_ms = [packet.delay_ns / _NS_PER_MS for packet in packets if packet.delay_ns is not None]
    sent = len(packets)
    received = sum(packet.status is PacketStatus.RECEIVED for packet in packets)
    lost = sent - received
    variation = statistics.pdv(delays_ms, lost)
    return LatencyValues(
        protocol=parameters.protocol,
        address=parameters.address,
        timeout_s=parameters.timeout_s,
        mean_gap_s=parameters.mean_gap_s,
        sent=sent,
        received=received,
        lost=lost,
        late=sum(packet.status is PacketStatus.LATE for packet in packets),
        duplicates=window.duplicates,
        reordered=window.reordered,
        malformed=window.malformed,
        forged=window.forged,
        loss_ratio=statistics.loss_ratio(sent, lost),
        loss_ratio_upper95=statistics.loss_ratio_upper95(sent, lost),
        rtt_samples=len(delays_ms),
        rtt_min_ms=min(delays_ms, default=None),
        rtt_mean_ms=_to_ns(fmean(delays_ms) if delays_ms else None),
        rtt_p50_ms=statistics.percentile(delays_ms, lost, 500),
        rtt_p95_ms=statistics.percentile(delays_ms, lost, 950),
        rtt_p99_ms=statistics.percentile(delays_ms, lost, 990),
        rtt_max_ms=max(delays_ms, default=None),
        ipdv_abs_mean_ms=_to_ns(
            statistics.ipdv_abs_mean(
                [None if p.delay_ns is None else p.delay_ns / _NS_PER_MS for p in packets]
            )
        ),
        pdv_ms=None if variation is None else _to_ns(variation[1]),
        pdv_name=None if variation is None else variation[0],
        jitter_rfc3550_ms=_to_ns(
            statistics.jitter_rfc3550(
                [delay_ns / _NS_PER_MS for delay_ns in window.arrival_delays_ns]
            )
        ),
        timestamp_source=timestamp_source(packets),
        rtt_us=[round(p.delay_ns / _NS_PER_US) for p in packets if p.delay_ns is not None],
        altered_timestamps=window.altered,
    )


def loaded_values(window: LatencyWindow, parameters: SessionParameters) -> LoadedLatency:
    """The values of a session during a transfer, by the same rules as a window's."""
    of_window = window_values(window, parameters)
    shared = {
        name: getattr(of_window, name)
        for name in LoadedLatency.__struct_fields__
        if name in LatencyValues.__struct_fields__
    }
    span_s = window.duration_ns / _NS_PER_S
    packet_bytes = PACKET_BYTES + _HEADER_BYTES[6 if ":" in parameters.address else 4]
    return LoadedLatency(
        **shared,
        span_s=span_s,
        sent_bps=of_window.sent * packet_bytes * 8 / span_s if span_s > 0 else 0.0,
    )


def loaded_columns(download: LoadedLatency | None, upload: LoadedLatency | None) -> dict[str, Any]:
    """Both directions' values under load, by their field names in a bulk kind's values.

    Where nothing was answered, the reflector is at fault and not the line, which carried a transfer
    meanwhile: then the counts are only in the session's own values.
    """
    columns: dict[str, Any] = {"loaded_download": download, "loaded_upload": upload}
    for direction, loaded in (("download", download), ("upload", upload)):
        if loaded is not None and loaded.received:
            columns |= {
                f"rtt_loaded_{direction}_p50_ms": loaded.rtt_p50_ms,
                f"rtt_loaded_{direction}_p95_ms": loaded.rtt_p95_ms,
                f"loss_loaded_{direction}_ratio": loaded.loss_ratio,
            }
    return columns


def window_status(
    values: LatencyValues, failure: Failure | None, most_altered: int = 0
) -> MeasurementStatus:
    """The status of a window: ok if any packet was answered in time; loss is a value.

    Args:
        values: the window's values.
        failure: what the network or the kernel reported meanwhile, if anything.
        most_altered: how far a returned timestamp was off at most, in units of 2^-32 s.
    """
    if values.received:
        detail = None if failure is None else failure.sentence
        if values.altered_timestamps:
            altered = (
                f"{values.address} returned {values.altered_timestamps} of {values.received} "
                f"timestamps altered, by up to {most_altered} units of 2^-32 s."
            )
            detail = altered if detail is None else f"{detail} {altered}"
        return MeasurementStatus(Outcome.OK, None, detail)
    packets = f"packet{'' if values.sent == 1 else 's'}"
    if failure is not None:
        reason, detail = failure
    elif values.late:
        reason = Reason.TIMEOUT
        detail = (
            f"{values.address} answered {values.late} of {values.sent} {packets}, "
            f"all later than {values.timeout_s:g} s."
        )
    elif values.malformed or values.forged:
        reason = Reason.PROTOCOL_ERROR
        detail = (
            f"What came back from {values.address} is no answer to our {packets}: "
            f"{values.malformed} malformed, {values.forged} with a wrong address or session."
        )
    else:
        reason = Reason.NO_REPLY
        detail = f"{values.address} answered none of {values.sent} {packets}."
    return MeasurementStatus(Outcome.FAILED, reason, detail)


def validity(window: LatencyWindow) -> list[Validity]:
    """The validity flags of a window."""
    found = []
    if any(p.suspect and p.status is PacketStatus.RECEIVED for p in window.packets.values()):
        found.append(Validity.CLOCK_STEPPED)
    if window.cut_short:
        found.append(Validity.SHORT)
    return found


def _to_ns(value_ms: float | None) -> float | None:
    """Rounded to nanoseconds, the resolution of the timestamps."""
    return None if value_ms is None else round(value_ms, 6)


def timestamp_source(packets: list[Packet]) -> str:
    """What took the times of the answered packets.

    Returns:
        "kernel" at both ends, "process" at both, "kernel send", "kernel receive" (the other end by
        the process), "mixed" when packets differ, "none" when there was no answer.
    """
    pairs = {
        (packet.sent_by_kernel, packet.received_by_kernel)
        for packet in packets
        if packet.status is not PacketStatus.LOST
    }
    if len(pairs) != 1:
        return "mixed" if pairs else "none"
    return {
        (True, True): "kernel",
        (True, False): "kernel send",
        (False, True): "kernel receive",
        (False, False): "process",
    }[pairs.pop()]
