"""Floor 1. Assesses a figure against its threshold, by statistical rules.

The result is an indicative comparison, not a finding of the regulator. The rules
(docs/method.md#assessment; QCVN 34:2022/BTTTT for speed):

- Speed: the arithmetic mean of whole-transfer speeds is compared with 0.8 of the declared Vd or Vu.
  There is a verdict only if the 95 % interval of the mean lies wholly on one side. There is none
  without a declared speed, under 1,000 samples, with all samples in the same hour of the day, or
  with samples of less than 25 days.
- Neighbouring samples are not independent: the interval is that of the means of blocks of days.
- Samples of several lines: how the lines' means differ is added to it (cluster sampling).
- Lines with several declared speeds together: no verdict.
- A threshold whose source nobody has verified: no verdict.
- A figure without a national threshold is supplementary: no verdict.
- The samples of both address families count together, as sums: the regulation assesses a service
  and knows no family. The figures of one family alone have no verdict.

Pages and reports have a text for each `NoVerdictReason`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import StrEnum
from itertools import groupby

from msgspec import Struct

from collector.domain.thresholds import Threshold, Thresholds
from collector.rollup.days import DaySample
from collector.rollup.student_t import student_t

# Below this number of samples, or of days from the first to the last with samples, there is no
# interval. Chosen by simulation (`python -m bench.interval_coverage`, decision 103).
INTERVAL_SAMPLES = 30
INTERVAL_DAYS = 25
# Blocks have this many days at least; a long period has at most so many blocks.
BLOCK_DAYS = 9
BLOCKS_MOST = 6
_Z95 = 1.959964


class Verdict(StrEnum):
    """Whether a figure meets its threshold."""

    MET = "met"
    NOT_MET = "not_met"
    NONE = "none"


class NoVerdictReason(StrEnum):
    """Why there is no verdict: a closed list. The first that applies, in this order, is given."""

    NO_SAMPLES = "no_samples"
    SEVERAL_PLANS = "several_plans"
    NO_DECLARED_SPEED = "no_declared_speed"
    THRESHOLD_UNVERIFIED = "threshold_unverified"
    INSUFFICIENT_SAMPLES = "insufficient_samples"
    SAME_HOUR = "same_hour"
    INSUFFICIENT_DAYS = "insufficient_days"
    ONE_LINE = "one_line"
    INTERVAL_CONTAINS_THRESHOLD = "interval_contains_threshold"
    SUPPLEMENTARY = "supplementary"
    ONE_FAMILY = "one_family"


class ClusterSample(Struct, frozen=True):
    """Samples of one line or one block of days: how many, and their mean in the figure's unit."""

    count: int
    mean: float


class SampleStatistics(Struct, frozen=True, kw_only=True):
    """Count, mean and deviation of one figure over a period.

    `deviation` is the samples' standard deviation (n - 1), in the figure's unit; None below two
    samples. `hours` is the number of different hours of the day in which samples were taken, None
    where that is not known. `lines` are the parts where the samples are of several lines, those
    that have any; None where they are of one. `days` are the days with samples, of all lines
    together, ascending; without them there is no interval.
    """

    count: int
    mean: float | None
    deviation: float | None
    hours: int | None = None
    lines: tuple[ClusterSample, ...] | None = None
    days: tuple[DaySample, ...] = ()


class ConfidenceInterval(Struct, frozen=True):
    """The 95 % interval of a mean, in the figure's unit; never below zero, as no figure is."""

    low: float
    high: float


class Assessment(Struct, frozen=True, kw_only=True):
    """A figure compared with its threshold. `why` is given exactly when `verdict` is NONE.

    `limit` is in the figure's unit; None where none can be given. `needed` is the number of samples
    that a verdict requires.
    """

    verdict: Verdict
    why: NoVerdictReason | None
    count: int
    needed: int
    mean: float | None
    interval: ConfidenceInterval | None
    limit: float | None
    share: float | None = None


def confidence_interval(sample: SampleStatistics) -> ConfidenceInterval | None:
    """The mean's 95 % interval; None where the samples are too few or of too few days.

    Samples of neighbouring hours and days are correlated, so an interval of independent samples is
    too narrow. The sampling unit is a block of days, as in the method of batch means (Law,
    Simulation Modeling and Analysis, section 9.5), and of several lines also the line (cluster
    sampling; Cochran, Sampling Techniques, chapter 9). The variances by block and by line are
    added: an upper bound of two-way clustering (Cameron, Gelbach, Miller 2011), which subtracts
    what is in both. It is never narrower than that of independent samples (decision 103).
    """
    if (
        sample.mean is None
        or sample.deviation is None
        or sample.count < INTERVAL_SAMPLES
        or days_spanned(sample.days) < INTERVAL_DAYS
    ):
        return None
    half = half_between(_blocks(sample.days))
    if sample.lines is not None:
        half = math.hypot(half, half_between(sample.lines))
    half = max(half, _Z95 * sample.deviation / math.sqrt(sample.count))
    if not math.isfinite(half):
        return None
    return ConfidenceInterval(max(sample.mean - half, 0.0), sample.mean + half)


class Change(Struct, frozen=True):
    """How the mean of one period differs from that of another, in the figure's unit.

    `half` is half the width of the difference's 95 % interval, None where either has none.
    """

    difference: float
    half: float | None

    @property
    def is_significant(self) -> bool:
        """Whether the interval of the difference lies wholly on one side of zero."""
        return self.half is not None and abs(self.difference) > self.half


def change(before: SampleStatistics, after: SampleStatistics) -> Change | None:
    """The change of a mean between two periods, one after the other; None without samples.

    The periods' means are taken as independent, so the variances of both add up
    (docs/method.md#assessment, M12).
    """
    if before.mean is None or after.mean is None:
        return None
    halves = [
        interval.high - mean
        for interval, mean in (
            (confidence_interval(before), before.mean),
            (confidence_interval(after), after.mean),
        )
        if interval is not None
    ]
    return Change(after.mean - before.mean, math.hypot(*halves) if len(halves) == 2 else None)


def days_spanned(days: Sequence[DaySample]) -> int:
    """The days from the first with samples to the last, both included; 0 without any."""
    return (days[-1].day - days[0].day).days + 1 if days else 0


def _blocks(days: Sequence[DaySample]) -> list[ClusterSample]:
    """The samples of each block of consecutive days, from the first day with samples on."""
    first = days[0].day
    length = max(BLOCK_DAYS, math.ceil(days_spanned(days) / BLOCKS_MOST))
    parts = [list(same) for _, same in groupby(days, lambda one: (one.day - first).days // length)]
    counts = [sum(day.count for day in part) for part in parts]
    return [
        ClusterSample(count, math.fsum(day.total for day in part) / count)
        for count, part in zip(counts, parts, strict=True)
    ]


def half_between(clusters: Sequence[ClusterSample]) -> float:
    """Half the width of the interval from the means of clusters, weighted by their samples.

    The mean is that of all samples, as the regulation defines it, so a cluster with twice the
    samples counts twice. The degrees of freedom are those of the effective number of clusters (Kish
    1965), which equals their number where all have the same count. Infinite where only one has any.
    """
    if len(clusters) < 2:
        return math.inf
    count = sum(cluster.count for cluster in clusters)
    parts = [(cluster.count / count, cluster.mean) for cluster in clusters]
    together = sum(share**2 for share, _ in parts)
    mean = sum(share * of_cluster for share, of_cluster in parts)
    spread = sum(share * (of_cluster - mean) ** 2 for share, of_cluster in parts)
    freedom = max(1 / together - 1, 1.0)
    return student_t(freedom) * math.sqrt(spread * together / (1 - together))


def assess_speed(
    sample: SampleStatistics, declared_bps: float | None, thresholds: Thresholds
) -> Assessment:
    """Assess the mean whole-transfer speed of one direction (bit/s) by the declared speed (bit/s).

    `share` is mean / declared.
    """
    share = thresholds.speed_share
    limit = None if declared_bps is None else share.limit * declared_bps
    why, interval = (
        _missing_condition(sample, limit, share, thresholds),
        confidence_interval(sample),
    )
    verdict = Verdict.NONE
    if why is None and limit is not None and interval is not None:
        verdict = _side(interval.low >= limit, interval.high < limit)
        why = NoVerdictReason.INTERVAL_CONTAINS_THRESHOLD if verdict is Verdict.NONE else None
    mean = sample.mean
    return Assessment(
        verdict=verdict,
        why=why,
        count=sample.count,
        needed=int(thresholds.speed_samples.limit),
        mean=mean,
        interval=interval,
        limit=limit,
        share=mean / declared_bps if mean is not None and declared_bps else None,
    )


def assess_latency(sample: SampleStatistics, thresholds: Thresholds) -> Assessment:
    """Assess the mean round-trip time (ms) to a server in the country by its upper limit (ms)."""
    threshold = thresholds.latency_mean_ms
    why, interval = (
        _missing_condition(sample, threshold.limit, threshold, thresholds),
        confidence_interval(sample),
    )
    verdict = Verdict.NONE
    if why is None and interval is not None:
        verdict = _side(interval.high <= threshold.limit, interval.low > threshold.limit)
        why = NoVerdictReason.INTERVAL_CONTAINS_THRESHOLD if verdict is Verdict.NONE else None
    return Assessment(
        verdict=verdict,
        why=why,
        count=sample.count,
        needed=int(thresholds.speed_samples.limit),
        mean=sample.mean,
        interval=interval,
        limit=threshold.limit,
    )


def assess_availability(up_s: float, down_s: float, thresholds: Thresholds) -> Assessment:
    """Assess availability from seconds up and down (unknown seconds in neither)."""
    threshold = thresholds.availability
    known_s = up_s + down_s
    ratio = up_s / known_s if known_s > 0 else None
    verdict, why = Verdict.NONE, None
    if ratio is None:
        why = NoVerdictReason.NO_SAMPLES
    elif not threshold.verified:
        why = NoVerdictReason.THRESHOLD_UNVERIFIED
    else:
        verdict = _side(ratio >= threshold.limit, ratio < threshold.limit)
    return Assessment(
        verdict=verdict,
        why=why,
        count=int(known_s // 60),
        needed=1,
        mean=ratio,
        interval=None,
        limit=threshold.limit,
    )


def assess_supplementary(sample: SampleStatistics) -> Assessment:
    """A figure that has no national threshold: loss, delay variation, latency under load."""
    return Assessment(
        verdict=Verdict.NONE,
        why=NoVerdictReason.SUPPLEMENTARY if sample.count else NoVerdictReason.NO_SAMPLES,
        count=sample.count,
        needed=0,
        mean=sample.mean,
        interval=confidence_interval(sample),
        limit=None,
    )


def _missing_condition(
    sample: SampleStatistics, limit: float | None, threshold: Threshold, thresholds: Thresholds
) -> NoVerdictReason | None:
    """The first condition for a verdict that is not met; None where all are."""
    if sample.count == 0 or sample.mean is None:
        return NoVerdictReason.NO_SAMPLES
    if limit is None:
        return NoVerdictReason.NO_DECLARED_SPEED
    if not (threshold.verified and thresholds.speed_samples.verified):
        return NoVerdictReason.THRESHOLD_UNVERIFIED
    if sample.count < max(thresholds.speed_samples.limit, INTERVAL_SAMPLES):
        return NoVerdictReason.INSUFFICIENT_SAMPLES
    if sample.hours is not None and sample.hours < 2:
        return NoVerdictReason.SAME_HOUR
    if sample.lines is not None and len(sample.lines) < 2:
        return NoVerdictReason.ONE_LINE
    if confidence_interval(sample) is None:
        return NoVerdictReason.INSUFFICIENT_DAYS
    return None


def _side(met: bool, not_met: bool) -> Verdict:
    if met:
        return Verdict.MET
    return Verdict.NOT_MET if not_met else Verdict.NONE
