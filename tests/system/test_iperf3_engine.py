"""The iperf3 engine against real servers that serve, die, hang, or are busy.

On a shaped line in network namespaces, so that a test costs no processor time.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from ctypes.util import find_library
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from probe.config import Config, parse
from probe.measure.measurement import MeasurementRequest, Progress, RawResult
from probe.measure.throughput import iperf3_process, iperf3_report
from probe.measure.throughput import probe as throughput_probe
from probe.measure.throughput.iperf3_report import Iperf3Sample, Transcript
from probe.measure.throughput.method import Iperf3Result, Iperf3Spec
from tests.client import eventually
from tests.lab.network import LineShape, OfficeNetwork, why_not
from tests.lab.polling import wait_until
from wire.result import Outcome, Reason, ThroughputValues

REASON_NOT = why_not()
pytestmark = pytest.mark.skipif(REASON_NOT is not None, reason=str(REASON_NOT))

ROOT = Path(__file__).parents[2]
SERVER = "203.0.113.1"
RATE_BPS = 40_000_000
# What a machine that does other things may add; the sleeps that are cut short are much longer.
LOADED_S = 10


class Line(NamedTuple):
    network: OfficeNetwork

    @contextmanager
    def server(self, port: int, *options: str) -> Iterator[subprocess.Popen[str]]:
        """An iperf3 server that listens."""
        process = self.network.centre.popen(
            ["iperf3", "-s", "-p", str(port), *options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_until(lambda: self.network.centre.is_listening(port), what="the server")
            yield process
        finally:
            process.kill()
            process.wait()

    def run(
        self,
        spec: Iperf3Spec,
        observe: Callable[[int], None] = lambda _number: None,
        *,
        stop: threading.Event | None = None,
        interpreter: Sequence[str] = iperf3_process.INTERPRETER,
    ) -> Transcript:
        """One test from the office; `observe` is told the number of each sample."""
        seen: list[Iperf3Sample] = []

        def observe_sample(sample: Iperf3Sample, _rate_bps: float | None) -> None:
            seen.append(sample)
            observe(len(seen))

        return self.network.office.inside(
            lambda: iperf3_process.run(
                spec, stop or threading.Event(), observe_sample, interpreter=interpreter
            )
        )

    def read(
        self, spec: Iperf3Spec, observe: Callable[[int], None] = lambda _number: None
    ) -> Iperf3Result:
        """One test from the office, read."""
        return iperf3_report.read(self.run(spec, observe), spec)


@pytest.fixture(scope="module")
def line() -> Iterator[Line]:
    shape = LineShape("vnpt", download_bps=RATE_BPS, upload_bps=RATE_BPS)
    with OfficeNetwork([shape], tag=f"e{os.getpid()}") as network:
        yield Line(network)


def spec(
    port: int, *, reverse: bool = False, total_s: int = 1, deadline_s: float = 5
) -> Iperf3Spec:
    return Iperf3Spec(
        host=SERVER,
        port=port,
        reverse=reverse,
        streams=2,
        warm_up_s=0,
        total_s=total_s,
        interval_s=0.2,
        connect_timeout_s=2.0,
        deadline_s=deadline_s,
        bind_address="192.168.1.2",
        bind_device="vnpt",
        congestion_control="cubic",
    )


def at_sample(wanted: int, act: Callable[[], None]) -> Callable[[int], None]:
    """Act when the sample of that number comes."""

    def observe(number: int) -> None:
        if number == wanted:
            act()

    return observe


@pytest.mark.parametrize("reverse", [True, False], ids=["download", "upload"])
def test_a_test_that_ends_well(line: Line, reverse: bool) -> None:
    numbers: list[int] = []
    with line.server(5301):
        reading = line.read(spec(5301, reverse=reverse), numbers.append)
    assert (reading.reason, reading.detail) == (None, None)
    assert numbers == [1, 2, 3, 4, 5, 6]
    found = reading.transfer
    assert found is not None
    assert found.complete
    assert found.whole_bps == pytest.approx(RATE_BPS, rel=0.3)
    assert found.congestion_control_sender == "cubic"
    assert len(found.intervals) == 5


@pytest.mark.parametrize("reverse", [True, False], ids=["download", "upload"])
def test_a_server_that_is_killed_leaves_the_intervals_so_far(line: Line, reverse: bool) -> None:
    with line.server(5302) as server:
        reading = line.read(spec(5302, reverse=reverse, total_s=3), at_sample(4, server.kill))
    assert reading.reason is Reason.CONNECTION_LOST
    assert reading.transfer is not None
    assert not reading.transfer.complete
    assert len(reading.transfer.intervals) >= 3


def test_a_server_that_is_stopped_ends_at_the_deadline(line: Line) -> None:
    # Long enough to connect and to count five intervals beside other programs.
    asked = spec(5303, reverse=True, total_s=1, deadline_s=5)
    began = time.monotonic()
    with line.server(5303) as server:
        reading = line.read(asked, at_sample(3, lambda: server.send_signal(signal.SIGSTOP)))
    assert time.monotonic() - began < 5 + 2 * iperf3_process.KILL_GRACE_S + LOADED_S
    assert reading.reason is Reason.TIMEOUT
    assert reading.transfer is not None
    assert len(reading.transfer.intervals) == 5
    assert reading.version is not None, "libiperf itself gave its report"


def test_a_busy_server_says_so(line: Line) -> None:
    """While somebody else's test goes on, which is ended by nobody but us."""
    others: list[Iperf3Result] = []
    stop, asked = threading.Event(), spec(5304, total_s=30, deadline_s=40)

    def come_second() -> None:
        others.append(line.read(spec(5304)))
        stop.set()

    with line.server(5304):
        transcript = line.run(asked, at_sample(2, come_second), stop=stop)
    assert [other.reason for other in others] == [Reason.SERVER_BUSY]
    assert iperf3_report.read(transcript, asked).reason is Reason.SHUTTING_DOWN


def test_nobody_listens(line: Line) -> None:
    assert line.read(spec(5999)).reason is Reason.CONNECTION_REFUSED


def test_more_json_than_a_pipe_holds(line: Line) -> None:
    asked = msgspec.structs.replace(spec(5305, total_s=2), streams=16, interval_s=0.1)
    with line.server(5305):
        transcript = line.run(asked)
    assert len(transcript.report) > 100_000
    reading = iperf3_report.read(transcript, asked)
    assert reading.reason is None
    assert reading.transfer is not None
    assert reading.transfer.streams == 16


def test_stop_ends_a_test_at_once_and_keeps_what_it_has(line: Line) -> None:
    stop = threading.Event()
    stopped_at: list[float] = []

    def observe(number: int) -> None:
        if number == 3:
            stopped_at.append(time.monotonic())
            stop.set()

    asked = spec(5306, total_s=30, deadline_s=40)
    with line.server(5306):
        transcript = line.run(asked, observe, stop=stop)
    # Asked to end, and neither waited for until its own end nor killed.
    assert not transcript.killed
    assert time.monotonic() - stopped_at[0] < asked.total_s / 2
    reading = iperf3_report.read(transcript, asked)
    assert reading.reason is Reason.SHUTTING_DOWN
    assert reading.transfer is not None
    assert len(reading.transfer.intervals) >= 2


def test_a_killed_parent_leaves_no_orphan(line: Line) -> None:
    asked = spec(5307, total_s=30, deadline_s=40)
    program = (
        "import sys, threading, msgspec\n"
        "from probe.measure.throughput import iperf3_process\n"
        "from probe.measure.throughput.method import Iperf3Spec\n"
        "spec = msgspec.json.decode(sys.argv[1], type=Iperf3Spec)\n"
        "print_it = lambda sample, rate: print(sample, flush=True)\n"
        "iperf3_process.run(spec, threading.Event(), print_it)\n"
    )
    with line.server(5307):
        command = [sys.executable, "-c", program, msgspec.json.encode(asked).decode()]
        with line.network.office.popen(command, stdout=subprocess.PIPE, cwd=ROOT) as parent:
            assert parent.stdout is not None
            said = parent.stdout.readline()
            children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text()
            parent.kill()
        assert said.startswith(f"{Iperf3Sample.__name__}(")
        (child,) = (int(pid) for pid in children.split())
        wait_until(lambda: _ended(child), what="the end of the child")


def _ended(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except FileNotFoundError:
        return True


def test_without_the_package(line: Line) -> None:
    asked = spec(5308)
    no_site_packages = (sys.executable, "-I", "-S")
    reading = iperf3_report.read(line.run(asked, interpreter=no_site_packages), asked)
    assert (reading.reason, reading.transfer) == (Reason.TOOL_MISSING, None)
    assert "No module named 'iperf3'" in str(reading.detail)


def test_without_the_library(line: Line) -> None:
    asked = spec(5308)
    hide = f'mount --bind /dev/null {_libiperf()} && exec {sys.executable} -I "$@"'
    interpreter = ("unshare", "--mount", "sh", "-c", hide, "sh")
    reading = iperf3_report.read(line.run(asked, interpreter=interpreter), asked)
    assert (reading.reason, reading.transfer) == (Reason.TOOL_MISSING, None)
    assert "Couldn't find shared library libiperf" in str(reading.detail)


def _libiperf() -> Path:
    name = find_library("iperf")
    found = list(Path("/usr/lib").rglob(name or "libiperf.so.0"))
    if not found:
        pytest.skip("libiperf is not where this test can hide it")
    return found[0].resolve()


def test_an_interpreter_that_is_not_there(line: Line) -> None:
    asked = spec(5308)
    transcript = line.run(asked, interpreter=("/nonexistent/python",))
    assert transcript == Transcript(
        report=b"", printed="/nonexistent/python: No such file or directory"
    )
    assert iperf3_report.read(transcript, asked).reason is Reason.TOOL_FAILED


def test_a_child_that_listens_to_nobody_is_killed(line: Line) -> None:
    asked = spec(5308, deadline_s=0.2)
    began = time.monotonic()
    deaf = ("sh", "-c", "trap '' TERM INT HUP; echo started; sleep 60 & wait; wait", "sh")
    transcript = line.run(asked, interpreter=deaf)
    assert time.monotonic() - began < 0.2 + 2 * iperf3_process.KILL_GRACE_S + LOADED_S
    assert (transcript.killed, transcript.printed) == (True, "started\n")
    assert iperf3_report.read(transcript, asked).reason is Reason.TIMEOUT
    eventually(
        lambda: not [pid for pid in line.network.office.pids() if _named(pid, "sleep")],
        "what the child has started is killed as well",
    )


def _named(pid: int, name: str) -> bool:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip() == name and not _ended(pid)
    except (FileNotFoundError, ProcessLookupError):
        return False  # it has ended meanwhile


def test_standard_output_is_ours_during_a_test(
    line: Line, capfd: pytest.CaptureFixture[str]
) -> None:
    with line.server(5309):
        line.run(spec(5309), lambda number: print(f"sample {number}", flush=True))
    printed = capfd.readouterr()
    assert printed.out.splitlines() == [f"sample {number}" for number in range(1, 7)]
    assert printed.err == ""


def test_no_descriptor_and_no_process_is_left_behind(line: Line) -> None:
    before = sorted(os.listdir("/proc/self/fd"))
    with line.server(5310):
        assert line.read(spec(5310)).reason is None
    line.read(spec(5999))
    line.run(spec(5308), interpreter=("/nonexistent/python",))
    assert sorted(os.listdir("/proc/self/fd")) == before
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_the_server_is_a_name(line: Line) -> None:
    unknown = msgspec.structs.replace(spec(5308), host="no-such-host.invalid", deadline_s=10)
    reading = line.read(unknown)
    # Where a resolver is configured but out of reach it may take longer than the deadline.
    assert reading.reason in (Reason.NAME_RESOLUTION, Reason.TIMEOUT)


CONFIG = """
tenant = "bach-thong"
probe = "tram-1"
[site]
commune_code = "01969"
office = "Phủ Thông"
[[lines]]
id = "vnpt"
isp = "VNPT"
interface = "vnpt"
[[servers]]
name = "may-chu-1"
host = "203.0.113.1"
iperf3_ports = [5311, 5312]
[broker]
host = "localhost"
[throughput]
streams = 2
warm_up_s = 0
duration_s = 1
busy_first_wait_s = 0.1
busy_limit_s = 0.5
"""


def _measure(line: Line, stop: threading.Event, progress: Callable[[Progress], None]) -> RawResult:
    config: Config = parse(CONFIG.encode(), "test.toml")
    request = MeasurementRequest(
        line=config.lines[0], server=config.servers[0], config=config, stop=stop, progress=progress
    )
    (finding,) = line.network.office.inside(lambda: list(throughput_probe.measure(request)))
    return finding


@contextmanager
def _occupied(line: Line, port: int) -> Iterator[None]:
    """Someone else's test, slow and long."""
    command = ["iperf3", "-c", SERVER, "-p", str(port), "-t", "30", "-b", "200K", "-i", "0.1"]
    other = line.network.office.popen([*command, "--forceflush"], stdout=subprocess.PIPE)
    with other:
        try:
            assert other.stdout is not None
            while "KBytes" not in other.stdout.readline():  # the first interval's line
                assert other.poll() is None
            yield
        finally:
            other.kill()


def test_both_directions_are_one_finding_with_progress(line: Line) -> None:
    steps: list[Progress] = []
    with line.server(5311):
        finding = _measure(line, threading.Event(), steps.append)
    assert (finding.outcome, finding.target) == (Outcome.OK, "iperf3:may-chu-1")
    assert isinstance(finding.values, ThroughputValues)
    assert finding.values.download_bps is not None
    assert finding.values.upload_bps is not None
    assert [step.step for step in steps] == ["download"] * 3 + ["upload"] * 3
    ratios = [step.done_ratio for step in steps]
    assert ratios == sorted(ratios)
    assert steps[-1].rate_bps == pytest.approx(RATE_BPS, rel=0.5)


def test_the_upload_is_measured_though_the_download_broke_off(line: Line) -> None:
    with line.server(5311) as first, line.server(5312):

        def kill_in_the_download(progress: Progress) -> None:
            if progress.step == "download" and progress.rate_bps is not None:
                first.kill()

        finding = _measure(line, threading.Event(), kill_in_the_download)
    assert (finding.outcome, finding.reason) == (Outcome.FAILED, Reason.CONNECTION_LOST)
    assert isinstance(finding.values, ThroughputValues)
    assert finding.values.download_bps is None
    assert finding.values.upload_bps == pytest.approx(RATE_BPS, rel=0.3)


def test_a_port_that_refuses_right_after_it_served_is_tried_again(line: Line) -> None:
    """As iperf3 does while it opens its listening socket anew; here it takes a second for it."""
    serves_one = "iperf3 -s -1 -p 5311"
    with line.network.centre.popen(
        ["sh", "-c", f"{serves_one}; sleep 1; exec {serves_one}"], stdout=subprocess.DEVNULL
    ) as server:
        try:
            wait_until(lambda: line.network.centre.is_listening(5311), what="the server")
            finding = _measure(line, threading.Event(), lambda _: None)
        finally:
            server.kill()
    assert (finding.outcome, finding.detail) == (Outcome.OK, None)
    assert isinstance(finding.values, ThroughputValues)
    assert finding.values.upload_bps is not None


def test_a_busy_port_is_left_for_the_next_one_at_once(line: Line) -> None:
    with line.server(5311), line.server(5312), _occupied(line, 5311):
        finding = _measure(line, threading.Event(), lambda _: None)
    assert finding.outcome is Outcome.OK
    assert isinstance(finding.values, ThroughputValues)
    assert finding.values.server_port == 5312


def test_a_port_where_nobody_listens_is_left_for_the_next_one(line: Line) -> None:
    with line.server(5312):
        finding = _measure(line, threading.Event(), lambda _: None)
    assert finding.outcome is Outcome.OK
    assert isinstance(finding.values, ThroughputValues)
    assert finding.values.server_port == 5312


def test_a_server_that_stays_busy_is_skipped_by_name(line: Line) -> None:
    steps: list[str] = []
    with (
        line.server(5311),
        line.server(5312),
        _occupied(line, 5311),
        _occupied(line, 5312),
    ):
        finding = _measure(line, threading.Event(), lambda progress: steps.append(progress.step))
    assert (finding.outcome, finding.reason) == (Outcome.SKIPPED, Reason.SERVER_BUSY)
    assert finding.values is None
    assert 1 <= len(steps) <= 4
    assert set(steps) == {"server busy"}


def test_stop_while_waiting_for_a_busy_server(line: Line) -> None:
    stop = threading.Event()
    with line.server(5311), line.server(5312), _occupied(line, 5311), _occupied(line, 5312):
        finding = _measure(line, stop, lambda _: stop.set())
    assert (finding.outcome, finding.reason) == (Outcome.SKIPPED, Reason.SHUTTING_DOWN)
