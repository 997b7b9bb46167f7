"""Kind `path` and the minutes of availability, on lines that break at a known place."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import pytest
from msgspec import structs

from probe.availability import minutes
from probe.availability.minutes import MinuteState
from probe.config import DnsConfig, LatencyConfig, LineConfig, PathConfig
from probe.config import ServerConfig as Server
from probe.measure import line_networks
from probe.measure.measurement import RawResult
from probe.measure.path import probe as path_probe
from probe.measure.runner import Runner
from tests.lab.network import SERVER_ADDRESSES, Cut, LineShape, OfficeNetwork
from tests.line_request import line_request, office_config
from wire.result import (
    GATEWAY_TARGET,
    FaultLocation,
    HopAnswer,
    Outcome,
    PathValues,
    Reason,
    Result,
    Validity,
)

pytestmark = pytest.mark.usefixtures("_namespaces")

SERVERS = [
    Server(name="hn-1", host=SERVER_ADDRESSES[0]),
    Server(name="hcm-1", host=SERVER_ADDRESSES[1]),
]
DNS = DnsConfig(public_resolver=None)
PATH = PathConfig(timeout_s=0.7, max_hops=4)
# Windows long enough that one packet at least falls due to each target, however drawn.
LATENCY = LatencyConfig(window_s=1.5, mean_gap_s=0.05, timeout_s=0.7)


@pytest.fixture(scope="module")
def network() -> Iterator[OfficeNetwork]:
    with OfficeNetwork([LineShape("vnpt"), LineShape("viettel")], tag=f"y{os.getpid()}") as built:
        # Linux answers a peer that sends too much once a second; real routers have budgets too.
        for namespace in (built.centre, *(line.isp for line in built.lines)):
            namespace.sysctl({"ipv4/icmp_ratelimit": "0"})
        yield built


def line_of(network: OfficeNetwork, name: str = "vnpt") -> LineConfig:
    line = network.line(name)
    return LineConfig(id=name, isp="x", interface=line.interface)


def looked(network: OfficeNetwork, line: LineConfig, servers: list[Server] = SERVERS) -> RawResult:
    request = line_request(line, servers, dns=DNS, path=PATH)
    (finding,) = network.office.inside(lambda: list(path_probe.measure(request)))
    return finding


def values_of(finding: RawResult) -> PathValues:
    assert isinstance(finding.values, PathValues), finding
    return finding.values


@contextmanager
def broken(network: OfficeNetwork, where: str) -> Iterator[None]:
    """The line vnpt, broken at a place in words."""
    isp, gateway = network.line("vnpt").isp, network.line("vnpt").gateway_address
    address = SERVER_ADDRESSES[0]

    def mend_gateway() -> None:
        isp.ip(f"addr add {gateway}/24 dev lan")
        network.settle("vnpt")

    breaks: dict[str, tuple[Callable[[], None], Callable[[], None]]] = {
        "nowhere": (lambda: None, lambda: None),
        "cable": (partial(network.cut, "vnpt", Cut.CABLE), partial(network.restore, "vnpt")),
        "access": (partial(network.cut, "vnpt"), partial(network.restore, "vnpt")),
        "gateway": (
            lambda: isp.ip(f"addr del {gateway}/24 dev lan"),
            mend_gateway,
        ),
        "one server": (
            lambda: network.centre.ip(f"addr del {address}/32 dev lo"),
            lambda: network.centre.ip(f"addr add {address}/32 dev lo"),
        ),
        "both servers": (
            lambda: network.centre.ip(*(f"addr del {ip}/32 dev lo" for ip in SERVER_ADDRESSES)),
            lambda: network.centre.ip(*(f"addr add {ip}/32 dev lo" for ip in SERVER_ADDRESSES)),
        ),
    }
    begin, end = breaks[where]
    if where == "both servers":
        network.centre.sysctl({"ipv4/ip_forward": "1"})
    begin()
    try:
        yield
    finally:
        end()
        network.centre.sysctl({"ipv4/ip_forward": "0"})


@pytest.mark.parametrize(
    ("where", "fault", "reason"),
    [
        ("nowhere", FaultLocation.NONE, None),
        ("cable", FaultLocation.OWN_LAN, Reason.LINE_DOWN),
        ("gateway", FaultLocation.OWN_LAN, None),
        ("access", FaultLocation.ISP_ACCESS, None),
        ("one server", FaultLocation.BEYOND, None),
        ("both servers", FaultLocation.BEYOND, None),
    ],
)
def test_the_path_shows_where_it_breaks(
    network: OfficeNetwork, where: str, fault: FaultLocation, reason: Reason | None
) -> None:
    with broken(network, where):
        finding = looked(network, line_of(network))
    values = values_of(finding)
    assert (values.fault, finding.reason) == (fault, reason), finding
    assert (finding.outcome is Outcome.OK) == (reason is None)
    assert values.gateway == network.line("vnpt").gateway_address, "from the kernel's routes"


def test_a_whole_line_by_its_hops_and_alone(network: OfficeNetwork) -> None:
    before = network.office.counters("vnpt")
    values = values_of(looked(network, line_of(network, "viettel")))
    assert network.office.counters("vnpt") == before
    gateway = network.line("viettel").gateway_address
    assert [(hop.address, hop.answer) for hop in values.hops] == [
        (gateway, HopAnswer.TIME_EXCEEDED),
        (SERVER_ADDRESSES[0], HopAnswer.REACHED),
    ]
    assert values.targets_reached == 2
    for rtt_ms in (values.gateway_rtt_ms, values.target_rtt_ms, values.hops[0].rtt_ms):
        assert rtt_ms is not None
        assert 0 < rtt_ms < 500


def test_a_name_without_an_address_puts_no_fault_on_the_line(network: OfficeNetwork) -> None:
    nameless = Server(name="dn-1", host="dn-1.invalid")
    values = values_of(looked(network, line_of(network), [SERVERS[0], nameless]))
    assert (values.fault, values.targets_reached) == (FaultLocation.NONE, 1)
    finding = looked(network, line_of(network), [nameless])
    assert (finding.outcome, finding.reason) == (Outcome.FAILED, Reason.NAME_RESOLUTION)
    assert values_of(finding).fault is FaultLocation.UNDETERMINED
    assert values_of(finding).gateway_reached


def test_a_router_s_refusal_is_told_with_its_name(network: OfficeNetwork) -> None:
    with broken(network, "both servers"):
        values = values_of(looked(network, line_of(network)))
    assert values.access_address == "100.64.1.2"
    assert values.targets[0].trouble == (
        f"100.64.1.2 says that {SERVER_ADDRESSES[0]} cannot be reached."
    )


def test_without_permission_for_echo_the_hops_still_answer(network: OfficeNetwork) -> None:
    # Nobody may: what is left are UDP datagrams and, as this is root, raw sockets for the targets.
    network.office.sysctl({"ipv4/ping_group_range": "1 0"})
    try:
        values = values_of(looked(network, line_of(network)))
    finally:
        network.office.sysctl({"ipv4/ping_group_range": "0 2147483647"})
    assert values.fault is FaultLocation.NONE
    assert values.hops[0].answered > 0


# Minutes


def windows(
    network: OfficeNetwork, line: LineConfig, icmp_targets: Sequence[str] = ()
) -> list[Result]:
    """One window of kind `latency` to every target, as the daemon would have it."""
    latency = structs.replace(LATENCY, icmp_targets=list(icmp_targets))
    config = office_config(line, SERVERS, latency=latency, dns=DNS)
    runner = Runner(config, lambda _: None, {})
    return network.office.inside(
        lambda: list(runner.run("latency", line, SERVERS[0], line_request(line, SERVERS).stop))
    )


@pytest.mark.parametrize(
    ("where", "state"),
    [
        ("nowhere", MinuteState.UP),
        ("cable", MinuteState.OWN_LAN),
        ("gateway", MinuteState.OWN_LAN),
        ("access", MinuteState.DOWN),
        ("one server", MinuteState.UP),
        ("both servers", MinuteState.DOWN),
    ],
)
def test_a_minute_on_a_line_that_breaks(
    network: OfficeNetwork, where: str, state: MinuteState
) -> None:
    line = line_of(network)
    with broken(network, where):
        results = windows(network, line)
    own = network.office.inside(lambda: line_networks.of_line(line))
    evidence = [one for result in results for one in minutes.samples_of(result, own)]
    assert minutes.minute_state(evidence) is state, results
    # What the office's own cable or router loses is not the line's loss; the ISP's is.
    for result in results:
        not_the_line_s = state is MinuteState.OWN_LAN and result.target != GATEWAY_TARGET
        assert (Validity.OWN_LAN in result.validity) == not_the_line_s, result
    looks = [result for result in results if minutes.is_degraded(result, PATH)]
    assert bool(looks) == (where != "nowhere"), "a bad minute calls for a look at the path"
    assert {result.reason for result in results} <= {
        None, Reason.LINE_DOWN, Reason.NO_REPLY, Reason.UNREACHABLE, Reason.CONNECTION_REFUSED,
    }  # fmt: skip


def test_a_host_in_the_office_that_answers_makes_no_minute_up(network: OfficeNetwork) -> None:
    """Its resolver or intranet host, on the line's own cable, while the access is cut."""
    line, inside = line_of(network), "192.168.1.53"
    lan = network.line("vnpt").isp
    lan.ip(f"addr add {inside}/24 dev lan")
    try:
        with broken(network, "access"):
            results = windows(network, line, icmp_targets=[inside])
    finally:
        lan.ip(f"addr del {inside}/24 dev lan")
    (of_host,) = [result for result in results if result.target == f"icmp:{inside}"]
    assert of_host.outcome is Outcome.OK, "it did answer"
    own = network.office.inside(lambda: line_networks.of_line(line))
    evidence = [one for result in results for one in minutes.samples_of(result, own)]
    assert minutes.minute_state(evidence) is MinuteState.DOWN
