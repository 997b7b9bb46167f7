"""Floor 2. A release as files: the bundle made at the centre, and what a box does with it.

    /opt/tramdo/releases/RELEASE/venv      each release whole, beside the others
    /opt/tramdo/venv -> releases/RELEASE/venv     what the units start; one rename switches
    /var/lib/tramdo-fleet/state.json       what was tried (deploy/fleet/update.py)

A bundle is a .tar.gz with `wheels/*.whl` and `requirements.txt`, locked by hashes: a box installs
without asking any registry.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

from deploy.authority import folder

_INSTALL_LIMIT_S = 1800


class ReleaseError(Exception):
    """A release cannot be made, unpacked or installed; the text says why."""


def make_bundle(wheels: Path, requirements: Path, target_folder: Path) -> tuple[str, int]:
    """Pack wheels and their lock; the same files give the same bytes.

    Returns:
        The bundle's SHA-256, which is its name in `target_folder`, and its size in bytes.

    Raises:
        ReleaseError: no wheels, or a file cannot be read or written.
    """
    found = sorted(wheels.glob("*.whl"))
    if not any(path.name.startswith("tramdo-") for path in found):
        raise ReleaseError(f"no wheel of tramdo in {wheels}: `make wheelhouse` puts it there")
    beside = target_folder / ".bundle"
    try:
        target_folder.mkdir(parents=True, exist_ok=True)
        with tarfile.open(beside, "w:gz", format=tarfile.PAX_FORMAT) as archive:
            for path, name in [*((p, f"wheels/{p.name}") for p in found),
                               (requirements, "requirements.txt")]:  # fmt: skip
                archive.add(path, name, filter=_plain)
        digest = sha256_of(beside)
        size = beside.stat().st_size
        beside.replace(target_folder / digest)
    except OSError as error:
        raise ReleaseError(f"the bundle cannot be made: {error}") from error
    return digest, size


def _plain(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.mtime, info.uid, info.gid, info.uname, info.gname, info.mode = 0, 0, 0, "", "", 0o644
    return info


def sha256_of(path: Path) -> str:
    """A file's SHA-256, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def install(bundle: Path, root: Path, release: str) -> Path:
    """Unpack a bundle, whose hash was checked, and make its environment beside the others.

    Returns:
        The release's folder. What an interrupted installation left there is made anew.

    Raises:
        ReleaseError: damaged, or a package is missing for this machine; nothing was switched.
    """
    place = root / "releases" / release
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    try:
        with tarfile.open(bundle, "r:gz") as archive:
            # "data" refuses what would leave the folder, links and devices (PEP 706).
            archive.extractall(place, filter="data")
    except (OSError, tarfile.TarError) as error:
        raise ReleaseError(f"the bundle of {release} cannot be unpacked: {error}") from error
    # Debian's python3-lgpio is seen through the system's packages (docs/decisions/0007-gpio.md).
    _run([sys.executable, "-m", "venv", "--system-site-packages", str(place / "venv")])
    pip = [str(place / "venv/bin/pip"), "--disable-pip-version-check", "--quiet", "install",
           "--no-index", "--find-links", str(place / "wheels")]  # fmt: skip
    _run([*pip, "--require-hashes", "-r", str(place / "requirements.txt")])
    own = sorted((place / "wheels").glob("tramdo-*.whl"))
    _run([*pip, "--no-deps", *map(str, own)])
    shutil.rmtree(place / "wheels")
    return place


def switch(root: Path, release: str) -> None:
    """Let `venv` point to a release: one rename, so that there is always one.

    Raises:
        ReleaseError: the release is not installed.
    """
    target = root / "releases" / release / "venv"
    if not target.is_dir():
        raise ReleaseError(f"{release} is not installed in {root}")
    link = root / "venv"
    if link.is_dir() and not link.is_symlink():
        raise ReleaseError(f"{link} is a folder, not a link")
    beside = root / ".venv-next"
    beside.unlink(missing_ok=True)
    beside.symlink_to(target.relative_to(root))
    beside.replace(link)


def adopt(root: Path, release: str) -> None:
    """Make the environment that a playbook installed (`venv` is a folder) the first release.

    Its scripts name /opt/tramdo/venv, which then leads to it through the link.
    """
    folder_of_it = root / "venv"
    if folder_of_it.is_symlink() or not folder_of_it.is_dir():
        return
    place = root / "releases" / release
    place.mkdir(parents=True, exist_ok=True)
    folder_of_it.rename(place / "venv")
    switch(root, release)


def tidy(root: Path, kept: set[str]) -> list[str]:
    """Delete releases that are neither good nor tried; which ones."""
    gone = [path for path in (root / "releases").glob("*") if path.name not in kept]
    for path in gone:
        shutil.rmtree(path)
    return sorted(path.name for path in gone)


def save(path: Path, content: bytes) -> None:
    """Replace a file in one step."""
    folder.make(path.parent)
    folder.write(path, content, folder.PUBLIC)


def _run(command: list[str]) -> None:
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=_INSTALL_LIMIT_S, check=False
    )
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-3:]
        raise ReleaseError(f"{' '.join(command[:4])} … failed: {' / '.join(last)}")
