"""Floor 3. How exact our round-trip times are, beside ping, fping and irtt.

The truth of each packet is what the kernel saw at the two network interfaces, the office's and the
centre's: from the packet's leaving to its answer's coming, less what the other end took where a
tool says that it takes that off (STAMP, irtt). A tool's error at p50 (p99) is its p50 (p99) less
that of the truth of its own packets, by the same rule (RFC 2330, 11.3). "Busy": a program beside
it on every core. Tools run one after the other, round by round, 100 packets a second each; figures
are medians of the rounds.

The emulated link says for each packet how long it held it, too; `over_link_*` is what a tool says
above that (on the bare line, above 0). It is no tool's error: most of it is how late the kernel
wakes the emulator up, 30 to 100 us each way, and that depends on when a packet comes. Compared with
it, who is "closer" at 0.2 ms changes from run to run; a figure of 2 us cannot be seen in that.

Ours are the figures of a real window of `tramdo-probe measure latency`. The peers' percentiles are
of the times that they print: ping and fping give three significant digits.

The kernel at the other end answers an echo, a program there answers STAMP and irtt. So our ICMP
echo is compared with all three peers, our STAMP with irtt; the table has every tool beside every
other. With the whole lab on one machine, the other end is as busy as this one.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import NamedTuple

from bench import latency_tools
from bench.capture import Capture, capture
from bench.latency_tools import GAP_MS, OURS, PEERS, TIMEOUT_S, Tool, ToolOutput
from bench.packet_truth import between, between_interfaces, path_times_ms
from bench.probe_command import write_config
from bench.report import (
    CannotMeasureError,
    Options,
    Outcome,
    Row,
    Target,
    at_most,
    note,
    run,
)
from probe.measure.latency.statistics import percentile
from tests.lab.impairment import Impairment, LineImpairment
from tests.lab.network import Line, LineShape, OfficeNetwork
from tests.lab.truth import PacketTruth

RIVALS = {OURS[0]: ("irtt",), OURS[1]: PEERS}
EMULATED, BARE = "emulated", "bare"
DELAYS_MS = (0.2, 5.0, 30.0, 150.0)
ROUNDS = 3
PACKETS = 300  # p99 takes 299
WINDOW_S = 4.2  # a Poisson stream of 420 on average; a busy host sends down to 330
_US_PER_MS = 1000


class Condition(NamedTuple):
    """One line to measure on. `rtt_ms` is None on the bare line."""

    rtt_ms: float | None
    busy: bool


Percentiles = tuple[float | None, float | None]


class Trial(NamedTuple):
    """One run of one tool, each at p50 and p99: what it says, what was true at the interfaces,
    and what the link says that it held them for (0 on the bare line)."""

    condition: Condition
    tool: str
    said_ms: Percentiles
    true_ms: Percentiles
    held_ms: Percentiles


class Taps(NamedTuple):
    """Captures at the interfaces that a line has in the office and in the centre."""

    near: Capture
    far: Capture

    def begin(self) -> None:
        """Forget what has passed."""
        for one in self:
            one.begin()

    def truths(self) -> list[PacketTruth]:
        """What has passed between them since."""
        return between_interfaces(self.near.seen(), self.far.seen())


QUICK = (Condition(0.2, busy=False), Condition(30.0, busy=True))
CONDITIONS = [
    Condition(rtt_ms, busy=busy) for rtt_ms in (None, *DELAYS_MS) for busy in (False, True)
]


def measured(options: Options) -> Outcome:
    """Measure under every condition, so many rounds."""
    reason = latency_tools.why_not(*PEERS)
    if reason is not None:
        raise CannotMeasureError(reason)
    conditions = QUICK if options.quick else CONDITIONS
    trials: list[Trial] = []
    shapes = [LineShape(EMULATED, impairment=LineImpairment()), LineShape(BARE)]
    with (
        tempfile.TemporaryDirectory(prefix="tramdo-") as directory,
        OfficeNetwork(shapes) as network,
        latency_tools.servers(network),
    ):
        latency = {"mean_gap_s": GAP_MS / 1000, "timeout_s": TIMEOUT_S, "window_s": WINDOW_S}
        config = write_config(Path(directory, "probe.toml"), network.lines, latency=latency)
        for number in range(1 if options.quick else ROUNDS):
            for condition in conditions:
                note(f"round {number + 1}: {_words(condition)}")
                trials += _round(network, config, condition)
    return outcome(trials)


def _round(network: OfficeNetwork, config: Path, condition: Condition) -> Iterator[Trial]:
    """Every tool once."""
    line = network.line(BARE if condition.rtt_ms is None else EMULATED)
    if line.link is not None and condition.rtt_ms is not None:
        one_way = Impairment(delay_ms=condition.rtt_ms / 2)
        line.link.change(upload=one_way, download=one_way)
    name = line.shape.name  # of the interface, at either end
    with (
        capture(network.office, line.interface) as near,
        capture(network.centre, name) as far,
        latency_tools.busy_cpu(os.cpu_count() or 1) if condition.busy else nullcontext(),
    ):
        taps = Taps(near, far)
        yield from _judged(condition, line, taps, latency_tools.ours(network, config, line))
        for peer in PEERS:
            tool = latency_tools.peer(network, line, peer, PACKETS)
            yield from _judged(condition, line, taps, tool)


def _judged(condition: Condition, line: Line, taps: Taps, tool: Tool) -> Iterator[Trial]:
    """Run one tool, and put the truth of its packets beside what it says."""
    taps.begin()
    start_ns = time.monotonic_ns()
    said = tool()
    truths, held = taps.truths(), []
    if line.link is not None:
        held = between(line.link.truth(), start_ns, time.monotonic_ns())
    for one in said:
        held_ms: Percentiles = (0.0, 0.0)
        if line.link is not None:
            held_ms = _both(path_times_ms(held, one.key))
        true_ms = path_times_ms(truths, one.key, with_far_end=one.far_end)
        yield Trial(condition, one.tool, _said_ms(one), _both(true_ms), held_ms)


def _said_ms(said: ToolOutput) -> Percentiles:
    if said.values is not None:
        return said.values.rtt_p50_ms, said.values.rtt_p99_ms
    assert said.reading is not None
    return _both(said.reading.rtts_ms)


def _both(rtts_ms: Sequence[float]) -> Percentiles:
    return percentile(rtts_ms, 0, 500), percentile(rtts_ms, 0, 990)


def outcome(trials: Sequence[Trial]) -> Outcome:
    """Medians of the rounds, and how we stand beside the peers."""
    conditions = dict.fromkeys(trial.condition for trial in trials)
    rows = [_row(trials, condition, tool) for condition in conditions for tool in (*OURS, *PEERS)]
    targets = [
        target
        for tool in OURS
        for number, name in enumerate(("p50", "p99"))
        for target in _targets(trials, tool, number, name)
    ]
    return Outcome(rows, targets)


def _row(trials: Sequence[Trial], condition: Condition, tool: str) -> Row:
    mine = [one for one in trials if (one.condition, one.tool) == (condition, tool)]
    return {
        "line": _words(condition),
        "tool": tool,
        "rounds": len(mine),
        "true_p50_ms": _median(one.true_ms[0] for one in mine),
        "true_p99_ms": _median(one.true_ms[1] for one in mine),
        "error_p50_us": _error_us(mine, 0),
        "error_p99_us": _error_us(mine, 1),
        "over_link_p50_us": _over_us((one.said_ms[0], one.held_ms[0]) for one in mine),
        "over_link_p99_us": _over_us((one.said_ms[1], one.held_ms[1]) for one in mine),
    }


def _targets(trials: Sequence[Trial], tool: str, number: int, name: str) -> Iterator[Target]:
    """The worst that a peer is closer by: over all conditions, for idle and for busy hosts."""
    for busy in (False, True):
        leads = [
            _lead_us(trials, condition, tool, number)
            for condition in dict.fromkeys(trial.condition for trial in trials)
            if condition.busy is busy
        ]
        if leads:
            worst = None if None in leads else max(lead for lead in leads if lead is not None)
            host = "busy" if busy else "idle"
            yield at_most(f"{tool}, {name}, {host}: closest peer is closer by (us)", worst, 0.0)


def _lead_us(trials: Sequence[Trial], condition: Condition, tool: str, number: int) -> float | None:
    """How much closer to the truth the best peer is than we are; negative where none is."""
    errors = {
        name: _error_us(
            [one for one in trials if (one.condition, one.tool) == (condition, name)], number
        )
        for name in (tool, *RIVALS[tool])
    }
    own = errors.pop(tool)
    theirs = [abs(error) for error in errors.values() if error is not None]
    return None if own is None or not theirs else abs(own) - min(theirs)


def _error_us(trials: Sequence[Trial], number: int) -> float | None:
    return _over_us((one.said_ms[number], one.true_ms[number]) for one in trials)


def _over_us(pairs: Iterable[tuple[float | None, float | None]]) -> float | None:
    """The median of what the first is above the second, in microseconds."""
    median_ms = _median(
        said - true for said, true in pairs if said is not None and true is not None
    )
    return None if median_ms is None else round(median_ms * _US_PER_MS, 1)


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def _words(condition: Condition) -> str:
    where = "bare" if condition.rtt_ms is None else f"{condition.rtt_ms:g} ms"
    return f"{where}, {'busy' if condition.busy else 'idle'}"


if __name__ == "__main__":
    sys.exit(run("accuracy_latency", measured, peers=("fping", "iputils-ping", "irtt")))
