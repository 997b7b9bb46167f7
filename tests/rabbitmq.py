"""Floor 2. Real RabbitMQ nodes on loopback ports, configured as deploy/broker renders them.

Debian's own release is what runs, unless TRAMDO_RABBITMQ_ROOT names the root of another Debian
(made by debootstrap), in which RabbitMQ is started by chroot; it must see the tests' folder by the
same path (`mount --bind /tmp ROOT/tmp`).
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Literal, Self

from msgspec import structs

from deploy.broker.cluster import ClusterSettings
from deploy.broker.rabbitmq import node_name
from deploy.broker.render import render_rabbitmq
from tests.cluster import Cluster
from tests.ports import free_port
from tests.secured_broker import Office

_PROGRAMS = Path("/usr/lib/rabbitmq/bin")
_ROOT = Path(os.environ.get("TRAMDO_RABBITMQ_ROOT", "/"))
_CTL_TIMEOUT_S = 300.0
_STARTED = "Server startup complete"
# What tells a connection without a consumer from a queue without a leader.
_LISTS = (
    "cluster_status",
    "list_connections name user state node connected_at client_properties",
    "list_queues name type durable auto_delete state pid messages consumers",
    "list_bindings source_name destination_name routing_key",
    "list_consumers",
    "list_unresponsive_queues --timeout 20",
)


def why_not() -> str | None:
    """Why there is no RabbitMQ here, None where there is."""
    if release() is None:
        return "RabbitMQ is not installed (Debian: apt-get install rabbitmq-server)"
    if shutil.which("epmd") is None:
        return "epmd is not installed (Debian: erlang-base)"
    return None


def release() -> str | None:
    """RabbitMQ's version, by the name of the folder that it is in; None where there is none."""
    library = _ROOT / "usr/lib/rabbitmq/lib"
    names = [path.name for path in library.glob("rabbitmq_server-*")] if library.exists() else []
    found = [re.fullmatch(r"rabbitmq_server-([0-9.]+)", name) for name in names]
    return next((match[1] for match in found if match), None)


class RabbitCluster(Cluster):
    """Nodes of one RabbitMQ cluster: three, or one of 3.10, with a port mapper of their own.

    Three have their metadata in Khepri, as role broker_cluster has it.
    """

    def __init__(self, directory: Path, office: Office, who: ClusterSettings) -> None:
        old = (release() or "").startswith("3.")
        syntax: Literal["3.10", "4"] = "3.10" if old else "4"
        who = structs.replace(who, rabbitmq_release=syntax)
        super().__init__(directory, office, 1 if old else 3, who)
        # Names are known to the whole machine's port mapper: ours is for these nodes alone.
        self._epmd_port = free_port()
        self._epmd: subprocess.Popen[bytes] | None = None
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._started_before: dict[int, int] = {}

    def __enter__(self) -> Self:
        self.directory.mkdir(parents=True, exist_ok=True)
        cookie = self.directory / ".erlang.cookie"
        cookie.write_text("of this test", encoding="utf-8")
        cookie.chmod(0o400)
        self._epmd = subprocess.Popen(
            ["epmd", "-port", str(self._epmd_port), "-address", "127.0.0.1"],
            stdin=subprocess.DEVNULL,
        )
        super().__enter__()
        try:
            if len(self.settings.nodes) > 1:
                self.control(0, "enable_feature_flag", "--experimental", "khepri_db")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        if self._epmd is not None:
            self._epmd.kill()
            self._epmd.wait()
            self._epmd = None

    def control(self, number: int, *words: str) -> str:
        """What `rabbitmqctl` of a node answers."""
        node = node_name(self.settings.nodes[number])
        ended = subprocess.run(
            [*_command("rabbitmqctl"), "--longnames", "--node", node, "--quiet", *words],
            env=self._environment(number),
            capture_output=True,
            text=True,
            timeout=_CTL_TIMEOUT_S,
            check=False,
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    def describe(self, number: int) -> str:
        """What `rabbitmqctl` of a node lists, and why it does not where it does not."""
        return "\n".join(self._listed(number, words.split()) for words in _LISTS)

    def _listed(self, number: int, words: list[str]) -> str:
        try:
            return f"== {' '.join(words)}\n{self.control(number, *words)}"
        except (AssertionError, subprocess.TimeoutExpired) as error:
            return f"== {' '.join(words)}\n{error}"

    def _start(self, number: int) -> None:
        self._write(number)
        with (self.folder(number) / "log").open("ab") as log:
            # What an earlier start has logged says nothing of this one.
            self._started_before[number] = self.log(number).count(_STARTED)
            self._processes[number] = subprocess.Popen(
                _command("rabbitmq-server"),
                env=self._environment(number),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Erlang has helpers of its own, which must go with it.
                start_new_session=True,
            )

    def _kill(self, number: int) -> None:
        process = self._processes.pop(number)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def _write(self, number: int) -> None:
        folder = self.folder(number)
        settings = structs.replace(self.settings, definitions_file=str(folder / "definitions.json"))
        files = render_rabbitmq(settings, self.settings.nodes[number])
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")

    def _environment(self, number: int) -> dict[str, str]:
        folder = self.folder(number)
        return {
            **{name: os.environ[name] for name in ("PATH", "TRAMDO_RUN") if name in os.environ},
            "HOME": str(self.directory),
            "LANG": "C.UTF-8",
            "ERL_EPMD_PORT": str(self._epmd_port),
            "RABBITMQ_CONF_ENV_FILE": str(folder / "rabbitmq-env.conf"),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(folder / "store"),
            "RABBITMQ_LOG_BASE": str(folder / "logs"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(folder / "generated"),
            "RABBITMQ_SCHEMA_DIR": str(folder / "schema"),
            # A node has as many threads as the machine has cores otherwise, and three are here.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2 +SDcpu 1:1 +SDio 8 +A 8",
        }

    def _pid(self, number: int) -> int:
        return self._processes[number].pid

    def _is_ready(self, number: int) -> bool:
        process = self._processes[number]
        assert process.poll() is None, self.log(number)
        return self.log(number).count(_STARTED) > self._started_before[number]


def _command(program: str) -> list[str]:
    inside = [str(_PROGRAMS / program)]
    return inside if Path("/") == _ROOT else ["chroot", str(_ROOT), *inside]
