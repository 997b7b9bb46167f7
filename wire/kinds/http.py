"""Floor 1. Kind `http`: ping, download and upload over HTTP."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta, Struct

from wire.kinds.loaded import LoadedLatency
from wire.record import BitsPerSecond, Count, Milliseconds, Ratio, Result, Seconds, Text


class HttpTransfer(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One direction of an HTTP test in full.

    Bytes are of HTTP bodies: received by the probe, or acknowledged by the server. `steady_bps`
    excludes the warm-up, or in an `early_stopped` transfer what the stop rule took for slow start;
    `whole_bps` is all bytes over the whole time since the requests. `early_bps` is the stop rule's
    estimate, after `early_at_s` and `early_bytes`, whether it ended the transfer or (at full
    length) was only recorded; None where there was none. Sample i is the number of bytes of all
    connections `sample_at_ms[i]` after the requests. `interface_bytes` are the interface's bytes
    from the first sample to the last: an independent check. `tcp_bytes` are the TCP bytes of the
    test's own connections meanwhile, with HTTP headers and retransmissions: the interface carries
    more than that and its packets' headers where there is cross traffic.
    """

    steady_bps: BitsPerSecond | None
    whole_bps: BitsPerSecond | None
    steady_s: Seconds
    whole_s: Seconds
    transferred_bytes: Count
    connections: Count
    connections_lost: Count
    complete: bool
    early_stopped: bool
    early_bps: BitsPerSecond | None
    early_at_s: Seconds | None
    early_bytes: Count | None
    sample_at_ms: list[Count]
    sample_bytes: list[Count]
    error: Text | None = None
    interface_bytes: Count | None = None
    tcp_bytes: Count | None = None


class HttpValues(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Ping, download and upload over HTTP, one after the other (docs/method.md#http).

    A ping is a request for an empty file on a warm connection, from request to response.
    `jitter_abs_mean_ms` is the mean absolute difference of neighbours, `jitter_std_ms` the
    standard deviation ("variance of ping"). `calibration` marks the share of slots that run full
    length whatever the stop rule estimates: only these measure the rule's error.
    """

    headline: ClassVar = ("download_bps", "upload_bps", "ping_p50_ms")

    layer: Text = "HTTP body payload"
    server_host: Text
    server_port: Annotated[int, Meta(ge=1, le=65535)]
    address: Text
    connections: Count
    warm_up_s: Seconds
    calibration: bool
    pings: Count
    ping_min_ms: Milliseconds | None
    ping_p50_ms: Milliseconds | None
    jitter_abs_mean_ms: Milliseconds | None
    jitter_std_ms: Milliseconds | None
    download_bps: BitsPerSecond | None
    download_whole_bps: BitsPerSecond | None
    upload_bps: BitsPerSecond | None
    upload_whole_bps: BitsPerSecond | None
    download: HttpTransfer | None
    upload: HttpTransfer | None
    # Latency under load (`wire.kinds.loaded`): None where no session ran during the transfer,
    # which is so for every transfer that may stop early.
    rtt_loaded_download_p50_ms: Milliseconds | None = None
    rtt_loaded_download_p95_ms: Milliseconds | None = None
    loss_loaded_download_ratio: Ratio | None = None
    rtt_loaded_upload_p50_ms: Milliseconds | None = None
    rtt_loaded_upload_p95_ms: Milliseconds | None = None
    loss_loaded_upload_ratio: Ratio | None = None
    loaded_download: LoadedLatency | None = None
    loaded_upload: LoadedLatency | None = None


class HttpResult(Result, frozen=True, kw_only=True, tag="http"):
    """Ping, download and upload over HTTP with parallel connections and an early stop."""

    values: HttpValues | None
