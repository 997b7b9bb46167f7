"""The reflector as a process: what it answers, how, how fast, and what it never answers."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.reflector_process import COMMAND, ReflectorProcess
from wire import stamp
from wire.stamp import ErrorEstimate, SenderPacket

ESTIMATE = ErrorEstimate(synchronised=True, ptp=False, scale=10, multiplier=5)
SILENCE_S = 0.3
# Answers each second, as many as a nation of probes needs.
REQUIRED_PPS = 5_000


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.fixture(scope="module")
def reflector() -> Iterator[ReflectorProcess]:
    addresses = ["127.0.0.1", *(["::1"] if has_ipv6() else [])]
    with ReflectorProcess(addresses, options=["--rate-limit-pps", "0"]) as process:
        yield process


@pytest.fixture
def sender(reflector: ReflectorProcess) -> Iterator[socket.socket]:
    """A socket that is joined to the reflector."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(5)
        sock.connect(("127.0.0.1", reflector.ports["127.0.0.1"]))
        yield sock


def request(seq: int = 1) -> bytes:
    return stamp.encode_sender(SenderPacket(seq, stamp.ntp_from_unix_ns(time.time_ns()), ESTIMATE))


def assert_silence(sock: socket.socket) -> None:
    """Nothing comes, although a sound packet that is sent afterwards is answered."""
    sock.settimeout(5)
    sock.send(request(999))
    assert stamp.decode_reflector(sock.recv(2000)).seq == 999
    sock.settimeout(SILENCE_S)
    with pytest.raises(TimeoutError):
        sock.recv(2000)


def test_an_answer_carries_the_request_and_true_times(sender: socket.socket) -> None:
    before_ns = time.time_ns()
    body = request(seq=7)
    sender.send(body)
    answer = stamp.decode_reflector(sender.recv(2000))
    after_ns = time.time_ns()
    sent = stamp.decode_sender(body)
    assert (answer.seq, answer.sender_seq) == (7, 7)
    assert answer.sender_timestamp == sent.timestamp
    assert answer.sender_error_estimate == ESTIMATE
    received_ns = stamp.unix_ns_from_ntp(answer.receive_timestamp, before_ns)
    reflected_ns = stamp.unix_ns_from_ntp(answer.timestamp, before_ns)
    assert before_ns <= received_ns < reflected_ns <= after_ns
    assert answer.residence_ns == reflected_ns - received_ns


def test_the_ttl_comes_back(sender: socket.socket) -> None:
    for ttl in (255, 17):
        sender.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
        sender.send(request())
        assert stamp.decode_reflector(sender.recv(2000)).sender_ttl == ttl


def test_an_answer_is_as_long_as_its_request(sender: socket.socket) -> None:
    for tail in (b"", bytes(27), b"\xa5" * (1472 - 44)):
        sender.send(request() + tail)
        answer = sender.recv(2000)
        assert len(answer) == 44 + len(tail)
        assert answer[44:] == tail


def test_what_is_no_request_is_not_answered(
    sender: socket.socket, reflector: ReflectorProcess
) -> None:
    before = reflector.counters()
    corrupt = bytearray(request())
    corrupt[13] = 0
    for body in (b"", b"\0", request()[:13], bytes(44), bytes(corrupt)):
        sender.send(body)
    sender.send(request() + bytes(1500))
    assert_silence(sender)
    after = reflector.counters()
    assert after["malformed"] - before["malformed"] == 5
    assert after["too_long"] - before["too_long"] == 1
    assert after["reflected"] - before["reflected"] == 1


def test_another_reflector_is_not_answered(reflector: ReflectorProcess) -> None:
    """A packet that claims to come from a reflector's port would go round for ever."""
    port = reflector.ports["127.0.0.1"]
    before = reflector.counters()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as twin:
        twin.bind(("127.0.0.2", port))
        twin.settimeout(SILENCE_S)
        twin.sendto(request(), ("127.0.0.1", port))
        with pytest.raises(TimeoutError):
            twin.recv(2000)
    assert reflector.counters()["refused"] - before["refused"] == 1


def test_reflectors_on_different_ports_do_not_answer_each_other(
    reflector: ReflectorProcess,
) -> None:
    """After one packet with a forged source each would take the other for a sender."""
    with ReflectorProcess(["127.0.0.1"], options=["--rate-limit-pps", "0"]) as other:
        ports = [one.ports["127.0.0.1"] for one in (reflector, other)]
        assert ports[0] != ports[1]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(5)
            sock.bind(("127.0.0.1", 0))
            sock.sendto(request(), ("127.0.0.1", ports[0]))
            answer = sock.recv(2000)
            assert stamp.is_reflected(answer)
            assert not stamp.is_reflected(request())
            before = other.counters()
            sock.sendto(answer, ("127.0.0.1", ports[1]))
            sock.settimeout(SILENCE_S)
            with pytest.raises(TimeoutError):
                sock.recv(2000)
        assert other.counters()["refused"] - before["refused"] == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="ports below 1024 need root")
@pytest.mark.parametrize("port", [7, 19, 862])
def test_a_responder_s_port_is_not_answered(reflector: ReflectorProcess, port: int) -> None:
    before = reflector.counters()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.3", port))
        sock.settimeout(SILENCE_S)
        sock.sendto(request(), ("127.0.0.1", reflector.ports["127.0.0.1"]))
        with pytest.raises(TimeoutError):
            sock.recv(2000)
    assert reflector.counters()["refused"] - before["refused"] == 1


def test_the_kernel_takes_the_times(sender: socket.socket, reflector: ReflectorProcess) -> None:
    sender.send(request())
    sender.recv(2000)
    counters = reflector.counters()
    assert counters["reflected"] > 0
    # The kernel begins to stamp a moment after the first socket has asked for it.
    assert counters["without_kernel_time"] <= 1


@pytest.mark.skipif(not has_ipv6(), reason="this host has no IPv6")
def test_ipv6_in_the_same_process(reflector: ReflectorProcess) -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        sock.settimeout(5)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, 42)
        sock.connect(("::1", reflector.ports["::1"]))
        sock.send(request(seq=3))
        answer = stamp.decode_reflector(sock.recv(2000))
    assert (answer.seq, answer.sender_ttl) == (3, 42)


def test_the_answer_comes_from_the_address_that_was_asked() -> None:
    """A host with several addresses would else answer from the one that routing prefers."""
    with (
        ReflectorProcess(["0.0.0.0"]) as process,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock,
    ):
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(5)
        sock.connect(("127.0.0.77", process.ports["0.0.0.0"]))  # joined: other sources are dropped
        sock.send(request(seq=5))
        assert stamp.decode_reflector(sock.recv(2000)).seq == 5


def test_a_source_gets_no_more_than_its_share() -> None:
    with (
        ReflectorProcess(["127.0.0.1"], options=["--rate-limit-pps", "10"]) as process,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock,
    ):
        sock.connect(("127.0.0.1", process.ports["127.0.0.1"]))
        for seq in range(100):
            sock.send(request(seq))
        deadline_s = time.monotonic() + 10
        counters = process.counters()
        while counters["received"] < 100:
            assert time.monotonic() < deadline_s, counters
            counters = process.counters()
    # 100 packets take a few ms; a second may turn in between.
    assert counters["reflected"] in (10, 20)
    assert counters["limited"] == 100 - counters["reflected"]


def test_it_sustains_what_a_nation_of_probes_needs(reflector: ReflectorProcess) -> None:
    """In a second of a core that it has to itself, by the processor time that the kernel counts."""
    before_s, count = cpu_s(reflector), 15_000
    answer_all(reflector.ports["127.0.0.1"], count)
    rate = count / (cpu_s(reflector) - before_s)
    assert rate >= REQUIRED_PPS, f"answers each second: {rate:.0f}"


def cpu_s(reflector: ReflectorProcess) -> float:
    """The processor time that its one thread has used so far (Linux, sched-stats)."""
    stat = Path(f"/proc/{reflector.process.pid}/schedstat").read_text("ascii")
    return int(stat.split()[0]) / 1e9


def answer_all(port: int, count: int) -> None:
    """Have so many requests answered, 32 always under way; each answer checked."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(5)
        sock.connect(("127.0.0.1", port))
        for seq in range(count):
            sock.send(request(seq))
            if seq >= 32:
                assert stamp.decode_reflector(sock.recv(2000)).seq == seq - 32
        for seq in range(count - 32, count):
            assert stamp.decode_reflector(sock.recv(2000)).seq == seq


def test_systemd_is_told(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        path = str(tmp_path / "notify")
        manager.bind(path)
        manager.settimeout(10)
        with ReflectorProcess(["127.0.0.1"], environment={"NOTIFY_SOCKET": path}) as process:
            assert manager.recv(500) == b"READY=1"
            assert [manager.recv(500) for _ in range(2)] == [b"WATCHDOG=1"] * 2
            assert process.stop() == 0
        told = b""
        while told != b"STOPPING=1":
            assert told in (b"", b"WATCHDOG=1")
            told = manager.recv(500)
    assert "ended: 0 received" in process.log[-1]


def test_exit_codes() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = str(taken.getsockname()[1])
        cases = [
            (["--listen", "127.0.0.1", "--port", port], 1, "Address already in use"),
            (["--listen", "192.0.2.1", "--port", "0"], 1, "cannot listen on 192.0.2.1"),
            (["--listen", "no address"], 1, "cannot listen on no address"),
            (["--port", "65536"], 2, "a port is 0 to 65535"),
            (["--rate-limit-pps", "-1"], 2, "not negative"),
        ]
        for options, code, said in cases:
            ended = subprocess.run(
                [*COMMAND, *options], capture_output=True, text=True, timeout=20, check=False
            )
            assert (ended.returncode, said in ended.stderr) == (code, True), ended.stderr
            assert "Traceback" not in ended.stderr
    shown = subprocess.run([*COMMAND, "--version"], capture_output=True, text=True, check=True)
    assert shown.stdout.startswith("tramdo-reflector ")
    shown = subprocess.run([*COMMAND, "--help"], capture_output=True, text=True, check=True)
    assert "exit codes:" in shown.stdout
