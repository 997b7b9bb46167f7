"""Floor 2. What measures latency in the lab's office: `tramdo-probe`, ping, fping and irtt.

Each as its own process, one after the other, at the same pace over the same line. Their
arguments are given; their output is not assessed here.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

from bench import peer_output
from bench.packet_truth import Key, icmp_key, irtt_key, stamp_key
from bench.peer_output import PeerReading
from bench.probe_command import STAMP_PORT, measured
from bench.report import CannotMeasureError
from tests.lab import namespace
from tests.lab.network import SERVER_ADDRESSES, Line, OfficeNetwork
from tests.lab.polling import wait_until
from tests.reflector_process import ReflectorProcess
from wire.result import LatencyResult, LatencyValues, kind_of

GAP_MS = 10
TIMEOUT_S = 0.4
PEERS = ("ping", "fping", "irtt")
OURS = ("ours (STAMP)", "ours (ICMP)")
LATENCY = kind_of(LatencyResult)
_SERVER = SERVER_ADDRESSES[0]
_IRTT_PORT = 2112
# It sends a packet or two fewer than would fit, and a fifth fewer on a busy host.
_IRTT_SPARE_RATIO = 1.4
_SPIN = [sys.executable, "-c", "while True: pass"]
_SPARE_S = 30.0


class ToolOutput(NamedTuple):
    """What a tool said after one run, and how its packets are known in the truth.

    `values` are ours, `reading` is a peer's; the other one is None. `far_end` says whether what
    the other end takes is in the tool's times: STAMP and irtt take it off.
    """

    tool: str
    new_key: Callable[[], Key]
    far_end: bool
    values: LatencyValues | None
    reading: PeerReading | None

    @property
    def key(self) -> Key:
        """How its packets are known: a new one each time, because irtt's counts them."""
        return self.new_key()


# Runs a tool once. CannotMeasureError when its output cannot be parsed.
Tool = Callable[[], list[ToolOutput]]


def why_not(*peers: str) -> str | None:
    """Why these tools cannot be held side by side here, in a sentence; None when they can."""
    missing = [peer for peer in peers if shutil.which(peer) is None]
    if missing:
        return f"not installed: {', '.join(missing)} (Debian: iputils-ping, fping, irtt)"
    return namespace.why_not(tun=True)


@contextmanager
def servers(network: OfficeNetwork) -> Iterator[None]:
    """The other ends, in the centre, while the context lasts: STAMP reflector and irtt server."""
    inside = ["ip", "netns", "exec", network.centre.name]
    irtt = ["irtt", "server", "-b", f"{_SERVER}:{_IRTT_PORT}", "-i", "0"]
    with ExitStack() as stack:
        # No limit: thirty packets a second are an office's, and this office sends a hundred.
        unlimited = ["--rate-limit-pps", "0"]
        stack.enter_context(
            ReflectorProcess([_SERVER], port=STAMP_PORT, options=unlimited, prefix=inside)
        )
        if shutil.which("irtt") is not None:
            server = stack.enter_context(network.centre.popen(irtt, stdout=subprocess.DEVNULL))
            stack.callback(server.kill)
            wait_until(lambda: _irtt_answers(network), what="the irtt server")
        yield


def ours(network: OfficeNetwork, config: Path, line: Line) -> Tool:
    """One window of the real command: STAMP and ICMP echo at the same time."""
    return lambda: _ours(network, config, line)


def peer(network: OfficeNetwork, line: Line, name: str, packets: int) -> Tool:
    """One run of a peer."""
    return lambda: [_peer(network, line, name, packets)]


def _ours(network: OfficeNetwork, config: Path, line: Line) -> list[ToolOutput]:
    results = measured(network, config, LATENCY, line.shape.name)
    said = []
    for result in results:
        if not isinstance(result.values, LatencyValues):
            raise CannotMeasureError(f"no figures from {result.target}: {result.detail}")
        # The probe pings the gateway as well: that never crosses the link whose truth is known.
        if result.values.address != _SERVER:
            continue
        by_stamp = result.values.protocol == "stamp"
        new_key = partial(stamp_key, STAMP_PORT) if by_stamp else _icmp_key
        tool = OURS[0] if by_stamp else OURS[1]
        said.append(ToolOutput(tool, new_key, not by_stamp, result.values, None))
    if sorted(one.tool for one in said) != sorted(OURS):
        raise CannotMeasureError(f"not one of each from {_SERVER}: {[one.tool for one in said]}")
    return said


def _peer(network: OfficeNetwork, line: Line, tool: str, packets: int) -> ToolOutput:
    argv, new_key = _command(tool, line, packets)
    try:
        finished = network.office.run(
            argv, timeout_s=packets * GAP_MS / 1000 + _SPARE_S, check=False
        )
        reading = _READERS[tool](finished.stdout + finished.stderr)
    except (ValueError, subprocess.TimeoutExpired) as error:
        raise CannotMeasureError(f"{tool}: {error}") from error
    return ToolOutput(tool, new_key, new_key is _icmp_key, None, reading)


def _icmp_key() -> Key:
    return icmp_key


@contextmanager
def busy_cpu(cores: int) -> Iterator[None]:
    """Programs that keep so many cores busy while the context lasts."""
    spinning = [subprocess.Popen(_SPIN) for _ in range(cores)]
    try:
        yield
    finally:
        for process in spinning:
            process.kill()
            process.wait()


def _irtt_answers(network: OfficeNetwork) -> bool:
    trial = ["irtt", "client", "-n", "-Q", f"{_SERVER}:{_IRTT_PORT}"]
    return network.centre.run(trial, check=False).returncode == 0


def _command(tool: str, line: Line, packets: int) -> tuple[Sequence[str], Callable[[], Key]]:
    device, gap_s = line.interface, GAP_MS / 1000
    match tool:
        case "ping":
            # Late answers count for as long as ours do.
            wait = ["-c", str(packets), "-i", str(gap_s), "-W", str(TIMEOUT_S)]
            return ["ping", "-I", device, *wait, _SERVER], _icmp_key
        case "fping":
            wait = ["-C", str(packets), "-p", str(GAP_MS), "-t", str(round(TIMEOUT_S * 1000))]
            return ["fping", "-q", "-I", device, *wait, _SERVER], _icmp_key
        case _:
            length_s = packets * gap_s * _IRTT_SPARE_RATIO
            send = ["-d", f"{length_s}s", "-i", f"{GAP_MS}ms", f"--wait={TIMEOUT_S}s"]
            argv = ["irtt", "client", "-Q", "-o", "-", f"--local={line.source_address}"]
            return [*argv, *send, f"{_SERVER}:{_IRTT_PORT}"], partial(irtt_key, _IRTT_PORT)


_READERS: dict[str, Callable[[str], PeerReading]] = {
    "ping": peer_output.read_ping,
    "fping": peer_output.read_fping,
    "irtt": peer_output.read_irtt,
}
