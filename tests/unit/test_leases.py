"""Leases of a server's test slots: one test a port, rates within the card, nobody hoards."""

from __future__ import annotations

import itertools

import msgspec
import pytest

from server.leases import LeaseLimits, LeaseTable, Seen, peers_with
from wire.lease import (
    Granted,
    LeaseRequest,
    OverlapQuery,
    Queued,
    Refused,
    Release,
    Released,
    answer_in,
    line_of,
    message_in,
)

LIMITS = LeaseLimits(iperf3_ports=(5201, 5202), http_port=8080, capacity_bps=800e6)


def table(**changes: object) -> LeaseTable:
    tokens = (f"token-{number}" for number in itertools.count())
    return LeaseTable(msgspec.structs.replace(LIMITS, **changes), lambda: next(tokens))


def wanted(kind: str = "throughput", rate_bps: float = 100e6, wait_s: float = 60) -> LeaseRequest:
    return LeaseRequest(kind=kind, rate_bps=rate_bps, longest_s=60, wait_s=wait_s)


def address(number: int) -> str:
    return f"192.0.2.{number}"


def ports(leases: LeaseTable, now_s: float) -> dict[int, int]:
    return {lease_id: grant.port for lease_id, grant in leases.grants(now_s)}


def test_each_port_holds_one_test_and_the_next_waits_for_it() -> None:
    leases = table()
    for number in range(3):
        assert leases.request(number, address(number), wanted(), 0) == Queued(ahead=number)
    assert ports(leases, 0) == {0: 5201, 1: 5202}
    assert ports(leases, 10) == {}
    assert leases.release(1, 30) == Released(contended=False)
    assert ports(leases, 30) == {2: 5202}


def test_the_http_port_holds_one_test_beside_those_of_iperf3() -> None:
    leases = table()
    for number, kind in enumerate(["http", "http", "throughput"]):
        leases.request(number, address(number), wanted(kind), 0)
    assert ports(leases, 0) == {0: 8080, 2: 5201}
    leases.release(0, 9)
    assert ports(leases, 9) == {1: 8080}


def test_the_rates_of_all_tests_stay_within_the_card() -> None:
    leases = table()
    for number, rate_bps in enumerate([500e6, 400e6, 50e6]):
        leases.request(number, address(number), wanted("throughput", rate_bps), 0)
    assert ports(leases, 0) == {0: 5201}, "400 does not fit, and 50 does not overtake it"
    assert leases.granted_bps == 500e6
    leases.release(0, 30)
    assert ports(leases, 30) == {1: 5201, 2: 5202}


def test_a_line_faster_than_the_card_is_tested_alone() -> None:
    leases = table()
    leases.request(0, address(0), wanted("throughput", 2e9), 0)
    leases.request(1, address(1), wanted("http", 1e6), 0)
    assert ports(leases, 0) == {0: 5201}
    leases.release(0, 30)
    assert ports(leases, 30) == {1: 8080}


def test_who_waits_for_too_long_is_refused_and_what_lasts_for_too_long_ends() -> None:
    leases = table(iperf3_ports=(5201,))
    leases.request(0, address(0), wanted(), 0)
    leases.request(1, address(1), wanted(wait_s=20), 0)
    assert ports(leases, 0) == {0: 5201}
    assert leases.next_due_s() == 20
    assert [(one, type(answer)) for one, answer in leases.overdue(20)] == [(1, Refused)]
    assert list(leases.overdue(59.9)) == []
    assert list(leases.overdue(60)) == [(0, None)]
    assert leases.release(0, 61) is None
    assert (leases.held, leases.waiting, leases.next_due_s()) == (0, 0, None)


def test_a_source_cannot_hoard() -> None:
    leases = table(iperf3_ports=(5201, 5202, 5203, 5204), source_s_per_hour=100.0)
    hostile = "2001:db8::"
    answers = [leases.request(n, f"{hostile}{n:x}", wanted(), 0) for n in range(9)]
    assert [type(one) for one in answers] == [Queued] * 8 + [Refused]
    leases.request(100, address(1), wanted(), 0)
    assert ports(leases, 0) == {0: 5201, 1: 5202, 100: 5203}, "two for the /64, then another"
    for number in range(8):
        leases.release(number, 60)
    assert isinstance(leases.request(200, f"{hostile}1", wanted(), 60), Refused)
    # 120 s used of 100 an hour: 20 s come back in 720 s.
    assert isinstance(leases.request(201, f"{hostile}1", wanted(), 770), Refused)
    assert isinstance(leases.request(202, f"{hostile}1", wanted(), 790), Queued)


def test_the_queue_is_bounded() -> None:
    leases = table(waiting=3)
    answers = [leases.request(n, address(n), wanted(), 0) for n in range(4)]
    assert [type(one) for one in answers] == [Queued] * 3 + [Refused]


def test_a_kind_that_the_server_does_not_offer_is_refused() -> None:
    assert isinstance(table(http_port=None).request(0, address(0), wanted("http"), 0), Refused)


def test_what_runs_without_a_lease_holds_its_port() -> None:
    leases = table()
    leases.observe({Seen(5201, address(9))}, 0)
    leases.request(0, address(0), wanted(), 0)
    leases.request(1, address(1), wanted(), 0)
    assert ports(leases, 0) == {0: 5202}
    leases.observe({Seen(5202, address(0))}, 20)
    assert ports(leases, 20) == {1: 5201}
    assert leases.counters.without_lease == 1


def test_tests_that_exceed_the_card_are_flagged_in_both_results() -> None:
    leases = table()
    leases.request(0, address(0), wanted("throughput", 700e6), 0)
    ports(leases, 0)
    seen = {Seen(5201, address(0)), Seen(5202, address(9))}
    leases.observe(seen, 1)
    leases.observe(seen, 5)
    assert leases.overlap(address(9), 30, 6) == Released(contended=True)
    leases.observe({Seen(5201, address(0))}, 10)
    assert leases.overlap(address(9), 30, 12) == Released(contended=True)
    assert leases.overlap(address(9), 30, 90) == Released(contended=False)
    assert leases.release(0, 12) == Released(contended=True)
    assert leases.counters.contended == 2


def test_two_http_tests_at_a_time_are_flagged_and_one_by_another_address_is_not() -> None:
    leases = table()
    leases.request(0, address(0), wanted("http"), 0)
    ((_, grant),) = leases.grants(0)
    # The NAT gave its transfers another address.
    assert leases.authorize(grant.token, address(5), 1)
    leases.observe({Seen(8080, address(5))}, 4)
    leases.observe({Seen(8080, address(5))}, 8)
    assert leases.counters.contended == 0
    for now_s in (9, 12):
        leases.observe({Seen(8080, address(5)), Seen(8080, address(7))}, now_s)
    assert leases.release(0, 13) == Released(contended=True)
    assert leases.overlap(address(7), 30, 13) == Released(contended=True)


def test_a_connection_that_outlives_its_lease_for_a_moment_flags_nobody() -> None:
    leases = table()
    leases.request(0, address(0), wanted("throughput", 450e6), 0)
    leases.request(1, address(1), wanted("throughput", 350e6), 0)
    assert len(ports(leases, 0)) == 2
    leases.release(0, 30)
    leases.request(2, address(2), wanted("http", 300e6), 30)
    leases.observe({Seen(5201, address(0)), Seen(5202, address(1))}, 30.1)
    leases.observe({Seen(5202, address(1))}, 31.1)
    assert ports(leases, 31.1) == {2: 8080}
    assert leases.release(1, 32) == Released(contended=False)


def test_nginx_serves_a_lease_and_others_only_where_nobody_holds_or_waits() -> None:
    leases = table()
    assert leases.authorize(None, address(9), 0), "an older probe, the slot is free"
    assert leases.authorize(None, address(9), 5), "its next request"
    assert not leases.authorize(None, address(8), 5)
    leases.request(0, address(0), wanted("http"), 6)
    assert ports(leases, 6) == {}
    leases.observe(set(), 9)
    ((_, grant),) = leases.grants(9)
    assert leases.authorize(grant.token, address(0), 10)
    assert not leases.authorize("guessed", address(8), 10)
    leases.request(1, address(1), wanted("http"), 11)
    leases.release(0, 12)
    assert not leases.authorize(None, address(8), 12), "somebody waits"
    assert leases.counters.http_refused == 3


def test_a_test_without_a_lease_ends_by_itself_where_its_connections_are_not_seen() -> None:
    leases = table()
    assert leases.authorize(None, address(9), 0)
    list(leases.overdue(36))
    assert leases.authorize(None, address(8), 36)


def test_what_is_remembered_of_sources_is_bounded() -> None:
    leases = table(source_s_per_hour=10.0)
    for number in range(10_001):
        source = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
        leases.request(number, source, wanted(), 0)
        assert len(ports(leases, 0)) == 1
        leases.release(number, 20 if number == 3 else 1)
    assert len(leases._used_s) <= 10_000
    assert isinstance(leases.request(1 << 20, "10.0.0.3", wanted(), 30), Refused)


def test_peers_with_one_connection_only_ping() -> None:
    once, four = Seen(8080, address(1)), Seen(8080, address(2))
    assert peers_with([once, *[four] * 4, Seen(5201, address(3))], 8080, 2) == {four}


@pytest.mark.parametrize(
    "message", [wanted(), OverlapQuery(seconds=30), Release()], ids=lambda one: type(one).__name__
)
def test_messages_go_over_the_wire(message: LeaseRequest | OverlapQuery | Release) -> None:
    assert message_in(line_of(message)) == message


def test_an_answer_of_a_newer_server_is_read() -> None:
    line = b'{"type":"granted","token":"t","port":5201,"expires_s":60,"later":true}\n'
    assert answer_in(line) == Granted(token="t", port=5201, expires_s=60)
    with pytest.raises(msgspec.ValidationError):
        message_in(b'{"type":"request","kind":"udp","rate_bps":1,"longest_s":1,"wait_s":1}')
