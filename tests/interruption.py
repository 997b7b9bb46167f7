"""Floor 2. A run that is interrupted, and what this machine has of it afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests import reaper, resources

ROOT = Path(__file__).parents[1]
START_S, END_S = 90.0, 90.0


class Left:
    """What there is of a run, by the names that it recorded: they are known when it has gone."""

    def __init__(self, run: str) -> None:
        self.run = run
        self._names: set[str] = set()

    def is_recorded(self) -> bool:
        """Whether the run's record is there: the reaper removes it last."""
        return (resources.records() / self.run).exists()

    def now(self) -> list[str]:
        """Processes, namespaces, mounts, interfaces and folders, a line each."""
        if self.is_recorded():
            rows = (resources.records() / self.run).read_text("utf-8").splitlines()
            self._names |= {row.split(" ", 1)[1] for row in rows}
        tables = subprocess.run(
            "ps -ewwo pid,args; ip netns; cat /proc/mounts; ip -br link; ls -d /tmp/tramdo-*",
            shell=True, capture_output=True, text=True, check=False,
        ).stdout  # fmt: skip
        named = [line for line in tables.splitlines() if any(name in line for name in self._names)]
        own = int(self.run.partition("-")[0])
        return [*named, *(f"process {one}" for one in reaper.processes_of(self.run, []) - {own})]

    def until_nothing(self) -> None:
        """Wait until there is nothing; fails, naming what there is."""
        deadline_s = time.monotonic() + END_S
        while (there := self.now()) or self.is_recorded():
            assert time.monotonic() < deadline_s, there or "its record"
            time.sleep(0.1)


# Where a run was started in the background or by nohup, INT and HUP are ignored, and a child would
# ignore them too.
DEFAULT_SIGNALS = ("env", "--default-signal=HUP,INT,TERM")


@contextmanager
def running_tests(sample: Path, *options: str) -> Iterator[tuple[subprocess.Popen[bytes], Left]]:
    """A sample under pytest, once it has written the file INTERRUPTED_READY: its run's name."""
    # Not in a test's own folder, whose path is too long for ssh's socket in it.
    with resources.temporary_folder("tramdo-interrupted-") as folder:
        ready = folder / "ready"
        process = subprocess.Popen(
            [*DEFAULT_SIGNALS, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider",
             *options, str(sample), f"--basetemp={folder}/base"],
            cwd=ROOT, env=_without_xdist(os.environ) | {"INTERRUPTED_READY": str(ready)},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
        try:
            left = Left(_until(lambda: ready.read_text() if ready.exists() else "", process))
            yield process, left
        finally:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()
        # What a test did not wait for is mounted in the folder still.
        left.until_nothing()


def _without_xdist(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in environment.items() if "XDIST" not in name}


def say_ready() -> None:
    """In a sample: all of it is there."""
    beside = Path(os.environ["INTERRUPTED_READY"] + ".new")
    beside.write_text(resources.watch().name)
    beside.rename(beside.with_suffix(""))


def _until(look: Callable[[], str], process: subprocess.Popen[bytes]) -> str:
    deadline_s = time.monotonic() + START_S
    while not (found := look()):
        if process.poll() is not None or time.monotonic() > deadline_s:
            process.kill()
            pytest.fail(process.communicate()[0].decode())
        time.sleep(0.05)
    return found
