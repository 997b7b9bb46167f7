"""Floor 2. Releases made of the wheels that there are: another version, and one that is broken.

What a technician would build from changed sources, in the tenth of a second that an edited wheel
takes. Real wheels otherwise, with every program in them.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
# A mistake that shows at the centre only: it speaks the next contract, which this broker does not
# let through. The box runs, measures, and nothing arrives.
BROKEN = ("wire/topics.py", b'ROOT = "tramdo/v1"', b'ROOT = "tramdo/v2"')


class Releases:
    """What `tramdo-fleet publish` writes in a checkout, and the key that signs it."""

    def __init__(self, folder: Path, wheels: Path) -> None:
        self.folder = folder / "releases"
        self.public_key = folder / "release.key.pub"
        self._work = folder
        self._wheels = wheels
        _fleet("key", "--out", str(folder / "release.key"))

    def publish(self, version: str, *, broken: bool = False) -> None:
        """Sign that every box shall run the wheels that there are, as this version."""
        wheelhouse = self._work / f"wheelhouse-{version}"
        for archive in self._wheels.glob("cp3*/probe.tar"):
            place = wheelhouse / archive.parent.name
            place.mkdir(parents=True)
            _remake(archive, place / "probe.tar", version, BROKEN if broken else None)
        _fleet(
            "publish", "--wheelhouse", str(wheelhouse), "--key", str(self._work / "release.key"),
            "--releases", str(self.folder), "--ring-days", "0",
        )  # fmt: skip


def _remake(
    source: Path, target: Path, version: str, edit: tuple[str, bytes, bytes] | None
) -> None:
    with tarfile.open(source) as archive:
        files = {
            member.name: file.read()
            for member in archive
            if (file := archive.extractfile(member)) is not None
        }
    (name,) = [name for name in files if name.startswith("wheels/tramdo-")]
    wheel = _edited(files.pop(name), version, edit)
    files[f"wheels/tramdo-{version}-py3-none-any.whl"] = wheel
    digest = hashlib.sha256(wheel).hexdigest()
    files["requirements.txt"] = re.sub(
        rb"(?m)^tramdo==.*$",
        f"tramdo=={version} --hash=sha256:{digest}".encode(),
        files["requirements.txt"],
    )
    with tarfile.open(target, "w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    stamp = f"{version}-{hashlib.sha256(target.read_bytes()).hexdigest()[:12]}\n"
    target.with_name("probe.tar.release").write_text(stamp, encoding="utf-8")


def _edited(wheel: bytes, version: str, edit: tuple[str, bytes, bytes] | None) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(wheel)) as old, zipfile.ZipFile(made, "w") as new:
        info = f"tramdo-{version}.dist-info/"
        named = {was: re.sub(r"^tramdo-[^/]+\.dist-info/", info, was) for was in old.namelist()}
        for was, name in named.items():
            content = old.read(was)
            if name == f"{info}METADATA":
                content = re.sub(rb"(?m)^Version: .*$", f"Version: {version}".encode(), content)
            if name == f"{info}RECORD":
                content = "".join(f"{each},,\n" for each in named.values()).encode()
            if edit is not None and name == edit[0]:
                assert edit[1] in content, f"{name} no longer says {edit[1]!r}"
                content = content.replace(edit[1], edit[2])
            new.writestr(name, content)
    return made.getvalue()


def _fleet(*arguments: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "deploy.fleet.cli", *arguments],
        cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
