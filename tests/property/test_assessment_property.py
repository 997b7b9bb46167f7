"""What no figure, however odd, may make the judge say."""

from __future__ import annotations

from datetime import date, timedelta

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from collector.domain import thresholds_file
from collector.domain.assessment import (
    ClusterSample,
    SampleStatistics,
    Verdict,
    assess_latency,
    assess_speed,
    confidence_interval,
    days_spanned,
)
from collector.domain.thresholds import Thresholds
from collector.rollup.days import DaySample

SHIPPED = thresholds_file.read()
NAMES = list(SHIPPED.all())


@st.composite
def days(draw: st.DrawFn) -> tuple[DaySample, ...]:
    """Some of 90 days, each with its samples."""
    numbers = sorted(draw(st.sets(st.integers(0, 89), max_size=40)))
    return tuple(
        DaySample(
            date(2026, 9, 1) + timedelta(days=number),
            count := draw(st.integers(1, 200)),
            count * draw(st.floats(0, 1e10)),
        )
        for number in numbers
    )


samples = st.builds(
    SampleStatistics,
    count=st.integers(0, 5_000),
    mean=st.none() | st.floats(0, 1e10),
    deviation=st.none() | st.floats(0, 1e9),
    hours=st.none() | st.integers(0, 24),
    days=days(),
    lines=st.none()
    | st.lists(
        st.builds(ClusterSample, count=st.integers(1, 5_000), mean=st.floats(0, 1e10)), max_size=5
    ).map(tuple),
)
declared = st.none() | st.floats(1e3, 1e10)


@st.composite
def any_thresholds(draw: st.DrawFn) -> Thresholds:
    """The shipped ones, each verified or not."""
    changed = {
        name: msgspec.structs.replace(SHIPPED.of(name), verified=draw(st.booleans()))
        for name in NAMES
    }
    return msgspec.structs.replace(SHIPPED, **changed)


@given(samples, declared, any_thresholds())
def test_a_verdict_on_speed_holds_every_rule(
    sample: SampleStatistics, declared_bps: float | None, thresholds: Thresholds
) -> None:
    judged = assess_speed(sample, declared_bps, thresholds)
    assert (judged.verdict is Verdict.NONE) == (judged.why is not None)
    if judged.verdict is Verdict.NONE:
        return
    assert declared_bps is not None
    assert sample.count >= 1_000
    assert sample.hours is None or sample.hours > 1
    assert sample.lines is None or len(sample.lines) > 1
    assert days_spanned(sample.days) >= 25
    assert thresholds.speed_share.verified
    assert judged.interval is not None
    limit = 0.8 * declared_bps
    clears = judged.interval.low >= limit or judged.interval.high < limit
    assert clears
    assert (judged.verdict is Verdict.MET) == (judged.interval.low >= limit)


@given(st.integers(1_000, 5_000), st.floats(1e6, 1e9), st.floats(0, 1e9), st.floats(1e6, 1e9))
def test_more_of_the_same_speed_never_turns_a_verdict(
    count: int, mean: float, deviation: float, declared_bps: float
) -> None:
    first, second = (
        assess_speed(
            SampleStatistics(
                count=n,
                mean=mean,
                deviation=deviation,
                days=tuple(
                    DaySample(date(2026, 9, day), n // 30, n // 30 * mean) for day in range(1, 31)
                ),
            ),
            declared_bps,
            SHIPPED,
        )
        for n in (count, count * 4)
    )
    if first.verdict is not Verdict.NONE:
        assert second.verdict is first.verdict


@given(samples, any_thresholds())
def test_an_unverified_limit_never_judges_latency(
    sample: SampleStatistics, thresholds: Thresholds
) -> None:
    judged = assess_latency(sample, thresholds)
    if not thresholds.latency_mean_ms.verified:
        assert judged.verdict is Verdict.NONE


@given(samples)
def test_days_never_make_an_interval_narrower_than_its_samples(sample: SampleStatistics) -> None:
    interval = confidence_interval(msgspec.structs.replace(sample, lines=None))
    if interval is not None and sample.mean is not None and sample.deviation is not None:
        by_samples = 1.959 * sample.deviation / sample.count**0.5
        assert interval.high - sample.mean >= by_samples * (1 - 1e-6) - 1e-6 * sample.mean


@given(samples)
def test_the_interval_holds_the_mean(sample: SampleStatistics) -> None:
    interval = confidence_interval(sample)
    if interval is not None and sample.mean is not None:
        assert interval.low <= sample.mean <= interval.high


@given(samples)
def test_lines_never_make_an_interval_narrower(sample: SampleStatistics) -> None:
    lines = confidence_interval(sample)
    alone = confidence_interval(msgspec.structs.replace(sample, lines=None))
    if lines is not None:
        assert alone is not None
        assert lines.low <= alone.low <= alone.high <= lines.high
