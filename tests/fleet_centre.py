"""Floor 2. `tramdo-fleet serve` as a process over TLS, with an authority and a release key."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import tarfile
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import msgspec

from deploy.authority import authority
from deploy.authority.authority import Authority
from deploy.fleet import channel, releases, server, signature
from deploy.fleet.channel import Channel
from tests.client import eventually
from tests.ports import free_port

ROOT = Path(__file__).parents[1]
FLEET = [sys.executable, "-m", "deploy.fleet.cli"]


class FleetCentre:
    """The centre's side, in `directory`; running while its context lasts."""

    def __init__(self, directory: Path) -> None:
        self.authority = directory / "authority"
        self.releases = directory / "releases"
        self.variables = directory / "boxes"
        self.key = directory / "release.key"
        self.public_key = directory / "release.key.pub"
        self.port = free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        self._log = directory / "serve.log"
        directory.mkdir(parents=True, exist_ok=True)
        self.variables.mkdir()
        authority.init(self.authority, "Tramdo test", None, datetime.now(UTC))
        self._certificate = Authority(self.authority).server(["127.0.0.1"], datetime.now(UTC))
        run("key", "--out", str(self.key))

    def __enter__(self) -> Self:
        log = self._log.open("ab")
        self._process = subprocess.Popen(
            [
                *FLEET, "serve", "-d", str(self.authority), "--releases", str(self.releases),
                "--variables", str(self.variables), "--host", "127.0.0.1", "--port", str(self.port),
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
        return server.new_token(self.authority, probe, datetime.now(UTC))

    def publish(self, release: str, *, well: bool, ring_days: str = "0") -> None:
        """Sign a release whose probe is well or is not."""
        wheelhouse = self.releases.parent / f"wheelhouse-{release}"
        _wheelhouse(wheelhouse / releases.machine(), release, well=well)
        run(
            "publish", "--wheelhouse", str(wheelhouse), "--key", str(self.key),
            "--releases", str(self.releases), "--ring-days", ring_days,
        )  # fmt: skip

    @property
    def channel(self) -> Channel:
        """What the centre says now."""
        content = (self.releases / "channel.json").read_bytes()
        return channel.decode(signature.verified(content, self.public_key.read_bytes()))


def run(*arguments: str, expect: int = 0) -> str:
    """`tramdo-fleet ARGUMENTS`; what it printed, its errors where it is to fail."""
    done = subprocess.run(
        [*FLEET, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stdout if expect == 0 else done.stderr


def put_into_use(directory: Path, release: str) -> None:
    """Let a box stand on a release that somebody installed, without the pip's ten seconds."""
    root = directory / "opt"
    (root / "releases" / release / "venv").mkdir(parents=True)
    (root / "releases" / release / "ansible").mkdir()
    (root / "venv").symlink_to(f"releases/{release}/venv")


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
        "fetch_socket": "",
        "release_key_file": str(etc / "release.pub"),
        "token_file": str(etc / "enrol.token"),
        "key_file": str(etc / "probe.key"),
        "certificate_file": str(etc / "probe.pem"),
        "variables_file": str(etc / "box.json"),
        "converge": [
            "sh",
            "-c",
            f"cat {{variables}} >> {directory}/converged; test -d {{release}}",
        ],
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
    line = {{"last": {{"latency": {{}}}}}}
    print(json.dumps({{"version": "{release}", "status": {{
        "connected": {well}, "pending": 0, "lines": {{"vnpt": line}}}}}}))
def fleet():
    import os
    os.chdir({root!r})
    os.execv({python!r}, [{python!r}, "-m", "deploy.fleet.cli", *sys.argv[1:]])
"""


def _wheelhouse(folder: Path, release: str, *, well: bool) -> None:
    """What `make wheelhouse` makes for one machine, of a single wheel."""
    folder.mkdir(parents=True, exist_ok=True)
    name, content = _wheel(release, well=well)
    digest = hashlib.sha256(content).hexdigest()
    files = {
        f"wheels/{name}": content,
        "requirements.txt": f"tramdo=={release} --hash=sha256:{digest}\n".encode(),
    }
    with tarfile.open(folder / "probe.tar", "w") as archive:
        for file, data in files.items():
            member = tarfile.TarInfo(file)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    (folder / "probe.tar.release").write_text(f"{release}-0123456789ab\n", encoding="utf-8")


def _wheel(release: str, *, well: bool) -> tuple[str, bytes]:
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
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(name, text)
    return f"tramdo-{release}-py3-none-any.whl", buffer.getvalue()
