"""When a line is asked for its operator, and what the answers mean: the pure part."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime

import pytest

from probe.measure.failure import Failure
from probe.measure.operator.answer import Operator, nat_of, operator_in_response
from probe.measure.operator.nat_pmp import address_in
from probe.measure.operator.schedule import OperatorSchedule, ReconnectDetector
from runtime.ip_address import parsed
from wire.record import LineOperator, Nat, Reason

FOUND = LineOperator("203.0.113.7", Nat.NAT, datetime(2026, 11, 30, tzinfo=UTC))
WINDOW_S = 60.0


def asked_times(schedule: OperatorSchedule, until_s: int, found: LineOperator | None) -> list[int]:
    """When it is asked, looked at every second, where each question is answered with `found`."""
    times = []
    for now_s in range(until_s):
        if schedule.is_due(now_s, "a"):
            times.append(now_s)
            schedule.asked(now_s, found)
    return times


def test_a_line_is_asked_once_an_hour() -> None:
    schedule = OperatorSchedule()
    assert asked_times(schedule, 3 * 3600, FOUND) == [0, 3600, 7200]
    assert schedule.known == FOUND


def test_a_failure_is_repeated_more_and_more_rarely() -> None:
    assert asked_times(OperatorSchedule(), 12_000, None) == [0, 300, 900, 2100, 4500, 8100, 11700]


def test_what_was_known_outlives_a_failed_question() -> None:
    schedule = OperatorSchedule()
    schedule.is_due(0, "a")
    schedule.asked(0, FOUND)
    schedule.asked(3600, None)
    assert schedule.known == FOUND


def test_a_new_address_or_gateway_is_asked_for_at_once_and_the_old_answer_is_gone() -> None:
    schedule = OperatorSchedule()
    schedule.is_due(0, "a")
    schedule.asked(0, FOUND)
    assert schedule.is_due(600, "b")
    assert schedule.known is None


def test_a_flapping_line_is_asked_once_a_minute_at_most() -> None:
    schedule, times = OperatorSchedule(), []
    for now_s in range(600):
        schedule.reconnected()
        if schedule.is_due(now_s, "a"):
            times.append(now_s)
            schedule.asked(now_s, FOUND)
    assert times == list(range(0, 600, 60))


def test_a_line_without_the_family_is_not_asked() -> None:
    schedule = OperatorSchedule()
    assert not any(schedule.is_due(now_s, None) for now_s in range(0, 20_000, 60))
    assert schedule.is_due(20_000, "a")
    schedule.asked(20_000, FOUND)
    schedule.is_due(20_060, None)
    assert schedule.known is None


def test_an_outage_ends_with_the_first_answer() -> None:
    detector = ReconnectDetector(WINDOW_S)
    said = [
        detector.answers_again(minute * 60.0, answered=answered)
        for minute, answered in enumerate([True, True, False, False, True, True])
    ]
    assert said == [False, False, False, False, True, False]


def test_a_target_that_never_answers_is_no_outage() -> None:
    detector = ReconnectDetector(WINDOW_S)
    for minute in range(60):
        assert not detector.answers_again(minute * 60.0, answered=False)
        assert not detector.answers_again(minute * 60.0 + 0.1, answered=True)


def test_a_pause_of_measuring_is_no_outage() -> None:
    detector = ReconnectDetector(WINDOW_S)
    assert not detector.answers_again(0.0, answered=True)
    assert not detector.answers_again(600.0, answered=True)


@pytest.mark.parametrize(
    ("interface", "public", "router", "nat"),
    [
        ("203.0.113.7", "203.0.113.7", None, Nat.NONE),
        ("2001:db8::7", "2001:db8::7", None, Nat.NONE),
        ("192.168.1.2", "203.0.113.7", None, Nat.NAT),
        ("192.168.1.2", "203.0.113.7", "203.0.113.7", Nat.NAT),
        ("192.168.1.2", "203.0.113.7", "100.64.3.4", Nat.CARRIER_GRADE),
        ("192.168.1.2", "203.0.113.7", "198.51.100.9", Nat.CARRIER_GRADE),
        ("192.168.1.2", "203.0.113.7", "10.3.4.5", Nat.NAT),
        ("100.64.0.2", "203.0.113.7", None, Nat.CARRIER_GRADE),
        ("100.127.255.254", "203.0.113.7", None, Nat.CARRIER_GRADE),
        ("100.128.0.1", "203.0.113.7", None, Nat.NAT),
        ("fd00::2", "2001:db8::7", None, Nat.NAT),
    ],
)
def test_nat(interface: str, public: str, router: str | None, nat: Nat) -> None:
    outside = None if router is None else ipaddress.ip_address(router)
    assert nat_of(parsed(interface), parsed(public), outside) is nat


def response(body: bytes, status: bytes = b"HTTP/1.1 200 OK") -> bytes:
    return status + b"\r\nServer: nginx\r\n\r\n" + body


def test_a_response_of_the_measurement_server() -> None:
    assert operator_in_response(response(b'{"ip":"203.0.113.7","port":40312}\n')) == Operator(
        "203.0.113.7", None
    )
    mapped = operator_in_response(response(b'{"ip":"::ffff:203.0.113.7","port":null}\n'))
    assert mapped == Operator("203.0.113.7", None)


@pytest.mark.parametrize(
    "received",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nServer: x\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        response(b'{"ip":"203.0.113.7"}', b"HTTP/1.1 404 Not Found"),
        response(b"<html>portal</html>"),
        response(b'{"ip":"203.0.113.777"}'),
        response(b'{"ip":"203.0.1'),
    ],
)
def test_any_other_response_is_a_failure(received: bytes) -> None:
    found = operator_in_response(received)
    assert isinstance(found, Failure)
    assert found.reason is Reason.PROTOCOL_ERROR


def test_what_a_router_states_by_nat_pmp() -> None:
    whole = bytes.fromhex("0080 0000 00000002 08080404".replace(" ", ""))
    assert address_in(whole) == ipaddress.IPv4Address("8.8.4.4")
    # What miniupnpd 2.3.1 answers behind a carrier-grade NAT: network failure.
    assert address_in(bytes.fromhex("0080000300000002" + "00000000")) is None
    assert address_in(bytes.fromhex("0080000000000002" + "00000000")) is None
    assert address_in(whole[:-1]) is None
    assert address_in(b"\x01" + whole[1:]) is None
    assert address_in(b"") is None
