"""The thresholds' file and what may be said of a figure, rule by rule."""

from __future__ import annotations

import math
from datetime import date, timedelta

import msgspec
import pytest

from collector.domain import thresholds as parsing
from collector.domain import thresholds_file
from collector.domain.assessment import (
    Assessment,
    ClusterSample,
    NoVerdictReason,
    SampleStatistics,
    Verdict,
    assess_availability,
    assess_latency,
    assess_speed,
    assess_supplementary,
    change,
    confidence_interval,
)
from collector.domain.thresholds import Thresholds
from collector.rollup.days import DaySample
from runtime.settings import SettingsError

SHIPPED = thresholds_file.read()
CONTENT = thresholds_file.SHIPPED.read_text(encoding="utf-8")
VD = 300e6


def days_of(
    count: int, mean: float, days: int = 30, *, first: date = date(2026, 9, 1), block: float = 0.0
) -> tuple[DaySample, ...]:
    """So many samples over so many days, each block of 9 days by turns above and below the mean."""
    each = max(round(count / days), 1)
    return tuple(
        DaySample(first + timedelta(days=n), each, each * (mean + block * (-1) ** (n // 9 % 2)))
        for n in range(days)
    )


def sample(
    count: int = 1_200,
    mean: float | None = 270e6,
    deviation: float | None = 40e6,
    hours: int = 24,
    days: int = 30,
) -> SampleStatistics:
    return SampleStatistics(
        count=count,
        mean=mean,
        deviation=deviation,
        hours=hours,
        days=() if mean is None else days_of(count, mean, days),
    )


def said(judgement: Assessment) -> tuple[Verdict, NoVerdictReason | None]:
    return judgement.verdict, judgement.why


def with_verified(name: str, verified: bool) -> Thresholds:
    changed = msgspec.structs.replace(SHIPPED.of(name), verified=verified)
    return msgspec.structs.replace(SHIPPED, **{name: changed})


def test_the_shipped_file_says_what_the_method_says() -> None:
    assert {name: (limit.limit, limit.verified) for name, limit in SHIPPED.all().items()} == {
        "speed_share": (0.8, True),
        "speed_samples": (1000, True),
        "latency_mean_ms": (50, False),
        "availability": (0.995, False),
        "commune_month_samples": (300, True),
        "week_measurements": (2, True),
    }
    assert [(p.download_mbps, p.upload_mbps) for p in SHIPPED.published] == [
        (57.60, 47.40),
        (238.81, 175.56),
        (272.44, 202.05),
        (320.71, 277.36),
        (259.45, 188.74),
    ]


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("limit = 0.8", "limit = 80", "`speed_share.limit` is a share: at most 1"),
        ("limit = 1000", "limit = 999.5", "`speed_samples.limit` is a count: a whole number"),
        ("limit = 50", "limit = inf", "`latency_mean_ms.limit` must be finite"),
        ("limit = 50", "limit = 0", "latency_mean_ms.limit: expected `float` > 0.0 (it is 0)"),
        ("[week_measurements]", "[week_measurement]", "week_measurements: is missing"),
        (
            'version = "',
            'version = "v',
            "version: expected a date as year-month-day, for example 2026-11-25",
        ),
    ],
)
def test_a_faulty_file_is_refused_with_its_place(old: str, new: str, problem: str) -> None:
    assert old in CONTENT
    with pytest.raises(SettingsError) as told:
        parsing.parse(CONTENT.replace(old, new, 1).encode(), "t.toml")
    assert problem in str(told.value)


def test_a_file_that_is_not_there_is_a_sentence() -> None:
    with pytest.raises(SettingsError, match="cannot be read: No such file"):
        thresholds_file.read(thresholds_file.SHIPPED.with_name("none.toml"))


def test_a_mean_whose_interval_is_above_the_share_meets_it() -> None:
    judged = assess_speed(sample(), VD, SHIPPED)
    assert said(judged) == (Verdict.MET, None)
    assert judged.limit == pytest.approx(240e6)
    assert judged.share == pytest.approx(0.9)
    assert judged.interval is not None
    assert judged.interval.high - 270e6 == pytest.approx(1.96 * 40e6 / 1200**0.5, rel=1e-4)


def test_a_mean_whose_interval_is_below_the_share_does_not_meet_it() -> None:
    assert said(assess_speed(sample(mean=200e6), VD, SHIPPED)) == (Verdict.NOT_MET, None)


def test_an_interval_that_holds_the_share_is_no_verdict() -> None:
    wide = sample(mean=241e6)
    assert said(assess_speed(wide, VD, SHIPPED)) == (
        Verdict.NONE,
        NoVerdictReason.INTERVAL_CONTAINS_THRESHOLD,
    )


def test_no_declared_speed_no_verdict() -> None:
    judged = assess_speed(sample(), None, SHIPPED)
    assert said(judged) == (Verdict.NONE, NoVerdictReason.NO_DECLARED_SPEED)
    assert (judged.limit, judged.share) == (None, None)


@pytest.mark.parametrize(
    ("count", "why"), [(999, NoVerdictReason.INSUFFICIENT_SAMPLES), (1_000, None)]
)
def test_a_thousand_samples_are_needed(count: int, why: NoVerdictReason | None) -> None:
    judged = assess_speed(sample(count=count, mean=299e6), VD, SHIPPED)
    assert judged.why is why
    assert (judged.count, judged.needed) == (count, 1_000)


def test_samples_of_one_hour_of_the_day_are_not_enough() -> None:
    assert said(assess_speed(sample(hours=1), VD, SHIPPED)) == (
        Verdict.NONE,
        NoVerdictReason.SAME_HOUR,
    )


def test_no_samples_is_said_before_anything_else() -> None:
    empty = sample(count=0, mean=None, deviation=None)
    assert said(assess_speed(empty, None, SHIPPED)) == (Verdict.NONE, NoVerdictReason.NO_SAMPLES)


def test_an_unverified_threshold_gives_no_verdict_and_is_still_shown() -> None:
    judged = assess_latency(sample(mean=12.0, deviation=1.0), SHIPPED)
    assert said(judged) == (Verdict.NONE, NoVerdictReason.THRESHOLD_UNVERIFIED)
    assert judged.limit == 50
    assert (
        assess_availability(2_591_000, 1_000, SHIPPED).why is NoVerdictReason.THRESHOLD_UNVERIFIED
    )


@pytest.mark.parametrize(
    ("mean", "verdict"), [(12.0, Verdict.MET), (80.0, Verdict.NOT_MET), (50.01, Verdict.NONE)]
)
def test_latency_is_judged_once_its_threshold_is_verified(mean: float, verdict: Verdict) -> None:
    verified = with_verified("latency_mean_ms", True)
    assert assess_latency(sample(mean=mean, deviation=4.0), verified).verdict is verdict


@pytest.mark.parametrize(("down_s", "verdict"), [(5, Verdict.MET), (6, Verdict.NOT_MET)])
def test_availability_is_of_the_known_time(down_s: float, verdict: Verdict) -> None:
    verified = with_verified("availability", True)
    assert assess_availability(1_000 - down_s, down_s, verified).verdict is verdict
    assert assess_availability(0, 0, verified).why is NoVerdictReason.NO_SAMPLES


def test_what_has_no_threshold_is_supplementary() -> None:
    assert said(assess_supplementary(sample(mean=0.01, deviation=0.02))) == (
        Verdict.NONE,
        NoVerdictReason.SUPPLEMENTARY,
    )


def test_a_small_sample_has_no_interval() -> None:
    assert confidence_interval(sample(count=29)) is None
    assert confidence_interval(sample(count=30)) is not None


def test_days_that_differ_widen_the_interval() -> None:
    """Blocks at 310, 230, 310 and 230 Mbit/s: 1,200 independent samples would say 270 +- 2.3."""
    blocks = msgspec.structs.replace(sample(), days=days_of(1_200, 270e6, 36, block=40e6))
    judged = assess_speed(blocks, VD, SHIPPED)
    assert said(judged) == (Verdict.NONE, NoVerdictReason.INTERVAL_CONTAINS_THRESHOLD)
    assert judged.interval is not None
    # s = 46.19, / sqrt(4), * 3.182 (Student's t, 3 degrees of freedom).
    half = (judged.interval.high - judged.interval.low) / 2
    assert half == pytest.approx(73.5e6, rel=0.002)


def test_variances_of_lines_and_blocks_are_added() -> None:
    of_lines = pooled(*[262e6, 278e6] * 4, deviation=1e6)
    of_blocks = msgspec.structs.replace(
        of_lines, lines=None, days=days_of(1_200, 270e6, 32, block=4e6)
    )
    both = msgspec.structs.replace(of_lines, days=of_blocks.days)
    lines, blocks, whole = (
        found.high - 270e6
        for one in (of_lines, of_blocks, both)
        if (found := confidence_interval(one)) is not None
    )
    assert min(lines, blocks) > 1e6
    assert whole == pytest.approx(math.hypot(lines, blocks))


@pytest.mark.parametrize(("days", "why"), [(24, NoVerdictReason.INSUFFICIENT_DAYS), (25, None)])
def test_a_verdict_needs_days_enough(days: int, why: NoVerdictReason | None) -> None:
    judged = assess_speed(sample(mean=299e6, days=days), VD, SHIPPED)
    assert judged.why is why
    assert (judged.interval is None) == (why is not None)
    unknown = msgspec.structs.replace(sample(mean=299e6), days=())
    assert assess_speed(unknown, VD, SHIPPED).why is NoVerdictReason.INSUFFICIENT_DAYS


def test_days_without_samples_between_others_count_for_the_span_and_make_no_block() -> None:
    whole = days_of(1_200, 270e6, 32, block=4e6)
    found = confidence_interval(msgspec.structs.replace(sample(), days=whole[:8] + whole[24:]))
    all_of_it = confidence_interval(msgspec.structs.replace(sample(), days=whole))
    assert found is not None
    assert all_of_it is not None
    assert found.high > 2 * all_of_it.high - 270e6, "two blocks say less than four"


def test_a_long_period_has_longer_blocks() -> None:
    """Of 108 days: six blocks of 18, in each of which two blocks of 9 cancel out."""
    alternating = days_of(10_800, 270e6, 108, block=40e6)
    found = confidence_interval(
        SampleStatistics(count=10_800, mean=270e6, deviation=1e6, days=alternating)
    )
    assert found is not None
    assert found.high - 270e6 == pytest.approx(1.96 * 1e6 / 10_800**0.5, rel=1e-4)


def test_no_interval_is_below_zero() -> None:
    slow = sample(count=1_200, mean=5e6, deviation=6e6)
    found = confidence_interval(
        msgspec.structs.replace(slow, days=days_of(1_200, 5e6, 32, block=4e6))
    )
    assert found is not None
    assert found.low == 0
    assert found.high > 10e6


def pooled(*means: float, each: int = 150, deviation: float = 40e6) -> SampleStatistics:
    """Lines of as many samples, which differ by as much within each."""
    lines = tuple(ClusterSample(each, mean) for mean in means)
    mean = sum(means) / len(means)
    between = sum((one - mean) ** 2 for one in means) / len(means)
    return SampleStatistics(
        count=each * len(means),
        mean=mean,
        deviation=(deviation**2 + between) ** 0.5,
        hours=24,
        lines=lines,
        days=days_of(each * len(means), mean),
    )


def test_several_lines_are_judged_by_how_they_differ() -> None:
    """Five of seven reach 260 of 300: as independent samples 237 +- 3 would be “not met”."""
    lines = pooled(*[260e6] * 5, *[180e6] * 2, deviation=20e6)
    alone = assess_speed(msgspec.structs.replace(lines, lines=None), VD, SHIPPED)
    assert said(alone) == (Verdict.NOT_MET, None)
    judged = assess_speed(lines, VD, SHIPPED)
    assert said(judged) == (Verdict.NONE, NoVerdictReason.INTERVAL_CONTAINS_THRESHOLD)
    assert judged.mean == alone.mean, "the mean is that of all samples"
    assert judged.interval is not None
    # s = 39.04, / sqrt(7), * 2.447 (Student's t, 6 degrees of freedom).
    half = (judged.interval.high - judged.interval.low) / 2
    assert half == pytest.approx(36.1e6, rel=0.002)


def test_lines_that_are_alike_may_be_judged() -> None:
    assert said(assess_speed(pooled(*[262e6, 270e6] * 4), VD, SHIPPED)) == (Verdict.MET, None)
    assert said(assess_speed(pooled(*[162e6, 170e6] * 4), VD, SHIPPED)) == (Verdict.NOT_MET, None)


def test_lines_that_agree_by_chance_are_no_surer_than_their_samples() -> None:
    lines = pooled(*[239e6] * 7)
    assert confidence_interval(lines) == confidence_interval(
        msgspec.structs.replace(lines, lines=None)
    )


def test_one_line_of_several_says_nothing_of_the_others() -> None:
    lines = msgspec.structs.replace(sample(), lines=(ClusterSample(1_200, 270e6),))
    judged = assess_speed(lines, VD, SHIPPED)
    assert said(judged) == (Verdict.NONE, NoVerdictReason.ONE_LINE)
    assert judged.interval is None


def test_a_line_with_nearly_all_samples_speaks_for_no_other() -> None:
    few = (
        ClusterSample(2_000, 270e6),
        ClusterSample(1, 260e6),
        ClusterSample(1, 280e6),
        ClusterSample(1, 265e6),
    )
    many = tuple(msgspec.structs.replace(one, count=500) for one in few)
    wide, narrow = (
        confidence_interval(msgspec.structs.replace(sample(mean=269e6), lines=lines))
        for lines in (few, many)
    )
    assert wide is not None
    assert narrow is not None
    assert wide.high - wide.low > 3 * (narrow.high - narrow.low)


def test_a_change_is_clear_only_beyond_both_intervals() -> None:
    before = sample(mean=270e6)
    interval = confidence_interval(before)
    assert interval is not None
    half = interval.high - 270e6
    near, far = change(before, sample(mean=270e6 + half)), change(before, sample(mean=274e6))
    assert near is not None
    assert far is not None
    assert near.half == pytest.approx(half * math.sqrt(2))
    assert not near.is_significant
    assert far.difference == pytest.approx(4e6)
    assert far.is_significant
    short = change(sample(days=20), sample(mean=100e6))
    assert short is not None
    assert (short.half, short.is_significant) == (None, False)
    assert change(sample(count=0, mean=None), before) is None
