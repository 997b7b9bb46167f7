"""The addresses of a cluster: how they are written, in which order a client tries them."""

from __future__ import annotations

import itertools
from collections import Counter

import msgspec
import pytest

from runtime.broker import BrokerConfig, Endpoint
from runtime.connection_failure import ConnectionFailure, FailureCause
from runtime.settings import SettingsError, parse

NODES = ["a.example.vn", "b.example.vn:8884", "[2001:db8::1]:8885", "[2001:db8::2]", "192.0.2.1"]


def broker(text: str) -> BrokerConfig:
    return parse(text.encode(), BrokerConfig, "b")


def test_each_address_has_a_port_of_its_own_or_the_common_one() -> None:
    listed = ", ".join(f'"{node}"' for node in NODES)
    assert broker(f"port = 1884\naddresses = [{listed}]").endpoints() == [
        Endpoint("a.example.vn", 1884),
        Endpoint("b.example.vn", 8884),
        Endpoint("2001:db8::1", 8885),
        Endpoint("2001:db8::2", 1884),
        Endpoint("192.0.2.1", 1884),
    ]


@pytest.mark.parametrize("host", ["broker.example.vn", "2001:db8::1", "203.0.113.10"])
def test_one_host_is_as_before(host: str) -> None:
    config = BrokerConfig(host=host)
    assert config.endpoints() == config.endpoints_of("x") == [Endpoint(host, 8883)]
    assert list(config.each()) == [config]


def test_each_node_alone_keeps_every_other_setting() -> None:
    config = BrokerConfig(addresses=NODES, ca_file="/ca.pem", keepalive_s=7)
    for node, endpoint in zip(config.each(), config.endpoints(), strict=True):
        assert node == BrokerConfig(
            host=endpoint.host, port=endpoint.port, ca_file="/ca.pem", keepalive_s=7
        )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("port = 1", "b: needs `host`, or `addresses` where there are several"),
        ('host = "a"\naddresses = ["b"]', "b: `host` and `addresses` exclude each other: put "),
        ("addresses = []", "b: addresses: expected `array` of length >= 1"),
        ('addresses = ["a:0"]', "b: a:0 has no valid port"),
        ('addresses = ["a:65536"]', "b: a:65536 has no valid port"),
        ('addresses = ["a", "a:8883"]', "b: one of `addresses` is there twice"),
        ('addresses = ["[:::1]"]', "b: :::1 is no IPv6 address"),
        # Whether the last part is a port cannot be known.
        ('addresses = ["2001:db8::1:8883"]', "b: addresses: expected a host, with its port"),
        ('addresses = ["mqtt://a"]', "b: addresses: expected a host, with its port"),
    ],
)
def test_each_mistake_has_its_sentence(text: str, problem: str) -> None:
    with pytest.raises(SettingsError) as caught:
        broker(text)
    assert str(caught.value).startswith(problem)


def test_a_probes_order_is_the_same_however_the_list_is_written() -> None:
    orders = {
        tuple(BrokerConfig(addresses=list(nodes)).endpoints_of("phu-thong-01"))
        for nodes in itertools.permutations(NODES[:4])
    }
    assert len(orders) == 1


def test_a_fleet_spreads_evenly_and_so_do_the_probes_of_a_node_that_is_gone() -> None:
    config = BrokerConfig(addresses=NODES[:3])
    orders = [config.endpoints_of(f"xa-{number:05d}") for number in range(9_000)]
    first = Counter(order[0] for order in orders)
    assert all(abs(count - 3_000) < 200 for count in first.values()), first
    both = Counter(tuple(order[:2]) for order in orders)
    assert len(both) == 6
    assert all(abs(count - 1_500) < 200 for count in both.values()), both


def test_a_new_node_takes_its_share_and_moves_nobody_else() -> None:
    three, four = BrokerConfig(addresses=NODES[:3]), BrokerConfig(addresses=NODES[:4])
    new = four.endpoints()[3]
    moved = 0
    for number in range(4_000):
        before, after = (one.endpoints_of(f"xa-{number}")[0] for one in (three, four))
        assert after in (before, new)
        moved += after == new
    assert abs(moved - 1_000) < 150


def test_a_failure_says_at_which_address() -> None:
    failure = ConnectionFailure(FailureCause.REFUSED, "nobody")
    there = msgspec.structs.replace(failure, address="[2001:db8::1]:8883")
    assert str(there) == f"[2001:db8::1]:8883: {failure}"
    assert there.report().vi == f"[2001:db8::1]:8883: {failure.report().vi}"
