"""Ctrl-C, TERM, a closed terminal, a kill: nothing is left of the tests nor of the demo.

What is looked at is a whole run as a person starts one, and this machine after it.
"""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests import broker, postgresql, resources, services
from tests.interruption import DEFAULT_SIGNALS, END_S, ROOT, START_S, Left, running_tests
from tests.lab import network
from tests.lab.polling import wait_until

SAMPLE = Path(__file__).with_name("interrupted.py")
MISSING = broker.why_not() or network.why_not() or services.why_not()
if postgresql.programs() is None:
    MISSING = MISSING or "postgresql is not installed"

pytestmark = pytest.mark.skipif(MISSING is not None, reason=str(MISSING))


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGKILL])
def test_nothing_is_left_of_interrupted_tests(number: signal.Signals) -> None:
    with running_tests(SAMPLE) as (process, left):
        assert len(left.now()) > 10
        process.send_signal(number)
        printed = process.communicate(timeout=END_S)[0].decode()
        if number is not signal.SIGKILL:
            assert process.returncode == pytest.ExitCode.INTERRUPTED, printed
        left.until_nothing()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_of_several_processes_of_tests(number: signal.Signals) -> None:
    with running_tests(SAMPLE, "-n", "1") as (process, left):
        assert not left.run.startswith(f"{process.pid}-"), "made by a worker"
        left.now()
        process.send_signal(number)
        process.communicate(timeout=END_S)
        left.until_nothing()


def test_what_a_reaper_could_not_remove_the_next_run_does_and_touches_no_other() -> None:
    with running_tests(SAMPLE) as (one, dead), running_tests(SAMPLE) as (_, live):
        for pid in [reaper_of(dead.run), one.pid]:
            os.kill(pid, signal.SIGKILL)
        one.wait()
        there = live.now()
        assert dead.now()
        argv = [sys.executable, "-c", "from tests import resources; resources.watch()"]
        subprocess.run(argv, cwd=ROOT, check=True, timeout=END_S)
        assert not dead.is_recorded()
        assert dead.now() == []
        assert live.now() == there
        assert resources.is_alive(live.run)


def reaper_of(run: str) -> int:
    listed = subprocess.run(
        ["pgrep", "-f", f"tests.reaper {run}"], capture_output=True, text=True, check=True
    )
    return int(listed.stdout)


@contextmanager
def demo_in_a_terminal() -> Iterator[tuple[int, int, Left]]:
    """`python -m deploy.demo` once its probe measures: process, terminal, what there is."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(ROOT)
        os.execvp("env", [*DEFAULT_SIGNALS, sys.executable, "-m", "deploy.demo"])
    try:
        seen = b""
        deadline_s = time.monotonic() + START_S
        while b"measuring" not in seen or b"phu-thong-01" not in seen:
            assert time.monotonic() < deadline_s, seen.decode()
            seen += os.read(terminal, 65_536)
        run = resources.run_of(pid)
        assert run is not None
        yield pid, terminal, Left(run)
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(pid, 0)


def test_the_demo_ends_with_its_terminal() -> None:
    with demo_in_a_terminal() as (pid, terminal, left):
        assert any("tramdo-probe" in line for line in left.now())
        os.close(terminal)
        wait_until(
            lambda: os.waitpid(pid, os.WNOHANG)[0] == pid, timeout_s=END_S, what="the demo's end"
        )
        left.until_nothing()


def test_nothing_is_left_of_a_demo_that_is_killed() -> None:
    with demo_in_a_terminal() as (pid, terminal, left):
        left.now()
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        left.until_nothing()
        os.close(terminal)
