"""Floor 2. The command `iperf3` as the yardstick that other measurements are held against.

It must not know shapes or theory.
"""

import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from tests.lab.namespace import Namespace
from tests.lab.polling import wait_until


@contextmanager
def iperf3_server(namespace: Namespace, port: int) -> Iterator[None]:
    """A server that listens while the context lasts. It serves one test at a time."""
    argv = ["iperf3", "--server", "--port", str(port)]
    with namespace.popen(argv, stdout=subprocess.DEVNULL) as server:
        try:
            wait_until(partial(namespace.is_listening, port), what="the iperf3 server")
            yield
        finally:
            server.kill()


def start_iperf3(
    namespace: Namespace, address: str, port: int, *flags: str, duration_s: int
) -> subprocess.Popen[str]:
    """Start a test of 4 TCP streams (cubic, 1 s omitted); `received_bps` awaits its end."""
    argv = ["iperf3", "--client", address, "--port", str(port), "--json"]
    argv += ["--parallel", "4", "--congestion", "cubic", "--omit", "1", "--time", str(duration_s)]
    # A receiver counts whole blocks: small ones, so that each stream's last matters little.
    argv += ["--length", "2K", *flags]
    return namespace.popen(argv, stdout=subprocess.PIPE)


def received_bps(tests: Sequence[subprocess.Popen[str]], *, timeout_s: float = 60.0) -> list[float]:
    """TCP payload that the receiver of each test counted, in bit/s. ValueError when one failed."""
    rates = []
    for test in tests:
        report = json.loads(test.communicate(timeout=timeout_s)[0])
        if "error" in report:
            raise ValueError(report["error"])
        rates.append(float(report["end"]["sum_received"]["bits_per_second"]))
    return rates
