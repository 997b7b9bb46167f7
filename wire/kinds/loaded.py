"""Floor 1. Latency under load: the round-trip times of a STAMP session during a bulk transfer."""

from __future__ import annotations

from msgspec import Struct

from wire.record import BitsPerSecond, Count, Milliseconds, Ratio, Seconds, Text


class LoadedLatency(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Round-trip times while one direction of a line was filled (docs/method.md#loaded-latency).

    A session of its own; that of kind `latency` pauses meanwhile. It counts what was
    sent while the transfer was in its steady part, over `span_s`: after the warm-up, until the
    last byte that the transfer counts. Its statistics are kind `latency`'s: a lost packet is
    +infinity, no `rtt_p95_ms` under 59 packets, no `rtt_p99_ms` under 299. `rtt_us` are the
    delays in the order of sending, in whole microseconds. `sent_bps` is the session's own rate in
    each direction, IP headers included.
    """

    protocol: Text
    address: Text
    timeout_s: Seconds
    mean_gap_s: Seconds
    span_s: Seconds
    sent_bps: BitsPerSecond
    sent: Count
    received: Count
    lost: Count
    late: Count
    duplicates: Count
    reordered: Count
    malformed: Count
    forged: Count
    loss_ratio: Ratio | None
    loss_ratio_upper95: Ratio | None
    rtt_samples: Count
    rtt_min_ms: Milliseconds | None
    rtt_mean_ms: Milliseconds | None
    rtt_p50_ms: Milliseconds | None
    rtt_p95_ms: Milliseconds | None
    rtt_p99_ms: Milliseconds | None
    rtt_max_ms: Milliseconds | None
    ipdv_abs_mean_ms: Milliseconds | None
    timestamp_source: Text
    rtt_us: list[Count]
    altered_timestamps: Count = 0
