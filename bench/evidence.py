"""Floor 3. A bundle of evidence: its bytes, what writing and verifying it takes.

A probe of two lines has three latency windows a minute on each, as on the default plan, all signed,
six results a block, in a real store. The bundle has one line of it. Writing and verifying are a
process each, in processor seconds and peak memory. Months, and a province's 150 lines, are reckoned
from the days that were run.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

from bench.report import CannotMeasureError, Options, Outcome, Row, at_most, note, run
from bench.workload import Stream, Workload
from collector.evidence.bundle import BundlePieces, write
from collector.evidence.question import Question
from collector.rollup.periods import Period
from tests.evidence_month import FIRST, PERIOD, VNPT, EvidenceMonth
from verify.archive import Bundle
from verify.check import Trust, check
from verify.findings import Kind

MONTH_DAYS, PROVINCE_LINES = 30, 150
DAYS, QUICK_DAYS = 3, 1
# A minute has a window for each of two lines and three targets: so many results has a block.
A_MINUTE = 6
MOST_BYTES = 1 << 36


class Cost(NamedTuple):
    """What a step took."""

    cpu_s: float
    peak_mb: float


def seeded(folder: Path, days: int) -> EvidenceMonth:
    """A store with so many days of windows, from the first of the month on."""
    month = EvidenceMonth(folder, tests_a_day=0, light_a_day=0)
    stream = Stream(Workload(0, A_MINUTE, 1, FIRST, mixed=False), 0)
    for minute in range(days * 1440):
        at = FIRST + timedelta(minutes=minute + 1)
        month.send("latency", [stream.latency() for _ in range(A_MINUTE)], at)
    month.roll_up()
    return month


def write_bundle(month: EvidenceMonth, path: Path, days: int) -> Cost:
    """Write the bundle of the line, with whole addresses."""
    period = Period(PERIOD.first, PERIOD.first + timedelta(days=days - 1))
    question = Question(lines=(VNPT,), period=period, as_of=period.ends_at, whole_addresses=True)
    sources, began_s = month.sources(), time.process_time()
    write(path, BundlePieces(question, sources))
    return _cost(began_s)


def seed_and_write(folder: Path, path: Path, days: int) -> Cost:
    """Both, in a process that knows nothing before."""
    month = seeded(folder, days)
    try:
        return write_bundle(month, path, days)
    finally:
        month.store.close()


def verify_bundle(path: Path) -> Cost:
    """Verify it. Raises CannotMeasureError: it does not agree."""
    began_s = time.process_time()
    with Bundle(path, MOST_BYTES) as bundle:
        report = check(bundle, Trust())
    if differing := report.of(Kind.DIFFERS):
        raise CannotMeasureError(f"the bundle does not agree: {differing[0]}")
    return _cost(began_s)


def _cost(began_s: float) -> Cost:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Cost(time.process_time() - began_s, peak)


def alone(step: Callable[[], Cost]) -> Cost:
    """Run a step in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(step).result()


def measured(options: Options) -> Outcome:
    """The rows and targets."""
    days = QUICK_DAYS if options.quick else DAYS
    with tempfile.TemporaryDirectory(prefix="tramdo-evidence-") as name:
        folder = Path(name)
        path = folder / "evidence.zip"
        note(f"bench.evidence: {days} days of {1440 * A_MINUTE} results are stored and bundled")
        written = alone(partial(seed_and_write, folder, path, days))
        verified = alone(partial(verify_bundle, path))
        size = path.stat().st_size
    results = days * 1440 * A_MINUTE // 2
    line = _row(f"a line, {days} days", results, size, written, verified)
    month = _times(line, "a line's month, reckoned", MONTH_DAYS / days)
    province = _times(month, "a province's month, reckoned", PROVINCE_LINES)
    return Outcome(
        [line, month, province],
        [
            at_most("a line's month (MB)", _number(month, "mb"), 5),
            at_most("a line's month, to verify (cpu s)", _number(month, "verify_cpu_s"), 10),
            at_most("a province's month (MB)", _number(province, "mb"), 600),
            at_most(
                "a province's month, to verify on two cores (min)",
                _number(province, "verify_cpu_s") / 2 / 60,
                15,
            ),
        ],
    )


def _row(what: str, results: int, size: int, written: Cost, verified: Cost) -> Row:
    return {
        "what": what,
        "results": results,
        "mb": round(size / 1e6, 3),
        "bytes_a_result": round(size / results, 1),
        "write_cpu_s": round(written.cpu_s, 2),
        "write_peak_mb": round(written.peak_mb, 1),
        "verify_cpu_s": round(verified.cpu_s, 2),
        "verify_peak_mb": round(verified.peak_mb, 1),
    }


def _times(row: Row, what: str, factor: float) -> Row:
    scaled: Sequence[str] = ("results", "mb", "write_cpu_s", "verify_cpu_s")
    return {
        **{name: None if name.endswith("peak_mb") else cell for name, cell in row.items()},
        "what": what,
        **{name: round(_number(row, name) * factor, 2) for name in scaled},
    }


def _number(row: Row, name: str) -> float:
    value = row[name]
    assert isinstance(value, int | float)
    return value


if __name__ == "__main__":
    sys.exit(run("evidence", measured))
