"""A command whose output nobody reads, as `| head` does it, ends without a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from runtime.standard_output import CLOSED

GOOD = Path(__file__).parents[1] / "golden" / "config" / "good.toml"


@pytest.mark.parametrize(
    ("module", "arguments", "code"),
    [
        ("probe", ["check", "--config", str(GOOD)], CLOSED),
        ("probe", ["example"], CLOSED),
        ("probe", ["--help"], 0),  # argparse passes over what cannot be written
        ("collector", ["example"], CLOSED),
    ],
)
def test_a_reader_that_has_gone_is_no_error(module: str, arguments: list[str], code: int) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            stdout=writing, stderr=subprocess.PIPE, text=True, check=False, timeout=60,
        )  # fmt: skip
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (code, "")
