"""Every store that the contract is held to, on a real database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from collector.store.postgresql import PostgresqlStore
from collector.store.sqlite import SqliteStore
from collector.store.store import Store
from tests import postgresql
from tests.postgresql import PostgresqlServer

OpenStore = Callable[[], Store]


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgresqlServer]:
    # No power cut here: what a test asserts does not hang on fsync, and the disk is shared.
    memory = Path("/dev/shm")
    parent = memory if memory.is_dir() else None
    with postgresql.running({"fsync": "off", "full_page_writes": "off"}, parent) as server:
        yield server


@pytest.fixture(scope="session")
def migrated(postgresql_server: PostgresqlServer) -> str:
    """The name of a database with an empty store in it, to be copied."""
    name = postgresql_server.new_database()
    PostgresqlStore(postgresql_server.conninfo(name)).close()
    return name


@pytest.fixture(params=["sqlite", "postgresql"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OpenStore]:
    """Opens the same store each time it is called, with room for three rejected messages."""
    if request.param == "sqlite":
        yield lambda: SqliteStore(tmp_path / "results.sqlite", rejected_kept=3)
        return
    server: PostgresqlServer = request.getfixturevalue("postgresql_server")
    name = server.new_database(request.getfixturevalue("migrated"))
    yield lambda: PostgresqlStore(server.conninfo(name), rejected_kept=3)
    server.drop(name)


@pytest.fixture
def store(open_store: OpenStore) -> Iterator[Store]:
    opened = open_store()
    yield opened
    opened.close()
