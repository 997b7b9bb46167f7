"""The real measurement against a real reflector: on loopback, and over lines of a known truth."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from probe.config import LatencyConfig, LineConfig, ServerConfig
from probe.doctor.network_checks import icmp
from probe.measure.latency.probe import measure
from probe.measure.measurement import MeasurementRequest, Progress, RawResult
from runtime import kernel_time
from tests.lab.impairment import Impairment, LineImpairment
from tests.lab.namespace import why_not
from tests.lab.network import SERVER_ADDRESSES, Cut, LineShape, OfficeNetwork
from tests.lab.truth import PacketTruth
from tests.line_request import line_request
from tests.ports import free_port
from tests.reflector_process import ReflectorProcess
from wire import stamp
from wire.result import LatencyValues, Outcome, Reason, Validity

HOLD_S = 0.05
FAST = LatencyConfig(mean_gap_s=0.02, timeout_s=0.5, window_s=1.5)
LOOPBACK = LineConfig(id="lo", isp="none", interface="lo")


def request_on(
    line: LineConfig,
    host: str,
    port: int,
    latency: LatencyConfig = FAST,
    stop: threading.Event | None = None,
    progress: list[Progress] | None = None,
) -> MeasurementRequest:
    server = ServerConfig(name="hanoi", host=host, stamp_port=port)
    return line_request(
        line,
        [server],
        stop=stop,
        progress=([] if progress is None else progress).append,
        latency=latency,
    )


def by_target(findings: list[RawResult]) -> dict[str, RawResult]:
    found = {finding.target or "": finding for finding in findings}
    assert len(found) == len(findings), "one finding for each target"
    return found


def values_of(finding: RawResult) -> LatencyValues:
    assert isinstance(finding.values, LatencyValues), finding
    return finding.values


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


NO_IPV6 = pytest.mark.skipif(not has_ipv6(), reason="this host has no IPv6")


@pytest.fixture(scope="module")
def reflector() -> Iterator[ReflectorProcess]:
    with ReflectorProcess(["127.0.0.1", *(["::1"] if has_ipv6() else [])]) as process:
        yield process


@pytest.mark.parametrize("host", ["127.0.0.1", pytest.param("::1", marks=NO_IPV6)])
def test_loopback(reflector: ReflectorProcess, host: str) -> None:
    progress: list[Progress] = []
    request = request_on(LOOPBACK, host, reflector.ports[host], progress=progress)
    found = by_target(list(measure(request, windows=1)))
    assert sorted(found) == [f"icmp:{host}", "stamp:hanoi"]
    for finding in found.values():
        values = values_of(finding)
        assert (finding.outcome, finding.reason, finding.detail) == (Outcome.OK, None, None)
        assert finding.validity == []
        assert values.sent == values.received == values.rtt_samples
        # 75 expected; fewer than 40 or more than 115 come once in 20,000 runs (Poisson)
        assert 40 <= values.sent <= 115
        assert (values.lost, values.late, values.duplicates, values.forged) == (0, 0, 0, 0)
        assert values.timestamp_source == "kernel"
        assert values.rtt_min_ms is not None
        assert values.rtt_p50_ms is not None
        assert values.rtt_max_ms is not None
        assert 0 < values.rtt_min_ms <= values.rtt_p50_ms <= values.rtt_max_ms
        assert values.rtt_p50_ms < 2
        assert finding.duration_s == pytest.approx(FAST.window_s, abs=0.3)
    assert (progress[0].done_ratio < 0.1, progress[-1].done_ratio) == (True, 1.0)


def test_each_window_is_told_and_stop_ends_it(reflector: ReflectorProcess) -> None:
    stop = threading.Event()
    latency = LatencyConfig(mean_gap_s=0.02, timeout_s=0.2, window_s=1)
    port = reflector.ports["127.0.0.1"]
    findings = []
    for finding in measure(request_on(LOOPBACK, "127.0.0.1", port, latency, stop)):
        findings.append(finding)
        if len(findings) == 4:
            stop.set()
    whole, cut = findings[:4], findings[4:]
    assert [f.target for f in whole] == ["stamp:hanoi", "icmp:127.0.0.1"] * 2
    first, second = whole[0], whole[2]
    assert first.began_s is not None
    assert first.duration_s is not None
    assert second.began_s == pytest.approx(first.began_s + first.duration_s)
    for finding in cut:
        # By the measurement's own clock: it did not wait for the window's end.
        assert finding.validity == [Validity.SHORT]
        assert finding.duration_s is not None
        assert finding.duration_s < latency.window_s
        assert values_of(finding).lost == 0


@contextmanager
def slow_reflector() -> Iterator[tuple[int, threading.Event]]:
    """A reflector that holds each packet for `HOLD_S`: its port, and what is set at the second."""
    ended, second = threading.Event(), threading.Event()

    def reflect_slowly(slow: socket.socket) -> None:
        count = 0
        while not ended.is_set():
            try:
                body, messages, _, source = slow.recvmsg(100, 512)
            except TimeoutError:
                continue
            count += 1
            if count == 2:
                second.set()
            received_ns = kernel_time.stamp_ns(messages)
            assert received_ns is not None
            answer = stamp.reflect(
                body,
                stamp.decode_sender(body),
                received=stamp.ntp_from_unix_ns(received_ns),
                error_estimate=stamp.UNSYNCHRONISED,
                ttl=64,
            )
            ended.wait(HOLD_S)  # what is tested, not a synchronisation
            stamp.put_sent_time(answer, stamp.ntp_from_unix_ns(time.time_ns()))
            slow.sendto(answer, source)

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as slow:
        slow.bind(("127.0.0.1", 0))
        slow.settimeout(0.1)
        kernel_time.stamp_received(slow)
        thread = threading.Thread(target=reflect_slowly, args=(slow,))
        thread.start()
        try:
            yield slow.getsockname()[1], second
        finally:
            ended.set()
            thread.join()


def test_the_reflector_s_time_is_not_the_line_s() -> None:
    """A reflector that holds each packet for 50 ms, and says so, is no slower than another."""
    latency = LatencyConfig(mean_gap_s=0.15, timeout_s=1, window_s=1)
    with slow_reflector() as (port, _):
        request = request_on(LOOPBACK, "127.0.0.1", port, latency)
        values = values_of(by_target(list(measure(request, windows=1)))["stamp:hanoi"])
    assert values.received == values.sent > 0
    assert values.rtt_p50_ms is not None
    assert values.rtt_p50_ms < HOLD_S * 1000 / 10


def test_no_delay_is_taken_across_a_clock_step() -> None:
    """The wall clock is stepped back by an hour while the second packet is away."""
    latency = LatencyConfig(mean_gap_s=0.15, timeout_s=1, window_s=2)
    with slow_reflector() as (port, second_came):

        def read_clock() -> tuple[int, int, int]:
            before_ns, wall_ns, after_ns = kernel_time.clock_reading()
            return before_ns, wall_ns - 3600 * 10**9 * second_came.is_set(), after_ns

        request = request_on(LOOPBACK, "127.0.0.1", port, latency)
        finding = by_target(list(measure(request, 1, read_clock)))["stamp:hanoi"]
    values = values_of(finding)
    assert finding.validity == [Validity.CLOCK_STEPPED]
    assert values.sent == values.received
    assert values.rtt_samples is not None
    assert 0 < values.rtt_samples < values.received


def test_a_closed_port_is_refused() -> None:
    port = free_port()
    found = by_target(list(measure(request_on(LOOPBACK, "127.0.0.1", port), windows=1)))
    finding = found["stamp:hanoi"]
    assert (finding.outcome, finding.reason) == (Outcome.FAILED, Reason.CONNECTION_REFUSED)
    assert finding.detail == (
        f"Nothing listens on UDP port {port} of 127.0.0.1 (ICMP port unreachable)."
    )
    values = values_of(finding)
    assert values.loss_ratio == values.loss_ratio_upper95 == 1.0
    assert values.rtt_p50_ms is None
    assert found["icmp:127.0.0.1"].outcome is Outcome.OK


def test_an_interface_that_is_not_there() -> None:
    line = LineConfig(id="gone", isp="none", interface="tramdo-none0")
    for finding in measure(request_on(line, "127.0.0.1", 862), windows=1):
        assert (finding.outcome, finding.reason) == (Outcome.FAILED, Reason.LINE_DOWN)
        assert finding.detail == "There is no interface tramdo-none0."
        assert finding.values is None, "nothing was sent, so nothing was lost"
        assert finding.validity == [Validity.OWN_LAN]


def test_a_source_address_that_is_not_ours() -> None:
    line = LineConfig(id="moved", isp="none", source_address="192.0.2.77")
    for finding in measure(request_on(line, "127.0.0.1", 862), windows=1):
        assert (finding.outcome, finding.reason) == (Outcome.FAILED, Reason.LINE_DOWN)
        assert finding.detail == "No interface has the line's address 192.0.2.77."


def test_a_name_without_an_address() -> None:
    found = by_target(list(measure(request_on(LOOPBACK, "nobody.invalid", 862), windows=1)))
    assert sorted(found) == ["icmp:nobody.invalid", "stamp:hanoi"]
    for finding in found.values():
        assert (finding.outcome, finding.reason) == (Outcome.FAILED, Reason.NAME_RESOLUTION)
        assert finding.detail is not None
        assert finding.detail.startswith("The name nobody.invalid has no address")
        assert finding.values is None


def as_nobody(action: Callable[[], str]) -> str:
    """What an action returns as a user of no group that may send ICMP echo."""
    if os.geteuid() != 0:
        pytest.skip("becoming another user needs root")
    low, high = Path("/proc/sys/net/ipv4/ping_group_range").read_text(encoding="ascii").split()
    nobody = 65534
    if int(low) <= nobody <= int(high):
        pytest.skip("every group may send ICMP echo here")
    # Python may live where only root can read: load now what a look-up needs.
    socket.getaddrinfo("127.0.0.1", 1)
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        answer = "none"
        try:
            os.close(read_end)
            os.setgroups([])
            os.setgid(nobody)
            os.setuid(nobody)
            answer = action()
        finally:
            os.write(write_end, answer.encode())
            os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end, encoding="utf-8") as told:
        said = told.read()
    os.waitpid(child, 0)
    return said


def test_without_the_right_to_send_icmp() -> None:
    """As a user of no permitted group: STAMP is measured, ICMP says what to open."""

    def measured() -> str:
        latency = LatencyConfig(mean_gap_s=0.1, timeout_s=0.1, window_s=1)
        found = by_target(list(measure(request_on(LOOPBACK, "127.0.0.1", 1, latency), 1)))
        finding = found["icmp:127.0.0.1"]
        return f"{finding.reason} {finding.values} {finding.detail}"

    said = as_nobody(measured)
    assert said.startswith("permission_denied None This process may not send ICMP echo"), said


def test_the_doctor_says_that_icmp_is_not_permitted_and_what_to_do() -> None:
    def examined() -> str:
        return "\n".join(f"{one.seen.en} {one.todo and one.todo.vi}" for one in icmp())

    said = as_nobody(examined)
    assert said.startswith("This process may not send ICMP echo"), said
    assert "sudo sysctl -w net.ipv4.ping_group_range=" in said, said
    # Root may: there is nothing to say.
    assert list(icmp()) == []


# --- over lines of a known truth -------------------------------------------------------------

TMAX_S = 0.6
LINE = LineShape(
    "vnpt",
    impairment=LineImpairment(
        upload=Impairment(delay_ms=12, loss_ratio=0.05, duplicate_ratio=0.05, seed=7),
        download=Impairment(
            delay_ms=8, jitter_ms=4, loss_ratio=0.05, reorder_ratio=0.1, reorder_hold_ms=60, seed=8
        ),
    ),
)


@pytest.fixture
def office() -> Iterator[OfficeNetwork]:
    reason = why_not(tun=True)
    if reason is not None:
        pytest.skip(reason)
    with OfficeNetwork([LINE], tag=f"lt{os.getpid()}") as network:
        yield network


def centre_reflector(network: OfficeNetwork) -> ReflectorProcess:
    return ReflectorProcess(
        [SERVER_ADDRESSES[0]],
        port=stamp.PORT,
        prefix=["ip", "netns", "exec", network.centre.name],
    )


def office_line(network: OfficeNetwork) -> LineConfig:
    line = network.line("vnpt")
    return LineConfig(id="vnpt", isp="VNPT", interface=line.interface, gateway=line.gateway_address)


def test_what_is_counted_is_what_happened(office: OfficeNetwork) -> None:
    """Loss, copies, order and delay of each packet, against the emulator's own record."""
    latency = LatencyConfig(mean_gap_s=0.03, timeout_s=TMAX_S, window_s=12)
    request = request_on(office_line(office), SERVER_ADDRESSES[0], stamp.PORT, latency)
    with centre_reflector(office):
        found = by_target(office.office.inside(lambda: list(measure(request, windows=1))))
    link = office.line("vnpt").link
    assert link is not None
    link.close()
    truth = [packet for packet in link.truth() if packet.identity.protocol == "udp"]
    values = values_of(found["stamp:hanoi"])
    upward = [packet for packet in truth if packet.direction == "upload"]
    downward = [packet for packet in truth if packet.direction == "download"]
    arrivals = sorted(
        (at_ns, packet.identity.udp_seq or 0) for packet in downward for at_ns in packet.departed_ns
    )
    firsts = list(dict.fromkeys(seq for _, seq in arrivals))
    reordered = sum(seq < max(firsts[: at + 1]) for at, seq in enumerate(firsts))
    assert values.sent == len(upward)
    assert values.received == len(firsts)
    assert values.duplicates == len(arrivals) - len(firsts)
    assert values.reordered == reordered
    # The impairments are drawn from seeds; this run must have had some of each.
    assert min(values.lost, values.duplicates, values.reordered) > 0
    delays_ms = true_delays_ms(upward, downward)
    # What the emulator's own waking up adds is not in its record, and is in ours (and in ping's):
    # never less than the record says, and for the luckiest packet hardly more.
    assert values.rtt_min_ms == pytest.approx(min(delays_ms), abs=0.5)
    rank = -(-(len(delays_ms) + values.lost) // 2)
    for ours, true in (
        (values.rtt_p50_ms, sorted(delays_ms)[rank - 1]),
        (values.rtt_mean_ms, sum(delays_ms) / len(delays_ms)),
    ):
        assert ours is not None
        assert true <= ours <= true + 3
    gateway = found["icmp:gateway"]
    assert gateway.outcome is Outcome.OK
    assert values_of(gateway).lost == 0
    assert gateway.method is not None
    assert gateway.method.settings["socket"] == "icmp datagram"


def true_delays_ms(upward: list[PacketTruth], downward: list[PacketTruth]) -> list[float]:
    """Time on the link, there and back, of the first answer to each packet."""
    # The reflector answers copies in the order in which they reach it.
    there = {
        packet.identity.udp_seq: packet.departed_ns[0] - packet.arrived_ns
        for packet in upward
        if packet.departed_ns
    }
    copies = [
        (at_ns, at_ns - packet.arrived_ns, packet.identity.udp_seq)
        for packet in downward
        for at_ns in packet.departed_ns
    ]
    first_back = {seq: back_ns for _, back_ns, seq in sorted(copies, reverse=True)}
    return [(there[seq] + back_ns) / 1e6 for seq, back_ns in first_back.items()]


def test_a_line_that_comes_back_is_picked_up(office: OfficeNetwork) -> None:
    latency = LatencyConfig(mean_gap_s=0.05, timeout_s=0.3, window_s=1)
    stop = threading.Event()
    request = request_on(office_line(office), SERVER_ADDRESSES[0], stamp.PORT, latency, stop)
    told: list[tuple[Reason | None, Reason | None]] = []

    def watch(wanted: list[tuple[Reason | None, Reason | None]]) -> None:
        """Walk through the outage: each pair is awaited, then the next thing happens."""
        changes = iter(
            [
                lambda: office.cut("vnpt", Cut.ACCESS),
                lambda: office.restore("vnpt"),
                lambda: office.cut("vnpt", Cut.CABLE),
                lambda: office.restore("vnpt"),
                stop.set,
            ]
        )
        deadline_s = time.monotonic() + 60
        pair: dict[str, Reason | None] = {}
        for finding in measure(request):
            pair[finding.target or ""] = finding.reason
            if len(pair) == 3 and wanted:
                told.append((pair["stamp:hanoi"], pair["icmp:gateway"]))
                pair = {}
                if told[-1] == wanted[0]:
                    wanted.pop(0)
                    next(changes)()
            assert time.monotonic() < deadline_s, told

    ok = (None, None)
    with centre_reflector(office):
        wanted = [
            ok,
            (Reason.NO_REPLY, None),  # the gateway still answers: the fault is beyond it
            ok,
            (Reason.LINE_DOWN, Reason.LINE_DOWN),
            ok,
        ]
        office.office.inside(lambda: watch(wanted))
    assert wanted == [], told
