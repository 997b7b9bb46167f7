"""Floor 3. How exact our throughput is, beside the command `iperf3 -J` and theory.

A line is shaped to a rate of Ethernet frames; theory is the TCP payload that it then carries (rate
* 1448/1514). `tramdo-probe measure throughput` (its steady figure) and `iperf3 -J` (its receiver's
rate, warm-up omitted) measure it in turn, round by round: as many streams, the same congestion
control, warm-up and duration, one direction at a time. Figures are medians of the rounds. The
daemon's own default is 3 + 10 s; here it is less, which is harder and not easier. Ours has its
STAMP session beside it, as in the field: 0.07 % of 10 Mbit/s, which theory does not take off.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from bench.iperf3_command import received_bps, why_not
from bench.probe_command import IPERF3_PORT, STAMP_PORT, measured, write_config
from bench.report import CannotMeasureError, Options, Outcome, Row, at_most, note, run
from tests.lab.network import SERVER_ADDRESSES, LineShape, OfficeNetwork, theoretical_goodput_bps
from tests.lab.yardstick import iperf3_server
from tests.reflector_process import ReflectorProcess
from wire.figures import MEGABIT
from wire.result import ThroughputResult, ThroughputValues, kind_of

LINE = "vnpt"
RATES_BPS = (10 * MEGABIT, 50 * MEGABIT, 100 * MEGABIT, 300 * MEGABIT, 900 * MEGABIT)
QUICK_RATES_BPS = (50 * MEGABIT, 300 * MEGABIT)
ROUNDS = 3
STREAMS, WARM_UP_S, DURATION_S, QUICK_DURATION_S = 4, 2, 4, 2
CONGESTION_CONTROL = "cubic"
OURS, PEER = "ours", "iperf3"
DIRECTIONS = ("download", "upload")
ERROR_LIMIT_RATIO, LEAD_LIMIT_RATIO = 0.01, 0.002


class Trial(NamedTuple):
    """What one tool made of one direction in one round. `rate_bps` is the shaped one."""

    rate_bps: int
    direction: str
    tool: str
    measured_bps: float

    @property
    def error_ratio(self) -> float:
        """How far from theory: 0.01 is 1 % above."""
        return self.measured_bps / theoretical_goodput_bps(self.rate_bps) - 1


def all_rates(options: Options) -> Outcome:
    """Measure every rate, so many rounds."""
    reason = why_not()
    if reason is not None:
        raise CannotMeasureError(reason)
    duration_s = QUICK_DURATION_S if options.quick else DURATION_S
    trials: list[Trial] = []
    with (
        tempfile.TemporaryDirectory(prefix="tramdo-") as directory,
        OfficeNetwork([LineShape(LINE, MEGABIT, MEGABIT)]) as network,
        iperf3_server(network.centre, IPERF3_PORT),
        ReflectorProcess(
            [SERVER_ADDRESSES[0]],
            port=STAMP_PORT,
            prefix=["ip", "netns", "exec", network.centre.name],
        ),
    ):
        config = write_config(
            Path(directory, "probe.toml"),
            network.lines,
            throughput={
                "streams": STREAMS,
                "warm_up_s": WARM_UP_S,
                "duration_s": duration_s,
                "congestion_control": CONGESTION_CONTROL,
            },
        )
        for number in range(1 if options.quick else ROUNDS):
            for rate_bps in QUICK_RATES_BPS if options.quick else RATES_BPS:
                note(f"round {number + 1}: {rate_bps // MEGABIT} Mbit/s")
                network.reshape(LINE, download_bps=rate_bps, upload_bps=rate_bps)
                trials += _ours(network, config, rate_bps)
                trials += _peer(network, rate_bps, duration_s)
    return outcome(trials)


def _ours(network: OfficeNetwork, config: Path, rate_bps: int) -> Iterator[Trial]:
    (result,) = measured(network, config, kind_of(ThroughputResult), LINE)
    values = result.values
    if not isinstance(values, ThroughputValues):
        raise CannotMeasureError(f"no figures: {result.detail}")
    for direction, measured_bps in zip(
        DIRECTIONS, (values.download_bps, values.upload_bps), strict=True
    ):
        if measured_bps is None:
            raise CannotMeasureError(f"no {direction} figure: {result.detail}")
        yield Trial(rate_bps, direction, OURS, measured_bps)


def _peer(network: OfficeNetwork, rate_bps: int, duration_s: int) -> Iterator[Trial]:
    for direction in DIRECTIONS:
        argv = ["iperf3", "-J", "-c", SERVER_ADDRESSES[0], "-p", str(IPERF3_PORT)]
        argv += ["-P", str(STREAMS), "-C", CONGESTION_CONTROL, "-O", str(WARM_UP_S)]
        argv += ["-t", str(duration_s), *(["-R"] if direction == "download" else [])]
        yield Trial(rate_bps, direction, PEER, received_bps(network.office, argv))


def outcome(trials: Sequence[Trial]) -> Outcome:
    """Medians of the rounds, the worst error of ours, and the most that iperf3 is closer by."""
    cells = dict.fromkeys((trial.rate_bps, trial.direction) for trial in trials)
    rows = [_row(trials, *cell) for cell in cells]
    errors = [abs(_error_ratio(trials, *cell, OURS)) for cell in cells]
    leads = [
        abs(_error_ratio(trials, *cell, OURS)) - abs(_error_ratio(trials, *cell, PEER))
        for cell in cells
    ]
    targets = [
        at_most("worst error against theory (ratio)", max(errors), ERROR_LIMIT_RATIO),
        at_most("iperf3 is closer to theory by at most (ratio)", max(leads), LEAD_LIMIT_RATIO),
    ]
    return Outcome(rows, targets)


def _row(trials: Sequence[Trial], rate_bps: int, direction: str) -> Row:
    theory_bps = theoretical_goodput_bps(rate_bps)
    ours, peer = (_error_ratio(trials, rate_bps, direction, tool) for tool in (OURS, PEER))
    mine = [one for one in trials if (one.rate_bps, one.direction) == (rate_bps, direction)]
    spread = [one.error_ratio for one in mine if one.tool == OURS]
    return {
        "rate_mbps": rate_bps // MEGABIT,
        "direction": direction,
        "rounds": len(spread),
        "theory_bps": round(theory_bps),
        "ours_bps": round(theory_bps * (1 + ours)),
        "iperf3_bps": round(theory_bps * (1 + peer)),
        "ours_error_ratio": round(ours, 6),
        "iperf3_error_ratio": round(peer, 6),
        "ours_worst_round_ratio": round(max(abs(error) for error in spread), 6),
    }


def _error_ratio(trials: Sequence[Trial], rate_bps: int, direction: str, tool: str) -> float:
    return statistics.median(
        one.error_ratio
        for one in trials
        if (one.rate_bps, one.direction, one.tool) == (rate_bps, direction, tool)
    )


if __name__ == "__main__":
    sys.exit(run("accuracy_throughput", all_rates, peers=("iperf3", "libiperf0")))
