"""Floor 1. What the commands print: configuration, results, progress and status as plain text."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from probe.config import Config
from probe.measure.measurement import Progress
from probe.show.status import Board, LineStatus
from wire.result import Outcome, PathValues, Result

_UNITS = {"bps": ("Mbit/s", 1e-6), "ms": ("ms", 1.0), "ratio": ("%", 100.0)}


def figure(name: str, value: float | None) -> str:
    """A value with the unit that its field name bears: `download_bps` in Mbit/s."""
    if value is None:
        return "-"
    if isinstance(value, int):
        return str(value)
    unit, factor = next(
        (_UNITS[word] for word in reversed(name.split("_")) if word in _UNITS), ("", 1.0)
    )
    return f"{value * factor:.2f} {unit}".rstrip()


def summary(config: Config, source: str) -> str:
    """The configuration in a few lines."""
    broker = config.broker
    lines = [
        f"{source}: sound",
        f"probe {config.probe} of {config.tenant}",
        f"commune {config.site.commune_code}, {config.site.office}",
        *(f"line {x.id} ({x.isp}) by {x.interface or x.source_address}" for x in config.lines),
        *(f"server {x.name} at {x.host}" for x in config.servers),
        f"broker {broker.host}:{broker.port}{' with TLS' if broker.tls else ''}",
        f"{config.plan.samples_per_month} bulk tests a month wanted on each line",
    ]
    return "\n".join(lines)


def result(one: Result) -> str:
    """A result for a person: how it ended, its first figures, then every value."""
    ending = one.outcome if one.outcome is Outcome.OK else f"{one.outcome}: {one.reason}"
    head = f"{one.line.id}  {one.kind}  {one.target or ''}  {ending}"
    lines = [head]
    if one.detail:
        lines.append(f"  {one.detail}")
    if one.validity:
        lines.append(f"  held against it: {', '.join(one.validity)}")
    values = one.values
    if values is not None:
        for name, value in msgspec.structs.asdict(values).items():
            if value is None or isinstance(value, float):
                lines.append(f"  {name:<24} {figure(name, value)}")
            elif isinstance(value, int | str):
                lines.append(f"  {name:<24} {value}")
    if isinstance(values, PathValues):
        lines += _path(values)
    return "\n".join(lines)


def _path(values: PathValues) -> Iterator[str]:
    for hop in values.hops:
        answer = str(hop.answer).replace("_", " ")
        rtt = figure("rtt_ms", hop.rtt_ms)
        yield f"  hop {hop.hop:<2} {hop.address or '*':<17} {rtt:>12}  {answer}"
    for target in values.targets:
        said = "answers" if target.reached else target.trouble or "does not answer"
        yield f"  target {target.name:<17} {figure('rtt_ms', target.rtt_ms):>12}  {said}"


def progress(step: Progress) -> str:
    """One line that can be drawn over itself."""
    width = 24
    done = round(step.done_ratio * width)
    rate = f"  {step.rate_bps / 1e6:.1f} Mbit/s" if step.rate_bps is not None else ""
    return f"{step.step:<12} [{'#' * done}{'.' * (width - done)}] {step.done_ratio:4.0%}{rate}"


def board(shown: Board) -> str:
    """The running daemon's status."""
    status = shown.status
    centre = "connected" if status.connected else f"not connected: {status.cause}"
    lines = [
        f"probe {status.probe} of {status.tenant} (pid {shown.pid}, version {shown.version})",
        f"centre: {centre}; {status.pending} results wait for its receipt",
        *(f"fault: {part}: {text}" for part, text in status.faults.items()),
    ]
    for line in status.lines.values():
        lines += _line(line)
    lines.append("LEDs: " + ", ".join(f"{name} {pattern}" for name, pattern in shown.leds.items()))
    return "\n".join(lines)


def _line(line: LineStatus) -> Iterator[str]:
    yield f"line {line.id} ({line.isp}): {line.state}"
    if line.activity is not None:
        step = line.activity.progress
        yield f"  measuring {line.activity.kind}" + (f": {progress(step)}" if step else "")
    for last in line.last.values():
        figures = "  ".join(f"{name} {figure(name, value)}" for name, value in last.figures.items())
        ending = "" if last.outcome is Outcome.OK else f"  {last.outcome}: {last.reason}"
        yield f"  {last.kind} {last.target or ''}{ending}  {figures}".rstrip()
