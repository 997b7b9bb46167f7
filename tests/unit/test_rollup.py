"""Roll-ups: distributions that merge, summaries of results, periods as people count them."""

from __future__ import annotations

import math
import random
import statistics
from datetime import UTC, date, datetime, timedelta

import msgspec
import pytest

from collector.rollup import windows
from collector.rollup.distribution import (
    RELATIVE_ERROR,
    Distribution,
    bin_by_microsecond,
    delays,
    distribution,
    merge_all,
)
from collector.rollup.metrics import OVERVIEW_METRICS, OVERVIEW_SUMS, kind_metrics
from collector.rollup.periods import (
    Period,
    Piece,
    Step,
    bucket_start,
    last_days,
    local_day,
    month_of,
    parse_period,
    pieces,
    start_of_day,
    week_of,
)
from collector.rollup.student_t import student_t
from collector.rollup.summary import (
    EMPTY,
    Summary,
    group_of,
    merge_metrics,
    merge_summaries,
    summary_of,
)
from collector.store import rollup_tables
from tests import samples
from wire.result import KINDS, Outcome, Reason, Result, Validity


def figures(count: int, seed: int = 7) -> list[float]:
    rng = random.Random(seed)
    return [rng.lognormvariate(3, 1) for _ in range(count)]


def true_quantile(values: list[float], share: float) -> float:
    return sorted(values)[max(math.ceil(share * len(values)), 1) - 1]


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.9, 0.95, 0.99, 1.0])
def test_a_percentile_is_within_one_percent(share: float) -> None:
    values = figures(5_000)
    found = distribution(values).quantile(share)
    assert found == pytest.approx(true_quantile(values, share), rel=RELATIVE_ERROR)


def test_means_are_exact() -> None:
    values = figures(1_000)
    found = distribution(values)
    assert found.mean == pytest.approx(statistics.fmean(values), rel=1e-12)
    assert found.deviation == pytest.approx(statistics.stdev(values), rel=1e-9)


@pytest.mark.parametrize(
    ("count", "percentile"), [(2, 12.7062), (5, 2.7764), (6, 2.5706), (11, 2.2281), (31, 2.0423)]
)
def test_percentiles_of_student(count: int, percentile: float) -> None:
    assert student_t(count - 1) == pytest.approx(percentile, rel=1e-3)


def test_between_whole_degrees_of_freedom_student_falls() -> None:
    percentiles = [student_t(freedom / 4) for freedom in range(4, 60)]
    assert percentiles == sorted(percentiles, reverse=True)
    assert percentiles[0] == pytest.approx(12.7062)
    # By integration of the density; what is between the table's is rather too wide.
    assert student_t(2.5) == pytest.approx(3.575, rel=0.02)


def test_of_nothing_nothing_is_known() -> None:
    for empty in (Distribution(), distribution([])):
        assert empty.mean is None
        assert empty.deviation is None
        assert empty.quantile(0.5) is None
    assert distribution([5.0]).deviation is None


def test_merging_is_the_distribution_of_all() -> None:
    values = figures(900)
    parts = [distribution(values[at : at + 100], infinite=at // 100) for at in range(0, 900, 100)]
    whole = distribution(values, infinite=sum(range(9)))
    merged = merge_all(parts)
    assert merged.bins == whole.bins
    assert (merged.count, merged.infinite, merged.zeros) == (900, 36, 0)
    assert merged.total == pytest.approx(whole.total, rel=1e-12)
    assert (merged.least, merged.most) == (whole.least, whole.most)
    assert merge_all(reversed(parts)).quantile(0.95) == merged.quantile(0.95)


def test_what_was_lost_is_infinite_to_a_percentile_and_in_no_mean() -> None:
    found = distribution([10.0, 20.0, 30.0], infinite=1)
    assert found.quantile(0.75) == pytest.approx(30, rel=RELATIVE_ERROR)
    assert found.quantile(0.76) is None
    assert found.mean == 20


def test_zeros_count_and_negative_figures_are_refused() -> None:
    found = distribution([0.0, 0.0, 8.0])
    assert found.quantile(0.5) == 0
    assert found.quantile(1.0) == 8
    with pytest.raises(ValueError, match="negative"):
        distribution([1.0, -1.0])


def test_without_its_sketch_a_distribution_keeps_its_mean() -> None:
    bare = msgspec.structs.replace(distribution([1.0, 2.0]), bins=None)
    both = bare.merged(distribution([3.0]))
    assert both.mean == 2
    assert both.quantile(0.5) is None


def tally(*results: Result) -> Summary:
    by_target: dict[tuple[str, str | None], list[Result]] = {}
    for result in results:
        by_target.setdefault((result.kind, result.target), []).append(result)
    return summary_of(group_of(*what, same) for what, same in by_target.items())


def flagged(result: Result, *flags: Validity) -> Result:
    return msgspec.structs.replace(result, validity=list(flags))


def test_a_weak_box_has_its_minutes_and_its_delays_all_the_same() -> None:
    weak = (Validity.LINK_BELOW_PLAN, Validity.PROBE_LIMITED, Validity.THROTTLED)
    minutes = samples.availability(up=58, down=2, unknown=0)
    whole = tally(
        flagged(minutes, *weak),
        flagged(minutes, Validity.TIME_ANCIENT),
        flagged(samples.latency(), Validity.LINK_BELOW_PLAN),
        flagged(samples.throughput(), Validity.LINK_BELOW_PLAN),
    )
    assert (whole.up_minutes, whole.down_minutes) == (58, 2)
    assert whole.metric("latency_rtt_mean_ms").count == 1
    # Of a speed it is the very objection.
    assert whole.metric("throughput_download_bps").count == 0


def test_a_speed_test_that_somebody_asked_for_counts_and_is_in_no_mean() -> None:
    planned = samples.throughput(download_bps=200e6)
    asked = msgspec.structs.replace(samples.throughput(download_bps=20e6), slot_at=None)
    whole = tally(planned, asked)
    counts = whole.counts("throughput")
    assert (whole.speed_tests, counts.valid, counts.flags) == (2, 1, {"on_demand": 1})
    assert whole.planned_completed == 1, "it fills no gap in the plan"
    assert whole.metric("throughput_download_bps").mean == 200e6


def test_counts_that_a_stolen_key_invents_break_no_store() -> None:
    most = 2**53 - 1
    told = samples.latency()
    assert told.values is not None
    values = msgspec.structs.replace(told.values, sent=most, lost=most)
    invented = msgspec.structs.replace(told, values=values)
    part = tally(*[invented] * 2_049)
    whole = merge_summaries([part] * 3)
    for summary in (part, whole):
        # More than 64 bits hold would end the thread that stores, or rolls up, for everybody.
        assert rollup_tables.decode(rollup_tables.encode(summary)) == summary
        assert all(isinstance(cell, int | float | None) for cell in rollup_tables.figures(summary))
    assert whole.metric("latency_rtt_ms").quantile(0.5) is None
    assert whole.loss_ratio == 1


@pytest.mark.parametrize("most", [90, 60_000, 5_000_000])
@pytest.mark.parametrize("count", [1, 2, 500])
def test_delays_in_microseconds_are_the_same_figures(most: int, count: int) -> None:
    chance = random.Random(f"{most} {count}")
    microseconds = [chance.randrange(most) for _ in range(count)]
    found = delays(microseconds, infinite=3)
    wanted = distribution([delay / 1000 for delay in microseconds], infinite=3)
    assert (found.count, found.infinite, found.zeros) == (count, 3, wanted.zeros)
    assert found.bins == wanted.bins
    assert (found.least, found.most) == (wanted.least, wanted.most)
    assert found.total == pytest.approx(wanted.total)
    assert found.squares == pytest.approx(wanted.squares)


def test_numpy_and_python_have_one_table_of_bins() -> None:
    assert windows.delay_table().tolist() == bin_by_microsecond()


def test_no_delay_and_a_negative_one() -> None:
    assert delays([], infinite=2) == Distribution(infinite=2)
    assert delays([0]).zeros == 1
    with pytest.raises(ValueError, match="negative"):
        delays([5, -1])


def test_valid_results_alone_make_figures() -> None:
    summary = tally(
        samples.throughput(download_bps=100e6),
        samples.throughput(download_bps=300e6),
        samples.throughput(download_bps=900e6, validity=[Validity.PROBE_LIMITED]),
        samples.throughput(download_bps=200e6, validity=[Validity.CLOCK_UNSYNCED]),
        samples.throughput(outcome=Outcome.FAILED, reason=Reason.TIMEOUT),
        samples.throughput(outcome=Outcome.SKIPPED, reason=Reason.SERVER_BUSY),
    )
    counts = summary.counts("throughput")
    assert (counts.ok, counts.failed, counts.skipped) == (4, 1, 1)
    assert (counts.attempted, counts.valid) == (5, 3)
    assert counts.reasons == {"timeout": 1, "server_busy": 1}
    assert counts.flags == {"probe_limited": 1, "clock_unsynced": 1}
    assert summary.metric("throughput_download_bps").mean == 200e6
    assert summary.metric("throughput_download_whole_bps").mean == pytest.approx(194e6)


def test_latency_is_apart_by_what_it_was_measured_to() -> None:
    summary = tally(
        samples.latency(target="stamp:may-chu-1", rtt_ms=12.0, sent=60, lost=3),
        samples.latency(target="icmp:gateway", rtt_ms=0.5),
        samples.latency(target="icmp:203.0.113.9", rtt_ms=99.0),
    )
    assert summary.counts("latency").valid == 3
    assert summary.metric("latency_rtt_p50_ms").mean == 12.0
    assert summary.metric("gateway_latency_rtt_p50_ms").mean == 0.5
    assert summary.loss_ratio == 3 / 60


def test_a_window_without_an_answer_is_loss_and_no_delay() -> None:
    summary = tally(
        samples.latency(sent=60, lost=0),
        samples.latency(sent=60, lost=60, outcome=Outcome.FAILED, reason=Reason.NO_REPLY),
    )
    assert summary.loss_ratio == 0.5
    assert summary.metric("latency_rtt_mean_ms").count == 1


def test_percentiles_of_packets_come_from_raw_round_trip_times() -> None:
    def window(rtt_us: list[int], lost: int) -> Result:
        result = samples.latency(sent=len(rtt_us) + lost, lost=lost)
        assert result.values is not None
        values = msgspec.structs.replace(result.values, rtt_us=rtt_us, rtt_samples=len(rtt_us))
        return msgspec.structs.replace(result, values=values)

    packets = tally(window([10_000] * 50, 0), window([50_000] * 40, 10)).metric("latency_rtt_ms")
    assert (packets.count, packets.infinite) == (90, 10)
    assert packets.quantile(0.5) == pytest.approx(10, rel=RELATIVE_ERROR)
    assert packets.quantile(0.9) == pytest.approx(50, rel=RELATIVE_ERROR)
    assert packets.quantile(0.95) is None
    # A window that lost all of its packets has no delay, and is the worst of percentiles.
    packets = tally(window([10_000] * 50, 0), window([], 60)).metric("latency_rtt_ms")
    assert (packets.count, packets.infinite, packets.mean) == (50, 60, 10)
    assert packets.quantile(0.5) is None
    packets = tally(window([], 60)).metric("latency_rtt_ms")
    assert (packets.count, packets.infinite) == (0, 60)


def test_what_the_office_s_own_network_loses_is_no_line_s_loss() -> None:
    own = samples.latency(
        sent=60, lost=60, outcome=Outcome.FAILED, reason=Reason.LINE_DOWN,
        validity=[Validity.OWN_LAN],
    )  # fmt: skip
    cut = samples.latency(sent=60, lost=60, outcome=Outcome.FAILED, reason=Reason.NO_REPLY)
    assert tally(samples.latency(sent=60), own).loss_ratio == 0
    assert tally(samples.latency(sent=60), own, cut).loss_ratio == 0.5
    assert tally(own).loss_ratio is None
    assert tally(own).counts("latency").flags == {"own_lan": 1}


def test_summaries_merge_in_any_order() -> None:
    parts = [
        tally(samples.throughput(download_bps=n * 1e6), samples.latency(lost=n % 3))
        for n in range(1, 12)
    ]
    assert merge_summaries([]) == EMPTY
    forth, back = merge_summaries(parts), merge_summaries(reversed(parts))
    assert forth.kinds == back.kinds
    assert forth.sums == back.sums
    name = "throughput_download_bps"
    assert forth.metric(name).bins == back.metric(name).bins
    assert forth.counts("throughput").valid == 11


def test_some_metrics_of_many_hours_merge_as_all_of_them_do() -> None:
    parts = [
        tally(samples.throughput(download_bps=n * 1e6), samples.latency(lost=n % 3))
        for n in range(1, 12)
    ]
    names = ["throughput_download_bps", "latency_rtt_mean_ms", "no_such_metric"]
    some, whole = merge_metrics(iter(parts), names), merge_summaries(parts)
    assert some.metrics == {name: whole.metrics[name] for name in names[:2]}
    assert some.sums == whole.sums
    assert some.kinds == {}
    assert merge_summaries(parts[:1]) == parts[0]


def test_a_summary_comes_back_from_its_bytes() -> None:
    summary = tally(samples.throughput(), samples.latency(lost=2))
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(summary), type=Summary) == summary


def test_availability_is_of_known_minutes() -> None:
    names = ("up", "down", "unknown")
    minutes = dict(zip(names, (950.0, 50.0, 440.0), strict=True))
    summary = Summary(sums={f"availability_{n}_minutes": v for n, v in minutes.items()})
    assert summary.availability_ratio == 0.95
    assert (summary.up_minutes, summary.down_minutes, summary.unknown_minutes) == (950, 50, 440)
    assert EMPTY.availability_ratio is None


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "results_dropped"])
def test_every_kind_is_rolled_up_by_fields_that_it_has(kind: str) -> None:
    metrics = kind_metrics(kind)
    assert metrics.figures or metrics.sums
    (values,) = (f.type for f in msgspec.structs.fields(KINDS[kind]) if f.name == "values")
    fields = {
        name for option in values.__args__ for name in getattr(option, "__struct_fields__", ())
    }
    assert {metric.field for metric in (*metrics.figures, *metrics.sums)} <= fields


def test_what_the_overview_tells_is_rolled_up() -> None:
    kinds = [kind_metrics(kind) for kind in (*KINDS, "availability")]
    assert set(OVERVIEW_METRICS) <= {m.name for kind in kinds for m in kind.figures}
    assert set(OVERVIEW_SUMS) - {s for s in OVERVIEW_SUMS if s.startswith("availability")} <= {
        m.name for kind in kinds for m in kind.sums
    }


def test_a_day_begins_at_midnight_in_vietnam() -> None:
    assert start_of_day(date(2026, 7, 25)) == datetime(2026, 7, 24, 17, tzinfo=UTC)
    late = datetime(2026, 7, 31, 17, 30, 12, tzinfo=UTC)
    assert local_day(late) == date(2026, 8, 1)
    assert bucket_start(late, Step.HOUR) == datetime(2026, 7, 31, 17, tzinfo=UTC)
    assert bucket_start(late, Step.DAY) == datetime(2026, 7, 31, 17, tzinfo=UTC)
    assert bucket_start(late - timedelta(hours=1), Step.MONTH) == start_of_day(date(2026, 7, 1))


def test_periods_as_they_are_written() -> None:
    assert parse_period("2026-W30") == Period(date(2026, 7, 20), date(2026, 7, 26))
    assert parse_period("2026-02") == Period(date(2026, 2, 1), date(2026, 2, 28))
    assert parse_period("2026-07-25").days == 1
    assert parse_period("2026-07-01..2026-07-15").days == 15
    assert parse_period("2026-12") == month_of(date(2026, 12, 31))
    assert week_of(date(2026, 7, 26)) == parse_period("2026-W30")
    assert last_days(7, date(2026, 7, 25)).first == date(2026, 7, 19)


@pytest.mark.parametrize("text", ["", "2026", "2026-13", "2026-W54", "2026-07-02..2026-07-01", "x"])
def test_what_is_no_period_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_period(text)


def test_a_period_is_read_in_months_where_it_can_be() -> None:
    def at(month: int, day: int) -> datetime:
        return start_of_day(date(2026, month, day))

    assert pieces(parse_period("2026-05-30..2026-08-02")) == [
        Piece(Step.DAY, at(5, 30), at(6, 1)),
        Piece(Step.MONTH, at(6, 1), at(8, 1)),
        Piece(Step.DAY, at(8, 1), at(8, 3)),
    ]
    assert pieces(parse_period("2026-07")) == [Piece(Step.MONTH, at(7, 1), at(8, 1))]
    assert pieces(parse_period("2026-W31")) == [Piece(Step.DAY, at(7, 27), at(8, 3))]
