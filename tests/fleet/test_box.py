"""A box behind NAT on freshly booted systems: its card's seed, a bad release, its certificate.

One story beside that of test_site.py, whose technician comes in by SSH: here nobody comes in to
set the box up. Each test is a chapter and builds on those before it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import msgspec
import pytest
import yaml

from deploy.fleet import seed
from tests.fleet import root
from tests.fleet.looks import changes, delivers, finds_programs, shows_no_secret
from tests.fleet.release import Releases
from tests.fleet.site import (
    ALREADY_THERE,
    CENTRE_ADDRESS,
    FLEET_HOME,
    ISPS,
    PROBE,
    VIETTEL,
    Site,
    eventually,
    make_wheels,
    wheels,
)

GOOD, BAD = "0.2.0", "0.3.0"
# As images have it: what has a cable asks for an address. The roles' own files come before it.
_IMAGE_S_NETWORK = "[Match]\nName={}\n[Network]\nDHCP=yes\n"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    if (reason := root.why_not()) is not None:
        pytest.skip(reason)
    make_wheels()
    with Site(tmp_path_factory.mktemp("box"), root.prepared(ALREADY_THERE)) as booted:
        yield booted


@pytest.fixture(scope="module")
def published(site: Site) -> Releases:
    return Releases(site.folder, wheels())


@pytest.fixture(scope="module")
def fleet(site: Site, published: Releases) -> Site:
    """The centre alone, with the authority on it, and a release that boxes shall run."""
    published.publish(GOOD)
    site.is_fleet = True
    play = site.play("site.yml", "--limit", "centre")
    assert play.code == 0, play.printed[-6000:]
    shows_no_secret(site, play)
    return site


def test_a_new_card_becomes_the_probe_by_its_seed_alone(fleet: Site) -> None:
    """What cloud-init does with the seed, then the first boot's own script: nobody comes in."""
    fleet.probe.write(
        "/etc/systemd/network/90-image.network", _IMAGE_S_NETWORK.format(VIETTEL.interface)
    )
    fleet.probe.ssh("networkctl reload")
    token = _sow(fleet)
    fleet.probe.ssh(
        "DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends "
        + " ".join(seed.PACKAGES),
    )
    fleet.probe.ssh("/usr/local/sbin/tramdo-first-boot", limit_s=600)
    assert fleet.probe.ssh("readlink /opt/tramdo/venv").stdout == f"releases/{GOOD}/venv\n"
    delivers(fleet)
    assert fleet.status()["version"] == GOOD
    # Its own roles have run: what they installed pulls from now on.
    assert fleet.probe.ssh("systemctl is-enabled tramdo-fleet-pull.timer").stdout == "enabled\n"
    assert fleet.probe.ssh("systemctl is-enabled ssh").stdout == "enabled\n"
    finds_programs(fleet.probe, "tramdo-probe")
    # The token is burnt, here and at the centre, which never kept it.
    assert fleet.probe.ssh("test -e /etc/tramdo/enrol.token", check=False).returncode == 1
    kept = fleet.centre.ssh(f"cat {FLEET_HOME}/authority/enrolment.json").stdout
    assert PROBE in kept
    assert token not in kept + fleet.probe.ssh("cat /boot/firmware/user-data").stdout
    owner = fleet.centre.ssh(f"stat -c %U {FLEET_HOME}/authority/register.json").stdout
    assert owner == "tramdo-fleet\n"


def test_the_revocation_list_is_made_anew_by_its_timer(fleet: Site) -> None:
    """And the broker has it and lets people in; nobody had to think of it."""
    timer = fleet.centre.ssh("systemctl is-enabled tramdo-authority-crl.timer").stdout
    assert timer == "enabled\n"
    number = "openssl crl -in /etc/mosquitto/tramdo/crl.pem -noout -crlnumber"
    before = fleet.centre.ssh(number).stdout
    fleet.centre.ssh("systemctl start tramdo-authority-crl.service")
    assert fleet.centre.ssh(number).stdout != before
    same = f"cmp {FLEET_HOME}/authority/crl.pem /etc/mosquitto/tramdo/crl.pem"
    fleet.centre.ssh(same)
    owner = fleet.centre.ssh("stat -c '%U %a' /etc/mosquitto/tramdo/crl.pem").stdout
    assert owner == "mosquitto 644\n"
    delivers(fleet)
    # What the centre watches is what it can read, as its own user.
    checked = fleet.centre.ssh(
        "cd / && runuser -u tramdo -- tramdo-collector check -c /etc/tramdo/collector.toml",
        check=False,
    )
    assert "problem: /" not in checked.stdout, checked.stdout


def test_a_release_that_does_not_publish_is_given_up(fleet: Site, published: Releases) -> None:
    """It runs, measures, and nothing of it arrives: the box returns to the last good one itself."""
    published.publish(BAD, broken=True)
    told = fleet.play("fleet.yml")
    assert told.code == 0, told.printed[-6000:]
    fleet.probe.ssh(
        "sed -i 's/^healthy_within_s.*/healthy_within_s = 20.0/' /etc/tramdo/fleet.toml"
    )
    before = _newest(fleet)
    pulled = fleet.probe.ssh(
        "systemctl start tramdo-fleet-pull; journalctl -u tramdo-fleet-pull -o cat", limit_s=600
    ).stdout
    assert f"refused: {BAD} is given up, back on {GOOD}: after 20 s: " in pulled, pulled
    assert fleet.probe.ssh("readlink /opt/tramdo/venv").stdout == f"releases/{GOOD}/venv\n"
    # Root had no network: what came, came by the process without rights.
    shown = fleet.probe.ssh("systemctl show -P PrivateNetwork tramdo-fleet-pull").stdout
    assert shown == "yes\n"
    fetched = fleet.probe.ssh("journalctl -u 'tramdo-fleet-fetch@*' -o cat").stdout
    assert "one request to the centre" in fetched
    eventually(lambda: fleet.status().get("version") == GOOD, "the good one runs again")
    eventually(lambda: _newest(fleet) > before, "results go on to arrive")
    delivers(fleet)
    log = fleet.centre.ssh("journalctl -u tramdo-collector -o cat").stdout
    assert "Traceback" not in log


def test_a_trial_that_the_power_interrupts_is_given_up_at_the_start(fleet: Site) -> None:
    """By the unit itself, which has no capability: it turns the link back, and remembers."""
    state = "/var/lib/tramdo-fleet/state.json"
    fleet.probe.ssh(f'sed -i \'s/"trying":null/"trying":"{BAD}"/\' {state}')
    assert BAD in fleet.probe.ssh(f"grep -o '\"trying\":[^,}}]*' {state}").stdout
    fleet.probe.ssh("systemctl start tramdo-fleet-recover")
    told = fleet.probe.ssh("journalctl -u tramdo-fleet-recover -o cat").stdout
    assert f"{BAD} is given up, back on {GOOD}" in told, told
    assert fleet.probe.ssh("readlink /opt/tramdo/venv").stdout == f"releases/{GOOD}/venv\n"


def test_a_certificate_is_renewed_in_place(fleet: Site) -> None:
    serial = "openssl x509 -in /etc/tramdo/probe.pem -noout -serial"
    key = "sha256sum /etc/tramdo/probe.key"
    before, key_before = fleet.probe.ssh(serial).stdout, fleet.probe.ssh(key).stdout
    idle = fleet.play("certificates.yml")
    assert idle.changed == {"centre": 0, PROBE: 0}, changes(idle.printed)
    play = fleet.play(
        "certificates.yml", "--limit", PROBE, "-e", "certificates_renew_within_days=10000"
    )
    assert play.code == 0, play.printed[-6000:]
    assert fleet.probe.ssh(serial).stdout != before
    assert fleet.probe.ssh(key).stdout == key_before, "the key stays on the box"
    fleet.centre.ssh("systemctl restart mosquitto")
    delivers(fleet)


def test_a_revoked_probe_is_shut_out(fleet: Site) -> None:
    play = fleet.play("revoke.yml", "-e", f"certificates_revoke={PROBE}")
    assert play.code == 0, play.printed[-6000:]
    eventually(lambda: not fleet.status()["status"]["connected"], "it is no longer let in")
    eventually(
        lambda: "revoked" in str(fleet.status()["status"]["cause"]),
        f"told why: {fleet.status()['status']['cause']}",
    )


def _sow(site: Site) -> str:
    """Make a seed at the centre, and write its files into the probe as cloud-init does.

    Returns:
        The token in it.
    """
    settings = {
        "url": f"https://{CENTRE_ADDRESS}:8443",
        "technician_keys": [(site.folder / "key.pub").read_text().strip()],
        "lines": {PROBE: [{"interface": isp.interface} for isp in ISPS]},
    }
    site.centre.write("/root/seed.toml", msgspec.toml.encode(settings).decode())
    site.centre.write("/root/release.pub", (site.folder / "release.key.pub").read_text())
    site.centre.ssh(
        f"/opt/tramdo/venv/bin/tramdo-fleet seed {PROBE} --directory {FLEET_HOME}/authority "
        "--settings /root/seed.toml --release-key /root/release.pub --out /root/seed"
    )
    text = site.centre.ssh("cat /root/seed/user-data").stdout
    site.probe.write("/boot/firmware/user-data", text)
    user_data = yaml.safe_load(text)
    found = ""
    for file in user_data["write_files"]:
        content = file["content"]
        if file["path"] == "/etc/tramdo/enrol.token":
            found = content.strip()
        if file["path"] == "/etc/tramdo/fleet.toml":
            # In place of ten minutes.
            content += "healthy_within_s = 20.0\n"
        site.probe.write(file["path"], content, int(file["permissions"], 8))
    open_ssh, first_boot = user_data["runcmd"]
    assert first_boot == ["/usr/local/sbin/tramdo-first-boot"]
    site.probe.ssh(" ".join(open_ssh))
    return found


def _newest(site: Site) -> datetime:
    """When the newest of what the centre has began."""
    return max(datetime.fromisoformat(row["started_at"]) for row in site.results())
