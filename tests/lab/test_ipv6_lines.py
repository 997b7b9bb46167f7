"""The lab's IPv6: dual-stack, IPv6-only and broken lines, held against ping and plain sockets."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable, Iterator
from ipaddress import IPv6Address
from pathlib import Path

import pytest

from tests.lab import nat64
from tests.lab.addresses import NAT64_PREFIX, translated
from tests.lab.impairment import Impairment, LineImpairment
from tests.lab.namespace import Namespace
from tests.lab.nat64 import Dns64, Nat64
from tests.lab.network import (
    SERVER_ADDRESSES,
    SERVER_ADDRESSES_IPV6,
    Cut,
    Ipv6Fault,
    Line,
    LineShape,
    OfficeNetwork,
    Stack,
)
from tests.services import Names

pytestmark = [pytest.mark.usefixtures("_namespaces", "_ping")]

SERVER, SERVER_IPV6 = SERVER_ADDRESSES[0], SERVER_ADDRESSES_IPV6[0]
DUAL, OTHER = LineShape("vnpt", stack=Stack.DUAL), LineShape("viettel", stack=Stack.DUAL)
OLD = LineShape("fpt")
PORT = 862
AAAA = 28
FULL_BYTES, SMALL_BYTES = 1_452, 1_232  # of ping's data: packets of 1500 and of 1280 bytes


@pytest.fixture(scope="module")
def network() -> Iterator[OfficeNetwork]:
    with OfficeNetwork([DUAL, OTHER, OLD], tag=f"v{os.getpid()}") as network:
        yield network


def answers(network: OfficeNetwork, line: str, address: str, size_bytes: int = 56) -> bool:
    argv = ["ping", "-c", "2", "-i", "0.2", "-W", "1", "-s", str(size_bytes), "-I", line, address]
    return network.office.run(argv, check=False).returncode == 0


def by_device(line: Line) -> socket.socket:
    sender = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    sender.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, line.interface.encode())
    return sender


def by_source(line: Line) -> socket.socket:
    sender = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    sender.bind((line.source_address_ipv6, 0))
    return sender


@pytest.mark.parametrize("bind", [by_device, by_source])
@pytest.mark.parametrize("name", ["vnpt", "viettel"])
def test_a_packet_leaves_by_the_line_that_it_is_bound_to(
    network: OfficeNetwork, bind: Callable[[Line], socket.socket], name: str
) -> None:
    """Who came is known by the source address at the far end: each line has its own network."""
    line = network.line(name)
    with network.centre.inside(lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)) as sink:
        sink.bind(("::", PORT))
        sink.settimeout(60)
        with network.office.inside(lambda: bind(line)) as sender:
            sender.sendto(b"here", (SERVER_IPV6, PORT))
            content, peer = sink.recvfrom(64)
            assert (content, peer[0]) == (b"here", line.source_address_ipv6)
            sink.sendto(b"there", peer)
            sender.settimeout(60)
            assert sender.recv(64) == b"there"


def test_a_line_has_the_families_of_its_shape(network: OfficeNetwork) -> None:
    for name in ("vnpt", "viettel"):
        assert answers(network, name, SERVER)
        assert answers(network, name, SERVER_IPV6, FULL_BYTES)
    assert answers(network, "fpt", SERVER)
    assert not answers(network, "fpt", SERVER_IPV6)
    assert network.line("fpt").source_address_ipv6 is None


def test_no_address_waits_for_duplicate_address_detection(network: OfficeNetwork) -> None:
    for namespace in (network.office, network.line("vnpt").isp, network.centre):
        shown = namespace.run(["ip", "-6", "address", "show", "tentative"]).stdout
        assert "2001:db8" not in shown


@pytest.mark.parametrize("where", list(Cut))
def test_a_cut_line_loses_both_families_and_gets_them_back(
    network: OfficeNetwork, where: Cut
) -> None:
    network.cut("vnpt", where)
    assert not answers(network, "vnpt", SERVER)
    assert not answers(network, "vnpt", SERVER_IPV6)
    assert answers(network, "viettel", SERVER_IPV6)
    network.restore("vnpt")
    assert answers(network, "vnpt", SERVER)
    assert answers(network, "vnpt", SERVER_IPV6)


@pytest.mark.parametrize(
    ("stack", "left", "lost"),
    [(Stack.IPV4, SERVER_IPV6, SERVER), (Stack.IPV6, SERVER, SERVER_IPV6)],
)
def test_one_family_of_an_access_is_cut(
    network: OfficeNetwork, stack: Stack, left: str, lost: str
) -> None:
    network.cut("vnpt", Cut.ACCESS, stack)
    assert answers(network, "vnpt", left)
    assert not answers(network, "vnpt", lost)
    network.restore("vnpt")
    assert answers(network, "vnpt", lost)


def connected(namespace: Namespace, address: str, port: int) -> str:
    def connect() -> str:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as client:
            client.settimeout(2)
            try:
                client.connect((address, port))
            except OSError as error:
                return type(error).__name__
            return "connected"

    return namespace.inside(connect)


@pytest.mark.parametrize(
    ("fault", "small", "full", "connection"),
    [
        (Ipv6Fault.BLACKHOLED, False, False, "TimeoutError"),
        (Ipv6Fault.REFUSED, False, False, "ConnectionRefusedError"),
        (Ipv6Fault.TOO_BIG_LOST, True, False, "connected"),
    ],
)
def test_ipv6_is_broken_while_ipv4_is_whole(
    network: OfficeNetwork, fault: Ipv6Fault, small: bool, full: bool, connection: str
) -> None:
    with network.centre.inside(lambda: socket.create_server(("::", PORT), family=socket.AF_INET6)):
        network.break_ipv6("vnpt", fault)
        try:
            assert answers(network, "vnpt", SERVER, FULL_BYTES)
            assert answers(network, "vnpt", SERVER_IPV6, SMALL_BYTES) is small
            assert answers(network, "vnpt", SERVER_IPV6, FULL_BYTES) is full
            assert connected(network.office, SERVER_IPV6, PORT) == connection
            assert answers(network, "viettel", SERVER_IPV6, FULL_BYTES)
        finally:
            network.mend_ipv6("vnpt")
        assert answers(network, "vnpt", SERVER_IPV6, FULL_BYTES)


def aaaa_of(network: OfficeNetwork, resolver: str, name: str) -> list[str]:
    """What the resolver answers for AAAA of a name, asked by hand (RFC 1035, 4)."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    question = labels + struct.pack("!xHH", AAAA, 1)
    query = struct.pack("!HHHHHH", 4711, 0x0100, 1, 0, 0, 0) + question

    def ask() -> bytes:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            sock.settimeout(60)
            sock.sendto(query, (resolver, 53))
            return sock.recv(4096)

    answer = network.office.inside(ask)
    (count,) = struct.unpack_from("!H", answer, 6)
    rest, found = answer[len(query) :], []
    for _ in range(count):
        kind, length = struct.unpack_from("!2xH6xH", rest)
        if kind == AAAA:
            found.append(str(IPv6Address(rest[12:28])))
        rest = rest[12 + length :]
    return found


@pytest.mark.usefixtures("_tun_devices")
@pytest.mark.skipif(nat64.why_not() is not None, reason=nat64.why_not() or "")
def test_an_ipv6_only_line_reaches_ipv4_by_nat64_and_dns64(tmp_path: Path) -> None:
    shape = LineShape("fpt", stack=Stack.IPV6)
    old, both = "cu.vn", "moi.vn"
    with OfficeNetwork([shape], tag=f"w{os.getpid()}") as network:
        line = network.line("fpt")
        assert line.source_address == line.source_address_ipv6
        assert not answers(network, "fpt", SERVER)
        names = Names(
            tmp_path / "names", hosts=[SERVER], port=53,
            addresses={old: [SERVER], both: [SERVER, SERVER_IPV6]},
            prefix=["ip", "netns", "exec", network.centre.name],
        )  # fmt: skip
        with names, Nat64(network, "fpt"), Dns64(line, upstream=SERVER):
            (made,) = aaaa_of(network, line.gateway_address, old)
            assert IPv6Address(made) == IPv6Address(translated(SERVER))
            assert made.startswith(NAT64_PREFIX.partition("/")[0])
            assert aaaa_of(network, line.gateway_address, both) == [SERVER_IPV6]
            assert answers(network, "fpt", made)
            assert answers(network, "fpt", SERVER_IPV6)


@pytest.mark.usefixtures("_tun_devices")
def test_an_emulated_link_carries_ipv6_and_knows_its_truth() -> None:
    way = Impairment(delay_ms=5)
    shape = LineShape("vnpt", stack=Stack.DUAL, impairment=LineImpairment(way, way))
    with OfficeNetwork([shape], tag=f"x{os.getpid()}") as network:
        assert answers(network, "vnpt", SERVER)
        assert answers(network, "vnpt", SERVER_IPV6)
        link = network.line("vnpt").link
        assert link is not None
        seen = {
            (packet.identity.source, packet.identity.icmp_type)
            for packet in link.truth()
            if packet.identity.protocol == "icmp"
        }
        assert seen == {
            ("192.168.1.2", 8), (SERVER, 0), ("2001:db8:1:1::2", 128), (SERVER_IPV6, 129),
        }  # fmt: skip
