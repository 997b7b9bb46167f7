"""A process of a test's own module that is killed in the middle of its work."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).parents[1]
_LINES = 5


def kill_while_working(module: str, path: Path) -> None:
    """Run `python -m module path`, and kill it once it has printed five lines."""
    with subprocess.Popen(
        [sys.executable, "-m", module, str(path)],
        cwd=_ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        for _ in range(_LINES):
            assert process.stdout.readline()
        process.send_signal(signal.SIGKILL)
