"""For every test: hypothesis sets no time limit, a loaded machine is slower than any of them; and
which tests come first, and which one after the other, where several are run at a time.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("tramdo", deadline=None)
settings.load_profile("tramdo")

# The longest.
_FIRST = "fleet/test_site.py"
# Held against time: never two of them at once, and beside the longest, which mostly waits.
_TIMED = ("lab", "system/test_bench.py", "system/test_demo.py")
_HERE = Path(__file__).parent


def pytest_itemcollected(item: pytest.Item) -> None:
    """What is run by one process: a file, or all that is held against time."""
    path = _place(item)
    item.add_marker(pytest.mark.xdist_group("timed" if path.startswith(_TIMED) else path))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The order of files; within a file as it is written."""
    items.sort(key=lambda item: _rank(_place(item)))


def _rank(path: str) -> int:
    return 0 if path == _FIRST else 1 if path.startswith(_TIMED) else 2


def _place(item: pytest.Item) -> str:
    return item.path.relative_to(_HERE).as_posix()
