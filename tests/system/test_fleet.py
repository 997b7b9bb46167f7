"""A box and its centre over real TLS: what is refused, each way of a release, and the way back.

A whole box, from its seed to the release that it gives up, is booted in tests/fleet.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from msgspec import structs

from deploy.authority import authority, folder
from deploy.authority.authority import Authority
from deploy.authority.register import Reason
from deploy.fleet import channel, signature
from deploy.fleet.box import Box, load
from deploy.fleet.cli import FIRST_BOOT
from deploy.fleet.client import FleetError
from tests.fleet_centre import FLEET, ROOT, FleetCentre, box_settings, put_into_use, run
from tests.unit.test_fleet_channel import NOW

PROBE = "phu-thong-01"


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FleetCentre]:
    with FleetCentre(tmp_path_factory.mktemp("centre")) as running:
        yield running


def token_file(config: Path, token: str) -> Path:
    path = config.with_name("enrol.token")
    path.touch(0o600)
    path.write_text(token + "\n", encoding="utf-8")
    return path


def enrolled(directory: Path, fleet: FleetCentre, probe: str) -> Path:
    config = box_settings(directory, fleet, probe)
    token_file(config, fleet.token(probe))
    assert "is enrolled" in run("enrol", "--config", str(config))
    return config


def test_a_token_opens_the_door_once(tmp_path: Path, fleet: FleetCentre) -> None:
    config = box_settings(tmp_path / "box", fleet, "enrol-01")
    token = fleet.token("enrol-01")
    path = token_file(config, token)
    assert "its key has never left this box" in run("enrol", "--config", str(config))
    assert not path.exists()
    certificate = x509.load_pem_x509_certificate(config.with_name("probe.pem").read_bytes())
    assert certificate.subject.rfc4514_string() == "CN=enrol-01"
    assert config.with_name("probe.key").stat().st_mode & 0o077 == 0
    assert "enrolled already" in run("enrol", "--config", str(config))

    thief = box_settings(tmp_path / "thief", fleet, "enrol-01")
    token_file(thief, token)
    assert "HTTP 403" in run("enrol", "--config", str(thief), expect=1)
    assert "the token of enrol-01 has been used" in fleet.log
    assert not thief.with_name("probe.pem").exists()


def test_a_token_that_others_can_read_or_that_is_wrong_is_refused(
    tmp_path: Path, fleet: FleetCentre
) -> None:
    config = box_settings(tmp_path, fleet, "enrol-02")
    path = token_file(config, "0123456789-not-a-token")
    assert "HTTP 403" in run("enrol", "--config", str(config), expect=1)
    path.chmod(0o644)
    assert "can be read by others" in run("enrol", "--config", str(config), expect=1)


def test_a_token_s_box_cannot_ask_for_another_name(tmp_path: Path, fleet: FleetCentre) -> None:
    key, csr = tmp_path / "k.key", tmp_path / "k.csr"
    authority.request(key, csr, "cam-giang-01", None)
    body = {"probe": "enrol-03", "token": fleet.token("enrol-03"), "csr": csr.read_text()}
    done = subprocess.run(
        ["curl", "-s", "--cacert", str(fleet.authority / "ca.pem"), "-w", "%{http_code}",
         "-d", json.dumps(body), f"{fleet.url}/v1/enrol"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.endswith("403")
    assert "enrol-03 sent a request for cam-giang-01" in fleet.log
    assert "cam-giang-01" not in done.stdout


def test_oversized_and_garbled_requests_are_refused(fleet: FleetCentre) -> None:
    for body, status in (("x" * 20_000, "413"), ("{}", "403"), ("\x00", "403")):
        done = subprocess.run(
            ["curl", "-s", "--cacert", str(fleet.authority / "ca.pem"), "-w", "%{http_code}",
             "--data-binary", "@-", f"{fleet.url}/v1/renew"],
            input=body, capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert done.stdout.endswith(status)


def test_a_known_key_renews_and_a_revoked_one_does_not(tmp_path: Path, fleet: FleetCentre) -> None:
    config = enrolled(tmp_path, fleet, "renew-01")
    box = Box(load(config))
    before = config.with_name("probe.pem").read_bytes()
    assert box.renew() is None
    # A certificate is for 730 days: 728 and a part of one are left, whatever the hour.
    assert Box(structs.replace(load(config), renew_days=727)).renew() is None
    box = Box(structs.replace(load(config), renew_days=730))
    assert "renewed" in (box.renew() or "")
    assert config.with_name("probe.pem").read_bytes() != before
    Authority(fleet.authority).revoke("renew-01", Reason.KEY_COMPROMISE, NOW)
    with pytest.raises(FleetError, match="HTTP 403"):
        box.renew()
    assert "no valid certificate of renew-01 has this key" in fleet.log


def test_a_box_whose_certificate_file_is_lost_has_it_again_at_the_next_pull(
    tmp_path: Path, fleet: FleetCentre
) -> None:
    """A card that broke a file: the key that the centre knows is there still."""
    config = enrolled(tmp_path, fleet, "lost-01")
    put_into_use(tmp_path, "0.1.0")
    fleet.publish("0.1.0", well=True)
    certificate, key = config.with_name("probe.pem"), config.with_name("probe.key")
    before = key.read_bytes()
    for spoil in (certificate.unlink, lambda: certificate.write_bytes(b"\0" * 700)):
        spoil()
        assert "the certificate is renewed" in run("pull", "--config", str(config))
        renewed = x509.load_pem_x509_certificate(certificate.read_bytes())
        assert renewed.subject.rfc4514_string() == "CN=lost-01"
    assert key.read_bytes() == before

    # Without the key nobody could tell the box from another one: a person gives a new token.
    certificate.unlink()
    key.unlink()
    assert "enrol it anew, with a new token" in run("pull", "--config", str(config), expect=1)
    assert not key.exists(), "a key that the centre does not know would only hide it"


def test_a_box_whose_state_file_is_damaged_begins_anew(tmp_path: Path, fleet: FleetCentre) -> None:
    config = enrolled(tmp_path, fleet, "damaged-01")
    put_into_use(tmp_path, "0.1.1")
    fleet.publish("0.1.1", well=True)
    assert "runs 0.1.1 already" in run("pull", "--config", str(config))
    state = tmp_path / "state" / "state.json"
    for damage in (b"", b"\0" * 200, b'{"good": '):
        state.write_bytes(damage)
        assert "no trial was interrupted" in run("recover", "--config", str(config))
        assert state.with_name("state.json.damaged").read_bytes() == damage
        assert "runs 0.1.1 already" in run("pull", "--config", str(config))
        assert json.loads(state.read_bytes())["channel_number"] == fleet.channel.number


def test_a_box_is_told_its_own_variables_and_converges_to_them(
    tmp_path: Path, fleet: FleetCentre
) -> None:
    config = enrolled(tmp_path, fleet, "variables-01")
    box = Box(load(config))
    assert "no variables for this box" in (box.fetch_variables() or "")
    assert box.converge() is None
    own = fleet.variables / "variables-01.json"
    own.write_text('{"probe_name": "variables-01"}', encoding="utf-8")
    assert box.fetch_variables() is None
    assert box.converge() is None, "nothing is installed yet"
    put_into_use(tmp_path, "0.1.0")
    assert box.converge() == "the box is what its variables say"
    assert box.converge() is None, "those roles have just run"
    # As Ansible gets them: no string is a template (test_fleet_roles.py).
    assert (tmp_path / "converged").read_text() == '{"probe_name": !unsafe "variables-01"}\n'
    (tmp_path / "opt/releases/0.1.0/ansible").rmdir()
    assert "brought no roles" in (Box(load(config)).converge() or "")
    for hostile, reason in (
        ("- hosts: all\n", "no JSON object"),
        ('{"probe_name": "variables-01", "probe_sources": "/tmp"}', "unknown field"),
        ('{"probe_name": "variables-02"}', "probe_name is variables-02"),
    ):
        own.write_text(hostile, encoding="utf-8")
        with pytest.raises(FleetError, match=reason):
            box.fetch_variables()
    assert (tmp_path / "etc/box.json").read_text() == '{"probe_name": "variables-01"}'


def test_variables_that_cut_the_box_off_are_given_up(tmp_path: Path, fleet: FleetCentre) -> None:
    """A gateway that is none, say. The way out is the authority's file here, which they take."""
    config = enrolled(tmp_path, fleet, "cut-off-01")
    ca, kept = tmp_path / "etc/ca.pem", tmp_path / "etc/kept.pem"
    shutil.copy(ca, kept)
    text = config.read_text()
    way = f"grep -q wrong {{variables}} && : >{ca} || cp {kept} {ca}; test -d {{release}}"
    config.write_text(text.replace("; test -d {release}", f"; {way}"), encoding="utf-8")
    put_into_use(tmp_path, "0.1.0")
    told, box_json = fleet.variables / "cut-off-01.json", tmp_path / "etc/box.json"

    def host(name: str) -> str:
        return json.dumps({"probe_name": "cut-off-01", "tunnel_host": name})

    for name in ("right", "right-too"):
        told.write_text(host(name), encoding="utf-8")
        box = Box(load(config))
        box.fetch_variables()
        assert box.converge() == "the box is what its variables say"
    told.write_text(host("wrong"), encoding="utf-8")
    box = Box(load(config))
    box.fetch_variables()
    with pytest.raises(FleetError, match=r"given up, back on those before: after 2 s: no answer"):
        box.converge()
    assert box_json.read_text() == host("right-too")
    assert box.fetch_variables() is None, "it asks again"
    # The power goes before it has seen that they are wrong: the next pull knows those before.
    shutil.copy(os.devnull, ca)
    box = Box(load(config))
    with pytest.raises(FleetError, match="back on those before"):
        box.converge()
    assert box_json.read_text() == host("right-too")
    assert sorted(path.name for path in box_json.parent.glob("box.json*")) == ["box.json"]


def test_a_release_is_tried_kept_when_well_and_left_when_not(
    tmp_path: Path, fleet: FleetCentre
) -> None:
    config = enrolled(tmp_path, fleet, PROBE)
    root = tmp_path / "opt"
    fleet.publish("0.2.0", well=True)
    assert "runs 0.2.0" in run("pull", "--config", str(config))
    assert os.readlink(root / "venv") == "releases/0.2.0/venv"
    assert "runs 0.2.0 already" in run("pull", "--config", str(config))

    fleet.publish("0.3.0", well=False)
    refused = run("pull", "--config", str(config), expect=1)
    assert "0.3.0 is given up, back on 0.2.0: after 2 s: not connected" in refused
    assert os.readlink(root / "venv") == "releases/0.2.0/venv"
    assert (tmp_path / "restarts").read_text().split() == [
        "releases/0.2.0/venv", "releases/0.3.0/venv", "releases/0.2.0/venv",
    ]  # fmt: skip
    assert "is tried again a day later" in run("pull", "--config", str(config))
    assert "not to blame" not in refused

    # Its ring's turn: 5 % at once, this box by its hash not among them.
    fleet.publish("0.4.0", well=True, ring_days="2")
    assert "the turn for 0.4.0 has not come" in run("pull", "--config", str(config))
    assert "runs 0.4.0" in run("pull", "--now", "--config", str(config))
    assert sorted(path.name for path in (root / "releases").iterdir()) == ["0.4.0"]


def test_a_release_is_not_to_blame_for_what_ails_the_one_before_it_too(
    tmp_path: Path, fleet: FleetCentre
) -> None:
    """Say the broker is away: neither can publish. The day after it is there, and so is the box."""
    config = enrolled(tmp_path, fleet, "not-to-blame-01")
    put_into_use(tmp_path, "0.4.5")
    sound = config.read_text()
    away = sound.replace(str(tmp_path / "opt/venv/bin/tramdo-probe"), "false")
    assert away != sound
    config.write_text(away, encoding="utf-8")
    fleet.publish("0.4.6", well=True)
    refused = run("pull", "--config", str(config), expect=1)
    assert "0.4.6 is given up, back on 0.4.5: after 2 s: " in refused
    assert "it is not to blame, for 0.4.5 does not publish now either: after 2 s: " in refused
    config.write_text(sound, encoding="utf-8")
    assert "is tried again a day later" in run("pull", "--config", str(config))
    fleet.publish("0.4.6", well=True)
    assert "runs 0.4.6" in run("pull", "--config", str(config)), "published anew"


def test_a_box_that_dies_while_it_tries_comes_back_to_the_good_one(
    tmp_path: Path, fleet: FleetCentre
) -> None:
    config = enrolled(tmp_path, fleet, "power-cut-01")
    put_into_use(tmp_path, "0.6.0")
    fleet.publish("0.7.0", well=False)
    text = config.read_text().replace("healthy_within_s = 2.0", "healthy_within_s = 600.0")
    config.write_text(text, encoding="utf-8")
    trial = subprocess.Popen(
        [*FLEET, "pull", "--config", str(config)],
        cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    link = tmp_path / "opt" / "venv"
    try:
        for _ in range(600):
            if os.readlink(link) == "releases/0.7.0/venv":
                break
            try:
                trial.wait(0.1)
            except subprocess.TimeoutExpired:
                continue
        assert os.readlink(link) == "releases/0.7.0/venv"
    finally:
        trial.kill()
        trial.wait()
    assert "0.7.0 is given up, back on 0.6.0" in run("recover", "--config", str(config))
    assert os.readlink(link) == "releases/0.6.0/venv"
    assert "no trial was interrupted" in run("recover", "--config", str(config))


def test_a_channel_by_another_key_and_an_older_one_change_nothing(
    tmp_path: Path, fleet: FleetCentre
) -> None:
    config = enrolled(tmp_path, fleet, "forged-01")
    fleet.publish("0.8.0", well=True)
    old = (fleet.releases / "channel.json").read_bytes()
    fleet.publish("0.9.0", well=True)
    put_into_use(tmp_path, "0.9.0")
    assert "runs 0.9.0 already" in run("pull", "--config", str(config))
    folder.write(fleet.releases / "channel.json", old, folder.PUBLIC)
    assert "was seen before" in run("pull", "--config", str(config), expect=1)
    document = json.loads(old)
    forged = base64.b64decode(document["payload"]).replace(b"0.8.0", b"9.9.9")
    document["payload"] = base64.b64encode(forged).decode()
    folder.write(fleet.releases / "channel.json", json.dumps(document).encode(), folder.PUBLIC)
    assert "signed by another key" in run("pull", "--config", str(config), expect=1)
    folder.write(fleet.releases / "channel.json", old, folder.PUBLIC)
    assert os.readlink(tmp_path / "opt" / "venv") == "releases/0.9.0/venv"


def test_publishing_again_goes_on_with_the_rings_and_the_same_bytes(fleet: FleetCentre) -> None:
    fleet.publish("0.9.5", well=True, ring_days="3")
    before = fleet.channel
    wheelhouse = str(fleet.releases.parent / "wheelhouse-0.9.5")
    again = ["publish", "--wheelhouse", wheelhouse, "--key", str(fleet.key)]
    run(*again, "--releases", str(fleet.releases))
    after = fleet.channel
    assert (after.number, after.rings) == (before.number + 1, before.rings)
    assert after.bundles == before.bundles


def test_the_variables_of_an_inventory_become_a_file_a_box(tmp_path: Path) -> None:
    hosts = tmp_path / "hosts.yml"
    hosts.write_text(
        "all:\n  children:\n    probes:\n      children:\n        bach_thong:\n          hosts:\n"
        "            phu-thong-01: {probe_lines: [{id: vnpt, interface: e}], ansible_user: x}\n"
        "    brokers: {hosts: {broker: {}}}\n",
        encoding="utf-8",
    )
    out = tmp_path / "boxes"
    out.mkdir()
    (out / "gone-01.json").write_text("{}", encoding="utf-8")
    told = ["variables", "--inventory", str(hosts), "--out", str(out)]
    assert run(*told).startswith("1 boxes, 1 changed")
    assert run(*told).startswith("1 boxes, 0 changed")
    assert json.loads((out / "phu-thong-01.json").read_text()) == {
        "probe_lines": [{"id": "vnpt", "interface": "e"}],
        "probe_name": "phu-thong-01",
    }
    assert [path.name for path in out.iterdir()] == ["phu-thong-01.json"]
    hosts.write_text("probes: {hosts: {Phu_Thong: {}}}\n", encoding="utf-8")
    assert "'Phu_Thong' is no probe's name" in run(*told, expect=2)


def test_boxes_are_told_nothing_that_cannot_work(tmp_path: Path) -> None:
    """Of boxes that set themselves up, each with a connection of its own: the nation's."""
    shared = {
        "ansible_connection": "local", "probe_tenant": "vn", "base_ssh_from": [],
        "probe_site": {"commune_code": "01969", "office": "Trụ sở"},
        "probe_lines": [{"id": "vnpt", "isp": "VNPT", "interface": "eth0"}],
        "probe_servers": [{"name": name, "host": f"{name}.vn"} for name in ("hn-1", "hcm-1")],
        "probe_broker": {"host": "broker.vn"}, "probe_name": "{{ inventory_hostname }}",
    }  # fmt: skip
    hosts: dict[str, dict[str, object]] = {"phu-thong-01": {}, "cam-giang-01": {}}
    book = tmp_path / "inventory.json"

    def told() -> subprocess.CompletedProcess[str]:
        book.write_text(json.dumps({"probes": {"vars": shared, "hosts": hosts}}), encoding="utf-8")
        return subprocess.run(
            [sys.executable, "-m", "ansible", "playbook", "-i", str(book), "fleet.yml"],
            cwd=ROOT / "ansible", env=os.environ | {"ANSIBLE_NOCOLOR": "1", "HOME": str(tmp_path)},
            capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip

    sound = told()
    assert sound.returncode == 0, sound.stdout
    assert "Tell boxes what they shall be" in sound.stdout
    for host in hosts:
        hosts[host] = {"probe_servers": []}
    refused = told()
    assert refused.returncode != 0
    for host in hosts:
        assert f"{host}: probe_servers is empty" in refused.stdout
    assert "Tell boxes what they shall be" not in refused.stdout


def test_a_bundle_that_was_exchanged_is_not_installed(tmp_path: Path, fleet: FleetCentre) -> None:
    config = enrolled(tmp_path, fleet, "exchanged-01")
    fleet.publish("1.0.0", well=True)
    (said,) = fleet.channel.bundles.values()
    bundle = fleet.releases / "bundles" / said.sha256
    good = bundle.read_bytes()
    for content in (good[:-1] + b"x", good + b"more", good[:100]):
        bundle.write_bytes(content)
        assert "not the one that was signed" in run("pull", "--config", str(config), expect=1)
    assert not (tmp_path / "opt" / "venv").exists()
    bundle.write_bytes(good)


def test_the_first_boot_script_believes_no_other_key(tmp_path: Path, fleet: FleetCentre) -> None:
    config = box_settings(tmp_path, fleet, "first-boot-02")
    fleet.publish("1.2.0", well=True)
    run("key", "--out", str(tmp_path / "other.key"))
    config.with_name("release.pub").write_bytes((tmp_path / "other.key.pub").read_bytes())
    environment = os.environ | {
        "TRAMDO_ETC": str(config.parent),
        "TRAMDO_ROOT": str(tmp_path / "opt"),
    }
    done = subprocess.run(
        [FIRST_BOOT], env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 1
    assert "the channel's signature is wrong" in done.stdout
    assert not (tmp_path / "opt" / "venv").exists()


def test_the_first_boot_script_believes_no_word_that_has_ended(
    tmp_path: Path, fleet: FleetCentre
) -> None:
    """As `pull`: an old channel, rightly signed, is what somebody could play back."""
    config = box_settings(tmp_path, fleet, "first-boot-03")
    fleet.publish("1.3.0", well=True)
    sound = (fleet.releases / "channel.json").read_bytes()
    ended = structs.replace(fleet.channel, expires_at=NOW)
    old = signature.sign(channel.encode(ended), fleet.key.read_bytes())
    folder.write(fleet.releases / "channel.json", old, folder.PUBLIC)
    environment = os.environ | {
        "TRAMDO_ETC": str(config.parent),
        "TRAMDO_ROOT": str(tmp_path / "opt"),
    }
    done = subprocess.run(
        [FIRST_BOOT], env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    folder.write(fleet.releases / "channel.json", sound, folder.PUBLIC)
    assert done.returncode == 1
    assert f"the channel's word ended at {NOW:%Y-%m-%d %H:%M} UTC" in done.stderr
    assert not (tmp_path / "opt" / "venv").exists()
