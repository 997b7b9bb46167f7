"""Floor 1. The interval of a mean and the verdicts, by the rules M1 to M7 of method.md."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date
from functools import lru_cache
from typing import Any, NamedTuple

from verify.samples import Day, Figures

_LEAST_SAMPLES, _LEAST_DAYS = 30, 25
_BLOCK_DAYS, _MOST_BLOCKS = 9, 6
_Z95, _SHARE95 = 1.959964, 0.975


class Interval(NamedTuple):
    """The 95 % interval of a mean."""

    low: float
    high: float


class Verdict(NamedTuple):
    """A verdict, and why there is none where there is none."""

    verdict: str
    why: str | None


class Cluster(NamedTuple):
    """The samples of a line or of a block of days: how many, and their mean."""

    samples: int
    mean: float


class Sample(NamedTuple):
    """A figure of a row: its samples, and of each line where the row is of several."""

    figures: Figures
    lines: Sequence[Cluster] | None = None


def interval(sample: Sample) -> Interval | None:
    """The interval between blocks of days and, of several lines, between them (M3, M4)."""
    figures = sample.figures
    mean, deviation, days = figures.mean, figures.deviation, figures.days()
    if mean is None or deviation is None or figures.count < _LEAST_SAMPLES:
        return None
    if _span(days) < _LEAST_DAYS:
        return None
    half = half_between(_blocks(days))
    if sample.lines is not None:
        half = math.hypot(half, half_between(sample.lines))
    half = max(half, _Z95 * deviation / math.sqrt(figures.count))
    return Interval(max(mean - half, 0.0), mean + half) if math.isfinite(half) else None


def _span(days: Mapping[date, Day]) -> int:
    return (max(days) - min(days)).days + 1 if days else 0


def _blocks(days: Mapping[date, Day]) -> list[Cluster]:
    """The samples of each block of consecutive days."""
    first, length = min(days), max(_BLOCK_DAYS, math.ceil(_span(days) / _MOST_BLOCKS))
    found: dict[int, list[Day]] = {}
    for day, samples in sorted(days.items()):
        found.setdefault((day - first).days // length, []).append(samples)
    blocks = []
    for _, some in sorted(found.items()):
        count = sum(part.samples for part in some)
        blocks.append(Cluster(count, math.fsum(part.total for part in some) / count))
    return blocks


def half_between(clusters: Sequence[Cluster]) -> float:
    """Half the interval's width by how the means of clusters differ; infinite below two."""
    if len(clusters) < 2:
        return math.inf
    count = sum(one.samples for one in clusters)
    shares = [one.samples / count for one in clusters]
    mean = math.fsum(share * one.mean for share, one in zip(shares, clusters, strict=True))
    spread = math.fsum(
        share * (one.mean - mean) ** 2 for share, one in zip(shares, clusters, strict=True)
    )
    together = math.fsum(share**2 for share in shares)
    freedom = max(1 / together - 1, 1.0)
    return student_t(freedom) * math.sqrt(spread * together / (1 - together))


def student_t(freedom: float) -> float:
    """The 97.5th percentile, linear in 1 / freedom between whole degrees of freedom."""
    whole = math.floor(freedom)
    low, high = _student_t(whole), _student_t(whole + 1)
    part = (1 / freedom - 1 / (whole + 1)) / (1 / whole - 1 / (whole + 1))
    return high + (low - high) * part


@lru_cache
def _student_t(freedom: int) -> float:
    low, high = 0.0, 13.0
    while high - low > 1e-9:
        middle = (low + high) / 2
        low, high = (middle, high) if _student_cdf(middle, freedom) < _SHARE95 else (low, middle)
    return high


def _student_cdf(t: float, freedom: int) -> float:
    """Abramowitz and Stegun 26.7.3 and 26.7.4, for t >= 0."""
    angle = math.atan2(t, math.sqrt(freedom))
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = freedom % 2
    term = cosine if odd else 1.0
    total = term if freedom > 1 else 0.0
    for number in range(2 + odd, freedom - 1, 2):
        term *= cosine * cosine * (number - 1) / number
        total += term
    within = (angle + sine * total) * 2 / math.pi if odd else sine * total
    return (1 + within) / 2


def speed(
    sample: Sample,
    declared: float | None,
    hours: int | None,
    thresholds: Mapping[str, Any],
    *,
    several_plans: bool,
) -> Verdict:
    """The verdict of a direction (M1, M2, M3, M5)."""
    share, least = thresholds["speed_share"], thresholds["speed_samples"]
    if sample.figures.mean is None:
        return Verdict("none", "no_samples")
    if several_plans:
        return Verdict("none", "several_plans")
    if declared is None:
        return Verdict("none", "no_declared_speed")
    why = _missing(sample, hours, least, verified=share["verified"] and least["verified"])
    found = interval(sample)
    if why is not None or found is None:
        return Verdict("none", why or "insufficient_days")
    limit = share["limit"] * declared
    return _by_side(found.low >= limit, found.high < limit)


def latency(sample: Sample, hours: int | None, thresholds: Mapping[str, Any]) -> Verdict:
    """The verdict of the mean round-trip time (M6)."""
    threshold, least = thresholds["latency_mean_ms"], thresholds["speed_samples"]
    if sample.figures.mean is None:
        return Verdict("none", "no_samples")
    why = _missing(sample, hours, least, verified=threshold["verified"] and least["verified"])
    found = interval(sample)
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
    sample: Sample, hours: int | None, least: Mapping[str, Any], *, verified: bool
) -> str | None:
    """The first condition of a verdict that is not met."""
    if not verified:
        return "threshold_unverified"
    if sample.figures.count < max(least["limit"], _LEAST_SAMPLES):
        return "insufficient_samples"
    if hours is not None and hours < 2:
        return "same_hour"
    return "one_line" if sample.lines is not None and len(sample.lines) < 2 else None


def _by_side(met: bool, not_met: bool) -> Verdict:
    if met:
        return Verdict("met", None)
    return Verdict("not_met", None) if not_met else Verdict("none", "interval_contains_threshold")
