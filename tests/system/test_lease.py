"""Leases with everything real: the service, iperf3, nginx, and the probe's own measurements."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from probe.config import HttpConfig, LatencyConfig, PlanConfig, ServerConfig, ThroughputConfig
from probe.measure.kinds import MEASURES
from probe.measure.measurement import MeasurementRequest, RawResult
from tests.http_request import LOOPBACK
from tests.lease_process import LeaseProcess
from tests.line_request import line_request
from tests.nginx import Nginx
from tests.nginx import why_not as why_no_nginx
from tests.ports import free_port
from tests.stranger import sending
from wire.lease import LeaseRequest, line_of
from wire.record import Outcome, Reason, Validity

LIMIT_S = 60.0
QUICK_HTTP = HttpConfig(connections=4, pings=2, warm_up_s=0, duration_s=1, early_stop=False)
QUICK_IPERF3 = ThroughputConfig(warm_up_s=0, duration_s=1, busy_limit_s=0)


def until(holds: Callable[[], bool], what: str) -> None:
    deadline_s = time.monotonic() + LIMIT_S
    while not holds():
        assert time.monotonic() < deadline_s, what
        time.sleep(0.05)


@contextmanager
def iperf3(port: int) -> Iterator[None]:
    """A real iperf3 server."""
    process = subprocess.Popen(
        ["iperf3", "-s", "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        until(lambda: _listens(port), "iperf3 listens")
        yield
    finally:
        process.kill()
        process.wait()


def _listens(port: int) -> bool:
    table = Path("/proc/net/tcp6").read_text("ascii") + Path("/proc/net/tcp").read_text("ascii")
    return any(
        line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "0A"
        for line in table.splitlines()
        if ":" in line.partition(":")[2]
    )


@contextmanager
def holding(leases: LeaseProcess, kind: str, source: str = "127.0.0.1") -> Iterator[dict[str, Any]]:
    """Another probe's lease, as it is on the wire."""
    request = LeaseRequest(kind=kind, rate_bps=1e6, longest_s=60, wait_s=30)
    with socket.create_connection(
        ("127.0.0.1", leases.port), LIMIT_S, source_address=(source, 0)
    ) as other:
        other.sendall(line_of(request))
        lines = other.makefile("rb")
        granted = json.loads(lines.readline())
        while granted["type"] == "queued":
            granted = json.loads(lines.readline())
        yield granted


def request_to(
    leases: LeaseProcess | int, iperf3_ports: list[int], http_port: int | None, wait_s: float
) -> MeasurementRequest:
    server = ServerConfig(
        name="hanoi",
        host="127.0.0.1",
        iperf3_ports=iperf3_ports,
        http_port=http_port,
        lease_port=leases if isinstance(leases, int) else leases.port,
    )
    return line_request(
        LOOPBACK,
        [server],
        http=QUICK_HTTP,
        throughput=QUICK_IPERF3,
        latency=LatencyConfig(enabled=False),
        plan=PlanConfig(lease_wait_s=wait_s),
    )


def measured(kind: str, request: MeasurementRequest) -> RawResult:
    (raw,) = MEASURES[kind].once(request)
    return raw


def settings(raw: RawResult) -> dict[str, Any]:
    assert raw.method is not None
    return dict(raw.method.settings)


@pytest.mark.skipif(shutil.which("iperf3") is None, reason="iperf3 is not installed")
def test_a_throughput_test_runs_at_the_port_that_was_granted() -> None:
    first, second = free_port(), free_port()
    with iperf3(second), LeaseProcess([first, second]) as leases:
        with holding(leases, "throughput") as other:
            assert other["port"] == first
            raw = measured("throughput", request_to(leases, [first, second], None, 30))
        assert raw.outcome is Outcome.OK, raw
        assert (settings(raw)["lease"], settings(raw)["download_port"]) == ("granted", second)
        assert Validity.SERVER_CONTENTION not in raw.validity
        until(lambda: leases.metrics()["held"] == 0, "both leases have ended")
        assert leases.metrics()["granted_total"] == 2
        assert leases.metrics()["contended_total"] == 0


def test_who_gets_no_lease_in_time_is_turned_away_and_comes_again() -> None:
    port = free_port()
    with LeaseProcess([port]) as leases, holding(leases, "throughput"):
        raw = measured("throughput", request_to(leases, [port], None, 1))
        assert (raw.outcome, raw.reason) == (Outcome.SKIPPED, Reason.SERVER_BUSY)
        assert raw.values is None, "so that the slot is deferred"
        assert leases.metrics()["not_granted_in_time_total"] == 1


@pytest.mark.skipif(shutil.which("iperf3") is None, reason="iperf3 is not installed")
def test_a_lease_that_is_given_back_is_granted_to_who_waits() -> None:
    port = free_port()
    found: list[RawResult] = []
    with iperf3(port), LeaseProcess([port]) as leases:
        request = request_to(leases, [port], None, 60)
        waiting = threading.Thread(target=lambda: found.append(measured("throughput", request)))
        with holding(leases, "throughput"):
            waiting.start()
            until(lambda: leases.metrics()["waiting"] == 1, "it waits")
        until(lambda: bool(found), "it has ended")
    assert found[0].outcome is Outcome.OK, found[0]
    assert settings(found[0])["lease_wait_s"] > 0


@pytest.mark.skipif(shutil.which("iperf3") is None, reason="iperf3 is not installed")
def test_a_server_whose_lease_service_is_dead_is_measured_without() -> None:
    port, dead = free_port(), free_port()
    with iperf3(port):
        raw = measured("throughput", request_to(dead, [port], None, 30))
    assert raw.outcome is Outcome.OK, raw
    assert settings(raw)["lease"] == "none"
    assert "Nothing listens" in settings(raw)["lease_failure"]


@pytest.mark.skipif(shutil.which("iperf3") is None, reason="iperf3 is not installed")
def test_a_test_that_meets_one_without_a_lease_is_flagged() -> None:
    mine, others = free_port(), free_port()
    with iperf3(mine), iperf3(others), LeaseProcess([mine, others]) as leases:
        stranger = subprocess.Popen(
            ["iperf3", "-c", "127.0.0.1", "-p", str(others), "-t", "60", "-b", "1M"],
            stdout=subprocess.DEVNULL,
        )
        try:
            until(lambda: leases.metrics()["without_lease_total"] == 1, "it is seen")
            time.sleep(2.5)  # until it has settled
            raw = measured("throughput", request_to(leases, [mine, others], None, 30))
        finally:
            stranger.kill()
            stranger.wait()
    assert raw.outcome is Outcome.OK, raw
    assert Validity.SERVER_CONTENTION in raw.validity


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[tuple[Nginx, LeaseProcess]]:
    """An nginx that asks a lease service."""
    port = free_port()
    with (
        LeaseProcess([5201], ["--http-test-port", str(port)]) as leases,
        Nginx(tmp_path, port=port, lease_http_port=leases.http_port) as server,
    ):
        yield server, leases


@pytest.mark.skipif(why_no_nginx() is not None, reason=why_no_nginx() or "")
def test_nginx_serves_whoever_holds_the_lease_and_turns_others_away(
    guarded: tuple[Nginx, LeaseProcess],
) -> None:
    server, leases = guarded
    raw = measured("http", request_to(leases, [5201], server.port, 30))
    assert raw.outcome is Outcome.OK, raw
    assert settings(raw)["lease"] == "granted"
    assert Validity.SERVER_CONTENTION not in raw.validity
    old = request_to(leases, [5201], server.port, 30)
    old = structs.replace(old, server=structs.replace(old.server, lease_port=None))
    until(lambda: leases.metrics()["held"] == 0, "the lease has ended")
    assert measured("http", old).outcome is Outcome.OK, "an older probe, where nobody holds it"
    until(lambda: leases.metrics()["held"] == 0, "its connections are gone")


@pytest.mark.skipif(why_no_nginx() is not None, reason=why_no_nginx() or "")
def test_nginx_says_busy_to_an_older_probe_while_another_holds_the_lease(
    guarded: tuple[Nginx, LeaseProcess],
) -> None:
    server, leases = guarded
    old = request_to(leases, [5201], server.port, 30)
    old = structs.replace(old, server=structs.replace(old.server, lease_port=None))
    with holding(leases, "http", source="127.0.0.2"):
        raw = measured("http", old)
    assert raw.reason is Reason.SERVER_BUSY, raw


@pytest.mark.skipif(why_no_nginx() is not None, reason=why_no_nginx() or "")
def test_nginx_serves_all_where_the_lease_service_is_dead(tmp_path: Path) -> None:
    with Nginx(tmp_path, lease_http_port=free_port()) as server:
        raw = measured("http", request_to(free_port(), [5201], server.port, 30))
    assert raw.outcome is Outcome.OK, raw
    assert settings(raw)["lease"] == "none"


def test_a_slot_is_deferred_where_people_use_the_line_while_it_waits() -> None:
    port = free_port()
    found: list[RawResult] = []
    with LeaseProcess([port]) as leases:
        request = request_to(leases, [port], None, 60)
        request = structs.replace(request, slot_at=datetime.now(UTC))
        waiting = threading.Thread(target=lambda: found.append(measured("throughput", request)))
        with holding(leases, "throughput"), sending("127.0.0.1", 1400, 0.01):
            waiting.start()
            until(lambda: leases.metrics()["waiting"] == 1, "it waits")
            time.sleep(3)  # a wait of less is covered by the idle check
        until(lambda: bool(found), "it has ended")
    assert (found[0].outcome, found[0].reason) == (Outcome.SKIPPED, Reason.CROSS_TRAFFIC)
    assert found[0].values is None, "so that the slot is deferred"


@pytest.mark.skipif(os.geteuid() != 0, reason="a mount namespace takes root")
def test_connections_are_seen_in_the_unit_s_sandbox() -> None:
    """`ProcSubset=pid` hides /proc/net."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        program = f"from server.kernel_connections import established as e; print(*e({{{port}}}))"
        sandbox = 'mount -t proc -o subset=pid proc /proc && exec "$@"'
        with socket.create_connection(("127.0.0.1", port), LIMIT_S, ("127.0.0.3", 0)):
            seen = subprocess.run(
                ["unshare", "--mount", "sh", "-c", sandbox, "sh", sys.executable, "-c", program],
                capture_output=True,
                text=True,
                check=True,
                timeout=LIMIT_S,
            )
    assert seen.stdout.strip() == f"Seen(port={port}, address='127.0.0.3')"


def test_a_probe_that_disappears_gives_its_lease_back() -> None:
    port = free_port()
    with LeaseProcess([port]) as leases:
        with holding(leases, "throughput"):
            assert leases.metrics()["held"] == 1
        until(lambda: leases.metrics()["held"] == 0, "its connection has ended")


@pytest.mark.parametrize("garbage", [b"", b"GET / HTTP/1.1\r\n\r\n", b"x" * 5000, b"{}\n"])
def test_strangers_get_nothing_and_end_nothing(garbage: bytes) -> None:
    port = free_port()
    with LeaseProcess([port]) as leases:
        with socket.create_connection(("127.0.0.1", leases.port), LIMIT_S) as stranger:
            stranger.sendall(garbage)
            stranger.shutdown(socket.SHUT_WR)
            with suppress(ConnectionResetError):
                assert stranger.recv(100) == b""
        with holding(leases, "throughput") as granted:
            assert granted["port"] == port
        assert leases.stop() == 0
