"""Floor 3. The demo's live view in a terminal; one line an event where output is a file or pipe."""

from __future__ import annotations

import time
from contextlib import suppress
from types import TracebackType
from typing import Any, Self, TextIO

import msgspec
from msgspec import Struct
from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from deploy.demo.outcome import figure, row_texts
from deploy.demo.settings import DemoLine
from deploy.demo.system import DemoSystem, StoredRow
from probe.show import status_file
from probe.show.status import LineStatus, Pattern, StatusSnapshot
from wire.result import Family

_RESULTS_SHOWN = 12
_LED_COLOURS = {"power": "yellow", "centre": "blue", "green": "green", "red": "red"}
_STATE_COLOURS = {"good": "green", "degraded": "yellow", "down": "red"}


class Snapshot(Struct, frozen=True):
    """What there is to show: the probe's board, the centre's results (newest last), the page."""

    board: StatusSnapshot | None
    stored: list[StoredRow]
    lines: list[DemoLine]
    goodput_bps: dict[tuple[str, str], float | None]
    page: str
    shaped: bool
    user: tuple[str, str] | None


def snapshot(system: DemoSystem) -> Snapshot:
    """Read the state of every part once."""
    try:
        shown = status_file.read(str(system.folder / "run"))
    except (OSError, msgspec.MsgspecError):
        shown = None
    return Snapshot(
        shown,
        system.stored(),
        system.lines,
        {
            (line.id, direction): system.goodput_bps(line, direction, Family.IPV4)
            for line in system.lines
            for direction in ("download", "upload")
        },
        system.page,
        system.why_loopback is None,
        system.user,
    )


class StartView:
    """How far the start is: a line that is written over on a terminal, else a line a step."""

    def __init__(self, stream: TextIO) -> None:
        self._console = Console(file=stream)
        self._step = ""
        self._live = Live(console=self._console, auto_refresh=False, transient=True)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._console.is_terminal:
            with suppress(OSError):  # the terminal was closed
                self._live.stop()

    def show(self, step: str, done: float | None) -> None:
        """Show a step and how much of it is done."""
        if self._console.is_terminal:
            bar = ProgressBar(total=1.0, completed=done or 0.0, width=20, pulse=done is None)
            row = Table.grid(padding=(0, 1))
            row.add_row(bar, step, "" if done is None else f"{done:.0%}")
            self._live.update(row, refresh=True)
        elif step != self._step:
            self._console.print(f"starting: {step}", highlight=False, soft_wrap=True)
        self._step = step


class View:
    """A live picture on a terminal; one line an event where the output is a file or a pipe."""

    def __init__(self, stream: TextIO) -> None:
        self._console = Console(file=stream)
        self._live = Live(console=self._console, auto_refresh=False, transient=False)
        self._printed: set[str] = set()

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        if self._console.is_terminal:
            with suppress(OSError):  # the terminal was closed
                self._live.stop()

    def show(self, now: Snapshot) -> None:
        """Show this moment."""
        if self._console.is_terminal:
            self._live.update(picture(now, time.monotonic()), refresh=True)
            return
        for line in _new_lines(now):
            if line not in self._printed:
                self._printed.add(line)
                self._console.print(line, highlight=False, soft_wrap=True)


def picture(now: Snapshot, at_s: float) -> Group:
    """The whole picture at a moment of monotonic time (LEDs blink with it)."""
    parts: list[Any] = [_header(now)]
    if now.board is None:
        parts.append(Panel("the probe is starting …", title="probe"))
    else:
        parts += [_leds(now.board, at_s), _lines(now, now.board)]
    parts.append(_results(now))
    return Group(*parts)


def _header(now: Snapshot) -> Panel:
    text = Text.assemble(
        ("the centre's page: ", ""),
        (now.page, "bold underline"),
        ("    Ctrl-C ends all of it", "dim"),
    )
    if now.user is not None:
        for piece in _sign_in(*now.user):
            text.append("\n").append(piece)
    return Panel(text, title="Tramdo · trạm đo chất lượng Internet")


def _sign_in(name: str, password: str) -> tuple[str, str]:
    """Who may sign in, in both languages. The password is of this run alone."""
    return (
        f"Đăng nhập: {name}, mật khẩu {password} (chỉ dùng cho lần chạy này)",
        f"Sign in: {name}, password {password} (of this run alone)",
    )


def _leds(shown: StatusSnapshot, at_s: float) -> Panel:
    table = Table.grid(padding=(0, 3))
    for _ in shown.leds:
        table.add_column(justify="center")
    table.add_row(*(_led(name, pattern, at_s) for name, pattern in shown.leds.items()))
    table.add_row(*(name for name in shown.leds))
    table.add_row(
        *(Text(pattern.replace("_", " "), style="dim") for pattern in shown.leds.values())
    )
    return Panel(table, title=f"LEDs ({shown.leds_driver})")


def _led(name: str, pattern: Pattern, at_s: float) -> Text:
    lit = {
        Pattern.OFF: False,
        Pattern.STEADY: True,
        Pattern.BREATHING: at_s % 2.4 < 1.2,
        Pattern.SLOW_BLINK: at_s % 2.0 < 1.0,
        Pattern.FAST_BLINK: at_s % 0.5 < 0.25,
    }[pattern]
    colour = _LED_COLOURS[name.rpartition(".")[2]]
    return Text("●" if lit else "○", style=f"bold {colour}" if lit else "dim")


def _lines(now: Snapshot, shown: StatusSnapshot) -> Panel:
    table = Table(expand=True, box=None)
    for title in ("line", "state", "download", "upload", "RTT p50", "loss", "measuring"):
        table.add_column(title)
    for line in shown.status.lines.values():
        table.add_row(*_line(now, line))
    status = shown.status
    centre = "connected" if status.connected else f"no connection: {status.cause}"
    faults = "".join(f"\nfault: {text}" for text in status.faults.values())
    return Panel(
        Group(table, Text(f"\ncentre: {centre}; {status.pending} results without receipt{faults}")),
        title=f"probe {status.probe}",
    )


def _line(now: Snapshot, line: LineStatus) -> tuple[Any, ...]:
    figures = {name: value for last in line.last.values() for name, value in last.figures.items()}
    rates = [
        _rate(figures.get(f"{direction}_bps"), now.goodput_bps.get((line.id, direction)))
        for direction in ("download", "upload")
    ]
    return (
        Text(f"{line.id} ({line.isp})"),
        Text(line.state, style=_STATE_COLOURS.get(line.state, "dim")),
        *rates,
        figure("rtt_p50_ms", figures.get("rtt_p50_ms")),
        figure("loss_ratio", figures.get("loss_ratio")),
        _activity(line),
    )


def _rate(value: float | None, goodput_bps: float | None) -> str:
    text = figure("download_bps", value)
    return text if value is None or not goodput_bps else f"{text} ({value / goodput_bps:.1%})"


def _activity(line: LineStatus) -> Table | str:
    if line.activity is None:
        return ""
    step = line.activity.progress
    if step is None:
        return f"{line.activity.kind} …"
    grid = Table.grid(padding=(0, 1))
    rate = "" if step.rate_bps is None else figure("rate_bps", step.rate_bps)
    grid.add_row(step.step, ProgressBar(total=1.0, completed=step.done_ratio, width=18), rate)
    return grid


def _results(now: Snapshot) -> Panel:
    table = Table(expand=True, box=None)
    for title in ("seq", "line", "kind", "family", "target", "outcome", "figures"):
        table.add_column(title)
    for row in reversed(now.stored[-_RESULTS_SHOWN:]):
        table.add_row(*row_texts(row))
    note = (
        "percentages are of the shaped line's TCP goodput over IPv4"
        if now.shaped
        else "loopback lines"
    )
    return Panel(
        table, title="stored at the centre", subtitle=f"{len(now.stored)} shown here; {note}"
    )


def _new_lines(now: Snapshot) -> list[str]:
    """All log lines up to now; the caller prints those that are new."""
    lines = [] if now.board is None else list(now.board.status.lines.values())
    return [
        f"the centre's page: {now.page}",
        *(() if now.user is None else _sign_in(*now.user)),
        *(
            f"{line.id}: measuring {line.activity.kind}: {line.activity.progress.step}"
            for line in lines
            if line.activity is not None and line.activity.progress is not None
        ),
        *(f"stored: {'  '.join(row_texts(row))}" for row in now.stored),
    ]
