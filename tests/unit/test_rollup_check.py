"""What a night compares, which differences there are, and the alert that is made of them."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from msgspec import structs

from collector.alerts.alert import AlertKind, Key, RuleResult, RuleState, Subject
from collector.alerts.rules import RollUpObservation, Rules, Snapshot, evaluate
from collector.registry.registry import LineKey
from collector.rollup.comparison import figure_differences
from collector.rollup.distribution import distribution
from collector.rollup.summary import EMPTY, KindCounts, Summary
from collector.store.records import NotedDifference
from collector.store.rollup_sample import LineDay, of_night

LINES = [LineKey("t", f"p{number:03}", "a") for number in range(95)]
NOW = datetime(2026, 7, 26, 3, 0, tzinfo=UTC)


@pytest.mark.parametrize(("raw_days", "nights"), [(None, 30), (90, 30), (7, 5), (3, 1)])
def test_each_day_of_each_line_has_its_night_while_raw_results_are_kept(
    raw_days: int | None, nights: int
) -> None:
    first = date(2026, 7, 1)
    seen: Counter[LineDay] = Counter()
    for after in range(90):
        night = first + timedelta(days=after)
        some = list(of_night(LINES, night, raw_days))
        lines = {one.line for one in some}
        assert len(LINES) // nights <= len(lines) <= len(LINES) // nights + 1
        days = [one.day for one in some if not one.whole_month]
        assert max(days) == night - timedelta(days=1)
        assert min(days) == night - timedelta(days=nights)
        if raw_days is not None:
            assert night - min(days) < timedelta(days=raw_days)
        seen.update(one for one in some if not one.whole_month)
    # Those at the edges had their turn before, or will have it.
    inner = [first + timedelta(days=day) for day in range(30)]
    assert {seen[LineDay(line, day)] for line in LINES for day in inner} == {1}


def test_months_are_compared_after_their_days() -> None:
    some = list(of_night(LINES[:30], date(2026, 7, 11), 90))
    assert [one.name for one in some[-2:]] == ["2026-06", "2026-07"]
    assert some[0].name == "2026-06-11"
    assert list(of_night(LINES, date(2026, 7, 11), 2)) == []


RTT = distribution([3.0, 4.0, 5.5])
WHOLE = Summary(
    {"latency": KindCounts(3, 1, 0, 2, {"timeout": 1}, {"busy": 1})},
    {"latency_rtt_mean_ms": RTT},
    {"latency_sent": 180.0},
)


def with_rtt(**changes: Any) -> Summary:
    changed = {"latency_rtt_mean_ms": structs.replace(RTT, **changes)}
    return structs.replace(WHOLE, metrics=changed)


def test_last_bits_of_a_sum_are_no_difference() -> None:
    assert figure_differences(WHOLE, WHOLE) == []
    assert figure_differences(EMPTY, EMPTY) == []
    assert figure_differences(with_rtt(total=RTT.total * (1 + 1e-12)), WHOLE) == []


@pytest.mark.parametrize(
    ("wrong", "figure"),
    [
        (with_rtt(total=RTT.total * 1.000_001), "latency_rtt_mean_ms_sum"),
        (with_rtt(count=4), "latency_rtt_mean_ms_count"),
        (with_rtt(infinite=1), "latency_rtt_mean_ms_infinite"),
        (with_rtt(squares=RTT.squares + 1), "latency_rtt_mean_ms_squares"),
        (with_rtt(most=5.6), "latency_rtt_mean_ms_max"),
        (with_rtt(bins=dict.fromkeys(list(RTT.bins or ())[1:], 1)), "latency_rtt_mean_ms_bins"),
        (
            with_rtt(bins={key + 3: count for key, count in (RTT.bins or {}).items()}),
            "latency_rtt_mean_ms_p50",
        ),
        (Summary(WHOLE.kinds, WHOLE.metrics, {}), "latency_sent"),
        (Summary(WHOLE.kinds, {}, WHOLE.sums), "latency_rtt_mean_ms_count"),
        (Summary({}, WHOLE.metrics, WHOLE.sums), "latency_ok"),
        (
            Summary(
                {"latency": KindCounts(3, 1, 0, 2, {"refused": 1}, {"busy": 1})},
                WHOLE.metrics,
                WHOLE.sums,
            ),
            "latency_refused",
        ),
    ],
)
def test_every_figure_is_compared(wrong: Summary, figure: str) -> None:
    assert figure in {one.figure for one in figure_differences(wrong, WHOLE)}
    assert figure in {one.figure for one in figure_differences(WHOLE, wrong)}


def found(noted: list[NotedDifference]) -> RuleResult:
    seen = RollUpObservation(tenant="t", probe="p", line="a", noted=noted)
    (result,) = evaluate(Snapshot(now=NOW, listening_since=None, rollups=[seen]), Rules())
    return result


def test_a_line_s_differences_are_one_alert() -> None:
    line = LineKey("t", "p", "a")
    result = found(
        [
            NotedDifference(line, "2026-07-24", NOW, 2, "latency_ok", 1_441.0, 1_440.0),
            NotedDifference(line, "2026-07-25", NOW - timedelta(days=1), 1, "x_sum", None, 3.0),
        ]
    )
    assert result.key == Key(AlertKind.ROLLUPS_DIFFER, Subject("t", "p", "a"))
    assert result.state is RuleState.HOLDS
    assert result.since == NOW - timedelta(days=1)
    assert result.evidence == {
        "period": "2026-07-24", "periods": 2, "figures": 3, "figure": "latency_ok",
        "rolled_up": 1_441.0, "raw": 1_440.0,
    }  # fmt: skip
    assert found([]).state is RuleState.CLEAR
