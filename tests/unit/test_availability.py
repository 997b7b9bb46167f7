"""Minutes up, down and unknown; outages; a book that is put away and taken up again."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec import structs

from probe.availability import minutes, outages, results
from probe.availability.minutes import (
    MinuteState,
    ReachabilitySample,
    is_degraded,
    is_family_down,
    minute_state,
    minutes_of,
    samples_of,
)
from probe.availability.monitor import AvailabilityMonitor, state_file
from probe.availability.outages import OpenOutage, Outage, fold
from probe.availability.tracker import (
    AvailabilityPeriod,
    AvailabilityTracker,
    Instant,
    LocatedOutage,
    TrackerState,
)
from probe.config import LineConfig, PathConfig, ServerConfig
from probe.measure.own_networks import OwnNetworks
from probe.measure.runner import Runner
from probe.schedule.admission import QueuedMeasurement
from tests import samples
from tests.line_request import office_config
from wire.result import (
    AvailabilityResult,
    DnsResult,
    Family,
    FaultLocation,
    LatencyResult,
    OutageEnd,
    Outcome,
    Reason,
    Result,
    ThroughputResult,
    WebResult,
    decode_result,
    encode_result,
)

GATEWAY = "192.168.1.1"
OWN = OwnNetworks(networks=("192.168.1.10/24", "fe80::10/64"), router=GATEWAY)
M0 = 29_000_000  # a minute of 2025


def far(host: str, *, answered: bool, minute: int = M0) -> ReachabilitySample:
    return ReachabilitySample(minute * 60.0, minute * 60.0 + 60, host, answered)


def near(*, answered: bool, minute: int = M0) -> ReachabilitySample:
    return ReachabilitySample(minute * 60.0, minute * 60.0 + 60, None, answered)


# A minute


@pytest.mark.parametrize(
    ("evidence", "state"),
    [
        ([], MinuteState.EVIDENCE),
        ([far("a", answered=True)], MinuteState.UP),
        ([far("a", answered=False), far("b", answered=True)], MinuteState.UP),
        ([near(answered=False), far("a", answered=True)], MinuteState.UP),
        (
            [near(answered=True), far("a", answered=False), far("b", answered=False)],
            MinuteState.DOWN,
        ),
        ([near(answered=True), far("a", answered=False)], MinuteState.EVIDENCE),
        (
            [near(answered=True), far("a", answered=False), far("a", answered=False)],
            MinuteState.EVIDENCE,
        ),
        (
            [near(answered=False), far("a", answered=False), far("b", answered=False)],
            MinuteState.OWN_LAN,
        ),
        ([far("a", answered=False), far("b", answered=False)], MinuteState.EVIDENCE),
        ([ReachabilitySample(0, 60, None, False, line_down=True)], MinuteState.OWN_LAN),
        ([near(answered=True)], MinuteState.EVIDENCE),
    ],
)
def test_a_minute_is_down_only_on_full_evidence(
    evidence: list[ReachabilitySample], state: MinuteState
) -> None:
    assert minute_state(evidence) is state


@pytest.mark.parametrize(
    ("from_s", "to_s", "covered"),
    [
        (0, 60, [0]),
        (30, 90, [0, 1]),
        (30.001, 90.001, [0, 1]),
        (29.999, 89.999, [0, 1]),
        (10, 70, [0]),
        (50, 110, [1]),
        (0, 10, [0]),
        (55, 65, [1]),
        (0, 180, [0, 1, 2]),
        (12, 12, [0]),
    ],
)
def test_a_window_speaks_for_the_minutes_it_covers(
    from_s: float, to_s: float, covered: list[int]
) -> None:
    assert minutes_of(ReachabilitySample(from_s, to_s, "a", True)) == covered


V4_HOSTS, V6_HOSTS = ("203.0.113.1", "203.0.113.2"), ("2001:db8::1", "2001:db8::2")


def of_hosts(hosts: Iterable[str], *, answered: bool, minute: int = M0) -> list[ReachabilitySample]:
    return [far(host, answered=answered, minute=minute) for host in hosts]


@pytest.mark.parametrize(
    ("evidence", "ipv4", "ipv6"),
    [
        ([], None, None),
        (of_hosts([*V4_HOSTS, *V6_HOSTS], answered=True), False, False),
        # An answer over the other family shows that the office's own network works.
        ([*of_hosts(V4_HOSTS, answered=True), *of_hosts(V6_HOSTS, answered=False)], False, True),
        ([*of_hosts(V6_HOSTS, answered=True), *of_hosts(V4_HOSTS, answered=False)], True, False),
        (
            [near(answered=True), *of_hosts([*V4_HOSTS, *V6_HOSTS], answered=False)],
            True,
            True,
        ),
        # One host may be down itself; and where nothing answers, it may be the office's network.
        ([near(answered=True), *of_hosts(V6_HOSTS[:1], answered=False)], None, None),
        ([near(answered=False), *of_hosts(V6_HOSTS, answered=False)], None, None),
        ([near(answered=True), *of_hosts(V4_HOSTS, answered=True)], False, None),
    ],
)
def test_a_family_is_down_by_its_own_targets(
    evidence: list[ReachabilitySample], ipv4: bool | None, ipv6: bool | None
) -> None:
    assert is_family_down(evidence, Family.IPV4) is ipv4
    assert is_family_down(evidence, Family.IPV6) is ipv6


# What results say


def lost(target: str = "stamp:may-chu-1", reason: Reason = Reason.NO_REPLY) -> LatencyResult:
    return samples.latency(target=target, lost=60, outcome=Outcome.FAILED, reason=reason)


def at_gateway(result: LatencyResult) -> LatencyResult:
    assert result.values is not None
    values = structs.replace(result.values, address=GATEWAY)
    return structs.replace(result, target="icmp:gateway", values=values)


def said(result: Result) -> list[tuple[str | None, bool, bool]]:
    return [(e.host, e.answered, e.line_down) for e in samples_of(result, OWN)]


def test_a_window_says_that_something_answered_or_did_not() -> None:
    assert said(samples.latency()) == [("203.0.113.5", True, False)]
    assert said(lost()) == [("203.0.113.5", False, False)]
    assert said(at_gateway(samples.latency())) == [(None, True, False)]
    assert said(at_gateway(lost())) == [(None, False, False)]
    assert said(lost(reason=Reason.LINE_DOWN)) == [(None, False, True)]


@pytest.mark.parametrize("reason", [Reason.PERMISSION_DENIED, Reason.NAME_RESOLUTION])
def test_what_was_not_tried_says_nothing(reason: Reason) -> None:
    assert said(lost(reason=reason)) == []


def test_a_late_answer_is_an_answer() -> None:
    result = lost(reason=Reason.TIMEOUT)
    assert result.values is not None
    late = structs.replace(result, values=structs.replace(result.values, late=3))
    assert said(late) == [("203.0.113.5", True, False)]


def test_of_other_kinds_only_a_success_counts() -> None:
    assert said(through_put("203.0.113.5")) == [("203.0.113.5", True, False)]
    failed = samples.throughput(outcome=Outcome.FAILED, reason=Reason.TIMEOUT)
    assert said(failed) == []
    assert said(samples.web()) == [("203.0.113.80", True, False)]
    assert said(samples.path()) == [(None, True, False), ("203.0.113.5", True, False)]
    assert said(samples.path(reached=False))[1] == ("203.0.113.5", False, False)
    assert said(samples.availability()) == []
    assert said(samples.outage()) == []


def asked(resolver: str, *, random_label: bool = True, answers: int = 0) -> DnsResult:
    """A round of one answered query."""
    result = samples.dns()
    assert result.values is not None
    query = structs.replace(
        result.values.queries[-1],
        random_label=random_label,
        answers=answers,
        rcode="NOERROR" if answers else "NXDOMAIN",
    )
    return structs.replace(
        result, values=structs.replace(result.values, resolver=resolver, queries=[query])
    )


def page(
    address: str | None, *, tls: str | None = "TLSv1.3", status: int | None = 200
) -> WebResult:
    result = samples.web()
    assert result.values is not None
    values = structs.replace(result.values, address=address, tls_version=tls, status=status)
    return structs.replace(result, values=values)


def through_put(address: str | None) -> ThroughputResult:
    result = samples.throughput()
    assert result.values is not None
    return structs.replace(result, values=structs.replace(result.values, address=address))


def echoed(address: str, *, lost: int = 0) -> LatencyResult:
    result = samples.latency(
        target=f"icmp:{address}",
        lost=lost,
        outcome=Outcome.FAILED if lost == 60 else Outcome.OK,
        reason=Reason.NO_REPLY if lost == 60 else None,
    )
    assert result.values is not None
    return structs.replace(result, values=structs.replace(result.values, address=address))


@pytest.mark.parametrize(
    "result",
    [
        # The office's resolver, by the setting or by DHCP, and its router.
        asked("192.168.1.53"),
        asked("10.0.0.53"),
        asked(GATEWAY),
        # What a cache may have, and a router that leads every name to its own page.
        asked("8.8.8.8", random_label=False, answers=1),
        asked("8.8.8.8", answers=1),
        # An intranet host; a router's page, by redirect or in the place of another server.
        page("10.20.30.40"),
        page(GATEWAY, tls=None),
        page("203.0.113.80", tls=None),
        page("203.0.113.80", status=None),
        page(None),
        echoed("10.20.30.40"),
        echoed("10.20.30.40", lost=60),
        through_put("192.168.1.77"),
    ],
)
def test_what_the_office_itself_may_have_answered_is_no_evidence(result: Result) -> None:
    assert said(result) == []


@pytest.mark.parametrize(
    ("result", "host"),
    [
        (asked("8.8.8.8"), "8.8.8.8"),
        (page("203.0.113.80"), "203.0.113.80"),
        (page("203.0.113.80", status=503), "203.0.113.80"),
        (echoed("100.64.0.1"), "100.64.0.1"),
        (through_put("203.0.113.5"), "203.0.113.5"),
    ],
)
def test_what_only_somebody_beyond_the_office_can_have_answered_is(
    result: Result, host: str
) -> None:
    assert said(result) == [(host, True, False)]


def test_an_outage_with_answers_of_the_office_s_own_is_one_outage() -> None:
    """Two hours without Internet: resolver, intranet and router answer now and then."""
    office: dict[int, list[Result]] = {
        20: [asked("192.168.1.53")],
        45: [page("10.20.30.40")],
        70: [page(GATEWAY, tls=None), asked("8.8.8.8", answers=1)],
        95: [echoed("10.20.30.40")],
    }
    one = book(period_min=240)
    up(one, 0)
    for minute in range(1, 121):
        at = datetime.fromtimestamp((M0 + minute) * 60, UTC)
        results_: list[Result] = [at_gateway(samples.latency()), lost(), echoed("8.8.8.8", lost=60)]
        for result in (*results_, *office.get(minute, [])):
            length_s = 60.0 if isinstance(result, LatencyResult) else 1.0
            moved = structs.replace(result, started_at=at, duration_s=length_s)
            for sample in samples_of(moved, OWN):
                one.note(sample)
    up(one, 121)
    told = list(one.close(now(122)))
    found = [t.outage for t in told if isinstance(t, LocatedOutage)]
    assert [(o.first - M0, o.end - M0, o.bad_minutes) for o in found] == [(1, 121, 120)]
    assert periods(told) == [(0, 122, {MinuteState.UP: 2, MinuteState.DOWN: 120})]


def test_a_bad_window_calls_for_a_look() -> None:
    config = PathConfig(bad_loss_ratio=0.2, bad_rtt_ms=100)
    assert not is_degraded(samples.latency(), config)
    assert is_degraded(lost(), config)
    assert is_degraded(samples.latency(lost=13), config)
    assert not is_degraded(samples.latency(lost=12), config)
    assert not is_degraded(samples.latency(sent=3, lost=1), config), "one packet is no minute"
    assert is_degraded(samples.latency(rtt_ms=101), config)
    assert not is_degraded(lost(reason=Reason.PERMISSION_DENIED), config)
    assert not is_degraded(
        samples.throughput(outcome=Outcome.FAILED, reason=Reason.TIMEOUT), config
    )


# Outages


def folded(states: str) -> tuple[OpenOutage | None, list[Outage]]:
    """u up, d down, l own LAN, ? without evidence."""
    letters = {
        "u": MinuteState.UP,
        "d": MinuteState.DOWN,
        "l": MinuteState.OWN_LAN,
        "?": MinuteState.EVIDENCE,
    }
    running: OpenOutage | None = None
    found = []
    for minute, letter in enumerate(states):
        running, ended = fold(running, minute, letters[letter])
        if ended is not None:
            found.append(ended)
    return running, found


@pytest.mark.parametrize(
    ("states", "ended"),
    [
        ("uuu", []),
        ("udu", [(1, 2, 1, OutageEnd.UP)]),
        ("dddu", [(0, 3, 3, OutageEnd.UP)]),
        ("ud?du", [(1, 4, 2, OutageEnd.UP)]),
        ("ud?u", [(1, 2, 1, OutageEnd.UNKNOWN)]),
        ("ud??????", [(1, 2, 1, OutageEnd.UNKNOWN)]),
        ("ud?????d??????", [(1, 8, 2, OutageEnd.UNKNOWN)]),
        ("ddllu", [(0, 2, 2, OutageEnd.FAULT_MOVED), (2, 4, 2, OutageEnd.UP)]),
        ("?????", []),
    ],
)
def test_outages_begin_and_end(states: str, ended: list[tuple[int, int, int, OutageEnd]]) -> None:
    running, found = folded(states)
    assert running is None
    assert [(o.first, o.end, o.bad_minutes, o.ended_by) for o in found] == ended


def test_the_fault_is_what_was_seen_most() -> None:
    isp, beyond, none = FaultLocation.ISP_ACCESS, FaultLocation.BEYOND, FaultLocation.NONE
    assert outages.fault_of(MinuteState.DOWN, [isp, beyond, isp]) is isp
    assert outages.fault_of(MinuteState.DOWN, [none, beyond, none]) is beyond
    assert outages.fault_of(MinuteState.OWN_LAN, [isp]) is FaultLocation.OWN_LAN
    unknown = FaultLocation.UNDETERMINED
    assert outages.fault_of(MinuteState.DOWN, [unknown, isp, unknown]) is isp
    assert outages.fault_of(MinuteState.DOWN, [unknown]) is unknown
    assert outages.fault_of(MinuteState.DOWN, []) is unknown
    assert outages.fault_of(MinuteState.DOWN, [beyond, isp]) is isp


def test_a_look_that_reached_a_target_locates_no_outage() -> None:
    """It was made as the line broke, or came back."""
    isp, beyond, none = FaultLocation.ISP_ACCESS, FaultLocation.BEYOND, FaultLocation.NONE
    came_back, cut = (
        outages.observed_fault(fault, minutes.samples_of(look, OwnNetworks()))
        for fault, look in (
            (beyond, samples.path(fault=beyond)),
            (isp, samples.path(fault=isp, reached=False)),
        )
    )
    assert (came_back, cut) == (none, isp)
    assert outages.fault_of(MinuteState.DOWN, [cut, came_back, came_back]) is isp
    # The gateway's answer is none from beyond it.
    assert outages.observed_fault(isp, [near(answered=True, minute=M0)]) is isp


# The book


def now(minute: float, boot_id: str = "a", *, monotonic_min: float | None = None) -> Instant:
    at = minute if monotonic_min is None else monotonic_min
    return Instant((M0 + minute) * 60.0, 1e6 + at * 60.0, boot_id)


def book(
    before: TrackerState | None = None, *, at: Instant | None = None, period_min: int = 5
) -> AvailabilityTracker:
    return AvailabilityTracker(at or now(0), 70, period_min, before)


def up(one: AvailabilityTracker, *at: int) -> None:
    for minute in at:
        one.note(far("a", answered=True, minute=M0 + minute))


def down(one: AvailabilityTracker, *at: int) -> None:
    for minute in at:
        one.note(near(answered=True, minute=M0 + minute))
        for host in "ab":
            one.note(far(host, answered=False, minute=M0 + minute))


def periods(
    told: list[AvailabilityPeriod | LocatedOutage],
) -> list[tuple[int, int, dict[MinuteState, int]]]:
    return [(p.first - M0, p.end - M0, p.counts) for p in told if isinstance(p, AvailabilityPeriod)]


def test_a_period_ends_on_the_grid_once_its_evidence_must_be_there() -> None:
    one = book()
    up(one, 0, 1, 3, 4)
    down(one, 2)
    assert list(one.advance(now(5))) == [], "evidence of the last minutes may still come"
    told = list(one.advance(now(6.2)))
    assert periods(told) == [(0, 5, {MinuteState.UP: 4, MinuteState.DOWN: 1})]
    (outage,) = [t for t in told if isinstance(t, LocatedOutage)]
    assert (outage.outage.first - M0, outage.outage.end - M0) == (2, 3)
    assert outage.fault is FaultLocation.UNDETERMINED


def test_a_line_of_which_one_family_is_down_is_up_and_says_which(tmp_path: Path) -> None:
    one = book()
    for minute in range(5):
        for sample in of_hosts(V4_HOSTS, answered=True, minute=M0 + minute):
            one.note(sample)
        for sample in of_hosts(V6_HOSTS, answered=minute < 2, minute=M0 + minute):
            one.note(sample)
    state_file(str(tmp_path)).save({"vnpt": one.state()})
    (period,) = one.advance(now(6.2))
    assert isinstance(period, AvailabilityPeriod), "and there is no outage"
    values = results.availability(period, GATEWAY, [])
    assert (values.up_minutes, values.down_minutes, values.availability_ratio) == (5, 0, 1.0)
    assert (values.ipv4_down_minutes, values.ipv6_down_minutes) == (0, 3)
    up(one, 5)
    (period,) = one.close(now(6.5))
    assert isinstance(period, AvailabilityPeriod)
    alone = results.availability(period, GATEWAY, [])
    assert alone.ipv6_down_minutes is None, "nothing is known of it"


def test_the_minutes_of_a_family_are_put_away_with_the_period(tmp_path: Path) -> None:
    first = book()
    for sample in [*of_hosts(V4_HOSTS, answered=True), *of_hosts(V6_HOSTS, answered=False)]:
        first.note(sample)
    list(first.advance(now(2.5)))
    state_file(str(tmp_path)).save({"vnpt": first.state()})
    before = state_file(str(tmp_path)).load({})["vnpt"]
    second = book(before, at=now(2.6))
    (period,) = second.advance(now(6.2))
    assert isinstance(period, AvailabilityPeriod)
    assert period.family_down == {Family.IPV4: 0, Family.IPV6: 1}


def test_what_comes_too_late_changes_nothing() -> None:
    one = book()
    list(one.advance(now(6.2)))
    up(one, 0)
    assert periods(list(one.close(now(6.3)))) == [(5, 6, {MinuteState.EVIDENCE: 1})]


def test_an_outage_knows_where_the_path_was_seen_to_break() -> None:
    one = book()
    up(one, 0, 4)
    down(one, 1, 2, 3)
    one.note_path((M0 + 2) * 60.0, FaultLocation.BEYOND)
    (told,) = [t for t in one.advance(now(6.2)) if isinstance(t, LocatedOutage)]
    assert (told.fault, told.path_observations, told.outage.bad_minutes) == (
        FaultLocation.BEYOND,
        1,
        3,
    )
    values = results.outage(told)
    assert (values.down_minutes, values.own_lan_minutes, values.unknown_minutes) == (3, 0, 0)
    assert values.began_at == datetime.fromtimestamp((M0 + 1) * 60, UTC)
    assert values.ended_at - values.began_at == timedelta(minutes=3)


@pytest.mark.parametrize(
    ("boot_id", "cause"), [("a", MinuteState.NOT_RUNNING), ("b", MinuteState.PROBE_OFF)]
)
def test_a_daemon_that_was_away_knows_for_how_long_and_why(
    boot_id: str, cause: MinuteState
) -> None:
    first = book()
    up(first, 0, 1)
    told = list(first.close(now(1.5)))
    assert periods(told) == [(0, 2, {MinuteState.UP: 2})], "the minute that runs is up already"
    second = book(first.state(), at=now(4.5, boot_id, monotonic_min=0))
    up(second, 5, 6)
    told = list(second.advance(now(11.3, boot_id, monotonic_min=6.8)))
    assert periods(told) == [
        (2, 5, {cause: 2, MinuteState.EVIDENCE: 1}),
        (5, 10, {MinuteState.UP: 2, MinuteState.EVIDENCE: 3}),
    ]


def test_a_book_that_was_not_closed_goes_on_where_it_was_put_away() -> None:
    first = book()
    up(first, 0, 1, 2)
    list(first.advance(now(3.5)))
    second = book(first.state(), at=now(3.6, "b", monotonic_min=0))
    up(second, 3, 4)
    told = periods(list(second.advance(now(6.5, "b", monotonic_min=2.9))))
    assert told == [(0, 5, {MinuteState.UP: 4, MinuteState.PROBE_OFF: 1})]


def test_a_restart_in_a_line_s_only_whole_minute_down_does_not_take_that_minute() -> None:
    """The line is back when the next daemon measures: what the one before saw is all there is."""
    first = book()
    up(first, 0)
    down(first, 1)
    list(first.close(now(1.9)))
    second = book(first.state(), at=now(2.0, monotonic_min=2.0))
    up(second, 2)
    told = list(second.close(now(2.9, monotonic_min=2.9)))
    assert periods(told) == [(1, 3, {MinuteState.DOWN: 1, MinuteState.UP: 1})]
    (outage,) = (one.outage for one in told if isinstance(one, LocatedOutage))
    assert (outage.first - M0, outage.end - M0) == (1, 2)


def test_half_the_evidence_of_a_killed_daemon_makes_no_minute_down() -> None:
    first = book()
    down(first, 0)
    list(first.advance(now(0.9)))
    second = book(first.state(), at=now(1.0, monotonic_min=1.0))
    up(second, 1)
    told = periods(list(second.close(now(1.9, monotonic_min=1.9))))
    assert told == [(0, 2, {MinuteState.NOT_RUNNING: 1, MinuteState.UP: 1})]


def test_a_clock_that_is_set_forward_leaves_a_gap_of_its_own() -> None:
    one = book()
    up(one, 0)
    list(one.advance(now(21.2, monotonic_min=1)))
    up(one, 21, 22, 23, 24)
    told = periods(list(one.advance(now(26.5, monotonic_min=6.3))))
    assert told == [(0, 25, {MinuteState.UP: 5, MinuteState.CLOCK: 20})]


def test_a_clock_that_is_set_back_begins_the_book_anew() -> None:
    one = book(at=now(100))
    up(one, 100)
    list(one.advance(now(102.2)))
    told = periods(list(one.advance(now(10, monotonic_min=102.3))))
    assert told == [(100, 102, {MinuteState.UP: 1, MinuteState.EVIDENCE: 1})]
    up(one, 10)
    assert periods(list(one.close(now(10.5, monotonic_min=102.8)))) == [
        (10, 11, {MinuteState.UP: 1})
    ]


def test_months_without_power_are_told_by_the_day() -> None:
    first = book()
    up(first, 0)
    list(first.close(now(0.5)))
    away = 30 * 1440
    second = book(first.state(), at=now(away, "b", monotonic_min=0))
    told = periods(list(second.advance(now(away + 1.5, "b", monotonic_min=1.5))))
    assert 28 <= len(told) <= 32
    assert sum(sum(counts.values()) for _, _, counts in told) <= away
    assert all(set(counts) == {MinuteState.PROBE_OFF} for _, _, counts in told)


@pytest.mark.parametrize("away", [-10, 500 * 1440])
def test_an_old_book_that_cannot_be_is_not_taken_up(away: int) -> None:
    first = book()
    list(first.close(now(0.5)))
    second = book(first.state(), at=now(away, "b", monotonic_min=0))
    told = periods(list(second.close(now(away + 1.5, "b", monotonic_min=1.5))))
    assert told == [(away, away + 1, {MinuteState.EVIDENCE: 1})]


def test_availability_is_up_over_up_and_down() -> None:
    counts = {
        MinuteState.UP: 30,
        MinuteState.DOWN: 10,
        MinuteState.OWN_LAN: 4,
        MinuteState.CLOCK: 1,
    }
    values = results.availability(AvailabilityPeriod(0, 45, counts), GATEWAY, ["a"])
    assert values.availability_ratio == 0.75
    assert (values.unknown_minutes, values.unknown_own_lan, values.unknown_clock) == (5, 4, 1)
    nothing = results.availability(
        AvailabilityPeriod(0, 5, {MinuteState.PROBE_OFF: 5}), GATEWAY, []
    )
    assert nothing.availability_ratio is None


# The watch


def a_watch(
    tmp_path: Path,
) -> tuple[AvailabilityMonitor, list[QueuedMeasurement], list[Result]]:
    line = LineConfig(id="vnpt", isp="VNPT", interface="lo", gateway=GATEWAY)
    server = ServerConfig(name="hn-1", host="203.0.113.5")
    config = structs.replace(office_config(line, [server]), state_dir=str(tmp_path))
    wanted: list[QueuedMeasurement] = []
    told: list[Result] = []
    return (
        AvailabilityMonitor(
            config, Runner(config, lambda _: None).derived, wanted.append, told.append
        ),
        wanted,
        told,
    )


def just_now(result: LatencyResult) -> LatencyResult:
    return structs.replace(result, started_at=datetime.now(UTC), duration_s=0.1)


def test_the_watch_tells_a_minute_and_puts_the_book_away(tmp_path: Path) -> None:
    watch, wanted, told = a_watch(tmp_path)
    watch.note(just_now(samples.latency()))
    watch.tick()
    assert told == [], "the minute is not over"
    watch.close()
    watch.close()
    (result,) = told
    assert isinstance(result, AvailabilityResult)
    assert result.values is not None
    assert (result.line.id, result.target, result.values.up_minutes) == ("vnpt", None, 1)
    assert result.started_at.second == 0
    assert result.duration_s == 60 * (1 + result.values.unknown_minutes)
    assert wanted == []
    assert "vnpt" in state_file(str(tmp_path)).load({})


def test_a_bad_window_makes_the_watch_want_one_look(tmp_path: Path) -> None:
    watch, wanted, _ = a_watch(tmp_path)
    for _ in range(3):
        watch.note(just_now(lost()))
        watch.tick()
    assert [(one.kind, one.line.id, one.slot_at) for one in wanted] == [("path", "vnpt", None)]


def test_a_line_that_falls_silent_is_looked_at_again(tmp_path: Path) -> None:
    """What was seen while it only lost packets says little about where it broke."""
    watch, wanted, _ = a_watch(tmp_path)
    lossy = samples.latency(lost=30)
    for result in (lossy, lossy, lost(), lost(), lossy):
        watch.note(just_now(result))
        watch.tick()
    assert [one.kind for one in wanted] == ["path", "path"]


def test_a_book_that_cannot_be_read_begins_anew(tmp_path: Path) -> None:
    (tmp_path / "availability.json").write_text('{"vnpt": 7}', encoding="ascii")
    assert state_file(str(tmp_path)).load({}) == {}
    watch, _, told = a_watch(tmp_path)
    watch.note(just_now(samples.latency()))
    watch.close()
    assert len(told) == 1


def test_a_book_comes_back_as_it_was_put_away(tmp_path: Path) -> None:
    one = book()
    down(one, 0, 1)
    one.note_path(M0 * 60.0, FaultLocation.BEYOND)
    list(one.advance(now(3.5)))
    down(one, 3)
    list(one.close(now(3.6)))
    assert one.state().evidence
    state_file(str(tmp_path)).save({"vnpt": one.state()})
    assert state_file(str(tmp_path)).load({}) == {"vnpt": one.state()}
    state_file(str(tmp_path / "none")).save({"vnpt": one.state()})


def test_a_box_that_wakes_in_the_past_takes_its_book_up_once_the_clock_is_set() -> None:
    first = book()
    up(first, 0, 1)
    list(first.close(now(1.5)))
    second = book(first.state(), at=now(-10_000, "b", monotonic_min=0))
    up(second, -10_000)
    told = list(second.advance(now(4.5, "b", monotonic_min=1)))
    up(second, 5, 6)
    told += second.advance(now(11.3, "b", monotonic_min=7.8))
    assert periods(told) == [
        (2, 5, {MinuteState.PROBE_OFF: 2, MinuteState.EVIDENCE: 1}),
        (5, 10, {MinuteState.UP: 2, MinuteState.EVIDENCE: 3}),
    ]


def test_a_clock_that_jumps_decades_makes_no_gap_of_decades() -> None:
    one = book(at=now(-20_000_000, monotonic_min=0))
    up(one, -20_000_000)
    told = list(one.advance(now(-19_999_998, monotonic_min=2)))
    told += one.advance(now(0.5, monotonic_min=2.1))
    up(one, 0)
    told += one.close(now(1.5, monotonic_min=3.1))
    assert periods(told) == [
        (-20_000_000, -19_999_998, {MinuteState.UP: 1, MinuteState.EVIDENCE: 1}),
        (0, 1, {MinuteState.UP: 1}),
    ]


def test_what_began_in_another_boot_is_not_repaired_by_this_one_s(tmp_path: Path) -> None:
    hours_ago = int(datetime.now(UTC).timestamp() // 60) - 10 * 1440
    old = TrackerState(
        boot_id="another", next=hours_ago + 2, first=hours_ago, counts={MinuteState.UP: 2},
        running=None, path_observations=[],
    )  # fmt: skip
    state_file(str(tmp_path)).save({"vnpt": old})
    watch, _, told = a_watch(tmp_path)
    watch.tick()
    watch.close()
    assert isinstance(told[0], AvailabilityResult)
    assert told[0].clock.boot_id is None
    assert told[0].started_at.timestamp() == hours_ago * 60
    assert told[0].values is not None
    assert (told[0].values.up_minutes, told[0].values.unknown_not_running) == (2, 0)
    assert decode_result(encode_result(told[0])) == told[0]
