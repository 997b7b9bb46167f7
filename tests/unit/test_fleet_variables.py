"""What a box takes from its centre: names of a closed list, forms, and no template."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from deploy.fleet import variables
from deploy.fleet.variables import VariablesError

PROBE = "phu-thong-01"
TEMPLATE = "Trụ sở {{ 1 + 1 }}"
SOUND: dict[str, Any] = {
    "probe_name": PROBE,
    "probe_tenant": "bach-thong",
    "probe_site": {"commune_code": "01969", "office": TEMPLATE},
    "probe_lines": [
        {"id": "vnpt", "isp": "VNPT", "interface": "eth0", "address": "192.168.1.10/24",
         "gateway": "192.168.1.1", "plan_download_bps": "300e+6", "plan_upload_bps": 3e8},
    ],
    "probe_settings": {"latency": {"icmp_targets": ["8.8.8.8"], "window_s": 5.0}},
    "probe_unit": {"MemoryMax": "256M", "TasksMax": 128},
    "base_open_ports": [{"port": "22", "from": ["10.77.0.0/24"]}],
    "tunnel_until": "2026-11-25T18:00+07:00",
}  # fmt: skip


def encoded(**changed: object) -> bytes:
    return json.dumps(SOUND | changed).encode()


def test_sound_variables_pass_unchanged() -> None:
    assert variables.decode(encoded(), PROBE) == SOUND


class _Loader(yaml.SafeLoader):
    """As Ansible reads it: the tag is known, and the text is kept with it."""


_Loader.add_constructor("!unsafe", lambda _, node: ("unsafe", node.value))


def test_every_string_is_tagged_and_comes_back_as_that_text() -> None:
    odd = {
        "probe_name": PROBE,
        "probe_settings": {"a": ['"\\ 😀 \\n', "no", {"b": True}], "c": None},
    }
    found = yaml.load(variables.to_ansible(odd), _Loader)
    assert found == {
        "probe_name": ("unsafe", PROBE),
        "probe_settings": {
            "a": [("unsafe", '"\\ 😀 \\n'), ("unsafe", "no"), {"b": True}], "c": None,
        },
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"ansible_python_interpreter": "x"}, "unknown field `ansible_python_interpreter`"),
        ({"probe_sources": "/tmp"}, "unknown field `probe_sources`"),
        ({"software_sources": "/tmp"}, "unknown field"),
        ({"probe_name": "another-01"}, "probe_name is another-01"),
        ({"probe_lines": [{"id": "{{ 1 }}", "interface": "eth0"}]}, "probe_lines"),
        ({"probe_lines": [{"id": "vnpt", "interface": "eth0) x"}]}, "interface"),
        ({"probe_lines": [{"id": "vnpt", "interface": "eth0", "address": "{{ 1 }}"}]}, "address"),
        ({"probe_lines": [{"id": "vnpt", "interface": "eth0", "isp": "a\nb"}]}, "isp"),
        ({"probe_unit": {"ExecStartPre": "x"}}, "probe_unit"),
        ({"probe_unit": {"MemoryMax": "1\nUser=root"}}, "probe_unit"),
        ({"base_timezone": "../../x"}, "base_timezone"),
        ({"base_firewall": "{{ 1 }}"}, "base_firewall"),
        ({"base_ssh_from": ["10.0.0.0/8 accept"]}, "base_ssh_from"),
        ({"base_open_ports": [{"port": "22 accept"}]}, "base_open_ports"),
        ({"tunnel_host_key": "ssh-ed25519 AAAA\nx"}, "tunnel_host_key"),
        ({"tunnel_until": "{{ 1 }}"}, "tunnel_until"),
        ({"probe_settings": {"a": {"b": "c\nd"}}}, "probe_settings.a.b has a control"),
        ({"probe_settings": {"a b": 1}}, "a key that is no name"),
        ({"probe_settings": {"a": "x" * 501}}, "500"),
    ],
)  # fmt: skip
def test_what_is_not_of_the_list_or_not_of_its_form_is_refused(
    changed: dict[str, Any], reason: str
) -> None:
    with pytest.raises(VariablesError, match=r"(?i)" + reason.replace("(", r"\(")):
        variables.decode(encoded(**changed), PROBE)


def test_a_tree_without_end_is_refused() -> None:
    deep: object = 1
    for _ in range(30):
        deep = {"a": deep}
    with pytest.raises(VariablesError, match="too deep"):
        variables.decode(encoded(probe_settings=deep), PROBE)


@pytest.mark.parametrize("content", [b"- hosts: all\n", b"[]", b"", b'{"probe_name": 1}'])
def test_what_is_no_object_is_refused(content: bytes) -> None:
    with pytest.raises(VariablesError):
        variables.decode(content, PROBE)


def test_the_centre_writes_out_no_template_and_leaves_out_what_is_the_technician_s() -> None:
    sound = SOUND | {"probe_site": {"commune_code": "01969", "office": "Trụ sở"}}
    own = variables.for_box(sound | {"probe_doctor": "fail", "ansible_user": "x"}, PROBE)
    assert own == sound
    with pytest.raises(VariablesError, match=f"probe_site.office of {PROBE} is a template"):
        variables.for_box(SOUND, PROBE)
    with pytest.raises(VariablesError, match="unknown field `probe_misspelt`"):
        variables.for_box(sound | {"probe_misspelt": 1}, PROBE)
