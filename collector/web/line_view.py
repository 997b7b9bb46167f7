"""Floor 1. The line page: charts over time, heat map, distributions, assessments, validity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from msgspec import Struct, structs

from collector.domain.assessment import (
    Assessment,
    NoVerdictReason,
    Verdict,
    assess_availability,
    assess_latency,
    assess_speed,
)
from collector.domain.lines import KnownLine
from collector.domain.thresholds import Thresholds
from collector.rollup.days import DaySample
from collector.rollup.metrics import ON_DEMAND
from collector.rollup.periods import Period, Step, bucket_start
from collector.rollup.queries import Bucket, HourMean, HoursOfWeek
from collector.rollup.summary import PACKETS, Summary
from collector.web import families_view
from collector.web.drawing import bars, line_chart
from collector.web.drawing.bars import Bars
from collector.web.drawing.line_chart import Chart, Figure, Mark, Series
from collector.web.formatting import MISSING, axis_number, figure, moment, whole_number
from collector.web.labels import measurement
from collector.web.line_table import (
    DOWN,
    LATENCY,
    UP,
    VERDICT_LOOKS,
    percent,
    sample_of,
    scaled,
)
from collector.web.presentation import Badge, Locale
from runtime.language import Phrase
from wire.figures import MEGABIT, MIN_SAMPLES
from wire.result import Family

RTT_WINDOW = "latency_rtt_p50_ms"
RTT_PACKETS = f"latency_{PACKETS}"
LOADED_DOWN = "throughput_rtt_loaded_download_p50_ms"
LOADED_UP = "throughput_rtt_loaded_upload_p50_ms"
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_PER_MEGABIT = 1 / MEGABIT
_STEPS = {Step.HOUR: timedelta(hours=1), Step.DAY: timedelta(days=1)}
_FAMILY_STYLES = {Family.IPV4: "series-a", Family.IPV6: "series-b", None: "series-c"}
_ON_DEMAND = Phrase("đo theo yêu cầu, ngoài lịch", "on demand, not scheduled")


class IndicatorRow(Struct, frozen=True, kw_only=True):
    """A figure compared with its threshold: a row of the assessment table."""

    name: str
    value: str
    interval: str
    count: str
    limit: str
    verdict: Badge
    source: str


class HeatmapCell(Struct, frozen=True):
    """An hour of a weekday. Level 0: no samples; 1 (slowest) to 5 (fastest) fifth of the range."""

    level: int
    text: str
    words: str


class KindRow(Struct, frozen=True, kw_only=True):
    """The counts, reasons and validity flags of a kind."""

    name: str
    valid: str
    attempted: str
    skipped: str
    reasons: list[str]
    flags: list[str]


def step_of(period: Period) -> Step:
    """Hours for a period of up to 8 days, else days."""
    return Step.HOUR if period.days <= 8 else Step.DAY


def charts(
    buckets: Sequence[Bucket],
    line: KnownLine,
    period: Period,
    now: datetime,
    locale: Locale,
    marks: Sequence[Mark] = (),
) -> dict[str, Chart | None]:
    """Speed, latency and loss over a period up to now, by label name."""
    step, end = step_of(period), end_of_charts(period, now)
    return charts_between(buckets, line, period.starts_at, end, step, locale, marks)


def end_of_charts(period: Period, now: datetime) -> datetime:
    """Where the charts of a period end: now, unless it is over."""
    return min(period.ends_at, max(now, period.starts_at + _STEPS[step_of(period)]))


def charts_between(
    buckets: Sequence[Bucket],
    line: KnownLine,
    start: datetime,
    end: datetime,
    step: Step,
    locale: Locale,
    marks: Sequence[Mark] = (),
) -> dict[str, Chart | None]:
    """Speed, latency and loss from `start` to `end`, by label name."""
    drawn = partial(drawn_chart, start=start, end=end, step=step, locale=locale, marks=marks)
    plan = None if line.plan_down_bps is None else line.plan_down_bps * _PER_MEGABIT
    return {
        "chart_speed": drawn(
            [
                _series(
                    buckets,
                    DOWN,
                    "series-a",
                    locale.label("public_down"),
                    locale,
                    _PER_MEGABIT,
                    spread=True,
                ),
                _series(
                    buckets, UP, "series-b", locale.label("public_up_alone"), locale, _PER_MEGABIT
                ),
            ],
            plan=plan,
        ),
        "chart_latency": drawn(
            [
                _series(
                    buckets, LATENCY, "series-a", locale.label("idle_latency"), locale, spread=True
                ),
                _series(buckets, LOADED_DOWN, "series-b", locale.label("loaded_latency"), locale),
            ]
        ),
        "chart_loss": drawn([_loss_series(buckets, locale)]),
    }


def family_charts(
    families: Mapping[Family | None, Sequence[Bucket]],
    start: datetime,
    end: datetime,
    step: Step,
    locale: Locale,
    marks: Sequence[Mark] = (),
) -> dict[str, Chart | None]:
    """Download and latency by address family from `start` to `end`; none of a line with one."""
    found: dict[str, Chart | None] = {}
    for name, metric, factor in (
        ("chart_speed_families", DOWN, _PER_MEGABIT),
        ("chart_latency_families", LATENCY, 1.0),
    ):
        shown = [
            (family, buckets)
            for family, buckets in families_view.in_order(families)
            if any(bucket.summary.metric(metric).count for bucket in buckets)
        ]
        if len(shown) > 1:
            found[name] = drawn_chart(
                [
                    _series(
                        buckets,
                        metric,
                        _FAMILY_STYLES[family],
                        families_view.family_name(family, locale),
                        locale,
                        factor,
                    )
                    for family, buckets in shown
                ],
                start=start,
                end=end,
                step=step,
                locale=locale,
                marks=marks,
            )
    return found


def indicator_rows(
    summary: Summary,
    line: KnownLine,
    hours: int,
    thresholds: Thresholds,
    locale: Locale,
    *,
    days: Mapping[str, Sequence[DaySample]],
    one_plan: bool = True,
) -> list[IndicatorRow]:
    """The assessment of each indicator.

    `days` are the samples by day of each metric that has an interval. `one_plan`: the plan was the
    same over the whole period.
    """
    latency = assess_latency(
        sample_of(summary.metric(LATENCY), hours, days.get(LATENCY, ())), thresholds
    )
    available = assess_availability(summary.up_minutes * 60, summary.down_minutes * 60, thresholds)
    found = []
    for name, metric, plan in (
        ("mean_down", DOWN, line.plan_down_bps),
        ("mean_up", UP, line.plan_up_bps),
    ):
        assessment = assess_speed(
            sample_of(summary.metric(metric), hours, days.get(metric, ())), plan, thresholds
        )
        if assessment.count and not one_plan:
            assessment = structs.replace(
                assessment, verdict=Verdict.NONE, why=NoVerdictReason.SEVERAL_PLANS
            )
        found.append(
            _indicator_row(name, assessment, _PER_MEGABIT, thresholds.speed_share.source, locale)
        )
    found.append(
        _indicator_row("mean_latency", latency, 1, thresholds.latency_mean_ms.source, locale)
    )
    row = _indicator_row(
        "availability_percent", available, 100, thresholds.availability.source, locale
    )
    minutes = f"{locale.number(available.count)} {locale.label('minutes')}"
    # With a minute down it is never rounded to 100, and its minutes are no samples.
    value = percent(available.mean, locale).removesuffix("%")
    return [*found, structs.replace(row, value=value, count=minutes)]


def hours_with_samples(week: HoursOfWeek) -> int:
    """In how many hours of the day there are valid speed tests."""
    return len(
        {
            hour
            for (_, hour), parts in week.items()
            if any(part.counts("throughput").valid for part in parts)
        }
    )


def heatmap(
    means: Mapping[tuple[int, int], HourMean], locale: Locale
) -> list[tuple[str, list[HeatmapCell]]]:
    """Seven rows of 24 cells: the mean download of each hour of the week."""
    known = [each.mean for each in means.values()]
    low, high = min(known, default=0.0), max(known, default=0.0)
    return [
        (
            locale.label(name),
            [_heatmap_cell(means.get((day, hour)), low, high, locale) for hour in range(24)],
        )
        for day, name in enumerate(WEEKDAYS)
    ]


def distributions(summary: Summary, locale: Locale) -> dict[str, Bars | None]:
    """The histograms of download speed and latency, by label name."""
    language = locale.language
    packets = summary.metric(RTT_PACKETS)
    return {
        "spread_speed": bars.histogram(
            summary.metric(DOWN),
            lambda value: axis_number(value * _PER_MEGABIT, language),
            lambda many: f"{whole_number(many, language)} {locale.label('samples')}",
        ),
        "spread_latency": bars.histogram(
            packets if packets.count else summary.metric(RTT_WINDOW),
            lambda value: f"{axis_number(value, language)} ms",
            lambda many: whole_number(many, language),
        ),
    }


def percentiles(summary: Summary, locale: Locale) -> list[tuple[str, str, str, str]]:
    """Rows of (name, p50, p95, n) for the metrics that have a sketch."""
    rows = []
    for name, metric, factor in (
        ("mean_down", DOWN, _PER_MEGABIT),
        ("mean_up", UP, _PER_MEGABIT),
        ("idle_latency", RTT_PACKETS, 1.0),
        ("loaded_latency_down", LOADED_DOWN, 1.0),
        ("loaded_latency_up", LOADED_UP, 1.0),
    ):
        figures = summary.metric(metric)
        if not figures.count:
            continue
        # docs/method.md#assessment, M10: no p95 under 59 samples.
        p95 = (
            figures.quantile(0.95) if figures.count + figures.infinite >= MIN_SAMPLES[950] else None
        )
        rows.append(
            (
                locale.label(name.replace("mean_", "speed_")),
                scaled(figures.quantile(0.5), factor, locale),
                scaled(p95, factor, locale),
                whole_number(figures.count, locale.language),
            )
        )
    return rows


def kind_rows(summary: Summary, locale: Locale) -> list[KindRow]:
    """The counts of each kind."""
    number = locale.number
    return [
        KindRow(
            name=measurement.KINDS[kind].in_(locale.language)
            if kind in measurement.KINDS
            else kind,
            valid=number(counts.valid),
            attempted=number(counts.attempted),
            skipped=number(counts.skipped),
            reasons=_counted(counts.reasons, measurement.REASONS, locale),
            flags=_counted(counts.flags, measurement.VALIDITIES | {ON_DEMAND: _ON_DEMAND}, locale),
        )
        for kind, counts in sorted(summary.kinds.items())
    ]


def no_verdict_text(why: NoVerdictReason | None, locale: Locale) -> str:
    """The reason why there is no verdict; "" if there is one."""
    return locale.label(f"why_{why}") if why else ""


def _indicator_row(
    name: str, assessment: Assessment, factor: float, source: str, locale: Locale
) -> IndicatorRow:
    language = locale.language
    interval = MISSING
    if assessment.interval is not None:
        low, high = assessment.interval.low * factor, assessment.interval.high * factor
        interval = f"{figure(low, language)} – {figure(high, language)}"
    look = VERDICT_LOOKS.get(assessment.verdict)
    return IndicatorRow(
        name=locale.label(name),
        value=scaled(assessment.mean, factor, locale)
        + (
            f" ({percent(assessment.share, locale, places=0)})"
            if assessment.share is not None
            else ""
        ),
        interval=interval,
        count=f"{locale.number(assessment.count)}/{locale.number(assessment.needed)}",
        limit=scaled(assessment.limit, factor, locale),
        verdict=Badge(*look, locale.label(f"verdict_{assessment.verdict}"))
        if look
        else Badge("quiet", "–", no_verdict_text(assessment.why, locale)),
        source=source,
    )


def drawn_chart(
    series: Sequence[Series],
    *,
    start: datetime,
    end: datetime,
    step: Step,
    locale: Locale,
    plan: float | None = None,
    marks: Sequence[Mark] = (),
) -> Chart | None:
    """Series from `start` to `end` as a chart, in the visitor's language."""
    return line_chart.draw(
        series,
        start,
        end,
        _STEPS[step],
        midnight=bucket_start(start, Step.DAY),
        plan=plan,
        marks=marks,
        label_x=lambda at: _axis_time(at, locale),
        label_y=lambda value: axis_number(value, locale.language),
    )


def _series(
    buckets: Sequence[Bucket],
    metric: str,
    style: str,
    title: str,
    locale: Locale,
    factor: float = 1.0,
    *,
    spread: bool = False,
) -> Series:
    figures = []
    for bucket in buckets:
        known = bucket.summary.metric(metric)
        if known.mean is None:
            continue
        said = figure(known.mean * factor, locale.language)
        at = moment(bucket.start, locale.language, locale.timezone).text
        figures.append(
            Figure(
                bucket.start,
                known.mean * factor,
                (known.least or 0.0) * factor if spread and known.least is not None else None,
                known.most * factor if spread and known.most is not None else None,
                f"{at}\n{title}: {said} (n = {known.count})",
            )
        )
    return Series(title, style, figures)


def _loss_series(buckets: Sequence[Bucket], locale: Locale) -> Series:
    title = locale.label("loss_percent")
    return Series(
        title,
        "series-a",
        [
            Figure(
                bucket.start,
                loss * 100,
                words=f"{moment(bucket.start, locale.language, locale.timezone).text}\n"
                f"{title}: {percent(loss, locale)}",
            )
            for bucket in buckets
            if (loss := bucket.summary.loss_ratio) is not None
        ],
    )


def _heatmap_cell(found: HourMean | None, low: float, high: float, locale: Locale) -> HeatmapCell:
    if found is None:
        return HeatmapCell(0, "", locale.label("no_samples"))
    mean = found.mean
    level = 5 if high <= low else min(1 + int((mean - low) / (high - low) * 5), 5)
    return HeatmapCell(
        level,
        whole_number(round(mean * _PER_MEGABIT), locale.language),
        f"{figure(mean * _PER_MEGABIT, locale.language)} Mbit/s, n = {found.samples}",
    )


def _counted(counts: Mapping[str, int], known: Mapping[Any, Phrase], locale: Locale) -> list[str]:
    found = []
    for name, many in sorted(counts.items(), key=lambda pair: -pair[1]):
        phrase = next((p for key, p in known.items() if str(key) == name), None)
        text = phrase.in_(locale.language) if phrase else name
        found.append(f"{text}: {whole_number(many, locale.language)}")
    return found


def _axis_time(at: datetime, locale: Locale) -> str:
    """Midnight as its day, any other time as the hour."""
    local = at.astimezone(locale.timezone)
    return f"{local:%d/%m}" if (local.hour, local.minute) == (0, 0) else f"{local:%H:%M}"
