"""Floor 1. A row of the report, computed anew, and what of it agrees.

Means, counts and sums are exact; percentiles of the report are within 1 % (method.md, R3).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from verify import assess
from verify.assess import Cluster, Sample
from verify.findings import Finding, Kind
from verify.samples import VIETNAM, Days, Figures, Samples, joined, percentile_of_counts

_EXACT, _SKETCH = 1e-9, 0.0101
# Of half an interval's width: Student's t is stated with four decimals (M3); of the effective
# number of lines (M4) it is a series, whose error is larger.
_STUDENT, _STUDENT_OF_LINES = 3e-5, 3e-4
_P95_SAMPLES = 59
# Hours of the day are looked at in reports of at most so many lines.
_LINES_LOOKED_AT = 300
_DAY = timedelta(days=1)

AREA, COMMUNE, ISP_PLAN, LINE = "area", "commune", "isp_plan", "line"
FAMILY, LINE_FAMILY = "family", "line_family"


class Member(NamedTuple):
    """A line in a row. `line`, `probe`, `plan`: its registry's entries and its plan of tests.

    `planned_down`: the minutes down of its outages in planned maintenance; None where the report
    states none.
    """

    name: str
    samples: Samples
    line: Mapping[str, Any] | None
    probe: Mapping[str, Any] | None
    plan: Mapping[str, Any] | None
    planned_down: int | None = None

    def declared(self, direction: str) -> float | None:
        """The declared speed (bit/s)."""
        name = "plan_down_bps" if direction == "download" else "plan_up_bps"
        value = (self.line or {}).get(name)
        return None if value is None else float(value)

    def first_day(self, days: Days) -> date:
        """The first day of the report on which its probe was installed."""
        installed = (self.probe or {}).get("installed_on")
        return max(days.first, date.fromisoformat(installed)) if installed else days.first

    def plan_changed(self, days: Days) -> bool:
        """Whether its contract began within the report's days."""
        contract = (self.line or {}).get("contract_date")
        return contract is not None and date.fromisoformat(contract) > self.first_day(days)


class Context(NamedTuple):
    """What all rows share. `as_of` bounds a period that is not over; `lines`: of the report."""

    days: Days
    thresholds: Mapping[str, Any]
    as_of: datetime
    lines: int

    @property
    def begin(self) -> datetime:
        """When the report's days begin."""
        return _midnight(self.days.first)

    @property
    def period_end(self) -> datetime:
        """When they end."""
        return _midnight(self.days.last + _DAY)

    @property
    def end(self) -> datetime:
        """Until when minutes and planned tests are counted."""
        return min(_midnight(self.days.last + _DAY), self.as_of)


class Expected(NamedTuple):
    """A value computed anew, and how far the report's may be from it: a share of it, or so far."""

    value: object
    within: float = _EXACT
    absolute: float = 1e-12


Fields = dict[str, Expected]


def row(level: str, members: Sequence[Member], context: Context) -> Fields:
    """The figures of a row, under the names of report.json."""
    samples = joined([member.samples for member in members]) if members else Samples()
    found = {
        **_counts(samples, members),
        **_direction(level, samples, members, context, "download"),
        **_direction(level, samples, members, context, "upload"),
        **_latency(level, samples, members, context),
        **_availability(samples, members, context),
        **_planned(members, context),
    }
    if level in (FAMILY, LINE_FAMILY):
        return found | _without_verdicts(found)
    return found


def verdicts(lines: Sequence[Fields]) -> Fields:
    """How many lines have met their plan, and how many have not, of the rows of the lines."""
    both = [{str(one[f"{way}.verdict"].value) for way in ("download", "upload")} for one in lines]
    return {
        "lines_met": Expected(sum(one == {"met"} for one in both)),
        "lines_not_met": Expected(sum("not_met" in one for one in both)),
    }


def _without_verdicts(found: Fields) -> Fields:
    """A family has no verdict, and no minutes and no plan of tests of its own."""
    nothing = dict.fromkeys(
        (
            "planned", "completeness_ratio", "lines_planned", "up_minutes", "down_minutes",
            "unknown_minutes", "availability_ratio", "ipv4_down_minutes", "ipv6_down_minutes",
            "planned_down_minutes", "availability_without_planned_ratio",
        ),
        Expected(None),
    )  # fmt: skip
    none, one_family = Expected("none"), Expected("one_family")
    for way in ("download", "upload"):
        measured = found[f"{way}.samples"].value
        nothing[f"{way}.verdict"] = none
        nothing[f"{way}.why"] = one_family if measured else Expected("no_samples")
    for name in ("rtt", "availability"):
        nothing |= {f"{name}_verdict": none, f"{name}_why": one_family}
    return nothing | {"lines_met": Expected(0), "lines_not_met": Expected(0)}


def compared(
    subject: str, expected: Mapping[str, Expected], stated: Mapping[str, Any]
) -> Iterator[Finding]:
    """Each figure of a row against the report's."""
    agreed = 0
    for name, one in expected.items():
        value = _field(stated, name)
        if _agree(one, value):
            agreed += 1
        else:
            yield Finding(
                Kind.DIFFERS,
                subject,
                f"{name} is {value} in the report, {one.value} by the results",
            )
    yield Finding(Kind.AGREES, subject, f"{agreed} of {len(expected)} figures of the report")


def _field(stated: Mapping[str, Any], name: str) -> object:
    outer, dot, inner = name.partition(".")
    value = stated.get(outer)
    if not dot:
        return value
    return value.get(inner) if isinstance(value, dict) else None


def _agree(expected: Expected, value: object) -> bool:
    wanted = expected.value
    if isinstance(wanted, int | float) and isinstance(value, int | float):
        return math.isclose(wanted, value, rel_tol=expected.within, abs_tol=expected.absolute)
    return wanted == value


def _counts(samples: Samples, members: Sequence[Member]) -> Fields:
    return {
        "lines": Expected(len(members)),
        "lines_measured": Expected(sum(one.samples.count(["ok"]) > 0 for one in members)),
        "tests": Expected(samples.count(["ok"])),
        "attempted": Expected(samples.count(["ok", "failed"])),
        "skipped": Expected(samples.count(["skipped"])),
        "valid": Expected(samples.valid["throughput"] + samples.valid["http"]),
    }


def _sample(name: str, samples: Samples, members: Sequence[Member]) -> Sample:
    if len(members) < 2:
        return Sample(samples.figure(name))
    parts = [member.samples.figure(name) for member in members]
    return Sample(
        samples.figure(name),
        [Cluster(one.count, mean) for one in parts if (mean := one.mean) is not None],
    )


def _hours(level: str, samples: Samples, context: Context) -> int | None:
    if level in (FAMILY, LINE_FAMILY) or context.lines > _LINES_LOOKED_AT:
        return None
    return len(samples.speed_hours)


def _direction(
    level: str, samples: Samples, members: Sequence[Member], context: Context, direction: str
) -> Fields:
    sample = _sample(f"throughput_{direction}_whole_bps", samples, members)
    declared = _declared(level, members, direction)
    mixed = level in (AREA, COMMUNE, FAMILY)
    changed = mixed or any(one.plan_changed(context.days) for one in members)
    hours = _hours(level, samples, context)
    verdict = assess.speed(sample, declared, hours, context.thresholds, several_plans=changed)
    figures, mean = sample.figures, sample.figures.mean
    share = mean / declared if mean is not None and declared and not changed else None
    count = figures.count
    found = {
        "declared_bps": Expected(declared),
        "samples": Expected(count),
        "mean_bps": Expected(mean),
        **_interval(sample),
        "median_bps": Expected(figures.percentile(0.5), _SKETCH),
        "p05_bps": Expected(figures.percentile(0.05) if count >= _P95_SAMPLES else None, _SKETCH),
        "steady_mean_bps": Expected(samples.figure(f"throughput_{direction}_bps").mean),
        "share": Expected(share),
        "verdict": Expected(verdict.verdict),
        "why": Expected(verdict.why),
    }
    return {f"{direction}.{name}": one for name, one in found.items()}


def _declared(level: str, members: Sequence[Member], direction: str) -> float | None:
    """The speed that all lines declare; none for rows of several plans."""
    if level in (AREA, COMMUNE, FAMILY):
        return None
    declared = {member.declared(direction) for member in members}
    return declared.pop() if len(declared) == 1 else None


def _interval(sample: Sample) -> Fields:
    found = assess.interval(sample)
    if found is None:
        return {"mean_low_bps": Expected(None), "mean_high_bps": Expected(None)}
    half = found.high - (sample.figures.mean or 0.0)
    within = half * (_STUDENT if sample.lines is None else _STUDENT_OF_LINES)
    return {
        "mean_low_bps": Expected(found.low, _EXACT, within),
        "mean_high_bps": Expected(found.high, _EXACT, within),
    }


def _latency(level: str, samples: Samples, members: Sequence[Member], context: Context) -> Fields:
    sample = _sample("latency_rtt_mean_ms", samples, members)
    verdict = assess.latency(sample, _hours(level, samples, context), context.thresholds)
    sent = samples.sums.get("latency_sent", 0)
    median, p95 = _round_trip_percentiles(samples)
    return {
        "rtt_windows": Expected(sample.figures.count),
        "rtt_mean_ms": Expected(sample.figures.mean),
        "rtt_median_ms": Expected(median, _SKETCH),
        "rtt_p95_ms": Expected(p95, _SKETCH),
        "rtt_verdict": Expected(verdict.verdict),
        "rtt_why": Expected(verdict.why),
        "rtt_loaded_download_ms": _mean(samples, "throughput_rtt_loaded_download_p50_ms"),
        "rtt_loaded_upload_ms": _mean(samples, "throughput_rtt_loaded_upload_p50_ms"),
        "delay_variation_ms": _mean(samples, "latency_ipdv_abs_mean_ms"),
        "packets_sent": Expected(sent),
        "loss_ratio": Expected(samples.sums.get("latency_lost", 0) / sent if sent else None),
    }


def _round_trip_percentiles(samples: Samples) -> tuple[float | None, float | None]:
    """Median and 95th percentile (ms), of packets where they are there, else of windows."""
    packets, lost = samples.packets_us, samples.packets_lost
    if not packets:
        return samples.figure("latency_rtt_p50_ms").percentile(0.5), None
    median = percentile_of_counts(packets, 0.5, lost)
    enough = sum(packets.values()) + lost >= _P95_SAMPLES
    p95 = percentile_of_counts(packets, 0.95, lost) if enough else None
    return _milliseconds(median), _milliseconds(p95)


def _milliseconds(microseconds: float | None) -> float | None:
    return None if microseconds is None else microseconds / 1_000


def _mean(samples: Samples, name: str) -> Expected:
    return Expected(samples.figures.get(name, Figures()).mean)


def _availability(samples: Samples, members: Sequence[Member], context: Context) -> Fields:
    up = samples.sums.get("availability_up_minutes", 0)
    down = samples.sums.get("availability_down_minutes", 0)
    ratio = up / (up + down) if up + down else None
    verdict = assess.availability(ratio, context.thresholds)
    elapsed = sum(_elapsed_minutes(member, context) for member in members)
    return {
        "up_minutes": Expected(up),
        "down_minutes": Expected(down),
        "unknown_minutes": Expected(max(elapsed - up - down, 0)),
        "availability_ratio": Expected(ratio),
        "availability_verdict": Expected(verdict.verdict),
        "availability_why": Expected(verdict.why),
        "ipv4_down_minutes": Expected(samples.sums.get("availability_ipv4_down_minutes")),
        "ipv6_down_minutes": Expected(samples.sums.get("availability_ipv6_down_minutes")),
        **_without_planned(up, down, members),
    }


def _without_planned(up: int, down: int, members: Sequence[Member]) -> Fields:
    """The minutes down in planned maintenance, at most those down, and availability without."""
    if any(one.planned_down is None for one in members):
        return {}
    planned = sum(
        min(one.planned_down or 0, one.samples.sums.get("availability_down_minutes", 0))
        for one in members
    )
    rest = up + down - planned
    return {
        "planned_down_minutes": Expected(planned),
        "availability_without_planned_ratio": Expected(up / rest if rest else None),
    }


def _elapsed_minutes(member: Member, context: Context) -> int:
    begin = _midnight(member.first_day(context.days))
    return max(int((context.end - begin).total_seconds() // 60), 0)


def _planned(members: Sequence[Member], context: Context) -> Fields:
    """The tests that were planned, and how many of them have come (skipped ones too)."""
    planned = [
        (member.samples.come, tests)
        for member in members
        if (tests := _planned_tests(member, context)) is not None
    ]
    come, expected = sum(one[0] for one in planned), sum(one[1] for one in planned)
    return {
        "planned": Expected(round(expected) if planned else None),
        "completeness_ratio": Expected(min(come / expected, 1.0) if expected else None),
        "lines_planned": Expected(len(planned)),
    }


def _planned_tests(member: Member, context: Context) -> float | None:
    plan, line_id = member.plan, member.name.rpartition("/")[2]
    if plan is None or plan["present"] is None or line_id not in plan["lines"]:
        return None
    begin, total = _midnight(member.first_day(context.days)), 0.0
    while begin < context.end:
        first = begin.astimezone(VIETNAM).date().replace(day=1)
        following = _midnight((first + 31 * _DAY).replace(day=1))
        entries = plan["months"].get(f"{first:%Y-%m}") or plan["present"]
        a_day = sum(
            float(entry["per_line_and_day"])
            for entry in entries
            if entry["kind"] in ("throughput", "http") and entry.get("line") in (None, line_id)
        )
        total += (min(context.end, following) - begin) / _DAY * a_day
        begin = following
    return total


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=VIETNAM)
