"""What role `base` writes for systemd-networkd, obeyed by a real one in the lab's office.

The first line has its addresses from its router (DHCP, router advertisements by dnsmasq), the
second one fixed ones; the firewall of the role is in force.
"""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path

import pytest

from tests import rendered_roles
from tests.lab.network import (
    SERVER_ADDRESSES,
    SERVER_ADDRESSES_IPV6,
    LineShape,
    OfficeNetwork,
    Stack,
)
from tests.lab.polling import wait_until

NETWORKD = Path("/lib/systemd/systemd-networkd")
pytestmark = [
    pytest.mark.usefixtures("_namespaces"),
    pytest.mark.skipif(not NETWORKD.exists(), reason="systemd-networkd is not installed"),
]

AUTOMATIC = {"id": "vnpt", "interface": "vnpt"}
FIXED = {
    "id": "viettel", "interface": "viettel", "address": "192.168.2.2/24", "gateway": "192.168.2.1",
    "address_ipv6": "2001:db8:2:1::2/64", "gateway_ipv6": "2001:db8:2:1::1",
}  # fmt: skip
LINES = (AUTOMATIC, FIXED)
FIRST_PREFIX, NEXT_PREFIX = "2001:db8:1:1:", "2001:db8:11:1:"
PORT = 862
PATIENCE_S = 60.0
# Nobody's udev, bus and other settings: networkd takes a system whose /sys is read-only for a
# container, and configures links at once.
_START = """set -e
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/netif/links /run/systemd/netif/lldp /run/systemd/netif/leases
chown -R systemd-network:systemd-network /run/systemd/netif
mount -o remount,ro /sys
mount --bind {folder} /etc/systemd/network
mount -t tmpfs tmpfs /lib/systemd/network
SYSTEMD_LOG_TARGET=console exec {networkd}
"""


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OfficeNetwork]:
    folder = tmp_path_factory.mktemp("networkd")
    shapes = [LineShape(str(line["id"]), stack=Stack.DUAL) for line in LINES]
    with OfficeNetwork(shapes, tag=f"y{os.getpid()}") as network, ExitStack() as stack:
        _take_away_what_the_lab_has_set(network)
        network.office.nft(rendered_roles.template("nftables.conf.j2", **FIREWALL))
        for process in (_router(network, folder), _networkd(network, folder)):
            stack.callback(process.wait)
            stack.callback(process.kill)
        for line in ("vnpt", "viettel"):
            for server in (SERVER_ADDRESSES[0], SERVER_ADDRESSES_IPV6[0]):
                wait_until(
                    partial(_answers, network, line, server),
                    timeout_s=PATIENCE_S, what=f"{server} over {line}",
                )  # fmt: skip
        yield network


FIREWALL = {"base_ssh_from": ["192.0.2.0/24", "2001:db8:9::/48"], "base_open_ports": []}


def _take_away_what_the_lab_has_set(network: OfficeNetwork) -> None:
    network.office.ip("rule flush", "rule add pref 32766 table main")
    network.office.ip("rule flush", "rule add pref 32766 table main", ipv6=True)
    for line in network.lines:
        # Down: the kernel makes a link-local address as networkd sets it up.
        network.office.ip(f"addr flush dev {line.interface}", f"link set {line.interface} down")
        network.office.sysctl({f"ipv6/conf/{line.interface}/keep_addr_on_down": "0"})


def _router(network: OfficeNetwork, folder: Path) -> subprocess.Popen[str]:
    """Gives out what the first line's router has: IPv4 by DHCP, its IPv6 prefix by adverts."""
    argv = ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--user=root"]
    argv += [
        "--interface=lan",
        "--bind-dynamic",
        "--pid-file=",
        f"--dhcp-leasefile={folder}/leases",
    ]
    argv += ["--enable-ra", "--ra-param=lan,4,600", "--dhcp-range=::,constructor:lan,ra-only"]
    argv += ["--dhcp-range=192.168.1.100,192.168.1.150,1h"]
    return network.line("vnpt").isp.popen(argv, stderr=subprocess.DEVNULL)


def _networkd(network: OfficeNetwork, folder: Path) -> subprocess.Popen[str]:
    settings = folder / "settings"
    settings.mkdir()
    for number, line in enumerate(LINES):
        text = rendered_roles.template("line.network.j2", line=line, line_number=number)
        (settings / f"05-tramdo-{line['id']}.network").write_text(f"{text}\n", encoding="utf-8")
    # networkd gives up root's rights before it reads.
    for path in (settings, *settings.parents):
        with suppress(PermissionError):
            path.chmod(path.stat().st_mode | 0o055)
        if path == folder.parent.parent:
            break
    script = _START.format(folder=settings, networkd=NETWORKD)
    with (folder / "log").open("wb") as log:
        argv = ["unshare", "--mount", "sh", "-c", script]
        return network.office.popen(argv, stdout=log, stderr=log)


def _answers(network: OfficeNetwork, line: str, address: str) -> bool:
    argv = ["ping", "-c", "1", "-W", "1", "-I", line, address]
    return network.office.run(argv, check=False).returncode == 0


def _source(network: OfficeNetwork, interface: str | None, server: str) -> str | None:
    """Whose packet comes to the server, sent by a socket of that interface; None: none comes."""
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    new = partial(socket.socket, family, socket.SOCK_DGRAM)
    with network.centre.inside(new) as sink, network.office.inside(new) as sender:
        sink.bind((server, PORT))
        sink.settimeout(2)
        if interface is not None:
            sender.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
        try:
            sender.sendto(b"here", (server, PORT))
            _, peer = sink.recvfrom(64)
            sink.sendto(b"there", peer)
            sender.settimeout(2)
            sender.recv(64)
        except OSError:
            return None
        return str(peer[0])


def test_each_line_carries_both_families_by_its_own_table(office: OfficeNetwork) -> None:
    ipv4, ipv6 = SERVER_ADDRESSES[0], SERVER_ADDRESSES_IPV6[0]
    assert str(_source(office, "vnpt", ipv4)).startswith("192.168.1.1")
    assert str(_source(office, "vnpt", ipv6)).startswith(FIRST_PREFIX)
    assert _source(office, "viettel", ipv4) == "192.168.2.2"
    assert _source(office, "viettel", ipv6) == "2001:db8:2:1::2"


def test_what_is_bound_to_nothing_takes_the_first_line_in_both_families(
    office: OfficeNetwork,
) -> None:
    assert str(_source(office, None, SERVER_ADDRESSES[0])).startswith("192.168.1.1")
    assert str(_source(office, None, SERVER_ADDRESSES_IPV6[0])).startswith(FIRST_PREFIX)


def test_no_line_goes_by_another_s_default_route(office: OfficeNetwork) -> None:
    tables = [
        office.office.run(["ip", "-6", "route", "show", "default", "table", table]).stdout
        for table in ("main", "101", "102")
    ]
    assert tables[0] == ""
    assert "dev vnpt" in tables[1]
    assert "dev viettel" in tables[2]


@pytest.mark.parametrize(("line", "network"), [("vnpt", "192.168.1"), ("viettel", "192.168.2")])
def test_a_host_on_a_line_s_own_network_is_reached_directly(
    office: OfficeNetwork, line: str, network: str
) -> None:
    """Also by an address of DHCP: `ceiling --peer` measures the host, and not the router."""
    peer = f"{network}.77"
    isp = office.line(line).isp
    isp.ip(f"addr add {peer}/24 dev lan")
    try:
        argv = ["ping", "-c", "1", "-W", "1", "-I", line, peer]
        wait_until(
            lambda: office.office.run(argv, check=False).returncode == 0,
            timeout_s=PATIENCE_S, what="the host's answer",
        )  # fmt: skip
        # It was asked for its own link address.
        neighbour = office.office.run(["ip", "neigh", "show", peer, "dev", line]).stdout
        assert "lladdr" in neighbour
        way = office.office.run(["ip", "route", "get", peer, "oif", line]).stdout
        assert " via " not in way
    finally:
        isp.ip(f"addr del {peer}/24 dev lan")
    # What is farther goes by the router, and by no other line.
    way = office.office.run(["ip", "route", "get", SERVER_ADDRESSES[0], "oif", line]).stdout
    assert f"via {network}.1 dev {line}" in way


def test_a_new_prefix_is_taken_and_the_line_goes_on(office: OfficeNetwork) -> None:
    """As after a reconnect: the router has another prefix, and deprecates the one before."""
    isp, server = office.line("vnpt").isp, SERVER_ADDRESSES_IPV6[0]
    office.centre.ip(f"route add {NEXT_PREFIX}:/64 via 2001:db8:1:2::1", ipv6=True)
    isp.ip(f"addr add {NEXT_PREFIX}:1/64 dev lan nodad", f"addr del {FIRST_PREFIX}:1/64 dev lan")
    wait_until(
        lambda: str(_source(office, "vnpt", server)).startswith(NEXT_PREFIX),
        timeout_s=PATIENCE_S, what="packets of the new prefix",
    )  # fmt: skip
    assert str(_source(office, None, server)).startswith(NEXT_PREFIX)
    assert _source(office, "viettel", server) == "2001:db8:2:1::2"


def test_the_firewall_lets_in_what_a_path_says_of_a_packet(office: OfficeNetwork) -> None:
    """A smaller link behind the router: "packet too big" comes in, and a large answer arrives."""
    isp = office.line("viettel").isp
    server = SERVER_ADDRESSES_IPV6[0]
    isp.sysctl({"ipv6/conf/wan/mtu": "1280"})
    try:
        argv = ["ping", "-c", "1", "-W", "2", "-s", "1400", "-I", "viettel", server]
        wait_until(
            lambda: office.office.run(argv, check=False).returncode == 0,
            timeout_s=PATIENCE_S, what="a ping in fragments",
        )  # fmt: skip
        learnt = office.office.run(
            ["ip", "-6", "route", "get", server, "oif", "viettel", "from", "2001:db8:2:1::2"]
        )
        assert "mtu 1280" in learnt.stdout
    finally:
        isp.sysctl({"ipv6/conf/wan/mtu": "1500"})
