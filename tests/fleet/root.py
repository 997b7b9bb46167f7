"""Floor 2. A fresh Debian root for booted tests: made once by debootstrap, then taken from a cache.

It is what a technician gets: systemd, an SSH server, Python. The packages that the roles install
lie in it as apt has downloaded them and not installed, so that the playbook itself installs them,
and no booted machine needs a way to a mirror. Everything here needs root.

Debian 12, or with TRAMDO_TEST_DEBIAN=trixie in the environment Debian 13.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from deploy.fleet import seed
from tests import resources

# Each Debian that a box or a centre may have, with its Python 3's minor version.
PYTHONS = {"bookworm": 11, "trixie": 13}
SUITE = os.environ.get("TRAMDO_TEST_DEBIAN") or "bookworm"
if SUITE not in PYTHONS:
    raise ValueError(f"TRAMDO_TEST_DEBIAN={SUITE}: one of {', '.join(PYTHONS)}")
_FRESH = (
    "systemd", "systemd-sysv", "dbus", "openssh-server", "sudo", "python3", "python3-apt",
    "iproute2", "ca-certificates", "procps", "kmod", "less",
)  # fmt: skip
# What the roles ask apt for, without GPIO's, which Debian has not.
_DOWNLOADED = (
    "ca-certificates", "openssl", "systemd-timesyncd", "nftables", "systemd-zram-generator",
    "unattended-upgrades", "python3-venv", "libiperf0", "iperf3", "mosquitto", "nginx-light",
    "libpango-1.0-0", "libpangoft2-1.0-0", "libharfbuzz-subset0", "fonts-croscore",
    # What a seed asks cloud-init for.
    *seed.PACKAGES,
)  # fmt: skip
_TOOLS = {
    "debootstrap": "debootstrap",
    "systemd-nspawn": "systemd-container",
    "ssh": "openssh-client",
    "nft": "nftables",
    "dnsmasq": "dnsmasq-base",
}
_LIMIT_S = 900


def why_not() -> str | None:
    """Why no machine can be booted here, in a sentence; None when one can."""
    if os.geteuid() != 0:
        return "booting a system needs root"
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    for tool, package in _TOOLS.items():
        if shutil.which(tool, path=path) is None:
            return f"the command {tool} is not installed (Debian's package {package})"
    if not any(" cgroup2 " in line for line in Path("/proc/mounts").read_text().splitlines()):
        return "this machine has no cgroup2, which systemd needs"
    if not (_folder() / "complete").exists() and _mirror() is None:
        return "apt on this machine knows no Debian mirror to make a root from"
    return None


def prepared(also: Sequence[str] = ()) -> Path:
    """The root's folder; takes a minute or two the first time, and nothing after.

    Args:
        also: packages that it has from the start beside the usual ones.

    Raises:
        subprocess.CalledProcessError: the mirror does not give what is asked for.
    """
    folder = _folder(also)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / "lock").open("w") as lock:
        # Two runs at once: one makes it, one waits.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            # debootstrap mounts file systems in it: they must go with an interrupted run.
            resources.record("place", str(folder))
            shutil.rmtree(folder, ignore_errors=True)
            _make(folder / "root", also)
            (folder / "complete").touch()
    # apt asks a mirror again where its lists are older than the roles allow.
    os.utime(folder / "root/var/lib/apt/periodic/update-success-stamp", (time.time(), time.time()))
    return folder / "root"


def _folder(also: Sequence[str] = ()) -> Path:
    content = " ".join((*_FRESH, *also, "/", *_DOWNLOADED, "/", platform.machine()))
    key = hashlib.sha256(content.encode())
    base = os.environ.get("TRAMDO_TEST_CACHE") or "/var/cache/tramdo-test"
    return Path(base) / f"{SUITE}-{key.hexdigest()[:12]}"


def _mirror() -> str | None:
    """Where apt on this machine gets Debian from."""
    if shutil.which("apt-get") is None:
        return None
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(SITE) $(RELEASE) $(COMPONENT)"],
        capture_output=True, text=True, check=False,
    ).stdout  # fmt: skip
    release = platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    rows = (line.split() for line in listed.splitlines())
    return next((row[0] for row in rows if row[1:] == [release, "main"]), None)


def _make(root: Path, also: Sequence[str]) -> None:
    mirror = _mirror()
    assert mirror is not None, "why_not() has looked"
    root.parent.mkdir(parents=True)
    include = ",".join((*_FRESH, *also))
    _run("debootstrap", "--variant=minbase", f"--include={include}", SUITE, str(root), mirror)
    # Nobody pulls the plug of a test: dpkg need not wait for the disk at each file.
    (root / "etc/dpkg/dpkg.cfg.d/test").write_text("force-unsafe-io\n")
    _run("chroot", str(root), "apt-get", "-qq", "update")
    _run(
        "chroot", str(root), "apt-get", "-qq", "--yes", "--download-only",
        "--no-install-recommends", "install", *_DOWNLOADED,
    )  # fmt: skip
    stamp = root / "var/lib/apt/periodic/update-success-stamp"
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.touch()
    for made_for_us in ("etc/resolv.conf", "etc/machine-id"):
        (root / made_for_us).unlink(missing_ok=True)


def _run(*argv: str) -> None:
    environment = dict(os.environ) | {
        "DEBIAN_FRONTEND": "noninteractive",
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    }
    ended = subprocess.run(
        argv, env=environment, capture_output=True, text=True, timeout=_LIMIT_S, check=False
    )
    if ended.returncode != 0:
        raise RuntimeError(f"{' '.join(argv[:3])}: {ended.stdout[-500:]}{ended.stderr[-1500:]}")
