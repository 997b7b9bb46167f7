"""Floor 3. `make wheelhouse`: the wheels that a box installs from, offline, each by its hash.

    FOLDER/cp311-aarch64/probe.tar             all that `pip install --require-hashes` needs
    FOLDER/cp311-aarch64/probe.tar.release     its version and the first of its SHA-256: 0.1.0-4f0a…
    FOLDER/downloads/                          what came from the index; not asked for again

The same sources and the same locks make the same archive. Packages that exist as sources only are
built on the box, with the build tools that are locked beside them.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
# Which locks a set is made of (requirements/NAME.txt).
SETS = {"probe": ("probe", "authority", "fleet"), "centre": ("collector", "authority")}
_OURS = ("wire", "runtime", "probe", "server", "collector", "deploy", "pyproject.toml", "README.md")
# glibc of Debian 12: 2.36.
_GLIBC_MINORS = range(5, 37)
# 1 January 1980, the first that a zip file can tell.
_EPOCH_S = 315_532_800
_TARGET = re.compile(r"cp3(\d+)-(x86_64|aarch64|armv7l)")


class Target(NamedTuple):
    """A kind of machine: CPython 3.`minor` on an architecture as `uname -m` says it."""

    minor: int
    machine: str

    @property
    def name(self) -> str:
        """As in the folder's name and in Ansible's facts."""
        return f"cp3{self.minor}-{self.machine}"


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m deploy.wheelhouse", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "targets",
        nargs="*",
        type=_target,
        default=[_here()],
        metavar="cp3N-MACHINE",
        help="for which machines, for example cp311-aarch64 (default: one like this)",
    )
    options = parser.parse_args(argv)
    for target in options.targets:
        for name in SETS:
            print(make(options.folder, target, name))
    return 0


def make(folder: Path, target: Target, name: str) -> str:
    """Make one archive; returns the name of the release that is in it.

    Raises:
        subprocess.CalledProcessError: pip could not get or build something.
    """
    locks = [ROOT / "requirements" / f"{lock}.txt" for lock in ("build", *SETS[name])]
    downloads = folder / "downloads" / target.name
    content = {path.name: path for path in _downloaded(locks, downloads, target)}
    content |= {path.name: path for path in locks}
    with tempfile.TemporaryDirectory(prefix="tramdo-wheelhouse-") as temporary:
        scratch = Path(temporary)
        own = _own_wheel(scratch)
        content[own.name] = own
        version = own.name.split("-")[1]
        # By name and hash, not by path: pip finds it in --find-links like the others.
        digest = hashlib.sha256(own.read_bytes()).hexdigest()
        for file, text in {
            "tramdo.txt": f"tramdo=={version} --hash=sha256:{digest}\n",
            "requirements": "".join(f"{path.name}\n" for path in locks[1:]),
        }.items():
            content[file] = scratch / file
            content[file].write_text(text, encoding="utf-8")
        packed = _packed(content)
    release = f"{version}-{hashlib.sha256(packed).hexdigest()[:12]}"
    archive = folder / target.name / f"{name}.tar"
    archive.parent.mkdir(parents=True, exist_ok=True)
    archive.write_bytes(packed)
    archive.with_name(f"{name}.tar.release").write_text(release + "\n", encoding="utf-8")
    return f"{archive}: {release}"


def wanted(lock: str, target: Target) -> Iterator[str]:
    """The entries of a lock file that hold for a target, without their conditions. Pure.

    pip would look at the conditions with the eyes of the machine that it runs on.
    """
    environment = {
        "python_version": f"3.{target.minor}",
        "python_full_version": f"3.{target.minor}.0",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "platform_machine": target.machine,
        "platform_system": "Linux",
        "sys_platform": "linux",
        "os_name": "posix",
    }
    joined = re.sub(r"\\\n\s*", " ", lock)
    for line in joined.splitlines():
        text, *hashes = line.partition("#")[0].split("--hash=")
        if not text.strip():
            continue
        requirement = Requirement(text.strip())
        if requirement.marker is None or requirement.marker.evaluate(environment):
            hashed = " ".join(f"--hash={each.strip()}" for each in hashes)
            yield f"{requirement.name}{requirement.specifier} {hashed}"


def _downloaded(locks: Sequence[Path], folder: Path, target: Target) -> list[Path]:
    """The files of these locks, from `folder` where they are there already."""
    entries = sorted({entry for lock in locks for entry in wanted(lock.read_text("utf-8"), target)})
    text = "".join(f"{entry}\n" for entry in entries)
    asked = folder / hashlib.sha256(text.encode()).hexdigest()[:12]
    if not (asked / "complete").exists():
        shutil.rmtree(asked, ignore_errors=True)
        asked.mkdir(parents=True)
        lock = asked / "lock.txt"
        lock.write_text(text, encoding="utf-8")
        manylinux = [f"manylinux_2_{minor}_{target.machine}" for minor in _GLIBC_MINORS]
        _pip(
            "download", "--no-deps", "--require-hashes", "--requirement", str(lock),
            "--dest", str(asked), "--implementation", "cp", "--python-version", f"3.{target.minor}",
            *(option for name in (*manylinux, f"manylinux2014_{target.machine}",
                                  f"linux_{target.machine}") for option in ("--platform", name)),
        )  # fmt: skip
        lock.unlink()
        (asked / "complete").touch()
    return sorted(path for path in asked.iterdir() if path.name != "complete")


def _own_wheel(scratch: Path) -> Path:
    """Our own wheel, from a copy of the sources: setuptools leaves its traces where it builds."""
    sources = scratch / "sources"
    sources.mkdir()
    for name in _OURS:
        source = ROOT / name
        if source.is_dir():
            ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
            shutil.copytree(source, sources / name, ignore=ignore)
        else:
            shutil.copy(source, sources / name)
    _pip(
        "wheel", "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", str(scratch),
        str(sources), epoch=True,
    )  # fmt: skip
    return next(scratch.glob("tramdo-*.whl"))


def _packed(content: dict[str, Path]) -> bytes:
    """A tar of these files that is the same whenever and by whomever it is made."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, path in sorted(content.items()):
            member = tarfile.TarInfo(name)
            member.size = path.stat().st_size
            member.mtime = _EPOCH_S
            member.mode = 0o644
            with path.open("rb") as file:
                archive.addfile(member, file)
    return buffer.getvalue()


def _pip(*arguments: str, epoch: bool = False) -> None:
    environment = dict(os.environ) | ({"SOURCE_DATE_EPOCH": str(_EPOCH_S)} if epoch else {})
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments]
    subprocess.run(command, check=True, env=environment, stdout=sys.stderr)


def _here() -> Target:
    return Target(sys.version_info.minor, platform.machine())


def _target(text: str) -> Target:
    found = _TARGET.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError("as in cp311-aarch64")
    return Target(int(found[1]), found[2])


if __name__ == "__main__":
    sys.exit(main())
