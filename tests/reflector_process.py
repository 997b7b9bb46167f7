"""Floor 2. A real `tramdo-reflector` process, for every test that needs a STAMP reflector.

    with ReflectorProcess(["127.0.0.1"]) as reflector:
        ... reflector.ports["127.0.0.1"]

It must not know what is sent to it.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

_ROOT = Path(__file__).parents[1]
_STOP_TIMEOUT_S = 60.0
_LISTENING = re.compile(r"listening on (\S+) port (\d+)")
COMMAND = [sys.executable, "-c", "from server.cli import main; raise SystemExit(main())"]


class ReflectorProcess:
    """A reflector on the given addresses, up while the context lasts.

    Args:
        addresses: where to listen.
        port: 0 for a free one for each address.
        options: further command-line options.
        environment: added to this process's.
        prefix: what to run it under, e.g. `["ip", "netns", "exec", "centre"]`.

    Attributes:
        ports: by address, once up.
        log: what it has written, line by line, as far as it was read.
    """

    def __init__(
        self,
        addresses: Sequence[str],
        *,
        port: int = 0,
        options: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
    ) -> None:
        listen = [word for address in addresses for word in ("--listen", address)]
        self._argv = [*prefix, *COMMAND, *listen, "--port", str(port), *options]
        self._environment = {**os.environ, **(environment or {})}
        self._count = len(addresses)
        self.ports: dict[str, int] = {}
        self.log: list[str] = []

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            self._argv, stderr=subprocess.PIPE, text=True, cwd=_ROOT, env=self._environment
        )
        while len(self.ports) < self._count:
            line = self.read_line()
            if (found := _LISTENING.search(line)) is not None:
                self.ports[found[1]] = int(found[2])
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def read_line(self) -> str:
        """The next line that it logs; waits for it. AssertionError when it has ended."""
        assert self.process.stderr is not None
        line = self.process.stderr.readline()
        assert line, f"the reflector ended: {self.log}"
        self.log.append(line.rstrip())
        return line

    def counters(self) -> dict[str, int]:
        """Its counters now, as it logs them at SIGUSR1."""
        self.process.send_signal(signal.SIGUSR1)
        return _counters(self.read_line())

    def stop(self) -> int:
        """End it with SIGTERM; its exit code, and the rest of its log into `log`."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            _, rest = self.process.communicate(timeout=_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            _, rest = self.process.communicate()
        except ValueError:  # stopped before
            rest = ""
        self.log += rest.splitlines()
        return self.process.returncode


def _counters(line: str) -> dict[str, int]:
    return {name: int(count) for count, name in re.findall(r"(\d+) ([a-z_]+)", line)}
