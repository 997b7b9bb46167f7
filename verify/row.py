"""Floor 1. A line's row of the report, computed anew, and what of it agrees.

Means, counts and sums are exact; percentiles of the report are within 1 % (method.md, R3).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from verify import assess
from verify.findings import Finding, Kind
from verify.samples import VIETNAM, Figures, LineSamples, percentile

_EXACT, _SKETCH, _INTERVAL = 1e-9, 0.0101, 1e-6
_P95_SAMPLES = 59
_DAY = timedelta(days=1)


class Context(NamedTuple):
    """What a row needs besides results; all of it is the centre's statement.

    `line` and `probe` are the registry's entries, None where it has none; `plan` is of plans.json.
    `as_of` bounds a period that is not over.
    """

    line: Mapping[str, Any] | None
    probe: Mapping[str, Any] | None
    thresholds: Mapping[str, Any]
    plan: Mapping[str, Any] | None
    as_of: datetime


class Expected(NamedTuple):
    """A value computed anew, and how far the report's may be from it."""

    value: object
    within: float = _EXACT


def row(samples: LineSamples, context: Context, line_id: str) -> dict[str, Expected]:
    """The figures of the line's row, under the names of report.json."""
    found = {
        **_counts(samples),
        **_direction(samples, context, "download"),
        **_direction(samples, context, "upload"),
        **_latency(samples, context),
        **_availability(samples, context),
        **_planned(samples, context, line_id),
    }
    verdicts = [str(found[f"{direction}.verdict"].value) for direction in ("download", "upload")]
    not_met = "not_met" in verdicts
    found["lines_not_met"] = Expected(int(not_met))
    found["lines_met"] = Expected(int(not not_met and "none" not in verdicts))
    return found


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
        return math.isclose(wanted, value, rel_tol=expected.within, abs_tol=1e-12)
    return wanted == value


def _counts(samples: LineSamples) -> dict[str, Expected]:
    tests = samples.count(["ok"])
    return {
        "lines": Expected(1),
        "lines_measured": Expected(int(tests > 0)),
        "tests": Expected(tests),
        "attempted": Expected(samples.count(["ok", "failed"])),
        "skipped": Expected(samples.count(["skipped"])),
        "valid": Expected(samples.valid["throughput"] + samples.valid["http"]),
    }


def _direction(samples: LineSamples, context: Context, direction: str) -> dict[str, Expected]:
    figures = samples.figures[f"throughput_{direction}_whole_bps"]
    steady = samples.figures[f"throughput_{direction}_bps"]
    declared = _declared(context.line, direction)
    changed = _plan_changed(samples, context)
    verdict = assess.speed(
        figures, declared, len(samples.speed_hours), context.thresholds, plan_changed=changed
    )
    interval, ascending = assess.interval(figures), sorted(figures.values)
    count, mean = len(figures.values), figures.mean
    share = mean / declared if mean is not None and declared and not changed else None
    found = {
        "declared_bps": Expected(declared),
        "samples": Expected(count),
        "mean_bps": Expected(mean),
        "mean_low_bps": Expected(interval.low if interval else None, _INTERVAL),
        "mean_high_bps": Expected(interval.high if interval else None, _INTERVAL),
        "median_bps": Expected(percentile(ascending, 0.5), _SKETCH),
        "p05_bps": Expected(
            percentile(ascending, 0.05) if count >= _P95_SAMPLES else None, _SKETCH
        ),
        "steady_mean_bps": Expected(steady.mean),
        "share": Expected(share),
        "verdict": Expected(verdict.verdict),
        "why": Expected(verdict.why),
    }
    return {f"{direction}.{name}": one for name, one in found.items()}


def _declared(line: Mapping[str, Any] | None, direction: str) -> float | None:
    if line is None:
        return None
    value = line["plan_down_bps" if direction == "download" else "plan_up_bps"]
    return None if value is None else float(value)


def _plan_changed(samples: LineSamples, context: Context) -> bool:
    contract = (context.line or {}).get("contract_date")
    return contract is not None and date.fromisoformat(contract) > _first_day(samples, context)


def _first_day(samples: LineSamples, context: Context) -> date:
    installed = (context.probe or {}).get("installed_on")
    return max(samples.first, date.fromisoformat(installed)) if installed else samples.first


def _latency(samples: LineSamples, context: Context) -> dict[str, Expected]:
    rtt, packets = samples.figures["latency_rtt_mean_ms"], sorted(samples.packets_us)
    lost = samples.packets_lost
    medians = sorted(samples.figures["latency_rtt_p50_ms"].values)
    verdict = assess.latency(rtt, len(samples.speed_hours), context.thresholds)
    sent = samples.sums.get("latency_sent", 0)
    median = percentile(packets, 0.5, lost) if packets else percentile(medians, 0.5)
    p95 = percentile(packets, 0.95, lost) if len(packets) + lost >= _P95_SAMPLES else None
    scale = 1_000 if packets else 1
    return {
        "rtt_windows": Expected(len(rtt.values)),
        "rtt_mean_ms": Expected(rtt.mean),
        "rtt_median_ms": Expected(None if median is None else median / scale, _SKETCH),
        "rtt_p95_ms": Expected(None if p95 is None else p95 / 1_000, _SKETCH),
        "rtt_verdict": Expected(verdict.verdict),
        "rtt_why": Expected(verdict.why),
        "rtt_loaded_download_ms": _mean(samples, "throughput_rtt_loaded_download_p50_ms"),
        "rtt_loaded_upload_ms": _mean(samples, "throughput_rtt_loaded_upload_p50_ms"),
        "delay_variation_ms": _mean(samples, "latency_ipdv_abs_mean_ms"),
        "packets_sent": Expected(sent),
        "loss_ratio": Expected(samples.sums.get("latency_lost", 0) / sent if sent else None),
    }


def _mean(samples: LineSamples, name: str) -> Expected:
    return Expected(samples.figures.get(name, Figures()).mean)


def _availability(samples: LineSamples, context: Context) -> dict[str, Expected]:
    up = samples.sums.get("availability_up_minutes", 0)
    down = samples.sums.get("availability_down_minutes", 0)
    ratio = up / (up + down) if up + down else None
    verdict = assess.availability(ratio, context.thresholds)
    end, begin = _end(samples, context), _midnight(_first_day(samples, context))
    elapsed = max(int((end - begin).total_seconds() // 60), 0)
    return {
        "up_minutes": Expected(up),
        "down_minutes": Expected(down),
        "unknown_minutes": Expected(max(elapsed - up - down, 0)),
        "availability_ratio": Expected(ratio),
        "availability_verdict": Expected(verdict.verdict),
        "availability_why": Expected(verdict.why),
        "ipv4_down_minutes": Expected(samples.sums.get("availability_ipv4_down_minutes")),
        "ipv6_down_minutes": Expected(samples.sums.get("availability_ipv6_down_minutes")),
    }


def _planned(samples: LineSamples, context: Context, line_id: str) -> dict[str, Expected]:
    """The tests that were planned, and how many of them have come (skipped ones too)."""
    expected = _planned_tests(samples, context, line_id)
    come = samples.count(["ok", "failed", "skipped"]) - samples.on_demand
    return {
        "planned": Expected(None if expected is None else round(expected)),
        "completeness_ratio": Expected(min(come / expected, 1.0) if expected else None),
        "lines_planned": Expected(int(expected is not None)),
    }


def _planned_tests(samples: LineSamples, context: Context, line_id: str) -> float | None:
    plan = context.plan
    if plan is None or plan["present"] is None or line_id not in plan["lines"]:
        return None
    end, day = _end(samples, context), _first_day(samples, context)
    begin, total = _midnight(day), 0.0
    while begin < end:
        first = begin.astimezone(VIETNAM).date().replace(day=1)
        following = _midnight((first + 31 * _DAY).replace(day=1))
        entries = plan["months"].get(f"{first:%Y-%m}") or plan["present"]
        a_day = sum(
            float(entry["per_line_and_day"])
            for entry in entries
            if entry["kind"] in ("throughput", "http") and entry.get("line") in (None, line_id)
        )
        total += (min(end, following) - begin) / _DAY * a_day
        begin = following
    return total


def _end(samples: LineSamples, context: Context) -> datetime:
    return min(_midnight(samples.last + _DAY), context.as_of)


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=VIETNAM)
