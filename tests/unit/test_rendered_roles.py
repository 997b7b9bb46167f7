"""What roles write, rendered by Ansible itself: lines, their names, the clock, commands."""

from __future__ import annotations

import configparser
import fnmatch
import os
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.template import Templar, trust_as_template

from server import lease_cli
from tests import rendered_roles
from tests.rendered_roles import BASE, loader, rendered

ROOT = Path(__file__).parents[2]
FIXED = {
    "id": "vnpt", "interface": "eth0", "address": "192.168.1.10/24", "gateway": "192.168.1.1",
}  # fmt: skip
BY_DHCP = {"id": "viettel", "interface": "eth1"}


def template(name: str, line: dict[str, Any]) -> list[str]:
    return rendered_roles.template(name, line=line).splitlines()


def tasks(name: str) -> list[dict[str, Any]]:
    read: list[dict[str, Any]] = yaml.safe_load((BASE / name).read_text(encoding="utf-8"))
    return read


@pytest.mark.parametrize(
    ("nameservers", "asked"),
    [({}, ["192.168.1.1"]), ({"nameservers": ["8.8.8.8", "1.1.1.1"]}, ["8.8.8.8", "1.1.1.1"])],
)
def test_a_line_of_a_fixed_address_has_nameservers(
    nameservers: dict[str, list[str]], asked: list[str]
) -> None:
    connection = configparser.ConfigParser()
    connection.read_string("\n".join(template("line.nmconnection.j2", FIXED | nameservers)))
    assert dict(connection["ipv4"])["dns"] == "".join(f"{one};" for one in asked)
    network = template("line.network.j2", FIXED | nameservers)
    section = network[network.index("[Network]") + 1 : network.index("[Route]")]
    assert [line[4:] for line in section if line.startswith("DNS=")] == asked


IPV6 = {"address_ipv6": "2001:db8:2:1::2/64", "gateway_ipv6": "2001:db8:2:1::1"}


@pytest.mark.parametrize(
    ("more", "method", "rules"),
    [({}, "auto", 2), (IPV6, "manual", 3)],
)
def test_networkmanager_keeps_a_line_s_ipv6_in_its_own_table(
    more: dict[str, str], method: str, rules: int
) -> None:
    """What systemd-networkd makes of its settings is tried in tests/lab/test_line_settings.py."""
    connection = configparser.ConfigParser()
    connection.read_string("\n".join(template("line.nmconnection.j2", BY_DHCP | more)))
    its = dict(connection["ipv6"])
    assert (its["method"], its["route-table"], its["ip6-privacy"]) == (method, "101", "0")
    assert its["routing-rule1"] == "priority 1001 from ::/0 oif eth1 table 101"
    assert its["routing-rule2"] == "priority 40001 from ::/0 table 101"
    assert len([name for name in its if name.startswith("routing-rule")]) == rules
    if more:
        assert its["address1"] == "2001:db8:2:1::2/64,2001:db8:2:1::1"
        assert its["routing-rule3"] == "priority 1001 from 2001:db8:2:1::2 table 101"


def test_a_line_by_dhcp_takes_those_of_its_router() -> None:
    for name in ("line.nmconnection.j2", "line.network.j2"):
        assert not [line for line in template(name, BY_DHCP) if line.lower().startswith("dns")]


@pytest.mark.skipif(shutil.which("nmcli") is None, reason="NetworkManager is not installed")
@pytest.mark.parametrize("line", [FIXED, BY_DHCP])
def test_networkmanager_reads_every_rule_of_a_line(line: dict[str, Any]) -> None:
    """By nmcli itself, offline: it passes over a rule that it cannot read."""
    text = "\n".join(template("line.nmconnection.j2", line))
    read = subprocess.run(
        ["nmcli", "--offline", "connection", "modify", "connection.autoconnect", "yes"],
        input=f"{text}\n", capture_output=True, text=True, check=True, timeout=60,
    ).stdout  # fmt: skip
    written, back = configparser.ConfigParser(), configparser.ConfigParser()
    written.read_string(text)
    back.read_string(read)
    for family in ("ipv4", "ipv6"):
        rules = [
            sorted(rule for key, rule in one[family].items() if key.startswith("routing-rule"))
            for one in (written, back)
        ]
        assert len(rules[0]) == len(rules[1]) > 0
    own = [rule for rule in back["ipv4"].values() if "suppress_prefixlength 0" in rule]
    assert [rule.split()[:2] for rule in own] == [["priority", "901"]]


def test_a_line_that_cannot_come_up_stops_neither_the_others_nor_the_play(tmp_path: Path) -> None:
    (handler,) = [
        one
        for one in tasks("handlers/main.yml")
        if "nmcli" in str(one.get("ansible.builtin.shell"))
    ]
    script = rendered(handler["ansible.builtin.shell"], base_lines=[FIXED, BY_DHCP])
    calls = tmp_path / "calls"
    for up_code in (0, 4):
        # As nmcli without a carrier: 4, the activation failed.
        (tmp_path / "nmcli").write_text(
            f'#!/bin/sh\necho "$@" >>{calls}\ncase "$*" in *" up "*) exit {up_code} ;; esac\n'
        )
        (tmp_path / "nmcli").chmod(0o755)
        calls.write_text("")
        done = subprocess.run(
            ["/bin/sh", "-c", script], env=os.environ | {"PATH": f"{tmp_path}:/usr/bin:/bin"},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert calls.read_text().splitlines() == [
            "connection reload",
            "--wait 30 connection up tramdo-vnpt",
            "--wait 30 connection up tramdo-viettel",
        ]
        told = ["vnpt: not up now", "viettel: not up now"] if up_code else []
        assert done.stdout.splitlines() == told
    # Without NetworkManager nothing of it works, and that is told.
    (tmp_path / "nmcli").write_text("#!/bin/sh\nexit 8\n")
    path = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    assert subprocess.run(["/bin/sh", "-c", script], env=path, check=False).returncode == 8


def test_our_networks_come_before_netplan_s_and_those_of_earlier_names_go() -> None:
    """systemd.network(5): of all folders' files, in the order of their names, the first fits."""
    write, find, remove = tasks("tasks/networkd.yml")[:3]
    ours = Path(rendered(write["ansible.builtin.template"]["dest"], line=FIXED))
    names = ["10-netplan-eth0.network", "10-cloud-init-eth0.network", ours.name]
    assert min(names) == ours.name
    there = [
        ours.parent / name for name in (*names, "10-tramdo-vnpt.network", "05-tramdo-old.network")
    ]
    patterns = find["ansible.builtin.find"]["patterns"]
    files = [
        {"path": str(path)} for path in there
        if any(fnmatch.fnmatch(path.name, pattern) for pattern in patterns)
    ]  # fmt: skip
    gone = Templar(
        loader(),
        variables={
            "base_lines": [FIXED], "base_networks": {"files": files},
            "base_wanted_networks": trust_as_template(remove["vars"]["base_wanted_networks"]),
        },
    ).template(trust_as_template(remove["loop"]))  # fmt: skip
    assert sorted(Path(one).name for one in gone) == [
        "05-tramdo-old.network", "10-tramdo-vnpt.network",
    ]  # fmt: skip


def test_no_start_waits_for_ever_for_the_clock() -> None:
    (task,) = [one for one in tasks("tasks/system.yml") if "loop_control" in one]
    (one,) = [it for it in task["loop"] if it["source"] == "time-wait.conf.j2"]
    assert one["folder"] == "system/systemd-time-wait-sync.service.d"
    settings = configparser.ConfigParser()
    settings.read_string((BASE / "templates" / one["source"]).read_text(encoding="utf-8"))
    assert settings["Service"]["TimeoutStartSec"] == "90s"
    # The folders are made in the same order: in check mode each looks at its own.
    (made,) = [it for it in tasks("tasks/system.yml") if it.get("register") == "base_folders"]
    assert [f"/etc/systemd/{it['folder']}" for it in task["loop"]] == made["loop"]


@pytest.mark.parametrize(
    ("kind", "groups", "own"),
    [
        ("probe", ["probes"], {"tramdo-probe"}),
        # A box that sets itself up is in no group.
        ("probe", ["ungrouped"], {"tramdo-probe"}),
        ("centre", ["collectors"], {"tramdo-collector"}),
        ("centre", ["collectors", "probes"], {"tramdo-collector", "tramdo-probe"}),
    ],
)
def test_programs_that_people_type_are_linked_where_they_look(
    kind: str, groups: list[str], own: set[str]
) -> None:
    software = ROOT / "ansible/roles/software"
    known = yaml.safe_load((software / "vars/main.yml").read_text(encoding="utf-8"))
    (task,) = yaml.safe_load((software / "tasks/commands.yml").read_text(encoding="utf-8"))
    variables = {"software_set": kind, "group_names": groups}
    words = known["software_commands"]
    linked = Templar(loader(), variables=variables).template(trust_as_template(words))
    assert set(linked) == own | {"tramdo-authority", "tramdo-fleet"}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert set(linked) <= set(project["project"]["scripts"])
    file = task["ansible.builtin.file"]
    assert file["dest"] == "/usr/local/bin/{{ item }}"
    # By the link that a new release moves, whatever came with it.
    assert file["src"] == "{{ software_root }}/venv/bin/{{ item }}"
    for role in ("software", "fleet"):
        tasks_of = (ROOT / "ansible/roles" / role / "tasks/main.yml").read_text(encoding="utf-8")
        assert "Let our programs be found by their names" in tasks_of


def test_the_lease_service_grants_what_the_server_runs() -> None:
    role = ROOT / "ansible/roles/measurement_server"
    text = (role / "templates/lease.conf.j2").read_text(encoding="utf-8")
    variables = yaml.safe_load((role / "defaults/main.yml").read_text(encoding="utf-8"))
    variables |= {
        "measurement_server_iperf3_ports": [5201, 5202],
        "measurement_server_serves_http": True,
        "measurement_server_http_trusted_proxies": ["192.0.2.7"],
    }
    (command,) = (line for line in rendered(text, **variables).splitlines() if " --" in line)
    options = lease_cli._parser().parse_args(command.split()[1:])
    assert options.iperf3_port == [5201, 5202]
    assert options.http_test_port == variables["measurement_server_http_port"]
    assert (options.port, options.http_port) == (lease_cli.PORT, lease_cli.HTTP_PORT)
    assert options.capacity_bps == lease_cli._DEFAULTS.capacity_bps
    assert options.proxy == ["192.0.2.7"]


@pytest.mark.parametrize(
    ("broker", "watched"),
    [
        ({"host": "mqtt.example.vn"}, ["mqtt.example.vn:8884"]),
        (
            {"addresses": ["a.vn", "b.vn:8885", "[2001:db8::1]:8883", "203.0.113.1"], "port": 8883},
            ["a.vn:8883", "b.vn:8885", "203.0.113.1:8883"],
        ),
        ({"host": "mqtt.example.vn", "tls": False}, []),
    ],
)
def test_the_centre_watches_the_certificates_of_its_brokers(
    broker: dict[str, Any], watched: list[str]
) -> None:
    path = ROOT / "ansible/roles/collector/vars/main.yml"
    known = yaml.safe_load(path.read_text(encoding="utf-8"))["collector_watched_servers"]
    variables = {"collector_broker": broker, "groups": {}, "hostvars": {}}
    found = Templar(loader(), variables=variables).template(trust_as_template(known))
    assert found == watched
