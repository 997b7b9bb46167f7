"""For every test: hypothesis sets no time limit, a loaded machine is slower than any of them; and
which files come first where several are run at a time.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("tramdo", deadline=None)
settings.load_profile("tramdo")

# The longest; beside it what is held against time, so that not two of that kind meet.
FIRST = ("fleet/test_site.py", "lab", "system/test_bench.py", "system/test_demo.py")
_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The order of files; within a file as it is written."""
    items.sort(key=lambda item: _rank(item.path.relative_to(_HERE).as_posix()))


def _rank(path: str) -> int:
    return next((rank for rank, first in enumerate(FIRST) if path.startswith(first)), len(FIRST))
