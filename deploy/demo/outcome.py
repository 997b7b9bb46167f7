"""Floor 3. The results of one round, read from the centre's API and checked for completeness."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import Struct
from rich.console import Console
from rich.table import Table

from deploy.demo.settings import ISPS, DemoLine
from deploy.demo.system import DemoSystem, StoredRow
from probe.measure.kinds import MEASURES
from probe.show import status_file, texts
from runtime.language import Language
from wire.result import (
    AvailabilityResult,
    Family,
    Outcome,
    ThroughputResult,
    ThroughputValues,
    headline,
    kind_of,
)

# Every kind that a round brings; `outage` comes with one.
ROUND_KINDS = (*MEASURES, kind_of(AvailabilityResult))
# Of a log or a pipe, whose width nobody knows.
_PLAIN_WIDTH = 140


class LineOutcome(Struct, frozen=True):
    """A line of the round: its shape, what TCP can carry at best, and what the centre shows.

    `family` is that of the throughput test: over IPv6 TCP carries 1.4 % less.
    """

    id: str
    isp: str
    family: Family | None
    shaped_download_bps: float | None
    shaped_upload_bps: float | None
    goodput_download_bps: float | None
    goodput_upload_bps: float | None
    download_bps: float | None
    upload_bps: float | None
    download_error_ratio: float | None
    upload_error_ratio: float | None


class Round(Struct, frozen=True):
    """One round: the lines, every result that the centre has stored, and what is still pending."""

    lines: list[LineOutcome]
    results: list[StoredRow]
    pending: int | None


def of_round(system: DemoSystem) -> Round:
    """Ask the centre what it has, and the probe what still waits."""
    stored = system.stored()
    shown = status_file.read(str(system.folder / "run"))
    pending = None if shown is None else shown.status.pending
    lines = [outcome for line in system.lines for outcome in _line(system, stored, line)]
    return Round(lines, stored, pending)


def missing(round_: Round) -> list[str]:
    """What the round should have and has not, a sentence each."""
    problems = [] if round_.pending == 0 else [f"{round_.pending} results wait for a receipt"]
    for line_id in dict.fromkeys(line.id for line in round_.lines):
        for kind in ROUND_KINDS:
            of_kind = [
                row.result
                for row in round_.results
                if row.result.line.id == line_id and row.result.kind == kind
            ]
            if not of_kind:
                problems.append(f"{line_id}: the centre has no result of kind {kind}")
            problems += [
                f"{line_id}: {kind} {result.target or ''}: {result.outcome} ({result.reason})"
                for result in of_kind
                if result.outcome is not Outcome.OK
            ]
    return problems


def print_table(round_: Round) -> None:
    """Print the round as tables."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=_PLAIN_WIDTH)
    results = Table(title="stored at the centre")
    for title in ("seq", "line", "kind", "family", "target", "outcome", "figures", "validity"):
        results.add_column(title, overflow="fold")
    for row in round_.results:
        results.add_row(*row_texts(row), ", ".join(row.result.validity))
    console.print(results)
    lines = Table(title="against the shaped lines' TCP goodput (rate × 1448/1514; IPv6: 1428/1514)")
    for title in (
        "line",
        "family",
        "direction",
        "shaped to",
        "goodput at best",
        "measured",
        "error",
    ):
        lines.add_column(title)
    for line in round_.lines:
        for direction in ("download", "upload"):
            lines.add_row(
                line.id,
                family_text(line.family),
                direction,
                figure("bps", getattr(line, f"shaped_{direction}_bps")),
                figure("bps", getattr(line, f"goodput_{direction}_bps")),
                figure("bps", getattr(line, f"{direction}_bps")),
                figure("ratio", getattr(line, f"{direction}_error_ratio")),
            )
    console.print(lines)
    console.print(f"{len(round_.results)} results stored, {round_.pending} pending")


def figure(name: str, value: float | None) -> str:
    """As the probe's own commands have it, in the demo's language."""
    return texts.figure(name, value, Language.EN)


def row_texts(row: StoredRow) -> tuple[str, ...]:
    """A stored result's cells: seq, line, kind, family, target, outcome, first figures."""
    result = row.result
    ending = result.outcome if result.reason is None else f"{result.outcome}: {result.reason}"
    figures = "  ".join(
        f"{name.rpartition('_')[0]} {figure(name, value)}"
        for name, value in headline(result).items()
    )
    family = family_text(result.family)
    return str(row.seq), result.line.id, result.kind, family, result.target or "", ending, figures


def family_text(family: Family | None) -> str:
    """An address family as people write it; nothing where a kind has none."""
    return {None: "", Family.IPV4: "IPv4", Family.IPV6: "IPv6"}[family]


def _line(
    system: DemoSystem, stored: list[StoredRow], demo_line: DemoLine
) -> Iterator[LineOutcome]:
    """One for each family that the line's throughput was measured over; the newest of each."""
    tests = {
        row.result.family: row.result
        for row in stored
        if isinstance(row.result, ThroughputResult) and row.result.line.id == demo_line.id
    }
    if not tests:
        yield _line_outcome(system, demo_line, None, None)
    for family, result in sorted(tests.items(), key=lambda one: str(one[0])):
        yield _line_outcome(system, demo_line, family, result.values)


def _line_outcome(
    system: DemoSystem, line: DemoLine, family: Family | None, values: ThroughputValues | None
) -> LineOutcome:
    fields: dict[str, Any] = {}
    for direction in ("download", "upload"):
        measured: float | None = getattr(values, f"{direction}_bps", None)
        goodput_bps = system.goodput_bps(line, direction, family)
        fields[f"shaped_{direction}_bps"] = getattr(line, f"{direction}_bps")
        fields[f"goodput_{direction}_bps"] = goodput_bps
        fields[f"{direction}_bps"] = measured
        fields[f"{direction}_error_ratio"] = (
            None if measured is None or goodput_bps is None else measured / goodput_bps - 1
        )
    return LineOutcome(line.id, ISPS[line.id], family, **fields)
