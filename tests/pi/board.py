"""Floor 2. A Raspberry Pi 3B of QEMU: its power, its pins seen from outside, commands inside.

The pins are read from the registers of the emulated GPIO block through QEMU's monitor. Nothing in
the guest takes part in that.
"""

from __future__ import annotations

import json
import queue
import random
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

from tests import resources
from tests.pi import levels
from tests.pi.image import Image

# Irregular on purpose, see `levels.judged`.
_MEAN_GAP_S = 0.006
_BOOT_LIMIT_S = 480.0
_ARGUMENTS = (
    "console=ttyS1,115200 loglevel=4 panic=1 maxcpus=2 "
    "systemd.unit=multi-user.target systemd.show_status=0 systemd.journald.forward_to_console=0 "
    "net.ifnames=0"
)


class DiedError(Exception):
    """The board is gone, or it does not answer in time."""


class Line(NamedTuple):
    """A line that a command in the guest has written, and when it arrived here."""

    at_s: float
    stream: str
    text: str


class Command:
    """A command that runs in the guest."""

    def __init__(self, send: Callable[[dict[str, Any]], None], number: int) -> None:
        self._send = send
        self.number = number
        self.lines: list[Line] = []
        self.news: queue.SimpleQueue[Line | int] = queue.SimpleQueue()
        self.code: int | None = None

    def signal(self, which: signal.Signals) -> None:
        """Send it a signal."""
        self._send({"id": self.number, "signal": int(which)})

    def wait(self, within_s: float) -> int:
        """Wait for its end; returns its exit code.

        Raises:
            DiedError: it goes on.
        """
        self.wait_for(lambda _line: False, within_s)
        if self.code is None:
            raise DiedError(f"a command goes on after {within_s:.0f} s: {self.text()[-500:]}")
        return self.code

    def wait_for(self, wanted: Callable[[Line], bool], within_s: float) -> Line | None:
        """The next line that is wanted; None where the command ends or time is over before."""
        until_s = time.monotonic() + within_s
        while self.code is None:
            try:
                one = self.news.get(timeout=max(until_s - time.monotonic(), 0.001))
            except queue.Empty:
                return None
            if isinstance(one, int):
                self.code = one
            else:
                self.lines.append(one)
                if wanted(one):
                    return one
        return None

    def text(self, stream: str | None = None) -> str:
        """What it has written so far, that was waited for."""
        return "\n".join(one.text for one in self.lines if stream in (None, one.stream))


class Board:
    """The board, running. Made by `Powered`."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path, log: IO[str]) -> None:
        self._process = process
        self._log = log
        self._serial = _connected(folder / "serial", process)
        self._monitor = _Monitor(_connected(folder / "monitor", process))
        self._commands: dict[int, Command] = {}
        self._next = 1
        self._ready = threading.Event()
        self._sending = threading.Lock()
        threading.Thread(target=self._listen, daemon=True).start()

    def wait_ready(self, say: Callable[[str], None]) -> float:
        """Wait until the guest obeys; returns after how many seconds.

        Raises:
            DiedError: it does not come up.
        """
        begun_s = time.monotonic()
        while not self._ready.wait(15):
            took_s = time.monotonic() - begun_s
            if self._process.poll() is not None or took_s > _BOOT_LIMIT_S:
                raise DiedError(f"no answer after {took_s:.0f} s; see {self._log.name}")
            say(f"  booting, {took_s:.0f} s")
        return time.monotonic() - begun_s

    def start(self, *argv: str, user: str = "root", cwd: str = "/", stdin: str = "") -> Command:
        """Start a command in the guest."""
        command = Command(self._send, self._next)
        self._next += 1
        self._commands[command.number] = command
        self._send({"id": command.number, "argv": argv, "user": user, "cwd": cwd, "stdin": stdin})
        return command

    def run(
        self, *argv: str, user: str = "root", cwd: str = "/", stdin: str = "", within_s: float = 300
    ) -> Command:
        """Run a command in the guest to its end.

        Raises:
            DiedError: it does not end in time.
        """
        command = self.start(*argv, user=user, cwd=cwd, stdin=stdin)
        command.wait(within_s)
        return command

    def end_all(self) -> None:
        """End every command that still runs in the guest, the service too: the next part is new."""
        for command in self._commands.values():
            if command.code is None:
                command.signal(signal.SIGKILL)
        self.run("systemctl", "stop", "tramdo-probe")

    def pins(self) -> levels.Sample:
        """The pins now.

        Raises:
            DiedError: the monitor does not answer.
        """
        return self._monitor.pins()

    @contextmanager
    def watched(self) -> Iterator[list[levels.Sample]]:
        """Look at the pins all the while; the list grows."""
        seen: list[levels.Sample] = []
        over = threading.Event()

        def look() -> None:
            while not over.wait(random.uniform(0.5, 1.5) * _MEAN_GAP_S):
                seen.append(self.pins())

        watcher = threading.Thread(target=look, daemon=True)
        watcher.start()
        try:
            yield seen
        finally:
            over.set()
            watcher.join(10)

    def _send(self, asked: dict[str, Any]) -> None:
        with self._sending:
            self._serial.sendall(json.dumps(asked).encode("ascii") + b"\n")

    def _listen(self) -> None:
        with self._serial.makefile("rb") as lines:
            for raw in lines:
                now_s = time.monotonic()
                text = raw.decode("utf-8", "replace").strip()
                if not text.startswith("@{"):
                    print(text, file=self._log, flush=True)
                    continue
                answer = json.loads(text[1:])
                if "ready" in answer:
                    self._ready.set()
                    continue
                command = self._commands[answer["id"]]
                command.news.put(
                    answer["ended"]
                    if "ended" in answer
                    else Line(now_s, answer["stream"], answer["line"])
                )


class _Monitor:
    """QEMU's monitor (QMP), of which one command is needed."""

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(30)
        self._connection = connection
        self._lines = connection.makefile("rb")
        self._asking = threading.Lock()
        self._lines.readline()
        self._ask({"execute": "qmp_capabilities"})

    def pins(self) -> levels.Sample:
        before_s = time.monotonic()
        dump = self._ask(
            {
                "execute": "human-monitor-command",
                "arguments": {"command-line": f"xp /{levels.WORDS}xw {levels.PERIPHERAL:#x}"},
            }
        )
        return levels.sample((before_s + time.monotonic()) / 2, levels.words(dump))

    def _ask(self, command: dict[str, Any]) -> Any:
        with self._asking:
            try:
                self._connection.sendall(json.dumps(command).encode() + b"\n")
                while True:
                    answer = json.loads(self._lines.readline() or b"{}")
                    if "return" in answer:
                        return answer["return"]
                    if "event" not in answer:
                        raise DiedError(f"QEMU's monitor: {answer}")
            except OSError as error:
                raise DiedError(f"QEMU's monitor: {error}") from error


class Powered:
    """A board from power-on to power-off, as a context."""

    def __init__(self, image: Image, log_file: Path) -> None:
        self._image = image
        self._log_file = log_file

    def __enter__(self) -> Board:
        self._folder = resources.new_folder("tramdo-pi-")
        folder = self._folder
        self._log_file.parent.mkdir(parents=True, exist_ok=True)
        self._log = self._log_file.open("w", encoding="utf-8")
        self._process = subprocess.Popen(
            argv(self._image, folder), stdin=subprocess.DEVNULL, stderr=self._log
        )
        try:
            return Board(self._process, folder, self._log)
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._log.close()
        shutil.rmtree(self._folder)


def argv(image: Image, folder: Path) -> Sequence[str]:
    """QEMU's command line. Pure.

    The second serial port is the mini UART, which a Pi 3 has on its header; the first is
    Bluetooth's.
    """
    return [
        "qemu-system-aarch64", "-M", "raspi3b", "-display", "none", "-no-reboot",
        "-kernel", str(image.kernel), "-dtb", str(image.device_tree),
        "-initrd", str(image.initramfs), "-append", _ARGUMENTS,
        "-serial", "null", "-serial", f"unix:{folder / 'serial'},server=on,wait=on",
        "-qmp", f"unix:{folder / 'monitor'},server=on,wait=off",
    ]  # fmt: skip


def _connected(path: Path, process: subprocess.Popen[bytes]) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    until_s = time.monotonic() + 30
    while True:
        try:
            connection.connect(str(path))
        except OSError:
            if process.poll() is not None or time.monotonic() > until_s:
                raise DiedError("QEMU did not start") from None
            time.sleep(0.05)
        else:
            return connection
