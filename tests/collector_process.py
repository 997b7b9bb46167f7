"""Floor 2. The real collector as a process, and its HTTP side, for system and browser tests."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import msgspec

from runtime.broker import BrokerConfig
from tests.client import eventually
from tests.ports import free_port

ROOT = Path(__file__).parents[1]
COMMAND = [sys.executable, "-m", "collector.cli"]


class CollectorProcess:
    """`tramdo-collector run`; its configuration, store and log are in `directory`.

    Args:
        directory: the same directory again is the same collector again.
        broker: how it reaches its broker.
        store: where its store is, in `directory` unless given.
        tables: further keys and tables of its configuration.
        environment: what it gets beside ours.
        command: what begins its command line.
        root: where it is started.
    """

    def __init__(
        self,
        directory: Path,
        broker: BrokerConfig,
        *,
        store: Path | None = None,
        tables: dict[str, Any] | None = None,
        environment: dict[str, str] | None = None,
        command: Sequence[str] = tuple(COMMAND),
        root: Path = ROOT,
    ) -> None:
        self._command, self._root = command, root
        directory.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.config_path = directory / "collector.toml"
        self.store_path = store or directory / "results.sqlite"
        self._log_path = directory / "collector.log"
        table = {
            "broker": {k: v for k, v in msgspec.to_builtins(broker).items() if v is not None},
            "store": {"path": str(self.store_path)},
            "web": {"port": self.port, "people_file": str(directory / "people.sqlite")},
            "alerts": {"path": str(directory / "alerts.sqlite")},
            "papers": {"path": str(directory / "papers")},
        }
        self.config_path.write_bytes(msgspec.toml.encode(table | (tables or {})))
        self._environment = os.environ | (environment or {})
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    @property
    def log(self) -> str:
        """All that it has logged, over every start."""
        return self._log_path.read_text(encoding="utf-8")

    def start(self) -> None:
        """Start it and wait until its pages answer."""
        with self._log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [*self._command, "run", "--config", str(self.config_path)],
                cwd=self._root,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        eventually(self._answers, "the collector's pages answer", 120.0)

    def kill(self) -> None:
        """End it as a power cut would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def hang(self) -> None:
        """Stop it where it stands, until `go_on` (SIGSTOP)."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it go on (SIGCONT)."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def stop(self) -> int:
        """End it as systemd does; its exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(60)

    def get(self, path: str) -> tuple[int, Any]:
        """Status and JSON of an answer."""
        try:
            with urllib.request.urlopen(f"{self.url}{path}", timeout=10) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def text(self, path: str) -> tuple[dict[str, str], str]:
        """Headers and text of an answer."""
        with urllib.request.urlopen(f"{self.url}{path}", timeout=10) as answer:
            return dict(answer.headers), answer.read().decode()

    def results(self) -> list[dict[str, Any]]:
        """Every stored result, by way of the API."""
        found: list[dict[str, Any]] = []
        after = 0
        while True:
            status, answer = self.get(f"/api/results?after={after}&limit=1000")
            assert status == 200, answer
            if not answer["results"]:
                return found
            found += answer["results"]
            after = answer["next_after"]

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"ended with {self.process.returncode}: {self.log}"
        try:
            return bool(self.get("/healthz"))
        except OSError:
            return False
