"""Floor 1. The statistics of round-trip times and losses, each rule with its source.

Delays are in milliseconds; a lost packet has none and counts as +infinity (RFC 7679, 5), so losses
are passed as a count beside the delays. A statistic that the sample is too small for is None.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from wire.figures import MIN_SAMPLES

_SIGNIFICANCE = 0.05


def percentile(delays_ms: Sequence[float], lost: int, per_mille: int) -> float | None:
    """The smallest x with F(x) >= p, without interpolation (RFC 2330, 11.3).

    Args:
        delays_ms: in any order.
        lost: how many more packets count as +infinity.
        per_mille: p in thousandths, 1 to 1000; 500 is the median. An integer, because 0.07 * 100
            is 7.000000000000001 and would pick the eighth value.

    Returns:
        None where the percentile falls among the lost, or the sample is under `MIN_SAMPLES`, or
        there is no sample.
    """
    population = len(delays_ms) + lost
    if population < max(1, MIN_SAMPLES.get(per_mille, 1)):
        return None
    rank = -(-population * per_mille // 1000)
    return sorted(delays_ms)[rank - 1] if rank <= len(delays_ms) else None


def loss_ratio(sent: int, lost: int) -> float | None:
    """Lost packets over sent ones (RFC 7680); None when none was sent."""
    return lost / sent if sent else None


def loss_ratio_upper95(sent: int, lost: int) -> float | None:
    """The upper bound of the loss ratio with 95 % confidence, one-sided.

    Without a loss it is the rule of three, 3/n (Hanley and Lippman-Hand, JAMA 1983), capped at 1.
    With losses it is the exact bound of Clopper and Pearson (Biometrika 1934): the p at which so
    few losses or fewer would come in 5 % of samples. None when none was sent.
    """
    if sent == 0:
        return None
    if lost == 0:
        return min(1.0, 3 / sent)
    if lost >= sent:
        return 1.0
    low, high = lost / sent, 1.0
    while high - low > 1e-9:
        middle = (low + high) / 2
        if _at_most(lost, sent, middle) > _SIGNIFICANCE:
            low = middle
        else:
            high = middle
    return high


def ipdv_abs_mean(delays_ms: Sequence[float | None]) -> float | None:
    """Mean of abs(D(i) - D(i-1)) over neighbours in the order of sending (RFC 3393).

    Args:
        delays_ms: in the order of sending; None is a lost packet, across which there is no IPDV.

    Returns:
        None when no two neighbours both came back.
    """
    steps = [
        abs(later - earlier)
        for earlier, later in pairwise(delays_ms)
        if earlier is not None and later is not None
    ]
    return math.fsum(steps) / len(steps) if steps else None


def pdv(delays_ms: Sequence[float], lost: int) -> tuple[str, float] | None:
    """Packet delay variation, a high percentile less the minimum, under its name (RFC 5481, 4.2).

    The percentile is the 99.9th, or the 95th in a sample that is too small for the 99.9th; the
    name says which. None where there is no such percentile.
    """
    population = len(delays_ms) + lost
    per_mille, name = (999, "p99.9 - min") if population >= MIN_SAMPLES[999] else (950, "p95 - min")
    high = percentile(delays_ms, lost, per_mille)
    return None if high is None else (name, high - min(delays_ms))


def jitter_rfc3550(delays_ms: Sequence[float]) -> float | None:
    """The interarrival jitter of RFC 3550, 6.4.1: J += (abs(D) - J) / 16, from J = 0.

    D, the difference of two packets' spacing at the receiver and at the sender, is the difference
    of their delays. It reaches 92 % of its final value after 40 packets, so it is not comparable
    with `ipdv_abs_mean`.

    Args:
        delays_ms: in the order of arrival; the lost are not in it.

    Returns:
        None for fewer than two delays.
    """
    if len(delays_ms) < 2:
        return None
    jitter_ms = 0.0
    for earlier, later in pairwise(delays_ms):
        jitter_ms += (abs(later - earlier) - jitter_ms) / 16
    return jitter_ms


def _at_most(lost: int, sent: int, probability: float) -> float:
    """The probability of at most `lost` losses among `sent` packets (binomial distribution)."""
    log_p, log_q = math.log(probability), math.log1p(-probability)
    return math.fsum(
        math.exp(_log_choose(sent, k) + k * log_p + (sent - k) * log_q) for k in range(lost + 1)
    )


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
