"""Floor 2. A real PostgreSQL server for tests and benchmarks: its own directory, socket and end.

PostgreSQL refuses to run as root, so there it runs as the user `postgres` that Debian's package
makes. It listens on no network address.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psycopg

from tests import resources


class PostgresqlServer:
    """A running server."""

    def __init__(self, directory: Path, owner: str | None) -> None:
        self._directory = directory
        self._owner = owner

    def conninfo(self, database: str) -> str:
        """How to reach one of its databases."""
        return f"host={self._directory} user=tramdo dbname={database}"

    def new_database(self, template: str = "template0") -> str:
        """A new database, a copy of the template; its name."""
        name = f"t{uuid.uuid4().hex[:12]}"
        with psycopg.connect(self.conninfo("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def drop(self, name: str) -> None:
        """Take a database away, whoever is in it."""
        with psycopg.connect(self.conninfo("postgres"), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def programs() -> Path | None:
    """Where the server's programs are, of the newest version; None where there are none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda p: p.parts[4])
    return found[-1].parent if found else None


@contextmanager
def running(
    settings: Mapping[str, str] | None = None, parent: Path | None = None
) -> Iterator[PostgresqlServer]:
    """A new server for as long as the block lasts."""
    bin_directory = programs()
    assert bin_directory is not None, "postgresql is not installed (deploy/packages.txt)"
    owner = "postgres" if os.geteuid() == 0 else None
    # Not under pytest's own directory, which other users may not enter; short, for the socket.
    directory = resources.new_folder("tramdo-pg-", parent)
    try:
        if owner:
            shutil.chown(directory, owner)
        (directory / "sockets").mkdir()
        directory.chmod(0o755)
        yield from _serve(directory, bin_directory, owner, settings or {})
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _serve(
    directory: Path, bin_directory: Path, owner: str | None, settings: Mapping[str, str]
) -> Iterator[PostgresqlServer]:
    data = directory / "data"
    sockets = directory / "sockets"
    sockets.chmod(0o777)
    _run(
        owner, directory, bin_directory / "initdb", "--pgdata", data, "--username=tramdo",
        "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions",
    )  # fmt: skip
    # Durable as it comes: a benchmark must pay for its commits as a centre does.
    told = {"listen_addresses": "", "unix_socket_directories": str(sockets)} | dict(settings)
    options = " ".join(f"-c {name}='{value}'" for name, value in told.items())
    pg_ctl = bin_directory / "pg_ctl"
    log = data / "server.log"
    _run(owner, directory, pg_ctl, "start", "-w", "-D", data, "-l", log, "-o", options)
    try:
        yield PostgresqlServer(sockets, owner)
    finally:
        _run(owner, directory, pg_ctl, "stop", "-w", "-D", data, "-m", "immediate")


def _run(owner: str | None, directory: Path, *command: str | Path) -> None:
    words = [str(word) for word in command]
    if owner:
        words = ["runuser", "-u", owner, "--", *words]
    done = subprocess.run(
        words, cwd=directory, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, timeout=120, check=False, text=True,
    )  # fmt: skip
    assert done.returncode == 0, f"{words}: {done.stderr}"
