"""Whose losses a window's are: the line's, or those of the office's own cable and router."""

from __future__ import annotations

import pytest

from probe.measure.failure import Failure
from probe.measure.latency.own_network import is_own_network_fault
from probe.measure.latency.session import LatencySession, LatencyWindow
from wire.result import Reason

MS, S = 1_000_000, 1_000_000_000
TMAX = 3 * S


def session(answers: str, offset_ns: int = 0) -> LatencySession:
    """A packet a second: `+` came back, `-` was lost."""
    made = LatencySession(TMAX, 0)
    for seq, letter in enumerate(answers):
        at_ns = seq * S + offset_ns
        made.sent(seq, at_ns, token=1)
        if letter == "+":
            made.received(seq, at_ns + MS, token=1)
    return made


def closed(made: LatencySession, end_ns: int = 60 * S) -> LatencyWindow:
    made.end_window(end_ns)
    (window,) = made.closed(end_ns + TMAX)
    return window


def window(answers: str, offset_ns: int = 0) -> LatencyWindow:
    return closed(session(answers, offset_ns))


@pytest.mark.parametrize(
    ("gateway", "beyond", "own"),
    [
        # All whole; the ISP's line cut, and lossy; a router off; a router off for a part.
        ("++++++++", "++++++++", False),
        ("++++++++", "--------", False),
        ("++++++++", "+-++--+-", False),
        ("--------", "--------", True),
        ("+++---++", "+++---++", True),
        ("+++-----", "+++-----", True),
        # Routers forget an answer, or never give one, while what is behind them does.
        ("+-++-+-+", "++++++++", False),
        ("+++---++", "++++++++", False),
        ("--------", "++++++++", False),
        ("--------", "+-------", False),
        # In so short a window all of it was silent, or too little to tell.
        ("-", "--", True),
        ("-", "+-", False),
        ("+--", "---", False),
    ],
)
def test_what_is_lost_while_the_gateway_is_silent_is_no_line_s(
    gateway: str, beyond: str, own: bool
) -> None:
    far = window(beyond, S // 10)
    assert is_own_network_fault(far, window(gateway), [far]) is own


def test_one_answer_from_beyond_the_gateway_is_enough_whoever_gave_it() -> None:
    silent, near = window("------"), window("------")
    assert is_own_network_fault(silent, near, [silent])
    assert not is_own_network_fault(silent, near, [silent, window("----+-", S // 10)])


def test_where_no_gateway_is_known_nothing_is_said_but_of_the_line_itself() -> None:
    assert not is_own_network_fault(window("----"), None, [window("----")])
    down = session("++--")
    down.on_failure(Failure(Reason.LINE_DOWN, "The interface eth0 has no carrier."))
    down.on_failure(Failure(Reason.UNREACHABLE, "Cannot send."))
    assert is_own_network_fault(closed(down), None, [])
    other = session("++--")
    other.on_failure(Failure(Reason.UNREACHABLE, "Cannot send."))
    assert not is_own_network_fault(closed(other), window("++++"), [])
