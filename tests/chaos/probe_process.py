"""Floor 2. The feeder as a process: started, ordered about, killed, and started again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from runtime.broker import BrokerConfig
from tests import samples
from tests.chaos.feeder import CONFIRMED_WITHIN_S, END
from tests.chaos.reckoning import Life
from tests.collector_process import ROOT

# More than the real one's, so that a fault meets results everywhere on the path.
RATE_PER_S = 80.0
# Two days' results and some: nothing is given up but under the fault that wants it.
OUTBOX_BYTES = 8_000_000
_EXTRA_S = 15.0


class ProbeProcess:
    """A probe whose state is in `state_directory`, whatever happens to its processes."""

    def __init__(
        self,
        directory: Path,
        state_directory: Path,
        broker: BrokerConfig,
        environment: dict[str, str],
        first_life: int = 1,
    ) -> None:
        self.outbox_path = state_directory / "outbox.sqlite"
        self.log_path = directory / "probe.log"
        self._config_path = directory / "probe.toml"
        self._journal_path = directory / "journal"
        self._environment = os.environ | environment
        self._process: subprocess.Popen[bytes] | None = None
        self._first_life = first_life
        self._life = first_life - 1
        self._ended_in_order: set[int] = set()
        self._config_path.write_bytes(msgspec.toml.encode(_table(broker, state_directory)))

    def start(self) -> None:
        """Begin another life."""
        self._life += 1
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "tests.chaos.feeder", str(self._config_path)),
                    *(str(self._journal_path), str(self._life), str(RATE_PER_S)),
                ],
                cwd=ROOT,
                env=self._environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )

    def card_image(self) -> dict[str, bytes]:
        """What an image of the card holds: the files of the state directory. It must be off."""
        assert self._process is None, "an image of a running box"
        files = (path for path in self.outbox_path.parent.iterdir() if path.is_file())
        return {path.name: path.read_bytes() for path in files}

    def put_card(self, image: Mapping[str, bytes]) -> None:
        """Write an image of a card over what is there."""
        assert self._process is None, "the card is in use"
        for path in self.outbox_path.parent.iterdir():
            if path.is_file():
                path.unlink()
        for name, content in image.items():
            (self.outbox_path.parent / name).write_bytes(content)

    def make(self, count: int) -> None:
        """Order so many results at once."""
        self._order(str(count))

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def hang(self) -> None:
        """Stop it where it stands, until `go_on`."""
        self._running.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it go on."""
        self._running.send_signal(signal.SIGCONT)

    def end(self) -> str:
        """Let it wait for the centre's confirmation and stop; what it said of it."""
        process, self._process = self._running, None
        try:
            said, _ = process.communicate(f"{END}\n".encode(), CONFIRMED_WITHIN_S + _EXTRA_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            return "hung"
        if process.returncode == 0:
            self._ended_in_order.add(self._life)
        return said.decode().strip() or f"exit code {process.returncode}"

    def lives(self) -> dict[int, Life]:
        """Every life so far, by its number."""
        made = dict.fromkeys(range(self._first_life, self._life + 1), 0)
        if self._journal_path.exists():
            for line in self._journal_path.read_text(encoding="ascii").splitlines():
                life, count = line.split()
                made[int(life)] = int(count)
        return {life: Life(made[life], life in self._ended_in_order) for life in made}

    @property
    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "the probe is dead"
        return self._process

    def _order(self, text: str) -> None:
        stdin = self._running.stdin
        assert stdin is not None
        stdin.write(f"{text}\n".encode())
        stdin.flush()


def _table(broker: BrokerConfig, state_directory: Path) -> dict[str, Any]:
    """The configuration of a probe with two lines; waits are shortened, nothing else."""
    site = {k: v for k, v in msgspec.to_builtins(samples.SITE).items() if v is not None}
    return {
        "tenant": samples.TENANT,
        "probe": samples.PROBE,
        "state_dir": str(state_directory),
        "runtime_dir": str(state_directory),
        "site": site,
        "lines": [
            {"id": "vnpt", "isp": "VNPT", "interface": "eth0"},
            {"id": "viettel", "isp": "Viettel", "interface": "eth1"},
        ],
        "servers": [{"name": "hn-1", "host": "203.0.113.10"}],
        "broker": {k: v for k, v in msgspec.to_builtins(broker).items() if v is not None},
        "delivery": {
            "resend_after_s": 3.0,
            "health_every_s": 1.0,
            "max_bytes": OUTBOX_BYTES,
            "clock_wait_s": 0.0,
        },
        "leds": {"driver": "none"},
    }
