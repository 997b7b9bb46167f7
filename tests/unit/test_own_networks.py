"""What is beyond the office: by address, by the line's interface, and by Ansible's copy of it."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.config import LineConfig
from probe.measure import line_networks
from probe.measure.own_networks import OwnNetworks, is_beyond, within

LAN = OwnNetworks(networks=("192.168.1.10/24", "fe80::10/64"), router="192.168.1.1")
DUAL = OwnNetworks(networks=("192.168.1.10/24", "2001:db8:1::10/64", "fd12::10/64", "fe80::10/64"))
PUBLIC = OwnNetworks(networks=("203.0.113.10/29",), router="203.0.113.9")
CARRIER = OwnNetworks(networks=("100.64.7.2/10",), router="100.64.0.1")
SILENT = OwnNetworks(networks=("fe80::10/64",))
SET = OwnNetworks(networks=("10.1.1.10/24",), router="10.1.1.1", configured=("10.1.0.0/16",))
TRIAL = OwnNetworks(networks=("127.0.0.1/8",), loopback=True)


@pytest.mark.parametrize(
    ("own", "address", "beyond"),
    [
        (LAN, "8.8.8.8", True),
        (LAN, "192.168.1.1", False),
        (LAN, "192.168.1.53", False),
        (LAN, "192.168.9.1", False),
        (LAN, "10.20.30.40", False),
        (LAN, "172.31.0.1", False),
        (LAN, "172.32.0.1", True),
        # The ISP's own network behind its address translation.
        (LAN, "100.64.0.1", True),
        (LAN, "::ffff:192.168.1.53", False),
        (LAN, "::ffff:8.8.8.8", True),
        (LAN, "127.0.0.53", False),
        (LAN, "169.254.1.1", False),
        (LAN, "224.0.0.251", False),
        (LAN, "0.0.0.0", False),
        # A line without IPv6 knows no unique local address as another's.
        (LAN, "2001:4860:4860::8888", True),
        (LAN, "fd12::1", False),
        (LAN, "fe80::1%eth0", False),
        (LAN, "intranet", False),
        (LAN, "", False),
        (LAN, None, False),
        (DUAL, "2001:db8:1::53", False),
        (DUAL, "2001:db8:2::53", True),
        (DUAL, "fd99::1", False),
        # A line that has a public address itself: what is private there is behind its ISP.
        (PUBLIC, "203.0.113.9", False),
        (PUBLIC, "203.0.113.12", False),
        (PUBLIC, "203.0.113.80", True),
        (PUBLIC, "10.1.1.1", True),
        (CARRIER, "100.100.0.1", False),
        (CARRIER, "10.1.1.1", True),
        # Its router is away, and with it every address that it gave.
        (SILENT, "192.168.1.53", False),
        (SILENT, "100.64.0.1", False),
        (SILENT, "8.8.8.8", True),
        # The office's networks by a setting: a wide-area network of private addresses.
        (SET, "10.1.2.3", False),
        (SET, "10.1.1.1", False),
        (SET, "10.2.0.1", True),
        (TRIAL, "127.0.0.2", True),
    ],
)
def test_what_is_beyond_the_office(own: OwnNetworks, address: str | None, beyond: bool) -> None:
    assert is_beyond(address, own) is beyond


def test_hosts_of_the_office_are_named_and_names_are_not() -> None:
    assert within(["8.8.8.8", "10.0.0.5", "intranet", "192.168.1.1"], LAN) == [
        "10.0.0.5",
        "192.168.1.1",
    ]


def test_a_line_s_networks_are_those_of_its_interface() -> None:
    own = line_networks.of_line(
        LineConfig(
            id="a", isp="x", interface="lo", gateway="192.0.2.1", office_networks=["10.0.0.0/8"]
        )
    )
    assert "127.0.0.1/8" in own.networks
    assert (own.router, own.loopback) == ("192.0.2.1", True)
    assert own.configured == ("10.0.0.0/8",)
    absent = line_networks.of_line(LineConfig(id="a", isp="x", interface="none0"))
    assert absent == OwnNetworks()
    assert line_networks.of_line(LineConfig(id="a", isp="x", source_address="127.0.0.9")).loopback


def _of_office() -> Any:
    path = Path(__file__).parents[2] / "ansible/filter_plugins/tramdo.py"
    spec = importlib.util.spec_from_file_location("tramdo_filters", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module._is_of_office


OF_OFFICE = _of_office()
ADDRESSES = st.one_of(
    st.ip_addresses(v=4, network="10.0.0.0/14"),
    st.ip_addresses(v=4, network="192.168.0.0/21"),
    st.ip_addresses(v=4, network="100.64.0.0/10"),
    st.ip_addresses(v=6, network="fd00::/32"),
    st.ip_addresses(),
).map(str)
LINES = st.one_of(
    st.just({}),
    st.sampled_from(
        [
            {"address": "192.168.1.10/24", "gateway": "192.168.1.1"},
            {"address": "10.0.1.10/24", "gateway": "10.0.1.1", "office_networks": ["10.0.0.0/16"]},
            {"address": "100.64.7.2/10", "gateway": "100.64.0.1"},
            {"address": "203.0.113.10/29"},
            {"address_ipv6": "2001:db8::10/64", "gateway_ipv6": "2001:db8::1"},
            {"address": "192.168.1.10/24", "address_ipv6": "fd00:0:1::10/64"},
        ]
    ),
)


@given(ADDRESSES, LINES)
def test_the_preflight_says_the_same_of_what_the_inventory_has(
    address: str, line: dict[str, Any]
) -> None:
    configured = line.get("office_networks")
    own = OwnNetworks(
        networks=tuple(line[key] for key in ("address", "address_ipv6") if key in line),
        router=line.get("gateway") or line.get("gateway_ipv6"),
        configured=None if configured is None else tuple(configured),
    )
    assert OF_OFFICE(address, line) is not is_beyond(address, own)
