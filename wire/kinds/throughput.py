"""Floor 1. Kind `throughput`: both directions of a TCP throughput test."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta, Struct

from wire.kinds.loaded import LoadedLatency
from wire.record import BitsPerSecond, Count, Milliseconds, Ratio, Result, Seconds, Text


class Interval(Struct, frozen=True, forbid_unknown_fields=True):
    """One interval of a transfer, all streams together, at the receiver.

    Download: payload that the probe's TCP received in order; upload: payload that the server's TCP
    acknowledged (RFC 4898). `retransmits` are known for uploads.
    """

    start_s: Seconds
    duration_s: Seconds
    transferred_bytes: Count
    omitted: bool
    retransmits: Count | None = None


class Transfer(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One direction of a throughput test in full.

    `steady_bps` excludes the warm-up; `whole_bps` is all bytes over the whole time, slow start
    included (QCVN 34:2022/BTTTT counts this one). Both are TCP payload at the receiver.
    """

    steady_bps: BitsPerSecond | None
    whole_bps: BitsPerSecond | None
    steady_s: Seconds
    whole_s: Seconds
    transferred_bytes: Count
    interface_bytes: Count | None
    retransmits: Count | None
    congestion_control_sender: Text | None
    congestion_control_receiver: Text | None
    cpu_local_ratio: float | None
    cpu_remote_ratio: float | None
    streams: Count
    complete: bool
    intervals: list[Interval]
    # The receiving iperf3's own count over the whole test: an independent check.
    receiver_report_bytes: Count | None = None
    receiver_report_s: Seconds | None = None
    error: Text | None = None


class ThroughputValues(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Both directions, measured one after the other (docs/method.md#throughput)."""

    headline: ClassVar = ("download_bps", "upload_bps")

    layer: Text = "TCP payload"
    server_host: Text
    # The server's address that the figures are of; None from older probes.
    address: Text | None = None
    server_port: Annotated[int, Meta(ge=1, le=65535)]
    streams: Count
    warm_up_s: Seconds
    download_bps: BitsPerSecond | None
    download_whole_bps: BitsPerSecond | None
    upload_bps: BitsPerSecond | None
    upload_whole_bps: BitsPerSecond | None
    download: Transfer | None
    upload: Transfer | None
    # Latency under load (`wire.kinds.loaded`): None where no session ran during the transfer.
    rtt_loaded_download_p50_ms: Milliseconds | None = None
    rtt_loaded_download_p95_ms: Milliseconds | None = None
    loss_loaded_download_ratio: Ratio | None = None
    rtt_loaded_upload_p50_ms: Milliseconds | None = None
    rtt_loaded_upload_p95_ms: Milliseconds | None = None
    loss_loaded_upload_ratio: Ratio | None = None
    loaded_download: LoadedLatency | None = None
    loaded_upload: LoadedLatency | None = None


class ThroughputResult(Result, frozen=True, kw_only=True, tag="throughput"):
    """TCP throughput by iperf3, download then upload."""

    values: ThroughputValues | None
