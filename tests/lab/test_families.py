"""Which address families a line has, by a kernel's own addresses and routes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial

import pytest

from probe.config import LineConfig
from probe.measure.families import InterfaceAddress, addresses_of, families_of
from tests.lab import namespace
from tests.lab.namespace import PREFIX, Namespace
from wire.record import Family

V4, V6 = Family.IPV4, Family.IPV6
LINE = LineConfig(id="vnpt", isp="VNPT", interface="line")
ADDRESS_V4, ROUTE_V4 = "addr add 198.51.100.7/24 dev line", "route add default via 198.51.100.1"
ADDRESS_V6 = "addr add 2001:db8:7::7/64 dev line nodad"
ROUTE_V6 = "route add default via fe80::1 dev line"


@pytest.fixture
def office() -> Iterator[Namespace]:
    """A namespace with a line that is up and has no address, and another one that has both."""
    if (why := namespace.why_not()) is not None:
        pytest.skip(why)
    made = Namespace(f"{PREFIX}-families-{os.getpid()}")
    made.create()
    try:
        made.sysctl({f"ipv6/conf/{name}/disable_ipv6": "0" for name in ("all", "default")})
        made.sysctl({"ipv6/conf/default/dad_transmits": "0"})
        for name, peer in (("line", "line-peer"), ("other", "other-peer")):
            made.ip(f"link add {name} type veth peer name {peer}", f"link set {peer} up")
            made.ip(f"link set {name} up")
        made.ip(
            "addr add 203.0.113.7/24 dev other",
            "route add default via 203.0.113.1 metric 50",
            "addr add 2001:db8:9::7/64 dev other nodad",
            "route add default via fe80::9 dev other metric 50",
        )
        yield made
    finally:
        made.delete()


def families(office: Namespace, line: LineConfig = LINE) -> tuple[Family, ...]:
    return office.inside(partial(families_of, line))


CASES: dict[str, tuple[list[str], tuple[Family, ...]]] = {
    "nothing": ([], ()),
    "IPv4 alone": ([ADDRESS_V4, ROUTE_V4], (V4,)),
    "IPv6 alone": ([ADDRESS_V6, ROUTE_V6], (V6,)),
    "both": ([ADDRESS_V4, ROUTE_V4, ADDRESS_V6, ROUTE_V6], (V4, V6)),
    "addresses without a route": ([ADDRESS_V4, ADDRESS_V6], ()),
    "routes in tables of its own": (
        [ADDRESS_V4, f"{ROUTE_V4} table 1001", ADDRESS_V6, f"{ROUTE_V6} table 1001"],
        (V4, V6),
    ),
    "a unique local address": (["addr add fd00:7::7/64 dev line nodad", ROUTE_V6], ()),
    "a link-local IPv4 address": (
        ["addr add 169.254.7.7/16 dev line", "route add default dev line"],
        (),
    ),
    "a deprecated address": ([f"{ADDRESS_V6} preferred_lft 0", ROUTE_V6], ()),
    "a deprecated and a new one": (
        [f"{ADDRESS_V6} preferred_lft 0", "addr add 2001:db8:8::7/64 dev line nodad", ROUTE_V6],
        (V6,),
    ),
    "an unreachable default route": (
        [ADDRESS_V6, "route add unreachable ::/0 metric 4000"],
        (),
    ),
    "a route by both interfaces": (
        [
            ADDRESS_V4,
            "route add default nexthop via 203.0.113.1 dev other nexthop via 198.51.100.1 dev line",
        ],
        (V4,),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_line_has_the_families_that_reach_the_internet_by_it(
    office: Namespace, case: str
) -> None:
    commands, expected = CASES[case]
    office.ip(*commands)
    assert families(office) == expected


def test_a_tentative_address_is_none_yet(office: Namespace) -> None:
    # So many solicitations that duplicate address detection does not end within the test.
    office.sysctl({"ipv6/conf/line/dad_transmits": "1000"})
    office.ip(ADDRESS_V6.removesuffix(" nodad"), ROUTE_V6)
    assert families(office) == ()
    found = office.inside(partial(addresses_of, "line", V6))
    assert InterfaceAddress("2001:db8:7::7", usable=False) in found


def test_a_new_prefix_after_a_reconnect_is_followed(office: Namespace) -> None:
    office.ip(ADDRESS_V6, ROUTE_V6)
    assert families(office) == (V6,)
    office.ip("addr del 2001:db8:7::7/64 dev line")
    assert families(office) == ()
    office.ip("addr add 2001:db8:8::7/64 dev line nodad")
    assert families(office) == (V6,)


def test_what_is_configured_counts_whatever_the_kernel_has(office: Namespace) -> None:
    bound = LineConfig(id="vnpt", isp="VNPT", source_address="2001:db8::1")
    assert families(office, bound) == (V6,)
    given = LineConfig(id="vnpt", isp="VNPT", interface="line", families=[V6, V4])
    assert families(office, given) == (V4, V6)
    unplugged = LineConfig(id="vnpt", isp="VNPT", interface="none")
    assert families(office, unplugged) == ()
