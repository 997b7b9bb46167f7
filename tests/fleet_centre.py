"""Floor 2. `tramdo-fleet serve` as a process over TLS, with an authority and a release key."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import msgspec

from deploy.authority import authority
from deploy.authority.authority import Authority
from deploy.fleet import centre
from tests.broker import free_port
from tests.client import eventually

ROOT = Path(__file__).parents[1]
FLEET = [sys.executable, "-m", "deploy.fleet.cli"]


class FleetCentre:
    """The centre's side, in `directory`; running while its context lasts."""

    def __init__(self, directory: Path) -> None:
        self.authority = directory / "authority"
        self.releases = directory / "releases"
        self.settings = directory / "probes"
        self.key = directory / "release.key"
        self.public_key = directory / "release.key.pub"
        self.port = free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        self._log = directory / "serve.log"
        directory.mkdir(parents=True, exist_ok=True)
        self.settings.mkdir()
        authority.init(self.authority, "Tramdo test", None, datetime.now(UTC))
        self._certificate = Authority(self.authority).server(["127.0.0.1"], datetime.now(UTC))
        run("key", "--out", str(self.key))

    def __enter__(self) -> Self:
        log = self._log.open("ab")
        self._process = subprocess.Popen(
            [
                *FLEET, "serve", "-d", str(self.authority), "--releases", str(self.releases),
                "--settings", str(self.settings), "--host", "127.0.0.1", "--port", str(self.port),
                "--certificate", str(self._certificate),
            ],
            cwd=ROOT, stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip
        log.close()
        eventually(self._answers, "the centre answers")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(20)

    def _answers(self) -> bool:
        done = subprocess.run(
            ["curl", "-s", "--cacert", str(self.authority / "ca.pem"), f"{self.url}/v1/channel"],
            capture_output=True,
            check=False,
        )
        return done.returncode == 0

    @property
    def log(self) -> str:
        """What the centre wrote into its log: here refusals have their reasons."""
        return self._log.read_text(encoding="utf-8")

    def token(self, probe: str) -> str:
        """A new enrolment token."""
        return centre.new_token(self.authority, probe, datetime.now(UTC))

    def publish(self, release: str, *, well: bool, ring_days: str = "0") -> str:
        """Sign a release whose probe is well or is not; the bundle's SHA-256."""
        wheels = self.releases.parent / f"wheels-{release}"
        wheels.mkdir(exist_ok=True)
        _wheel(wheels, release, well=well)
        lock = wheels / "requirements.txt"
        lock.write_text("", encoding="utf-8")
        digest = run(
            "bundle", "--wheels", str(wheels), "--requirements", str(lock),
            "--releases", str(self.releases),
        ).strip()  # fmt: skip
        run(
            "channel", release, digest, "--key", str(self.key), "--releases", str(self.releases),
            "--ring-days", ring_days,
        )  # fmt: skip
        return digest


def run(*arguments: str, expect: int = 0) -> str:
    """`tramdo-fleet ARGUMENTS`; what it printed, its errors where it is to fail."""
    done = subprocess.run(
        [*FLEET, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stdout if expect == 0 else done.stderr


def box_settings(directory: Path, fleet: FleetCentre, probe: str) -> Path:
    """/etc/tramdo of a box, somewhere else; what the seed would have brought."""
    etc = directory / "etc"
    etc.mkdir(parents=True)
    (etc / "ca.pem").write_bytes((fleet.authority / "ca.pem").read_bytes())
    (etc / "release.pub").write_bytes(fleet.public_key.read_bytes())
    root = directory / "opt"
    root.mkdir()
    table = {
        "probe": probe,
        "key_group": "",
        "url": fleet.url,
        "ca_file": str(etc / "ca.pem"),
        "release_key_file": str(etc / "release.pub"),
        "token_file": str(etc / "enrol.token"),
        "key_file": str(etc / "probe.key"),
        "certificate_file": str(etc / "probe.pem"),
        "config_file": str(etc / "probe.toml"),
        "root": str(root),
        "state_dir": str(directory / "state"),
        "restart": ["sh", "-c", f"readlink {root}/venv >> {directory}/restarts"],
        "status": [str(root / "venv/bin/tramdo-probe"), "status", "--json"],
        "healthy_within_s": 2.0,
    }
    path = etc / "fleet.toml"
    path.write_bytes(msgspec.toml.encode(table))
    return path


_PROBE = """
import json, sys
def main():
    if sys.argv[1] == "check":
        bad = "bad" in open(sys.argv[3]).read()
        print("probe.toml: bad: unknown key" if bad else "ready", file=sys.stderr)
        sys.exit(2 if bad else 0)
    line = {{"last": {{"latency": {{}}}}}}
    print(json.dumps({{"version": "{release}", "status": {{
        "connected": {well}, "pending": 0, "lines": {{"vnpt": line}}}}}}))
def fleet():
    import os
    os.chdir({root!r})
    os.execv({python!r}, [{python!r}, "-m", "deploy.fleet.cli", *sys.argv[1:]])
"""


def _wheel(folder: Path, release: str, *, well: bool) -> None:
    """A wheel of tramdo that has only what a release is judged by: its probe's status."""
    info = f"tramdo-{release}.dist-info"
    files = {
        "tramdo_release.py": _PROBE.format(
            release=release, well=well, root=str(ROOT), python=sys.executable
        ),
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: tramdo\nVersion: {release}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": "[console_scripts]\ntramdo-probe = tramdo_release:main\n"
        "tramdo-fleet = tramdo_release:fleet\n",
    }
    record = "".join(f"{name},,\n" for name in files) + f"{info}/RECORD,,\n"
    with zipfile.ZipFile(folder / f"tramdo-{release}-py3-none-any.whl", "w") as archive:
        for name, text in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(name, text)
