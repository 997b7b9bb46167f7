"""What a line's public addresses show: crossed lines, another network, another NAT, and none."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from collector.domain.operators import (
    MOST_STAYS,
    Finding,
    FindingKind,
    IspPrefixes,
    ObservedLine,
    OperatorLimits,
    OperatorStay,
    findings,
    fresh_observations,
    masked,
    with_observation,
)
from collector.registry.registry import Isp, LineKey
from wire.record import Family, LineOperator, Nat

NOW = datetime(2026, 11, 30, 2, 0, tzinfo=UTC)
LIMITS = OperatorLimits(timedelta(minutes=30), timedelta(hours=2), timedelta(days=7))
VNPT, VIETTEL, LTE = "113.160.1.7", "27.64.9.9", "171.224.5.5"
ISPS = IspPrefixes(
    [
        Isp(id="vnpt", name="VNPT", prefixes=("113.160.0.0/11", "14.160.0.0/11", "2001:ee0::/32")),
        Isp(id="viettel", name="Viettel", prefixes=("27.64.0.0/12", "2402:800::/32")),
        Isp(id="mobi", name="Mobi", prefixes=("171.224.0.0/11",)),
    ]
)
NO_PREFIXES = IspPrefixes()
Course = Sequence[tuple[float, str] | tuple[float, str, Nat]]


def history(course: Course, until: datetime = NOW) -> list[OperatorStay]:
    """Hourly observations of a course: (days ago it began, address, NAT), oldest first."""
    stays: Sequence[OperatorStay] = ()
    begins = [until - timedelta(days=one[0]) for one in course]
    for begin, end, one in zip(begins, [*begins[1:], until], course, strict=True):
        nat = one[2] if len(one) == 3 else Nat.NAT
        at = begin
        while at < end or (at == end and end == until):
            stays = with_observation(stays, LineOperator(one[1], nat, at), at)
            at += timedelta(hours=1)
        stays = with_observation(stays, LineOperator(one[1], nat, end), end - timedelta(seconds=1))
    return list(stays)


def line(name: str, course: Course, isp: str = "", family: Family = Family.IPV4) -> ObservedLine:
    return ObservedLine(
        key=LineKey("demo", "box", name), isp=isp, history={family: history(course)}
    )


def found(
    lines: Iterable[ObservedLine], kind: FindingKind, prefixes: IspPrefixes = NO_PREFIXES
) -> dict[str, bool | None]:
    """What holds of each line."""
    return {
        one.key.line: one.holds
        for one in findings(list(lines), prefixes, LIMITS, NOW)
        if one.kind is kind
    }


def the(
    lines: Iterable[ObservedLine], kind: FindingKind, prefixes: IspPrefixes = NO_PREFIXES
) -> Finding:
    """The one finding of a kind that holds."""
    (one,) = [
        each
        for each in findings(list(lines), prefixes, LIMITS, NOW)
        if each.kind is kind and each.holds
    ]
    return one


def quiet(lines: Iterable[ObservedLine], prefixes: IspPrefixes = NO_PREFIXES) -> None:
    """Nothing holds."""
    assert [one for one in findings(list(lines), prefixes, LIMITS, NOW) if one.holds] == []


# Crossed lines


@pytest.mark.parametrize("prefixes", [NO_PREFIXES, ISPS], ids=["by their past", "by prefixes"])
def test_two_lines_plugged_in_crosswise(prefixes: IspPrefixes) -> None:
    lines = [
        line("a", [(20, VNPT), (0.2, "27.64.1.1")], "vnpt"),
        line("b", [(20, VIETTEL), (0.2, "113.160.200.1")], "viettel"),
    ]
    crossed = the(lines, FindingKind.CROSSED, prefixes)
    assert crossed.evidence == {"family": "ipv4", "lines": "a, b"}
    assert crossed.key.line == "a", "one finding for the pair, at its first line"
    assert crossed.since == NOW - timedelta(days=0.2)
    assert found(lines, FindingKind.OTHER_NETWORK, prefixes) == {"a": False, "b": False}


def test_lines_that_were_plugged_in_crosswise_from_the_first_day() -> None:
    lines = [line("a", [(1, VIETTEL)], "vnpt"), line("b", [(1, VNPT)], "viettel")]
    assert the(lines, FindingKind.CROSSED, ISPS).evidence["lines"] == "a, b"
    quiet(lines)  # without prefixes nobody can know


def test_two_lines_of_one_isp_are_known_by_steady_addresses() -> None:
    lines = [
        line("a", [(9, "113.160.1.7"), (0.1, "113.160.1.8")], "vnpt"),
        line("b", [(9, "113.160.1.8"), (0.1, "113.160.1.7")], "vnpt"),
    ]
    for prefixes in (NO_PREFIXES, ISPS):
        assert the(lines, FindingKind.CROSSED, prefixes).evidence["lines"] == "a, b"


def test_three_lines_in_a_circle() -> None:
    lines = [
        line("a", [(9, VNPT), (0.1, VIETTEL)]),
        line("b", [(9, VIETTEL), (0.1, LTE)]),
        line("c", [(9, LTE), (0.1, VNPT)]),
    ]
    assert the(lines, FindingKind.CROSSED).evidence["lines"] == "a, b, c"


def test_ipv6_shows_it_too() -> None:
    lines = [
        line("a", [(9, "2001:ee0:1::1"), (0.1, "2402:800:1::1")], "vnpt", Family.IPV6),
        line("b", [(9, "2402:800:2::1"), (0.1, "2001:ee0:2::1")], "viettel", Family.IPV6),
    ]
    for prefixes in (NO_PREFIXES, ISPS):
        assert the(lines, FindingKind.CROSSED, prefixes).evidence["family"] == "ipv6"


@pytest.mark.parametrize("prefixes", [NO_PREFIXES, ISPS], ids=["by their past", "by prefixes"])
def test_dynamic_addresses_of_two_lines_of_one_isp_are_no_crossing(prefixes: IspPrefixes) -> None:
    quiet(
        [
            line("a", [(day, f"113.160.{day}.7") for day in range(20, 0, -1)], "vnpt"),
            line("b", [(day, f"113.160.{day + 99}.7") for day in range(20, 0, -1)], "vnpt"),
        ],
        prefixes,
    )


def test_an_address_that_the_isp_gives_to_the_other_line_is_no_crossing() -> None:
    # `a` dialled in anew and was given what `b` had before; `b` has a third one.
    quiet(
        [
            line("a", [(9, "113.160.1.7"), (0.1, "113.160.1.8")], "vnpt"),
            line("b", [(9, "113.160.1.8"), (2, "113.160.1.9")], "vnpt"),
        ]
    )


def test_crossed_only_for_minutes_is_not_said_yet() -> None:
    lines = [
        line("a", [(20, VNPT), (0.01, VIETTEL)], "vnpt"),
        line("b", [(20, VIETTEL), (0.01, VNPT)], "viettel"),
    ]
    assert found(lines, FindingKind.CROSSED, ISPS) == {"a": None, "b": None}


def test_lines_that_were_put_right_again() -> None:
    lines = [
        line("a", [(20, VNPT), (3, VIETTEL), (0.1, VNPT)], "vnpt"),
        line("b", [(20, VIETTEL), (3, VNPT), (0.1, VIETTEL)], "viettel"),
    ]
    for prefixes in (NO_PREFIXES, ISPS):
        quiet(lines, prefixes)


# Another network


def test_a_line_that_fell_back_to_another_isp() -> None:
    for prefixes, network, usual in (
        (ISPS, "mobi", "vnpt"),
        (NO_PREFIXES, "171.224.0.0/16", "113.160.0.0/16"),
    ):
        lines = [line("a", [(20, VNPT), (0.2, LTE)], "vnpt"), line("b", [(20, VIETTEL)], "viettel")]
        other = the(lines, FindingKind.OTHER_NETWORK, prefixes)
        assert (other.key.line, other.since) == ("a", NOW - timedelta(days=0.2))
        assert other.evidence == {"family": "ipv4", "network": network, "usual": usual}
        assert found(lines, FindingKind.CROSSED, prefixes) == {"a": False, "b": False}


def test_a_line_that_leaves_by_the_other_one() -> None:
    lines = [
        line("a", [(20, VNPT), (0.2, "27.64.77.1")], "vnpt"),
        line("b", [(20, VIETTEL)], "viettel"),
    ]
    other = the(lines, FindingKind.OTHER_NETWORK, ISPS)
    assert (other.key.line, other.evidence["other_line"]) == ("a", "b")
    assert found(lines, FindingKind.CROSSED, ISPS) == {"a": False, "b": False}


def test_a_second_fall_back_is_found_as_the_first_was() -> None:
    lines = [line("a", [(60, VNPT), (40, LTE), (39, VNPT), (0.2, LTE)])]
    assert the(lines, FindingKind.OTHER_NETWORK).evidence["network"] == "171.224.0.0/16"


def test_a_dynamic_address_within_the_usual_networks_is_none() -> None:
    quiet([line("a", [(day, f"113.160.{day}.7") for day in range(30, 0, -1)])])
    quiet([line("a", [(20, "2001:ee0:1::1"), (1, "2001:ee0:ffff::2")], family=Family.IPV6)])
    # Another prefix of the same ISP, where the registry knows it.
    quiet([line("a", [(20, VNPT), (1, "14.162.1.1")], "vnpt")], ISPS)


def test_a_line_in_a_pool_of_many_networks_has_none_of_its_own() -> None:
    course = [(day, f"{100 + day % 5}.1.1.7") for day in range(30, 0, -1)]
    quiet([line("a", [*course, (0.5, "203.0.113.9")])])


def test_a_new_line_has_no_past_to_differ_from() -> None:
    lines = [line("a", [(3, VNPT), (0.5, LTE)])]
    assert found(lines, FindingKind.OTHER_NETWORK) == {"a": None}


def test_after_a_week_the_new_network_is_the_usual_one() -> None:
    quiet([line("a", [(30, VNPT), (7.1, LTE)])])


def test_a_network_that_is_not_the_registered_isp_s_stays_one() -> None:
    lines = [line("a", [(60, LTE)], "vnpt")]
    assert the(lines, FindingKind.OTHER_NETWORK, ISPS).evidence["usual"] == "vnpt"


def test_a_network_in_no_prefix_is_measured_against_the_past() -> None:
    quiet([line("a", [(60, "203.0.113.9")], "vnpt")], ISPS)
    lines = [line("a", [(60, VNPT), (0.2, "203.0.113.9")], "vnpt")]
    assert the(lines, FindingKind.OTHER_NETWORK, ISPS).evidence["network"] == "203.0.0.0/16"


def test_nothing_is_said_of_a_line_that_was_not_seen_lately() -> None:
    old = ObservedLine(
        key=LineKey("demo", "box", "a"),
        isp="vnpt",
        history={Family.IPV4: history([(20, VNPT), (9, LTE)], NOW - timedelta(hours=4))},
    )
    assert {one.holds for one in findings([old], ISPS, LIMITS, NOW)} == {None}


# NAT


@pytest.mark.parametrize(
    ("before", "after", "holds"),
    [
        (Nat.NAT, Nat.CARRIER_GRADE, True),
        (Nat.NONE, Nat.NAT, True),
        (Nat.NONE, Nat.CARRIER_GRADE, True),
        (Nat.CARRIER_GRADE, Nat.NONE, True),
        # A router that no longer states its own address looks like this.
        (Nat.CARRIER_GRADE, Nat.NAT, False),
        (Nat.NAT, Nat.NAT, False),
    ],
)
def test_another_nat(before: Nat, after: Nat, holds: bool) -> None:
    lines = [line("a", [(20, VNPT, before), (0.5, "113.160.1.8", after)])]
    assert found(lines, FindingKind.NAT_CHANGED) == {"a": holds}
    if holds:
        evidence = the(lines, FindingKind.NAT_CHANGED).evidence
        assert (evidence["nat_before"], evidence["nat"]) == (str(before), str(after))


def test_one_look_up_with_another_nat_is_not_enough() -> None:
    lines = [line("a", [(20, VNPT, Nat.NAT), (0.05, VNPT, Nat.CARRIER_GRADE)])]
    assert found(lines, FindingKind.NAT_CHANGED) == {"a": None}
    back = [(20, VNPT, Nat.NAT), (2, VNPT, Nat.CARRIER_GRADE), (1.9, VNPT, Nat.NAT)]
    quiet([line("a", back)])


def test_the_nat_of_another_network_is_not_compared() -> None:
    lines = [line("a", [(20, VNPT, Nat.NONE), (0.5, LTE, Nat.CARRIER_GRADE)], "vnpt")]
    assert not found(lines, FindingKind.NAT_CHANGED, ISPS)["a"]


# The history


def test_a_stay_grows_and_another_address_begins_one() -> None:
    stays = history([(2, VNPT), (1, VIETTEL)])
    assert [(stay.address, round(stay.duration / timedelta(days=1))) for stay in stays] == [
        (VNPT, 1),
        (VIETTEL, 1),
    ]
    same = with_observation(stays, LineOperator(VNPT, Nat.NAT, NOW), NOW - timedelta(days=9))
    assert same is stays, "an observation that comes late"


def test_the_history_is_bounded_and_keeps_what_lasted() -> None:
    stays: Sequence[OperatorStay] = history([(80, VNPT)], NOW - timedelta(days=40))
    for hour in range(1000):
        at = NOW - timedelta(days=40) + timedelta(hours=hour)
        stays = with_observation(stays, LineOperator(f"171.224.{hour % 250}.1", Nat.NAT, at), at)
    assert len(stays) == MOST_STAYS
    assert stays[0].address == VNPT


def test_what_a_probe_states_counts_by_our_clock_and_while_it_is_fresh() -> None:
    wrong = NOW - timedelta(days=400)  # the probe's clock
    seen = [
        LineOperator(VNPT, Nat.NAT, wrong - timedelta(minutes=20)),
        LineOperator("2001:ee0::1", Nat.NONE, wrong - timedelta(hours=4)),
        LineOperator("1.2.3", Nat.NAT, wrong),
    ]
    assert fresh_observations(seen, wrong, NOW) == [(seen[0], NOW - timedelta(minutes=20))]


def test_what_anybody_may_see_of_an_address() -> None:
    assert masked("203.0.113.7") == "203.0.113.0/24"
    assert masked("2001:db8:1234:5678::9") == "2001:db8:1234::/48"


def test_the_longest_prefix_wins() -> None:
    prefixes = IspPrefixes(
        [
            Isp(id="big", name="B", prefixes=("203.0.0.0/8",)),
            Isp(id="small", name="S", prefixes=("203.0.113.0/24",)),
        ]
    )
    assert [prefixes.isp_of(text) for text in ("203.0.113.7", "203.9.9.9", "198.51.100.1")] == [
        "small",
        "big",
        None,
    ]
    assert prefixes.isp_of(str(ipaddress.ip_address("2001:db8::1"))) is None
