"""LMAP reports against the modules of RFC 8194 themselves, by libyang's validator.

The modules are those that pyang ships.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from importlib.metadata import files
from pathlib import Path
from typing import Any

import pytest

from collector.export import lmap
from tests import report_samples
from tests.unit.test_lmap import EVERY, NOW, stored

Change = Callable[[dict[str, Any]], object]


def modules() -> Path:
    """The folder of IETF's modules."""
    (module,) = (one for one in files("pyang") or () if one.name == "ietf-lmap-report.yang")
    return Path(str(module.locate())).resolve().parent


def validated(report: dict[str, Any], folder: Path) -> subprocess.CompletedProcess[str]:
    """The report as the input of the RPC, which RESTCONF names otherwise (RFC 8040, 3.6.1)."""
    file = folder / "report.json"
    file.write_text(json.dumps({"ietf-lmap-report:report": report["ietf-lmap-report:input"]}))
    here = modules()
    return subprocess.run(
        ["yanglint", "-t", "rpc", "-p", here, "-p", here.parent / "iana",
         here / "ietf-lmap-report.yang", file],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


def test_reports_of_every_kind_are_valid(tmp_path: Path) -> None:
    results = [stored(result, number) for number, result in enumerate(EVERY, 1)]
    (report,) = lmap.reports(results, report_samples.registry(), NOW)
    told = json.loads(lmap.as_json(report))
    assert len(told["ietf-lmap-report:input"]["result"]) == len(EVERY)
    done = validated(told, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "change",
    [
        lambda told: told.update(date="25/07/2026"),
        lambda told: told.pop("date"),
        lambda told: told["result"][0].update(status=2**31),
        lambda told: told["result"][0].pop("start"),
        lambda told: told["result"][0].update(line="vnpt"),
    ],
)
def test_the_validator_finds_what_is_wrong(tmp_path: Path, change: Change) -> None:
    (report,) = lmap.reports([stored(EVERY[0])], report_samples.registry(), NOW)
    told = json.loads(lmap.as_json(report))
    change(told["ietf-lmap-report:input"])
    assert validated(told, tmp_path).returncode != 0
