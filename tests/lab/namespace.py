"""Floor 2. Wraps Linux network namespaces: `ip`, `tc`, setns, and the offload switches.

It must not know what is built out of namespaces: lines, servers and probes live above. Everything
here needs root; `why_not` says in a sentence what is missing.
"""

import ctypes
import fcntl
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tests import resources

T = TypeVar("T")

PREFIX = "tramdo"
NETNS_DIRECTORY = Path("/run/netns")
_SETTINGS = Path("/etc/netns")  # ip-netns(8): what is here is in /etc for programs in it
TUN_DEVICE = Path("/dev/net/tun")
# A tag has no hyphen, so that the namespaces of tag "a" are never taken for those of tag "a-b".
TAG_PATTERN = re.compile(r"[a-z0-9]{1,12}")

_CLONE_NEWNET = 0x40000000  # linux/sched.h
_SIOCETHTOOL = 0x8946  # linux/sockios.h
_ETHTOOL_STSO, _ETHTOOL_SGSO, _ETHTOOL_SGRO = 0x1F, 0x24, 0x2C  # linux/ethtool.h
_IFNAMSIZ = 16  # linux/if.h


class LabError(RuntimeError):
    """A command that builds or changes the lab failed; the message holds what it printed."""


@dataclass(frozen=True, slots=True)
class InterfaceCounters:
    """The kernel's counters of one interface since it was made, Ethernet headers included."""

    received_bytes: int
    received_packets: int
    sent_bytes: int
    sent_packets: int


@dataclass(frozen=True, slots=True)
class Namespace:
    """A named network namespace and the addresses that its neighbours reach it by."""

    name: str
    addresses: tuple[str, ...] = ()
    management_address: str | None = None  # reachable from the root namespace

    @property
    def address(self) -> str:
        """The first of the addresses; IndexError when there is none."""
        return self.addresses[0]

    def create(self) -> None:
        """Make it, loopback up. LabError when one of that name exists or the kernel refuses."""
        if not (NETNS_DIRECTORY / self.name).exists():
            resources.record("netns", self.name)
        _command(["ip", "netns", "add", self.name])
        self.ip("link set lo up")
        # Links carry IPv4 only, until one is opened for IPv6: what the kernel sends by itself over
        # it would be counted too.
        self.sysctl({"ipv6/conf/default/disable_ipv6": "1"})

    def delete(self) -> None:
        """Kill every process in it, then remove it. Does nothing where there is none."""
        for pid in self.pids():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if (NETNS_DIRECTORY / self.name).exists():
            _command(["ip", "netns", "del", self.name])
        shutil.rmtree(_SETTINGS / self.name, ignore_errors=True)

    def name_hosts(self, names: Mapping[str, Sequence[str]]) -> None:
        """Let programs that are started in it from now on resolve these names, in hosts(5).

        Those of `popen`, `run` and `ip netns exec`; `inside` keeps the names of this process.
        """
        names = {"localhost": ["127.0.0.1", "::1"], **names}
        lines = (f"{address} {name}\n" for name, its in names.items() for address in its)
        self._set("hosts", "".join(lines))

    def use_resolvers(self, addresses: Sequence[str]) -> None:
        """Let programs that are started in it from now on ask these resolvers: resolv.conf(5)."""
        self._set("resolv.conf", "".join(f"nameserver {address}\n" for address in addresses))

    def _set(self, file: str, text: str) -> None:
        folder = _SETTINGS / self.name
        if not folder.exists():
            resources.record("folder", str(folder))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(text, encoding="ascii")

    def pids(self) -> list[int]:
        """The processes that run in it, never this one."""
        if not (NETNS_DIRECTORY / self.name).exists():
            return []
        listed = _command(["ip", "netns", "pids", self.name]).split()
        return [int(pid) for pid in listed if int(pid) != os.getpid()]

    def ip(self, *lines: str, ipv6: bool = False) -> None:
        """Run lines of `ip` ("addr add 192.0.2.1/24 dev lan") in it. LabError on the first bad one.

        An `ip` that deals with links, addresses, routes and rules only: one process for all lines.
        With `ipv6` what names no address is IPv6's too (`rule add oif lan …`).
        """
        family = ["-6"] if ipv6 else []
        command = ["ip", *family, "-n", self.name, "-batch", "-"]
        _command(command, stdin="\n".join(lines) + "\n")

    def nft(self, rules: str) -> None:
        """Load rules of nftables in it, all or none. LabError when they cannot be loaded."""
        _command(["ip", "netns", "exec", self.name, "nft", "-f", "-"], stdin=rules)

    def tc(self, line: str) -> None:
        """Run one line of `tc` in it. LabError when it fails."""
        _command(["tc", "-n", self.name, *line.split()])

    def popen(self, argv: Sequence[str], **options: Any) -> subprocess.Popen[str]:
        """Start a program in it, text mode. Its pid is the program's own; the caller ends it."""
        options.setdefault("stdin", subprocess.DEVNULL)
        command = ["ip", "netns", "exec", self.name, *argv]
        return subprocess.Popen(command, text=True, **options)

    def run(
        self, argv: Sequence[str], *, timeout_s: float = 30.0, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run a program in it to its end, output captured as text."""
        return subprocess.run(
            ["ip", "netns", "exec", self.name, *argv],
            text=True,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=timeout_s,
            check=check,
        )

    def inside(self, function: Callable[[], T]) -> T:
        """Call a function in a thread of its own that has entered the namespace.

        A socket or a device that it opens stays in the namespace and may be used from any thread.
        """

        def entered() -> T:
            with (NETNS_DIRECTORY / self.name).open("rb") as file:
                _setns(file.fileno())
            return function()

        # setns changes the calling thread only, and this thread ends here. (os.setns is 3.12's.)
        with ThreadPoolExecutor(max_workers=1) as pool:
            return pool.submit(entered).result()

    def sysctl(self, settings: Mapping[str, str]) -> None:
        """Set kernel parameters by their path below `net` ("ipv4/ip_forward")."""

        def write() -> None:
            for path, value in settings.items():
                Path("/proc/sys/net", path).write_text(value, encoding="ascii")

        self.inside(write)

    def is_listening(self, port: int) -> bool:
        """Whether a TCP server listens on that port in it: what to wait for before connecting."""

        def listening() -> bool:
            # proc(5): the second field is the local address and port in hex, the fourth the state
            rows = [
                row.split()
                for table in ("tcp", "tcp6")
                for row in Path("/proc/thread-self/net", table).read_text("ascii").splitlines()
            ]
            return any(row[3] == "0A" and int(row[1][-4:], 16) == port for row in rows[1:])

        return self.inside(listening)

    def is_up(self, interface: str) -> bool:
        """Whether it is up with a carrier that the kernel has acted upon (RFC 2863: operstate)."""
        printed = _command(["ip", "-n", self.name, "-json", "link", "show", "dev", interface])
        return bool(json.loads(printed)[0]["operstate"] == "UP")

    def counters(self, interface: str) -> InterfaceCounters:
        """What the interface has carried so far. LabError when there is no such interface."""
        printed = _command(
            ["ip", "-n", self.name, "-json", "-statistics", "link", "show", "dev", interface]
        )
        statistics = json.loads(printed)[0]["stats64"]
        return InterfaceCounters(
            received_bytes=statistics["rx"]["bytes"],
            received_packets=statistics["rx"]["packets"],
            sent_bytes=statistics["tx"]["bytes"],
            sent_packets=statistics["tx"]["packets"],
        )

    def disable_offloads(self, interface: str) -> None:
        """Turn TSO, GSO and GRO off, so that every packet has the size that theory gives it.

        A shaper that sees a 64 KiB segment counts one header where the wire would carry 45.
        """

        def switch() -> None:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
                for command in (_ETHTOOL_STSO, _ETHTOOL_SGSO, _ETHTOOL_SGRO):
                    value = ctypes.create_string_buffer(struct.pack("II", command, 0))
                    name = interface.encode().ljust(_IFNAMSIZ, b"\0")
                    request = struct.pack(f"{_IFNAMSIZ}sP", name, ctypes.addressof(value))
                    # struct ifreq is 40 bytes: the kernel copies all of it
                    fcntl.ioctl(control, _SIOCETHTOOL, request.ljust(40, b"\0"))

        self.inside(switch)


def connect_veth(near: Namespace, near_name: str, far: Namespace, far_name: str) -> None:
    """Join two namespaces by a cable: both ends up, offloads off."""
    near.ip(
        f"link add {near_name} type veth peer name {far_name} netns {far.name}",
        f"link set {near_name} up",
    )
    far.ip(f"link set {far_name} up")
    near.disable_offloads(near_name)
    far.disable_offloads(far_name)


def connect_root(namespace: Namespace, name: str, root_name: str, root_address: str) -> None:
    """Join a namespace to the root one, for a browser: `name` in it, `root_name` outside.

    `root_address` is "192.0.2.1/30"; the namespace's own is its `management_address`.
    """
    length = root_address.partition("/")[2]
    if not Path("/sys/class/net", root_name).exists():
        resources.record("link", root_name)
    lines = (
        f"link add {root_name} type veth peer name {name} netns {namespace.name}",
        f"addr add {root_address} dev {root_name}",
        f"link set {root_name} up",
    )
    _command(["ip", "-batch", "-"], stdin="\n".join(lines) + "\n")
    namespace.ip(
        f"addr add {namespace.management_address}/{length} dev {name}", f"link set {name} up"
    )


def remove_root_link(root_name: str) -> None:
    """Remove an interface of the root namespace, where it exists.

    It may be about to go by itself: the kernel takes a deleted namespace's cables down later.
    """
    if Path("/sys/class/net", root_name).exists():
        try:
            _command(["ip", "link", "del", root_name])
        except LabError:
            if Path("/sys/class/net", root_name).exists():
                raise


def namespaces_of(tag: str) -> list[Namespace]:
    """Every namespace that exists under a tag."""
    if not NETNS_DIRECTORY.is_dir():
        return []
    return [Namespace(path.name) for path in sorted(NETNS_DIRECTORY.glob(f"{PREFIX}-{tag}-*"))]


def why_not(*, tun: bool = False) -> str | None:
    """Why namespaces (with `tun`: TUN devices too) cannot be had here, in a sentence, or None."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    for tool in ("ip", "tc"):
        if shutil.which(tool) is None:
            return f"the command {tool} is not installed (package iproute2)"
    if tun and not os.access(TUN_DEVICE, os.R_OK | os.W_OK):
        return f"{TUN_DEVICE} is not there or may not be opened"
    trial = Namespace(f"{PREFIX}-trial-{os.getpid()}")
    try:
        trial.create()
        trial.tc("qdisc add dev lo root tbf rate 1mbit burst 5000 latency 50ms")
    except LabError as error:
        return f"this kernel or container gives no shaped network namespace: {error}"
    finally:
        trial.delete()
    return None


def _setns(descriptor: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, _CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _command(argv: Sequence[str], *, stdin: str = "") -> str:
    finished = subprocess.run(argv, input=stdin, text=True, capture_output=True, check=False)
    if finished.returncode != 0:
        raise LabError(f"{' '.join(argv)}: {finished.stderr.strip()} {stdin.strip()}")
    return finished.stdout
