"""Kind `path`: from what answers to where the fault is."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.config import LineConfig
from probe.measure import gateway
from probe.measure.path import method
from probe.measure.path.method import PathEvidence, locate
from probe.show import texts
from runtime.language import Language
from tests import samples
from wire.result import FaultLocation, HopAnswer, PathHop, PathTarget

GATEWAY = "192.168.1.1"
ROUTES = """Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
vnpt	00000000	0101A8C0	0003	0	0	1	00000000	0	0	0
viettel	00000000	0102A8C0	0003	0	0	2	00000000	0	0	0
vnpt	0001A8C0	00000000	0001	0	0	0	00FFFFFF	0	0	0
"""


def hop(number: int, address: str | None, answer: HopAnswer | None = None) -> PathHop:
    if answer is None:
        answer = HopAnswer.SILENT if address is None else HopAnswer.TIME_EXCEEDED
    silent = answer is HopAnswer.SILENT
    return PathHop(
        hop=number,
        address=address,
        answer=answer,
        sent=3,
        answered=0 if silent else 3,
        rtt_ms=None if silent else number * 2.0,
    )


def target(name: str, letter: str) -> PathTarget:
    """`+` was reached, `-` did not answer, `?` has no address and was never asked."""
    return PathTarget(
        name=name, address=None if letter == "?" else "203.0.113.1", reached=letter == "+",
        rtt_ms=9.0 if letter == "+" else None, trouble=None,
    )  # fmt: skip


def seen(
    *hops: PathHop,
    reached: str = "--",
    gateway_rtt_ms: float | None = 0.5,
    router: str | None = GATEWAY,
    refusals: tuple[str, ...] = (),
    line_down: bool = False,
) -> PathEvidence:
    targets = [target(str(n), letter) for n, letter in enumerate(reached)]
    return PathEvidence(
        gateway=router,
        gateway_rtt_ms=gateway_rtt_ms,
        hops=hops,
        targets=targets,
        refusals=refusals,
        line_down=line_down,
    )


SILENT = hop(2, None)


@pytest.mark.parametrize(
    ("what", "fault"),
    [
        (seen(hop(1, GATEWAY), reached="++"), FaultLocation.NONE),
        (seen(hop(1, GATEWAY), SILENT, reached="+-"), FaultLocation.BEYOND),
        (seen(hop(1, GATEWAY), hop(2, "100.64.0.1"), hop(3, None)), FaultLocation.BEYOND),
        (seen(hop(1, GATEWAY), hop(2, "10.1.1.1")), FaultLocation.BEYOND),
        (seen(hop(1, GATEWAY), SILENT), FaultLocation.ISP_ACCESS),
        (seen(hop(1, None), SILENT), FaultLocation.ISP_ACCESS),
        (seen(hop(1, GATEWAY), SILENT, gateway_rtt_ms=None), FaultLocation.ISP_ACCESS),
        # A second router of the office's own, behind the first.
        (seen(hop(1, GATEWAY), hop(2, "192.168.100.1")), FaultLocation.ISP_ACCESS),
        (
            seen(hop(1, GATEWAY), hop(2, "192.168.100.1"), hop(3, "10.1.1.1")),
            FaultLocation.BEYOND,
        ),
        (seen(hop(1, None), SILENT, gateway_rtt_ms=None), FaultLocation.OWN_LAN),
        (seen(hop(1, None), router=None, gateway_rtt_ms=None), FaultLocation.UNDETERMINED),
        (
            seen(hop(1, None), router=None, gateway_rtt_ms=None, line_down=True),
            FaultLocation.OWN_LAN,
        ),
        (seen(hop(1, "192.168.1.1"), router=None, gateway_rtt_ms=None), FaultLocation.ISP_ACCESS),
        (
            seen(hop(1, GATEWAY), hop(2, "100.64.0.1", HopAnswer.UNREACHABLE)),
            FaultLocation.BEYOND,
        ),
        (seen(hop(1, GATEWAY), SILENT, refusals=("100.64.0.1",)), FaultLocation.BEYOND),
        (seen(hop(1, GATEWAY), SILENT, refusals=(GATEWAY,)), FaultLocation.ISP_ACCESS),
        # A name that is not resolved here says nothing of the way to where it would lead.
        (seen(hop(1, GATEWAY), reached="+?"), FaultLocation.NONE),
        (seen(hop(1, GATEWAY), SILENT, reached="-?"), FaultLocation.ISP_ACCESS),
        (seen(hop(1, GATEWAY), SILENT, reached="+-?"), FaultLocation.BEYOND),
        (seen(reached="??"), FaultLocation.UNDETERMINED),
        (seen(reached="??", gateway_rtt_ms=None), FaultLocation.OWN_LAN),
        (seen(reached="??", router=None, gateway_rtt_ms=None), FaultLocation.UNDETERMINED),
    ],
)
def test_the_fault_is_behind_the_last_thing_that_answers(
    what: PathEvidence, fault: FaultLocation
) -> None:
    assert locate(what) is fault
    assert (method.sentence(method.values(what)) is None) == (fault is FaultLocation.NONE)


def test_only_targets_that_were_asked_are_told_as_silent() -> None:
    found = method.values(seen(hop(1, GATEWAY), hop(2, "100.64.0.1"), reached="-?"))
    assert method.sentence(found) == "The fault is beyond the access line: no answer from 0."
    found = method.values(seen(reached="??"))
    assert str(method.sentence(found)).startswith(f"{GATEWAY} answers, and no target has an")


def test_the_target_is_no_hop_of_the_isp_s() -> None:
    what = seen(
        hop(1, GATEWAY), hop(2, "203.0.113.1", HopAnswer.REACHED), hop(3, None), reached="+"
    )
    found = method.values(what)
    assert found.access_address is None
    assert [one.hop for one in found.hops] == [1, 2]
    assert (found.gateway_rtt_ms, found.target_rtt_ms, found.targets_reached) == (0.5, 9.0, 1)


def test_a_gateway_that_answers_no_echo_has_its_time_from_the_way() -> None:
    found = method.values(seen(hop(1, GATEWAY), hop(2, "100.64.0.1"), gateway_rtt_ms=None))
    assert (found.gateway_reached, found.gateway_rtt_ms) == (True, 2.0)
    assert (found.access_address, found.access_rtt_ms) == ("100.64.0.1", 4.0)


def test_silent_hops_at_the_end_are_told_once() -> None:
    hops = [hop(1, GATEWAY), hop(2, None), hop(3, "10.0.0.1"), *(hop(n, None) for n in range(4, 9))]
    assert [one.hop for one in method.shown_hops(hops)] == [1, 2, 3, 4]
    assert [one.hop for one in method.shown_hops([hop(n, None) for n in range(1, 9)])] == [1]


addresses = st.sampled_from([None, GATEWAY, "192.168.9.1", "10.1.1.1", "100.64.0.1", "203.0.113.9"])
seens = st.builds(
    lambda hops, reached, rtt_ms, router: seen(
        *(hop(n, address) for n, address in enumerate(hops, start=1)),
        reached=reached,
        gateway_rtt_ms=rtt_ms,
        router=router,
    ),
    st.lists(addresses, max_size=8),
    st.text("+-?", min_size=1, max_size=4),
    st.sampled_from([None, 0.5]),
    st.sampled_from([None, GATEWAY]),
)


@given(seens)
def test_a_fault_is_never_before_something_that_answers(what: PathEvidence) -> None:
    found = method.values(what)
    if found.fault is FaultLocation.NONE:
        assert found.targets_reached == len(method.resolved_targets(found.targets)) > 0
    if found.fault is FaultLocation.OWN_LAN:
        assert not found.gateway_reached
        assert found.targets_reached == 0
    if found.fault is FaultLocation.ISP_ACCESS:
        assert found.access_address is None
        assert found.targets_reached == 0
        assert method.resolved_targets(found.targets), "what was not asked cannot have been silent"
    if what.gateway is not None and method.resolved_targets(found.targets):
        assert found.fault is not FaultLocation.UNDETERMINED


# The gateway


def test_a_line_s_gateway_is_as_configured_or_its_interface_s_default_route(tmp_path: Path) -> None:
    routes = tmp_path / "route"
    routes.write_text(ROUTES)

    def of(**fields: object) -> str | None:
        line = LineConfig(**({"id": "a", "isp": "A"} | fields))  # type: ignore[arg-type]  # by name
        return gateway.of_line(line, routes)

    assert of(interface="vnpt") == "192.168.1.1"
    assert of(interface="viettel") == "192.168.2.1"
    assert of(interface="vnpt", gateway="192.168.1.254") == "192.168.1.254"
    assert of(interface="eth9") is None
    assert of(source_address="192.168.1.2") is None
    assert gateway.of_line(LineConfig(id="a", isp="A", interface="x"), tmp_path / "none") is None


# For a person


def test_a_person_is_shown_the_way_and_where_it_breaks() -> None:
    result = samples.path(fault=FaultLocation.ISP_ACCESS, reached=False)
    shown = texts.result(result, Language.EN)
    assert "fault                    isp_access" in shown
    assert "hop 1  192.168.1.1            0.60 ms  time exceeded" in shown
    assert "target may-chu-1                    -  203.0.113.5 does not answer." in shown
    shown = texts.result(result, Language.VI)
    assert "chặng 1  192.168.1.1            0,60 ms  hết TTL" in shown
    target = "đích may-chu-1                    -  không trả lời (203.0.113.5 does not answer.)"
    assert target in shown
