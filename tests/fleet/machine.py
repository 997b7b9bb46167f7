"""Floor 2. A machine that is really booted: systemd in systemd-nspawn, on a copy of a fresh root.

    machine = Machine("probe", root, folder, key)    # its own files lie above `root`
    machine.boot(namespace)             # whose cables the caller has laid
    machine.ssh("systemctl is-system-running")

The command line is the one whose traps are known: without the bpf filter DeviceAllow and
IPAddressDeny do nothing, and without dropping CAP_SYS_TIME a guest would set this machine's clock.
MemoryMax, CPUQuota and TasksMax are not enforced in it.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from tests import resources
from tests.lab.namespace import Namespace

_BOOT_S, _SSH_S = 90.0, 120.0
_REBOOTED = 133
_NSPAWN = {
    "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1",
    # What is below /proc/sys/net belongs to its own network.
    "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network",
}


class Machine:
    """One booted system; `close` ends it and removes its files."""

    def __init__(self, name: str, root: Path, folder: Path, key: Path) -> None:
        self.name = name
        self._folder = folder / name
        self._key = key
        self._process: subprocess.Popen[bytes] | None = None
        self._namespace: Namespace | None = None
        for part in ("upper", "work", "root"):
            (self._folder / part).mkdir(parents=True)
        options = f"lowerdir={root},upperdir={self._folder}/upper,workdir={self._folder}/work"
        _run("mount", "-t", "overlay", "overlay", "-o", options, str(self.root))
        self.write("/etc/hostname", f"{name}\n")
        self.write("/etc/hosts", f"127.0.0.1 localhost\n127.0.1.1 {name}\n")
        self.write("/etc/machine-id", f"{secrets.token_hex(16)}\n")
        self.write("/root/.ssh/authorized_keys", key.with_suffix(".pub").read_text(), 0o600)
        (self.root / "root/.ssh").chmod(0o700)
        # Its way to whoever runs Ansible is there from the start, as a technician would find it.
        wants = self.root / "etc/systemd/system/multi-user.target.wants/systemd-networkd.service"
        wants.symlink_to("/lib/systemd/system/systemd-networkd.service")

    @property
    def root(self) -> Path:
        """Its files, as they are seen from here."""
        return self._folder / "root"

    @property
    def address(self) -> str:
        """Where Ansible reaches it."""
        assert self._namespace is not None
        assert self._namespace.management_address is not None
        return self._namespace.management_address

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """Write one of its files, from outside; a booted system sees it too."""
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        file.chmod(mode)

    def copy_in(self, source: Path, target: str) -> None:
        """Copy a folder into it, as root, as `rsync` would."""
        shutil.copytree(source, self.root / target.lstrip("/"))

    def boot(self, namespace: Namespace) -> None:
        """Boot it in a namespace whose interfaces are there; returns when SSH answers."""
        self._namespace = namespace
        argv = [
            "systemd-nspawn", "--directory", str(self.root), "--boot",
            f"--network-namespace-path=/run/netns/{namespace.name}", "--capability=CAP_NET_ADMIN",
            f"--machine={namespace.name}", "--register=no", "--keep-unit",
            "--system-call-filter=bpf", "--drop-capability=CAP_SYS_TIME", "--console=pipe",
            "--link-journal=no", "--resolv-conf=off", "--timezone=off",
        ]  # fmt: skip
        log = (self._folder / "console").open("ab")
        with log:
            self._process = subprocess.Popen(
                [*_own_cgroup(namespace.name), *argv],
                env=dict(os.environ) | _NSPAWN,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        deadline_s = time.monotonic() + _BOOT_S
        while not _answers(self.address):
            if self._process.poll() is not None or time.monotonic() > deadline_s:
                raise RuntimeError(f"{self.name} does not boot:\n{self.console()[-3000:]}")
            time.sleep(0.1)

    def console(self) -> str:
        """What it wrote while booting."""
        return (self._folder / "console").read_text(encoding="utf-8", errors="replace")

    def ssh(
        self, command: str, *, check: bool = True, limit_s: float = _SSH_S
    ) -> subprocess.CompletedProcess[str]:
        """Run a shell command in it as root.

        Raises:
            RuntimeError: `check` and it failed; with what it printed.
        """
        argv = ["ssh", *self.ssh_options(), f"root@{self.address}", command]
        ended = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=limit_s,
            check=False,
        )  # fmt: skip
        if check and ended.returncode != 0:
            raise RuntimeError(f"{self.name}: {command}: {ended.stdout}{ended.stderr}")
        return ended

    def ssh_options(self) -> Sequence[str]:
        """For `ssh` and for Ansible: our key, and no trace in this machine's known hosts."""
        return (
            "-i", str(self._key), "-o", "StrictHostKeyChecking=no", "-o", "LogLevel=ERROR",
            "-o", "UserKnownHostsFile=/dev/null", "-o", "IdentitiesOnly=yes",
        )  # fmt: skip

    def shut_down(self) -> None:
        """Ask it to go down as for a reboot, and wait until it is off."""
        assert self._process is not None
        self.ssh("systemctl reboot", check=False)
        code = self._process.wait(_BOOT_S)
        assert code in {0, _REBOOTED}, f"{self.name} went down with {code}"

    def cut_power(self) -> None:
        """End it between two instructions."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(_BOOT_S)
        if self._namespace is not None:
            for pid in self._namespace.pids():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def close(self) -> None:
        """End it and remove its files."""
        self.cut_power()
        subprocess.run(["umount", "--lazy", str(self.root)], check=False, capture_output=True)
        shutil.rmtree(self._folder, ignore_errors=True)
        if self._namespace is not None:
            remove_cgroups(self._namespace.name)


def _own_cgroup(name: str) -> list[str]:
    """How a command is put into a cgroup of its own: two machines must not share one."""
    resources.record("cgroup", name)
    if Path("/run/systemd/system").exists():
        return ["systemd-run", "--scope", "--quiet", f"--unit={name}", "--property=Delegate=yes"]
    folders = [str(folder / name) for folder in _cgroup_roots()]
    for folder in folders:
        Path(folder).mkdir(exist_ok=True)
    move = "; ".join(f"echo $$ > {folder}/cgroup.procs" for folder in folders)
    return ["sh", "-c", f'{move}; exec "$@"', "sh"]


def _cgroup_roots() -> list[Path]:
    rows = (line.split() for line in Path("/proc/mounts").read_text().splitlines())
    return [
        Path(row[1]) for row in rows
        if row[2] == "cgroup2" or (row[2] == "cgroup" and "name=systemd" in row[3])
    ]  # fmt: skip


def remove_cgroups(name: str) -> None:
    """Remove what `boot` made for a machine, once its processes have ended."""
    for root in _cgroup_roots():
        folders = sorted((root / name).rglob("*"), reverse=True) if (root / name).exists() else []
        for folder in [each for each in folders if each.is_dir()] + [root / name]:
            with contextlib.suppress(OSError):
                folder.rmdir()


def _answers(address: str) -> bool:
    try:
        with socket.create_connection((address, 22), timeout=1) as connection:
            return connection.recv(3) == b"SSH"
    except OSError:
        return False


def _run(*argv: str) -> None:
    ended = subprocess.run(argv, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        raise RuntimeError(f"{' '.join(argv)}: {ended.stderr}")
