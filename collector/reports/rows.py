"""Floor 1. From roll-ups to the rows of a report: how lines are grouped, and what is assessed.

A verdict needs one declared speed. So a line is assessed alone, and the lines of one ISP with one
declared plan together, as the regulation samples (QCVN 34:2022/BTTTT: one service in one area). A
commune's lines have several plans: its row counts verdicts and has none. Neither has a line whose
contract began within the period.

The samples of both address families count together (QCVN 34 assesses a service and knows none); the
rows of each family alone, after those of the lines, have no verdict.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date, datetime

from msgspec import Struct, structs

from collector.domain.assessment import (
    Assessment,
    ClusterSample,
    NoVerdictReason,
    SampleStatistics,
    Verdict,
    assess_availability,
    assess_latency,
    assess_speed,
)
from collector.domain.planned_tests import MonthlyPlans, planned_tests
from collector.domain.thresholds import Thresholds
from collector.registry.registry import Line, LineKey, Registry
from collector.reports.report import Area, Level, ReportRow, SpeedStats
from collector.rollup.days import merge_days
from collector.rollup.distribution import Distribution
from collector.rollup.metrics import OVERVIEW_KINDS
from collector.rollup.periods import Period, start_of_day
from collector.rollup.queries import LineDays
from collector.rollup.summary import EMPTY, SPEED_KINDS, Summary, merge_summaries
from collector.store.records import StoredProbe
from wire.figures import MIN_SAMPLES
from wire.result import Family

# No percentile below these many samples (docs/method.md#assessment, M10): 95 % one-sided.
_P95_SAMPLES = MIN_SAMPLES[950]
# The metrics that have an interval.
DAILY_METRICS = (
    "throughput_download_whole_bps",
    "throughput_upload_whole_bps",
    "latency_rtt_mean_ms",
)
_FAMILIES = (Family.IPV4, Family.IPV6, None)


DaysByMetric = Mapping[str, LineDays]


class RowInputs(Struct, frozen=True, kw_only=True):
    """The data that rows are built from. `plans` are those of the period's months.

    `now` (UTC) bounds a period that is not over. `hours` are the hours of the day in which a line
    was measured, for the lines for which they were queried. `days` are the samples of each line by
    day and family, for each of `DAILY_METRICS`. `planned_down` are the minutes down in planned
    maintenance of the lines that had some.
    """

    area: Area
    period: Period
    now: datetime
    summaries: Mapping[LineKey, Summary]
    families: Mapping[LineKey, Mapping[Family | None, Summary]]
    registry: Registry
    thresholds: Thresholds
    probes: Mapping[tuple[str, str], StoredProbe]
    plans: MonthlyPlans
    hours: Mapping[LineKey, frozenset[int]]
    days: DaysByMetric
    planned_down: Mapping[LineKey, int] = {}
    # Of communes, by code; those of the registry where it has none.
    names: Mapping[str, str] = {}


def build_rows(inputs: RowInputs) -> list[ReportRow]:
    """Rows of the area, its communes by code, its ISPs' plans by name, and its lines by place.

    Every registered line has a row, measured or not: silent lines must be seen.
    """
    by_line = {key: _row(inputs, Level.LINE, [key]) for key in inputs.area.lines}
    communes: dict[str, list[LineKey]] = defaultdict(list)
    plans: dict[tuple[str, float, float], list[LineKey]] = defaultdict(list)
    for key in inputs.area.lines:
        if (commune := inputs.registry.commune_of(key)) is not None:
            communes[commune.code].append(key)
        if (line := inputs.registry.line(key)) is not None:
            plan = (
                _isp_name(inputs.registry, line),
                line.plan_down_bps or 0,
                line.plan_up_bps or 0,
            )
            plans[plan].append(key)
    found = [_row(inputs, Level.AREA, inputs.area.lines, by_line)]
    found += [_row(inputs, Level.COMMUNE, keys, by_line) for _, keys in sorted(communes.items())]
    found += [_row(inputs, Level.ISP_PLAN, keys, by_line) for _, keys in sorted(plans.items())]
    lines = sorted(inputs.area.lines, key=lambda k: _place(inputs, k))
    found += [by_line[key] for key in lines]
    return found + _family_rows(inputs, lines)


def _family_rows(inputs: RowInputs, lines: list[LineKey]) -> list[ReportRow]:
    """The area and then each line over each family; none where no result states one."""
    measured = {key: _measured_families(inputs.families.get(key, {})) for key in lines}
    stated = {key: families for key, families in measured.items() if families.keys() - {None}}
    if not stated:
        return []
    found = []
    for family in _FAMILIES:
        of_family = {key: mine[family] for key, mine in measured.items() if family in mine}
        if of_family:
            found.append(_family_row(inputs, Level.FAMILY, family, of_family))
    for key, mine in stated.items():
        found += [
            _family_row(inputs, Level.LINE_FAMILY, family, {key: mine[family]})
            for family in _FAMILIES
            if family in mine
        ]
    return found


def _measured_families(
    families: Mapping[Family | None, Summary],
) -> dict[Family | None, Summary]:
    """Those that something was measured over: availability is of the line, and of no family."""
    return {
        family: summary
        for family, summary in families.items()
        if any(kind in summary.kinds for kind in OVERVIEW_KINDS)
    }


def _family_row(
    inputs: RowInputs, level: Level, family: Family | None, summaries: Mapping[LineKey, Summary]
) -> ReportRow:
    row = _row(
        structs.replace(
            inputs, summaries=summaries, hours={}, days=_of_family(inputs.days, family)
        ),
        level,
        summaries,
    )
    return structs.replace(
        row,
        family=family.value if family else "unstated",
        lines_met=0,
        lines_not_met=0,
        planned=None,
        completeness_ratio=None,
        lines_planned=None,
        download=_without_family_verdict(row.download),
        upload=_without_family_verdict(row.upload),
        rtt_verdict=Verdict.NONE,
        rtt_why=NoVerdictReason.ONE_FAMILY,
        up_minutes=None,
        down_minutes=None,
        unknown_minutes=None,
        availability_ratio=None,
        availability_verdict=Verdict.NONE,
        availability_why=NoVerdictReason.ONE_FAMILY,
        ipv4_down_minutes=None,
        ipv6_down_minutes=None,
        planned_down_minutes=None,
        availability_without_planned_ratio=None,
    )


def _of_family(days: DaysByMetric, family: Family | None) -> DaysByMetric:
    return {
        metric: {key: {family: mine[family]} for key, mine in of_metric.items() if family in mine}
        for metric, of_metric in days.items()
    }


def _without_family_verdict(direction: SpeedStats) -> SpeedStats:
    why = NoVerdictReason.ONE_FAMILY if direction.samples else NoVerdictReason.NO_SAMPLES
    return structs.replace(direction, verdict=Verdict.NONE, why=why)


def _row(
    inputs: RowInputs,
    level: Level,
    keys: Iterable[LineKey],
    by_line: Mapping[LineKey, ReportRow] | None = None,
) -> ReportRow:
    keys = list(keys)
    total = merge_summaries(inputs.summaries.get(key, EMPTY) for key in keys)
    hours = _hours(inputs, keys)
    down = _direction(inputs, level, keys, total, "download", hours)
    up = _direction(inputs, level, keys, total, "upload", hours)
    lines = [by_line[key] for key in keys] if by_line else []
    verdicts = [_line_verdict(row.download, row.upload) for row in lines] or [
        _line_verdict(down, up)
    ]
    counts = [total.counts(kind) for kind in SPEED_KINDS]
    planned = _planned(inputs, keys)
    received = sum(inputs.summaries.get(key, EMPTY).planned_completed for key in planned)
    expected = sum(planned.values())
    elapsed = sum(_elapsed_minutes(inputs, key) for key in keys)
    rtt, packets = total.metric("latency_rtt_mean_ms"), total.metric("latency_rtt_ms")
    # Percentiles are of packets where their times are stored, else of the windows' medians.
    spread = packets if packets.count else total.metric("latency_rtt_p50_ms")
    latency = assess_latency(
        _sample(inputs, keys, rtt, "latency_rtt_mean_ms", hours), inputs.thresholds
    )
    available = assess_availability(
        total.up_minutes * 60, total.down_minutes * 60, inputs.thresholds
    )
    planned_down = sum(_planned_down(inputs, key) for key in keys)
    return ReportRow(
        level=level,
        **_names(inputs, level, keys),
        lines=len(keys),
        lines_measured=sum(_measured(inputs.summaries.get(key, EMPTY)) for key in keys),
        lines_met=verdicts.count(Verdict.MET),
        lines_not_met=verdicts.count(Verdict.NOT_MET),
        tests=total.speed_tests,
        attempted=sum(count.attempted for count in counts),
        valid=sum(count.valid for count in counts),
        skipped=sum(count.skipped for count in counts),
        planned=round(expected) if planned else None,
        completeness_ratio=min(received / expected, 1.0) if expected else None,
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
        rtt_loaded_download_ms=total.metric("throughput_rtt_loaded_download_p50_ms").mean,
        rtt_loaded_upload_ms=total.metric("throughput_rtt_loaded_upload_p50_ms").mean,
        delay_variation_ms=total.metric("latency_ipdv_abs_mean_ms").mean,
        packets_sent=int(total.sums.get("latency_sent", 0)),
        loss_ratio=total.loss_ratio,
        up_minutes=total.up_minutes,
        down_minutes=total.down_minutes,
        # Minutes without a report are unknown too, not 0.
        unknown_minutes=max(elapsed - total.up_minutes - total.down_minutes, 0),
        availability_ratio=total.availability_ratio,
        availability_verdict=available.verdict,
        availability_why=available.why,
        ipv4_down_minutes=total.family_down_minutes(Family.IPV4),
        ipv6_down_minutes=total.family_down_minutes(Family.IPV6),
        lines_planned=len(planned),
        planned_down_minutes=planned_down,
        availability_without_planned_ratio=_ratio(
            total.up_minutes, total.down_minutes - planned_down
        ),
    )


def _planned_down(inputs: RowInputs, key: LineKey) -> int:
    """A line's minutes down in planned maintenance; never more than it was down."""
    down = inputs.summaries.get(key, EMPTY).down_minutes
    return min(inputs.planned_down.get(key, 0), down)


def _ratio(up: int, down: int) -> float | None:
    return up / (up + down) if up + down else None


def _direction(
    inputs: RowInputs,
    level: Level,
    keys: list[LineKey],
    total: Summary,
    direction: str,
    hours: int | None,
) -> SpeedStats:
    metric = f"throughput_{direction}_whole_bps"
    figures = total.metric(metric)
    declared = {_declared(inputs.registry.line(key), direction) for key in keys}
    common = declared.pop() if len(declared) == 1 else None
    assessment = assess_speed(
        _sample(inputs, keys, figures, metric, hours), common, inputs.thresholds
    )
    if level in (Level.AREA, Level.COMMUNE, Level.FAMILY):
        # Its lines have several plans, or may have after the next contract.
        assessment = _without_verdict(assessment)
        common = None
    elif any(_plan_changed(inputs, key) for key in keys):
        assessment = _without_verdict(assessment)
    return SpeedStats(
        declared_bps=common,
        samples=figures.count,
        mean_bps=figures.mean,
        mean_low_bps=assessment.interval.low if assessment.interval else None,
        mean_high_bps=assessment.interval.high if assessment.interval else None,
        median_bps=figures.quantile(0.5),
        p05_bps=figures.quantile(0.05) if figures.count >= _P95_SAMPLES else None,
        steady_mean_bps=total.metric(f"throughput_{direction}_bps").mean,
        share=assessment.share,
        verdict=assessment.verdict,
        why=assessment.why,
    )


def _plan_changed(inputs: RowInputs, key: LineKey) -> bool:
    """Whether some of a line's samples may have been taken under another contract."""
    line = inputs.registry.line(key)
    return line is not None and not line.plan_is_of(_first_day(inputs, key))


def _without_verdict(assessment: Assessment) -> Assessment:
    why = NoVerdictReason.NO_SAMPLES if assessment.mean is None else NoVerdictReason.SEVERAL_PLANS
    return Assessment(
        verdict=Verdict.NONE,
        why=why,
        count=assessment.count,
        needed=assessment.needed,
        mean=assessment.mean,
        interval=assessment.interval,
        limit=None,
    )


def _line_verdict(down: SpeedStats, up: SpeedStats) -> Verdict:
    """The verdict of both directions: not met if either is not, met if both are."""
    verdicts = (down.verdict, up.verdict)
    if Verdict.NOT_MET in verdicts:
        return Verdict.NOT_MET
    return Verdict.NONE if Verdict.NONE in verdicts else Verdict.MET


def _sample(
    inputs: RowInputs, keys: list[LineKey], figures: Distribution, metric: str, hours: int | None
) -> SampleStatistics:
    """The sample statistics of a metric; for several lines with the statistics of each."""
    days = inputs.days.get(metric, {})
    parts = [inputs.summaries.get(key, EMPTY).metric(metric) for key in keys]
    lines = tuple(ClusterSample(part.count, part.mean) for part in parts if part.mean is not None)
    return SampleStatistics(
        count=figures.count,
        mean=figures.mean,
        deviation=figures.deviation,
        hours=hours,
        lines=lines if len(keys) > 1 else None,
        days=merge_days(part for key in keys for part in days.get(key, {}).values()),
    )


def _hours(inputs: RowInputs, keys: list[LineKey]) -> int | None:
    known = [inputs.hours[key] for key in keys if key in inputs.hours]
    return len(frozenset[int]().union(*known)) if known else None


def _planned(inputs: RowInputs, keys: list[LineKey]) -> dict[LineKey, float]:
    """The planned speed tests of each line whose plan is known."""
    end = min(inputs.period.ends_at, inputs.now)
    tests = {
        key: planned_tests(
            key,
            start_of_day(_first_day(inputs, key)),
            end,
            inputs.plans,
            inputs.probes.get(key[:2]),
        )
        for key in keys
    }
    return {key: count for key, count in tests.items() if count is not None}


def _elapsed_minutes(inputs: RowInputs, key: LineKey) -> int:
    """Minutes in which the line could have been measured: from its probe's first day until now."""
    elapsed = min(inputs.period.ends_at, inputs.now) - start_of_day(_first_day(inputs, key))
    return max(int(elapsed.total_seconds() // 60), 0)


def _first_day(inputs: RowInputs, key: LineKey) -> date:
    """The first day of the period on which the line's probe was installed."""
    probe = inputs.registry.probe(key.tenant, key.probe)
    installed = probe.installed_on if probe else None
    return max(inputs.period.first, installed or inputs.period.first)


def _measured(summary: Summary) -> bool:
    return summary.speed_tests > 0


def _declared(line: Line | None, direction: str) -> float | None:
    if line is None:
        return None
    return line.plan_down_bps if direction == "download" else line.plan_up_bps


def _isp_name(registry: Registry, line: Line) -> str:
    isp = registry.isps.get(line.isp)
    return isp.name if isp else line.isp


def _place(inputs: RowInputs, key: LineKey) -> tuple[str, str, str, str]:
    commune = inputs.registry.commune_of(key)
    probe = inputs.registry.probe(key.tenant, key.probe)
    return (commune.code if commune else "", probe.office if probe else "", key.probe, key.line)


def _names(inputs: RowInputs, level: Level, keys: list[LineKey]) -> dict[str, str | None]:
    """The names of a row: those that all of its lines share."""
    if level in (Level.AREA, Level.FAMILY) or not keys:
        return {}
    registry = inputs.registry
    line, commune = registry.line(keys[0]), registry.commune_of(keys[0])
    names: dict[str, str | None] = {}
    if level is not Level.ISP_PLAN and commune:
        name = inputs.names.get(commune.code, commune.name)
        names = {"commune_code": commune.code, "commune": name}
    if level is not Level.COMMUNE:
        names["isp"] = _isp_name(registry, line) if line else None
    if level in (Level.LINE, Level.LINE_FAMILY):
        probe = registry.probe(keys[0].tenant, keys[0].probe)
        names |= {"tenant": keys[0].tenant, "probe": keys[0].probe, "line": keys[0].line}
        names["office"] = probe.office if probe else None
    return names
