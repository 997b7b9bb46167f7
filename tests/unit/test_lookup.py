"""A host's addresses: which are known at once, and which are tried."""

from __future__ import annotations

import threading

import pytest

from probe.measure.failure import Failure
from probe.measure.lookup import Address, Lookup, resolved, to_try
from wire.record import Family, Reason


@pytest.mark.parametrize("family", [None, *Family])
@pytest.mark.parametrize("host", ["203.0.113.1", "2001:db8::1"])
def test_an_address_is_known_at_once_unless_another_family_is_wanted(
    host: str, family: Family | None
) -> None:
    lookup = Lookup(host, 5201, None, family)
    if family in (None, Family.of(host)):
        assert lookup.addresses == (Address(host, 5201),)
        return
    failure = resolved(lookup, threading.Event(), 60)
    assert isinstance(failure, Failure)
    assert failure.reason is Reason.NAME_RESOLUTION
    assert ("IPv6" if family is Family.IPV6 else "IPv4") in failure.sentence


def test_the_source_address_decides_the_family() -> None:
    assert Lookup("2001:db8::1", 0, "192.0.2.1", Family.IPV6).address is None
    assert Lookup("2001:db8::1", 0, "2001:db8::2", None).address == Address("2001:db8::1", 0)


def test_a_few_addresses_of_each_family_are_tried_in_the_system_s_order() -> None:
    hosts = ["2001:db8::3", "2001:db8::1", "2001:db8::2", "203.0.113.2", "203.0.113.1"]
    tried = to_try([Address(host, 80) for host in hosts])
    assert [one.ip for one in tried] == ["2001:db8::3", "2001:db8::1", "203.0.113.2", "203.0.113.1"]
    assert to_try([]) == []


def test_a_link_local_address_keeps_its_zone() -> None:
    assert Address("fe80::1", 80, 3).text == "fe80::1%3"
    assert Address("203.0.113.1", 80).text == "203.0.113.1"
