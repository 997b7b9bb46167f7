"""The seed: cloud-init files that say what they should, and hold one secret that works once."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import yaml

from deploy.fleet import seed
from deploy.fleet.cli import FIRST_BOOT
from deploy.fleet.seed import SeedSettings
from runtime import settings
from runtime.settings import SettingsError

EXAMPLE = Path(__file__).parents[2] / "deploy/image/example.toml"
_AGAIN = "tramdo-first-boot.service"
TOKEN = "one-shot-token-0123456789"


def example(old: str = "", new: str = "") -> SeedSettings:
    text = EXAMPLE.read_text(encoding="utf-8")
    assert old in text
    return settings.parse(text.replace(old, new, 1).encode(), SeedSettings, "seed.toml")


def made(probe: str = "phu-thong-01") -> seed.Seed:
    script = FIRST_BOOT.read_text(encoding="utf-8")
    return seed.make(example(), probe, TOKEN, "CA\nPEM\n", "PUB\nPEM\n", script)


def test_user_data_is_cloud_config_with_the_files_and_their_modes() -> None:
    text = made().user_data
    assert text.startswith("#cloud-config\n")
    document = yaml.safe_load(text)
    files = {one["path"]: one for one in document["write_files"]}
    assert files["/etc/tramdo/enrol.token"]["content"].strip() == TOKEN
    assert files["/etc/tramdo/enrol.token"]["permissions"] == "0600"
    script = files["/usr/local/sbin/tramdo-first-boot"]
    assert script["content"] == FIRST_BOOT.read_text(encoding="utf-8")
    assert script["permissions"] == "0755"
    assert files["/etc/tramdo/packages"]["content"].split() == document["packages"]
    # In this order: a first boot that fails must be one that somebody can look into.
    assert document["runcmd"] == [
        ["systemctl", "enable", "--now", "ssh"], ["/usr/local/sbin/tramdo-first-boot"],
    ]  # fmt: skip
    assert document["users"][0]["lock_passwd"] is True
    assert document["ssh_pwauth"] is False


def test_a_first_boot_that_fails_is_tried_again_until_it_is_done(tmp_path: Path) -> None:
    tools, calls, units = tmp_path / "bin", tmp_path / "calls", tmp_path / "units"
    etc, program = tmp_path / "etc", tmp_path / "opt" / "venv" / "bin" / "tramdo-fleet"
    shipped = tmp_path / "opt" / "systemd"
    for folder in (tools, units, etc, program.parent, shipped):
        folder.mkdir(parents=True)
    fetch = {"tramdo-fleet-fetch.socket", "tramdo-fleet-fetch@.service"}
    for name in fetch:
        (shipped / name).touch()
    # No group is made on the machine that tests.
    (etc / "fleet.toml").write_text('url = "https://fleet.example.vn"\nkey_group = ""\n')
    (etc / "packages").write_text("bash\n")
    for path, script in (
        (tools / "systemctl", f'#!/bin/sh\necho "$@" >>{calls}\n'),
        (program, f'#!/bin/sh\n[ "$1" = enrol ] || [ -e {tmp_path}/line-is-up ]\n'),
    ):
        path.write_text(script)
        path.chmod(0o755)
    environment = os.environ | {
        "PATH": f"{tools}:{os.environ['PATH']}",
        "TRAMDO_ETC": str(etc),
        "TRAMDO_ROOT": str(tmp_path / "opt"),
        "TRAMDO_BOOT": str(tmp_path / "boot"),
        "TRAMDO_UNITS": str(units),
    }
    told = []
    for again in ("", "1"):
        done = subprocess.run([FIRST_BOOT], env=environment | {"TRAMDO_AGAIN": again}, check=False)
        assert done.returncode == 1
        assert {path.name for path in units.iterdir()} - fetch == {"tramdo-first-boot.service"}
        own = [line for line in calls.read_text().splitlines() if "first-boot" in line]
        told.append(own[-1])
    assert told == ["start --no-block tramdo-first-boot.service", f"enable --quiet {_AGAIN}"]
    (tmp_path / "line-is-up").touch()
    subprocess.run([FIRST_BOOT], env=environment, check=True)
    assert {path.name for path in units.iterdir()} == fetch
    assert f"disable --quiet {_AGAIN}" in calls.read_text()


def test_the_token_is_the_only_secret_and_stands_in_one_place() -> None:
    one = made()
    assert one.user_data.count(TOKEN) == 1
    assert TOKEN not in one.network_config + one.meta_data
    assert "PRIVATE" not in one.user_data


def test_each_line_has_its_socket_and_the_first_is_the_way_out() -> None:
    ethernets = yaml.safe_load(made().network_config)["ethernets"]
    assert ethernets["eth0"]["routes"] == [{"to": "0.0.0.0/0", "via": "192.168.1.1", "metric": 100}]
    assert ethernets["eth1"]["dhcp4-overrides"] == {"route-metric": 200}
    assert all(one["optional"] for one in ethernets.values())


def test_a_new_seed_is_a_new_instance_so_that_cloud_init_runs_again() -> None:
    other = seed.make(example(), "phu-thong-01", "other-token-0123", "", "", "")
    assert other.meta_data != made().meta_data


def test_a_probe_that_is_not_in_the_settings_is_named_with_those_that_are() -> None:
    with pytest.raises(ValueError, match=r"lines\.nowhere.*cam-giang-01, phu-thong-01"):
        made("nowhere")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("https://", "http://", "url"),
        ('"192.168.1.1"\nnameservers', '"10.0.0.1"\nnameservers', "not in the network"),
        ('gateway = "192.168.1.1"\n', "", "come together"),
        ("ssh-ed25519", "password", "no OpenSSH public key"),
        ("phu-thong-01", "Phu_Thong", "Phu_Thong"),
    ],
)
def test_a_mistake_is_told_with_its_place(old: str, new: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        example(old, new)
