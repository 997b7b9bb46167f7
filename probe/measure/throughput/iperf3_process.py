"""Floor 2. Wraps the iperf3 child process: starts it, reads its report, and ends it in time.

The daemon never loads libiperf, which hangs, calls exit() and closes descriptors of others (see
`iperf3_child`). Whatever the child does, `run` returns within its limit and leaves neither a
process nor a descriptor. It interprets only the samples, for the test's progress.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from probe import clock
from probe.measure import host
from probe.measure.measurement import Direction, Stop
from probe.measure.throughput.iperf3_report import Iperf3Sample, Transcript, sample_in
from probe.measure.throughput.method import Iperf3Spec

CHILD = Path(__file__).with_name("iperf3_child.py")
# Isolated: neither the environment nor the script's directory can shadow a module.
INTERPRETER = (sys.executable, "-I")
# How long a child that was asked to end may take to report.
KILL_GRACE_S = 2.0
_LOOK_S = 0.1
_PRINTED_BYTES = 2000


class Iperf3Process:
    """A child process. `interface` is the one whose byte counters are read, if known."""

    def __init__(self, spec: Iperf3Spec, interface: str | None, interpreter: Sequence[str]) -> None:
        self._interface = interface
        self._received = spec.direction is Direction.DOWNLOAD
        self._samples: list[Iperf3Sample] = []
        self._carried_bytes: list[int] = []
        self._report = bytearray()
        self._line = bytearray()
        self._printed = os.memfd_create("iperf3", os.MFD_CLOEXEC)
        self._reading, writing = os.pipe()
        command = [*interpreter, str(CHILD), str(writing), str(os.getpid())]
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=self._printed,
                stderr=self._printed,
                pass_fds=(writing,),
                process_group=0,  # a terminal's Ctrl-C goes to the parent, which ends the child
            )
        except OSError:
            os.close(self._reading)
            os.close(self._printed)
            raise
        finally:
            os.close(writing)
        self._send_spec(msgspec.json.encode(spec) + b"\n")

    def _send_spec(self, spec_line: bytes) -> None:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it has ended already; what it printed says why
            self._process.stdin.write(spec_line)
            self._process.stdin.flush()

    def ask_to_end(self) -> None:
        """Close its standard input, so that it ends the test and reports."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()

    def listen(self, timeout_s: float) -> bool:
        """Read the next part of its report; False at its end."""
        if not select.select([self._reading], [], [], timeout_s)[0]:
            return True
        chunk = os.read(self._reading, 1 << 16)
        self._report += chunk
        self._line += chunk
        *lines, rest = bytes(self._line).split(b"\n")
        self._line[:] = rest
        for sample in map(sample_in, lines):
            if sample is not None:
                self._samples.append(sample)
                carried = host.carried_bytes(self._interface, received=self._received)
                self._carried_bytes += [] if carried is None else [carried]
        return bool(chunk)

    @property
    def samples(self) -> list[Iperf3Sample]:
        """The samples so far."""
        return self._samples

    def close(self, *, killed: bool) -> Transcript:
        """End the process if it still runs, and close everything."""
        if not killed:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(KILL_GRACE_S)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self.ask_to_end()
        size = os.fstat(self._printed).st_size
        printed = os.pread(self._printed, _PRINTED_BYTES, max(0, size - _PRINTED_BYTES))
        os.close(self._printed)
        os.close(self._reading)
        carried = self._carried_bytes
        return Transcript(
            report=bytes(self._report),
            printed=printed.decode(errors="replace"),
            killed=killed,
            interface_bytes=host.counter_increase(carried[0], carried[-1]) if carried else None,
        )


def run(
    spec: Iperf3Spec,
    stop: Stop,
    observe: Callable[[Iperf3Sample, float | None], None],
    *,
    interface: str | None = None,
    interpreter: Sequence[str] = INTERPRETER,
) -> Transcript:
    """Run one test and return its transcript, within `spec.deadline_s` + 2 * KILL_GRACE_S.

    Args:
        spec: the test.
        stop: checked ten times a second; once set, the test ends and its data is kept.
        observe: called with each sample and the rate in bit/s since the one before.
        interface: the one whose byte counters are read.
        interpreter: the command that starts the child.
    """
    try:
        child = Iperf3Process(spec, interface, interpreter)
    except OSError as error:
        return Transcript(report=b"", printed=f"{interpreter[0]}: {error.strerror}")
    killed = True
    try:
        killed = not _follow(child, spec, stop, observe)
    finally:
        transcript = child.close(killed=killed)
    return transcript


def _follow(
    child: Iperf3Process,
    spec: Iperf3Spec,
    stop: Stop,
    observe: Callable[[Iperf3Sample, float | None], None],
) -> bool:
    """Read its report until the end (True) or until its time is up (False)."""
    limit = clock.monotonic_s() + spec.deadline_s + KILL_GRACE_S
    asked, reported = False, 0
    while (left_s := limit - clock.monotonic_s()) > 0:
        going = child.listen(min(_LOOK_S, left_s))
        for number in range(reported, len(child.samples)):
            observe(child.samples[number], _rate_bps(child.samples, number))
        reported = len(child.samples)
        if not going:
            return True
        if not asked and stop.is_set():
            child.ask_to_end()
            asked, limit = True, min(limit, clock.monotonic_s() + KILL_GRACE_S)
    return False


def _rate_bps(samples: list[Iperf3Sample], number: int) -> float | None:
    if number == 0 or samples[number].at_s <= samples[number - 1].at_s:
        return None
    before, after = samples[number - 1], samples[number]
    moved_bytes = after.transferred_bytes - before.transferred_bytes
    return moved_bytes * 8 / (after.at_s - before.at_s)
