"""Latency, path and the minutes of a line over IPv4 and IPv6, on lines of which one may be cut."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from probe.availability import minutes
from probe.availability.minutes import MinuteState, ReachabilitySample
from probe.config import DnsConfig, LatencyConfig, LineConfig, PathConfig
from probe.config import ServerConfig as Server
from probe.doctor import family_checks
from probe.doctor.check import CheckStatus
from probe.measure import gateway, line_networks
from probe.measure.latency import probe as latency_probe
from probe.measure.runner import Runner
from tests.lab.network import (
    SERVER_ADDRESSES,
    SERVER_ADDRESSES_IPV6,
    Cut,
    LineShape,
    OfficeNetwork,
    Stack,
)
from tests.line_request import line_request, office_config
from wire.result import (
    GATEWAY_TARGET,
    Family,
    FaultLocation,
    LatencyResult,
    Outcome,
    PathResult,
    Result,
    Validity,
)

pytestmark = pytest.mark.usefixtures("_namespaces")

V4, V6 = Family.IPV4, Family.IPV6
HOSTS = [*SERVER_ADDRESSES, *SERVER_ADDRESSES_IPV6]
SERVERS = [Server(name=f"s-{number}", host=host) for number, host in enumerate(HOSTS)]
# Windows long enough that one packet at least falls due to each target, however drawn.
LATENCY = LatencyConfig(window_s=2, mean_gap_s=0.05, timeout_s=1)
TABLES: dict[str, Any] = {
    "latency": LATENCY,
    "dns": DnsConfig(public_resolver=None),
    "path": PathConfig(timeout_s=1, max_hops=4),
}
# Linux answers a peer that sends too much once a second; real routers have budgets too.
LIMITS = {"ipv4/icmp_ratelimit": "0", "ipv6/icmp/ratelimit": "0"}


@pytest.fixture(scope="module")
def network() -> Iterator[OfficeNetwork]:
    shapes = [
        LineShape("dual", stack=Stack.DUAL),
        LineShape("six", stack=Stack.IPV6),
        LineShape("four"),
    ]
    with OfficeNetwork(shapes, tag=f"e{os.getpid()}") as built:
        for namespace in (built.centre, *(line.isp for line in built.lines)):
            namespace.sysctl(LIMITS)
        yield built


@contextmanager
def cut(network: OfficeNetwork, name: str, stack: Stack | None) -> Iterator[None]:
    """The line's access, cut in one family or in both."""
    if stack is not None:
        network.cut(name, Cut.ACCESS, stack)
    try:
        yield
    finally:
        if stack is not None:
            network.restore(name)
            network.settle(name)


def results_of(network: OfficeNetwork, kind: str, name: str) -> list[Result]:
    line = LineConfig(id=name, isp="x", interface=name)
    runner = Runner(office_config(line, SERVERS, **TABLES), lambda _: None)
    stop = line_request(line, SERVERS).stop
    return network.office.inside(lambda: list(runner.run(kind, line, SERVERS[0], stop)))


def evidence_of(
    network: OfficeNetwork, name: str, results: list[Result]
) -> list[ReachabilitySample]:
    line = LineConfig(id=name, isp="x", interface=name)
    own = network.office.inside(lambda: line_networks.of_line(line))
    return [one for result in results for one in minutes.samples_of(result, own)]


@pytest.mark.parametrize(("name", "families"), [("dual", {V4, V6}), ("four", {V4})])
def test_every_target_is_measured_over_the_families_that_the_line_has(
    network: OfficeNetwork, name: str, families: set[Family]
) -> None:
    results = results_of(network, "latency", name)
    echoes = [r for r in results if isinstance(r, LatencyResult) and r.target != "stamp:s-0"]
    found = {(r.target, r.family) for r in echoes if r.outcome is Outcome.OK}
    hosts = [host for host in HOSTS if Family.of(host) in families]
    assert found == {
        *((f"icmp:{host}", Family.of(host)) for host in hosts),
        *((GATEWAY_TARGET, family) for family in families),
    }
    for result in echoes:
        if result.values is not None and result.family is not None:
            assert Family.of(result.values.address) is result.family
    # A server's address of a family that the line has not is a failure that is stated.
    failed = {(r.target, r.family) for r in results if r.outcome is Outcome.FAILED}
    others = [host for host in HOSTS if Family.of(host) not in families]
    assert failed == {("stamp:s-0", V4), *((f"icmp:{host}", Family.of(host)) for host in others)}


@pytest.mark.parametrize(
    ("name", "stack", "state", "down"),
    [
        ("dual", None, MinuteState.UP, {V4: False, V6: False}),
        ("dual", Stack.IPV6, MinuteState.UP, {V4: False, V6: True}),
        ("dual", Stack.IPV4, MinuteState.UP, {V4: True, V6: False}),
        ("dual", Stack.DUAL, MinuteState.DOWN, {V4: True, V6: True}),
        ("four", None, MinuteState.UP, {V4: False}),
        ("six", None, MinuteState.UP, {V6: False}),
        ("six", Stack.IPV6, MinuteState.DOWN, {V6: True}),
    ],
)
def test_a_line_is_up_where_either_family_is(
    network: OfficeNetwork,
    name: str,
    stack: Stack | None,
    state: MinuteState,
    down: dict[Family, bool],
) -> None:
    with cut(network, name, stack):
        results = results_of(network, "latency", name)
    evidence = evidence_of(network, name, results)
    assert minutes.minute_state(evidence) is state
    known = {family: minutes.is_family_down(evidence, family) for family in Family}
    has = {family: one for family, one in known.items() if family in down}
    assert has == down
    assert not any(Validity.OWN_LAN in result.validity for result in results)


def test_what_the_office_s_router_loses_of_one_family_is_no_loss_of_that_line(
    network: OfficeNetwork,
) -> None:
    built = network.line("dual")
    address = f"{built.gateway_address_ipv6}/64 dev lan"
    built.isp.ip(f"addr del {address}", ipv6=True)
    try:
        results = results_of(network, "latency", "dual")
    finally:
        built.isp.ip(f"addr add {address} nodad", ipv6=True)
        network.settle("dual")
    for result in results:
        mine = result.family is V6 and result.target != GATEWAY_TARGET
        assert (Validity.OWN_LAN in result.validity) == mine, result


@pytest.mark.parametrize(
    ("stack", "faults"),
    [
        (None, {V4: FaultLocation.NONE, V6: FaultLocation.NONE}),
        (Stack.IPV6, {V4: FaultLocation.NONE, V6: FaultLocation.ISP_ACCESS}),
        (Stack.IPV4, {V4: FaultLocation.ISP_ACCESS, V6: FaultLocation.NONE}),
    ],
)
def test_the_path_of_each_family_shows_where_it_breaks(
    network: OfficeNetwork, stack: Stack | None, faults: dict[Family, FaultLocation]
) -> None:
    with cut(network, "dual", stack):
        results = results_of(network, "path", "dual")
    found = {
        result.family: result.values.fault
        for result in results
        if isinstance(result, PathResult) and result.values is not None
    }
    assert found == faults
    for result in results:
        assert isinstance(result, PathResult)
        assert result.values is not None
        assert {Family.of(t.address) for t in result.values.targets if t.address} == {result.family}


def test_a_gateway_of_each_family_comes_from_the_kernel_s_routes(network: OfficeNetwork) -> None:
    line = LineConfig(id="dual", isp="x", interface="dual")
    built = network.line("dual")
    found = network.office.inside(lambda: [gateway.of_family(line, one) for one in (V4, V6)])
    assert found == [built.gateway_address, built.gateway_address_ipv6]
    none = LineConfig(id="four", isp="x", interface="four")
    assert network.office.inside(lambda: gateway.of_family(none, V6)) is None


def test_a_family_that_a_line_gets_later_is_measured_without_a_restart(
    network: OfficeNetwork,
) -> None:
    """IPv6 comes while the daemon's latency runs on, as after a router was exchanged."""
    line, built = LineConfig(id="dual", isp="x", interface="dual"), network.line("dual")
    request = line_request(line, SERVERS, **TABLES)
    address = f"{built.source_address_ipv6}/64 dev dual"

    def measured() -> list[tuple[str | None, Family | None]]:
        network.office.ip(f"addr del {address}", ipv6=True)
        found: list[tuple[str | None, Family | None]] = []
        for raw in latency_probe.measure(request):
            found.append((raw.target, raw.family))
            if len(found) == 1:
                network.office.ip(f"addr add {address} nodad", *routes, ipv6=True)
            if raw.family is V6 and raw.outcome is Outcome.OK:
                return found
            assert len(found) < 1000, "IPv6 was never measured"
        return found

    via, table = built.gateway_address_ipv6, built.number
    routes = [
        f"route replace default via {via} dev dual metric {table}",
        f"route replace default via {via} dev dual table {table}",
    ]
    found = network.office.inside(measured)
    assert found[0][1] is V4
    assert found[-1][1] is V6


def examined(network: OfficeNetwork, name: str) -> dict[str, tuple[CheckStatus, str, str]]:
    """What `doctor` sees of each family: status and both languages."""
    config = office_config(LineConfig(id=name, isp="x", interface=name), SERVERS, **TABLES)
    found = network.office.inside(lambda: list(family_checks.families(config)))
    return {one.part.en.split()[-1]: (one.verdict, one.seen.vi, one.seen.en) for one in found}


def test_the_doctor_says_of_each_family_whether_it_works(network: OfficeNetwork) -> None:
    built = network.line("dual")
    address, six = built.source_address_ipv6, "has the IPv6 address"
    good, watch, bad = CheckStatus.GOOD, CheckStatus.WATCH, CheckStatus.BAD
    seen = examined(network, "dual")
    assert seen["IPv4"] == (
        good,
        f"{built.source_address} dùng được, 2 đích trả lời",
        f"{built.source_address} works, 2 targets answer",
    )
    assert (seen["IPv6"][0], seen["IPv6"][2]) == (good, f"{address} works, 2 targets answer")
    assert examined(network, "four")["IPv6"] == (good, "không có IPv6", "has no IPv6")
    with cut(network, "dual", Stack.IPV6):
        assert examined(network, "dual")["IPv6"] == (
            watch,
            f"có địa chỉ IPv6 {address} nhưng không đích nào trả lời (bộ định tuyến có trả lời)",
            f"{six} {address} and nothing answers (the router does)",
        )
    with cut(network, "six", Stack.IPV6):
        seen = examined(network, "six")
        assert (seen["IPv4"][0], seen["IPv6"][0]) == (bad, bad), "nothing works"


def test_the_doctor_knows_an_ipv6_that_reaches_no_internet(network: OfficeNetwork) -> None:
    built = network.line("dual")
    real = f"{built.source_address_ipv6}/64 dev dual"
    via, table = built.gateway_address_ipv6, built.number
    network.office.ip(f"addr del {real}", "addr add fd12::7/64 dev dual nodad", ipv6=True)
    try:
        assert examined(network, "dual")["IPv6"] == (
            CheckStatus.WATCH,
            "chỉ có địa chỉ nội bộ (ULA) fd12::7, không ra được Internet",
            "has only the unique local address fd12::7, which reaches no Internet",
        )
        assert examined(network, "dual")["IPv4"][0] is CheckStatus.GOOD
    finally:
        network.office.ip(
            "addr del fd12::7/64 dev dual",
            f"addr add {real} nodad",
            f"route replace default via {via} dev dual metric {table}",
            f"route replace default via {via} dev dual table {table}",
            ipv6=True,
        )
