"""A box whose requests are made by a process without rights, on a socket as systemd gives it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from deploy.authority import authority, certificates
from deploy.authority.rules import AuthorityError
from deploy.fleet.box import Box, load
from deploy.fleet.client import FleetClient, FleetError
from tests.client import eventually
from tests.fleet_centre import ROOT, FleetCentre, box_settings, run

pytestmark = pytest.mark.skipif(
    shutil.which("systemd-socket-activate") is None,
    reason="systemd-socket-activate is not installed (Debian: apt-get install systemd)",
)
PROBE = "fetch-01"


@contextmanager
def fetch_socket(path: Path) -> Iterator[Path]:
    """As tramdo-fleet-fetch.socket: the command for each connection, its input and output."""
    process = subprocess.Popen(
        ["systemd-socket-activate", "--accept", "--inetd", "--listen", str(path),
         "--setenv", f"PYTHONPATH={ROOT}", "--setenv", f"PATH={os.environ['PATH']}",
         sys.executable, "-m", "deploy.fleet.cli", "fetch"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        eventually(path.exists, "the socket is there")
        yield path
    finally:
        process.terminate()
        process.wait(20)


def through(config: Path, path: Path) -> None:
    """Let a box's settings name the socket."""
    text = config.read_text(encoding="utf-8")
    assert 'fetch_socket = ""' in text
    named = text.replace('fetch_socket = ""', f'fetch_socket = "{path}"')
    config.write_text(named, encoding="utf-8")


def test_a_box_enrols_and_takes_settings_and_a_release_by_it(tmp_path: Path) -> None:
    config_of = tmp_path / "box"
    with FleetCentre(tmp_path / "centre") as fleet, fetch_socket(tmp_path / "s") as path:
        config = box_settings(config_of, fleet, PROBE)
        through(config, path)
        token = config.with_name("enrol.token")
        token.touch(0o600)
        token.write_text(fleet.token(PROBE), encoding="utf-8")
        assert "is enrolled" in run("enrol", "--config", str(config))
        box = Box(load(config))
        assert "no variables for this box" in (box.fetch_variables() or "")
        own = {"probe_name": PROBE, "probe_tenant": "vn"}
        (fleet.variables / f"{PROBE}.json").write_text(json.dumps(own), encoding="utf-8")
        config.with_name("probe.pem").unlink()
        assert "renewed" in (box.renew() or "")
        assert box.fetch_variables() is None
        fleet.publish("0.2.0", well=True)
        (published,) = fleet.channel.bundles.values()
        bundle = fleet.releases / "bundles" / published.sha256
        sound = bundle.read_bytes()
        bundle.write_bytes(sound[:-1] + b"x")
        assert "not the one that was signed" in run("pull", "--config", str(config), expect=1)
        bundle.write_bytes(sound)
        assert "runs 0.2.0" in run("pull", "--config", str(config))
        # Another authority than the box's: refused by the process that speaks TLS, and told so.
        shutil.copy(ROOT / "tests/system/test_fleet_fetch.py", config.with_name("ca.pem"))
        with pytest.raises(FleetError, match="no answer from https://"):
            box.fetch_variables()


def answering(path: Path, content: bytes) -> threading.Thread:
    """A fetcher that somebody has taken over: it answers one request with these bytes."""
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen(1)

    def answer() -> None:
        with server, server.accept()[0] as connection:
            connection.makefile("rb").readline()
            try:
                connection.sendall(content)
            except OSError:
                # The client has seen enough.
                return

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    return thread


def test_a_certificate_that_is_not_the_box_s_own_is_not_taken(tmp_path: Path) -> None:
    """Whatever a fetcher hands over: of another authority, of another key, or none at all."""
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    now = datetime.now(UTC)
    for path in (ours, theirs):
        authority.init(path, "Tramdo test", None, now)
    keys = {}
    for name in ("own", "other"):
        keys[name] = tmp_path / f"{name}.key"
        authority.request(keys[name], tmp_path / f"{name}.csr", name, None)

    def signed(office: Path, name: str) -> bytes:
        csr = (tmp_path / f"{name}.csr").read_bytes()
        return authority.Authority(office).sign(csr, now).read_bytes()

    ca, key = (ours / "ca.pem").read_bytes(), keys["own"].read_bytes()
    certificates.require_own(signed(ours, "own"), ca, key)
    for wrong, reason in (
        (signed(theirs, "own"), "not of our authority"),
        (signed(ours, "other"), "for another key"),
        (b"nothing", "."),
    ):
        with pytest.raises(AuthorityError, match=reason):
            certificates.require_own(wrong, ca, key)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the fetcher ended"),
        (b"x" * 100_000, "the fetcher ended"),
        (b'{"status": "200"}\n', "the fetcher ended"),
        (b'{"error": "a\\nb\\u001b[2J"}\n', r"no answer from https://c/v1/channel: a\?b\?\[2J"),
        (b'{"status": 200}\n' + b"x" * 1_000_002, "is too large"),
    ],
)  # fmt: skip
def test_a_fetcher_that_says_anything_is_bounded(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    thread = answering(tmp_path / "s", content)
    (tmp_path / "ca.pem").touch()
    client = FleetClient("https://c", str(tmp_path / "ca.pem"), str(tmp_path / "s"))
    with pytest.raises(FleetError, match=reason):
        client.ask("GET", "channel")
    thread.join(10)


def test_without_the_socket_it_says_which_unit_to_look_at(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").touch()
    client = FleetClient("https://c", str(tmp_path / "ca.pem"), str(tmp_path / "none"))
    with pytest.raises(FleetError, match=r"systemctl status tramdo-fleet-fetch\.socket"):
        client.ask("GET", "channel")
