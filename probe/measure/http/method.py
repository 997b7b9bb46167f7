"""Floor 1. Kind `http`: the arithmetic of an HTTP test.

Rates from counted bytes, the statistics of pings, the draw of the calibration share, the longest
duration of a test. The stop rule is in `early_stop`. Knows no sockets and no clocks.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple

from probe.config import HttpConfig
from probe.measure.http.early_stop import TransferSample


class Pings(NamedTuple):
    """The statistics of the pings of one test; None where there are too few."""

    min_ms: float | None
    p50_ms: float | None
    jitter_abs_mean_ms: float | None
    jitter_std_ms: float | None


def rate_bps(first: TransferSample, last: TransferSample) -> float | None:
    """The mean rate between two samples; None where no time lies between them."""
    elapsed_s = last.at_s - first.at_s
    return (last.total_bytes - first.total_bytes) * 8 / elapsed_s if elapsed_s > 0 else None


def steady_part(
    samples: Sequence[TransferSample], warm_up_s: float
) -> tuple[TransferSample, TransferSample] | None:
    """The first sample after the warm-up and the last one; None where the warm-up is not over."""
    first = next((sample for sample in samples if sample.at_s >= warm_up_s), None)
    return None if first is None or first is samples[-1] else (first, samples[-1])


def ping_statistics(rtts_ms: Sequence[float]) -> Pings:
    """Minimum, median and both jitters of pings in the order of sending.

    i-Speed calls its jitter the variance of ping. Two figures go under that name, so both are
    given: the mean absolute difference of neighbours, as RFC 3393 has it for packets, and the
    standard deviation (of the sample, n - 1). The median is the smallest x with F(x) >= 0.5.
    """
    if not rtts_ms:
        return Pings(None, None, None, None)
    ordered = sorted(rtts_ms)
    minimum, median = ordered[0], ordered[(len(ordered) - 1) // 2]
    if len(rtts_ms) < 2:
        return Pings(minimum, median, None, None)
    steps = [abs(later - earlier) for earlier, later in pairwise(rtts_ms)]
    mean = math.fsum(rtts_ms) / len(rtts_ms)
    variance = math.fsum((rtt - mean) ** 2 for rtt in rtts_ms) / (len(rtts_ms) - 1)
    return Pings(minimum, median, math.fsum(steps) / len(steps), math.sqrt(variance))


def calibrates(place: str, slot_at: datetime | None, ratio: float) -> bool:
    """Whether a slot is in the calibration share that runs full length, by a hash.

    Args:
        place: tenant, probe and line, which differ between slots of the same time.
        slot_at: its planned time. On-demand tests are not in the share: a user who
            measures again and again would bias the sample.
        ratio: the share, 0 to 1.
    """
    if slot_at is None:
        return False
    drawn = hashlib.sha256(f"{place}/{slot_at.isoformat()}".encode()).digest()
    return int.from_bytes(drawn[:7]) / 2**56 < ratio


def longest_s(config: HttpConfig) -> float:
    """The longest time in seconds that one test holds the host's bulk lock.

    Connecting, the pings, and for each direction its connections, its first answers and its length.
    """
    direction_s = 2 * config.timeout_s + config.warm_up_s + config.duration_s
    return config.timeout_s * (1 + config.pings) + 2 * direction_s
