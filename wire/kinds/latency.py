"""Floor 1. Kind `latency`: one window of round-trip times to one target."""

from __future__ import annotations

from typing import ClassVar

from msgspec import Struct

from wire.record import Count, Milliseconds, Ratio, Result, Seconds, Text

# The office's own router as a target; all others are beyond it.
GATEWAY_TARGET = "icmp:gateway"


class LatencyValues(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One window of round-trip times to one target (docs/method.md#latency).

    A lost packet counts as +infinity for percentiles, so a percentile that falls among the lost is
    None; so is one that the sample is too small for (`rtt_p95_ms` under 59, `rtt_p99_ms` under
    299). Sent = received + lost. `late` packets came after `timeout_s` and count as lost too.
    `forged` answers have a wrong address or session. `rtt_samples` of the received have a delay;
    the others' is unknown because a clock was stepped meanwhile. `altered_timestamps` of the
    received came from a reflector that returned our timestamp up to 2 us off, rounded by its own
    arithmetic; their delays do not depend on it. The window is by the time of
    sending: the result's `started_at` and `duration_s`.

    `rtt_us` are the delays in the order of sending, in whole microseconds, `rtt_samples` of them:
    a window of a minute is too small for a p95, an hour of them is not (decision 13). With the
    lost ones as +infinity they are all that an hour's or a day's percentiles need.
    """

    headline: ClassVar = ("rtt_p50_ms", "rtt_p95_ms", "loss_ratio")

    protocol: Text
    address: Text
    timeout_s: Seconds
    mean_gap_s: Seconds
    sent: Count
    received: Count
    lost: Count
    late: Count
    duplicates: Count
    reordered: Count
    malformed: Count
    loss_ratio: Ratio | None
    loss_ratio_upper95: Ratio | None
    rtt_min_ms: Milliseconds | None
    rtt_mean_ms: Milliseconds | None
    rtt_p50_ms: Milliseconds | None
    rtt_p95_ms: Milliseconds | None
    rtt_p99_ms: Milliseconds | None
    rtt_max_ms: Milliseconds | None
    ipdv_abs_mean_ms: Milliseconds | None
    pdv_ms: Milliseconds | None
    pdv_name: Text | None
    jitter_rfc3550_ms: Milliseconds | None
    timestamp_source: Text
    forged: Count = 0
    rtt_samples: Count | None = None
    rtt_us: list[Count] | None = None
    altered_timestamps: Count = 0


class LatencyResult(Result, frozen=True, kw_only=True, tag="latency"):
    """Round-trip times of one window: STAMP to a measurement server, or ICMP echo."""

    values: LatencyValues | None
