"""Floor 2. A real PostgreSQL server for tests and benchmarks: its own directory, socket and end.

PostgreSQL refuses to run as root, so there it runs as the user `postgres` that Debian's package
makes. It listens on no network address.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg

from tests import resources


class PostgresqlServer:
    """A running server."""

    def __init__(self, directory: Path, owner: str | None, data: Path) -> None:
        self._directory = directory
        self._owner = owner
        self._data = data

    def conninfo(self, database: str) -> str:
        """How to reach one of its databases."""
        return f"host={self._directory} user=tramdo dbname={database}"

    @property
    def host(self) -> str:
        """Its name in a connection string: the directory of its socket."""
        return str(self._directory)

    def kill(self) -> None:
        """End it as a power cut would."""
        lines = (self._data / "postmaster.pid").read_text(encoding="ascii").splitlines()
        os.kill(int(lines[0]), signal.SIGKILL)

    def promote(self) -> None:
        """Make a standby the primary."""
        directory = self._directory.parent
        _run(self._owner, directory, _program("pg_ctl"), "promote", "-w", "-D", self._data)

    @contextmanager
    def standby(self) -> Iterator[PostgresqlServer]:
        """A standby that follows it by streaming replication, for as long as the block lasts."""
        with _new_directory(self._directory.parents[1]) as (directory, owner):
            _run(
                owner, directory, _program("pg_basebackup"), "-h", self._directory, "-U", "tramdo",
                "-D", directory / "data", "-R", "-X", "stream", "-c", "fast", "--no-sync",
            )  # fmt: skip
            yield from _serve(directory, owner, {})

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


def _program(name: str) -> Path:
    directory = programs()
    assert directory is not None, "postgresql is not installed (deploy/packages.txt)"
    return directory / name


@contextmanager
def running(
    settings: Mapping[str, str] | None = None, parent: Path | None = None
) -> Iterator[PostgresqlServer]:
    """A new server for as long as the block lasts."""
    with _new_directory(parent) as (directory, owner):
        _run(
            owner, directory, _program("initdb"), "--pgdata", directory / "data",
            "--username=tramdo", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync",
            "--no-instructions",
        )  # fmt: skip
        yield from _serve(directory, owner, settings or {})


@contextmanager
def _new_directory(parent: Path | None) -> Iterator[tuple[Path, str | None]]:
    """A directory for a server, and the user as whom it runs."""
    owner = "postgres" if os.geteuid() == 0 else None
    # Not under pytest's own directory, which other users may not enter; short, for the socket.
    directory = resources.new_folder("tramdo-pg-", parent)
    try:
        if owner:
            shutil.chown(directory, owner)
        (directory / "sockets").mkdir()
        (directory / "sockets").chmod(0o777)
        directory.chmod(0o755)
        yield directory, owner
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _serve(
    directory: Path, owner: str | None, settings: Mapping[str, str]
) -> Iterator[PostgresqlServer]:
    data, sockets = directory / "data", directory / "sockets"
    # Durable as it comes: a benchmark must pay for its commits as a centre does.
    told = {"listen_addresses": "", "unix_socket_directories": str(sockets)} | dict(settings)
    options = " ".join(f"-c {name}='{value}'" for name, value in told.items())
    pg_ctl = _program("pg_ctl")
    log = data / "server.log"
    _run(owner, directory, pg_ctl, "start", "-w", "-D", data, "-l", log, "-o", options)
    server = PostgresqlServer(sockets, owner, data)
    try:
        yield server
    finally:
        if (data / "postmaster.pid").exists() and _is_up(owner, directory, data):
            try:
                _run(owner, directory, pg_ctl, "stop", "-w", "-D", data, "-m", "immediate")
            except AssertionError:
                # One that was killed may look alive to `pg_ctl` until its parent has taken note.
                with suppress(OSError, ValueError, IndexError):
                    server.kill()


def _is_up(owner: str | None, directory: Path, data: Path) -> bool:
    words = [str(_program("pg_ctl")), "status", "-D", str(data)]
    if owner:
        words = ["runuser", "-u", owner, "--", *words]
    done = subprocess.run(words, cwd=directory, capture_output=True, check=False, timeout=60)
    return done.returncode == 0


def _run(owner: str | None, directory: Path, *command: str | Path) -> None:
    words = [str(word) for word in command]
    if owner:
        words = ["runuser", "-u", owner, "--", *words]
    done = subprocess.run(
        words, cwd=directory, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, timeout=120, check=False, text=True,
    )  # fmt: skip
    assert done.returncode == 0, f"{words}: {done.stderr}"
