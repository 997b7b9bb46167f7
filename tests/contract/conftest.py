"""Every store that the contract is held to, on a real database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from collector.store.sqlite import SqliteStore
from collector.store.store import Store

OpenStore = Callable[[], Store]


@pytest.fixture(params=["sqlite"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> OpenStore:
    """Opens the same store each time it is called, with room for three rejected messages."""
    assert request.param == "sqlite"
    return lambda: SqliteStore(tmp_path / "results.sqlite", rejected_kept=3)


@pytest.fixture
def store(open_store: OpenStore) -> Iterator[Store]:
    opened = open_store()
    yield opened
    opened.close()
