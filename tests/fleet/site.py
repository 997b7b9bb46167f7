"""Floor 3. An office with two ISP lines and its centre, both booted systems, and Ansible beside.

    probe mgmt0 ── this machine ── mgmt0 centre          how Ansible comes in, and nothing else
    probe eth0 192.168.1.10 ── vnpt ──── 198.51.100.1 ─┐
    probe eth1 by DHCP      ── viettel ─ 198.51.100.5 ─┴ centre 203.0.113.10

Each ISP is a router that translates addresses, as in an office: the centre never sees the probe.
The lines are shaped to different rates, so that a result shows by which of them it came.

With several offices (bench.provision) each has a probe of its own, with two lines into these ISPs.
The probes' lines are set up with systemd-networkd; with TRAMDO_TEST_NETWORK=networkmanager in the
environment with NetworkManager, as Raspberry Pi OS has it. On Debian 12 or 13 (tests.fleet.root).
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from deploy import wheelhouse
from tests.fleet import root as fresh
from tests.fleet.machine import Machine
from tests.lab.namespace import Namespace, connect_root, connect_veth, remove_root_link

ROOT = Path(__file__).parents[2]
PLAYBOOKS = ROOT / "ansible"
TENANT, PROBE = "bach-thong", "phu-thong-01"
CENTRE_ADDRESS = "203.0.113.10"
# The centre too: a minute is down only where two addresses were tried.
ANOTHER_ADDRESS = "203.0.113.11"
NETWORKMANAGER = os.environ.get("TRAMDO_TEST_NETWORK") == "networkmanager"
# debootstrap does not see that libpam-systemd is a logind.
ALREADY_THERE = ("network-manager", "libpam-systemd") if NETWORKMANAGER else ()
FLEET_HOME = "/var/lib/tramdo-fleet-serve"
# A machine that does other things at the same time takes minutes.
_PLAY_S = 1200
_RECAP = re.compile(r"^(\S+)\s+: ok=(\d+)\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.M)


class Isp(NamedTuple):
    """A line: the probe's interface, its router's networks, its rates in bit/s."""

    name: str
    title: str
    interface: str
    number: int
    download_bps: int
    upload_bps: int

    @property
    def gateway(self) -> str:
        """The router's address in the first office."""
        return self.network(0).format(1)

    def network(self, office: int) -> str:
        """An office's addresses behind this ISP's router; the last number is to be put in."""
        return f"192.168.{self.number + 10 * office}.{{}}"


VNPT = Isp("vnpt", "VNPT", "eth0", 1, 40_000_000, 20_000_000)
VIETTEL = Isp("viettel", "Viettel", "eth1", 2, 80_000_000, 40_000_000)
ISPS = (VNPT, VIETTEL)


class Play(NamedTuple):
    """How a playbook ended: what it printed, and tasks changed and failed on each machine."""

    code: int
    printed: str
    changed: dict[str, int]
    failed: dict[str, int]
    seconds: float


class Site:
    """The office and its centre, booted while the context lasts.

    Args:
        folder: for everything that is written.
        root: the fresh root that every machine begins with.
        offices: how many, a probe each.
    """

    def __init__(self, folder: Path, root: Path, offices: int = 1) -> None:
        self._folder = folder
        self._offices = {
            "probe" if office == 0 else f"probe{office + 1}": office for office in range(offices)
        }
        self.tag = f"f{os.getpid() % 100_000}"
        # Whether the centre answers boxes, and signs for them: a technician's next step.
        self.is_fleet = False
        # The probe's variables of a tunnel, while one is wanted.
        self.tunnel: Mapping[str, str] = {}
        # When a line's forwarding was cut, and when that was undone (Unix time).
        self.broke_at_s: dict[str, float] = {}
        self.mended_at_s: dict[str, float] = {}
        # What the centre has stored, as far as it has been asked for.
        self._results: list[Mapping[str, Any]] = []
        self._read_through = 0
        # A DHCP server for each office.
        self._processes: dict[int, subprocess.Popen[str]] = {}
        self._key = folder / "key"
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self._key)], check=True
        )
        # Networks of this machine's own that no other test run has.
        self._mgmt = f"10.{200 + secrets.randbelow(50)}.{secrets.randbelow(256)}"
        self.isps = {isp.name: Namespace(f"tramdo-{self.tag}-{isp.name}") for isp in ISPS}
        self.namespaces = {
            name: Namespace(f"tramdo-{self.tag}-{name}", (), f"{self._mgmt}.{number * 4 + 2}")
            for number, name in enumerate(("centre", *self._offices))
        }
        self.machines = {name: Machine(name, root, folder, self._key) for name in self.namespaces}
        self.centre, self.probe = self.machines["centre"], self.machines["probe"]
        for machine in self.machines.values():
            self._give_network(machine)

    def __enter__(self) -> Site:
        try:
            for isp in ISPS:
                self._open(isp)
            for name, machine in self.machines.items():
                self._connect(name)
                machine.boot(self.namespaces[name])
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End everything and leave nothing behind."""
        for machine in self.machines.values():
            machine.close()
        for process in self._processes.values():
            process.kill()
            process.wait()
        for namespace in (*self.namespaces.values(), *self.isps.values()):
            with contextlib.suppress(Exception):
                namespace.delete()
        for name in self.namespaces:
            remove_root_link(self._root_link(name))

    def start_again(self, name: str) -> None:
        """Boot a machine that is off, with nothing left of its network in the kernel."""
        self.namespaces[name].delete()
        remove_root_link(self._root_link(name))
        self._connect(name)
        self.machines[name].boot(self.namespaces[name])

    def play(self, book: str, *options: str) -> Play:
        """Run a playbook as a technician does, and read its recap."""
        inventory = self._folder / "inventory.json"
        inventory.write_text(json.dumps(self.inventory()), encoding="utf-8")
        environment = dict(os.environ) | {
            "HOME": str(self._folder), "ANSIBLE_CONFIG": str(PLAYBOOKS / "ansible.cfg"),
            "ANSIBLE_NOCOLOR": "1", "ANSIBLE_LOCAL_TEMP": str(self._folder / "ansible"),
            "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}",
        }  # fmt: skip
        argv = [sys.executable, "-m", "ansible", "playbook"]
        began_s = time.monotonic()
        ended = subprocess.run(
            [*argv, "-i", str(inventory), book, *options], cwd=PLAYBOOKS, env=environment,
            stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=_PLAY_S * len(self._offices), check=False,
        )  # fmt: skip
        rows = _RECAP.findall(ended.stdout)
        return Play(
            ended.returncode,
            ended.stdout + ended.stderr,
            {name: int(changed) for name, _, changed, _, _ in rows},
            {name: int(away) + int(failed) for name, _, _, away, failed in rows},
            time.monotonic() - began_s,
        )

    @property
    def folder(self) -> Path:
        """The technician's: of the machine that runs Ansible."""
        return self._folder

    def inventory(self, **probe: Any) -> dict[str, Any]:
        """What a technician would write for this office; `probe` adds to the probe's variables."""
        secret = {"collector.1": "mật khẩu của trung tâm", "collector.command": "mật khẩu ra lệnh"}
        everywhere = {
            "ansible_user": "root",
            "ansible_ssh_common_args": " ".join(self.probe.ssh_options()),
            "base_ssh_from": [f"{self._mgmt}.0/24"],
            "software_wheelhouse": str(wheels()),
        }
        centre = {
            "ansible_host": self.centre.address,
            "base_open_ports": [
                {"port": "8883"}, {"port": "5201-5202"}, {"port": "8081"},
                {"port": "862", "protocol": "udp"}, {"port": "8443"}, {"port": "22"},
            ],
            "broker_tenant": TENANT, "broker_hosts": [CENTRE_ADDRESS, "localhost"],
            "broker_passwords": secret,
            "collector_tenant": TENANT, "collector_password": secret["collector.1"],
            "collector_command_password": secret["collector.command"],
            "collector_broker": {"host": "localhost", "reconnect_max_s": 2.0},
            "measurement_server_iperf3_ports": [5201, 5202],
            "measurement_server_http_port": 8081,
        }  # fmt: skip
        groups = ["brokers", "collectors", "measurement_servers", "rescue_hosts"]
        if self.is_fleet:
            groups.append("fleet_centres")
            centre["fleet_centre_hosts"] = ["fleet.centre", CENTRE_ADDRESS]
            everywhere |= {
                "certificates_authority_host": "centre",
                "certificates_authority_directory": f"{FLEET_HOME}/authority",
                "certificates_authority_command": "/opt/tramdo/venv/bin/tramdo-authority",
                "fleet_centre_releases": str(self._folder / "releases"),
                "fleet_centre_boxes": str(self._folder / "boxes"),
            }
        return {
            "all": {"vars": everywhere, "hosts": {"centre": centre}},
            **{group: {"hosts": {"centre": {}}} for group in groups},
            "probes": {
                "hosts": {
                    probe_name(office): self._probe_variables(machine) | dict(self.tunnel) | probe
                    for machine, office in self._offices.items()
                }
            },
        }

    def api(self, path: str) -> Any:
        """What the centre's interface answers, asked on the centre itself."""
        url = f"http://127.0.0.1:8080{path}"
        ask = f"import urllib.request as u; print(u.urlopen('{url}').read().decode())"
        return json.loads(self.centre.ssh(f'python3 -c "{ask}"').stdout)

    def results(self) -> Sequence[Mapping[str, Any]]:
        """Every result that the centre has stored so far, oldest first."""
        while (page := self.api(f"/api/results?after={self._read_through}&limit=1000"))["results"]:
            self._results += (row["result"] for row in page["results"])
            self._read_through = page["next_after"]
        return self._results

    def status(self) -> Mapping[str, Any]:
        """What `tramdo-probe status` says; empty while no daemon runs."""
        asked = self.probe.ssh("/opt/tramdo/venv/bin/tramdo-probe status --json", check=False)
        found: Mapping[str, Any] = json.loads(asked.stdout) if asked.returncode == 0 else {}
        return found

    def _probe_variables(self, machine: str) -> dict[str, Any]:
        office = self._offices[machine]
        lines: list[dict[str, Any]] = [
            {
                "id": isp.name, "isp": isp.title, "interface": isp.interface,
                "plan_download_bps": isp.download_bps, "plan_upload_bps": isp.upload_bps,
            }
            for isp in ISPS
        ]  # fmt: skip
        vnpt = VNPT.network(office)
        lines[0] |= {"address": f"{vnpt.format(10)}/24", "gateway": vnpt.format(1)}
        return {
            "ansible_host": self.machines[machine].address,
            "probe_name": probe_name(office),
            "probe_tenant": TENANT,
            "probe_site": {
                "commune_code": "01969", "office": "Trụ sở UBND xã Phủ Thông",
                "group": "Bạch Thông (cũ)",
            },
            "probe_lines": lines,
            "probe_servers": [
                {"name": "hn-1", "host": CENTRE_ADDRESS, "iperf3_ports": [5201, 5202],
                 "http_port": 8081},
            ],
            "probe_broker": {"host": CENTRE_ADDRESS, "reconnect_max_s": 2.0},
            "probe_leds": {"driver": "simulated"},
            # Short, often and at once: somebody waits for it. Not where the machine has more to do.
            "probe_round_at_start": len(self._offices) == 1,
            "probe_settings": {
                "plan": {
                    "samples_per_month": 300, "office_hours": "allow", "idle_look_s": 0.5,
                    "cross_traffic_download_bps": 1e12, "cross_traffic_upload_bps": 1e12,
                },
                # Names and pages of the Internet, which is not there.
                "dns": {"names": [], "random_labels": 0},
                "web": {"pages": []},
                "throughput": {"warm_up_s": 1, "duration_s": 2},
                "http": {"warm_up_s": 1, "duration_s": 2, "pings": 4},
                "latency": {
                    "window_s": 5.0, "mean_gap_s": 0.1, "timeout_s": 1.0,
                    "icmp_targets": [ANOTHER_ADDRESS],
                },
                "delivery": {"resend_after_s": 5.0, "health_every_s": 5.0},
            },
        }  # fmt: skip

    def break_beyond(self, isp: Isp) -> None:
        """The ISP forwards nothing more; its router in the office goes on answering."""
        cut = "table ip cut { chain way { type filter hook forward priority 0; policy drop; }; }"
        self.isps[isp.name].run(["nft", cut])
        self.broke_at_s[isp.name] = time.time()

    def mend_beyond(self, isp: Isp) -> None:
        """Undo `break_beyond`."""
        self.isps[isp.name].run(["nft", "delete table ip cut"])
        self.mended_at_s[isp.name] = time.time()

    def _give_network(self, machine: Machine) -> None:
        network = "[Match]\nName={}\n[Network]\nAddress={}\n"
        number = list(self.namespaces).index(machine.name)
        address = f"{self._mgmt}.{number * 4 + 2}/30"
        machine.write("/etc/systemd/network/05-mgmt.network", network.format("mgmt0", address))
        if NETWORKMANAGER:
            others = "interface-name:mgmt0" if machine.name != "centre" else "*"
            machine.write(
                "/etc/NetworkManager/conf.d/test.conf", f"[keyfile]\nunmanaged-devices={others}\n"
            )
        if machine.name == "centre":
            for isp in ISPS:
                addresses = "\nAddress=".join(
                    (f"198.51.100.{isp.number * 4 + 2}/30", f"{CENTRE_ADDRESS}/32",
                     f"{ANOTHER_ADDRESS}/32")
                )  # fmt: skip
                machine.write(
                    f"/etc/systemd/network/10-{isp.name}.network",
                    network.format(f"wan{isp.number}", addresses),
                )

    def _root_link(self, name: str) -> str:
        return f"{self.tag}{name}"

    def _open(self, isp: Isp) -> None:
        """An ISP's router: forwards and translates."""
        router = self.isps[isp.name]
        router.create()
        router.sysctl({"ipv4/ip_forward": "1"})
        translate = (
            "table ip nat {\n chain post {\n type nat hook postrouting priority srcnat\n"
            ' oifname "wan" masquerade\n }\n}\n'
        )
        router.run(["sh", "-c", f"printf '{translate}' | nft -f -"])

    def _connect(self, name: str) -> None:
        """Lay the cables of a machine anew, the routers' ends set up, its own ends bare."""
        namespace = self.namespaces[name]
        near = "wan" if name == "centre" else f"lan{self._offices[name]}"
        for router in self.isps.values():
            # A namespace that was deleted is taken down later; its cable would still be in the way.
            router.run(["ip", "link", "del", near], check=False)
        namespace.create()
        number = list(self.namespaces).index(name)
        connect_root(namespace, "mgmt0", self._root_link(name), f"{self._mgmt}.{number * 4 + 1}/30")
        namespace.ip("addr flush dev mgmt0")
        for isp in ISPS:
            router = self.isps[isp.name]
            if name == "centre":
                connect_veth(router, near, namespace, f"wan{isp.number}")
                beyond = f"198.51.100.{isp.number * 4 + 2}"
                router.ip(
                    f"addr add 198.51.100.{isp.number * 4 + 1}/30 dev wan",
                    f"route add {CENTRE_ADDRESS} via {beyond}",
                    f"route add {ANOTHER_ADDRESS} via {beyond}",
                )
                _shape(router, "wan", isp.upload_bps)
            else:
                connect_veth(router, near, namespace, isp.interface)
                office = self._offices[name]
                router.ip(f"addr add {isp.network(office).format(1)}/24 dev {near}")
                _shape(router, near, isp.download_bps)
                if isp is VIETTEL:
                    self._serve_addresses(isp, office)

    def _serve_addresses(self, isp: Isp, office: int) -> None:
        if (earlier := self._processes.pop(office, None)) is not None:
            earlier.kill()
            earlier.wait()
        leases = self._folder / f"leases-{secrets.token_hex(4)}"
        addresses = ",".join(isp.network(office).format(number) for number in (100, 199))
        self._processes[office] = self.isps[isp.name].popen(
            [
                "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--port=0",
                f"--interface=lan{office}", "--bind-interfaces", f"--dhcp-leasefile={leases}",
                f"--dhcp-range={addresses},1h", "--pid-file=", "--user=root",
            ],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip


def probe_name(office: int) -> str:
    """The probe of an office, counted from 0."""
    return PROBE if office == 0 else f"phu-thong-{office + 1:02d}"


def wheels() -> Path:
    """The wheelhouse for that Debian; what came from the index stays in the tests' cache."""
    base = Path(os.environ.get("TRAMDO_TEST_CACHE") or "/var/cache/tramdo-test")
    return base / f"wheelhouse-{fresh.SUITE}"


def make_wheels() -> None:
    """Make it, of the sources as they are now; once where several processes run one test run."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", secrets.token_hex(8))
    target = wheelhouse.Target(fresh.PYTHONS[fresh.SUITE], os.uname().machine)
    made_by = wheels().with_suffix(".made-by")
    made_by.parent.mkdir(parents=True, exist_ok=True)
    with wheels().with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if made_by.exists() and made_by.read_text(encoding="ascii") == run:
            return
        for name in wheelhouse.SETS:
            wheelhouse.make(wheels(), target, name)
        made_by.write_text(run, encoding="ascii")


def eventually(condition: Callable[[], object], what: str, within_s: float = 90.0) -> None:
    """Look every half second until it holds.

    Raises:
        AssertionError: it does not within the time.
    """
    deadline_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline_s, f"not within {within_s:.0f} s: {what}"
        time.sleep(0.5)


def _shape(router: Namespace, interface: str, rate_bps: int) -> None:
    # A burst of 2 ms (TRAPS), and room for a full-size frame at the least.
    burst = max(rate_bps // 4000, 3200)
    router.tc(f"qdisc add dev {interface} root tbf rate {rate_bps}bit burst {burst} latency 50ms")
