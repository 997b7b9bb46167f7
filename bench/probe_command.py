"""Floor 2. Runs the real `tramdo-probe` in the lab's office: its configuration, one measurement.

What benchmarks hold against others is what this command says. It must not know yardsticks.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from bench.report import CannotMeasureError
from tests.lab.network import SERVER_ADDRESSES, Line, OfficeNetwork
from wire.result import AnyResult, Outcome

ROOT = Path(__file__).parents[1]
STAMP_PORT = 8620
IPERF3_PORT = 5201
COMMAND = [sys.executable, "-c", "from probe.cli import main; raise SystemExit(main())"]


def write_config(
    path: Path,
    lines: Sequence[Line],
    /,
    *,
    broker: tuple[str, int] = ("127.0.0.1", 1883),
    **tables: object,
) -> Path:
    """Write the probe's configuration: these lines, the centre as its server, all else default.

    Args:
        path: the file; state and runtime directory are beside it unless `tables` say otherwise.
        lines: of the lab.
        broker: host and port, as the office sees them; nothing goes there for one measurement.
        tables: further keys and tables ("latency", "throughput", …).
    """
    table: dict[str, Any] = {
        "tenant": "bench",
        "probe": "tram-1",
        "state_dir": str(path.parent / "state"),
        "runtime_dir": str(path.parent / "run"),
        "site": {"commune_code": "01969", "office": "Trụ sở UBND xã Phủ Thông"},
        "broker": {"host": broker[0], "port": broker[1], "tls": False, "reconnect_max_s": 2.0},
        "leds": {"driver": "none"},
        "lines": [
            {"id": line.shape.name, "isp": line.shape.name, "interface": line.interface}
            for line in lines
        ],
        "servers": [
            {
                "name": "may-chu-1",
                "host": SERVER_ADDRESSES[0],
                "iperf3_ports": [IPERF3_PORT],
                "stamp_port": STAMP_PORT,
            }
        ],
    }
    path.write_bytes(msgspec.toml.encode(table | tables))
    return path


def measured(
    network: OfficeNetwork,
    config: Path,
    kind: str,
    line: str,
    *options: str,
    timeout_s: float = 120.0,
) -> list[AnyResult]:
    """What `tramdo-probe measure` finds, run in the office as its own process.

    `options` are further ones of the command ("--family", "ipv6").

    Raises:
        CannotMeasureError: it failed, or a result is not ok; the text says what it said.
    """
    argv = [*COMMAND, "measure", kind, "--line", line, "--json", "-c", str(config), *options]
    with network.office.popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT
    ) as probe:
        try:
            printed, said = probe.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired as error:
            probe.kill()
            raise CannotMeasureError(f"{kind} on {line} did not end in {timeout_s} s") from error
    if not printed:
        raise CannotMeasureError(f"{kind} on {line}: {said.strip()}")
    results = msgspec.json.decode(printed, type=list[AnyResult])
    for result in results:
        if result.outcome is not Outcome.OK:
            raise CannotMeasureError(f"{kind} on {line}: {result.reason}: {result.detail}")
    return results
