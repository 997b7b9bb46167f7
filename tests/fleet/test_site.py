"""The very playbooks on two freshly booted systems: an office with two lines, and its centre.

One story, in the order in which a technician lives it; each test is a chapter and builds on those
before it. `-k` alone is therefore of no use here.
"""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.fleet import root
from tests.fleet.looks import changes, delivers, finds_programs, shows_no_secret
from tests.fleet.release import Releases
from tests.fleet.site import (
    ALREADY_THERE,
    ANOTHER_ADDRESS,
    CENTRE_ADDRESS,
    FLEET_HOME,
    ISPS,
    NETWORKMANAGER,
    PROBE,
    TENANT,
    VIETTEL,
    VNPT,
    Site,
    eventually,
    make_wheels,
    wheels,
)

PROBE_TOML = "/etc/tramdo/probe.toml"
_UNIT = "tramdo-probe.service"
RELEASE = "0.2.0"
# While a line is broken the doctor waits for it, twelve seconds; its word has a chapter of its own.
_NO_DOCTOR = ("-e", "probe_doctor=skip")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    if (reason := root.why_not()) is not None:
        pytest.skip(reason)
    make_wheels()
    with Site(tmp_path_factory.mktemp("fleet"), root.prepared(ALREADY_THERE)) as booted:
        yield booted


@pytest.fixture(scope="module")
def first(site: Site) -> Site:
    """The site once the playbook has run; a failure is told with the playbook's last words."""
    play = site.play("site.yml", "--diff", "-vv")
    assert play.code == 0, play.printed[-6000:]
    assert play.changed[PROBE] > 10
    assert f"{PROBE}: all is well" in play.printed
    shows_no_secret(site, play)
    return site


@pytest.fixture(scope="module")
def published(site: Site) -> Releases:
    return Releases(site.folder, wheels())


def test_one_run_sets_up_both_systems(first: Site) -> None:
    for machine in (first.centre, first.probe):
        failed = machine.ssh("systemctl --failed --no-legend --plain").stdout
        assert failed == "", failed
    # The broker, at a port below 1024 as well (WebSocket), and nowhere as root.
    assert ":443 " in first.centre.ssh("ss --listening --tcp --numeric").stdout
    user = first.centre.ssh("ps -o user:20= -C mosquitto").stdout.split()
    assert user == ["mosquitto"]


def test_a_second_run_changes_nothing(first: Site) -> None:
    play = first.play("site.yml", "--diff", "-vvv")
    assert play.code == 0, play.printed[-6000:]
    assert play.changed == {"centre": 0, PROBE: 0}, changes(play.printed)
    shows_no_secret(first, play)


def test_a_bad_inventory_is_refused_before_any_box_is_touched(first: Site) -> None:
    play = first.play("site.yml", "--extra-vars", '{"probe_servers": []}')
    assert play.code != 0
    assert f"{PROBE}: probe_servers is empty" in play.printed
    assert set(play.changed.values()) == {0}
    assert "Gathering Facts" not in play.printed


def test_both_lines_are_measured_and_the_centre_shows_it(first: Site) -> None:
    """Each by its own way: what comes of a line fits the rate that this line is shaped to."""
    for isp in ISPS:
        eventually(
            lambda isp=isp: _rates(first, isp.name),  # type: ignore[misc]
            f"a throughput of {isp.name} at the centre",
            within_s=240,
        )
        for rate_bps in _rates(first, isp.name):
            # TCP's share of a full frame is 1448/1514; a loaded machine may take from it.
            assert 0.3 * isp.download_bps < rate_bps < isp.download_bps
    sources = {(row["line"]["id"], row["line"]["interface"]) for row in first.results()}
    assert {(VNPT.name, "eth0"), (VIETTEL.name, "eth1")} <= sources


def test_what_the_handbook_says_is_typed_is_found(first: Site) -> None:
    """By whoever may sudo; and the collector's by its own user, whose the store must stay."""
    finds_programs(first.probe, "tramdo-probe")
    finds_programs(first.centre, "tramdo-collector")
    listed = first.centre.ssh(
        "cd /root && sudo -u tramdo tramdo-collector people list", check=False
    )
    assert listed.returncode == 0, listed.stderr


def test_the_leds_are_green_and_steady(first: Site) -> None:
    """Each seen so, if not all in one look: a line breathes while it is measured."""
    wanted = {"power": "steady", "centre": "steady"}
    for isp in ISPS:
        wanted |= {f"{isp.name}.green": "steady", f"{isp.name}.red": "off"}
    seen: dict[str, str] = {}

    def all_seen() -> bool:
        shown = first.status().get("leds", {})
        seen.update({name: how for name, how in shown.items() if wanted[name] == how})
        return seen == wanted

    try:
        eventually(all_seen, f"{wanted}", within_s=180)
    except AssertionError as error:
        pytest.fail(f"{error}; seen {seen}, last {first.status()}")
    assert first.status()["leds_driver"] == "simulated"


def test_the_doctor_finds_nothing_to_mend(first: Site) -> None:
    """As a technician asks it on the box; what the playbook's end has told is the same."""
    asked = first.probe.ssh("/opt/tramdo/venv/bin/tramdo-probe doctor --json", check=False)
    report = json.loads(asked.stdout)
    faults = [one for one in report["findings"] if one["verdict"] == "bad"]
    assert (asked.returncode, report["well"], faults) == (0, True, []), asked.stdout
    good = {one["part"] for one in report["findings"] if one["verdict"] == "good"}
    wanted = {f"line {isp.name}" for isp in ISPS} | {"our certificate", "daemon", "leds", "disk"}
    assert wanted <= good, asked.stdout
    assert any(part.startswith("broker") for part in good)


def test_the_centre_asks_the_probe_to_identify_itself(first: Site) -> None:
    """By a user of its own at the broker: the collector that runs beside it stays connected."""
    lost = "journalctl -u tramdo-collector -o cat | grep -c 'no connection to the broker'"
    before = first.centre.ssh(lost, check=False).stdout
    command = (
        "runuser -u tramdo -- /opt/tramdo/venv/bin/tramdo-collector command "
        f"-c /etc/tramdo/collector.toml {TENANT}/{PROBE} identify --for 2 --json"
    )
    asked = first.centre.ssh(command, check=False)
    assert asked.returncode == 0, asked.stderr
    assert json.loads(asked.stdout)["reply"]["answer"] == "done"
    assert first.centre.ssh(lost, check=False).stdout == before


def test_pins_that_nothing_here_can_drive_are_told_and_stop_nothing(first: Site) -> None:
    """Debian has no lgpio, on this architecture no release either, and this is no Pi."""
    pins = ("--tags", "probe", "--limit", PROBE, "-e", '{"probe_leds": {"driver": "gpio"}}')
    play = first.play("site.yml", *pins)
    assert play.code == 0, play.printed[-6000:]
    assert f"{PROBE}: leds: the daemon cannot drive the pins" in play.printed, play.printed[-6000:]
    assert "Python does not find lgpio" in play.printed
    assert first.status()["status"]["connected"]


def test_a_line_breaks_beyond_the_gateway(first: Site) -> None:
    """And stays so for the next chapters, a restart among them."""
    first.break_beyond(VIETTEL)


def test_each_line_has_its_own_table(first: Site) -> None:
    """One by its fixed address, one by DHCP; and the main table knows both."""
    for table, isp in enumerate(ISPS, 101):
        shown = first.probe.ssh(f"ip route show table {table}").stdout
        assert f"default via {isp.gateway} dev {isp.interface}" in shown
        way = first.probe.ssh(f"ip route get {CENTRE_ADDRESS} oif {isp.interface}").stdout
        assert f"via {isp.gateway} dev {isp.interface}" in way
    if not NETWORKMANAGER:
        shown = first.probe.ssh("networkctl status eth0").stdout
        assert "/etc/systemd/network/05-tramdo-vnpt.network" in shown
        # No systemd-resolved there, but networkd knows whom this line would ask.
        assert re.search(rf"DNS: {re.escape(VNPT.gateway)}", shown), shown
    main = first.probe.ssh("ip route show default").stdout
    assert re.findall(r"via (\S+)", main) == [isp.gateway for isp in ISPS]


def test_nothing_is_open_on_the_probe(first: Site) -> None:
    """Seen from an ISP's router: SSH listens, and does not answer there."""
    for isp in ISPS:
        router = first.isps[isp.name]
        shown = first.probe.ssh(f"ip -4 -o addr show dev {isp.interface}").stdout
        address = re.findall(r"inet (\S+)/", shown)[0]
        knock = f"import socket; socket.create_connection(('{address}', 22), 2)"
        tried = router.run(["python3", "-c", knock], check=False)
        assert "timed out" in tried.stderr, tried
        assert router.run(["ping", "-c1", "-W5", address], check=False).returncode == 0


def test_the_sandbox_holds_from_inside(first: Site) -> None:
    pid = _main_pid(first)
    status = first.probe.ssh(f"cat /proc/{pid}/status").stdout
    for line in ("NoNewPrivs:\t1", "CapEff:\t0000000000000000", "Seccomp:\t2"):
        assert line in status
    user = first.probe.ssh(f"ps -o user= -p {pid}").stdout.strip()
    assert user == "tramdo"
    inside = f"nsenter -t {pid} -m -- "
    for path, allowed in (
        ("/var/lib/tramdo-probe", True), ("/run/tramdo-probe", True), ("/tmp", True),
        ("/etc/tramdo", False), ("/opt/tramdo", False), ("/usr", False), ("/var/lib", False),
    ):  # fmt: skip
        tried = first.probe.ssh(f"{inside}sh -c 'echo > {path}/x && rm {path}/x'", check=False)
        assert (tried.returncode == 0) is allowed, (path, tried.stderr)
    assert first.probe.ssh("ls -A /root").stdout, "there is something to hide"
    assert first.probe.ssh(f"{inside}ls -A /root", check=False).stdout == ""
    # A device that the machine has: open to root outside the unit's cgroup, closed within.
    device = "python3 -c 'import os; os.open(\"/dev/net/tun\", os.O_RDWR)'"
    group = f"/sys/fs/cgroup/system.slice/{_UNIT}/cgroup.procs"
    assert first.probe.ssh(device, check=False).returncode == 0
    closed = first.probe.ssh(f"echo $$ > {group} && exec {device}", check=False)
    assert "Operation not permitted" in closed.stderr, closed


def test_the_log_is_in_memory_and_bounded(first: Site) -> None:
    first.probe.ssh("logger --tag tramdo-test here && journalctl --sync")
    for folder, found in (("/run/log/journal", True), ("/var/log/journal", False)):
        listed = first.probe.ssh(f"journalctl -q -D {folder} -t tramdo-test", check=False).stdout
        assert ("here" in listed) is found, folder
    settings = first.probe.ssh("systemd-analyze cat-config systemd/journald.conf").stdout
    assert "RuntimeMaxUse=32M" in settings


def test_no_start_waits_for_ever_for_the_clock(first: Site) -> None:
    asked = "systemctl show -P TimeoutStartUSec systemd-time-wait-sync.service"
    assert first.probe.ssh(asked).stdout == "1min 30s\n"


def test_a_change_is_foretold_then_made_and_restarts_only_what_changed(first: Site) -> None:
    before, pid = first.probe.ssh(f"sha256sum < {PROBE_TOML}").stdout, _main_pid(first)
    option = '{"probe_site": {"commune_code": "01969", "office": "Trụ sở mới"}}'
    limited = ("--limit", PROBE, "--tags", "probe", "--extra-vars", option, *_NO_DOCTOR)
    foretold = first.play("site.yml", "--check", *limited)
    assert foretold.changed == {PROBE: 1}, changes(foretold.printed)
    assert first.probe.ssh(f"sha256sum < {PROBE_TOML}").stdout == before
    made = first.play("site.yml", *limited)
    assert made.code == 0, made.printed[-6000:]
    # The file and the reload; nothing else, and no restart.
    assert made.changed == {PROBE: 2}, changes(made.printed)
    assert "Trụ sở mới" in first.probe.ssh(f"cat {PROBE_TOML}").stdout
    eventually(lambda: first.status()["status"]["connected"], "it is back at the broker")
    # Not deactivating: systemd would kill it in a while.
    assert first.probe.ssh(f"systemctl show -P ActiveState {_UNIT}").stdout == "active\n"
    assert _main_pid(first) == pid


def test_new_programs_are_used_by_a_restart(first: Site, tmp_path: Path) -> None:
    """A release of another name, of the same wheels: the link leads to it, the probe runs it."""
    pid = _main_pid(first)
    folder = tmp_path / "wheelhouse"
    shutil.copytree(wheels(), folder, ignore=shutil.ignore_patterns("downloads"))
    for stamp in folder.rglob("probe.tar.release"):
        stamp.write_text("0.1.0-another\n", encoding="utf-8")
    play = first.play(
        *("site.yml", "--limit", PROBE, "-e", f"software_wheelhouse={folder}", *_NO_DOCTOR)
    )
    assert play.code == 0, play.printed[-6000:]
    assert "0.1.0-another" in first.probe.ssh("readlink /opt/tramdo/venv").stdout
    assert _main_pid(first) not in {0, pid}
    delivers(first)


def test_the_line_comes_back(first: Site) -> None:
    """After a whole minute without it. That it is up again takes another, in the next chapters."""
    whole_minute_s = (first.broke_at_s[VIETTEL.name] // 60 + 2) * 60
    time.sleep(max(whole_minute_s + 5 - time.time(), 0))
    first.mend_beyond(VIETTEL)


def test_settings_that_the_probe_refuses_are_not_installed(first: Site) -> None:
    before = first.probe.ssh(f"sha256sum < {PROBE_TOML}").stdout
    latency = {"icmp_targets": [ANOTHER_ADDRESS]}
    play = first.play(
        *("site.yml", "--limit", PROBE, "--tags", "probe"),
        *("--extra-vars", json.dumps({"probe_settings": {"plan": {"no": 1}, "latency": latency}})),
    )
    assert play.failed == {PROBE: 1}
    assert "failed to validate" in play.printed
    assert first.probe.ssh(f"sha256sum < {PROBE_TOML}").stdout == before
    assert first.status()["status"]["connected"]


def test_a_technician_s_way_in_opens_by_decision_and_ends_by_itself(first: Site) -> None:
    unit = "tramdo-tunnel.service"
    assert first.probe.ssh(f"systemctl cat {unit}", check=False).returncode != 0, "off by default"
    host_key = first.centre.ssh("cut -d' ' -f1,2 /etc/ssh/ssh_host_ed25519_key.pub").stdout.strip()
    first.tunnel = {
        "tunnel_until": f"{datetime.now(UTC) + timedelta(hours=1):%Y-%m-%dT%H:%M}+00:00",
        "tunnel_host": CENTRE_ADDRESS, "tunnel_host_key": host_key,
    }  # fmt: skip
    play = first.play("site.yml", "--tags", "tunnel,rescue")
    assert play.code == 0, play.printed[-6000:]
    (port,) = re.findall(rf"{PROBE}: ssh -J centre -p (\d+) ", play.printed)
    eventually(lambda: _speaks_ssh(first, port), "the box's SSH on the rescue host's loopback")
    # The same key opens no shell there, and no other port.
    ssh = (
        "runuser -u tramdo-tunnel -- timeout 30 ssh -F none -i /etc/tramdo/probe.key "
        "-o UserKnownHostsFile=/etc/tramdo-tunnel/known_hosts -o BatchMode=yes "
        "-o ExitOnForwardFailure=yes {} tramdo-rescue@" + CENTRE_ADDRESS
    )
    shell = first.probe.ssh(f"{ssh.format('')} id", check=False)
    assert shell.returncode == 1, shell.stderr
    assert "uid=" not in shell.stdout
    other = first.probe.ssh(ssh.format("-N -R 127.0.0.1:19999:127.0.0.1:22"), check=False)
    assert "remote port forwarding failed" in other.stderr, other.stderr
    end = f"/etc/systemd/system/{unit}.d/60-tramdo.conf"
    first.probe.ssh(
        f"sed -i s/UNTIL=.*/UNTIL=$(( $(date +%s) + 4 ))/ {end} && systemctl daemon-reload && "
        f"systemctl restart {unit}"
    )
    state = f"systemctl show -P ActiveState {unit}"
    eventually(lambda: first.probe.ssh(state).stdout == "inactive\n", "its time is over")
    assert not _speaks_ssh(first, port)
    first.tunnel = {}
    closed = first.play("site.yml", "--tags", "tunnel,rescue")
    assert closed.code == 0, closed.printed[-6000:]
    assert first.probe.ssh(f"systemctl cat {unit}", check=False).returncode != 0
    listed = first.centre.ssh("cat /etc/ssh/tramdo-rescue/authorized_keys").stdout
    assert "permitlisten" not in listed


def test_the_outage_is_told_with_its_begin_its_end_and_the_place_of_the_fault(first: Site) -> None:
    broke_s, mended_s = (at[VIETTEL.name] for at in (first.broke_at_s, first.mended_at_s))
    try:
        eventually(lambda: _outages(first), "the outage at the centre", within_s=240)
    except AssertionError as error:
        minutes = [row for row in first.results() if row["kind"] == "availability"]
        pytest.fail(f"{error}; broken {broke_s}, mended {mended_s}, told: {minutes}")
    (outage,) = _outages(first)
    assert outage["line"]["id"] == VIETTEL.name
    values = outage["values"]
    began_s, ended_s = (
        datetime.fromisoformat(values[name]).timestamp() for name in ("began_at", "ended_at")
    )
    # To the minute: a minute is down where nothing beyond answered in all of it.
    assert broke_s - 60 <= began_s <= broke_s + 120
    assert mended_s - 120 <= ended_s <= mended_s + 60
    assert values["down_minutes"] >= 1
    assert values["own_lan_minutes"] == 0
    paths = [row for row in first.results() if row["kind"] == "path"]
    assert values["fault"] == "isp_access", paths


def test_killed_it_comes_back_by_itself(first: Site) -> None:
    pid = _main_pid(first)
    first.probe.ssh(f"kill -9 {pid}")
    eventually(lambda: _main_pid(first) not in {0, pid}, "systemd starts it anew")
    delivers(first)


def test_a_full_disk_stops_nothing(first: Site) -> None:
    """The outbox on a disk of its own, which is filled up: it goes on, and delivers after that."""
    state = "/var/lib/tramdo-probe"
    first.probe.ssh(
        f"systemctl stop {_UNIT} && mount -t tmpfs -o size=4M,mode=700 tmpfs {state} && "
        f"chown tramdo:tramdo {state} && systemctl start {_UNIT}"
    )
    delivers(first)
    pid = _main_pid(first)
    full = first.probe.ssh(f"dd if=/dev/zero of={state}/filler bs=4k; df {state} | tail -1")
    assert "100%" in full.stdout
    seen = first.status()["written_at"]
    eventually(lambda: first.status().get("written_at", seen) > seen, "it goes on showing")
    eventually(
        lambda: first.status()["status"]["faults"] or first.status()["status"]["pending"] > 0,
        "it says that the disk is full, or what waits",
        within_s=60,
    )
    first.probe.ssh(f"rm {state}/filler")
    delivers(first)
    assert _main_pid(first) == pid, "it never ended"
    first.probe.ssh(f"systemctl stop {_UNIT} && umount {state} && systemctl start {_UNIT}")


def test_a_power_cut_costs_nothing_and_all_is_there_after_the_start(first: Site) -> None:
    first.probe.cut_power()
    first.start_again("probe")
    assert first.probe.ssh("sysctl -n net.ipv4.ping_group_range").stdout.split() == [
        "0", "2147483647",
    ]  # fmt: skip
    assert "policy drop" in first.probe.ssh("nft list ruleset").stdout
    delivers(first)
    for isp in ISPS:
        ask = f"ip route get {CENTRE_ADDRESS} oif {isp.interface}"
        eventually(
            lambda isp=isp, ask=ask: f"via {isp.gateway}" in first.probe.ssh(ask).stdout,  # type: ignore[misc]
            f"the way out by {isp.name}",
        )


def test_the_centre_answers_boxes(first: Site, published: Releases) -> None:
    """The authority moves there from the laptop; what boxes are told comes with the playbook."""
    published.publish(RELEASE)
    first.is_fleet = True
    first.centre.copy_in(first.folder / ".tramdo/authority", f"{FLEET_HOME}/authority")
    play = first.play("site.yml", "--limit", "centre", "--tags", "fleet_centre")
    assert play.code == 0, play.printed[-6000:]
    eventually(lambda: _asks(first, "channel").returncode == 0, "it answers the probe")
    said = json.loads(_asks(first, "channel").stdout)
    assert f'"release":"{RELEASE}"' in base64.b64decode(said["payload"]).decode()
    pid = first.centre.ssh("systemctl show -P MainPID tramdo-fleet-serve").stdout.strip()
    status = first.centre.ssh(f"ps -o user= -p {pid}; cat /proc/{pid}/status").stdout
    for line in ("tramdo-fleet\n", "NoNewPrivs:\t1", "CapEff:\t0000000000000000", "Seccomp:\t2"):
        assert line in status
    key = first.centre.ssh(f"stat -c '%U %a' {FLEET_HOME}/authority/ca.key").stdout
    assert key == "tramdo-fleet 600\n"
    again = first.play("fleet.yml")
    assert again.changed == {"centre": 0}, changes(again.printed)


def _speaks_ssh(site: Site, port: str) -> bool:
    """Whether an SSH server answers on the centre's loopback."""
    ask = f"import socket; print(socket.create_connection(('127.0.0.1', {port}), 5).recv(4))"
    return "SSH-" in site.centre.ssh(f'python3 -c "{ask}"', check=False).stdout


def _asks(site: Site, what: str) -> subprocess.CompletedProcess[str]:
    url = f"https://{CENTRE_ADDRESS}:8443/v1/{what}"
    ask = (
        "import ssl, urllib.request as u; "
        "c = ssl.create_default_context(cafile='/etc/tramdo/ca.pem'); "
        f"print(u.urlopen('{url}', context=c, timeout=5).read().decode())"
    )
    return site.probe.ssh(f'python3 -c "{ask}"', check=False)


def _outages(site: Site) -> list[Mapping[str, Any]]:
    return [row for row in site.results() if row["kind"] == "outage"]


def _rates(site: Site, line: str) -> list[float]:
    return [
        row["values"]["download_bps"] for row in site.results()
        if row["line"]["id"] == line and row["kind"] == "throughput" and row["outcome"] == "ok"
    ]  # fmt: skip


def _main_pid(site: Site) -> int:
    return int(site.probe.ssh(f"systemctl show -P MainPID {_UNIT}").stdout)
