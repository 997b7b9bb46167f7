"""Roll-ups over a real database: what is stored comes into its buckets, once, whenever it comes."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from msgspec import structs

from collector.ingest.validation import validate
from collector.registry.registry import LineKey
from collector.rollup.periods import Period, Step, last_days, parse_period, start_of_day
from collector.rollup.queries import AVAILABILITY, LOSS
from collector.rollup.summary import Summary, fold, merge_summaries
from collector.store.messages import ResultsMessage
from collector.store.store import Store
from tests import samples
from wire.result import Family, Line, Outcome, Reason, Result, ResultsDroppedValues

NOW = datetime(2026, 8, 3, 1, 0, tzinfo=UTC)
VNPT = LineKey(samples.TENANT, samples.PROBE, "vnpt")
JULY = parse_period("2026-07")


def message(
    numbered: list[tuple[int, Result]],
    *,
    epoch: UUID = samples.EPOCH,
    probe: str = samples.PROBE,
) -> ResultsMessage:
    topic = f"tramdo/v1/{samples.TENANT}/{probe}/m/{numbered[0][1].kind}"
    judged = validate(topic, samples.envelope(numbered, epoch=epoch, probe=probe), NOW)
    assert isinstance(judged, ResultsMessage), judged
    return judged


def at(day: int, hour: int = 12, month: int = 7) -> datetime:
    """A local hour of 2026."""
    return start_of_day(date(2026, month, day)) + timedelta(hours=hour, minutes=7)


def put(store: Store, *results: Result, first_seq: int = 1, probe: str = samples.PROBE) -> None:
    for seq, result in enumerate(results, start=first_seq):
        store.store_batch([message([(seq, result)], probe=probe)], NOW)
    roll(store)


def roll(store: Store, most: int = 2_000) -> int:
    rolled = 0
    while part := store.roll_up(NOW, most):
        rolled += part
    return rolled


def expected(results: list[Result]) -> Summary:
    return merge_summaries(
        fold((samples.TENANT, samples.PROBE, result) for result in results).values()
    )


def test_an_empty_store_has_no_roll_ups(store: Store) -> None:
    summaries = store.summaries
    assert store.roll_up(NOW) == 0
    assert summaries.overview(JULY) == {}
    assert summaries.of_lines([VNPT], JULY) == {}
    assert summaries.series(VNPT, JULY, Step.DAY) == []
    assert summaries.lines() == []
    assert summaries.revision() == 0
    assert summaries.waiting() == 0
    assert summaries.week_counts(JULY, "throughput") == {}
    assert summaries.revised_since(JULY, [VNPT], 0) == []


def test_what_is_stored_is_waiting_until_it_is_rolled_up(store: Store) -> None:
    store.store_batch([message([(1, samples.throughput(started_at=at(25)))])], NOW)
    assert store.summaries.waiting() == 1
    assert store.summaries.overview(JULY) == {}
    assert roll(store) == 1
    assert store.summaries.waiting() == 0
    assert VNPT in store.summaries.overview(JULY)


@pytest.mark.parametrize("most", [1, 3, 2_000])
def test_every_step_comes_to_the_same_however_it_was_rolled(store: Store, most: int) -> None:
    results: list[Result] = [
        samples.throughput(started_at=at(day, hour), download_bps=(100 + day + hour) * 1e6)
        for day in (1, 2, 31)
        for hour in (0, 8, 23)
    ]
    for seq, result in enumerate(results, start=1):
        store.store_batch([message([(seq, result)])], NOW)
    assert roll(store, most) == 9
    whole = expected(results)
    for step, buckets in ((Step.HOUR, 9), (Step.DAY, 3), (Step.MONTH, 1)):
        found = store.summaries.series(VNPT, JULY, step)
        assert len(found) == buckets
        merged = merge_summaries(bucket.summary for bucket in found)
        assert merged.kinds == whole.kinds
        name = "throughput_download_bps"
        assert merged.metric(name).bins == whole.metric(name).bins
        assert merged.metric(name).total == pytest.approx(whole.metric(name).total, rel=1e-12)
    month = store.summaries.of_lines([VNPT], JULY)[VNPT]
    assert month.kinds == whole.kinds
    assert month.metric("throughput_download_bps").quantile(0.5) is not None


def test_the_overview_says_the_same_as_the_whole(store: Store) -> None:
    failure = samples.throughput(
        started_at=at(3), outcome=Outcome.FAILED, reason=Reason.CONNECTION_LOST
    )
    put(
        store,
        samples.throughput(started_at=at(1)),
        failure,
        samples.latency(started_at=at(2), sent=60, lost=3),
        samples.latency(started_at=at(31, 23), sent=60, lost=0),
    )
    for period in (
        JULY,
        Period(date(2026, 7, 1), date(2026, 8, 2)),
        last_days(40, date(2026, 8, 3)),
    ):
        quick = store.summaries.overview(period)[VNPT]
        whole = store.summaries.of_lines([VNPT], period)[VNPT]
        assert quick.loss_ratio == whole.loss_ratio == 3 / 120
        assert quick.counts("throughput").attempted == whole.counts("throughput").attempted == 2
        for name in ("throughput_download_whole_bps", "latency_rtt_mean_ms"):
            assert quick.metric(name).mean == pytest.approx(whole.metric(name).mean)
            assert quick.metric(name).quantile(0.5) is None
        assert whole.counts("throughput").reasons == {"connection_lost": 1}
    assert store.summaries.overview(parse_period("2026-06")) == {}
    assert store.summaries.overview(JULY, tenant=samples.TENANT).keys() == {VNPT}
    assert store.summaries.overview(JULY, tenant="another") == {}


def test_days_are_those_of_vietnam(store: Store) -> None:
    put(store, samples.throughput(started_at=at(26, 0)), samples.throughput(started_at=at(25, 23)))
    days = store.summaries.series(VNPT, JULY, Step.DAY)
    assert [bucket.start for bucket in days] == [
        start_of_day(date(2026, 7, 25)),
        start_of_day(date(2026, 7, 26)),
    ]


def test_a_repeat_is_rolled_up_once(store: Store) -> None:
    result = samples.throughput(started_at=at(25))
    put(store, result)
    put(store, result)
    twice = message([(2, result), (2, result)])
    store.store_batch([twice, twice], NOW)
    roll(store)
    (bucket,) = store.summaries.series(VNPT, JULY, Step.DAY)
    assert bucket.summary.counts("throughput").ok == 2


def test_a_late_result_reopens_its_buckets_and_papers_learn_of_it(store: Store) -> None:
    put(store, samples.throughput(started_at=at(10)), samples.throughput(started_at=at(20)))
    issued = store.summaries.revision()
    assert store.summaries.revised_since(JULY, [VNPT], issued) == []
    put(store, samples.throughput(started_at=at(10, 15)), first_seq=3)
    later = NOW + timedelta(days=2)
    store.store_batch([message([(4, samples.latency(started_at=at(1, month=8)))])], later)
    store.roll_up(later)
    (revised,) = store.summaries.revised_since(JULY, [VNPT], issued)
    assert (revised.line, revised.day, revised.changed_at) == (VNPT, date(2026, 7, 10), NOW)
    assert store.summaries.revised_since(JULY, [VNPT._replace(line="viettel")], issued) == []
    tenth = store.summaries.series(VNPT, Period(date(2026, 7, 10), date(2026, 7, 10)), Step.DAY)
    assert tenth[0].summary.counts("throughput").ok == 2
    assert tenth[0].revision > issued


def test_the_heat_map_is_by_local_weekday_and_hour(store: Store) -> None:
    # 6 and 13 July 2026 are Mondays.
    put(
        store,
        samples.throughput(started_at=at(6, 8)),
        samples.throughput(started_at=at(13, 8)),
        samples.throughput(started_at=at(12, 23)),
    )
    heat = store.summaries.hours_of_week(VNPT, JULY)
    counts = {place: summary.counts("throughput").ok for place, summary in heat.items()}
    assert counts == {(0, 8): 2, (6, 23): 1}


def test_one_metric_of_many_lines_by_the_hour_of_the_week(store: Store) -> None:
    put(
        store,
        samples.throughput(started_at=at(6, 8)),
        samples.throughput(started_at=at(13, 8)),
        samples.throughput(started_at=at(12, 23)),
        samples.throughput(started_at=at(12, 0), line=samples.VIETTEL),
        samples.throughput(started_at=at(13, 9), outcome=Outcome.FAILED, reason=Reason.TIMEOUT),
    )
    viettel = VNPT._replace(line=samples.VIETTEL.id)
    metric = "throughput_download_whole_bps"
    found = store.summaries.hour_means([VNPT, viettel], JULY, metric)
    assert {place: one.samples for place, one in found[VNPT].items()} == {(0, 8): 2, (6, 23): 1}
    assert {place: one.samples for place, one in found[viettel].items()} == {(6, 0): 1}
    # The same as the whole Summaries have it.
    for key, hours in found.items():
        heat = store.summaries.hours_of_week(key, JULY)
        assert {place: heat[place].metric(metric).mean for place in hours} == {
            place: pytest.approx(one.mean) for place, one in hours.items()
        }


def test_an_area_s_hours_are_means_over_lines_each_counted_once(store: Store) -> None:
    second = VNPT._replace(probe="second")
    for line, rates in ((VNPT, [100e6, 200e6, 300e6]), (second, [50e6])):
        # On Wednesdays; the last one over IPv6.
        results = [
            samples.throughput(
                started_at=at(1 + 7 * n),
                family=Family.IPV6 if n == 2 else Family.IPV4,
                download_bps=bps,
            )
            for n, bps in enumerate(rates)
        ]
        put(store, *results, probe=line.probe)
    factors = {VNPT: 1 / 100e6, second: 1 / 50e6, VNPT._replace(line="none"): 1.0}
    profile = store.summaries.hour_profile(factors, JULY, "throughput_download_bps")
    assert set(profile) == {(2, 12)}
    assert profile[2, 12].lines == 2
    assert profile[2, 12].mean == pytest.approx((2.0 + 1.0) / 2)
    assert store.summaries.hour_profile({}, JULY, LOSS) == {}


def test_an_area_s_loss_and_availability_by_hour_are_shares(store: Store) -> None:
    test = samples.throughput(started_at=at(2))
    assert test.values is not None
    values = structs.replace(test.values, rtt_loaded_download_p50_ms=42.5)
    put(
        store,
        samples.latency(started_at=at(1)),
        samples.availability(started_at=at(1)),
        structs.replace(test, values=values),
    )
    loaded = "throughput_rtt_loaded_download_p50_ms"
    assert store.summaries.hour_profile({VNPT: 1.0}, JULY, loaded) == {(3, 12): (1, 42.5)}
    hours = store.summaries.hours_of_week(VNPT, JULY)
    for figure in (LOSS, AVAILABILITY):
        profile = store.summaries.hour_profile({VNPT: 1.0}, JULY, figure)
        assert profile
        for hour, found in profile.items():
            whole = hours[hour]
            known = whole.loss_ratio if figure == LOSS else whole.availability_ratio
            assert found.lines == 1
            assert found.mean == pytest.approx(known)


@pytest.mark.parametrize("kind", ["throughput", "latency"])
def test_weeks_are_counted_whole(store: Store, kind: str) -> None:
    make = samples.throughput if kind == "throughput" else samples.latency
    failed = make(started_at=at(7), outcome=Outcome.FAILED, reason=Reason.TIMEOUT)
    # The week of 29 June to 5 July touches July.
    june = make(started_at=at(30, month=6))
    put(store, june, make(started_at=at(1)), make(started_at=at(6)), failed)
    assert store.summaries.week_counts(JULY, kind) == {
        VNPT: {date(2026, 6, 29): 2, date(2026, 7, 6): 1}
    }


def test_a_kind_without_columns_is_counted_too(store: Store) -> None:
    put(store, samples.throughput(started_at=at(6)))
    assert store.summaries.week_counts(JULY, "results_dropped") == {}


def test_lines_are_apart_and_the_box_is_none(store: Store) -> None:
    dropped = samples.dropped(
        ResultsDroppedValues(cause="outbox_full", epoch=None, count=3, ranges=[])  # type: ignore[arg-type]
    )
    put(store, samples.throughput(started_at=at(1)), dropped)
    put(store, samples.throughput(started_at=at(1), line=samples.VIETTEL), first_seq=3)
    put(store, samples.throughput(started_at=at(1)), probe="tram-2")
    viettel, other = VNPT._replace(line="viettel"), VNPT._replace(probe="tram-2")
    assert store.summaries.lines() == sorted([VNPT, viettel, other])
    assert store.summaries.overview(JULY).keys() == {VNPT, viettel, other}
    assert store.summaries.of_lines([viettel, other], JULY).keys() == {viettel, other}


def test_many_lines_are_asked_for_at_once(store: Store) -> None:
    results: list[tuple[int, Result]] = [
        (number, samples.latency(line=Line(f"line-{number}"), started_at=at(1)))
        for number in range(1, 51)
    ]
    for probe in range(22):
        store.store_batch([message(results, probe=f"tram-{probe}")], NOW)
    roll(store)
    keys = store.summaries.lines()
    assert len(store.summaries.of_lines(keys, JULY)) == 1_100
    assert len(store.summaries.overview(JULY)) == 1_100


def test_raw_results_go_and_what_was_known_of_them_stays(store: Store) -> None:
    old, new = samples.throughput(started_at=at(1)), samples.throughput(started_at=at(31))
    store.store_batch([message([(1, old)])], at(1))
    store.store_batch([message([(2, new)])], at(31))
    roll(store)
    before = store.summaries.series(VNPT, JULY, Step.MONTH)
    while store.maintain(at(31) + timedelta(days=1), raw_days=15).deleted:
        pass
    assert [row.seq for row in store.results_after(0, 10)] == [2]
    assert store.summaries.series(VNPT, JULY, Step.MONTH) == before
    assert store.totals().results == 2
    # It comes again, months later: it is known all the same.
    again = store.store_batch([message([(1, old)])], NOW)
    assert (again.stored, again.duplicates) == (0, 1)
    assert roll(store) == 0
    assert store.store_batch([message([(3, new)])], NOW).stored == 1


def test_what_was_stored_while_the_centre_s_clock_stood_wrong_takes_nothing_else_along(
    store: Store,
) -> None:
    for seq, stored_at in ((1, NOW), (2, NOW - timedelta(days=800)), (3, NOW)):
        store.store_batch([message([(seq, samples.throughput(started_at=NOW))])], stored_at)
    roll(store)
    while store.maintain(NOW, raw_days=90).deleted:
        pass
    assert {1, 3} <= {row.seq for row in store.results_after(0, 10)}


def test_raw_results_stay_for_ever_where_that_is_asked_for(store: Store) -> None:
    put(store, samples.throughput(started_at=at(1)))
    assert store.maintain(NOW + timedelta(days=9_999), raw_days=None) == (0, 0)
    assert len(store.results_after(0, 10)) == 1


def test_hours_and_days_may_go_and_months_stay(store: Store) -> None:
    put(store, samples.throughput(started_at=at(1)), samples.throughput(started_at=at(31)))
    store.maintain(at(31), raw_days=None, rollup_days=10)
    assert len(store.summaries.series(VNPT, JULY, Step.HOUR)) == 1
    assert len(store.summaries.series(VNPT, JULY, Step.DAY)) == 1
    (month,) = store.summaries.series(VNPT, JULY, Step.MONTH)
    assert month.summary.counts("throughput").ok == 2


def test_a_clock_that_was_never_right_does_no_harm(store: Store) -> None:
    put(
        store,
        samples.latency(started_at=datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)),
        samples.latency(started_at=datetime(9999, 12, 1, tzinfo=UTC)),
        samples.latency(started_at=datetime(1, 1, 3, tzinfo=UTC)),
        samples.latency(started_at=at(1)),
    )
    assert len(store.results_after(0, 10)) == 4
    assert store.summaries.overview(JULY)[VNPT].counts("latency").ok == 1
    (bucket,) = store.summaries.series(VNPT, parse_period("1970-01-01"), Step.DAY)
    assert bucket.summary.counts("latency").ok == 1
