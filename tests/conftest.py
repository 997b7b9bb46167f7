"""For every test: hypothesis sets no time limit, a loaded machine is slower than any of them; which
tests come first, and which one after the other, where several are run at a time; and that nothing
is left of a run that is interrupted.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

from tests import resources

settings.register_profile("tramdo", deadline=None)
settings.load_profile("tramdo")

# The longest, which mostly wait.
_FIRST = ("fleet/test_site.py", "fleet/test_box.py")
# Held against time: never two of them at once.
_TIMED = ("lab", "system/test_bench.py", "system/test_demo.py")
# What runs beside those gives way to them (nice(2)): the longest file decides when all is over, and
# what is held against time is to have it.
_GIVES_WAY = 5
_OTHERS = 2
_HERE = Path(__file__).parent


class Scheduling(LoadScopeScheduling):  # type: ignore[misc]  # pytest-xdist has no types
    """What is run by one process: a file, or all that is held against time."""

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0].removeprefix(f"{_HERE.name}/")
        return "timed" if path.startswith(_TIMED) else path


def pytest_configure(config: pytest.Config) -> None:
    """Interruptions close fixtures, and what is left all the same has a reaper."""
    is_worker = hasattr(config, "workerinput")
    resources.unwind_on_signals()
    if is_worker or "MAKELEVEL" in os.environ:
        resources.end_with_parent()
    if is_worker or config.getoption("dist", "no") == "no":
        resources.watch()


@pytest.fixture(scope="session", autouse=True)
def _place(tmp_path_factory: pytest.TempPathFactory) -> None:
    resources.record("place", str(tmp_path_factory.getbasetemp()))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Where several are run at a time: the test's process priority, also of what it starts."""
    if hasattr(item.config, "workerinput"):
        rank = _rank(item.path.relative_to(_HERE).as_posix())
        # Only root may take a lower value again; without, what comes next gives way as well.
        with suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, 0, _GIVES_WAY if rank == _OTHERS else 0)


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Scheduling:
    """See pytest-xdist."""
    return Scheduling(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The order of files; within a file as it is written."""
    items.sort(key=lambda item: _rank(item.path.relative_to(_HERE).as_posix()))


def _rank(path: str) -> int:
    return 0 if path in _FIRST else 1 if path.startswith(_TIMED) else _OTHERS
