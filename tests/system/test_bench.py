"""The quickest benchmark, as a person would run it: it ends well and fits the JSON shape."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench import latency_tools
from bench.accuracy_loss import PEERS

ROOT = Path(__file__).parents[2]
LIMIT_S = 300


def test_quick_loss_is_one_json_object() -> None:
    if (reason := latency_tools.why_not(*PEERS)) is not None:
        pytest.skip(reason)
    argv = [sys.executable, "-m", "bench.accuracy_loss", "--quick", "--json"]
    ended = subprocess.run(
        argv, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert sorted(found) == ["bench", "machine", "rows", "targets"]
    assert found["bench"] == "accuracy_loss"
    assert found["rows"]
    assert len({tuple(row) for row in found["rows"]}) == 1, "every row has the same columns"
    for target in found["targets"]:
        assert sorted(target) == ["limit", "met", "name", "value"]
        assert target["met"], target
