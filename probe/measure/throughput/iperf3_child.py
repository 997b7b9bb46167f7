"""Floor 2. A program of its own: runs one iperf3 test by libiperf, and its process ends with it.

Started by `iperf3_process`, never imported by the daemon. `iperf3.Client` makes the handle and the
settings; its `run()` hangs on large output and its `__del__` closes a socket twice, so the test is
run through the handle and the process leaves by `os._exit`. libiperf knows neither how much the
far end has got of an upload nor (from 3.17 on) parts of its 128 KiB blocks, so a thread reads the
kernel's own counters of the test's sockets (RFC 4898) while libiperf works.

In: a spec as one line of JSON on standard input; its end (EOF) means "stop".
Out: on descriptor number argv[1], a line of JSON for each sample, a line that says how the test
ended, then libiperf's JSON as it is. argv[2] is the parent's process id. The types are `Iperf3Spec`
of `method` and `Iperf3Sample`, `Iperf3End` of `iperf3_report`; this file does not import them,
because every import delays the test.
"""

import ctypes
import json
import os
import select
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import iperf3

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_JSON_FD = 1  # libiperf prints there too; the parent put a file under it
_TCP_ESTABLISHED = 1  # net/tcp_states.h
# What each stream sends before the test: its SYN counts one byte, the cookie is 37 (libiperf).
_BEFORE_TEST_BYTES = 1 + 37
_STREAM_POLL_S = 0.005
# libiperf's clock starts a little before ours, so its test ends a little before our total.
_END_MARGIN_S = 0.1
# Setters that old libiperf (3.9 on Debian 11) lacks and the result does not depend on.
_OPTIONAL = {"iperf_set_test_connect_timeout", "iperf_set_test_rcv_timeout"}


class StreamCounters(NamedTuple):
    """One stream's TCP state and the kernel's counters for it (linux/tcp.h, struct tcp_info)."""

    state: int
    acknowledged_bytes: int
    received_bytes: int
    retransmits: int


class LibiperfTest:
    """One configured libiperf test."""

    def __init__(self, spec: dict[str, Any], address: str) -> None:
        client = iperf3.Client(verbose=False)
        client.server_hostname = address
        client.port = spec["port"]
        client.num_streams = spec["streams"]
        client.duration = spec["total_s"]
        client.reverse = spec["reverse"]
        if spec["bind_address"] is not None:
            client.bind_address = spec["bind_address"]
        self._spec = spec
        self._client = client  # kept: its __del__ must not run
        self._lib = client.lib
        self._test = ctypes.c_void_p(client._test)  # noqa: SLF001 - the package has no public handle
        milliseconds = round(spec["connect_timeout_s"] * 1000)
        self._set("iperf_set_test_reporter_interval", ctypes.c_double(spec["interval_s"]))
        self._set("iperf_set_test_stats_interval", ctypes.c_double(spec["interval_s"]))
        self._set("iperf_set_test_connect_timeout", ctypes.c_int(milliseconds))
        if spec["bind_device"] is not None:
            self._set("iperf_set_test_bind_dev", ctypes.c_char_p(spec["bind_device"].encode()))
        if spec["congestion_control"] is not None:
            name = ctypes.c_char_p(spec["congestion_control"].encode())
            self._set("iperf_set_test_congestion_control", name)

    def _set(self, setter: str, value: object) -> None:
        function = getattr(self._lib, setter, None)
        if function is not None:
            function.restype = None
            function(self._test, value)
        elif setter not in _OPTIONAL:
            sys.exit(f"libiperf {self.version} has no {setter}")

    @property
    def version(self) -> str:
        """libiperf's version, "3.12"."""
        return str(self._client.iperf_version).removeprefix("iperf ")

    def run(self) -> str | None:
        """Run it to its end. The error in libiperf's words, None when there was none."""
        if self._lib.iperf_run_client(self._test) == 0:
            return None
        return str(self._client._error_to_string(self._client._errno))  # noqa: SLF001

    def output(self) -> bytes:
        """libiperf's JSON. Up to 3.9 it keeps no string, so what it printed is taken."""
        getter = self._lib.iperf_get_test_json_output_string
        getter.restype = ctypes.c_char_p
        text: bytes | None = getter(self._test)
        return text or os.pread(_JSON_FD, os.fstat(_JSON_FD).st_size, 0)

    def abort(self) -> None:
        """Make `run` return at once, with what it has: shut its control connection down."""
        control = self._lib.iperf_get_control_socket(self._test)
        if control > 2:
            with socket.socket(fileno=os.dup(control)) as connection:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError as error:  # not connected (yet): the parent's kill is left
                    sys.stderr.write(f"control connection: {error}\n")

    def streams(self) -> list[StreamCounters]:
        """The kernel's counters of each stream that is open now."""
        found = {int(name): self._stream(int(name)) for name in os.listdir("/proc/self/fd")}
        # Asked last: libiperf may have connected it while we looked, and it is no stream.
        found.pop(self._lib.iperf_get_control_socket(self._test), None)
        return [stream for stream in found.values() if stream is not None]

    def _stream(self, descriptor: int) -> StreamCounters | None:
        try:
            connection = socket.socket(fileno=descriptor)
        except OSError:  # not a socket, or closed since it was listed
            return None
        try:
            if connection.type != socket.SOCK_STREAM or connection.family == socket.AF_UNIX:
                return None
            if connection.getpeername()[1] != self._spec["port"]:
                return None
            info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 136)
        except OSError:
            return None
        finally:
            connection.detach()  # the descriptor is libiperf's
        acknowledged_bytes, received_bytes = struct.unpack_from("=QQ", info, 120)
        (retransmits,) = struct.unpack_from("=I", info, 100)
        return StreamCounters(info[0], acknowledged_bytes, received_bytes, retransmits)


class ReportWriter:
    """Writes lines to the parent, thread-safe."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()
        self.ended_by: str | None = None

    def line(self, **fields: object) -> None:
        """One line of JSON."""
        with self._lock:
            self._write(json.dumps(fields).encode() + b"\n")

    def close(self, error: str | None, version: str, output: bytes) -> None:
        """Write the end of the report; nothing can follow."""
        self._lock.acquire()
        ended = {"line": "ended", "by": self.ended_by, "error": error, "version": version}
        self._write(json.dumps(ended).encode() + b"\n" + output)

    def _write(self, content: bytes) -> None:
        while content:
            content = content[os.write(self._descriptor, content) :]


def supervise(test: LibiperfTest, spec: dict[str, Any], report: ReportWriter) -> None:
    """Sample the streams on a fixed grid; end the test at the deadline or on request.

    The clock starts when the first payload is there: received (download), acknowledged (upload).
    """
    deadline = time.monotonic() + spec["deadline_s"]
    due = sampling(test, spec, report)
    while True:
        wake_at = min(next(due, deadline), deadline)
        requested, _, _ = select.select([0], [], [], max(0.0, wake_at - time.monotonic()))
        if requested or time.monotonic() >= deadline:
            report.ended_by = "request" if requested else "deadline"
            test.abort()
            return


def sampling(test: LibiperfTest, spec: dict[str, Any], report: ReportWriter) -> Iterator[float]:
    """Write a sample at each step; yields when the next is due (monotonic s), until the end."""
    while not (arrived_bytes(streams := test.streams(), spec) and len(streams) == spec["streams"]):
        yield time.monotonic() + _STREAM_POLL_S
    started_at = time.monotonic()
    for due_s in grid_s(spec["total_s"], spec["interval_s"]):
        yield started_at + due_s
        streams, now = test.streams(), time.monotonic()
        if len(streams) == spec["streams"] and all(s.state == _TCP_ESTABLISHED for s in streams):
            report.line(
                line="sample",
                at_s=round(now - started_at, 6),
                transferred_bytes=arrived_bytes(streams, spec),
                retransmits=sum(stream.retransmits for stream in streams),
            )


def grid_s(total_s: float, interval_s: float) -> list[float]:
    """When to sample: every `interval_s`, and last shortly before libiperf ends the test."""
    last_s = total_s - _END_MARGIN_S
    due_s = [number * interval_s for number in range(int(last_s / interval_s) + 1)]
    return due_s if last_s - due_s[-1] < _END_MARGIN_S / 2 else [*due_s, last_s]


def arrived_bytes(streams: list[StreamCounters], spec: dict[str, Any]) -> int:
    """The payload bytes of all streams that have arrived at the receiver."""
    if spec["reverse"]:
        return sum(stream.received_bytes for stream in streams)
    return sum(max(0, stream.acknowledged_bytes - _BEFORE_TEST_BYTES) for stream in streams)


def die_with_parent(parent_pid: int) -> None:
    """Have the kernel kill this process when its parent ends; exit if it already has."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:
        sys.exit("the parent has ended")


def resolve(spec: dict[str, Any]) -> str:
    """The server's address: the given one, else one of the family that the test is bound to.

    libiperf reports a name that does not resolve as "Resource temporarily unavailable".
    """
    if spec["address"] is not None:
        return str(spec["address"])
    bound = spec["bind_address"]
    family = socket.AF_UNSPEC
    if bound is not None or spec["family"] is not None:
        ipv6 = ":" in bound if bound is not None else spec["family"] == "ipv6"
        family = socket.AF_INET6 if ipv6 else socket.AF_INET
    found = socket.getaddrinfo(spec["host"], spec["port"], family, socket.SOCK_STREAM)
    return str(found[0][4][0])


def main() -> None:
    """Run the test described on standard input."""
    report_fd, parent_pid = (int(argument) for argument in sys.argv[1:3])
    die_with_parent(parent_pid)
    spec = json.loads(sys.stdin.buffer.readline())
    report = ReportWriter(report_fd)
    try:
        test = LibiperfTest(spec, resolve(spec))
    except socket.gaierror as error:
        sys.exit(f"name resolution: {spec['host']}: {error.strerror}")
    except OSError as error:
        sys.exit(f"libiperf: {error}")
    threading.Thread(target=supervise, args=(test, spec, report), daemon=True).start()
    said = test.run()
    report.close(said, test.version, test.output())
    # The interpreter's shutdown would run Client.__del__, which closes other people's descriptors.
    os._exit(0)


if __name__ == "__main__":
    main()
