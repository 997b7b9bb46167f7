"""What each box is told of itself, and of no other."""

from __future__ import annotations

import json

import pytest

from deploy.fleet.inventory import variables_of

VARIABLES = {
    "probe_name": "{{ inventory_hostname }}",
    "probe_lines": [{"id": "vnpt", "interface": "eth0"}],
    "base_watchdog_s": 15,
    "ansible_password": "x",
    "collector_password": "{{ lookup('password') }}",
}


def listing(**hostvars: object) -> bytes:
    return json.dumps(
        {
            "_meta": {"hostvars": hostvars},
            "all": {"children": ["ungrouped", "probes", "brokers"]},
            "probes": {"children": ["bach_thong"], "hosts": ["a-01"]},
            "bach_thong": {"hosts": ["b-01"]},
            "brokers": {"hosts": ["broker"]},
        }
    ).encode()


def test_each_box_of_the_group_and_of_those_below_has_its_own() -> None:
    found = variables_of(listing(**{"a-01": VARIABLES}), "probes")
    assert {name: json.loads(content) for name, content in found.items()} == {
        "a-01": {
            "probe_name": "a-01", "base_watchdog_s": 15,
            "probe_lines": [{"id": "vnpt", "interface": "eth0"}],
        },
        "b-01": {"probe_name": "b-01"},
    }  # fmt: skip


def test_the_same_inventory_gives_the_same_bytes() -> None:
    one = variables_of(listing(**{"a-01": {"base_zram": True, "probe_tenant": "vn"}}), "probes")
    other = variables_of(listing(**{"a-01": {"probe_tenant": "vn", "base_zram": True}}), "probes")
    assert one == other


def test_a_group_that_is_not_there_has_nobody() -> None:
    assert variables_of(listing(), "servers") == {}


def test_what_is_no_listing_is_said_to_be_none() -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        variables_of(b"ERROR! no inventory", "probes")
