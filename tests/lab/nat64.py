"""Floor 2. An IPv6-only line's way to IPv4: NAT64 by tayga and DNS64 by unbound, both in the ISP.

    with Nat64(network, "vnpt"), Dns64(network.line("vnpt"), upstream="203.0.113.1"):
        ... the office asks `line.gateway_address` for names, and reaches IPv4 servers by them

tayga (RFC 7915) gives each IPv6 host an IPv4 address of a pool; unbound makes AAAA records of A
records (RFC 6147). It must not know what is measured.
"""

from __future__ import annotations

import getpass
import ipaddress
import shutil
import subprocess
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Self

from tests import resources
from tests.lab.addresses import NAT64_PREFIX, nat64_pool, of_ipv4
from tests.lab.namespace import Namespace
from tests.lab.network import Line, OfficeNetwork
from tests.lab.polling import wait_until

_DEVICE = "nat64"
_PROGRAMS = {"tayga": "tayga", "unbound": "unbound"}
_START_S = 60.0
_TAYGA = """tun-device {device}
ipv4-addr {own}
prefix {prefix}
dynamic-pool {pool}
"""
# No DNSSEC: the lab's names are not signed. Nothing is cached, so that a change shows at once.
_UNBOUND = """server:
  interface: {address}
  access-control: ::/0 allow
  module-config: "dns64 iterator"
  dns64-prefix: {prefix}
  do-daemonize: no
  use-syslog: no
  username: "{user}"
  chroot: ""
  directory: "{folder}"
  pidfile: "{folder}/unbound.pid"
  num-threads: 1
  cache-max-ttl: 0
  cache-max-negative-ttl: 0
  do-not-query-localhost: no
forward-zone:
  name: "."
  forward-addr: {upstream}
"""


def why_not() -> str | None:
    """Why these cannot be had here, in a sentence; None when they can."""
    for name, package in _PROGRAMS.items():
        if _program(name) is None:
            return f"{name} is not installed (Debian: apt-get install {package})"
    return None


class _InIsp:
    """A program of the ISP's, in a folder of its own, up while the context lasts."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.folder = Path()
        self._exits = ExitStack()

    def __enter__(self) -> Self:
        self.folder = resources.new_folder("tramdo-")
        self._exits.callback(shutil.rmtree, self.folder, ignore_errors=True)
        try:
            self.start()
        except BaseException:
            self._exits.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._exits.close()

    def start(self) -> None:
        """Start it, and wait until it serves."""
        raise NotImplementedError

    def _run(self, *argv: str) -> None:
        process = self.line.isp.popen(
            argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )

        def end() -> None:
            process.kill()
            process.wait()

        self._exits.callback(end)

    def _write(self, name: str, text: str) -> str:
        path = self.folder / name
        path.write_text(text, encoding="ascii")
        return str(path)


class Nat64(_InIsp):
    """Translates what the office sends to `NAT64_PREFIX`. Needs TUN devices."""

    def __init__(self, network: OfficeNetwork, name: str) -> None:
        super().__init__(network.line(name))
        self._centre = network.centre

    def start(self) -> None:
        """See `_InIsp`."""
        isp, number = self.line.isp, self.line.number
        pool = ipaddress.ip_network(nat64_pool(number))
        config = _TAYGA.format(device=_DEVICE, own=pool[1], prefix=NAT64_PREFIX, pool=pool)
        self._run(str(_program("tayga")), "--nodetach", "--config", self._write("tayga", config))
        wait_until(partial(_exists, isp, _DEVICE), timeout_s=_START_S, what="tayga's device")
        isp.sysctl(
            {f"ipv6/conf/{_DEVICE}/accept_dad": "0", f"ipv6/conf/{_DEVICE}/disable_ipv6": "0"}
        )
        isp.ip(
            f"link set {_DEVICE} up",
            f"route add {NAT64_PREFIX} dev {_DEVICE}",
            f"route add {pool} dev {_DEVICE}",
        )
        own = of_ipv4(number)
        isp.ip(
            f"addr add {own.wan}/{own.length} dev wan",
            *(f"route add {address} via {own.far}" for address in own.servers),
        )
        self._centre.ip(
            f"addr add {own.far}/{own.length} dev {self.line.interface}",
            f"route add {pool} via {own.wan}",
        )


class Dns64(_InIsp):
    """A resolver at the line's gateway (port 53): `upstream`'s names, AAAA records made of A's."""

    def __init__(self, line: Line, *, upstream: str) -> None:
        super().__init__(line)
        self._upstream = upstream

    def start(self) -> None:
        """See `_InIsp`."""
        config = _UNBOUND.format(
            address=self.line.gateway_address_ipv6, prefix=NAT64_PREFIX, user=getpass.getuser(),
            folder=self.folder, upstream=self._upstream,
        )  # fmt: skip
        self._run(str(_program("unbound")), "-c", self._write("unbound.conf", config))
        listening = partial(self.line.isp.is_listening, 53)
        wait_until(listening, timeout_s=_START_S, what="unbound to listen")


def _exists(namespace: Namespace, interface: str) -> bool:
    return namespace.run(["ip", "link", "show", "dev", interface], check=False).returncode == 0


def _program(name: str) -> str | None:
    # Debian installs them where only root's PATH leads.
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
