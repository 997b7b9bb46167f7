"""Floor 3. The demo's live view in a terminal; one line an event where output is a file or pipe."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from io import StringIO
from types import TracebackType
from typing import Any, Self, TextIO

import msgspec
from msgspec import Struct
from rich.console import Console, ConsoleDimensions, Group
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from deploy.demo.outcome import family_text, figure, row_texts
from deploy.demo.settings import DemoLine
from deploy.demo.system import DemoSystem, StoredRow
from probe.show import status_file
from probe.show.status import LineStatus, Pattern, StatusSnapshot
from wire.result import Family, Outcome, headline

# Beside the whole sentences, which are printed once.
ICMP_REFUSED = (
    "ICMP không được phép / is not permitted: "
    'sudo sysctl -w net.ipv4.ping_group_range="0 2147483647"'
)
# At most, where the terminal has room: a panel's frame, its head and the cursor's row take four.
_RESULTS_SHOWN, _RESULTS_FRAME = 40, 4
_RESULT_COLUMNS = ("seq", "line", "kind", "family", "target", "outcome", "figures")
_SMALL_WIDTHS = {"line": 8, "kind": 12, "family": 6}
# So many characters of figures fit beside them on 80 columns.
_SMALL_FIGURES = 46
# Below these a terminal has the short panels.
_WIDE, _HIGH = 120, 34
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
    icmp_refusal: str | None


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
        system.icmp_refusal,
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
            shown = picture(now, time.monotonic(), self._console.size)
            self._live.update(shown, refresh=True)
            return
        for line in _new_lines(now):
            if line not in self._printed:
                self._printed.add(line)
                self._console.print(line, highlight=False, soft_wrap=True)


def picture(now: Snapshot, at_s: float, size: ConsoleDimensions) -> Group:
    """The whole picture at a moment of monotonic time (LEDs blink with it), not larger than `size`.

    Of the results there are as many as fit; a small terminal has shorter panels, each result a row.
    """
    small = size.width < _WIDE or size.height < _HIGH
    panels = [_header(now)]
    if now.board is None:
        panels.append(Panel("the probe is starting …", title="probe"))
    else:
        panels.append(_leds_row(now.board, at_s) if small else _leds(now.board, at_s))
        panels.append(_lines(now, now.board, small=small))
    console = Console(width=size.width, height=size.height, file=StringIO())
    used = sum(len(console.render_lines(panel)) for panel in panels)
    rows = max(1, min(_RESULTS_SHOWN, size.height - used - _RESULTS_FRAME))
    return Group(*panels, _results(now, rows, small=small))


def _header(now: Snapshot) -> Panel:
    text = Text.assemble(
        ("the centre's page: ", ""),
        (now.page, "bold underline"),
        ("    Ctrl-C ends all of it", "dim"),
    )
    if now.user is not None:
        name, password = now.user
        text.append("\nđăng nhập / sign in: ").append(name, "bold")
        text.append("   mật khẩu / password: ").append(password, "bold")
    if now.icmp_refusal is not None:
        text.append(f"\n{ICMP_REFUSED}", "yellow")
    return Panel(text, title="Tramdo · trạm đo chất lượng Internet")


def _sign_in(name: str, password: str) -> tuple[str, str]:
    """Who may sign in, in both languages. The password is of this run alone."""
    return (
        f"Đăng nhập: {name}, mật khẩu {password} (chỉ dùng cho lần chạy này)",
        f"Sign in: {name}, password {password} (of this run alone)",
    )


def _leds_row(shown: StatusSnapshot, at_s: float) -> Panel:
    """The LEDs in one row, each with its name."""
    text = Text(no_wrap=True, overflow="ellipsis")
    for name, pattern in shown.leds.items():
        text.append_text(_led(name, pattern, at_s)).append(f" {name}  ")
    return Panel(text, title=f"LEDs ({shown.leds_driver})")


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


def _lines(now: Snapshot, shown: StatusSnapshot, *, small: bool) -> Panel:
    table = Table(expand=True, box=None, padding=(0, 1, 0, 0))
    for title in ("line", "state", "download", "upload", "RTT p50", "loss"):
        table.add_column(title, no_wrap=True)
    if not small:
        table.add_column("measuring", no_wrap=True)
    lines = list(shown.status.lines.values())
    for line in lines:
        # Of a small terminal all lines' measurements stand in a row below.
        measuring = () if small else (_activity(line),)
        table.add_row(*_line(now, line, small=small), *measuring)
    status = shown.status
    centre = "connected" if status.connected else f"no connection: {status.cause}"
    faults = "".join(f"\nfault: {text}" for text in status.faults.values())
    parts: list[Any] = [table]
    if small:
        parts.append(Text(_activities(lines), "dim", no_wrap=True, overflow="ellipsis"))
    else:
        parts.append("")
    parts.append(Text(f"centre: {centre}; {status.pending} results without receipt{faults}"))
    return Panel(Group(*parts), title=f"probe {status.probe}")


def _line(now: Snapshot, line: LineStatus, *, small: bool) -> tuple[Any, ...]:
    figures = {name: value for last in line.last.values() for name, value in last.figures.items()}
    rates = [
        _rate(figures.get(f"{direction}_bps"), now.goodput_bps.get((line.id, direction)))
        for direction in ("download", "upload")
    ]
    return (
        Text(line.id if small else f"{line.id} ({line.isp})"),
        Text(line.state, style=_STATE_COLOURS.get(line.state, "dim")),
        *rates,
        figure("rtt_p50_ms", figures.get("rtt_p50_ms")),
        figure("loss_ratio", figures.get("loss_ratio")),
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


def _activities(lines: Sequence[LineStatus]) -> str:
    """What each line is measuring, in one row."""
    found = []
    for line in lines:
        if line.activity is not None:
            step = line.activity.progress
            done = "" if step is None else f" {step.step} {step.done_ratio:.0%}"
            rate = None if step is None else step.rate_bps
            shown = "" if rate is None else figure("rate_bps", rate)
            found.append(f"{line.id}: {line.activity.kind}{done} {shown}".rstrip())
    return "measuring " + "; ".join(found) if found else "nothing is being measured"


def _results(now: Snapshot, rows: int, *, small: bool) -> Panel:
    columns = ("line", "kind", "family", "figures") if small else _RESULT_COLUMNS
    table = Table(expand=True, box=None, padding=(0, 1, 0, 0))
    for title in columns:
        # Long figures must not take the others' room.
        least = _SMALL_WIDTHS.get(title) if small else None
        table.add_column(title, no_wrap=True, overflow="ellipsis", min_width=least)
    for row in list(reversed(now.stored))[:rows]:
        table.add_row(*(_short_texts(row) if small else row_texts(row)))
    note = (
        "percentages are of the shaped line's TCP goodput over IPv4"
        if now.shaped
        else "loopback lines"
    )
    return Panel(table, title=f"stored at the centre ({len(now.stored)})", subtitle=note)


def _short_texts(row: StoredRow) -> tuple[str, ...]:
    """A result in four cells: its first known figures, as many as fit, or why it has none."""
    result = row.result
    figures = ""
    for name, value in headline(result).items():
        longer = f"{figures}  {name.rpartition('_')[0]} {figure(name, value)}".lstrip()
        if value is not None and len(longer) <= _SMALL_FIGURES:
            figures = longer
    ending = figures if result.outcome is Outcome.OK else f"{result.outcome}: {result.reason}"
    return result.line.id, result.kind, family_text(result.family), ending


def _new_lines(now: Snapshot) -> list[str]:
    """All log lines up to now; the caller prints those that are new."""
    lines = [] if now.board is None else list(now.board.status.lines.values())
    return [
        f"the centre's page: {now.page}",
        *(() if now.user is None else _sign_in(*now.user)),
        *(() if now.icmp_refusal is None else now.icmp_refusal.splitlines()),
        *(
            f"{line.id}: measuring {line.activity.kind}: {line.activity.progress.step}"
            for line in lines
            if line.activity is not None and line.activity.progress is not None
        ),
        *(f"stored: {'  '.join(row_texts(row))}" for row in now.stored),
    ]
