"""Floor 1. Lines as table rows: state, speed compared with the plan, latency, loss, samples.

One table for overview, commune and probe page. Only `collector.domain.assessment` assesses figures;
a cell without a verdict shows none.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct, structs

from collector.domain.assessment import (
    ClusterSample,
    ConfidenceInterval,
    SampleStatistics,
    Verdict,
    assess_speed,
)
from collector.domain.lines import KnownLine, LineState, severity
from collector.domain.planned_tests import MonthlyPlans, planned_tests
from collector.domain.thresholds import Thresholds
from collector.registry.registry import LineKey
from collector.rollup.days import DaySample, merge_days
from collector.rollup.distribution import Distribution, merge_all
from collector.rollup.metrics import OVERVIEW_LOADED
from collector.rollup.periods import Period, start_of_day
from collector.rollup.queries import LineDays
from collector.rollup.summary import EMPTY, Summary
from collector.store.records import StoredProbe
from collector.web.formatting import MISSING, axis_number, by_name, figure, whole_number
from collector.web.presentation import Badge, Locale
from collector.web.table import DESCENDING, Column, Head
from wire.figures import MEGABIT
from wire.result import Family

DOWN, UP = "throughput_download_whole_bps", "throughput_upload_whole_bps"
LATENCY = "latency_rtt_mean_ms"
# Of both directions, that of a transfer that fills the line.
LOADED = OVERVIEW_LOADED
_SORTED_METRICS = {"down": DOWN, "up": UP, "latency": LATENCY}
_FAMILIES = (*Family, None)
# Tone, sign and map shape of a state; its label is `state_NAME`.
STATE_LOOKS = {
    LineState.GOOD: ("good", "●", "dot"),
    LineState.DEGRADED: ("bad", "▲", "triangle"),
    LineState.DOWN: ("bad", "✕", "cross"),
    LineState.SILENT: ("quiet", "○", "ring"),
    LineState.UNKNOWN: ("quiet", "?", "square"),
    LineState.NEVER: ("none", "·", "dot"),
}
# The columns of the table of lines; the state is a number of `severity`.
LINE_COLUMNS = (
    Column("place", "place_and_office"),
    Column("isp", "line"),
    Column("state", "state_now", DESCENDING),
    Column("down", "mean_down", numeric=True),
    Column("up", "mean_up", numeric=True),
    Column("latency", "mean_latency", DESCENDING, numeric=True),
    Column("loaded", "mean_loaded", DESCENDING, numeric=True),
    Column("loss", "loss_percent", DESCENDING, numeric=True),
    Column("availability", "availability", numeric=True),
    Column("samples", "samples_of_target", numeric=True),
    Column("completeness", "completeness", numeric=True),
)
VERDICT_LOOKS = {Verdict.MET: ("good", "✓"), Verdict.NOT_MET: ("bad", "✕")}


class SpeedCell(Struct, frozen=True):
    """A mean speed, its share of the plan, and the verdict if there is one."""

    text: str
    share: str
    verdict: Badge | None


class LineRow(Struct, frozen=True, kw_only=True):
    """A row of the table of lines."""

    line: KnownLine
    href: str
    state: Badge
    state_note: str
    down: SpeedCell
    up: SpeedCell
    latency: str
    loaded: str
    loss: str
    availability: str
    unknown_share: str
    samples: str
    attempted: str
    completeness: str


def in_order(lines: Iterable[KnownLine]) -> list[KnownLine]:
    """Lines in the order of the table: by place, office and ISP."""
    return sorted(
        lines, key=lambda line: (by_name(line.place), line.office, line.isp_name, line.key)
    )


def line_rows(
    lines: Iterable[KnownLine],
    summaries: Mapping[LineKey, Summary],
    states: Mapping[LineKey, LineState],
    probes: Mapping[tuple[str, str], StoredProbe],
    thresholds: Thresholds,
    period: Period,
    now: datetime,
    locale: Locale,
    days: Mapping[str, LineDays],
    plans: MonthlyPlans,
) -> list[LineRow]:
    """A row per line, in the order of `lines`; `days` are of both speeds."""
    return [
        _row(
            line,
            summaries.get(line.key, EMPTY),
            states.get(line.key, LineState.NEVER),
            completeness(
                summaries.get(line.key, EMPTY), line, probes.get(line.key[:2]), period, now, plans
            ),
            thresholds,
            period,
            locale,
            {metric: days_of(of_metric, [line.key]) for metric, of_metric in days.items()},
        )
        for line in lines
    ]


def sort_key(
    column: str,
    summaries: Mapping[LineKey, Summary],
    states: Mapping[LineKey, LineState],
    probes: Mapping[tuple[str, str], StoredProbe],
    period: Period,
    now: datetime,
    plans: MonthlyPlans,
) -> Callable[[KnownLine], Any]:
    """What the lines are sorted by for one of `LINE_COLUMNS`; None is what is not known."""

    def of_line(line: KnownLine) -> Any:  # noqa: ANN401 - compared with its like alone
        summary = summaries.get(line.key, EMPTY)
        match column:
            case "place":
                return by_name(line.place), line.office
            case "isp":
                return by_name(line.isp_name)
            case "state":
                return severity(states.get(line.key, LineState.NEVER))
            case "samples":
                return summary.speed_tests
            case "completeness":
                return completeness(summary, line, probes.get(line.key[:2]), period, now, plans)
            case "loaded":
                return loaded_latency(summary)
            case "loss":
                return summary.loss_ratio
            case "availability":
                return summary.availability_ratio
        return summary.metric(_SORTED_METRICS[column]).mean

    return of_line


def plain_heads(locale: Locale) -> list[Head]:
    """The heads of a table of few lines, which need no sorting."""
    return [Head(locale.label(column.label), column.numeric) for column in LINE_COLUMNS]


def _row(
    line: KnownLine,
    summary: Summary,
    state: LineState,
    complete: float | None,
    thresholds: Thresholds,
    period: Period,
    locale: Locale,
    days: Mapping[str, Sequence[DaySample]],
) -> LineRow:
    counts = summary.counts("throughput")
    target = samples_target(thresholds, period)
    known = summary.up_minutes + summary.down_minutes + summary.unknown_minutes
    count, one_plan = locale.number, line.plan_is_of(period.first)

    def speed(metric: str, plan_bps: float | None) -> SpeedCell:
        sample = sample_of(summary.metric(metric), days=days.get(metric, ()))
        return speed_cell(sample, plan_bps, thresholds, locale, one_plan)

    return LineRow(
        line=line,
        href=line_address(line.key),
        state=state_badge(state, locale),
        state_note=state_note(state, summary, line, thresholds, locale),
        down=speed(DOWN, line.plan_down_bps),
        up=speed(UP, line.plan_up_bps),
        latency=maybe_figure(summary.metric(LATENCY).mean, locale),
        loaded=maybe_figure(loaded_latency(summary), locale),
        loss=percent(summary.loss_ratio, locale),
        availability=percent(summary.availability_ratio, locale),
        unknown_share=percent(summary.unknown_minutes / known, locale)
        if summary.unknown_minutes
        else "",
        samples=f"{count(summary.speed_tests)}/{count(target)}",
        attempted=f"{count(counts.valid)}/{count(counts.attempted)}",
        completeness=percent(complete, locale, places=0),
    )


def speed_cell(
    sample: SampleStatistics,
    plan_bps: float | None,
    thresholds: Thresholds,
    locale: Locale,
    one_plan: bool = True,
) -> SpeedCell:
    """A mean speed and its share of the plan; no verdict if the plan changed in the period."""
    assessment = assess_speed(sample, plan_bps, thresholds)
    look = VERDICT_LOOKS.get(assessment.verdict) if one_plan else None
    share = ""
    if assessment.share is not None and plan_bps is not None:
        plan = axis_number(plan_bps / MEGABIT, locale.language)
        share = f"{percent(assessment.share, locale, places=0)} / {plan}"
    return SpeedCell(
        megabits(sample.mean, locale),
        share,
        Badge(*look, locale.label(f"verdict_{assessment.verdict}")) if look else None,
    )


def days_of(
    days: LineDays, lines: Iterable[LineKey], families: Collection[Family | None] = _FAMILIES
) -> tuple[DaySample, ...]:
    """The samples of some lines by day, of these families together."""
    return merge_days(
        part for key in lines for family, part in days.get(key, {}).items() if family in families
    )


def sample_of(
    figures: Distribution, hours: int | None = None, days: Sequence[DaySample] = ()
) -> SampleStatistics:
    """The sample statistics of a roll-up's distribution; without days it has no interval."""
    return SampleStatistics(
        count=figures.count,
        mean=figures.mean,
        deviation=figures.deviation,
        hours=hours,
        days=tuple(days),
    )


def pooled_sample(parts: Iterable[Distribution], days: Sequence[DaySample]) -> SampleStatistics:
    """The sample statistics of several lines together; each of `parts` is of one line."""
    measured = [part for part in parts if part.count]
    lines = tuple(ClusterSample(part.count, part.mean or 0.0) for part in measured)
    return structs.replace(
        sample_of(merge_all(measured), days=days), lines=lines if len(lines) > 1 else None
    )


def interval_text(interval: ConfidenceInterval | None, locale: Locale) -> str:
    """ "238.1 – 240.3", Mbit/s."""
    if interval is None:
        return MISSING
    return f"{megabits(interval.low, locale)} – {megabits(interval.high, locale)}"


def samples_target(thresholds: Thresholds, period: Period) -> int:
    """The target for the period: 300 samples a month (VNNIC), at least 2 a week (the letter)."""
    month = thresholds.commune_month_samples.limit * period.days / 30
    week = thresholds.week_measurements.limit * period.days / 7
    return round(max(month, week))


def completeness(
    summary: Summary,
    line: KnownLine,
    probe: StoredProbe | None,
    period: Period,
    now: datetime,
    plans: MonthlyPlans,
) -> float | None:
    """The share of the probe's planned speed tests that was received; None without a plan.

    As in the reports: by the plan of each month, both kinds together, from the day the probe was
    installed. Skipped tests count as received (they state a reason), on-demand tests do not count.
    Latency windows are not counted: a line has several targets, so that one target's windows would
    hide another's.
    """
    begin = period.starts_at
    if line.installed_on is not None:
        begin = max(begin, start_of_day(line.installed_on))
    expected = planned_tests(line.key, begin, min(period.ends_at, now), plans, probe)
    return min(summary.planned_completed / expected, 1.0) if expected else None


def loaded_latency(summary: Summary) -> float | None:
    """The mean round trip (ms) while a transfer fills the line, of the worse direction."""
    means = (summary.metric(name).mean for name in LOADED)
    return max((mean for mean in means if mean is not None), default=None)


def state_badge(state: LineState, locale: Locale) -> Badge:
    """A state as badge."""
    tone, sign, _ = STATE_LOOKS[state]
    return Badge("quiet" if tone == "none" else tone, sign, locale.label(f"state_{state}"))


def state_note(
    state: LineState, summary: Summary, line: KnownLine, thresholds: Thresholds, locale: Locale
) -> str:
    """Why a state and the figures beside it do not contradict each other; "" where they agree.

    A state is of the connection and of this moment, a figure of the whole period.
    """
    if state is LineState.SILENT and summary.availability_ratio is not None:
        return locale.label("state_note_silent")
    limit = thresholds.speed_share.limit
    means = (
        (summary.metric(DOWN).mean, line.plan_down_bps),
        (summary.metric(UP).mean, line.plan_up_bps),
    )
    slow = any(mean is not None and plan and mean < limit * plan for mean, plan in means)
    if state is LineState.GOOD and slow:
        share = percent(limit, locale, places=0)
        return f"{locale.label('state_note_good')} {share} {locale.label('of_the_plan')}"
    return ""


def line_address(key: LineKey) -> str:
    """The path of a line's page."""
    return f"/line/{key.tenant}/{key.probe}/{key.line}"


def megabits(bits: float | None, locale: Locale) -> str:
    """A rate in Mbit/s."""
    return maybe_figure(None if bits is None else bits / MEGABIT, locale)


def maybe_figure(value: float | None, locale: Locale) -> str:
    """A number, or a dash."""
    return MISSING if value is None else figure(value, locale.language)


def scaled(value: float | None, factor: float, locale: Locale) -> str:
    """A number times a factor, or a dash."""
    return maybe_figure(None if value is None else value * factor, locale)


def percent(share: float | None, locale: Locale, *, places: int | None = None) -> str:
    """A ratio of 1 as percent, or a dash. A ratio below 1 is never rounded to 100 %."""
    if share is None:
        return MISSING
    shown, digits = share * 100, 0 if places == 0 else 1
    if share < 1 and round(shown, digits) >= 100:
        shown = 99 if digits == 0 else 99.9
    if places == 0:
        return f"{whole_number(round(shown), locale.language)}%"
    return f"{figure(shown, locale.language)}%"
