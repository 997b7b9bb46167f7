"""The lab network, held against iperf3, ping and plain sockets."""

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.lab.impairment import Impairment, LineImpairment
from tests.lab.namespace import Namespace, namespaces_of
from tests.lab.network import (
    SERVER_ADDRESSES,
    Cut,
    LabError,
    Line,
    LineShape,
    OfficeNetwork,
    remove_stale,
    root_link_name,
    theoretical_goodput_bps,
)
from tests.lab.polling import wait_until
from tests.lab.yardstick import iperf3_server, received_bps, start_iperf3

pytestmark = pytest.mark.usefixtures("_namespaces")

VNPT = LineShape("vnpt", download_bps=50_000_000, upload_bps=20_000_000)
VIETTEL = LineShape("viettel", download_bps=20_000_000, upload_bps=10_000_000)
UDP_PORT = 862
# A shaper reads low while somebody else has the processor; it never reads high. So one undisturbed
# reading is proof, and a few tries find it.
TRIES = 4


def unique_tag(letter: str) -> str:
    return f"{letter}{os.getpid()}"


@pytest.fixture(scope="module")
def network() -> Iterator[OfficeNetwork]:
    with OfficeNetwork([VNPT, VIETTEL], tag=unique_tag("n"), management=True) as network:
        yield network


@pytest.fixture
def sink(network: OfficeNetwork) -> Iterator[socket.socket]:
    """A UDP socket at the centre."""
    with network.centre.inside(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sink:
        sink.bind(("0.0.0.0", UDP_PORT))
        sink.settimeout(5)
        yield sink


@pytest.fixture(scope="module")
def iperf3_ports(network: OfficeNetwork) -> Iterator[dict[str, int]]:
    """A server for each line, as one serves one test at a time."""
    ports = {line.interface: 5_201 + number for number, line in enumerate(network.lines)}
    with ExitStack() as stack:
        for port in ports.values():
            stack.enter_context(iperf3_server(network.centre, port))
        yield ports


def by_device(line: Line) -> socket.socket:
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, line.interface.encode())
    return sender


def by_source(line: Line) -> socket.socket:
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.bind((line.source_address, 0))
    return sender


def unbound(_: Line) -> socket.socket:
    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)


def sent_packets(network: OfficeNetwork) -> dict[str, int]:
    return {
        line.interface: network.office.counters(line.interface).sent_packets
        for line in network.lines
    }


def answers(network: OfficeNetwork, line: str, address: str) -> bool:
    argv = ["ping", "-c", "1", "-W", "0.3", "-I", line, address]
    return network.office.run(argv, check=False).returncode == 0


def goodputs_bps(
    network: OfficeNetwork, ports: dict[str, int], *flags: str, duration_s: int = 4
) -> dict[str, float]:
    """Received TCP payload of one iperf3 test over each line, all at the same time."""
    tests = [
        start_iperf3(
            network.office,
            SERVER_ADDRESSES[0],
            ports[line.interface],
            "--bind-dev",
            line.interface,
            *flags,
            duration_s=duration_s,
        )
        for line in network.lines
    ]
    return dict(zip(ports, received_bps(tests), strict=True))


def test_goodput_theory_is_payload_over_frame() -> None:
    assert theoretical_goodput_bps(1_514) == 1_448
    assert theoretical_goodput_bps(1_500, frame_bytes=1_500) == 1_448


@pytest.mark.usefixtures("_iperf3")
@pytest.mark.parametrize(
    ("flags", "shaped_bps"),
    [
        (["--reverse"], lambda shape: shape.download_bps),
        ([], lambda shape: shape.upload_bps),
    ],
    ids=["download", "upload"],
)
def test_lines_read_what_theory_says(
    network: OfficeNetwork,
    iperf3_ports: dict[str, int],
    flags: list[str],
    shaped_bps: Callable[[LineShape], int],
) -> None:
    missing = {line.interface: line.shape for line in network.lines}
    readings: list[dict[str, float]] = []
    while missing and len(readings) < TRIES:
        readings.append(goodputs_bps(network, iperf3_ports, *flags))
        for name, shape in list(missing.items()):
            theory_bps = theoretical_goodput_bps(shaped_bps(shape))
            if readings[-1][name] == pytest.approx(theory_bps, rel=0.005):
                del missing[name]
    assert not missing, readings


@pytest.mark.usefixtures("_iperf3")
def test_no_frame_is_larger_than_the_wire_carries(
    network: OfficeNetwork, iperf3_ports: dict[str, int]
) -> None:
    line = network.line("vnpt")
    before = network.office.counters(line.interface)
    goodputs_bps(network, iperf3_ports, duration_s=1)
    after = network.office.counters(line.interface)
    sent = after.sent_packets - before.sent_packets
    assert sent > 500
    assert 1_000 < (after.sent_bytes - before.sent_bytes) / sent <= 1_514


@pytest.mark.parametrize("bind", [by_device, by_source])
@pytest.mark.parametrize("name", ["vnpt", "viettel"])
@pytest.mark.parametrize("server", SERVER_ADDRESSES)
def test_a_bound_socket_leaves_by_its_line_alone(
    network: OfficeNetwork,
    sink: socket.socket,
    bind: Callable[[Line], socket.socket],
    name: str,
    server: str,
) -> None:
    line = network.line(name)
    before = sent_packets(network)
    with network.office.inside(lambda: bind(line)) as sender:
        for _ in range(200):
            sender.sendto(b"x", (server, UDP_PORT))
            assert sink.recvfrom(100)[1][0] == line.source_address
    after = sent_packets(network)
    for other in before:
        sent = after[other] - before[other]
        # ARP may still have a question or two about what an earlier test left.
        assert (200 <= sent < 205) if other == name else (sent < 5)


def test_an_unbound_socket_leaves_by_the_first_line(
    network: OfficeNetwork, sink: socket.socket
) -> None:
    with network.office.inside(lambda: unbound(network.line("vnpt"))) as sender:
        sender.sendto(b"x", (SERVER_ADDRESSES[0], UDP_PORT))
        assert sink.recvfrom(100)[1][0] == network.line("vnpt").source_address


@pytest.mark.usefixtures("_ping")
@pytest.mark.parametrize(("where", "gateway_answers"), [(Cut.CABLE, False), (Cut.ACCESS, True)])
def test_a_cut_fails_its_line_alone(
    network: OfficeNetwork, where: Cut, *, gateway_answers: bool
) -> None:
    network.cut("viettel", where)
    try:
        gateway = network.line("viettel").gateway_address
        assert answers(network, "viettel", gateway) is gateway_answers
        assert not answers(network, "viettel", SERVER_ADDRESSES[0])
        assert answers(network, "vnpt", SERVER_ADDRESSES[0])
    finally:
        network.restore("viettel")
    wait_until(lambda: answers(network, "viettel", SERVER_ADDRESSES[0]), what="the mended line")
    network.restore("viettel")  # a whole line stays whole
    assert answers(network, "viettel", SERVER_ADDRESSES[0])


@pytest.mark.usefixtures("_iperf3")
def test_a_line_is_reshaped_in_use(network: OfficeNetwork, iperf3_ports: dict[str, int]) -> None:
    network.reshape("vnpt", download_bps=5_000_000)
    try:
        assert network.line("vnpt").shape == LineShape("vnpt", 5_000_000, VNPT.upload_bps)
        reading_bps = goodputs_bps(network, iperf3_ports, "--reverse", duration_s=2)["vnpt"]
        assert reading_bps == pytest.approx(theoretical_goodput_bps(5_000_000), rel=0.1)
    finally:
        network.reshape("vnpt", download_bps=VNPT.download_bps)
    assert network.line("vnpt").shape == VNPT


def test_echo_sockets_need_no_privilege(network: OfficeNetwork) -> None:
    def opened() -> socket.socket:
        return socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP)

    with closing(network.office.inside(opened)) as echo:
        echo.settimeout(5)
        echo.sendto(b"\x08\0\0\0\0\0\0\x01", (SERVER_ADDRESSES[0], 0))
        assert echo.recv(100)[:1] == b"\0"  # echo reply (RFC 792)


def test_root_reaches_a_page_of_the_centre(network: OfficeNetwork, tmp_path: Path) -> None:
    (tmp_path / "page").write_text("Trạm đo", encoding="utf-8")
    argv = [sys.executable, "-m", "http.server", "8080", "--directory", str(tmp_path)]
    server = network.centre.popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with server:
        try:
            wait_until(lambda: network.centre.is_listening(8_080), what="the page's server")
            url = f"http://{network.centre.management_address}:8080/page"
            with urllib.request.urlopen(url, timeout=5) as page:
                assert page.read().decode() == "Trạm đo"
        finally:
            server.kill()
    assert network.office.management_address != network.centre.management_address


@pytest.mark.usefixtures("_ping", "_tun_devices")
def test_an_impaired_line_delays_behind_its_gateway() -> None:
    slow = Impairment(delay_ms=20)
    lossy = LineImpairment(upload=slow, download=slow)
    shape = LineShape("vnpt", 50_000_000, 20_000_000, lossy)
    with OfficeNetwork([shape, VIETTEL], tag=unique_tag("i")) as network:
        assert rtt_min_ms(network, "vnpt", SERVER_ADDRESSES[0]) >= 40.0
        assert rtt_min_ms(network, "vnpt", network.line("vnpt").gateway_address) < 20.0
        assert rtt_min_ms(network, "viettel", SERVER_ADDRESSES[0]) < 20.0
        link = network.line("vnpt").link
        assert link is not None
        assert network.line("viettel").link is None
        assert [truth.identity.icmp_type for truth in link.truth()] == [0] * 3 + [8] * 3


def rtt_min_ms(network: OfficeNetwork, line: str, address: str) -> float:
    argv = ["ping", "-c", "3", "-i", "0.01", "-I", line, "-q", address]
    return float(network.office.run(argv).stdout.rpartition(" = ")[2].split("/")[0])


def test_a_killed_run_is_cleaned_up() -> None:
    tag = unique_tag("k")
    script = (
        "import sys, time\n"
        "from tests.lab.network import *\n"
        f"with OfficeNetwork([LineShape('vnpt')], tag='{tag}', management=True) as network:\n"
        "    child = network.centre.popen(['sleep', '1000'])\n"
        "    print(child.pid, flush=True)\n"
        "    time.sleep(1000)\n"
    )
    argv = [sys.executable, "-c", script]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        child = int(run.stdout.readline())
        assert len(namespaces_of(tag)) == 3
        run.send_signal(signal.SIGKILL)
    wait_until(lambda: namespaces_of(tag) == [], what="the end of the run's namespaces")
    left = {name for _, name in socket.if_nameindex()}
    assert left.isdisjoint(root_link_name(tag, part) for part in ("office", "centre"))
    wait_until(lambda: not alive(child), what="the end of the run's process")
    remove_stale(tag)  # nothing left is nothing to complain of


def alive(pid: int) -> bool:
    """Whether it runs; a zombie waits for somebody else's parent to read its end."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text("ascii")
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_half_built_network_is_removed() -> None:
    tag = unique_tag("h")
    in_the_way = Namespace(f"tramdo-{tag}-isp-viettel")
    in_the_way.create()
    with pytest.raises(LabError, match="isp-viettel"), OfficeNetwork([VNPT, VIETTEL], tag=tag):
        pass
    assert namespaces_of(tag) == []


def test_a_network_in_use_is_left_alone(network: OfficeNetwork) -> None:
    before = namespaces_of(network.tag)
    with pytest.raises(LabError, match="File exists"), OfficeNetwork([VNPT], tag=network.tag):
        pass
    assert namespaces_of(network.tag) == before
    assert answers(network, "vnpt", SERVER_ADDRESSES[0])


@pytest.mark.parametrize("name", ["", "lo", "mgmt", "Vnpt", "a" * 16, "a b"])
def test_a_line_needs_an_interfaces_name(name: str) -> None:
    with pytest.raises(ValueError, match="cannot name a line"):
        LineShape(name)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LineShape("vnpt", download_bps=0), "a rate must be positive"),
        (lambda: OfficeNetwork([]), "a network needs lines"),
        (lambda: OfficeNetwork([VNPT, VNPT]), "a network needs lines"),
        (lambda: OfficeNetwork([VNPT], tag="a-b"), "tag 'a-b'"),
    ],
)
def test_impossible_networks_are_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
