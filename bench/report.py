"""Floor 3. What every benchmark shares: its command line, the machine, targets, table and JSON.

    def measured(options: Options) -> Outcome: ...

    if __name__ == "__main__":
        sys.exit(run("data_saving", measured))

`python -m bench.NAME` prints a table for people; with --json one object on standard output and
nothing else. It exits 0 when it could measure, whatever the figures, else 1 with a sentence.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

Cell = str | int | float | bool | None
Row = Mapping[str, Cell]


class CannotMeasureError(Exception):
    """The benchmark cannot be run here; the text says why, in a sentence."""


class Options(NamedTuple):
    """What was asked on the command line. `quick` is for a run under a minute."""

    quick: bool


class Target(NamedTuple):
    """A figure that was promised. `value` is None where it could not be had; then it is not met."""

    name: str
    value: float | None
    limit: float
    met: bool


class Outcome(NamedTuple):
    """What a benchmark found. Every row has the same columns; a number's unit is in its name."""

    rows: Sequence[Row]
    targets: Sequence[Target]


def at_least(name: str, value: float | None, limit: float) -> Target:
    """A target that is met by `limit` or more."""
    return Target(name, value, limit, value is not None and value >= limit)


def at_most(name: str, value: float | None, limit: float) -> Target:
    """A target that is met by `limit` or less."""
    return Target(name, value, limit, value is not None and value <= limit)


def note(text: str) -> None:
    """A line on how the run goes, on standard error."""
    print(text, file=sys.stderr, flush=True)


def run(name: str, measure: Callable[[Options], Outcome]) -> int:
    """Run one benchmark as a command; its exit code."""
    parser = argparse.ArgumentParser(prog=f"python -m bench.{name}")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.add_argument("--quick", action="store_true", help="less of everything: under a minute")
    arguments = parser.parse_args()
    try:
        outcome = measure(Options(quick=arguments.quick))
    except CannotMeasureError as error:
        note(f"bench.{name} cannot measure here: {error}")
        return 1
    print(as_json(name, outcome) if arguments.json else as_text(name, outcome))
    return 0


def as_json(name: str, outcome: Outcome) -> str:
    """The object that other programs read."""
    return json.dumps(
        {
            "bench": name,
            "machine": machine(),
            "rows": [dict(row) for row in outcome.rows],
            "targets": [target._asdict() for target in outcome.targets],
        },
        ensure_ascii=False,
    )


def as_text(name: str, outcome: Outcome) -> str:
    """The same for people."""
    here = ", ".join(f"{key} {value}" for key, value in machine().items())
    lines = [f"bench.{name} on {here}", "", *_table(outcome.rows), ""]
    for target in outcome.targets:
        state = "met" if target.met else "NOT met"
        lines.append(f"{state:8}{target.name}: {_text(target.value)} (limit {_text(target.limit)})")
    return "\n".join(lines)


def machine() -> dict[str, Cell]:
    """On what it was measured."""
    return {
        "model": _model(),
        "cores": os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "load_1min": round(os.getloadavg()[0], 2),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


def _model() -> str:
    board = Path("/proc/device-tree/model")  # a Raspberry Pi names itself here
    if board.exists():
        return board.read_text(encoding="utf-8").rstrip("\0")
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _table(rows: Sequence[Row]) -> list[str]:
    if not rows:
        return ["(no rows)"]
    columns = list(rows[0])
    cells = [columns, *([_text(row[column]) for column in columns] for row in rows)]
    widths = [max(len(line[index]) for line in cells) for index in range(len(columns))]
    numeric = [not isinstance(value, str) for value in rows[0].values()]
    return [
        "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, numeric, strict=True)
        ).rstrip()
        for line in cells
    ]


def _text(value: Cell) -> str:
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
