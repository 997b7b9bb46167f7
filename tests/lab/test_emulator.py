"""The link emulator between two namespaces, held against real pings and datagrams."""

import os
import re
import select
import signal
import socket
import statistics
import struct
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise

import pytest

from tests.lab.emulated_link import EmulatedLink
from tests.lab.impairment import Impairment, LineImpairment, OneWay
from tests.lab.namespace import LabError, Namespace
from tests.lab.network import theoretical_goodput_bps
from tests.lab.polling import wait_until
from tests.lab.truth import Direction, PacketTruth
from tests.lab.yardstick import iperf3_server, received_bps, start_iperf3

pytestmark = pytest.mark.usefixtures("_tun_devices")

SO_RCVBUFFORCE = 33  # asm-generic/socket.h; the default holds some 270 datagrams
PORT = 862
PAYLOAD_BYTES = 44  # an unauthenticated STAMP packet (RFC 8762)


@pytest.fixture(scope="module")
def ends() -> Iterator[tuple[Namespace, Namespace]]:
    with new_ends(f"e{os.getpid()}") as both:
        yield both


@contextmanager
def new_ends(tag: str) -> Iterator[tuple[Namespace, Namespace]]:
    near = Namespace(f"tramdo-{tag}-near", ("192.0.2.1",))
    far = Namespace(f"tramdo-{tag}-far", ("192.0.2.2",))
    with ExitStack() as stack:
        for end in (near, far):
            stack.callback(end.delete)
            end.create()
        yield near, far


@contextmanager
def linked(
    ends: tuple[Namespace, Namespace],
    upload: Impairment | None = None,
    download: Impairment | None = None,
) -> Iterator[EmulatedLink]:
    near, far = ends
    impairment = LineImpairment(upload or Impairment(), download or Impairment())
    with EmulatedLink(near, "tun0", far, "tun0", impairment) as link:
        for end in ends:
            end.ip(f"addr add {end.address}/24 dev tun0")
        yield link


@pytest.fixture
def receiver(ends: tuple[Namespace, Namespace]) -> Iterator[socket.socket]:
    with ends[1].inside(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as receiver:
        receiver.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 8_000_000)
        receiver.bind(("0.0.0.0", PORT))
        receiver.settimeout(5)
        yield receiver


@pytest.fixture
def sender(ends: tuple[Namespace, Namespace]) -> Iterator[socket.socket]:
    with ends[0].inside(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sender:
        yield sender


def send(sender: socket.socket, count: int, *, payload_bytes: int = PAYLOAD_BYTES) -> None:
    for seq in range(count):
        payload = struct.pack("!I", seq).ljust(payload_bytes, b"\0")
        sender.sendto(payload, ("192.0.2.2", PORT))


def receive(receiver: socket.socket, count: int) -> list[int]:
    """The sequence numbers of the next `count` datagrams, and proof that no more wait."""
    seqs = [struct.unpack_from("!I", receiver.recv(2_048))[0] for _ in range(count)]
    assert not readable(receiver)
    return seqs


def readable(receiver: socket.socket) -> bool:
    return bool(select.select([receiver], (), (), 0)[0])


def ping(near: Namespace, *arguments: str) -> str:
    return near.run(["ping", *arguments, "192.0.2.2"], check=False).stdout


def rtts_ms(output: str) -> list[float]:
    return [float(found) for found in re.findall(r"time=([\d.]+) ms", output)]


def of(truths: list[PacketTruth], direction: Direction) -> list[PacketTruth]:
    return [truth for truth in truths if truth.direction == direction]


def wait_for_uploads(link: EmulatedLink, count: int) -> list[PacketTruth]:
    wait_until(
        lambda: len(of(link.truth(), "upload")) >= count, timeout_s=60.0, what=f"{count} packets"
    )
    return of(link.truth(), "upload")


@pytest.mark.usefixtures("_ping")
def test_delay_each_way_is_the_round_trip(ends: tuple[Namespace, Namespace]) -> None:
    delay = Impairment(delay_ms=20)
    with linked(ends, delay, delay) as link:
        rtts = rtts_ms(ping(ends[0], "-c", "50", "-i", "0.02"))
        truths = link.truth()
    late_us = [(truth.departed_ns[0] - truth.due_ns[0]) / 1e3 for truth in truths]
    assert len(rtts) == 50
    assert min(rtts) >= 40.0
    # On an idle machine 40.2 and 1 us; other people's load must not fail the test.
    assert statistics.median(rtts) < 41.0
    assert min(late_us) >= 0
    assert statistics.median(late_us) < 100


@pytest.mark.usefixtures("_ping")
def test_pings_lost_are_the_seeds_and_the_truths(ends: tuple[Namespace, Namespace]) -> None:
    impairment = Impairment(loss_ratio=0.1, seed=42)
    one_way = OneWay(impairment)
    predicted = [seq for seq in range(1, 301) if one_way.accept(0, 84).dropped == "loss"]
    with linked(ends, upload=impairment) as link:
        output = ping(ends[0], "-c", "300", "-i", "0.005", "-W", "1")
        truths = link.truth()
    requests = of(truths, "upload")
    replied = {truth.identity.icmp_seq for truth in of(truths, "download")}
    assert [truth.identity.icmp_seq for truth in requests if truth.dropped == "loss"] == predicted
    assert replied == set(range(1, 301)) - set(predicted)
    assert f"{300 - len(predicted)} received" in output
    assert len({truth.identity.icmp_id for truth in truths}) == 1


def test_duplicates_arrive_as_told(
    ends: tuple[Namespace, Namespace], sender: socket.socket, receiver: socket.socket
) -> None:
    with linked(ends, Impairment(duplicate_ratio=0.1, loss_ratio=0.05, seed=9)) as link:
        send(sender, 500)
        truths = wait_for_uploads(link, 500)
        copies = {truth.identity.udp_seq: len(truth.departed_ns) for truth in truths}
        received = Counter(receive(receiver, sum(copies.values())))
    assert set(copies.values()) == {0, 1, 2}
    assert {seq: received[seq] for seq in range(500)} == copies


def test_reordered_packets_arrive_in_the_order_told(
    ends: tuple[Namespace, Namespace], sender: socket.socket, receiver: socket.socket
) -> None:
    with linked(ends, Impairment(delay_ms=5, reorder_ratio=0.05, seed=4)) as link:
        send(sender, 300)
        received = receive(receiver, 300)
        truths = wait_for_uploads(link, 300)
    by_departure = sorted(truths, key=lambda truth: truth.departed_ns)
    assert received == [truth.identity.udp_seq for truth in by_departure]
    assert received != sorted(received)


def test_jitter_keeps_the_order(
    ends: tuple[Namespace, Namespace], sender: socket.socket, receiver: socket.socket
) -> None:
    with linked(ends, Impairment(delay_ms=5, jitter_ms=10, seed=4)) as link:
        send(sender, 300)
        assert receive(receiver, 300) == list(range(300))
        truths = wait_for_uploads(link, 300)
    delays_ms = [(truth.departed_ns[0] - truth.arrived_ns) / 1e6 for truth in truths]
    assert min(delays_ms) >= 5
    assert statistics.median(truth.due_ns[0] - truth.arrived_ns for truth in truths) <= 15e6


def test_bottleneck_spaces_packets_and_tells_its_drops(
    ends: tuple[Namespace, Namespace], sender: socket.socket, receiver: socket.socket
) -> None:
    # 972 + 28 bytes of headers: 1 ms each at 8 Mbit/s, and a queue of 50 of them
    impairment = Impairment(rate_bps=8_000_000, queue_ms=50)
    with linked(ends, impairment) as link:
        send(sender, 200, payload_bytes=972)
        truths = wait_for_uploads(link, 200)
        passed = [truth for truth in truths if truth.dropped is None]
        received = receive(receiver, len(passed))
    one_way = OneWay(impairment)
    fates = [one_way.accept(truth.arrived_ns, truth.length_bytes) for truth in truths]
    assert [truth.dropped for truth in truths] == [fate.dropped for fate in fates]
    assert Counter(truth.dropped for truth in truths)["queue"] > 50
    assert received == [truth.identity.udp_seq for truth in passed]
    # A millisecond after the one before it, or after its own coming where the sender had paused.
    for before, after in pairwise(passed):
        free_ns = max(before.due_ns[0], after.arrived_ns)
        assert (after.due_ns[0] - free_ns) / 1e6 == pytest.approx(1.0, abs=0.001)


@pytest.mark.usefixtures("_iperf3")
def test_tcp_reads_the_bottlenecks_rate() -> None:
    # Ends of its own: what TCP has not had acknowledged it sends again on the next link there.
    with new_ends(f"b{os.getpid()}") as ends:
        assert_tcp_reads_the_rate(ends)


def assert_tcp_reads_the_rate(ends: tuple[Namespace, Namespace]) -> None:
    theory_bps = theoretical_goodput_bps(50_000_000, frame_bytes=1_500)
    readings: list[float] = []
    with (
        linked(ends, Impairment(delay_ms=5, rate_bps=50_000_000), Impairment(delay_ms=5)),
        iperf3_server(ends[1], 5_201),
    ):
        # Others on this machine can only make it read low: one undisturbed reading is proof.
        while len(readings) < 4 and readings[-1:] != [pytest.approx(theory_bps, rel=0.005)]:
            test = start_iperf3(ends[0], "192.0.2.2", 5_201, duration_s=3)
            readings += received_bps([test])
    assert readings[-1] == pytest.approx(theory_bps, rel=0.005), readings


def test_an_outage_begins_and_ends_at_the_times_answered(
    ends: tuple[Namespace, Namespace], sender: socket.socket, receiver: socket.socket
) -> None:
    with linked(ends) as link:
        send(sender, 50)
        wait_for_uploads(link, 50)
        began_ns = link.change(upload=Impairment(loss_ratio=1.0))
        send(sender, 50)
        wait_for_uploads(link, 100)
        ended_ns = link.change(upload=Impairment())
        send(sender, 50)
        truths = wait_for_uploads(link, 150)
        received = receive(receiver, 100)
    lost = [truth for truth in truths if truth.dropped == "loss"]
    assert received == [*range(50), *range(50)]
    assert [truth.index for truth in lost] == list(range(50, 100))
    assert began_ns < lost[0].arrived_ns
    assert lost[-1].arrived_ns < ended_ns


def test_closing_tells_what_was_under_way(
    ends: tuple[Namespace, Namespace], sender: socket.socket, receiver: socket.socket
) -> None:
    with linked(ends, Impairment(delay_ms=60_000, duplicate_ratio=1.0)) as link:
        send(sender, 3)
        # A TUN device counts a packet as sent when the emulator has read it.
        wait_until(lambda: ends[0].counters("tun0").sent_packets == 3, what="3 packets")
        assert link.truth() == []
    assert [(truth.dropped, truth.departed_ns) for truth in link.truth()] == [("stopped", ())] * 3
    assert not readable(receiver)


def test_an_interface_that_is_down_is_told(
    ends: tuple[Namespace, Namespace], sender: socket.socket
) -> None:
    with linked(ends) as link:
        ends[1].ip("link set tun0 down")
        send(sender, 3)
        truths = wait_for_uploads(link, 3)
    assert [truth.dropped for truth in truths] == ["interface_down"] * 3


def test_devices_go_with_the_link_and_may_come_again(ends: tuple[Namespace, Namespace]) -> None:
    for _ in range(2):
        with linked(ends):
            assert ends[0].counters("tun0").sent_packets == 0
        with pytest.raises(LabError, match="tun0"):
            ends[0].counters("tun0")


def test_an_emulator_that_was_killed_is_an_error(ends: tuple[Namespace, Namespace]) -> None:
    with linked(ends) as link:
        (pid,) = ends[0].pids()
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(LabError, match="the emulator"):
            link.truth()


def test_a_device_that_exists_is_an_error(ends: tuple[Namespace, Namespace]) -> None:
    with linked(ends), pytest.raises(LabError, match="exit code 1"), linked(ends):
        pass
    assert ends[0].pids() == []
