"""Floor 2. A real `tramdo-lease` process, for every test that needs a lease service.

    with LeaseProcess(iperf3_ports=[5201]) as leases:
        ... leases.port, leases.metrics()

It must not know who asks it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Self

_ROOT = Path(__file__).parents[1]
_STOP_TIMEOUT_S = 60.0
_LISTENING = re.compile(r"listening on (\S+) port (\d+)")
COMMAND = [sys.executable, "-c", "from server.lease_cli import main; raise SystemExit(main())"]


class LeaseProcess:
    """A lease service on 127.0.0.1, up while the context lasts.

    Args:
        iperf3_ports: that it grants.
        options: further command-line options.

    Attributes:
        port: for probes.
        http_port: for nginx and metrics.
        log: what it has written, line by line, as far as it was read.
    """

    def __init__(self, iperf3_ports: Sequence[int], options: Sequence[str] = ()) -> None:
        granted = [word for port in iperf3_ports for word in ("--iperf3-port", str(port))]
        ports = ["--listen", "127.0.0.1", "--port", "0", "--http-port", "0"]
        self._argv = [*COMMAND, *ports, *granted, *options]
        self.log: list[str] = []

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            self._argv, stderr=subprocess.PIPE, text=True, cwd=_ROOT, env=dict(os.environ)
        )
        self.port, self.http_port = self._port(), self._port()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _port(self) -> int:
        assert self.process.stderr is not None
        while True:
            line = self.process.stderr.readline()
            assert line, f"the lease service ended: {self.log}"
            self.log.append(line.rstrip())
            if (found := _LISTENING.search(line)) is not None:
                return int(found[2])

    def metrics(self) -> dict[str, float]:
        """Its counters and gauges now."""
        url = f"http://127.0.0.1:{self.http_port}/metrics"
        with urllib.request.urlopen(url, timeout=60) as answer:
            lines = answer.read().decode().splitlines()
        samples = (line.split() for line in lines if not line.startswith("#"))
        return {name.removeprefix("tramdo_lease_"): float(value) for name, value in samples}

    def stop(self) -> int:
        """End it with SIGTERM; its exit code, and the rest of its log into `log`."""
        if self.process.poll() is None:
            self.process.terminate()
        _, rest = self.process.communicate(timeout=_STOP_TIMEOUT_S)
        self.log += rest.splitlines()
        return self.process.returncode
