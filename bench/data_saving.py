"""Floor 3. What the early stop of kind `http` saves, and what it costs in accuracy.

Every line shape is measured twice by the real measurement against a real nginx, first at full
length, then with the early stop. The full-length run says what each rule would have said on the
very same bytes: that is the error. Both runs' bytes on the wire, heads, acknowledgements and
retransmissions included, are counted at the office's interface: that is the saving of ours.

No rule can know a change that comes after its stop: the late step is reported separately,
outside of the targets.
"""

from __future__ import annotations

import math
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from bench.line_shapes import LINE, Changing, Policer, Shape, built, bursty, step
from bench.report import CannotMeasureError, Options, Outcome, Row, at_least, at_most, note, run
from bench.stop_rules import RULES, first_figure
from probe.config import HttpConfig, LineConfig
from probe.measure.http.early_stop import TransferSample
from probe.measure.http.probe import measure
from probe.measure.measurement import MeasurementRequest, Progress, RawResult
from tests import nginx
from tests.http_request import http_request
from tests.lab import namespace
from tests.lab.network import SERVER_ADDRESSES, OfficeNetwork
from wire.figures import MEGABIT as M
from wire.result import HttpTransfer, HttpValues

PORT = 8080
ROUNDS = 2
LATE = "late step (unknowable)"
EVERY_SHAPE = "every shape but the late step"
SHAPES = (
    Shape("50 Mbit/s, RTT 16 ms", "steady", 50 * M, 8, jitter_ms=1),
    Shape("120 Mbit/s, RTT 8 ms", "steady", 120 * M, 4),
    Shape("15 Mbit/s, RTT 30 ms, BBR", "steady", 15 * M, 15, congestion_control="bbr"),
    Shape("70 Mbit/s, RTT 130 ms", "slow start", 70 * M, 65),
    Shape("40 Mbit/s, RTT 180 ms", "slow start", 40 * M, 90, queue_ms=90),
    Shape("50 Mbit/s, others take 0-40 %", "bursty", 50 * M, 8, changes=bursty(0.6, 0.2)),
    Shape("90 Mbit/s, others take 0-25 %", "bursty", 90 * M, 12, changes=bursty(0.75, 0.4)),
    Shape("30 Mbit/s after 0.5 s of 60", "policed", 60 * M, 10, policer=Policer(30 * M, 1_900_000)),
    Shape("25 Mbit/s after 1 s of 75", "policed", 75 * M, 6, policer=Policer(25 * M, 6_000_000)),
    Shape("60 Mbit/s, 36 after 1 s", "step", 60 * M, 10, changes=step(1.0, 0.6)),
    Shape("60 Mbit/s, 30 from the start to 0.8 s", "step", 60 * M, 10, changes=lambda _: iter(
        [(0.0, 0.5), (0.8, 1.0)]
    )),
    Shape("80 Mbit/s, 0.05 % lost", "lossy", 80 * M, 10, loss_ratio=0.0005),
    Shape("40 Mbit/s, 0.3 % lost", "lossy", 40 * M, 7, loss_ratio=0.003),
    Shape("40 Mbit/s, 1 % lost, BBR", "lossy", 40 * M, 7, 0.01, congestion_control="bbr"),
    Shape("60 Mbit/s, 42 after 6 s", LATE, 60 * M, 10, changes=step(6.0, 0.7)),
)  # fmt: skip
QUICK_SHAPES = (SHAPES[7],)
FULL_LENGTH = HttpConfig(pings=2, early_stop=False)
EARLY_STOP = HttpConfig(pings=2)


class Trial(NamedTuple):
    """One transfer at full length, and what one rule would have made of it."""

    rule: str
    family: str
    error_ratio: float
    bytes_saved_ratio: float
    time_saved_ratio: float


class Wire(NamedTuple):
    """Bytes at the office's interface, both directions of both transfers."""

    family: str
    full_bytes: int
    early_bytes: int


def measured(options: Options) -> Outcome:
    """Run every shape."""
    reason = namespace.why_not(tun=True) or nginx.why_not()
    if reason is not None:
        raise CannotMeasureError(reason)
    trials: list[Trial] = []
    wires: list[Wire] = []
    with tempfile.TemporaryDirectory(prefix="tramdo-") as directory:
        for number in range(1 if options.quick else ROUNDS):
            for shape in QUICK_SHAPES if options.quick else SHAPES:
                seed = 1000 * (number + 1)
                with (
                    built(shape, seed) as network,
                    nginx.Nginx(
                        Path(directory),
                        host=SERVER_ADDRESSES[0],
                        port=PORT,
                        prefix=["ip", "netns", "exec", network.centre.name],
                    ),
                ):
                    changing = Changing(shape, network, seed)
                    full, full_bytes = _run(network, changing, FULL_LENGTH)
                    _, early_bytes = _run(network, changing, EARLY_STOP)
                wires.append(Wire(shape.family, full_bytes, early_bytes))
                for direction, transfer in (("download", full.download), ("upload", full.upload)):
                    if transfer is not None:
                        trials += _trials(shape, direction, transfer)
    return _outcome(trials, wires)


def _run(network: OfficeNetwork, changing: Changing, config: HttpConfig) -> tuple[HttpValues, int]:
    """One measurement, and the bytes that went over the line for it."""
    line = network.line(LINE)
    begun: set[str] = set()

    def progress(progressed: Progress) -> None:
        if progressed.step not in begun:
            begun.add(progressed.step)
            changing.start()

    request = http_request(
        SERVER_ADDRESSES[0],
        PORT,
        config,
        line=LineConfig(id=LINE, isp="VNPT", interface=line.interface),
        progress=progress,
    )
    before = network.office.counters(LINE)
    try:
        (finding,) = network.office.inside(lambda: _findings(request))
    finally:
        changing.stop()
    after = network.office.counters(LINE)
    if not isinstance(finding.values, HttpValues) or finding.reason is not None:
        raise CannotMeasureError(f"a measurement failed: {finding.detail}")
    received = after.received_bytes - before.received_bytes
    return finding.values, received + after.sent_bytes - before.sent_bytes


def _findings(request: MeasurementRequest) -> list[RawResult]:
    return list(measure(request))


def _trials(shape: Shape, direction: str, transfer: HttpTransfer) -> Iterator[Trial]:
    at_s = [0.0, *(at_ms / 1000 for at_ms in transfer.sample_at_ms)]
    samples = [
        TransferSample(*pair) for pair in zip(at_s, [0, *transfer.sample_bytes], strict=True)
    ]
    full_bps = transfer.steady_bps
    if not full_bps:
        raise CannotMeasureError(f"{shape.name}, {direction}: nothing was transferred")
    for rule_name, rule in RULES.items():
        figure = first_figure(rule, samples)
        trial = Trial(
            rule_name,
            shape.family,
            0.0 if figure is None else figure.rate_bps / full_bps - 1,
            0.0 if figure is None else 1 - figure.total_bytes / transfer.transferred_bytes,
            0.0 if figure is None else 1 - figure.at_s / transfer.whole_s,
        )
        if rule_name == "ours":
            note(
                f"{shape.name}, {direction}: {full_bps / M:.1f} Mbit/s at full length; early "
                f"{trial.error_ratio:+.1%}, {trial.bytes_saved_ratio:.0%} of the bytes saved"
            )
        yield trial


def _outcome(trials: Sequence[Trial], wires: Sequence[Wire]) -> Outcome:
    families = [EVERY_SHAPE, *dict.fromkeys(trial.family for trial in trials)]
    rows = [
        _row(rule, family, [t for t in trials if t.rule == rule and _belongs(t.family, family)])
        for rule in RULES
        for family in families
    ]
    ours = [t for t in trials if t.rule == "ours" and _belongs(t.family, EVERY_SHAPE)]
    errors = sorted(abs(trial.error_ratio) for trial in ours)
    counted = [wire for wire in wires if _belongs(wire.family, EVERY_SHAPE)]
    early_bytes = sum(wire.early_bytes for wire in counted)
    saved = 1 - early_bytes / sum(wire.full_bytes for wire in counted)
    targets = [
        at_least("bytes on the wire saved by the early stop (ratio)", saved, 0.75),
        at_most("median error (ratio)", _percentile(errors, 500), 0.03),
        at_most("p95 error (ratio)", _percentile(errors, 950), 0.10),
    ]
    return Outcome(rows, targets)


def _belongs(family: str, group: str) -> bool:
    return family == group or (group == EVERY_SHAPE and family != LATE)


def _row(rule: str, family: str, trials: Sequence[Trial]) -> Row:
    errors = sorted(abs(trial.error_ratio) for trial in trials)
    return {
        "rule": rule,
        "line": family,
        "transfers": len(trials),
        "bytes_saved_ratio": statistics.fmean(trial.bytes_saved_ratio for trial in trials),
        "time_saved_ratio": statistics.fmean(trial.time_saved_ratio for trial in trials),
        "error_p50_ratio": _percentile(errors, 500),
        "error_p95_ratio": _percentile(errors, 950),
        "bias_ratio": statistics.fmean(trial.error_ratio for trial in trials),
    }


def _percentile(ordered: Sequence[float], per_mille: int) -> float:
    """The smallest x with F(x) >= p, without interpolation."""
    return ordered[math.ceil(len(ordered) * per_mille / 1000) - 1]


if __name__ == "__main__":
    sys.exit(run("data_saving", measured))
