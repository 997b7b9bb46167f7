"""Floor 1. The interval of a mean and the verdicts, by the rules M1 to M7 of method.md."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date
from itertools import pairwise
from typing import Any, NamedTuple

from verify.samples import Figures

_LEAST_SAMPLES, _LEAST_DAYS = 30, 25
_BLOCK_DAYS, _MOST_BLOCKS = 9, 6
_Z95 = 1.959964
# 97.5th percentiles of Student's t for 1, 2, ... degrees of freedom; 6 blocks have at most 5.
_STUDENT_T = (12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469)


class Interval(NamedTuple):
    """The 95 % interval of a mean."""

    low: float
    high: float


class Verdict(NamedTuple):
    """A verdict, and why there is none where there is none."""

    verdict: str
    why: str | None


def interval(figures: Figures) -> Interval | None:
    """The interval between the means of blocks of days (M3); None where there is none."""
    values, days = figures.values, figures.days()
    mean = figures.mean
    if mean is None or len(values) < _LEAST_SAMPLES or _span(days) < _LEAST_DAYS:
        return None
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))
    between = _half_between(_blocks(days))
    half = max(between, _Z95 * deviation / math.sqrt(len(values)))
    return Interval(max(mean - half, 0.0), mean + half) if math.isfinite(half) else None


def _span(days: Sequence[tuple[date, int, float]]) -> int:
    return (days[-1][0] - days[0][0]).days + 1 if days else 0


def _blocks(days: Sequence[tuple[date, int, float]]) -> list[tuple[int, float]]:
    """The number of samples and the mean of each block of consecutive days."""
    length = max(_BLOCK_DAYS, math.ceil(_span(days) / _MOST_BLOCKS))
    found: dict[int, list[tuple[int, float]]] = {}
    for day, count, total in days:
        found.setdefault((day - days[0][0]).days // length, []).append((count, total))
    blocks = []
    for _, some in sorted(found.items()):
        count = sum(part[0] for part in some)
        blocks.append((count, math.fsum(part[1] for part in some) / count))
    return blocks


def _half_between(blocks: Sequence[tuple[int, float]]) -> float:
    if len(blocks) < 2:
        return math.inf
    count = sum(block[0] for block in blocks)
    shares = [block[0] / count for block in blocks]
    mean = math.fsum(share * block[1] for share, block in zip(shares, blocks, strict=True))
    spread = math.fsum(
        share * (block[1] - mean) ** 2 for share, block in zip(shares, blocks, strict=True)
    )
    together = math.fsum(share**2 for share in shares)
    freedom = max(1 / together - 1, 1.0)
    return _student_t(freedom) * math.sqrt(spread * together / (1 - together))


def _student_t(freedom: float) -> float:
    """Linear in 1 / freedom between whole degrees of freedom."""
    for whole, (low, high) in enumerate(pairwise(_STUDENT_T), 1):
        if freedom <= whole + 1:
            part = (1 / freedom - 1 / (whole + 1)) / (1 / whole - 1 / (whole + 1))
            return high + (low - high) * part
    return _STUDENT_T[-1]


def speed(
    figures: Figures,
    declared: float | None,
    hours: int,
    thresholds: Mapping[str, Any],
    *,
    plan_changed: bool,
) -> Verdict:
    """The verdict of a direction (M1, M2, M3, M5)."""
    share, least = thresholds["speed_share"], thresholds["speed_samples"]
    mean = figures.mean
    if mean is None:
        return Verdict("none", "no_samples")
    if plan_changed:
        return Verdict("none", "several_plans")
    if declared is None:
        return Verdict("none", "no_declared_speed")
    why = _missing(figures, hours, least, verified=share["verified"] and least["verified"])
    found = interval(figures)
    if why is not None or found is None:
        return Verdict("none", why or "insufficient_days")
    limit = share["limit"] * declared
    return _by_side(found.low >= limit, found.high < limit)


def latency(figures: Figures, hours: int, thresholds: Mapping[str, Any]) -> Verdict:
    """The verdict of the mean round-trip time (M6)."""
    threshold, least = thresholds["latency_mean_ms"], thresholds["speed_samples"]
    if figures.mean is None:
        return Verdict("none", "no_samples")
    why = _missing(figures, hours, least, verified=threshold["verified"] and least["verified"])
    found = interval(figures)
    if why is not None or found is None:
        return Verdict("none", why or "insufficient_days")
    return _by_side(found.high <= threshold["limit"], found.low > threshold["limit"])


def availability(ratio: float | None, thresholds: Mapping[str, Any]) -> Verdict:
    """The verdict of the availability (M7)."""
    threshold = thresholds["availability"]
    if ratio is None:
        return Verdict("none", "no_samples")
    if not threshold["verified"]:
        return Verdict("none", "threshold_unverified")
    return Verdict("met" if ratio >= threshold["limit"] else "not_met", None)


def _missing(
    figures: Figures, hours: int, least: Mapping[str, Any], *, verified: bool
) -> str | None:
    """The first condition of a verdict that is not met."""
    if not verified:
        return "threshold_unverified"
    if len(figures.values) < max(least["limit"], _LEAST_SAMPLES):
        return "insufficient_samples"
    return "same_hour" if hours < 2 else None


def _by_side(met: bool, not_met: bool) -> Verdict:
    if met:
        return Verdict("met", None)
    return Verdict("not_met", None) if not_met else Verdict("none", "interval_contains_threshold")
