"""Floor 3. What the daemon takes of a Raspberry Pi in a day: memory, processor, the card's life.

The real `tramdo-probe run` in the lab's office: two lines, a real reflector, iperf3 server, broker
and collector that confirms. Nothing is faked but time and link, and time like this:

- `day`: a window of a minute takes a second, with as many packets in it (gaps divided by 60, and
  the collector's pause between receipts too); one bulk test on each line. Each window is stored,
  sent and receipted by itself, as in a real day, so bytes and processor time of a result are a real
  result's. The day's figure is that times the results that the default plan makes in a day.
- `idle`: nothing is measured, for what the daemon's own clockwork takes each second.
- `growth`: the same with more ICMP targets, for 10,000 results in minutes. Resident memory at the
  start is after so many results that SQLite's page cache (2 MB) is full.

Not in it: DNS and web slots run at their real pace, so hardly ever; they count as results of mean
cost. The file system's journal is not counted. Runtime directory and log are in memory, as on a Pi.
"""

from __future__ import annotations

import os
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from datetime import date
from pathlib import Path
from typing import NamedTuple

from bench.probe_command import COMMAND, IPERF3_PORT, ROOT, STAMP_PORT, write_config
from bench.process_cost import Cost, cost_of
from bench.report import CannotMeasureError, Options, Outcome, Row, at_most, note, run
from probe import config_file
from probe.config import Config
from probe.measure.kinds import MEASURES
from probe.measure.latency.probe import target_specs
from probe.measure.measurement import MeasurementRequest
from probe.plan.slots import day_plan, light_slots
from tests import broker as brokers
from tests.broker import Broker
from tests.collector_process import CollectorProcess
from tests.lab import namespace
from tests.lab.network import SERVER_ADDRESSES, LineShape, OfficeNetwork
from tests.lab.yardstick import iperf3_server
from tests.reflector_process import ReflectorProcess

M = 1_000_000
RATE_BPS = 20 * M
DAY_S = 86_400
FASTER = 60
# Of RFC 5737's block, beside the centre's own.
EXTRA_TARGETS = [f"203.0.113.{number}" for number in range(100, 121)]
LOOK_S = 1.0
START_LIMIT_S = 30.0
_MEMORY = Path("/dev/shm")
_ANY_DAY = date(2026, 3, 11)


class Lengths(NamedTuple):
    """How long the stages take; how many results the growth is watched from, and over."""

    idle_s: float
    day_s: float
    settled_results: int
    grown_results: int
    bulk: Mapping[str, int]


FULL = Lengths(15, 80, 2_000, 10_000, {})
QUICK = Lengths(5, 14, 250, 500, {"warm_up_s": 1, "duration_s": 1})


class CostSample(NamedTuple):
    """One sample of the daemon: monotonic time, results stored so far, what it has cost."""

    at_s: float
    results: int
    cost: Cost


class Phase(NamedTuple):
    """One run of the daemon, as it was looked at."""

    name: str
    samples: Sequence[CostSample]

    @property
    def span_s(self) -> float:
        """From the first sample to the last."""
        return self.samples[-1].at_s - self.samples[0].at_s

    @property
    def results(self) -> int:
        """Stored between the first sample and the last."""
        return self.samples[-1].results - self.samples[0].results

    def grown(self, field: str) -> float:
        """By how much a cost has grown between the first sample and the last."""
        grown: float = getattr(self.samples[-1].cost, field) - getattr(self.samples[0].cost, field)
        return grown

    def largest(self, field: str) -> int:
        """The largest of all samples."""
        largest: int = max(getattr(sample.cost, field) for sample in self.samples)
        return largest


class Day(NamedTuple):
    """What the default plan makes in a day, all lines together."""

    results: int
    bulk_tests: int


def measured(options: Options) -> Outcome:
    """Run the three stages."""
    reason = namespace.why_not() or brokers.why_not()
    if reason is not None:
        raise CannotMeasureError(reason)
    lengths = QUICK if options.quick else FULL
    (ROOT / "out").mkdir(exist_ok=True)
    with office_lab() as office:
        settings = {"throughput": dict(lengths.bulk)}
        idle = office.stage("idle", {"latency": {"enabled": False}}, until_s=lengths.idle_s)
        fast: dict[str, object] = {"window_s": 60 / FASTER, "mean_gap_s": 1.5 / FASTER}
        day = office.stage(
            "day", settings | {"latency": fast}, until_s=lengths.day_s, round_now=True
        )
        dense = fast | {"icmp_targets": EXTRA_TARGETS}
        growth = office.stage(
            "growth",
            {"latency": dense},
            until_results=lengths.settled_results + lengths.grown_results,
        )
        default = office.default_config()
    return outcome(idle, day, growth, lengths.settled_results, planned_day(default))


def planned_day(config: Config) -> Day:
    """How many results a day of this plan has."""
    light = [kind for kind, one in MEASURES.items() if not one.bulk and one.continuous is None]
    bulk = len(day_plan(config, _ANY_DAY).slots)
    windows = round(DAY_S / config.latency.window_s)
    targets = sum(
        len(target_specs(_request(config, number))) for number in range(len(config.lines))
    )
    results = windows * targets + bulk + len(light_slots(config, light, _ANY_DAY))
    return Day(results, bulk)


def _request(config: Config, number: int) -> MeasurementRequest:
    return MeasurementRequest(
        line=config.lines[number],
        server=config.servers[0],
        config=config,
        stop=_NEVER,
        progress=lambda _: None,
    )


class _Never:
    def is_set(self) -> bool:
        return False

    def wait(self, timeout: float | None = None) -> bool:  # noqa: ARG002 - it is a Stop
        return False


_NEVER = _Never()


class Office:
    """The lab with everything in it but the daemon."""

    def __init__(self, network: OfficeNetwork, broker: Broker, disk: Path, memory: Path) -> None:
        self.network = network
        self._broker = broker
        self._disk = disk
        self._memory = memory

    def default_config(self) -> Config:
        """The default plan of this office."""
        return config_file.load(self._written("default", {}))[0]

    def stage(
        self,
        name: str,
        tables: Mapping[str, object],
        *,
        until_s: float | None = None,
        until_results: int | None = None,
        round_now: bool = False,
    ) -> Phase:
        """Run the daemon for so long, or until it has stored so many results."""
        config = self._written(name, tables)
        argv = [*COMMAND, "run", "-c", str(config), *(["--round-now"] if round_now else [])]
        log = self._memory / f"{name}.log"
        with (
            log.open("w") as log_file,
            self.network.office.popen(
                argv, stdout=log_file, stderr=log_file, cwd=ROOT, env=os.environ | _environment()
            ) as daemon,
        ):
            try:
                outbox = self._outbox(name)
                samples = list(_samples(name, daemon.pid, outbox, until_s, until_results))
            except CannotMeasureError as error:
                raise CannotMeasureError(f"{error}: {log.read_text()[-500:]}") from error
            finally:
                daemon.terminate()
        return Phase(name, samples)

    def _outbox(self, name: str) -> Path:
        return self._disk / name / "state" / "outbox.sqlite"

    def _written(self, name: str, tables: Mapping[str, object]) -> Path:
        directory = self._disk / name
        directory.mkdir()
        own: dict[str, object] = {
            "runtime_dir": str(self._memory / name),
            "lines": [
                {
                    "id": line.shape.name,
                    "isp": line.shape.name,
                    "interface": line.interface,
                    "gateway": line.gateway_address,
                }
                for line in self.network.lines
            ],
        }
        return write_config(
            directory / "probe.toml",
            self.network.lines,
            broker=(SERVER_ADDRESSES[0], self._broker.port),
            **(own | dict(tables)),
        )


def _environment() -> dict[str, str]:
    """What the daemon's unit gives it."""
    unit = (ROOT / "systemd" / "tramdo-probe.service").read_text(encoding="utf-8")
    settings = [line.partition("=")[2] for line in unit.splitlines() if line.startswith("Environ")]
    return dict(setting.split("=", 1) for setting in settings)


@contextmanager
def office_lab() -> Iterator[Office]:
    """Make the office, its centre, a broker and a collector, for as long as the block lasts."""
    lines = [LineShape("vnpt", RATE_BPS, RATE_BPS), LineShape("viettel", RATE_BPS, RATE_BPS)]
    with ExitStack() as stack:
        disk = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=ROOT / "out")))
        in_memory = _MEMORY if _MEMORY.is_dir() else None
        memory = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=in_memory)))
        network = stack.enter_context(OfficeNetwork(lines, management=True))
        centre = network.centre
        centre.ip(*(f"addr add {address}/32 dev lo" for address in EXTRA_TARGETS))
        for line in network.lines:
            far = line.isp.addresses[1].rpartition(".")[0] + ".2"
            line.isp.ip(f"route add 203.0.113.0/24 via {far}")
        inside = ["ip", "netns", "exec", centre.name]
        stack.enter_context(
            ReflectorProcess(
                [SERVER_ADDRESSES[0]],
                port=STAMP_PORT,
                options=["--rate-limit-pps", "0"],
                prefix=inside,
            )
        )
        stack.enter_context(iperf3_server(centre, IPERF3_PORT))
        broker = stack.enter_context(Broker(memory / "broker", host="0.0.0.0", prefix=inside))
        at_centre = broker.config(host=str(centre.management_address))
        receipts = {"receipts": {"min_gap_s": 0.1 / FASTER}}
        stack.enter_context(CollectorProcess(memory / "centre", at_centre, tables=receipts))
        yield Office(network, broker, disk, memory)


def _samples(
    name: str, pid: int, outbox: Path, until_s: float | None, until_results: int | None
) -> Iterator[CostSample]:
    """A sample each second, from the first at which the daemon measures."""
    start_s = time.monotonic()
    while not outbox.exists():
        if time.monotonic() > start_s + START_LIMIT_S:
            raise CannotMeasureError("the daemon does not begin to work")
        time.sleep(LOOK_S / 10)
    time.sleep(LOOK_S)  # what starting costs is no part of a day
    start_s = time.monotonic()
    noted_s = start_s
    while True:
        sample = CostSample(time.monotonic(), _stored(outbox), cost_of(pid))
        yield sample
        if until_s is not None and sample.at_s >= start_s + until_s:
            return
        if until_results is not None and sample.results >= until_results:
            return
        if sample.at_s >= noted_s + 30:
            noted_s = sample.at_s
            note(
                f"{name}: {sample.results} results, "
                f"{sample.cost.resident_bytes / M:.1f} MB resident"
            )
        time.sleep(LOOK_S)


def _stored(outbox: Path) -> int:
    with closing(sqlite3.connect(f"file:{outbox}?mode=ro", uri=True)) as database:
        (count,) = database.execute("SELECT coalesce(max(seq), 0) FROM blocks").fetchone()
        return int(count)


def outcome(idle: Phase, day: Phase, growth: Phase, settled_results: int, planned: Day) -> Outcome:
    """The stages as rows, and the day that they amount to."""
    written = day.grown("written_bytes")
    a_day_bytes = written / day.results * planned.results if day.results and written else None
    idle_cpu = idle.grown("cpu_s") / idle.span_s
    of_result_s = (growth.grown("cpu_s") - idle_cpu * growth.span_s) / growth.results
    rows = [
        _row(stage, settled_results if stage is growth else None) for stage in (idle, day, growth)
    ]
    grown_bytes, over_results = growth_bytes(growth.samples, settled_results)
    resident_bytes = max(day.largest("resident_bytes"), growth.largest("resident_bytes"))
    a_day_cpu = idle_cpu + of_result_s * planned.results / DAY_S
    targets = [
        at_most("resident memory of the daemon (MB)", resident_bytes / M, 45),
        at_most(f"grown over {over_results} results (MB)", grown_bytes / M, 1),
        at_most(
            f"written to disk in a day of {planned.results} results (MB)",
            None if a_day_bytes is None else a_day_bytes / M,
            50,
        ),
        # Nothing was promised of it but to be light; a tenth of one core is (ours).
        at_most("processor in a day, bulk tests apart (ratio of one core)", a_day_cpu, 0.1),
    ]
    return Outcome(rows, targets)


def growth_bytes(samples: Sequence[CostSample], settled_results: int) -> tuple[float, int]:
    """How much resident memory has grown since it had settled, and over how many results.

    The medians of the first and of the last tenth of the samples: single ones catch a window that
    is just being summed up.
    """
    settled = [sample for sample in samples if sample.results >= settled_results]
    tenth = max(1, len(settled) // 10)
    first, last = settled[:tenth], settled[-tenth:]
    middle = [statistics.median(one.cost.resident_bytes for one in part) for part in (first, last)]
    return middle[1] - middle[0], settled[-1].results - settled[0].results


def _row(stage: Phase, settled_results: int | None) -> Row:
    results = stage.results
    grown = None if settled_results is None else growth_bytes(stage.samples, settled_results)[0] / M
    return {
        "stage": stage.name,
        "span_s": round(stage.span_s, 1),
        "results": results,
        "resident_mb": stage.largest("resident_bytes") / M,
        "proportional_mb": stage.largest("proportional_bytes") / M,
        "children_mb": stage.largest("children_resident_bytes") / M,
        "grown_mb": grown,
        "cpu_ratio": stage.grown("cpu_s") / stage.span_s,
        "children_cpu_s": stage.grown("children_cpu_s"),
        "written_mb": stage.grown("written_bytes") / M,
        "written_per_result_bytes": stage.grown("written_bytes") / results if results else None,
    }


if __name__ == "__main__":
    sys.exit(run("footprint", measured))
