"""Floor 2. A real Patroni cluster on loopback ports, configured as deploy/database renders it.

Two databases and a witness, three etcd. A member is killed as a power cut would: Patroni, etcd,
pgBackRest's server, and PostgreSQL with every backend at once. Root starts them as `postgres`.
"""

from __future__ import annotations

import os
import shutil
import signal
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import msgspec
import psutil
import psycopg
from msgspec import structs

from deploy.authority import authority, folder
from deploy.authority.authority import Authority
from deploy.database.render import render
from deploy.database.settings import DatabaseSettings, Member
from tests import postgresql, resources
from tests.client import eventually
from tests.ports import free_port
from tests.secured_broker import Identity

HOST = "127.0.0.1"
COLLECTOR = "collector-1"
DATABASES, WITNESS = ("db-1", "db-2"), "witness-1"
# Of a machine that does other things at the same time.
WITHIN_S = 180.0
_PROGRAMS = ("patroni", "etcd", "pgbackrest")


def why_not() -> str | None:
    """Why no cluster can be had here, None where it can."""
    if postgresql.programs() is None:
        return "postgresql is not installed (deploy/packages.txt)"
    for name in _PROGRAMS:
        if shutil.which(name) is None:
            return f"{name} is not installed (deploy/packages.txt)"
    return None


@contextmanager
def running(**settings: Any) -> Iterator[PatroniCluster]:
    """A new cluster for as long as the block lasts, in a folder of its own.

    Args:
        settings: of DatabaseSettings, in the place of the rendered defaults.
    """
    # Not in pytest's folder, which other users may not enter; short, for the sockets.
    path = resources.new_folder("tramdo-db-", None)
    try:
        with PatroniCluster(path, **settings) as cluster:
            yield cluster
    finally:
        shutil.rmtree(path, ignore_errors=True)


class PatroniCluster:
    """Members of one cluster; each can be killed and started by its name."""

    def __init__(self, path: Path, **settings: Any) -> None:
        self._path = path
        self._owner = "postgres" if os.geteuid() == 0 else None
        path.chmod(0o755)
        programs = postgresql.programs()
        assert programs is not None
        self.settings = DatabaseSettings(
            members=[self._member(name) for name in (*DATABASES, WITNESS)],
            collectors=[COLLECTOR],
            collectors_from=[f"{HOST}/32"],
            postgresql_version=int(programs.parts[-2]),
            programs=str(programs),
            watchdog="off",
            system_user=self._owner or psutil.Process().username(),
            **settings,
        )
        self._authority = self._new_authority("authority")
        self._collector = self._new_collector()
        self._processes: dict[str, list[subprocess.Popen[bytes]]] = {}
        for member in self.settings.members:
            self._prepare(member)

    def __enter__(self) -> Self:
        try:
            for member in self.settings.members:
                self.start(member.name)
            self.until_whole()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for name in list(self._processes):
            self.kill(name)

    @property
    def conninfo(self) -> str:
        """What a collector's `[store] postgresql` is, with its certificate."""
        its = self._collector
        return (
            f"{self.settings.conninfo} sslrootcert={self._ca} "
            f"sslcert={its.certificate} sslkey={its.key}"
        )

    def start(self, name: str) -> None:
        """Start a member on what it has on its disk."""
        member = self._named(name)
        self._start(name, "etcd")
        self._start(name, "pgbackrest", f"--config={member.backup_configuration}", "server")
        if member.role == "database":
            self.start_patroni(name)

    def start_patroni(self, name: str) -> None:
        """Start a member's Patroni, which starts PostgreSQL."""
        self._start(name, "patroni", str(self.folder(name) / "patroni.yml"))

    def _start(self, name: str, *command: str) -> None:
        with (self.folder(name) / "log").open("ab") as log:
            started = subprocess.Popen(
                command,
                cwd=self.folder(name),
                env=os.environ | self._etcd_environment(name),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                user=self._owner,
                group=self._owner,
                extra_groups=[] if self._owner else None,
            )
        self._processes.setdefault(name, []).append(started)

    def kill(self, name: str) -> None:
        """End all of a member's processes as a power cut would."""
        processes = self._processes.pop(name)
        self._signal(name, processes, signal.SIGKILL)
        for process in processes:
            process.wait()

    def freeze(self, name: str) -> None:
        """Stop all of a member's processes where they stand (SIGSTOP), until `go_on`."""
        self._signal(name, self._processes[name], signal.SIGSTOP)

    def go_on(self, name: str) -> None:
        """Let a frozen member go on (SIGCONT)."""
        self._signal(name, self._processes[name], signal.SIGCONT)

    def kill_postgresql(self, name: str) -> None:
        """End PostgreSQL alone; its Patroni goes on."""
        os.kill(self._postmaster(name), signal.SIGKILL)

    def stop_patroni(self, name: str) -> None:
        """End a member's Patroni as systemd does: it stops PostgreSQL. The rest goes on."""
        process = self._processes[name].pop()
        process.terminate()
        process.wait(WITHIN_S)

    def restore(self, name: str, at: str) -> None:
        """Bring one database back as it was, and let Patroni begin anew with it (docs/database.md).

        Both Patronis are stopped.
        """
        member = self._named(name)
        data, ctl = self.settings.data(member), Path(self.settings.bin) / "pg_ctl"
        self.pgbackrest(
            name, "--delta", "--type=time", f"--target={at}", "--target-action=promote", "restore"
        )
        self.run(name, ctl, "start", "--wait", "--timeout=600", f"--pgdata={data}",
                 "--log=/dev/null", f"--options=-c listen_addresses='' -k {member.socket_directory}"
                 f" -p {member.postgresql_port}")  # fmt: skip
        eventually(lambda: self._is_promoted(name), "it is promoted", 600.0)
        self.run(name, ctl, "stop", "--wait", f"--pgdata={data}")
        self.patronictl(name, "remove", self.settings.name,
                        answers=f"{self.settings.name}\nYes I am aware\n")  # fmt: skip
        self.start_patroni(name)
        eventually(lambda: self.primary() == name, "it is the primary", WITHIN_S)
        for other in self.settings.databases:
            if other.name != name:
                shutil.rmtree(self.settings.data(other))
                self.start_patroni(other.name)

    def until_whole(self) -> None:
        """Wait until there is a primary, and the other database is its synchronous standby."""
        eventually(self._is_whole, "a primary and a synchronous standby", WITHIN_S)

    def primary(self) -> str | None:
        """Who takes writes now by Patroni's word; None where nobody does."""
        found = [name for name, row in self.cluster().items() if row["role"] == "leader"]
        return found[0] if found else None

    def cluster(self) -> dict[str, dict[str, Any]]:
        """What Patroni says of each database, by name; empty where none answers."""
        for member in self.settings.databases:
            with suppress(OSError, msgspec.DecodeError):
                answer = msgspec.json.decode(self.ask(member.name, "cluster"))
                return {row["name"]: row for row in answer["members"]}
        return {}

    def ask(self, name: str, path: str) -> bytes:
        """An answer of a member's Patroni, asked as a member."""
        url = f"https://{HOST}:{self._named(name).patroni_port}/{path}"
        with urllib.request.urlopen(url, timeout=5, context=self._context(name)) as answer:
            return bytes(answer.read())

    def reaches(self, name: str, port: int) -> bool:
        """Whether a port of the first member takes requests by somebody's certificate."""
        url = f"https://{HOST}:{port}/health"
        try:
            with urllib.request.urlopen(url, timeout=5, context=self._context(name)):
                return True
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False

    def sql(self, name: str, query: str, database: str = "postgres") -> list[Any]:
        """The rows of a query at one member, as its own superuser over its socket."""
        member = self._named(name)
        done = self.run(
            name,
            "psql", "--no-psqlrc", "--csv", "--tuples-only", "--username=postgres",
            f"--host={member.socket_directory}", f"--port={member.postgresql_port}",
            f"--dbname={database}", f"--command={query}",
        )  # fmt: skip
        return [line.split(",") for line in done.splitlines()]

    def backup(self, *words: str) -> str:
        """pgBackRest at who keeps the backups."""
        return self.pgbackrest(self.settings.backup_host.name, *words)

    def pgbackrest(self, name: str, *words: str) -> str:
        """pgBackRest at a member; what it printed."""
        configuration = self._named(name).backup_configuration
        return self.run(
            name,
            "pgbackrest",
            f"--config={configuration}",
            f"--stanza={self.settings.name}",
            *words,
        )

    def patronictl(self, name: str, *words: str, answers: str = "") -> str:
        """patronictl at a member."""
        return self.run(name, "patronictl", "-c", str(self.folder(name) / "patroni.yml"), *words,
                        answers=answers)  # fmt: skip

    def run(self, name: str, *words: str | Path, answers: str = "") -> str:
        """A program at a member, as its database's user; AssertionError where it fails."""
        done = subprocess.run(
            [str(word) for word in words],
            cwd=self.folder(name), input=answers, capture_output=True, text=True, check=False,
            timeout=600, user=self._owner, group=self._owner,
            extra_groups=[] if self._owner else None,
        )  # fmt: skip
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    def folder(self, name: str) -> Path:
        """Where a member has its files."""
        return self._path / name

    def log(self, name: str) -> str:
        """All that a member's programs have logged."""
        return (self.folder(name) / "log").read_text(encoding="utf-8", errors="replace")

    def certificate(self, name: str) -> Identity:
        """A member's or a collector's certificate."""
        if name == COLLECTOR:
            return self._collector
        return Identity(self.folder(name) / "server.pem", self.folder(name) / "server.key")

    def settings_of(self, member: Member) -> DatabaseSettings:
        """The settings with a member's own paths: all of them are on this machine."""
        place = self.folder(member.name)
        return structs.replace(
            self.settings,
            certificate_file=str(place / "server.pem"),
            key_file=str(place / "server.key"),
            etcd_key_file=str(place / "server.key"),
            ca_file=str(self._ca),
            clients_ca_file=str(self._clients_ca),
            bootstrap_script=str(place / "create-database"),
            etcd_directory=str(place / "etcd-data"),
            password_file=str(place / "pgpass"),
            backup_directory=str(place / "backups"),
            backup_log=str(place),
            backup_lock=str(place / "lock"),
            backup_spool=str(place / "spool"),
        )

    @property
    def _ca(self) -> Path:
        return self._path / "ca.pem"

    @property
    def _clients_ca(self) -> Path:
        return self._path / "clients.pem"

    def _member(self, name: str) -> Member:
        place = self._path / name
        return Member(
            name=name,
            address=HOST,
            host="localhost",
            role="witness" if name == WITNESS else "database",
            postgresql_port=free_port(),
            patroni_port=free_port(),
            etcd_client_port=free_port(),
            etcd_peer_port=free_port(),
            backup_port=free_port(),
            data_directory=str(place / "data"),
            socket_directory=str(place),
            backup_configuration=str(place / "pgbackrest.conf"),
        )

    def _named(self, name: str) -> Member:
        return next(member for member in self.settings.members if member.name == name)

    def _new_authority(self, name: str) -> Authority:
        path = self._path / name
        authority.init(path, f"Tramdo {name}", None, datetime.now(UTC))
        return Authority(path)

    def _new_collector(self) -> Identity:
        """Its certificate is of the tenant's authority, which PostgreSQL alone trusts too."""
        tenants = self._new_authority("tenant")
        key, csr = self._path / f"{COLLECTOR}.key", self._path / f"{COLLECTOR}.csr"
        authority.request(key, csr, COLLECTOR, None)
        made = tenants.sign(folder.read(csr), datetime.now(UTC))
        both = (self._path / name / "ca.pem" for name in ("authority", "tenant"))
        self._ca.write_bytes((self._path / "authority/ca.pem").read_bytes())
        self._clients_ca.write_bytes(b"".join(path.read_bytes() for path in both))
        return Identity(made, key)

    def _prepare(self, member: Member) -> None:
        place = self.folder(member.name)
        place.mkdir()
        hosts = self.settings.certificate_hosts(member)
        made = self._authority.server(hosts, datetime.now(UTC), peer=True)
        shutil.copy(made, place / "server.pem")
        shutil.copy(made.with_suffix(".key"), place / "server.key")
        for name in ("backups", "lock", "spool"):
            (place / name).mkdir()
        for name, text in render(self.settings_of(member), member).items():
            (place / name).write_text(text, encoding="utf-8")
        if member.role == "database":
            (place / "create-database").chmod(0o755)
        if self._owner:
            for path in (place, *place.iterdir()):
                shutil.chown(path, self._owner, self._owner)

    def _etcd_environment(self, name: str) -> dict[str, str]:
        lines = (self.folder(name) / "etcd").read_text(encoding="utf-8").splitlines()
        return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))

    def _signal(
        self, name: str, processes: Sequence[subprocess.Popen[bytes]], number: signal.Signals
    ) -> None:
        """To all of a member's processes; PostgreSQL's are nobody's children."""
        pids = {process.pid for process in processes}
        with suppress(OSError, ValueError, IndexError):
            pids.add(self._postmaster(name))
        for pid in pids:
            with suppress(psutil.Error):
                whole = psutil.Process(pid)
                for each in (whole, *whole.children(recursive=True)):
                    with suppress(psutil.Error):
                        each.send_signal(number)

    def _postmaster(self, name: str) -> int:
        path = self.folder(name) / "data/postmaster.pid"
        return int(path.read_text(encoding="ascii").splitlines()[0])

    def _context(self, name: str) -> ssl.SSLContext:
        its = self.certificate(name)
        context = ssl.create_default_context(cafile=self._ca)
        context.load_cert_chain(its.certificate, its.key)
        return context

    def _is_promoted(self, name: str) -> bool:
        with suppress(AssertionError):
            return self.sql(name, "SELECT pg_is_in_recovery()") == [["f"]]
        return False

    def _is_whole(self) -> bool:
        rows = self.cluster()
        roles = sorted(row["role"] for row in rows.values())
        if roles != ["leader", "sync_standby"]:
            return False
        with suppress(psycopg.Error), psycopg.connect(self.conninfo, connect_timeout=5) as reader:
            return reader.execute("SELECT NOT pg_is_in_recovery()").fetchone() == (True,)
        return False
