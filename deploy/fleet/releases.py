"""Floor 2. A release as files: makes the bundle at the centre, installs it on a box.

    /opt/tramdo/releases/RELEASE/         each release whole, beside the others:
        venv/  ansible/  systemd/         environment, roles, units
    /opt/tramdo/venv -> releases/RELEASE/venv     what the units start; one rename switches

The same places that the playbook's role `software` uses. A bundle is a .tar.gz of `wheels.tar`
(from `make wheelhouse`: every wheel by its hash), the role's own `install_release`, `ansible/` and
`systemd/`: a box installs without asking any registry.
"""

from __future__ import annotations

import gzip
import hashlib
import platform
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path, PurePosixPath

from deploy.authority import folder
from deploy.fleet.channel import Bundle

_INSTALL_LIMIT_S = 1800
_INSTALLER = Path("ansible/roles/software/files/install_release")


class ReleaseError(Exception):
    """A release cannot be made, unpacked or installed; the text says why."""


def machine() -> str:
    """What kind of machine this is, as the wheelhouse names it: cp311-aarch64."""
    return f"cp3{sys.version_info.minor}-{platform.machine()}"


def make_bundle(wheels: Path, sources: Path, target_folder: Path) -> Bundle:
    """Pack wheels with the roles and units of a checkout; the same files give the same bytes.

    Args:
        wheels: `probe.tar` of one kind of machine, by `make wheelhouse`.
        sources: the checkout's root.
        target_folder: gets the bundle, named by its SHA-256.

    Raises:
        ReleaseError: a file cannot be read or written.
    """
    beside = target_folder / ".bundle"
    try:
        target_folder.mkdir(parents=True, exist_ok=True)
        with (
            beside.open("wb") as file,
            # No time and no name in the header: the hash says what is inside, and no more.
            gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
        ):
            archive.add(wheels, "wheels.tar", filter=_plain)
            archive.add(sources / _INSTALLER, "install_release", filter=_plain)
            for name in ("ansible", "systemd"):
                archive.add(sources / name, name, filter=_plain)
        digest = sha256_of(beside)
        size = beside.stat().st_size
        beside.replace(target_folder / digest)
    except OSError as error:
        raise ReleaseError(f"the bundle cannot be made: {error}") from error
    return Bundle(digest, size)


def _plain(info: tarfile.TarInfo) -> tarfile.TarInfo | None:
    # Anybody may fetch a bundle: inventories, with whatever a technician keeps in them, stay here.
    if "__pycache__" in info.name or info.name == "ansible/inventories":
        return None
    info.mtime, info.uid, info.gid, info.uname, info.gname = 0, 0, 0, "", ""
    info.mode = 0o755 if info.isdir() else 0o644
    return info


def sha256_of(path: Path) -> str:
    """A file's SHA-256, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def install(bundle: Path, root: Path, release: str) -> None:
    """Unpack a bundle, whose hash was checked, and make its environment beside the others.

    What an interrupted installation left is made anew.

    Raises:
        ReleaseError: damaged, or a package does not fit this machine; nothing was switched.
    """
    place = root / "releases" / release
    beside = root / "releases" / f".{release}"
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    try:
        with tarfile.open(bundle, "r:gz") as archive:
            members = archive.getmembers()
            if (
                odd := next((one.name for one in members if not _is_harmless(one)), None)
            ) is not None:
                raise ReleaseError(f"the bundle of {release} holds {odd!r}, which is no plain file")
            # What later Pythons ask for (PEP 706); Debian 12's 3.11.2 does not know it yet.
            archive.extraction_filter = getattr(tarfile, "data_filter", None)
            archive.extractall(beside, members)
        # Debian's python3-lgpio is seen through the system's packages (docs/decisions/0007).
        _run(["sh", str(beside / "install_release"), str(place), str(beside / "wheels.tar"),
              "--system-site-packages"])  # fmt: skip
        for name in ("ansible", "systemd"):
            (beside / name).rename(place / name)
    except (OSError, tarfile.TarError) as error:
        raise ReleaseError(f"the bundle of {release} cannot be installed: {error}") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _is_harmless(member: tarfile.TarInfo) -> bool:
    """Whether it is a file or folder inside the target: no link, device or set-user-id."""
    path = PurePosixPath(member.name)
    return (
        (member.isfile() or member.isdir())
        and not path.is_absolute()
        and ".." not in path.parts
        and not member.mode & 0o7000
    )


def switch(root: Path, release: str) -> None:
    """Point the link `venv` to a release by one atomic rename.

    Raises:
        ReleaseError: the release is not installed.
    """
    target = root / "releases" / release / "venv"
    if not target.is_dir():
        raise ReleaseError(f"{release} is not installed in {root}")
    beside = root / ".venv-next"
    beside.unlink(missing_ok=True)
    beside.symlink_to(target.relative_to(root))
    beside.replace(root / "venv")


def in_use(root: Path) -> str | None:
    """The release that `venv` points to; None where nothing is installed."""
    link = root / "venv"
    return link.readlink().parent.name if link.is_symlink() else None


def tidy(root: Path, kept: str) -> None:
    """Delete every release but one."""
    for path in (root / "releases").iterdir():
        if path.name != kept:
            shutil.rmtree(path)


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
        raise ReleaseError(f"{command[0]} {command[1]} failed: {' / '.join(last)}")
