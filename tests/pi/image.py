"""Floor 2. What the board boots: Debian's arm64 kernel and a root in memory with our release in it.

The root is made in a minute, without debootstrap and without root's rights: apt resolves and
downloads for arm64 in a private folder, from the machine's own sources, and the packages are
unpacked. Their installation scripts do not run: what those and the roles would have made is written
here, and no more.
Packages and kernel are kept in a cache; our own programs are packed anew for every run.
"""

from __future__ import annotations

import configparser
import fcntl
import getpass
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from deploy import wheelhouse

ROOT = Path(__file__).parents[2]
MODEL = "Raspberry Pi 3 Model B"
# What the firmware of a real one writes into the device tree: 3B, 1 GB, Sony, revision 1.2
# (Raspberry Pi documentation, Revision codes). QEMU has no firmware, so we write it.
REVISION = 0xA02082

_PACKAGES = (
    "base-files", "base-passwd", "dash", "coreutils", "mount", "systemd", "systemd-sysv", "udev",
    "python3", "tzdata", "libiperf0", "mosquitto",
)  # fmt: skip
_KERNEL = "linux-image-arm64"
_DEVICE_TREE = "bcm2837-rpi-3-b.dtb"
# As the roles do: a wheel in the release for older ones (decision 7).
_LGPIO = "python3-lgpio"
_FIRST_WITHOUT_WHEEL = 13
_TOOLS = {
    "qemu-system-aarch64": "qemu-system-arm",
    "fdtput": "device-tree-compiler",
    "cpio": "cpio",
    "dpkg-deb": "dpkg",
    "apt-get": "apt",
}
_LEFT_OUT = ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/i18n", "var/cache")
_LIMIT_S = 600
_VENV = "opt/tramdo/venv"


class Image(NamedTuple):
    """Files for QEMU, and the versions of what is in them."""

    kernel: Path
    device_tree: Path
    initramfs: Path
    versions: dict[str, str]


class CannotMakeError(Exception):
    """The image cannot be made here; the message says why."""


def why_not() -> str | None:
    """Why no board can be had here, in a sentence; None when one can."""
    for tool, package in _TOOLS.items():
        if shutil.which(tool) is None:
            return f"the command {tool} is not installed (Debian's package {package})"
    return None


@contextmanager
def prepared(say: Callable[[str], None]) -> Iterator[Image]:
    """The image, with our programs as they are now.

    Raises:
        CannotMakeError: a package cannot be had, or a tool fails.
    """
    cache = _cache()
    cache.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="tramdo-pi-image-") as folder:
        fresh = Path(folder)
        with (cache.parent / "lock-pi").open("w") as lock:
            # Two runs at once: one makes it, one waits.
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (cache / "complete").exists():
                shutil.rmtree(cache, ignore_errors=True)
                cache.mkdir()
                _make_debian(cache, say)
                (cache / "complete").touch()
            say("packing our programs")
            versions = json.loads((cache / "versions.json").read_text("utf-8"))
            versions |= _install_ours(fresh / "root", cache, _python_minor(cache / "root"))
        _pack(fresh / "root", fresh / "ours.cpio")
        initramfs = fresh / "initramfs.cpio"
        # The kernel takes several archives one after the other.
        with initramfs.open("wb") as joined:
            for part in (cache / "debian.cpio", fresh / "ours.cpio"):
                with part.open("rb") as file:
                    shutil.copyfileobj(file, joined)
        told = _run("qemu-system-aarch64", "--version").splitlines()[0]
        versions["QEMU"] = told.partition("version ")[2]
        yield Image(cache / "kernel", cache / _DEVICE_TREE, initramfs, versions)


def _cache() -> Path:
    """Where packages and kernel are kept; another one when what is asked for is another."""
    own = "/var/cache" if os.geteuid() == 0 else str(Path.home() / ".cache")
    base = os.environ.get("TRAMDO_TEST_CACHE") or f"{own}/tramdo-test"
    # This file is the recipe.
    key = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
    return Path(base) / f"pi-{key[:12]}"


def _make_debian(cache: Path, say: Callable[[str], None]) -> None:
    say("asking apt for arm64 packages (once; then they are in the cache)")
    apt = _Apt(cache / "apt")
    own_lgpio = [_LGPIO] if apt.python_minor() >= _FIRST_WITHOUT_WHEEL else []
    packages = apt.downloaded(*_PACKAGES, *own_lgpio)
    kernel = apt.kernel(_KERNEL)
    say(f"unpacking {len(packages)} packages and {kernel.name}")
    root = cache / "root"
    # Debian's root is merged: the links come with debootstrap and not with a package.
    for name in ("bin", "sbin", "lib"):
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    for package in packages:
        _unpack(package, root)
    for name in _LEFT_OUT:
        shutil.rmtree(root / name, ignore_errors=True)
    minor = _python_minor(root)
    for folder in ("python3/dist-packages", f"python3.{minor}"):
        _compile(root, f"usr/lib/{folder}", minor)
    _pack(root, cache / "debian.cpio")
    boot = cache / "boot"
    boot.mkdir()
    _unpack(kernel, boot, "./boot/vmlinuz-*", f"*/broadcom/{_DEVICE_TREE}")
    shutil.move(next(boot.glob("boot/vmlinuz-*")), cache / "kernel")
    shutil.move(next(boot.rglob(_DEVICE_TREE)), cache / _DEVICE_TREE)
    shutil.rmtree(boot)
    _mark(cache / _DEVICE_TREE)
    versions = dict(_named(package) for package in (*packages, kernel))
    told = {name: versions[name] for name in ("systemd", f"python3.{minor}", *own_lgpio)}
    told |= {name: text for name, text in versions.items() if name.startswith("linux-image-")}
    (cache / "versions.json").write_text(json.dumps(told), encoding="utf-8")
    shutil.rmtree(cache / "apt")


class _Apt:
    """apt for another architecture, that knows and changes nothing of this machine's packages."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for name in ("state/lists/partial", "cache/archives/partial"):
            (folder / name).mkdir(parents=True)
        (folder / "status").touch()
        self._options = [
            option
            for setting in (
                "APT::Architecture=arm64",
                "APT::Architectures=arm64",
                "APT::Install-Recommends=false",
                f"APT::Sandbox::User={getpass.getuser()}",
                f"Dir::State={folder}/state",
                f"Dir::State::status={folder}/status",
                f"Dir::Cache={folder}/cache",
                "Debug::NoLocking=true",
                # A base image's own settings may throw away what apt downloads.
                "DPkg::Post-Invoke=",
                "APT::Update::Post-Invoke=",
            )
            for option in ("-o", setting)
        ]
        # Sources of this machine that have nothing for arm64 are no concern of ours.
        subprocess.run(
            ["apt-get", *self._options, "-qq", "update"],
            capture_output=True, check=False, timeout=_LIMIT_S,
        )  # fmt: skip

    def downloaded(self, *names: str) -> list[Path]:
        """These packages and all that they need."""
        _run("apt-get", *self._options, "-qq", "--yes", "--download-only", "install", *names)
        return sorted((self._folder / "cache/archives").glob("*.deb"))

    def python_minor(self) -> int:
        """Python 3 of which minor version Debian has."""
        told = _run("apt-cache", *self._options, "depends", "python3")
        found = re.search(r"Depends: python3\.([0-9]+)\b", told)
        if found is None:
            raise CannotMakeError("apt on this machine knows no python3 for arm64")
        return int(found[1])

    def kernel(self, name: str) -> Path:
        """The package that a kernel's name without a version stands for."""
        told = _run("apt-cache", *self._options, "depends", name)
        found = re.search(r"Depends: (linux-image-[0-9]\S*)", told)
        if found is None:
            raise CannotMakeError(f"apt on this machine knows no {name} for arm64")
        _run("apt-get", *self._options, "-qq", "download", found[1], cwd=self._folder)
        return next(self._folder.glob("linux-image-*.deb"))


def _mark(device_tree: Path) -> None:
    _run("fdtput", "-p", "-c", str(device_tree), "/system")
    _run("fdtput", "-t", "x", str(device_tree), "/system", "linux,revision", f"{REVISION:x}")


def _unpack(package: Path, folder: Path, *wanted: str) -> None:
    with subprocess.Popen(
        ["dpkg-deb", "--fsys-tarfile", str(package)], stdout=subprocess.PIPE
    ) as opened:
        ended = subprocess.run(
            ["tar", "-x", "--keep-directory-symlink", "--no-same-owner", "-C", str(folder),
             *(["--wildcards", *wanted] if wanted else [])],
            stdin=opened.stdout, capture_output=True, text=True, check=False,
        )  # fmt: skip
    if ended.returncode != 0:
        raise CannotMakeError(f"{package.name}: {ended.stderr[-500:]}")


def _named(package: Path) -> tuple[str, str]:
    name, version = _run(
        "dpkg-deb", "-W", "--showformat", "${Package} ${Version}", str(package)
    ).split()
    return name, version


def _python_minor(root: Path) -> int:
    return int(next(root.glob("usr/bin/python3.*[0-9]")).name.split(".")[1])


def _install_ours(root: Path, cache: Path, minor: int) -> dict[str, str]:
    """Our release from its locked wheels, unit, rule and accounts: what the roles install."""
    target = wheelhouse.Target(minor, "aarch64")
    wheelhouse.make(cache / "wheelhouse", target, "probe")
    place = cache / "wheelhouse" / target.name
    venv = root / _VENV
    inside = f"{_VENV}/lib/python3.{minor}/site-packages"
    packages = root / inside
    packages.mkdir(parents=True)
    for wheel in (place / "probe/wheels").glob("*.whl"):
        with zipfile.ZipFile(wheel) as opened:
            opened.extractall(packages)
    _compile(root, inside, minor)
    (venv / "bin").mkdir()
    (venv / "bin/python").symlink_to(f"/usr/bin/python3.{minor}")
    # As `python3 -m venv --system-site-packages` writes it.
    (venv / "pyvenv.cfg").write_text("home = /usr/bin\ninclude-system-site-packages = true\n")
    entries = configparser.ConfigParser()
    entries.read(next(packages.glob("tramdo-*.dist-info")) / "entry_points.txt")
    for name, target_text in entries["console_scripts"].items():
        module, function = target_text.split(":")
        _write(
            venv / "bin" / name,
            f"#!/{_VENV}/bin/python\nimport sys\nfrom {module} import {function}\n"
            f"sys.exit({function}())\n",
            0o755,
        )
    _system(root)
    locked = (place / "probe/requirements.txt").read_text("utf-8")
    pinned = dict(re.findall(r"^(\S+)==(\S+)", locked, re.MULTILINE))
    release = (place / "probe.tar.release").read_text("utf-8").strip()
    named = {name: pinned[name] for name in ("gpiozero", "lgpio") if name in pinned}
    return {**named, "tramdo": release}


def _system(root: Path) -> None:
    """What else a booted system has, and installation scripts and roles have made."""
    (root / "init").symlink_to("usr/lib/systemd/systemd")
    _write(root / "etc/machine-id", "7472616d646f70690000000000000001\n")
    _write(root / "etc/hostname", "tramdo-pi\n")
    accounts = {"root": 0, "tramdo": 900, "mosquitto": 901, "technician": 1000, "guest": 1001,
                "nobody": 65534}  # fmt: skip
    groups = accounts | {"tty": 5, "disk": 6, "kmem": 15, "dialout": 20, "systemd-journal": 999}
    passwd = [f"{name}:x:{number}:{number}::/root:/bin/sh\n" for name, number in accounts.items()]
    _write(root / "etc/passwd", "".join(passwd))
    group = [f"{name}:x:{number}:\n" for name, number in groups.items()]
    _write(root / "etc/group", "".join(group) + "gpio:x:997:technician\n")
    rule = (ROOT / "ansible/roles/probe/templates/gpio.rules.j2").read_text("utf-8")
    _write(
        root / "etc/udev/rules.d/60-tramdo-gpio.rules",
        rule.replace("{{ ansible_managed }}", "as the role writes it"),
    )
    (root / "etc/tramdo").mkdir()
    units = root / "etc/systemd/system"
    units.mkdir(parents=True)
    shutil.copy(ROOT / "systemd/tramdo-probe.service", units)
    shutil.copy(Path(__file__).with_name("guest.py"), root / "opt/guest.py")
    _write(
        units / "guest.service",
        "[Unit]\nDescription=Obeys the machine outside\nAfter=systemd-udev-trigger.service\n"
        "[Service]\nExecStart=/usr/bin/python3 /opt/guest.py /dev/ttyS1\n",
    )
    (units / "multi-user.target.wants").mkdir()
    (units / "multi-user.target.wants/guest.service").symlink_to("../guest.service")
    # The serial line is ours; the rest takes minutes in emulation and does nothing for the pins.
    for name in ("serial-getty@.service", "systemd-hwdb-update.service", "mosquitto.service",
                 "systemd-journal-catalog-update.service", "systemd-firstboot.service",
                 "systemd-sysusers.service", "systemd-networkd.service"):  # fmt: skip
        (units / name).symlink_to("/dev/null")


def _write(path: Path, text: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)


def _compile(root: Path, folder: str, minor: int) -> None:
    """Compile modules here, where it takes a second: emulated, every start would take a minute."""
    if sys.version_info[1] == minor:
        _run(
            sys.executable, "-m", "compileall", "-q", "-j", "2", "-s", str(root), "-p", "/",
            "--invalidation-mode", "unchecked-hash", str(root / folder), ok=(0, 1),
        )  # fmt: skip


def _pack(root: Path, archive: Path) -> None:
    """As the kernel wants it, and all of it root's."""
    names = sorted(str(path.relative_to(root)) for path in root.rglob("*"))
    with archive.open("wb") as out:
        ended = subprocess.run(
            ["cpio", "--quiet", "--null", "-o", "-H", "newc", "-R", "0:0"],
            input="\0".join(names).encode(), stdout=out, cwd=root, check=False,
        )  # fmt: skip
    if ended.returncode != 0:
        raise CannotMakeError(f"cpio could not pack {root}")


def _run(*argv: str, cwd: Path | None = None, ok: tuple[int, ...] = (0,)) -> str:
    ended = subprocess.run(
        argv, cwd=cwd, capture_output=True, text=True, timeout=_LIMIT_S, check=False,
        env=dict(os.environ) | {"LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"},
    )  # fmt: skip
    if ended.returncode not in ok:
        raise CannotMakeError(f"{' '.join(argv[:1])}: {ended.stderr[-1500:]}{ended.stdout[-500:]}")
    return ended.stdout
