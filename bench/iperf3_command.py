"""Floor 2. The command `iperf3` as a peer: what it says that its receiver got.

It must not know rates, lines and theory.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence

from bench.report import CannotMeasureError
from tests.lab import namespace
from tests.lab.namespace import Namespace

_TIMEOUT_S = 120.0


def why_not() -> str | None:
    """Why it cannot be run between namespaces here, in a sentence; None when it can."""
    if shutil.which("iperf3") is None:
        return "the command iperf3 is not installed (Debian: iperf3)"
    return namespace.why_not()


def received_bps(office: Namespace, argv: Sequence[str]) -> float:
    """TCP payload at the receiver, in bit/s, as `iperf3 -J` sums it up (what -O omits left out).

    Raises:
        CannotMeasureError: it failed; its exit code is 0 even then, so its JSON is read.
    """
    try:
        printed = office.run(argv, timeout_s=_TIMEOUT_S, check=False).stdout
        report = json.loads(printed)
    except (subprocess.TimeoutExpired, ValueError) as error:
        raise CannotMeasureError(f"iperf3: {error}") from error
    if "error" in report:
        raise CannotMeasureError(f"iperf3: {report['error']}")
    return float(report["end"]["sum_received"]["bits_per_second"])
