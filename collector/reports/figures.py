"""Floor 1. From roll-ups to the rows of a paper: who is put together with whom, and what is judged.

A verdict needs one declared speed, so lines are judged one by one, and the lines of one ISP with
one declared plan together, as the regulation takes its samples (QCVN 34:2022/BTTTT: of one
service in one area). A commune's lines have several plans: its row counts verdicts and bears none,
and so does a line whose contract began within the period.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date, datetime

from msgspec import Struct

from collector.domain.assessment import (
    Assessment,
    LineSample,
    NoVerdictReason,
    SampleStatistics,
    Verdict,
    assess_availability,
    assess_latency,
    assess_speed,
)
from collector.domain.thresholds import Thresholds
from collector.registry.registry import Line, LineKey, Registry
from collector.reports.report import Area, Direction, Figures, Level
from collector.rollup.distribution import Distribution
from collector.rollup.periods import Period, start_of_day
from collector.rollup.summary import EMPTY, SPEED_KINDS, Summary, merge_summaries
from wire.figures import MIN_SAMPLES

# No percentile below these many samples (docs/method.md#assessment, M10): 95 % one-sided.
_P95_SAMPLES = MIN_SAMPLES[950]


class Input(Struct, frozen=True, kw_only=True):
    """What rows are made of. `planned_a_day` is each line's speed tests a day by its probe's plan.

    `now` (UTC) bounds a period that is not over. `hours` are the hours of the day in which a line
    was measured, where somebody has looked.
    """

    area: Area
    period: Period
    now: datetime
    summaries: Mapping[LineKey, Summary]
    registry: Registry
    thresholds: Thresholds
    planned_a_day: Mapping[LineKey, float]
    hours: Mapping[LineKey, frozenset[int]]


def rows(given: Input) -> list[Figures]:
    """The area, its communes by code, its ISPs' plans by name, its lines by place.

    Every line of the registry has a row, measured or not: a line that is silent is what the
    paper is for.
    """
    by_line = {key: _row(given, Level.LINE, [key]) for key in given.area.lines}
    communes: dict[str, list[LineKey]] = defaultdict(list)
    plans: dict[tuple[str, float, float], list[LineKey]] = defaultdict(list)
    for key in given.area.lines:
        if (commune := given.registry.commune_of(key)) is not None:
            communes[commune.code].append(key)
        if (line := given.registry.line(key)) is not None:
            plan = (_isp_name(given.registry, line), line.plan_down_bps or 0, line.plan_up_bps or 0)
            plans[plan].append(key)
    found = [_row(given, Level.AREA, given.area.lines, by_line)]
    found += [_row(given, Level.COMMUNE, keys, by_line) for _, keys in sorted(communes.items())]
    found += [_row(given, Level.ISP_PLAN, keys, by_line) for _, keys in sorted(plans.items())]
    found += [by_line[key] for key in sorted(given.area.lines, key=lambda k: _place(given, k))]
    return found


def _row(
    given: Input,
    level: Level,
    keys: Iterable[LineKey],
    by_line: Mapping[LineKey, Figures] | None = None,
) -> Figures:
    keys = list(keys)
    whole = merge_summaries(given.summaries.get(key, EMPTY) for key in keys)
    hours = _hours(given, keys)
    down = _direction(given, level, keys, whole, "download", hours)
    up = _direction(given, level, keys, whole, "upload", hours)
    lines = [by_line[key] for key in keys] if by_line else []
    verdicts = [_line_verdict(row.download, row.upload) for row in lines] or [
        _line_verdict(down, up)
    ]
    counts = [whole.counts(kind) for kind in SPEED_KINDS]
    planned = _planned(given, keys)
    elapsed = sum(_elapsed_minutes(given, key) for key in keys)
    rtt, packets = whole.metric("latency_rtt_mean_ms"), whole.metric("latency_rtt_ms")
    # Percentiles are of packets where their times are known; else the windows' medians must do.
    spread = packets if packets.count else whole.metric("latency_rtt_p50_ms")
    latency = assess_latency(
        _sample(given, keys, rtt, "latency_rtt_mean_ms", hours), given.thresholds
    )
    available = assess_availability(
        whole.up_minutes * 60, whole.down_minutes * 60, given.thresholds
    )
    return Figures(
        level=level,
        **_names(given.registry, level, keys),
        lines=len(keys),
        lines_measured=sum(_measured(given.summaries.get(key, EMPTY)) for key in keys),
        lines_met=verdicts.count(Verdict.MET),
        lines_not_met=verdicts.count(Verdict.NOT_MET),
        tests=whole.speed_tests,
        attempted=sum(count.attempted for count in counts),
        valid=sum(count.valid for count in counts),
        skipped=sum(count.skipped for count in counts),
        planned=planned,
        completeness_ratio=min(whole.planned_completed / planned, 1.0) if planned else None,
        download=down,
        upload=up,
        rtt_windows=rtt.count,
        rtt_mean_ms=rtt.mean,
        rtt_median_ms=spread.quantile(0.5),
        rtt_p95_ms=packets.quantile(0.95)
        if packets.count + packets.infinite >= _P95_SAMPLES
        else None,
        rtt_verdict=latency.verdict,
        rtt_why=latency.why,
        rtt_loaded_download_ms=whole.metric("throughput_rtt_loaded_download_p50_ms").mean,
        rtt_loaded_upload_ms=whole.metric("throughput_rtt_loaded_upload_p50_ms").mean,
        delay_variation_ms=whole.metric("latency_ipdv_abs_mean_ms").mean,
        packets_sent=int(whole.sums.get("latency_sent", 0)),
        loss_ratio=whole.loss_ratio,
        up_minutes=whole.up_minutes,
        down_minutes=whole.down_minutes,
        # What nobody has told us about is unknown too, not 0.
        unknown_minutes=max(elapsed - whole.up_minutes - whole.down_minutes, 0),
        availability_ratio=whole.availability_ratio,
        availability_verdict=available.verdict,
        availability_why=available.why,
    )


def _direction(
    given: Input,
    level: Level,
    keys: list[LineKey],
    whole: Summary,
    direction: str,
    hours: int | None,
) -> Direction:
    metric = f"throughput_{direction}_whole_bps"
    figures = whole.metric(metric)
    declared = {_declared(given.registry.line(key), direction) for key in keys}
    common = declared.pop() if len(declared) == 1 else None
    judged = assess_speed(_sample(given, keys, figures, metric, hours), common, given.thresholds)
    if level in (Level.AREA, Level.COMMUNE):
        # Its lines stand under several plans, or would with the next contract.
        judged = _without_verdict(judged)
        common = None
    elif any(_plan_changed(given, key) for key in keys):
        judged = _without_verdict(judged)
    return Direction(
        declared_bps=common,
        samples=figures.count,
        mean_bps=figures.mean,
        mean_low_bps=judged.interval.low if judged.interval else None,
        mean_high_bps=judged.interval.high if judged.interval else None,
        median_bps=figures.quantile(0.5),
        p05_bps=figures.quantile(0.05) if figures.count >= _P95_SAMPLES else None,
        steady_mean_bps=whole.metric(f"throughput_{direction}_bps").mean,
        share=judged.share,
        verdict=judged.verdict,
        why=judged.why,
    )


def _plan_changed(given: Input, key: LineKey) -> bool:
    """Whether some of a line's samples may have been taken under another contract."""
    line = given.registry.line(key)
    return line is not None and not line.plan_is_of(_first_day(given, key))


def _without_verdict(judged: Assessment) -> Assessment:
    why = NoVerdictReason.NO_SAMPLES if judged.mean is None else NoVerdictReason.SEVERAL_PLANS
    return Assessment(
        verdict=Verdict.NONE,
        why=why,
        count=judged.count,
        needed=judged.needed,
        mean=judged.mean,
        interval=judged.interval,
        limit=None,
    )


def _line_verdict(down: Direction, up: Direction) -> Verdict:
    """Both directions: not met where either is not, met where both are."""
    verdicts = (down.verdict, up.verdict)
    if Verdict.NOT_MET in verdicts:
        return Verdict.NOT_MET
    return Verdict.NONE if Verdict.NONE in verdicts else Verdict.MET


def _sample(
    given: Input, keys: list[LineKey], figures: Distribution, metric: str, hours: int | None
) -> SampleStatistics:
    """A row's figures of a metric; of several lines with what each of them has of it."""
    parts = [given.summaries.get(key, EMPTY).metric(metric) for key in keys]
    lines = tuple(LineSample(part.count, part.mean) for part in parts if part.mean is not None)
    return SampleStatistics(
        count=figures.count,
        mean=figures.mean,
        deviation=figures.deviation,
        hours=hours,
        lines=lines if len(keys) > 1 else None,
    )


def _hours(given: Input, keys: list[LineKey]) -> int | None:
    known = [given.hours[key] for key in keys if key in given.hours]
    return len(frozenset[int]().union(*known)) if known else None


def _planned(given: Input, keys: list[LineKey]) -> int | None:
    """Speed tests that the lines' probes had planned; None where a plan is not known."""
    if not all(key in given.planned_a_day for key in keys):
        return None
    return round(
        sum(given.planned_a_day[key] * _elapsed_minutes(given, key) for key in keys) / 1440
    )


def _elapsed_minutes(given: Input, key: LineKey) -> int:
    """How long the line could have been measured: from its probe's first day, until now."""
    elapsed = min(given.period.ends_at, given.now) - start_of_day(_first_day(given, key))
    return max(int(elapsed.total_seconds() // 60), 0)


def _first_day(given: Input, key: LineKey) -> date:
    """The first day of the period on which the line's probe was there."""
    probe = given.registry.probe(key.tenant, key.probe)
    installed = probe.installed_on if probe else None
    return max(given.period.first, installed or given.period.first)


def _measured(summary: Summary) -> bool:
    return summary.speed_tests > 0


def _declared(line: Line | None, direction: str) -> float | None:
    if line is None:
        return None
    return line.plan_down_bps if direction == "download" else line.plan_up_bps


def _isp_name(registry: Registry, line: Line) -> str:
    isp = registry.isps.get(line.isp)
    return isp.name if isp else line.isp


def _place(given: Input, key: LineKey) -> tuple[str, str, str, str]:
    commune = given.registry.commune_of(key)
    probe = given.registry.probe(key.tenant, key.probe)
    return (commune.code if commune else "", probe.office if probe else "", key.probe, key.line)


def _names(registry: Registry, level: Level, keys: list[LineKey]) -> dict[str, str | None]:
    """What the row is called; only what all of its lines share."""
    if level is Level.AREA or not keys:
        return {}
    line, commune = registry.line(keys[0]), registry.commune_of(keys[0])
    names: dict[str, str | None] = {}
    if level is not Level.ISP_PLAN:
        names = {"commune_code": commune.code, "commune": commune.name} if commune else {}
    if level is not Level.COMMUNE:
        names["isp"] = _isp_name(registry, line) if line else None
    if level is Level.LINE:
        probe = registry.probe(keys[0].tenant, keys[0].probe)
        names |= {"tenant": keys[0].tenant, "probe": keys[0].probe, "line": keys[0].line}
        names["office"] = probe.office if probe else None
    return names
