"""The real measurement against a real nginx on loopback: what is well, what may go wrong."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from msgspec import structs

from deploy.measurement_server.http_server import TEMPLATE, write_files
from probe.config import HttpConfig, LineConfig
from probe.measure.http.probe import measure
from probe.measure.measurement import MeasurementRequest, Progress, RawResult, SteadyInterval
from tests.http_request import http_request
from tests.nginx import Nginx, why_not
from tests.ports import free_port
from wire.http import EMPTY_PATH, SIZES_BYTES, random_path
from wire.result import HttpTransfer, HttpValues, Outcome, Reason, Validity

pytestmark = pytest.mark.skipif(why_not() is not None, reason=why_not() or "")

# Loopback carries gigabits: seconds are enough.
QUICK = HttpConfig(connections=4, pings=10, warm_up_s=0, duration_s=1, timeout_s=2.0)
LONG = HttpConfig(
    connections=4, pings=2, warm_up_s=0, duration_s=3, early_stop=False, timeout_s=1.0
)
SLOT = datetime(2026, 7, 25, 5, 0, tzinfo=UTC)
# Each connection gets so much each time: a line of a known rate that needs no privilege.
PACE_BYTES, PACE_S = 8192, 0.01  # a whole number of them to each file
PACED_BPS = 4 * PACE_BYTES * 8 / PACE_S


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The files, made once: 273 MiB."""
    directory = tmp_path_factory.mktemp("files")
    write_files(directory)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def server(tmp_path: Path, root: Path) -> Iterator[Nginx]:
    with Nginx(tmp_path, root=root) as server:
        yield server


def only(request: MeasurementRequest) -> RawResult:
    (finding,) = measure(request)
    return finding


def found(server: Nginx, http: HttpConfig, **how: Any) -> RawResult:
    return only(http_request(server.host, server.port, http, **how))


def values_of(finding: RawResult) -> HttpValues:
    assert isinstance(finding.values, HttpValues), finding
    return finding.values


def figures(finding: RawResult) -> tuple[int, float | None, object]:
    """Of a failure, whose values have the address all the same: pings, download, upload."""
    values = values_of(finding)
    return values.pings, values.download_bps, values.upload


def failure(finding: RawResult) -> tuple[Outcome, Reason | None]:
    return finding.outcome, finding.reason


def own_flags(finding: RawResult) -> list[Validity]:
    """Without what other tests' traffic adds: all of them share this loopback."""
    return [flag for flag in finding.validity if flag is not Validity.CROSS_TRAFFIC]


def once(step: str, act: Callable[[], object], after: int = 3) -> Callable[[Progress], None]:
    """Do it once, when a step of the measurement has told of itself so many times."""
    told = 0

    def observe(progress: Progress) -> None:
        nonlocal told
        told += progress.step == step
        if told == after and progress.step == step:
            act()

    return observe


def test_a_sound_server_is_measured_in_all_its_figures(server: Nginx) -> None:
    finding = found(server, QUICK)
    assert (finding.outcome, finding.target) == (Outcome.OK, "http:hanoi")
    values = values_of(finding)
    assert values.layer == "HTTP body payload"
    assert (values.address, values.server_port) == ("127.0.0.1", server.port)
    assert values.pings == 10
    assert values.ping_min_ms is not None
    assert values.ping_p50_ms is not None
    assert 0 < values.ping_min_ms <= values.ping_p50_ms < 50
    assert values.jitter_abs_mean_ms is not None
    assert values.jitter_std_ms is not None
    for transfer in (values.download, values.upload):
        assert transfer is not None
        assert transfer.complete
        assert transfer.connections_lost == 0
        assert transfer.whole_bps is not None
        assert transfer.sample_bytes == sorted(transfer.sample_bytes)
        assert transfer.sample_bytes[-1] == transfer.transferred_bytes
        assert transfer.interface_bytes is not None
        assert transfer.interface_bytes >= transfer.transferred_bytes
        assert transfer.tcp_bytes is not None
        # Heads are little; what was on its way at the end is in one count and not in the other.
        assert transfer.tcp_bytes >= transfer.transferred_bytes > 0
        assert len(transfer.sample_bytes) == len(transfer.sample_at_ms)
        assert transfer.whole_bps == pytest.approx(
            transfer.transferred_bytes * 8 / transfer.whole_s, rel=1e-9
        )
    assert finding.method is not None
    assert finding.method.tool == "urllib3"
    assert server.log == ""


def test_a_steady_rate_is_known_early() -> None:
    early = HttpConfig(connections=4, pings=2, warm_up_s=3, duration_s=10)
    with answering(Paced) as port:
        finding = only(http_request("127.0.0.1", port, early))
    assert finding.outcome is Outcome.OK
    assert own_flags(finding) == [Validity.EARLY_STOPPED]
    values = values_of(finding)
    for transfer, steady in zip(
        (values.download, values.upload),
        (finding.steady_download, finding.steady_upload),
        strict=True,
    ):
        assert transfer is not None
        assert steady is not None
        assert steady.to_s - steady.from_s == pytest.approx(transfer.steady_s)
        assert transfer.early_stopped
        assert transfer.steady_bps == transfer.early_bps
        assert transfer.early_bytes == transfer.transferred_bytes
        assert transfer.whole_s < 13 / 3
    assert finding.steady_download is not None
    served_bps = Paced.served_bps(finding.steady_download)
    assert values.download_bps == pytest.approx(served_bps, rel=0.05)
    assert served_bps < 1.05 * PACED_BPS


def test_the_calibration_share_runs_full_length_and_notes_what_it_would_have_said() -> None:
    drawn = HttpConfig(connections=4, pings=2, warm_up_s=1, duration_s=4, calibration_ratio=1.0)
    with answering(Paced) as port:
        finding = only(http_request("127.0.0.1", port, drawn, slot_at=SLOT))
    assert own_flags(finding) == []
    values = values_of(finding)
    assert finding.steady_download is not None
    assert finding.steady_upload is not None
    assert finding.steady_download.to_s - finding.steady_download.from_s == pytest.approx(4, abs=1)
    assert finding.steady_download.to_s < finding.steady_upload.from_s
    assert values.calibration
    assert finding.steady_download is not None
    served_bps = Paced.served_bps(finding.steady_download)
    assert values.download_bps == pytest.approx(served_bps, rel=0.05)
    assert served_bps < 1.05 * PACED_BPS
    for transfer in (values.download, values.upload):
        assert transfer is not None
        assert not transfer.early_stopped
        assert transfer.whole_s == pytest.approx(5.0, abs=0.3)
        assert transfer.steady_s == pytest.approx(4.0, abs=0.3)
        assert transfer.early_bps is not None
        assert transfer.early_bps == pytest.approx(transfer.steady_bps, rel=0.1)
        assert transfer.early_at_s is not None
        assert transfer.early_at_s < transfer.whole_s


def test_nobody_is_asked_where_there_is_no_http_test() -> None:
    assert list(measure(http_request("127.0.0.1", None, QUICK))) == []


def test_nothing_listens() -> None:
    finding = only(http_request("127.0.0.1", free_port(), QUICK))
    assert failure(finding) == (Outcome.FAILED, Reason.CONNECTION_REFUSED)
    assert figures(finding) == (0, None, None)


@pytest.mark.parametrize(
    ("path", "pings"),
    [(EMPTY_PATH, 0), (random_path(SIZES_BYTES[0]), 10)],
    ids=["empty file", "random file"],
)
def test_a_missing_file_is_a_wrong_server(
    tmp_path: Path, root: Path, path: str, pings: int
) -> None:
    copy = tmp_path / "root"
    shutil.copytree(root, copy, copy_function=os.link)
    with Nginx(tmp_path, root=copy) as server:
        (copy / path.removeprefix("/")).unlink()
        finding = found(server, QUICK)
    assert failure(finding) == (Outcome.FAILED, Reason.PROTOCOL_ERROR)
    assert finding.detail is not None
    assert f"{path} with HTTP 404" in finding.detail
    assert figures(finding) == (pings, None, None)


def test_a_redirect_is_not_followed(tmp_path: Path, root: Path) -> None:
    elsewhere = TEMPLATE.read_text("utf-8").replace(
        "limit_req zone=pings", "return 302 /portal; limit_req zone=pings"
    )
    with Nginx(tmp_path, root=root, template=elsewhere) as server:
        finding = found(server, QUICK)
    assert failure(finding) == (Outcome.FAILED, Reason.PROTOCOL_ERROR)
    assert "HTTP 302" in (finding.detail or "")


@pytest.mark.parametrize("step", ["download", "upload"])
def test_a_server_that_dies_leaves_what_was_measured(server: Nginx, step: str) -> None:
    finding = found(server, LONG, progress=once(step, server.kill))
    assert failure(finding) == (Outcome.FAILED, Reason.CONNECTION_LOST)
    assert (finding.detail or "").startswith(f"{step}: ")
    broken = broken_transfer(finding, step)
    assert broken.connections_lost == 4
    assert Validity.SHORT in finding.validity


@pytest.mark.parametrize("step", ["download", "upload"])
def test_a_server_that_stalls_is_given_up(server: Nginx, step: str) -> None:
    finding = found(server, LONG, progress=once(step, server.pause))
    assert failure(finding) == (Outcome.FAILED, Reason.TIMEOUT)
    broken_transfer(finding, step)


def broken_transfer(finding: RawResult, step: str) -> HttpTransfer:
    """The one that broke off; what came before it is whole."""
    values = values_of(finding)
    transfer = getattr(values, step)
    assert isinstance(transfer, HttpTransfer)
    assert not transfer.complete
    assert transfer.transferred_bytes > 0
    assert transfer.error is not None
    assert getattr(values, f"{step}_bps") is None
    if step == "upload":
        assert values.download is not None
        assert values.download.complete
    return transfer


def test_a_server_that_never_answers(server: Nginx) -> None:
    server.pause()
    finding = found(server, LONG)
    assert failure(finding) == (Outcome.FAILED, Reason.TIMEOUT)


@pytest.mark.parametrize("step", ["ping", "download", "upload"])
def test_told_to_stop_it_stops(server: Nginx, step: str) -> None:
    stop = threading.Event()
    after = 1 if step == "ping" else 3
    finding = found(server, LONG, stop=stop, progress=once(step, stop.set, after))
    assert failure(finding) == (Outcome.SKIPPED, Reason.SHUTTING_DOWN)


@pytest.mark.parametrize("step", ["download", "upload"])
def test_a_busy_server_is_left_alone(tmp_path: Path, root: Path, step: str) -> None:
    """The limit on connections does not ask which way the bodies go."""
    template = TEMPLATE.read_text("utf-8")
    limit = "limit_conn address_connections 2;"
    place = "location = {{ sink_path }} {" if step == "upload" else "location /tramdo/random/ {"
    with Nginx(tmp_path, root=root, template=template.replace(place, f"{place} {limit}")) as server:
        # Time enough for all connections to be refused on a loaded machine; it ends when they are.
        finding = found(server, structs.replace(QUICK, duration_s=4))
    assert failure(finding) == (Outcome.SKIPPED, Reason.SERVER_BUSY)
    assert (finding.detail or "").startswith(f"{step}: ")


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (LineConfig(id="a", isp="b", interface="no-such0"), "There is no interface no-such0."),
        (LineConfig(id="a", isp="b", source_address="192.0.2.77"), "the line's address 192.0.2.77"),
    ],
    ids=["interface", "address"],
)
def test_a_line_that_is_not_there(server: Nginx, line: LineConfig, sentence: str) -> None:
    finding = found(server, QUICK, line=line)
    assert failure(finding) == (Outcome.FAILED, Reason.LINE_DOWN)
    assert sentence in (finding.detail or "")


def test_a_name_without_an_address() -> None:
    finding = only(http_request("no-such-server.invalid", 80, QUICK))
    assert failure(finding) == (Outcome.FAILED, Reason.NAME_RESOLUTION)


def test_nothing_is_left_behind(server: Nginx) -> None:
    found(server, QUICK)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        found(server, QUICK)
    assert len(os.listdir("/proc/self/fd")) == before
    assert [thread.name for thread in threading.enumerate() if "http-" in thread.name] == []


class Answers(BaseHTTPRequestHandler):
    """A server of the test's own, where nginx would not do."""

    protocol_version = "HTTP/1.1"

    def head(self, status: int, *headers: tuple[str, str]) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


class Paced(Answers):
    """Keeps every connection to one pace, in both directions, as well as the machine lets it."""

    served_at_s: ClassVar[list[float]] = []  # when each piece of a download went out (monotonic)

    @classmethod
    def served_bps(cls, steady: SteadyInterval) -> float:
        """At which rate bodies were served meanwhile, in bit/s."""
        pieces = sum(steady.from_s <= at_s < steady.to_s for at_s in cls.served_at_s)
        return pieces * PACE_BYTES * 8 / (steady.to_s - steady.from_s)

    def do_GET(self) -> None:
        size = 0 if self.path == EMPTY_PATH else int(self.path.rpartition("/")[2])
        self.head(200, ("Content-Length", str(size)))
        self.pace(self.serve, size)

    def serve(self) -> None:
        self.wfile.write(bytes(PACE_BYTES))
        self.served_at_s.append(time.monotonic())

    def do_POST(self) -> None:
        self.head(204)
        self.pace(lambda: self.rfile.read(PACE_BYTES), int(self.headers["Content-Length"]))

    def pace(self, move: Callable[[], object], size: int) -> None:
        begun_s = time.monotonic()
        try:
            for number in range(1, size // PACE_BYTES + 1):
                move()
                time.sleep(max(0.0, begun_s + number * PACE_S - time.monotonic()))
        except OSError:
            self.close_connection = True  # broken off, as every test does in the end


@contextmanager
def answering(answers: type[Answers]) -> Iterator[int]:
    """Its port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ([("Content-Length", "6")], b"portal"),
        ([("Content-Encoding", "gzip"), ("Content-Length", "0")], b""),
        ([("Transfer-Encoding", "chunked")], b"0\r\n\r\n"),
    ],
    ids=["a page", "compressed", "of no stated length"],
)
def test_an_answer_that_is_not_the_file(headers: list[tuple[str, str]], body: bytes) -> None:
    """A portal or a proxy that answers everything with a page of its own."""

    class Impostor(Answers):
        def do_GET(self) -> None:
            self.head(200, *headers)
            self.wfile.write(body)

    with answering(Impostor) as port:
        finding = only(http_request("127.0.0.1", port, QUICK))
    assert failure(finding) == (Outcome.FAILED, Reason.PROTOCOL_ERROR)
