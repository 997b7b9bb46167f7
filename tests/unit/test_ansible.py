"""The roles as text: defaults and their specification, what the filters make, what is refused."""

from __future__ import annotations

import base64
import csv
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from msgspec import structs

from deploy import wheelhouse
from deploy.broker import __main__ as broker
from deploy.broker.cluster import ClusterSettings
from deploy.broker.configuration import BrokerSettings, users_of
from deploy.database import __main__ as database
from deploy.database.settings import DatabaseSettings
from probe import config, implausible
from probe.availability import minutes
from probe.doctor import check, output
from runtime import communes
from runtime.language import Language, Phrase
from runtime.settings import parse
from wire import http, lease
from wire.record import Family

ROOT = Path(__file__).parents[2]
ANSIBLE = ROOT / "ansible"
ROLES = sorted(path for path in (ANSIBLE / "roles").iterdir() if path.is_dir())
_TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,), "bool": (bool,), "int": (int,), "float": (float, int), "list": (list,),
    "dict": (dict,),
}  # fmt: skip


def _module(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


FILTERS: dict[str, Callable[..., Any]] = (
    _module(ANSIBLE / "filter_plugins/tramdo.py").FilterModule().filters()
)


def _yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}


def _options(role: Path) -> dict[str, dict[str, Any]]:
    spec = _yaml(role / "meta/argument_specs.yml")["argument_specs"]["main"]
    options: dict[str, dict[str, Any]] = spec["options"]
    return options


def _probe_host(**changes: Any) -> dict[str, Any]:
    """An inventory's variables of a probe that are all sound, and these changes to them."""
    return {
        "inventory_hostname": "phu-thong-01",
        "group_names": ["probes"],
        "probe_name": "phu-thong-01",
        "probe_tenant": "bach-thong",
        "probe_site": {"commune_code": "01969", "office": "Trụ sở UBND xã Phủ Thông"},
        "probe_lines": [
            {"id": "vnpt", "isp": "VNPT", "interface": "eth0", "address": "192.168.1.10/24",
             "gateway": "192.168.1.1"},
            {"id": "viettel", "isp": "Viettel", "interface": "eth1"},
        ],
        "probe_servers": [{"name": "hn-1", "host": "203.0.113.10"}],
        "probe_settings": {"latency": {"icmp_targets": ["8.8.8.8", "1.1.1.1"]}},
        "probe_broker": {"host": "broker.example.vn"},
        "base_ssh_from": ["192.0.2.0/24"],
    } | changes  # fmt: skip


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_specification_and_defaults_say_the_same(role: Path) -> None:
    defaults = _yaml(role / "defaults/main.yml") or {}
    options = _options(role)
    stated = {name: its["default"] for name, its in options.items() if "default" in its}
    assert stated == defaults
    for name, its in options.items():
        assert name.startswith(f"{role.name}_")
        assert its.get("required", False) is not ("default" in its), name
        assert its["description"].endswith("."), name
        if "default" in its and "{{" not in str(its["default"]):
            assert isinstance(its["default"], _TYPES[its["type"]]), name


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_only_the_modules_that_come_with_ansible(role: Path) -> None:
    """Collections are on Galaxy, which a technician's laptop may not reach."""
    words = {
        "name", "when", "notify", "vars", "loop", "loop_control", "register", "delegate_to",
        "become", "changed_when", "failed_when", "check_mode", "no_log", "run_once", "block",
        "args", "until", "retries", "delay", "listen", "always", "throttle",
    }  # fmt: skip
    for file in [*role.glob("tasks/*.yml"), *role.glob("handlers/*.yml")]:
        tasks = list(_yaml(file))
        while tasks:
            task = tasks.pop()
            tasks += task.get("block", []) + task.get("always", [])
            for word in set(task) - words:
                assert word.startswith("ansible.builtin."), f"{file}: {word}"


def test_secrets_are_kept_out_of_the_log() -> None:
    """Whatever task touches a password or a private key says `no_log`."""
    secret = re.compile(r"password(s)? *(\}|\||\\n)|broker_secrets|server\.key|\.key\"?$", re.M)
    looked_at = 0
    for file in ANSIBLE.glob("roles/*/tasks/*.yml"):
        tasks = list(_yaml(file))
        while tasks:
            task = tasks.pop()
            tasks += task.get("block", [])
            body = yaml.safe_dump({k: v for k, v in task.items() if k != "block"})
            if "content:" in body or "slurp" in body:
                found = secret.search(body)
                looked_at += found is not None
                assert found is None or task.get("no_log"), f"{file}: {task['name']}"
    assert looked_at >= 3


def test_units_are_installed_as_they_are() -> None:
    """By `copy` from systemd/, never rendered: what varies is in drop-ins."""
    copied = "\n".join(file.read_text() for file in ANSIBLE.glob("roles/*/tasks/*.yml"))
    assert not list(ANSIBLE.glob("roles/*/templates/*.service*"))
    for unit in (
        "tramdo-probe.service", "tramdo-collector.service", "tramdo-fleet-serve.service",
        "tramdo-tunnel.service",
    ):  # fmt: skip
        assert f"systemd/{unit}" in copied
    wanted = _yaml(ANSIBLE / "roles/measurement_server/vars/main.yml")
    for unit in (
        "tramdo-iperf3@.service", "tramdo-reflector.service", "tramdo-http.service",
        "tramdo-lease.service",
    ):  # fmt: skip
        assert unit in wanted["measurement_server_units"]
        assert (ROOT / "systemd" / unit).exists()


def test_every_paper_that_has_a_timer_is_issued_on_time() -> None:
    timers = {unit.stem.removeprefix("tramdo-report-") for unit in
              (ROOT / "systemd").glob("tramdo-report-*.timer")}  # fmt: skip
    known = _yaml(ANSIBLE / "roles/collector/vars/main.yml")["collector_known_papers"]
    assert set(known) == timers
    assert set(_options(ANSIBLE / "roles/collector")["collector_papers"]["choices"]) == timers
    assert _yaml(ANSIBLE / "roles/collector/defaults/main.yml")["collector_papers"] == known


def test_the_http_test_has_the_paths_that_probes_ask_for() -> None:
    known = _yaml(ANSIBLE / "roles/measurement_server/vars/main.yml")
    assert known["measurement_server_http_empty"] == http.EMPTY_PATH
    assert known["measurement_server_http_sink"] == http.SINK_PATH
    assert known["measurement_server_http_address"] == http.ADDRESS_PATH
    assert known["measurement_server_lease_path"] == lease.AUTHORIZE_PATH
    sizes = known["measurement_server_http_random_bytes"]
    assert tuple(sizes) == http.SIZES_BYTES
    assert known["measurement_server_http_random"] + str(sizes[0]) == http.random_path(sizes[0])


def test_toml_of_a_probe_is_read_by_the_probe() -> None:
    host = _probe_host()
    table = {
        "tenant": host["probe_tenant"],
        "probe": host["probe_name"],
        "site": host["probe_site"] | {"group": None},
        "lines": FILTERS["tramdo_lines"](host["probe_lines"]),
        "servers": host["probe_servers"],
        "broker": host["probe_broker"],
        "leds": {"line_pins": [[22, 23], [24, 25]], "active_high": False},
        "plan": {"office_hours": "avoid", "throughput_share": 0.5},
    }
    read = config.parse(FILTERS["to_toml"](table).encode(), "probe.toml")
    assert read.site.office == "Trụ sở UBND xã Phủ Thông"
    assert [(line.interface, line.source_address) for line in read.lines] == [
        ("eth0", None),
        ("eth1", None),
    ]
    assert read.leds.active_high is False
    assert read.plan.throughput_share == 0.5


@pytest.mark.parametrize(
    "text", ['say "no"', "back\\slash", "line\nbreak", "\x7f\x01", "", "Bạch Thông"]
)
def test_every_text_comes_through_toml(text: str) -> None:
    table = {"a b": text, "list": [text, [1, True]], "inner": {"text": text, "rows": [{"x": text}]}}
    assert tomllib.loads(FILTERS["to_toml"](table)) == table


def test_what_toml_has_not_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot be written as TOML"):
        FILTERS["to_toml"]({"x": object()})


def test_passwords_are_hashed_as_mosquitto_does_and_the_same_each_time() -> None:
    made = FILTERS["mosquitto_passwords"]({"reader.vnpt": "một", "collector.1": "một"})
    assert made == FILTERS["mosquitto_passwords"]({"collector.1": "một", "reader.vnpt": "một"})
    assert "một" not in made
    hashes = set()
    for line, user in zip(made.splitlines(), ("collector.1", "reader.vnpt"), strict=True):
        name, _, rest = line.partition(":")
        _, kind, rounds, salt, digest = rest.split("$")
        assert (name, kind) == (user, "7")
        expected = hashlib.pbkdf2_hmac(
            "sha512", "một".encode(), base64.b64decode(salt), int(rounds)
        )
        assert base64.b64decode(digest) == expected
        hashes.add(digest)
    assert len(hashes) == 2


def test_a_sound_inventory_is_let_through() -> None:
    assert FILTERS["tramdo_preflight"](_probe_host()) == []


def test_hosts_beyond_the_gateway_are_as_many_as_a_minute_that_is_down_wants() -> None:
    """Own servers count too; so many as the probe's own judgement takes."""
    servers = [{"name": f"hn-{n}", "host": f"203.0.113.{n}"} for n in range(minutes.LEAST_TARGETS)]
    assert FILTERS["tramdo_preflight"](_probe_host(probe_servers=servers, probe_settings={})) == []
    found = FILTERS["tramdo_preflight"](_probe_host(probe_servers=servers[1:], probe_settings={}))
    assert len(found) == 1


def test_a_time_of_the_inventory_is_seconds() -> None:
    assert FILTERS["tramdo_seconds"]("2026-11-25T18:00+07:00") == 1795604400
    assert FILTERS["tramdo_seconds"]("2026-11-25T11:00:00Z") == 1795604400
    until = {"tunnel_until": "2026-11-25T18:00+07:00"}
    assert FILTERS["tramdo_preflight"](_probe_host(**until, **_RESCUE)) == []


def test_a_tunnel_is_open_until_its_time_and_on_a_port_of_its_own() -> None:
    hosts = [
        _probe_host(tunnel_until="2026-11-25T18:00+07:00"),
        _probe_host(probe_name="cam-giang-01", tunnel_until="2026-11-25T18:00+07:00"),
        _probe_host(probe_name="vinh-thong-01"),
    ]
    names = ["phu-thong-01", "cam-giang-01"]
    found = FILTERS["tramdo_tunnels"](hosts, 1795604399)
    assert found == [{"probe": name, "port": FILTERS["tramdo_port"](name)} for name in names]
    assert len({one["port"] for one in found}) == 2
    assert all(20_000 <= one["port"] < 30_000 for one in found)
    assert FILTERS["tramdo_tunnels"](hosts, 1795604400) == []


_RESCUE = {"tunnel_host": "203.0.113.10", "tunnel_host_key": "ssh-ed25519 AAAA"}


_SETTINGS = {"latency": {"icmp_targets": ["8.8.8.8", "1.1.1.1"]}}


def _line(**changes: Any) -> list[dict[str, Any]]:
    return [_probe_host()["probe_lines"][0] | changes]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"probe_name": "Phủ Thông"}, "probe_name is 'Phủ Thông': a probe's name is a-z"),
        ({"probe_tenant": ""}, "probe_tenant is missing"),
        ({"probe_site": None}, "probe_site is missing"),
        ({"probe_site": {"commune_code": 1969, "office": "x"}}, "commune_code is 1969: the offici"),
        ({"probe_site": {"commune_code": "01969"}}, "probe_site.office is missing"),
        ({"probe_lines": []}, "probe_lines is empty"),
        ({"probe_lines": ["eth0"]}, "probe_lines is not a list of lines"),
        (
            {"probe_lines": [*_line(), {"id": "vnpt", "isp": "x", "interface": "eth1"}]},
            "two lines have the id 'vnpt'",
        ),
        ({"probe_lines": _line(id="V N")}, "line 1 (V N): id is 'V N'"),
        ({"probe_lines": _line(isp=None)}, "isp is missing"),
        ({"probe_lines": _line(interface=None)}, "interface is missing"),
        ({"probe_lines": _line(plan_upload_bps=300)}, "did you mean 300e+6 (300 Mbit/s)?"),
        ({"probe_lines": _line(plan_download_bps="0.3e+3")}, "did you mean 300e+6 (300 Mbit/s)?"),
        (
            {"probe_lines": _line(plan_downlaod_bps=3e8)},
            "plan_downlaod_bps is unknown: did you mean plan_download_bps?",
        ),
        (
            {"probe_site": {"commune_code": "01969", "office": "x", "grup": "y"}},
            "probe_site: grup is unknown: did you mean group?",
        ),
        (
            {"probe_settings": _SETTINGS | {"state_dir": "var/lib/x"}},
            "probe_settings.state_dir is 'var/lib/x': a full path; did you mean '/var/lib/x'?",
        ),
        ({"probe_lines": _line(address=None)}, "gateway is given without address"),
        ({"probe_lines": _line(address="192.168.1.10")}, "it needs its prefix"),
        ({"probe_lines": _line(address="nowhere/24")}, "no IP address with prefix"),
        ({"probe_lines": _line(gateway="10.0.0.1")}, "needs a gateway in 192.168.1.0/24"),
        ({"probe_lines": _line(address="2001:db8::1/64")}, "no IPv4 address, for example"),
        (
            {"probe_lines": _line(address_ipv6="2001:db8::1/64")},
            "gateway_ipv6 is None: a line with",
        ),
        ({"probe_lines": _line(gateway_ipv6="fe80::1")}, "gateway_ipv6 is given without address_"),
        (
            {"probe_lines": _line(address_ipv6="10.0.0.1/8", gateway_ipv6="fe80::1")},
            "no IPv6 address, for example 2001:db8:1::10/64",
        ),
        ({"probe_lines": _line(nameservers="8.8.8.8")}, "nameservers is not a list of addresses"),
        ({"probe_lines": _line(nameservers=["dns.vn"])}, "nameservers: 'dns.vn' is no IPv4 addr"),
        (
            {"probe_lines": _line(address=None, gateway=None, nameservers=["8.8.8.8"])},
            "nameservers is given without address",
        ),
        ({"probe_leds": {"line_pins": [[1, 2]]}}, "probe_leds.line_pins has 1 pairs of pins for 2"),
        ({"probe_servers": []}, "probe_servers is empty"),
        ({"probe_servers": ["hn-1"], "probe_settings": {}}, "name fewer than 2 hosts beyond"),
        ({"probe_settings": {}}, "name fewer than 2 hosts beyond the office"),
        (
            {"probe_settings": {"latency": {"icmp_targets": ["192.168.1.1", "203.0.113.10"]}}},
            "name fewer than 2 hosts beyond the office",
        ),
        (
            {"probe_settings": {"latency": {"icmp_targets": ["2001:4860:4860::8888"]}}},
            "name fewer than 2 hosts beyond the office",
        ),
        (
            {"probe_settings": {"latency": {"icmp_targets": ["10.0.0.5", "192.168.1.9"]}}},
            "name fewer than 2 hosts beyond the office",
        ),
        ({"probe_broker": {}}, "probe_broker.host is missing"),
        ({"group_names": []}, "in none of the groups"),
        ({"base_ssh_from": []}, "base_ssh_from is empty and you come over SSH"),
        ({"base_ssh_from": ["office"]}, "'office' is no network"),
        ({"tunnel_until": "tomorrow"} | _RESCUE, "tunnel_until is 'tomorrow': a time with its zo"),
        ({"tunnel_until": "2026-11-25T18:00"} | _RESCUE, "a time with its zone, in quotes"),
        (
            {"tunnel_until": "2026-11-25T18:00+07:00", "tunnel_host": "203.0.113.10"},
            "tunnel_until is given without tunnel_host_key",
        ),
    ],
)
def test_what_cannot_work_is_refused_with_host_and_variable(
    changes: dict[str, Any], sentence: str
) -> None:
    found = FILTERS["tramdo_preflight"](_probe_host(**changes))
    assert len(found) == 1, found
    assert found[0].startswith("phu-thong-01: ")
    assert sentence in found[0]


def test_a_misspelt_variable_is_told_with_what_was_probably_meant() -> None:
    specifications = [_yaml(role / "meta/argument_specs.yml")["argument_specs"] for role in ROLES]
    sound = _probe_host(secrets={}, ansible_host="x", groups={}, my_site_code=1, hostvars={})
    assert FILTERS["tramdo_misspelt"](sound, specifications) == []
    wrong = sound | {
        "probe_sevrers": [],
        "prob_lines": [],
        "tunnel_until_when": "",
        "base_0123456789": 1,
    }
    assert FILTERS["tramdo_misspelt"](wrong, specifications) == [
        "phu-thong-01: base_0123456789 is no variable of a role",
        "phu-thong-01: prob_lines is no variable of a role: did you mean probe_lines?",
        "phu-thong-01: probe_sevrers is no variable of a role: did you mean probe_servers?",
        "phu-thong-01: tunnel_until_when is no variable of a role: did you mean tunnel_until?",
    ]


def _preflight(
    home: Path, inventory: Path | str, *options: str
) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("ansible-playbook")
    return subprocess.run(
        [program, "-i", inventory, "site.yml", "--tags", "none", *options],
        cwd=ANSIBLE, capture_output=True, text=True, check=False, timeout=120,
        env=os.environ | {"HOME": str(home)},
    )  # fmt: skip


def test_the_preflight_reads_every_role() -> None:
    (task, *_) = _yaml(ANSIBLE / "roles/preflight/tasks/main.yml")
    assert task["vars"]["preflight_roles"] == [role.name for role in ROLES]


def test_a_real_play_ends_at_all_mistakes_at_once_and_passes_without(tmp_path: Path) -> None:
    sound = _preflight(tmp_path, "inventories/office")
    assert sound.returncode == 0, sound.stdout + sound.stderr
    done = _preflight(
        tmp_path, "inventories/office", "-e", '{"probe_sevrers": [], "probe_site": {}}'
    )
    assert done.returncode != 0
    assert "did you mean probe_servers?" in done.stdout
    assert "probe_site.office is missing" in done.stdout


def test_a_real_play_reports_an_unknown_commune_unless_it_is_stated_to_be_new(
    tmp_path: Path,
) -> None:
    site = '"probe_site": {"commune_code": "01996", "office": "x"}'
    done = _preflight(tmp_path, "inventories/office", "-e", f"{{{site}}}")
    assert done.returncode != 0
    assert "did you mean 01969 (Xã Phủ Thông)" in done.stdout
    new = _preflight(
        tmp_path, "inventories/office", "-e", f'{{{site}, "preflight_new_communes": ["01996"]}}'
    )
    assert new.returncode == 0, new.stdout + new.stderr


def test_the_preflight_and_the_probe_answer_a_wrong_code_alike() -> None:
    text = (ANSIBLE.parent / "runtime/communes.txt").read_text(encoding="utf-8")
    unknown = FILTERS["tramdo_unknown_commune"]
    for code in ("01996", "00005", "99999"):
        host = _probe_host(probe_site={"commune_code": code, "office": "x"})
        (found,) = unknown(host, text)
        asked = " or ".join(f"{one} ({communes.names()[one]})" for one in communes.alike(code))
        assert (f"did you mean {asked}?" in found) == bool(asked)
        assert ("did you mean" in found) == bool(asked)
        assert unknown(host, "") == []
    assert unknown(_probe_host(), text) == []
    # What is no code at all is reported as that.
    assert unknown(_probe_host(probe_site={"commune_code": 1969}), text) == []


def test_the_least_plan_is_the_probe_s_own() -> None:
    for bps, count in ((implausible.LEAST_PLAN_BPS, 0), (implausible.LEAST_PLAN_BPS - 1, 1)):
        host = _probe_host(probe_lines=_line(plan_download_bps=bps))
        assert len(FILTERS["tramdo_preflight"](host)) == count


@pytest.mark.parametrize("content", ["all:\n  hosts:\n a: b\n", "[probes\nbox-1\n"])
def test_an_inventory_that_cannot_be_read_ends_a_play(tmp_path: Path, content: str) -> None:
    broken = tmp_path / "hosts.yml"
    broken.write_text(content, encoding="utf-8")
    done = _preflight(tmp_path, broken)
    assert done.returncode != 0, done.stdout
    assert str(broken) in done.stderr + done.stdout


def test_a_broker_without_passwords_or_names_is_refused() -> None:
    found = FILTERS["tramdo_preflight"](
        {
            "inventory_hostname": "centre", "group_names": ["brokers"],
            "broker_collectors": ["collector"], "broker_tenant": "x", "base_firewall": False,
        }
    )  # fmt: skip
    assert [sentence.partition(": ")[2].split(" ")[0] for sentence in found] == [
        "broker_hosts", "broker_collectors:", "broker_passwords",
    ]  # fmt: skip


def test_a_node_without_its_peers_secret_or_names_is_refused() -> None:
    node = {"inventory_hostname": "n", "group_names": ["broker_nodes"], "base_firewall": False}
    found = FILTERS["tramdo_preflight"](node)
    assert [sentence.partition(": ")[2].split(" ")[0] for sentence in found] == [
        "broker_cluster_tenant", "broker_cluster_kind", "broker_cluster_hosts",
        "broker_cluster_address",
    ]  # fmt: skip
    node |= {
        "broker_cluster_tenant": "x", "broker_cluster_kind": "rabbitmq",
        "broker_cluster_hosts": ["a"], "broker_cluster_address": "10.0.0.1",
    }  # fmt: skip
    (sentence,) = FILTERS["tramdo_preflight"](node)
    assert "broker_cluster_cookie is missing" in sentence


def _tables(
    folder: Path, role: Path, hosts: str, table: str, **variables: object
) -> dict[str, bytes]:
    """What a role makes of the example inventory of a cluster, by a real play: TOML by host."""
    play = {
        "hosts": hosts, "connection": "local", "gather_facts": False,
        "vars_files": [str(role / "vars/main.yml")],
        "vars": {"ansible_python_interpreter": sys.executable} | variables,
        "tasks": [{"ansible.builtin.copy": {
            "content": f"{{{{ {table} | to_toml }}}}",
            "dest": f"{folder}/{{{{ inventory_hostname }}}}.toml",
            "mode": "0600",
        }}],
    }  # fmt: skip
    path = folder / "play.yml"
    path.write_text(yaml.safe_dump([play]), encoding="utf-8")
    # Below the inventory, as a role's defaults are.
    below = folder / "below/group_vars"
    below.mkdir(parents=True)
    (folder / "below/hosts.yml").write_text("all: {}\n", encoding="utf-8")
    shutil.copy(role / "defaults/main.yml", below / "all.yml")
    program = Path(sys.executable).with_name("ansible-playbook")
    done = subprocess.run(
        [program, "-i", below.parent, "-i", "inventories/cluster", path],
        cwd=ANSIBLE, capture_output=True, text=True, check=False, timeout=300,
        env=os.environ | {
            "HOME": str(folder), "ANSIBLE_FILTER_PLUGINS": str(ANSIBLE / "filter_plugins"),
        },
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return {made.stem: made.read_bytes() for made in folder.glob("*.toml")}


@pytest.mark.parametrize("kind", ["rabbitmq", "nats"])
def test_a_cluster_s_nodes_are_rendered_from_the_example_inventory(
    tmp_path: Path, kind: str
) -> None:
    role = ANSIBLE / "roles/broker_cluster"
    made = _tables(tmp_path, role, "broker_nodes", "broker_cluster_table", broker_cluster_kind=kind)
    assert sorted(made) == ["node-1", "node-2", "node-3"]
    assert len(set(made.values())) == 1, "every node lists all of them"
    settings = parse(made["node-1"], ClusterSettings, "cluster.toml")
    assert [(node.name, node.cluster_host) for node in settings.nodes] == [
        ("node-1", "10.0.0.1"), ("node-2", "10.0.0.2"), ("node-3", "10.0.0.3"),
    ]  # fmt: skip
    assert settings.probes == ["phu-thong-01"]
    assert settings.collectors == ["collector-1", "command-1"]
    assert broker.main([kind, str(tmp_path / "node-1.toml"), str(tmp_path)]) == 0


def test_a_database_s_members_are_rendered_from_the_example_inventory(tmp_path: Path) -> None:
    role = ANSIBLE / "roles/database_cluster"
    hosts = "databases:database_witnesses"
    made = _tables(tmp_path, role, hosts, "database_cluster_table")
    assert sorted(made) == ["db-1", "db-2", "witness-1"]
    assert len(set(made.values())) == 1, "every member lists all of them"
    settings = parse(made["db-1"], DatabaseSettings, "database.toml")
    assert [(member.name, member.address, member.role) for member in settings.members] == [
        ("db-1", "10.0.0.21", "database"), ("db-2", "10.0.0.22", "database"),
        ("witness-1", "10.0.0.23", "witness"),
    ]  # fmt: skip
    # What the role gives the certificates and /etc/hosts is what pgBackRest asks for.
    assert settings.certificate_hosts(settings.members[0]) == ["db-1.tramdo", "10.0.0.21"]
    assert database.main([str(tmp_path / "db-1.toml"), str(tmp_path)]) == 0
    collectors = _yaml(ANSIBLE / "inventories/cluster/group_vars/collectors.yml")
    conninfo = collectors["collector_settings"]["store"]["postgresql"]
    ours = dict(word.split("=") for word in settings.conninfo.split())
    del ours["port"]
    assert ours.items() <= dict(word.split("=") for word in conninfo.split()).items()


def test_a_member_of_the_database_without_its_address_is_refused() -> None:
    member = {
        "inventory_hostname": "db_1", "group_names": ["databases", "database_witnesses"],
        "base_firewall": False,
    }  # fmt: skip
    found = FILTERS["tramdo_preflight"](member)
    assert [sentence.partition(": ")[2].split(" ")[0] for sentence in found] == [
        "database_cluster_address", "its", "database_cluster_collectors_from", "it",
    ]  # fmt: skip
    sound = {
        "inventory_hostname": "db-1", "group_names": ["databases"], "base_firewall": False,
        "database_cluster_address": "10.0.0.21",
        "database_cluster_collectors_from": ["10.0.0.0/24"],
    }  # fmt: skip
    assert FILTERS["tramdo_preflight"](sound) == []


@pytest.mark.parametrize(
    ("role", "users"), [("broker", "broker_users"), ("broker_cluster", "broker_cluster_names")]
)
def test_a_broker_of_several_tenants_lists_each_one_s_probes(
    tmp_path: Path, role: str, users: str
) -> None:
    dot = "." if role == "broker" else "-"
    collector, reader = f"collector{dot}1", f"reader{dot}vnpt"
    tenants = [
        {"name": "bach-thong", "collectors": [collector], "subscribers": [reader]},
        {"name": "bac-kan", "collectors": [collector]},
    ]
    made = _tables(
        tmp_path, ANSIBLE / "roles" / role, "broker_nodes",
        f"{{'table': {role}_table, 'users': {users}}}",
        broker_cluster_kind="nats", **{f"{role}_tenants": tenants},
    )  # fmt: skip
    read = tomllib.loads(made["node-1"].decode())
    settings: BrokerSettings | ClusterSettings = (
        msgspec.convert(read["table"], BrokerSettings)
        if role == "broker"
        else msgspec.convert(read["table"], ClusterSettings)
    )
    assert settings.tenant is None
    assert [(one.name, one.probes) for one in settings.tenants] == [
        ("bach-thong", ["phu-thong-01"]), ("bac-kan", []),
    ]  # fmt: skip
    names = [user.name for user in users_of(settings.tenants)]
    assert names == ["phu-thong-01", collector, reader]
    # Those of Mosquitto have passwords, which probes have not.
    assert sorted(read["users"]) == sorted(names[1:] if role == "broker" else names)


def test_tenants_of_a_broker_are_named_and_have_passwords() -> None:
    named = {"name": "bach-thong", "collectors": ["collector.1"], "subscribers": ["reader.vnpt"]}
    host = {"inventory_hostname": "n", "group_names": ["brokers"], "base_firewall": False,
            "broker_hosts": ["a"], "broker_tenants": [named, {"name": "X"}],
            "broker_tenant": "x", "broker_passwords": {"collector.1": "y"}}  # fmt: skip
    found = [sentence.partition(": ")[2] for sentence in FILTERS["tramdo_preflight"](host)]
    assert found == [
        "broker_tenant and broker_tenants: give one of the two",
        "broker_tenants: {'name': 'X'} has no `name` of a-z, 0-9 and -, up to 40",
        "broker_passwords has none for 'reader.vnpt' of broker_subscribers",
    ]


def test_a_collector_of_a_cluster_has_a_certificate_and_no_password(tmp_path: Path) -> None:
    checked = _preflight(tmp_path, "inventories/cluster")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    made = _tables(tmp_path, ANSIBLE / "roles/collector", "collectors", "collector_table")
    table = tomllib.loads(made["centre"].decode())
    assert table["broker"] == {
        "port": 8883, "ca_file": "/etc/tramdo/ca.pem",
        "addresses": ["a.example.vn", "b.example.vn", "c.example.vn"],
        "certificate_file": "/etc/tramdo/collector.pem", "key_file": "/etc/tramdo/collector.key",
    }  # fmt: skip
    assert "username" not in table.get("command", {})
    assert table["client_id"] == "collector-1"


def test_what_answers_boxes_holds_the_authority_and_has_names() -> None:
    unit = (ROOT / "systemd/tramdo-fleet-serve.service").read_text(encoding="utf-8")
    authority = "/var/lib/tramdo-fleet-serve/authority"
    assert f"--directory {authority} " in unit
    sound = {
        "inventory_hostname": "centre", "group_names": ["fleet_centres"], "base_firewall": False,
        "fleet_centre_hosts": ["fleet.example.vn"], "certificates_authority_host": "centre",
        "certificates_authority_directory": authority,
    }  # fmt: skip
    assert FILTERS["tramdo_preflight"](sound) == []
    for changes, sentence in (
        ({"fleet_centre_hosts": []}, "fleet_centre_hosts is empty"),
        ({"broker_hosts": ["fleet.example.vn", "10.0.0.1"]}, "both begin with 'fleet.example.vn'"),
        ({"certificates_authority_host": "localhost"}, "it signs for boxes, so the authority is"),
    ):
        (found,) = FILTERS["tramdo_preflight"](sound | changes)
        assert found.startswith("centre: ")
        assert sentence in found


def test_the_doctor_s_findings_are_told_as_sentences() -> None:
    findings = [
        check.good(Phrase("thẻ nhớ", "disk"), Phrase("còn 20 GB", "20 GB free")),
        check.bad(
            Phrase("đường truyền viettel", "line viettel"),
            Phrase("eth1 không có tín hiệu", "eth1 has no carrier"),
            Phrase("cắm dây mạng", "plug in the cable"),
        ),
        check.unknown(Phrase("nguồn điện", "power"), Phrase("không báo", "it does not tell")),
    ]
    at = datetime(2026, 11, 24, tzinfo=UTC)
    report = check.DoctorReport(at=at, probe="phu-thong-01", version="1", findings=findings)
    vietnamese = json.loads(msgspec.json.encode(output.document(report, Language.VI)))
    fault = "phu-thong-01: đường truyền viettel: eth1 không có tín hiệu -> cắm dây mạng"
    assert FILTERS["tramdo_doctor"](vietnamese, "bad") == [fault]
    said = json.loads(msgspec.json.encode(output.document(report, Language.EN)))
    fault = "phu-thong-01: line viettel: eth1 has no carrier -> plug in the cable"
    assert FILTERS["tramdo_doctor"](said) == [
        "phu-thong-01: 1 to be mended", fault, "phu-thong-01: power: it does not tell",
    ]  # fmt: skip
    assert FILTERS["tramdo_doctor"](said, "bad") == [fault]
    well = structs.replace(report, findings=findings[:1])
    said = json.loads(msgspec.json.encode(output.document(well, Language.EN)))
    assert FILTERS["tramdo_doctor"](said) == ["phu-thong-01: all is well"]
    assert FILTERS["tramdo_doctor"](said, "bad") == []


def test_two_probes_of_one_name_are_refused() -> None:
    found = FILTERS["tramdo_twins"]({"box-1": "a", "box-2": "b", "box-3": "a"})
    assert len(found) == 1
    assert found[0].startswith("box-1, box-3: probe_name is 'a'")


@pytest.mark.parametrize("name", ["office", "bach-thong"])
def test_the_example_inventories_are_sound(name: str) -> None:
    """Read as Ansible reads them, but for what only Ansible computes."""
    folder = ANSIBLE / "inventories" / name
    tree = _yaml(folder / "hosts.yml")["all"]
    everywhere = _yaml(folder / "group_vars/all.yml")
    of_probes = _yaml(folder / "group_vars/probes.yml")
    hosts = tree["children"]["probes"]["hosts"]
    assert hosts
    codes = set()
    for host, its in hosts.items():
        variables = everywhere | of_probes | its
        variables |= {
            "inventory_hostname": host, "group_names": ["probes"], "probe_name": host,
        }  # fmt: skip
        assert FILTERS["tramdo_preflight"](variables) == []
        codes.add(its["probe_site"]["commune_code"])
        assert len(variables["probe_lines"]) == 2
    if name == "bach-thong":
        assert codes == {"01969", "01981", "02008", "02014"}


def test_the_nation_is_generated_from_the_list_of_communes(tmp_path: Path) -> None:
    listed = tmp_path / "communes.csv"
    with listed.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["province_name", "commune_code", "commune_name", "kind"])
        rows.writerow(["Tỉnh Thái Nguyên", "01969", "Xã Phủ Thông", "xa"])
        rows.writerow(["Thành phố Hà Nội", "00004", "Phường Ba Đình", "phuong"])
    generate = ANSIBLE / "inventories/nation/generate.py"
    python = shutil.which("python3")
    assert python is not None
    made = subprocess.run([python, generate, listed], capture_output=True, text=True, check=True)
    hosts = yaml.safe_load(made.stdout)["probes"]["hosts"]
    shared = _yaml(ANSIBLE / "inventories/nation/group_vars/all.yml")
    assert list(hosts) == ["commune-01969-1", "commune-00004-1"]
    for host, its in hosts.items():
        variables = shared | its
        variables |= {
            "inventory_hostname": host, "group_names": ["probes"], "probe_name": host,
        }  # fmt: skip
        assert FILTERS["tramdo_preflight"](variables) == []
    assert hosts["commune-00004-1"]["probe_site"] == {
        "commune_code": "00004",
        "office": "Trụ sở UBND phường Ba Đình",
        "group": "Thành phố Hà Nội",
    }


def test_the_wheelhouse_asks_for_what_the_target_needs_not_this_machine() -> None:
    lock = (
        "a==1 ; python_full_version < '3.12' \\\n    --hash=sha256:aa \\\n    --hash=sha256:ab\n"
        "a==2 ; python_full_version >= '3.12' \\\n    --hash=sha256:ac\n"
        "    # via b\n"
        "b==3 ; platform_machine == 'aarch64' \\\n    --hash=sha256:ba\n"
    )
    bookworm = list(wheelhouse.locked_for(lock, wheelhouse.Target(11, "aarch64")))
    trixie = list(wheelhouse.locked_for(lock, wheelhouse.Target(13, "x86_64")))
    assert bookworm == ["a==1 --hash=sha256:aa --hash=sha256:ab", "b==3 --hash=sha256:ba"]
    assert trixie == ["a==2 --hash=sha256:ac"]


def test_a_line_may_state_every_key_that_the_filter_takes_over() -> None:
    """Else Ansible refuses the inventory: it validates the keys of a list's elements."""
    keys = FILTERS["tramdo_lines"].__globals__["_LINE_KEYS"]
    (base,) = (role for role in ROLES if role.name == "base")
    options = _yaml(base / "meta/argument_specs.yml")["argument_specs"]["main"]["options"]
    assert set(keys) <= set(options["base_lines"]["options"])
    assert set(keys) <= set(config.LineConfig.__struct_fields__)


def test_a_line_of_the_inventory_keeps_its_families() -> None:
    (line,) = FILTERS["tramdo_lines"](
        [{"id": "vnpt", "isp": "VNPT", "interface": "eth0", "families": ["ipv4"]}]
    )
    assert msgspec.convert(line, config.LineConfig).families == [Family.IPV4]
