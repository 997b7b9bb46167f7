"""Roll-ups of any results, however cut into batches: equal to counting them one by one."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import reduce
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest
from ddsketch.mapping import LogarithmicMapping
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import inspect

from collector.ingest.validation import validate
from collector.registry.registry import LineKey
from collector.rollup.distribution import RELATIVE_ERROR, Distribution, distribution, merge_all
from collector.rollup.metrics import ON_DEMAND, invalidating, kind_metrics, metric_kind
from collector.rollup.periods import Step, last_days, local_day
from collector.rollup.summary import (
    EMPTY,
    PACKETS,
    SPEED_KINDS,
    HourKey,
    KindCounts,
    ResultGroup,
    Summary,
    fold,
    group_by_hour,
    merge_summaries,
    summary_of,
)
from collector.rollup.windows import Windows
from collector.store.batch import microseconds
from collector.store.rollup_tables import ProbeResults, decode_delta, delta_of, encode_delta
from collector.store.sqlite import SqliteStore
from tests import samples
from wire.result import KINDS, Family, Outcome, Reason, Result, Validity

START = datetime(2026, 7, 1, 15, tzinfo=UTC)
NOW = START + timedelta(days=2)
MAPPING = LogarithmicMapping(RELATIVE_ERROR)
WINDOW = samples.latency().values
assert WINDOW is not None

# Just at the edges of bins, and one bit beside them.
edges = st.builds(
    lambda power, to: math.nextafter(MAPPING.gamma**power, to),
    st.integers(-2_000, 2_000),
    st.sampled_from([0.0, 1.0, math.inf]),
)
figures = st.one_of(st.none(), st.just(0.0), st.floats(1e-6, 1e12))
packets = st.lists(st.one_of(st.integers(0, 90_000), st.integers(0, 2**53 - 1)), max_size=8)


@st.composite
def windows(draw: st.DrawFn) -> Result:
    """A latency window whose figures need not agree with each other, as a broken probe's."""
    assert WINDOW is not None
    target = draw(st.sampled_from(["stamp:may-chu-1", "stamp:may-chu-2", "icmp:gateway", "udp:x"]))
    values = msgspec.structs.replace(
        WINDOW,
        rtt_us=draw(st.one_of(st.none(), packets)),
        lost=draw(st.integers(0, 60)),
        sent=draw(st.one_of(st.integers(0, 60), st.just(2**53 - 1))),
        rtt_mean_ms=draw(figures),
        rtt_p95_ms=draw(figures),
    )
    return msgspec.structs.replace(samples.latency(target=target), values=values)


@st.composite
def results(draw: st.DrawFn) -> Result:
    """A result of any kind, ended anyhow, with any flags."""
    result = draw(
        st.one_of(
            windows(),
            st.floats(0, 1e13).map(lambda bps: samples.throughput(download_bps=bps)),
            st.floats(0, 1e6).map(lambda ms: samples.dns(rtt_ms=ms)),
            st.builds(samples.availability, up=st.integers(0, 60), ipv6_down=st.integers(0, 60)),
            st.sampled_from([samples.web(), samples.path(), samples.outage()]),
        )
    )
    outcome = draw(st.sampled_from([Outcome.OK, Outcome.OK, Outcome.FAILED, Outcome.SKIPPED]))
    return msgspec.structs.replace(
        result,
        started_at=START + timedelta(seconds=draw(st.integers(0, 3 * 3600))),
        slot_at=draw(st.sampled_from([None, START])),
        line=draw(st.sampled_from([samples.VNPT, samples.VIETTEL])),
        family=draw(st.sampled_from([None, Family.IPV4, Family.IPV6])),
        outcome=outcome,
        reason=None if outcome is Outcome.OK else draw(st.sampled_from([*Reason])),
        validity=sorted(draw(st.sets(st.sampled_from([*Validity]), max_size=2))),
        values=draw(st.sampled_from([result.values] * 5 + [None])),
    )


def triples(some: Iterable[Result]) -> list[tuple[str, str, Result]]:
    return [(samples.TENANT, samples.PROBE, result) for result in some]


def of_probe(some: Sequence[Result]) -> ProbeResults:
    started_us = [microseconds(result.started_at) for result in some]
    return ProbeResults(samples.TENANT, samples.PROBE, some, started_us)


def key_of(result: Result) -> HourKey:
    line = LineKey(samples.TENANT, samples.PROBE, result.line.id)
    return HourKey(line, int(result.started_at.timestamp()) // 3600 * 3600, result.family)


def counted(some: Sequence[Result]) -> Summary:
    """A Summary by one look at each result, without a column or a delta."""
    kinds: dict[str, KindCounts] = {}
    columns: dict[str, list[float]] = defaultdict(list)
    sums: dict[str, float] = defaultdict(float)
    lost: Counter[str] = Counter()
    for result in some:
        kind, on_demand = result.kind, result.kind in SPEED_KINDS and result.slot_at is None
        valid = not on_demand and invalidating(kind).isdisjoint(result.validity)
        flags = Counter(flag.value for flag in result.validity) + Counter([ON_DEMAND] * on_demand)
        one = KindCounts(
            result.outcome is Outcome.OK,
            result.outcome is Outcome.FAILED,
            result.outcome is Outcome.SKIPPED,
            valid and result.outcome is Outcome.OK,
            {} if result.reason is None else {result.reason.value: 1},
            dict(flags),
        )
        kinds[kind] = kinds.get(kind, KindCounts()).merged(one)
        named = metric_kind(kind, result.target)
        if not valid or named is None or result.values is None:
            continue
        for metric in kind_metrics(named).figures:
            if (figure := getattr(result.values, metric.field)) is not None:
                columns[metric.name].append(float(figure))
        for metric in kind_metrics(named).sums:
            if (figure := getattr(result.values, metric.field)) is not None:
                sums[metric.name] += figure
        if (delays := getattr(result.values, "rtt_us", None)) is not None:
            columns[f"{named}_{PACKETS}"] += [delay / 1e3 for delay in delays]
            lost[f"{named}_{PACKETS}"] += result.values.lost  # type: ignore[attr-defined]
    names = [name for name in [*columns, *lost] if columns.get(name) or lost[name]]
    return Summary(
        kinds, {name: sketched(columns.get(name, []), lost[name]) for name in names}, dict(sums)
    )


def sketched(some: list[float], infinite: int) -> Distribution:
    return Distribution(
        len(some),
        math.fsum(some),
        math.fsum(figure * figure for figure in some),
        min(some, default=None),
        max(some, default=None),
        infinite,
        some.count(0.0),
        dict(Counter(MAPPING.key(figure) for figure in some if figure)),
    )


def assert_equal(found: Summary, expected: Summary) -> None:
    """Counts, bins and extremes to the bit; sums of floats but for the order of addition."""
    assert found.kinds == expected.kinds
    assert found.sums.keys() == expected.sums.keys()
    for name, total in found.sums.items():
        assert total == pytest.approx(expected.sums[name], rel=1e-12)
    assert found.metrics.keys() == expected.metrics.keys()
    for name, metric in found.metrics.items():
        other = expected.metrics[name]
        exact = msgspec.structs.replace(metric, total=other.total, squares=other.squares)
        assert exact == other, name
        assert metric.total == pytest.approx(other.total, rel=1e-12)
        assert metric.squares == pytest.approx(other.squares, rel=1e-12)


def cut(some: Sequence[Result], sizes: Sequence[int]) -> list[Sequence[Result]]:
    """The results in parts of these sizes, the last part without a limit."""
    ends = [sum(sizes[:place]) for place in range(len(sizes) + 1)]
    parts = [some[begin:end] for begin, end in zip(ends, [*ends[1:], len(some)], strict=True)]
    return [part for part in parts if part]


some_results = st.lists(results(), min_size=1, max_size=16)
sizes = st.lists(st.integers(1, 5), max_size=4)


def rolled_up(parts: Sequence[Sequence[Result]]) -> dict[HourKey, Summary]:
    """The hours of these batches, by what each writes for the roll-up."""
    deltas = [decode_delta(encode_delta(delta_of([of_probe(part)]))) for part in parts]
    windows = Windows([delta.windows for delta in deltas if delta.windows is not None])
    groups: dict[HourKey, list[ResultGroup]] = defaultdict(list)
    for delta in deltas:
        for hour in delta.hours:
            groups[hour.key] += hour.groups
    found = windows.summaries(len(windows.hours))
    for key, same in groups.items():
        found[key] = found.get(key, Summary()).merged(summary_of(same))
    return found


@given(some_results, sizes)
def test_deltas_of_any_batches_are_the_hours_of_all(some: list[Result], cuts: list[int]) -> None:
    found = rolled_up(cut(some, cuts))
    by_hour: dict[HourKey, list[Result]] = defaultdict(list)
    for result in some:
        by_hour[key_of(result)].append(result)
    assert found.keys() == by_hour.keys()
    for key, same in by_hour.items():
        assert_equal(found[key], counted(same))
    # One after the other as before: the delta of each batch merged with those before it.
    for key, summary in found.items():
        parts = [fold(triples(part)) for part in cut(some, cuts)]
        assert_equal(summary, merge_summaries(part[key] for part in parts if key in part))


@given(some_results)
def test_a_delta_without_columns_that_an_older_version_left_is_read(some: list[Result]) -> None:
    hours = group_by_hour(triples(some))
    read = decode_delta(msgspec.msgpack.encode(hours))
    assert read.windows is None
    assert {hour.key: summary_of(hour.groups) for hour in read.hours} == fold(triples(some))


@given(some_results, sizes, st.integers(0, 5))
def test_hours_that_are_left_for_the_next_roll_up_lose_nothing(
    some: list[Result], cuts: list[int], most: int
) -> None:
    deltas = [delta_of([of_probe(part)]) for part in cut(some, cuts)]
    columns = [delta.windows for delta in deltas if delta.windows is not None]
    windows = Windows(columns)
    found = windows.summaries(most)
    rest = windows.rest(most)
    left = Windows([] if rest is None else [rest])
    assert len(found) == min(most, len(windows.hours))
    assert windows.results == sum(s.counts("latency").ok for s in found.values()) + left.results
    found |= left.summaries(len(left.hours))
    whole = windows.summaries(len(windows.hours))
    assert found.keys() == whole.keys()
    for key, summary in whole.items():
        assert_equal(found[key], summary)


@settings(max_examples=15, deadline=None)
@given(some_results, sizes, st.integers(1, 30))
def test_a_store_that_is_rolled_up_now_and_then_has_the_hours_and_days_of_all(
    some: list[Result], cuts: list[int], most: int
) -> None:
    with TemporaryDirectory() as directory:
        store = SqliteStore(Path(directory) / "s.sqlite")
        for number, part in enumerate(cut(some, cuts)):
            batch = [
                validate(
                    f"tramdo/v1/{samples.TENANT}/{samples.PROBE}/m/{result.kind}",
                    samples.envelope([(number * 100 + place, result)]),
                    NOW,
                )
                for place, result in enumerate(part, start=1)
            ]
            assert store.store_batch(batch, NOW).stored == len(part)
            if number % 2:
                store.roll_up(NOW, most)
        assert store.summaries.waiting() <= len(some)
        while store.roll_up(NOW, most):
            pass
        assert store.summaries.waiting() == 0
        for step in (Step.HOUR, Step.DAY):
            for line in {key_of(result).line for result in some}:
                mine = [result for result in some if result.line.id == line.line]
                period = last_days(3, local_day(NOW))
                buckets = store.summaries.series(line, period, step)
                assert_equal(merge_summaries(bucket.summary for bucket in buckets), counted(mine))
        store.close()


@given(some_results, sizes, st.sets(st.integers(0, 20)))
def test_many_at_once_are_what_they_are_one_by_one(
    some: list[Result], cuts: list[int], without_sketch: set[int]
) -> None:
    parts = [counted(part) for part in cut(some, cuts)]
    for place in without_sketch.intersection(range(len(parts))):
        bare = {
            name: msgspec.structs.replace(found, bins=None)
            for name, found in parts[place].metrics.items()
        }
        parts[place] = msgspec.structs.replace(parts[place], metrics=bare)
    parts.insert(0, msgspec.structs.replace(EMPTY, metrics={"latency_rtt": Distribution()}))
    assert merge_summaries(parts) == reduce(Summary.merged, parts, EMPTY)
    for name in {name for part in parts for name in part.metrics}:
        every = [part.metric(name) for part in parts]
        assert merge_all(every) == reduce(Distribution.merged, every, Distribution())


@given(st.floats(1e-300, 1e300))
def test_the_bins_are_those_of_the_sketch_library(figure: float) -> None:
    key = MAPPING.key(figure)
    assert distribution([figure]).bins == {key: 1}
    assert distribution([figure] * 3).bins == {key: 3}


@given(st.lists(st.one_of(st.floats(1e-150, 1e150), edges), min_size=1))
def test_the_bins_of_columns_are_those_of_the_sketch_library(some: list[float]) -> None:
    """Beside the edge of a bin too, where the last bit of a logarithm decides."""
    assert WINDOW is not None
    window = samples.latency(started_at=START)
    made = [
        msgspec.structs.replace(
            window, values=msgspec.structs.replace(WINDOW, rtt_mean_ms=figure, rtt_us=[])
        )
        for figure in some
    ]
    (summary,) = rolled_up([made]).values()
    assert summary.metric("latency_rtt_mean_ms").bins == Counter(map(MAPPING.key, some))


def test_no_figure_of_the_contract_can_be_negative() -> None:
    """One would end the roll-up, which nothing could pass from then on."""
    for kind, result_type in KINDS.items():
        values = next(f.type for f in msgspec.structs.fields(result_type) if f.name == "values")
        info = inspect.type_info(values)
        options = info.types if isinstance(info, inspect.UnionType) else (info,)
        struct = next(option for option in options if isinstance(option, inspect.StructType))
        wanted = kind_metrics(kind)
        fields = {field.name: field.type for field in struct.fields}
        for metric in (*wanted.figures, *wanted.sums):
            of = fields[metric.field]
            for option in of.types if isinstance(of, inspect.UnionType) else (of,):
                if isinstance(option, inspect.IntType | inspect.FloatType):
                    assert option.ge == 0, metric
                else:
                    assert isinstance(option, inspect.NoneType), metric
