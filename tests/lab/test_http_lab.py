"""Kind `http` on lines of a known rate: its figures against theory, and only on its own line."""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

import pytest
from msgspec import structs

from probe.config import HttpConfig, LineConfig
from probe.measure.http.probe import measure
from probe.measure.measurement import RawResult, SteadyInterval
from tests import nginx
from tests.http_request import http_request
from tests.lab.congestion import use_congestion_control
from tests.lab.exchanges import client_ports, round_trips_ms
from tests.lab.impairment import Impairment, LineImpairment
from tests.lab.network import (
    SERVER_ADDRESSES,
    Cut,
    LineShape,
    OfficeNetwork,
    theoretical_goodput_bps,
)
from tests.lab.truth import PacketTruth
from tests.nginx import Nginx
from tests.stranger import sending
from wire.result import HttpValues, Outcome, Reason, Validity

pytestmark = [
    pytest.mark.usefixtures("_namespaces"),
    pytest.mark.skipif(nginx.why_not() is not None, reason=nginx.why_not() or ""),
]

PORT = 8080
VNPT = LineShape("vnpt", download_bps=50_000_000, upload_bps=20_000_000)
VIETTEL = LineShape("viettel", download_bps=20_000_000, upload_bps=10_000_000)
FULL_LENGTH = HttpConfig(pings=5, warm_up_s=1, duration_s=3, early_stop=False, timeout_s=2.0)
EARLY_STOP = HttpConfig(pings=5, warm_up_s=3, duration_s=10, timeout_s=2.0)
PINGS_FIRST = HttpConfig(pings=9, warm_up_s=0, duration_s=1, early_stop=False, timeout_s=2.0)
WITHIN = 0.03
# What the kernel and Python take for a ping at both ends of the emulated line.
OWN_STACK_MS = 2.0
# A shaper reads low while somebody else has the processor; it never reads high. So one undisturbed
# reading is proof, and a few tries find it.
TRIES = 4

Bound = Callable[[OfficeNetwork, str], LineConfig]


@pytest.fixture(scope="module")
def network() -> Iterator[OfficeNetwork]:
    with OfficeNetwork([VNPT, VIETTEL], tag=f"w{os.getpid()}") as network:
        for line in network.lines:
            use_congestion_control(network, line.interface, "cubic")
        yield network


@pytest.fixture(scope="module", autouse=True)
def _server(network: OfficeNetwork, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with served(network, tmp_path_factory.mktemp("nginx")):
        yield


def served(network: OfficeNetwork, directory: Path) -> Nginx:
    prefix = ["ip", "netns", "exec", network.centre.name]
    return Nginx(directory, host=SERVER_ADDRESSES[0], port=PORT, prefix=prefix)


def found(network: OfficeNetwork, line: LineConfig, http: HttpConfig) -> RawResult:
    request = http_request(SERVER_ADDRESSES[0], PORT, http, line=line)
    (finding,) = network.office.inside(lambda: list(measure(request)))
    return finding


def values_of(finding: RawResult) -> HttpValues:
    assert isinstance(finding.values, HttpValues), finding
    return finding.values


def by_device(network: OfficeNetwork, name: str) -> LineConfig:
    return LineConfig(id=name, isp="x", interface=network.line(name).interface)


def by_source(network: OfficeNetwork, name: str) -> LineConfig:
    return LineConfig(id=name, isp="x", source_address=network.line(name).source_address)


def off_theory(shape: LineShape, values: HttpValues) -> float:
    """How far the worse of the two figures is from theory, as a ratio."""
    assert shape.download_bps is not None
    assert shape.upload_bps is not None
    assert values.download_bps is not None
    assert values.upload_bps is not None
    return max(
        abs(values.download_bps / theoretical_goodput_bps(shape.download_bps) - 1),
        abs(values.upload_bps / theoretical_goodput_bps(shape.upload_bps) - 1),
    )


@pytest.mark.parametrize("http", [FULL_LENGTH, EARLY_STOP], ids=["full length", "early stop"])
@pytest.mark.parametrize(
    ("shape", "bound"), [(VNPT, by_device), (VIETTEL, by_source)], ids=["vnpt", "viettel"]
)
def test_a_line_reads_what_theory_says(
    network: OfficeNetwork, shape: LineShape, bound: Bound, http: HttpConfig
) -> None:
    readings: list[float] = []
    while len(readings) < TRIES and (not readings or readings[-1] > WITHIN):
        values = values_of(found(network, bound(network, shape.name), http))
        readings.append(off_theory(shape, values))
    assert readings[-1] <= WITHIN, readings
    assert values.download is not None
    assert values.download.early_stopped is http.early_stop


def test_what_is_measured_goes_over_its_own_line_alone(network: OfficeNetwork) -> None:
    before = {line.interface: network.office.counters(line.interface) for line in network.lines}
    values = values_of(found(network, by_device(network, "viettel"), FULL_LENGTH))
    after = {line.interface: network.office.counters(line.interface) for line in network.lines}
    assert after["vnpt"] == before["vnpt"]
    assert values.download is not None
    assert values.upload is not None
    received = after["viettel"].received_bytes - before["viettel"].received_bytes
    sent = after["viettel"].sent_bytes - before["viettel"].sent_bytes
    # Heads of packets are 66 of 1514 bytes; what was still on its way at the end is thrown away.
    assert 1.04 < received / values.download.transferred_bytes < 1.25
    assert 1.04 < sent / values.upload.transferred_bytes < 1.25


def somebody_sends(network: OfficeNetwork, rate_bps: float) -> AbstractContextManager[None]:
    """A neighbour's datagrams to the office by vnpt, so slow beside the line's rate."""
    address, size_bytes = network.line("vnpt").source_address, 1200
    return sending(address, size_bytes, size_bytes * 8 / rate_bps, network.centre.inside)


_ONCE = """
import msgspec
from tests.lab import test_http_lab as lab
line = lab.LineConfig(id="vnpt", isp="x", interface="vnpt")
request = lab.http_request(lab.SERVER_ADDRESSES[0], lab.PORT, lab.FULL_LENGTH, line=line)
(finding,) = lab.measure(request)
print(msgspec.json.encode(finding).decode())
"""


def flags_in_a_process(network: OfficeNetwork) -> list[Validity]:
    """Measured by a process of the office's own: a thread that entered sees the host's /sys."""
    made = network.office.run([sys.executable, "-c", _ONCE], timeout_s=60)
    finding = json.loads(made.stdout)
    assert finding["outcome"] == "ok", finding
    for way in ("download", "upload"):
        assert finding["values"][way]["interface_bytes"] > finding["values"][way]["tcp_bytes"]
    return [Validity(flag) for flag in finding["validity"]]


def test_somebody_on_a_slow_line_is_noticed(network: OfficeNetwork) -> None:
    """2 Mbit/s down, a quarter of it somebody's: a megabyte in all, where 16 once were to spare."""
    network.reshape("vnpt", download_bps=2_000_000, upload_bps=2_000_000)
    try:
        alone = flags_in_a_process(network)
        with somebody_sends(network, 500_000):
            shared = flags_in_a_process(network)
    finally:
        network.reshape("vnpt", download_bps=VNPT.download_bps, upload_bps=VNPT.upload_bps)
    assert (alone, shared) == ([], [Validity.CROSS_TRAFFIC])


@pytest.mark.parametrize(
    ("where", "reason"),
    [
        (Cut.CABLE, Reason.LINE_DOWN),
        (Cut.GATEWAY, Reason.UNREACHABLE),
        (Cut.ACCESS, Reason.TIMEOUT),
    ],
    ids=["cable", "gateway", "access"],
)
def test_a_cut_line(network: OfficeNetwork, where: Cut, reason: Reason) -> None:
    """By the default patience, which outlasts the kernel's three requests for the gateway."""
    patient = structs.replace(FULL_LENGTH, timeout_s=HttpConfig().timeout_s)
    network.cut("vnpt", where)
    try:
        finding = found(network, by_device(network, "vnpt"), patient)
    finally:
        network.restore("vnpt")
    assert (finding.outcome, finding.reason) == (Outcome.FAILED, reason)
    values = values_of(finding)
    assert (values.address, values.pings) == (SERVER_ADDRESSES[0], 0)
    assert (values.download, values.upload) == (None, None)


@pytest.mark.usefixtures("_tun_devices")
def test_pings_are_the_line_s_round_trip(tmp_path: Path) -> None:
    # A rate, because the emulator keeps a record of each packet of the bulk part as well.
    way = Impairment(delay_ms=15, rate_bps=10_000_000)
    shape = LineShape("vnpt", impairment=LineImpairment(upload=way, download=way))
    with (
        OfficeNetwork([shape], tag=f"v{os.getpid()}") as network,
        served(network, tmp_path),
    ):
        readings: list[PingReading] = []
        while len(readings) < TRIES and not (readings and readings[-1].is_close()):
            readings.append(ping_reading(network))
    assert all(one.said_min_ms >= one.true_min_ms >= 30.0 for one in readings), readings
    assert readings[-1].is_close(), readings


class PingReading(NamedTuple):
    """What one test said of its pings, what the emulator saw of them, and what the host cost."""

    said_min_ms: float
    said_p50_ms: float
    true_min_ms: float
    true_p50_ms: float
    waited_ms: float

    def is_close(self) -> bool:
        """Whether no more was added than the stacks of both ends take, and waiting for a core."""
        allowed_ms = OWN_STACK_MS + self.waited_ms
        return (
            self.said_min_ms - self.true_min_ms < allowed_ms
            and self.said_p50_ms - self.true_p50_ms < allowed_ms
        )


def ping_reading(network: OfficeNetwork) -> PingReading:
    """Measure once over the emulated line vnpt, and put the truth of its pings beside it."""
    link = network.line("vnpt").link
    assert link is not None
    start_ns = time.monotonic_ns()
    waited_ms: list[float] = []

    def measured() -> list[RawResult]:
        """Both counts of waiting in the thread that pings: before, and when the pings are over."""
        request = http_request(
            SERVER_ADDRESSES[0],
            PORT,
            PINGS_FIRST,
            line=by_device(network, "vnpt"),
            progress=lambda _: waited_ms.append(waited_for_core_ms()),
        )
        return list(measure(request))

    (finding,) = network.office.inside(measured)
    values = values_of(finding)
    truths = [one for one in link.truth() if one.arrived_ns >= start_ns]
    # The first ping warms the connection up and is not counted.
    _, *true_ms = round_trips_ms(truths, client_ports(truths)[0])
    assert values.pings == len(true_ms) == PINGS_FIRST.pings
    assert values.ping_min_ms is not None
    assert values.ping_p50_ms is not None
    median_ms = statistics.median(true_ms)
    waited_for_ms = waited_ms[1] - waited_ms[0]
    return PingReading(
        values.ping_min_ms, values.ping_p50_ms, min(true_ms), median_ms, waited_for_ms
    )


def waited_for_core_ms() -> float:
    """How long this thread has been ready to run and waited for a core (Linux, sched-stats)."""
    return int(Path("/proc/thread-self/schedstat").read_text("ascii").split()[1]) / 1e6


@pytest.mark.usefixtures("_tun_devices")
def test_a_long_slow_start_is_in_the_whole_figure_alone(tmp_path: Path) -> None:
    rate = Impairment(delay_ms=60, rate_bps=40_000_000)
    shape = LineShape("vnpt", impairment=LineImpairment(upload=rate, download=rate))
    with OfficeNetwork([shape], tag=f"u{os.getpid()}") as network:
        use_congestion_control(network, "vnpt", "cubic")
        with served(network, tmp_path):
            finding = found(network, by_device(network, "vnpt"), EARLY_STOP)
        link = network.line("vnpt").link
        assert link is not None
        truths = link.truth()
    values = values_of(finding)
    assert finding.validity == [Validity.EARLY_STOPPED]
    assert values.download is not None
    assert values.download_bps is not None
    assert values.download_whole_bps is not None
    assert values.download_whole_bps < 0.95 * values.download_bps
    assert finding.steady_download is not None
    true_bps = delivered_bps(truths, finding.steady_download)
    theory_bps = theoretical_goodput_bps(40_000_000, frame_bytes=1500)
    # A lost segment holds back what came after it: at either end of the part up to a round trip
    # and the queue's 50 ms are handed to the reader later than to the office.
    span_s = finding.steady_download.to_s - finding.steady_download.from_s
    held_back_bps = theory_bps * (0.12 + 0.05) / span_s
    assert abs(values.download_bps - true_bps) < held_back_bps + 0.02 * theory_bps
    assert true_bps < 1.01 * theory_bps


def delivered_bps(truths: Sequence[PacketTruth], steady: SteadyInterval) -> float:
    """What the emulated link handed to the office meanwhile, in bit/s of TCP payload.

    Times of both are CLOCK_MONOTONIC of this host. 52 bytes of each packet are headers.
    """
    delivered_bytes = sum(
        truth.length_bytes - 52
        for truth in truths
        if truth.direction == "download"
        for at_ns in truth.departed_ns
        if steady.from_s <= at_ns / 1e9 < steady.to_s
    )
    return delivered_bytes * 8 / (steady.to_s - steady.from_s)
