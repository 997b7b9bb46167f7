"""Floor 3. Whether our counts of lost, doubled and reordered packets are the truth, to the packet.

The emulated link loses, doubles and holds back packets of both directions by a seed, and writes
down what became of each. Ours are the counts of a real window of `tramdo-probe measure latency`
(STAMP and ICMP echo at once); ping's and fping's, of as many packets a second over the same link,
stand beside them. They do not count reordered packets. irtt's packets bear no number where the
truth looks, so it is not here.

ping ends with the first copy of its last packet and fping soon after: what comes later they cannot
have seen, and it counts as their error all the same.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from bench import latency_tools
from bench.latency_tools import GAP_MS, OURS, TIMEOUT_S, Tool, ToolOutput
from bench.packet_truth import Counts, between, counts
from bench.probe_command import write_config
from bench.report import CannotMeasureError, Options, Outcome, Row, at_most, note, run
from tests.lab.impairment import Impairment, LineImpairment
from tests.lab.network import Line, LineShape, OfficeNetwork

LINE = "vnpt"
PEERS = ("ping", "fping")
LOSS_RATIOS = (0.0, 0.001, 0.01, 0.05)  # a direction's
DUPLICATE_RATIO, REORDER_RATIO, HOLD_MS = 0.02, 0.03, 35.0
DELAY_MS = 5.0
WINDOW_S, PACKETS = 20.0, 1000
QUICK_WINDOW_S, QUICK_PACKETS = 4.0, 300


class Condition(NamedTuple):
    """What the link does: it loses, and with `mixed` it doubles and reorders as well."""

    loss_ratio: float
    mixed: bool

    def impairment(self, seed: int) -> Impairment:
        """One direction of it."""
        return Impairment(
            delay_ms=DELAY_MS,
            loss_ratio=self.loss_ratio,
            duplicate_ratio=DUPLICATE_RATIO if self.mixed else 0.0,
            reorder_ratio=REORDER_RATIO if self.mixed else 0.0,
            reorder_hold_ms=HOLD_MS,
            seed=seed,
        )


class Counted(NamedTuple):
    """What a tool counted; None for what it does not count."""

    sent: int
    received: int
    duplicates: int | None
    reordered: int | None


class Trial(NamedTuple):
    """One run of one tool."""

    condition: Condition
    tool: str
    said: Counted
    truth: Counts


CONDITIONS = [Condition(ratio, mixed=mixed) for ratio in LOSS_RATIOS for mixed in (False, True)]
QUICK = (Condition(0.0, mixed=False), Condition(0.05, mixed=True))


def measured(options: Options) -> Outcome:
    """Count under every condition, once: a count is exact or it is not."""
    reason = latency_tools.why_not(*PEERS)
    if reason is not None:
        raise CannotMeasureError(reason)
    window_s, packets = (QUICK_WINDOW_S, QUICK_PACKETS) if options.quick else (WINDOW_S, PACKETS)
    trials: list[Trial] = []
    with (
        tempfile.TemporaryDirectory(prefix="tramdo-") as directory,
        OfficeNetwork([LineShape(LINE, impairment=LineImpairment())]) as network,
        latency_tools.servers(network),
    ):
        latency = {"mean_gap_s": GAP_MS / 1000, "timeout_s": TIMEOUT_S, "window_s": window_s}
        config = write_config(Path(directory, "probe.toml"), network.lines, latency=latency)
        line = network.line(LINE)
        for number, condition in enumerate(QUICK if options.quick else CONDITIONS):
            note(words(condition))
            tools = [
                latency_tools.ours(network, config, line),
                *(latency_tools.peer(network, line, name, packets) for name in PEERS),
            ]
            for tool in tools:
                trials += _judged(condition, number, line, tool)
    return outcome(trials)


def _judged(condition: Condition, seed: int, line: Line, tool: Tool) -> Iterator[Trial]:
    """Run one tool over draws that begin anew, and put the truth beside what it says."""
    assert line.link is not None
    upload, download = condition.impairment(2 * seed), condition.impairment(2 * seed + 1)
    line.link.change(upload=upload, download=download)
    start_ns = time.monotonic_ns()
    said = tool()
    truths = between(line.link.truth(), start_ns, time.monotonic_ns())
    for one in said:
        yield Trial(condition, one.tool, _counted(one), counts(truths, one.key))


def _counted(said: ToolOutput) -> Counted:
    if said.values is not None:
        values = said.values
        return Counted(values.sent, values.received, values.duplicates, values.reordered)
    assert said.reading is not None
    reading = said.reading
    return Counted(reading.sent, reading.received, reading.duplicates, None)


def outcome(trials: Sequence[Trial]) -> Outcome:
    """Every run as a row, and how far all of ours are off together."""
    targets = [
        at_most(
            f"{tool}: counts that are off, all conditions together (packets)",
            sum(_off(trial) for trial in trials if trial.tool == tool),
            0,
        )
        for tool in OURS
    ]
    return Outcome([_row(trial) for trial in trials], targets)


def _off(trial: Trial) -> int:
    """By how many packets all that a tool counts is off together."""
    return sum(
        abs(counted - true)
        for counted, true in zip(trial.said, trial.truth, strict=True)
        if counted is not None
    )


def _row(trial: Trial) -> Row:
    said, truth = trial.said, trial.truth
    return {
        "link": words(trial.condition),
        "tool": trial.tool,
        "sent": said.sent,
        "lost": said.sent - said.received,
        "lost_true": truth.sent - truth.received,
        "duplicates": said.duplicates,
        "duplicates_true": truth.duplicates,
        "reordered": said.reordered,
        "reordered_true": truth.reordered,
        "off_packets": _off(trial),
    }


def words(condition: Condition) -> str:
    """The condition as text."""
    more = ", doubles and reorders" if condition.mixed else ""
    return f"{condition.loss_ratio:.1%} lost{more}"


if __name__ == "__main__":
    sys.exit(run("accuracy_loss", measured, peers=("fping", "iputils-ping")))
