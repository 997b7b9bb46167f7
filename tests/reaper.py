"""Floor 3. The resource reaper, which tests.resources starts: `python -m tests.reaper RUN`.

Removes what dead runs left and returns, while a process of its own waits for RUN to end and removes
what it left. What cannot be removed stays in its record, and the next reaper tries again.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

from tests import resources
from tests.fleet import machine
from tests.lab.namespace import Namespace, remove_root_link

T = TypeVar("T")

_KILL_S = 10.0
_POSTGRESQL_S = 5.0


class Process(NamedTuple):
    """A process of this machine, as proc(5) has it."""

    pid: int
    parent: int
    session: int
    started: int
    environment: bytes
    command: str
    directory: str


def main() -> None:
    """Reap for one run."""
    run = sys.argv[1]
    # A terminal that is closed and a Ctrl-C are for the run.
    for number in (signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    for problem in sweep():
        print(problem)
    sys.stdout.flush()
    _detach()
    _wait_for_end_of(run)
    for problem in remove(run):
        print(problem, file=sys.stderr, flush=True)


def _detach() -> None:
    """Go on as a process that nobody waits for (daemon(7)); who started this one reads its end."""
    if os.fork():
        os._exit(0)
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


def sweep() -> list[str]:
    """Remove what dead runs left; what could not be, in sentences."""
    runs = [path.name for path in resources.records().glob("*-*")]
    return [
        problem for run in runs if not resources.is_alive(run) for problem in remove(run)
    ]  # fmt: skip


def remove(run: str) -> list[str]:
    """Remove what one run left, and its record; what could not be removed, in sentences."""
    path = resources.records() / run
    with contextlib.suppress(FileNotFoundError), path.open(encoding="utf-8") as file:
        # Another reaper may be about it: the second one finds nothing.
        fcntl.flock(file, fcntl.LOCK_EX)
        rows = [line.rstrip("\n").partition(" ")[::2] for line in file]
        problems = list(_removed(run, rows))
        if not problems:
            path.unlink(missing_ok=True)
        return problems
    return []


def processes_of(run: str, places: Sequence[str]) -> set[int]:
    """The processes of a run.

    They bear its mark, or belong to nobody and work in its places (a server that writes over its
    environment to show what it does), or are in a session or children of one of these.
    """
    table = [process for process in _processes() if "tests.reaper" not in process.command]
    mark = f"{resources.VARIABLE}={run}".encode()
    began = int(run.partition("-")[2])
    found = {
        process.pid
        for process in table
        if mark in process.environment.split(b"\0")
        or (process.started >= began and _is_orphan_in(process, places))
    }
    size = -1
    while size < len(found):
        size = len(found)
        found |= {one.pid for one in table if one.parent in found or one.session in found}
    return found


def _removed(run: str, rows: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Remove; yields what could not be. Processes first: they hold the rest."""
    folders = [name for kind, name in rows if kind == "folder"]
    places = folders + [name for kind, name in rows if kind == "place"]
    yield from _tried(run, partial(_end_postgresql, folders))
    yield from _tried(run, partial(_kill, run, places))
    yield from _tried(run, partial(_unmount, places))
    # Links first: the kernel takes them away with their namespace, but at a time of its own.
    removers: dict[str, Callable[[str], None]] = {
        "link": remove_root_link,
        "netns": lambda name: Namespace(name).delete(),
        "cgroup": machine.remove_cgroups,
        "folder": _delete,
    }
    for wanted, remover in removers.items():
        for name in dict.fromkeys(name for kind, name in rows if kind == wanted):
            yield from _tried(run, partial(remover, name))


def _tried(run: str, remove_it: Callable[[], None]) -> Iterator[str]:
    try:
        remove_it()
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
        yield f"left of the run {run}: {error}"


def _wait_for_end_of(run: str) -> None:
    with contextlib.suppress(ProcessLookupError):
        descriptor = os.pidfd_open(int(run.partition("-")[0]))
        if resources.is_alive(run):
            poll = select.poll()
            poll.register(descriptor, select.POLLIN)
            poll.poll()


def _end_postgresql(folders: Sequence[str]) -> None:
    """Have servers end by themselves: one that is killed leaves its shared memory (ipcs(1))."""
    for folder in folders:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            pid = int((Path(folder) / "data/postmaster.pid").read_text("ascii").split()[0])
            if str(Path(folder) / "data") in _command_of(pid):
                os.kill(pid, signal.SIGQUIT)  # immediate shutdown
                deadline_s = time.monotonic() + _POSTGRESQL_S
                while resources.run_of(pid) is not None and time.monotonic() < deadline_s:
                    time.sleep(0.02)


def _kill(run: str, places: Sequence[str]) -> None:
    deadline_s = time.monotonic() + _KILL_S
    while found := processes_of(run, places):
        if time.monotonic() > deadline_s:
            raise RuntimeError(f"processes that do not end: {sorted(found)}")
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)


def _unmount(places: Sequence[str]) -> None:
    rows = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    # proc(5): blanks are written as \040; the last mounted comes off first.
    points = [row.split(" ")[1].replace(r"\040", " ") for row in reversed(rows)]
    for point in points:
        if any(point.startswith(f"{place}/") for place in places):
            subprocess.run(["umount", "--lazy", point], check=True, capture_output=True)


def _delete(folder: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(folder)


def _processes() -> Iterator[Process]:
    for folder in Path("/proc").glob("[0-9]*"):
        pid = int(folder.name)
        with contextlib.suppress(OSError):
            if resources.run_of(pid) is None or pid == os.getpid():
                continue
            fields = (folder / "stat").read_bytes().rpartition(b")")[2].split()
            yield Process(
                pid,
                int(fields[1]),
                int(fields[3]),
                int(fields[19]),
                _of_others((folder / "environ").read_bytes, b""),
                _command_of(pid),
                _of_others(partial(os.readlink, folder / "cwd"), ""),
            )


def _of_others(read: Callable[[], T], default: T) -> T:
    """What only a process's owner may read; `default` where it is somebody else's."""
    try:
        return read()
    except PermissionError:
        return default


def _command_of(pid: int) -> str:
    """The command of a process; empty where it has gone (or is none of this container's)."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    return ""


def _is_orphan_in(process: Process, places: Sequence[str]) -> bool:
    """Not a person's shell, whose parent lives."""
    return _is_adoptive(process.parent) and any(
        f"{process.directory}/".startswith(f"{place}/")
        or f"{place}/" in process.command
        or f"{place}\0" in process.command
        for place in places
    )


def _is_adoptive(pid: int) -> bool:
    """Whether a process is one that orphans are given to: init, or a user's systemd."""
    return pid == 1 or Path(_command_of(pid).partition("\0")[0]).name == "systemd"


if __name__ == "__main__":
    main()
