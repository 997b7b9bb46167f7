"""Whose turn it is: idle lines, growing waits, and what the result tells of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from msgspec import structs

from probe.config import PlanConfig
from probe.plan import hours
from probe.schedule import admission
from probe.schedule.admission import (
    AdmissionDecision,
    CrossTrafficLimits,
    InterfaceCounters,
    InterfaceRates,
    QueuedMeasurement,
)
from tests import samples
from tests.unit.test_plan import PARSED, office, with_http
from wire.result import Outcome, Reason

LIMITS = CrossTrafficLimits(64e3, 32e3)
SLOT = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)  # Tuesday, 09:00 in Hà Nội


def wanted(until: datetime | None = SLOT + timedelta(hours=5)) -> QueuedMeasurement:
    return QueuedMeasurement(
        kind="throughput",
        line=PARSED.lines[0],
        server=PARSED.servers[0],
        slot_at=SLOT,
        until=until,
    )


@pytest.mark.parametrize(
    ("received_bps", "sent_bps", "decision"),
    [
        (0, 0, AdmissionDecision.GO),
        (64e3, 32e3, AdmissionDecision.GO),
        (64.1e3, 0, AdmissionDecision.DEFER),
        (0, 32.1e3, AdmissionDecision.DEFER),
        (5e6, 5e6, AdmissionDecision.DEFER),
    ],
)
def test_a_line_that_somebody_uses_defers_a_bulk_test(
    received_bps: float, sent_bps: float, decision: AdmissionDecision
) -> None:
    then = InterfaceCounters(100.0, 10_000, 20_000)
    now = InterfaceCounters(
        105.0, 10_000 + int(received_bps * 5 / 8), 20_000 + int(sent_bps * 5 / 8)
    )
    assert admission.bulk_admission(then, now, LIMITS) is decision
    assert admission.rates_between(then, now).sent_bps == pytest.approx(sent_bps, rel=1e-3)


@pytest.mark.parametrize(
    ("then", "now"),
    [
        (InterfaceCounters(0, None, None), InterfaceCounters(5, None, None)),
        (InterfaceCounters(0, 10**9, 10**9), InterfaceCounters(5, 0, 0)),
        (InterfaceCounters(5, 0, 0), InterfaceCounters(5, 10**9, 10**9)),
    ],
    ids=["no counters", "interface made anew", "no time"],
)
def test_what_cannot_be_read_is_unknown_and_holds_nothing_back(
    then: InterfaceCounters, now: InterfaceCounters
) -> None:
    assert admission.rates_between(then, now) == InterfaceRates(None, None)
    assert admission.bulk_admission(then, now, LIMITS) is AdmissionDecision.GO


@pytest.mark.parametrize(
    ("rule", "at", "look_s"),
    [
        ("idle_only", SLOT, 30.0),
        ("idle_only", SLOT + timedelta(hours=12), 5.0),
        ("idle_only", SLOT + timedelta(days=5), 5.0),  # Sunday
        ("allow", SLOT, 5.0),
    ],
)
def test_in_office_hours_a_line_is_looked_at_for_longer(
    rule: str, at: datetime, look_s: float
) -> None:
    plan = PlanConfig(office_hours=rule)  # type: ignore[arg-type] # of the known ones
    assert hours.idle_check_s(office(plan), at) == look_s
    assert hours.longest_idle_check_s(plan) >= look_s


@pytest.mark.parametrize("draw", [0.0, 0.5, 0.999])
def test_waits_grow_from_60_to_960_s(draw: float) -> None:
    waits, one = [], structs.replace(wanted(), until=SLOT + timedelta(days=1))
    for _ in range(5):
        one = admission.with_deferral(one, Reason.CROSS_TRAFFIC)
        again = admission.rescheduled(one, SLOT, 0.0, lambda: draw)
        assert again is not None
        waits.append(again.due_s)
    assert waits == sorted(waits)
    assert all(60 <= wait <= 960 for wait in waits)
    assert waits[4] >= 720


def test_a_slot_waits_a_few_times_and_is_then_given_up() -> None:
    """60 + 120 + 240 + 480 + 960 s: a neighbour's test, a meeting on video, but not the day."""
    now, now_s, tries, one = SLOT, 0.0, 0, wanted()
    while True:
        one = admission.with_deferral(
            one, Reason.CROSS_TRAFFIC if tries % 2 else Reason.SERVER_BUSY
        )
        following = admission.rescheduled(one, now, now_s, lambda: 0.5)
        if following is None:
            break
        now += timedelta(seconds=following.due_s - now_s)
        now_s, tries, one = following.due_s, tries + 1, following
    assert tries == 5
    assert now_s == 60 + 120 + 240 + 480 + 960
    assert (one.busy_count, one.deferrals) == (3, 3)


@pytest.mark.parametrize("until", [None, SLOT + timedelta(seconds=59)])
def test_nothing_waits_beyond_its_part_of_the_day(until: datetime | None) -> None:
    held = admission.with_deferral(wanted(until), Reason.CROSS_TRAFFIC)
    assert admission.rescheduled(held, SLOT, 0.0, lambda: 0.0) is None


@pytest.mark.parametrize(("late_s", "left_s"), [(-10.0, 40.0), (0.0, 30.0), (30.0, 0.0), (31, -1)])
def test_a_look_is_part_of_a_slot_s_time_and_waits_have_what_is_left(
    late_s: float, left_s: float
) -> None:
    """30 s are kept for the look: a slot whose look began at the last moment is in time."""
    one = wanted()
    assert one.until is not None
    after_look = one.until + timedelta(seconds=late_s)
    assert admission.remaining_start_s(PARSED, one, after_look) == left_s
    assert admission.remaining_start_s(PARSED, wanted(None), after_look) is None


def test_what_has_been_due_longest_comes_first() -> None:
    first, second, third = (structs.replace(wanted(), due_s=due_s) for due_s in (3.0, 1.0, 9.0))
    assert admission.first_due([first, second, third], 5.0) == second
    assert admission.first_due([third], 5.0) is None


def test_another_server_is_asked_after_a_busy_one() -> None:
    hn, hcm = PARSED.servers
    assert admission.next_server(PARSED, wanted()) == hcm
    assert admission.next_server(PARSED, structs.replace(wanted(), server=hcm)) == hn


def test_only_servers_that_offer_http_are_asked_for_it() -> None:
    only = structs.replace(PARSED.servers[0], http_port=80)
    config = structs.replace(PARSED, servers=[only, PARSED.servers[1]])
    http = structs.replace(wanted(), kind="http", server=only)
    assert admission.next_server(config, http) == only
    assert (
        admission.next_server(config, structs.replace(http, kind="throughput")) == PARSED.servers[1]
    )


def test_a_busy_server_turns_a_slot_away_only_before_anything_was_measured() -> None:
    busy_count = samples.throughput(outcome=Outcome.SKIPPED, reason=Reason.SERVER_BUSY)
    assert admission.deferral_reason(busy_count) is Reason.SERVER_BUSY
    half = structs.replace(busy_count, values=samples.throughput().values)
    used = structs.replace(busy_count, reason=Reason.CROSS_TRAFFIC)
    assert admission.deferral_reason(used) is Reason.CROSS_TRAFFIC, "while its lease was waited for"
    assert admission.deferral_reason(half) is None, "its download is kept"
    assert admission.deferral_reason(samples.throughput()) is None


def test_a_result_tells_what_its_slot_waited_for() -> None:
    waited = structs.replace(
        wanted(), deferrals=2, busy_count=1, rates_before=InterfaceRates(1200.0, None)
    )
    result = admission.with_admission_history(samples.throughput(), waited, "0.1")
    assert result.method is not None
    settings = result.method.settings
    assert (settings["deferrals"], settings["busy_servers"]) == (2, 1)
    assert (settings["before_received_bps"], settings["before_sent_bps"]) == (1200.0, None)
    assert settings["cross_traffic_seen_at"] == "the probe's own interface"
    bare = structs.replace(samples.throughput(), method=None)
    method = admission.with_admission_history(bare, waited, "0.1").method
    assert method is not None
    assert method.tool == "tramdo-probe"


def test_a_slot_that_was_given_up_says_what_it_saw() -> None:
    waited = structs.replace(wanted(), deferrals=6, rates_before=InterfaceRates(2_500_000.0, None))
    assert admission.abandoned_detail(waited, Reason.CROSS_TRAFFIC) == (
        "given up: deferred 6 times, servers busy 0 times; "
        "the interface carried 2500 kbit/s down, an unknown rate up"
    )


def test_every_server_of_a_pool_is_asked_in_turn() -> None:
    config = with_http(PARSED)
    one = structs.replace(wanted(), kind="http", server=config.servers[0])
    rates_before = set()
    for _ in config.servers:
        rates_before.add(one.server.name)
        one = structs.replace(one, server=admission.next_server(config, one))
    assert rates_before == {server.name for server in config.servers}
