"""Floor 2. What a run makes outside of its own process, recorded so that nothing of it is left.

A run is a process that runs tests, the demo or a benchmark. `watch` starts a resource reaper
(tests.reaper) in a session of its own. The reaper removes what dead runs left, waits for this
process to end, however it ends, and removes what is left of this one. It finds

- processes by the environment variable TRAMDO_RUN, which they inherit, and by recorded folders;
- namespaces, network interfaces, cgroups and folders by the run's record, a file of lines.

A record is named by its run: process id and start time, so that a number that is used again is not
taken for a run that still lives, and runs beside each other are left alone.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Literal

ROOT = Path(__file__).parents[1]
VARIABLE = "TRAMDO_RUN"
# `folder` is deleted; in a `place` only processes end and file systems are unmounted.
Kind = Literal["netns", "link", "cgroup", "folder", "place"]

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def records() -> Path:
    """The folder of the records; its owner alone can write there.

    Raises:
        PermissionError: somebody else has made a folder of that name.
    """
    user = os.geteuid()
    path = Path("/run/tramdo-runs" if user == 0 else f"{tempfile.gettempdir()}/tramdo-runs-{user}")
    path.mkdir(mode=0o700, exist_ok=True)
    status = path.lstat()
    if status.st_uid != user or not path.is_dir():
        raise PermissionError(f"{path} belongs to user {status.st_uid}")
    return path


def run_of(pid: int) -> str | None:
    """The name of a process as a run; None where there is none, or only its exit code is left."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # proc(5): after the name in brackets the state is field 3, the start time field 22.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in {"Z", "X"} else f"{pid}-{fields[19]}"


def is_alive(run: str) -> bool:
    """Whether the process of that run is still there."""
    return run_of(int(run.partition("-")[0])) == run


def watch() -> Path:
    """Have what this process makes removed at its end; returns its record. Once for each process.

    Raises:
        RuntimeError: the reaper does not start.
    """
    return _watched(os.getpid())


def record(kind: Kind, name: str) -> None:
    """Record a thing before it is made."""
    with watch().open("a", encoding="utf-8") as file:
        file.write(f"{kind} {name}\n")


def new_folder(prefix: str, parent: Path | None = None) -> Path:
    """A new temporary folder, which is deleted with what is in it when the run ends."""
    path = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    record("folder", str(path))
    return path


@contextmanager
def temporary_folder(prefix: str) -> Iterator[Path]:
    """A `new_folder` for as long as the block lasts."""
    path = new_folder(prefix)
    try:
        yield path
    finally:
        shutil.rmtree(path)


def end_with_parent() -> None:
    """Let the kernel send SIGTERM to this process when its parent ends (prctl(2))."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def unwind_on_signals() -> None:
    """Let SIGTERM and SIGHUP end this process as Ctrl-C does: its context managers are closed.

    A signal that is ignored (nohup(1)) stays so.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    # A second signal must not interrupt what closes. No SIG_IGN: a child would inherit that.
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    raise KeyboardInterrupt


@cache
def _watched(pid: int) -> Path:
    run = run_of(pid)
    assert run is not None
    path = records() / run
    path.touch()
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
    os.environ[VARIABLE] = run
    with (records() / "log").open("ab") as log:
        # Returns when the reaper has removed what was left, and waits by itself.
        started = subprocess.run(
            [sys.executable, "-m", "tests.reaper", run], cwd=ROOT, env=environment, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, start_new_session=True,
            check=False,
        )  # fmt: skip
    if started.returncode:
        raise RuntimeError(f"the resource reaper does not start; see {records()}/log")
    sys.stderr.write(started.stdout)
    return path
