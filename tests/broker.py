"""Floor 2. A real Mosquitto on a free loopback port, for every test that needs a broker.

    with Broker(tmp_path) as broker:
        ... broker.host, broker.port, broker.config()
        broker.kill()      # SIGKILL, as a power cut would
        broker.start()     # the same port, whatever its persistence kept

Anonymous and without TLS unless `settings` say otherwise. It must not know what is published.
"""

from __future__ import annotations

import getpass
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from deploy.broker.limits import BrokerLimits
from runtime.broker import BrokerConfig
from tests.ports import free_port

# Of a fleet of twenty, of which one probe may do its worst.
SMALL_LIMITS = BrokerLimits(
    probes=20,
    max_queued_messages=200,
    max_queued_bytes=2 * 2**20,
    max_inflight_messages=20,
    max_inflight_bytes=2**20,
)
_START_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 60.0


class BrokerError(Exception):
    """Mosquitto did not do what it was told; the text holds the end of its log."""


def why_not() -> str | None:
    """Why no broker can be had here, None when it can."""
    if _program() is None:
        return "mosquitto is not installed (Debian: apt-get install mosquitto)"
    return None


class Broker:
    """One Mosquitto: its settings, log and persistence live in `directory`.

    Args:
        directory: where it may write; the same directory again is the same broker again.
        host: the address to listen on.
        port: the port to listen on, a free one when not given.
        settings: further lines for mosquitto.conf; they come last.
        anonymous: whether clients without a user name may come.
        listener: False when `settings` bring their own listener (TLS).
        prefix: what to run it under, e.g. `["ip", "netns", "exec", "centre"]`.
    """

    def __init__(
        self,
        directory: Path,
        *,
        host: str = "127.0.0.1",
        port: int | None = None,
        settings: Sequence[str] = (),
        anonymous: bool = True,
        listener: bool = True,
        prefix: Sequence[str] = (),
    ) -> None:
        self.directory = directory
        self.host = host
        self.port = port or free_port()
        self._settings = list(settings)
        self._limits: list[str] = []
        self._anonymous = anonymous
        self._listener = listener
        self._prefix = list(prefix)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def log(self) -> str:
        """All that it has logged, over every start."""
        path = self.directory / "mosquitto.log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def limit(self, settings: Sequence[str]) -> None:
        """From the next start on, these lines come after all others; none of an earlier call."""
        self._limits = list(settings)

    def is_running(self) -> bool:
        """Whether the process is alive."""
        return self._process is not None and self._process.poll() is None

    def config(self, **changes: object) -> BrokerConfig:
        """How a program of ours reaches it, without TLS, quick to reconnect."""
        fields: dict[str, object] = {
            "host": self.host,
            "port": self.port,
            "tls": False,
            "connect_timeout_s": 5.0,
            "reconnect_max_s": 1.0,
        }
        return BrokerConfig(**(fields | changes))  # type: ignore[arg-type]  # fields are by name

    def start(self) -> None:
        """Start it and wait until it accepts connections.

        Raises:
            BrokerError: it ended, or does not listen in time.
        """
        if self.is_running():
            return
        program = _program()
        if program is None:
            raise BrokerError(str(why_not()))
        self.directory.mkdir(parents=True, exist_ok=True)
        path = self.directory / "mosquitto.conf"
        path.write_text(self._configuration(), encoding="utf-8")
        before = self.log.count(" running")
        with (self.directory / "mosquitto.err").open("ab") as errors:
            self._process = subprocess.Popen(
                [*self._prefix, program, "-c", str(path)],
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                start_new_session=True,
            )
        deadline = time.monotonic() + _START_TIMEOUT_S
        while self.log.count(" running") <= before:
            if not self.is_running() or time.monotonic() > deadline:
                self.kill()
                raise BrokerError(f"mosquitto did not start:\n{self._last_words()}")
            time.sleep(0.01)

    def stop(self) -> None:
        """End it cleanly: it writes its persistence."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait(_STOP_TIMEOUT_S)
        self._process = None

    def restart(self) -> None:
        """Stop it cleanly and start it again."""
        self.stop()
        self.start()

    def _configuration(self) -> str:
        lines = [
            # Explicit limits: the default keeps 1,000 messages for a client that is away.
            "max_queued_messages 100000",
            "set_tcp_nodelay true",
            "persistence true",
            f"persistence_location {self.directory}/",
            f"log_dest file {self.directory}/mosquitto.log",
            "log_type error",
            "log_type warning",
            "log_type notice",
            "log_type information",
            # Started by root, it would become a user who may not write here.
            f"user {getpass.getuser()}",
        ]
        if self._listener:
            lines += [f"listener {self.port} {self.host}"]
            lines += [f"allow_anonymous {str(self._anonymous).lower()}"]
        return "\n".join([*lines, *self._settings, *self._limits, ""])

    def _last_words(self) -> str:
        errors = (self.directory / "mosquitto.err").read_text(encoding="utf-8", errors="replace")
        return "\n".join((self.log + errors).splitlines()[-20:])


def _program() -> str | None:
    # Debian installs it where only root's PATH leads.
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
