"""Floor 3. `make wheelhouse`: the wheels that a box installs from, offline, each by its hash.

    FOLDER/cp311-aarch64/probe/wheels/*.whl    ours among them
    FOLDER/cp311-aarch64/probe/requirements.txt   every one with its hash, for `--require-hashes`
    FOLDER/cp311-aarch64/probe.tar             both in one file
    FOLDER/cp311-aarch64/probe.tar.release     version and first of its SHA-256: 0.2.0-4f0a…
    FOLDER/downloads/                          files from the package index, a cache
    FOLDER/built/                              what was built here, by the SHA-256 of its sources

The same sources and the same locks make the same archive. What exists as sources only (iperf3) is
built here, from the sources whose hash is locked, if it is Python alone: that runs on any machine.
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
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
# Which locks a set is made of (requirements/NAME.txt).
SETS = {
    "probe": ("probe", "gpio", "authority", "fleet"),
    "centre": ("collector", "authority", "fleet"),
}
_OURS = (
    "wire", "runtime", "probe", "server", "collector", "deploy",
    "pyproject.toml", "README.md", "LICENSE", "NOTICE",
)  # fmt: skip
# glibc of Debian 12: 2.36.
_GLIBC_MINORS = range(5, 37)
# 1 January 1980, the first that a zip file can express.
_EPOCH_S = 315_532_800
_TARGET = re.compile(r"cp3(\d+)-(x86_64|aarch64|armv7l)")


class Target(NamedTuple):
    """A platform: CPython 3.`minor` on an architecture as `uname -m` prints it."""

    minor: int
    machine: str

    @property
    def name(self) -> str:
        """As in the folder's name and in Ansible's facts."""
        return f"cp3{self.minor}-{self.machine}"


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m deploy.wheelhouse",
        description="Download or build the wheels that a box installs offline, locked by hash.",
    )
    parser.add_argument("folder", type=Path, help="where they are written (make: out/wheelhouse)")
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
    """Make one set; returns where its archive is and the name of the release that is in it.

    Raises:
        subprocess.CalledProcessError: pip could not get or build something.
        ValueError: a package is there as sources only, and is more than Python.
    """
    locks = [(ROOT / "requirements" / f"{lock}.txt").read_text("utf-8") for lock in SETS[name]]
    entries = sorted({entry for lock in locks for entry in locked_for(lock, target)})
    files = _downloaded(entries, folder / "downloads" / target.name, target)
    place = folder / target.name / name
    shutil.rmtree(place, ignore_errors=True)
    (place / "wheels").mkdir(parents=True)
    for file in files:
        if file.suffix == ".whl":
            shutil.copy(file, place / "wheels")
        else:
            shutil.copy(
                _built(file, _sha256(file.read_bytes()), folder / "built"), place / "wheels"
            )
    sources = _sources(place)
    shutil.copy(_built(sources, _sha256_of_tree(sources), folder / "built"), place / "wheels")
    shutil.rmtree(sources)
    wheels = sorted((place / "wheels").iterdir())
    lines = [f"{_pinned(wheel)} --hash=sha256:{_sha256(wheel.read_bytes())}\n" for wheel in wheels]
    (place / "requirements.txt").write_text("".join(lines), encoding="utf-8")
    packed = _packed(place)
    version = next(wheel.name.split("-")[1] for wheel in wheels if wheel.name.startswith("tramdo-"))
    release = f"{version}-{_sha256(packed)[:12]}"
    archive = place.with_name(f"{name}.tar")
    archive.write_bytes(packed)
    archive.with_name(f"{name}.tar.release").write_text(release + "\n", encoding="utf-8")
    return f"{archive}: {release}"


def locked_for(lock: str, target: Target) -> Iterator[str]:
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


def _downloaded(entries: Sequence[str], folder: Path, target: Target) -> list[Path]:
    """The files of these entries, from `folder` where they are there already."""
    text = "".join(f"{entry}\n" for entry in entries)
    downloads = folder / _sha256(text.encode())[:12]
    if not (downloads / "complete").exists():
        shutil.rmtree(downloads, ignore_errors=True)
        downloads.mkdir(parents=True)
        lock = downloads / "lock.txt"
        lock.write_text(text, encoding="utf-8")
        manylinux = [f"manylinux_2_{minor}_{target.machine}" for minor in _GLIBC_MINORS]
        _pip(
            "download", "--no-deps", "--require-hashes", "--requirement", str(lock),
            "--dest", str(downloads), "--implementation", "cp",
            "--python-version", f"3.{target.minor}",
            *(option for name in (*manylinux, f"manylinux2014_{target.machine}",
                                  f"linux_{target.machine}") for option in ("--platform", name)),
        )  # fmt: skip
        lock.unlink()
        (downloads / "complete").touch()
    return sorted(path for path in downloads.iterdir() if path.name != "complete")


def _sources(place: Path) -> Path:
    """A copy of our sources, because setuptools writes where it builds."""
    sources = place / "sources"
    sources.mkdir()
    ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for source in (ROOT / name for name in _OURS):
        if source.is_dir():
            shutil.copytree(source, sources / source.name, ignore=ignore)
        else:
            shutil.copy(source, sources / source.name)
    return sources


def _built(sources: Path, digest: str, folder: Path) -> Path:
    """The wheel of these sources, the same bytes each time, by this environment's build tools.

    Built once: both sets hold it, and the next run may have the same sources.
    """
    name = sources.name if sources.is_dir() else sources.name.partition("-")[0]
    place = folder / f"{name}-{digest[:12]}"
    if not place.is_dir():
        for earlier in folder.glob(f"{name}-*"):
            shutil.rmtree(earlier)
        beside = folder / f".{name}"
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
        _pip(
            "wheel", "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", str(beside),
            str(sources), epoch=True,
        )  # fmt: skip
        beside.rename(place)
    (wheel,) = place.iterdir()
    if not wheel.name.endswith("-none-any.whl"):
        raise ValueError(f"{sources.name} is more than Python: {wheel.name} fits this machine only")
    return wheel


def _sha256_of_tree(folder: Path) -> str:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    listed = "".join(f"{path.relative_to(folder)} {_sha256(path.read_bytes())}\n" for path in files)
    return _sha256(listed.encode())


def _pinned(wheel: Path) -> str:
    name, version, *_ = wheel.name.split("-")
    return f"{name}=={version}"


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _packed(place: Path) -> bytes:
    """A reproducible tar of a set."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path in sorted(path for path in place.rglob("*") if path.is_file()):
            member = tarfile.TarInfo(str(path.relative_to(place)))
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
