"""Floor 3. What every benchmark shares: its command line, the machine, targets, table and JSON.

    def measured(options: Options) -> Outcome: ...

    if __name__ == "__main__":
        sys.exit(run("data_saving", measured, peers=("iperf3",)))

`python -m bench.NAME` prints a table for people; with --json one object on standard output and
nothing else. It exits 0 when it could measure, whatever the figures, else 1 with a sentence.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from tests import resources

Cell = str | int | float | bool | None
Row = Mapping[str, Cell]


class CannotMeasureError(Exception):
    """The benchmark cannot be run here; the text says why, in a sentence."""


class IntegerOption(NamedTuple):
    """An integer option of one benchmark: `--NAME N`."""

    name: str
    default: int
    help: str


class TextOption(NamedTuple):
    """A text option of one benchmark: `--NAME TEXT`."""

    name: str
    default: str
    help: str


class Options(NamedTuple):
    """What was asked on the command line. `quick` is for a run under a minute.

    `number` is the value of a benchmark's `IntegerOption`, `text` and `parts` of its `TextOption`s,
    or their defaults.
    """

    quick: bool
    number: int = 0
    text: str = ""
    parts: str = ""


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


def meaning(docstring: str | None) -> str:
    """The first paragraph of a benchmark's docstring, without its floor, on one line."""
    return " ".join((docstring or "").split("\n\n")[0].split()).removeprefix("Floor 3. ")


def run(
    name: str,
    measure: Callable[[Options], Outcome],
    *,
    peers: Sequence[str] = (),
    number: IntegerOption | None = None,
    text: TextOption | None = None,
    parts: TextOption | None = None,
) -> int:
    """Run one benchmark as a command; its exit code.

    Args:
        name: the module's.
        measure: does it; its module's docstring says what is measured.
        peers: Debian packages that it is compared with; their versions are stated.
        number: one more option of its own.
        text: another one.
        parts: which of its parts are run.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m bench.{name}",
        description=meaning(sys.modules[measure.__module__].__doc__),
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.add_argument("--quick", action="store_true", help="less of everything: under a minute")
    if number is not None:
        parser.add_argument(
            f"--{number.name}", dest="number", type=int, default=number.default, metavar="N",
            help=f"{number.help} (default: %(default)s)",
        )  # fmt: skip
    wanted = (("text", text), ("parts", parts))
    texts = {place: option for place, option in wanted if option is not None}
    for place, option in texts.items():
        parser.add_argument(
            f"--{option.name}", dest=place, default=option.default, metavar="TEXT",
            help=f"{option.help} (default: %(default)s)",
        )  # fmt: skip
    arguments = parser.parse_args()
    given = arguments.number if number is not None else 0
    command = f"{parser.prog}{' --quick' if arguments.quick else ''}"
    if number is not None and given != number.default:
        command += f" --{number.name} {given}"
    asked = {place: str(getattr(arguments, place)) for place in texts}
    for place, option in texts.items():
        if asked[place] != option.default:
            command += f" --{option.name} {asked[place]}"
    resources.watch()
    resources.unwind_on_signals()
    here = machine(command, peers)
    try:
        outcome = measure(Options(quick=arguments.quick, number=given, **asked))
    except CannotMeasureError as error:
        note(f"bench.{name} cannot measure here: {error}")
        return 1
    here |= {"load_1min_after": _load_1min()}
    print(as_json(name, outcome, here) if arguments.json else as_text(name, outcome, here))
    return 0


def as_json(name: str, outcome: Outcome, here: Row) -> str:
    """The outcome as one JSON object."""
    return json.dumps(
        {
            "bench": name,
            "machine": dict(here),
            "rows": [dict(row) for row in outcome.rows],
            "targets": [target._asdict() for target in outcome.targets],
        },
        ensure_ascii=False,
    )


def as_text(name: str, outcome: Outcome, here: Row) -> str:
    """The same as text tables."""
    given = ", ".join(f"{key} {value}" for key, value in here.items())
    lines = [f"bench.{name} on {given}", "", *_table(outcome.rows), ""]
    for target in outcome.targets:
        state = "met" if target.met else "NOT met"
        lines.append(
            f"{state:8}{target.name}: {cell_text(target.value)} (limit {cell_text(target.limit)})"
        )
    return "\n".join(lines)


def machine(command: str, peers: Sequence[str] = ()) -> dict[str, Cell]:
    """On what, when, by which command and beside whom it is measured; before it is.

    The load is what others do here meanwhile: figures of a machine that others use mislead.
    """
    return {
        "at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "command": command,
        "commit": _said("git", "rev-parse", "--short", "HEAD"),
        "peers": ", ".join(_version(peer) for peer in peers),
        "model": _model(),
        "cores": os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_1min": _load_1min(),
    }


def _load_1min() -> float:
    return round(os.getloadavg()[0], 2)


def _version(package: str) -> str:
    """A Debian package and its version; by its name alone where it is not installed as one."""
    version = _said("dpkg-query", "--showformat=${Version}", "--show", package)
    return f"{package} {version}" if version else package


def _said(*argv: str) -> str | None:
    """What a command prints; None where it is not there or fails."""
    try:
        ended = subprocess.run(
            argv, cwd=Path(__file__).parent, capture_output=True, text=True, check=False
        )
    except OSError:
        return None
    return ended.stdout.strip() or None if ended.returncode == 0 else None


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
    cells = [columns, *([cell_text(row[column]) for column in columns] for row in rows)]
    widths = [max(len(line[index]) for line in cells) for index in range(len(columns))]
    numeric = [not isinstance(value, str) for value in rows[0].values()]
    return [
        "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, numeric, strict=True)
        ).rstrip()
        for line in cells
    ]


def cell_text(value: Cell) -> str:
    """A value as tables show it."""
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
