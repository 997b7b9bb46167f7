"""Floor 2. A result of every kind as programs of others find them on the broker: the contract's
examples, and speed tests that were slow, had one direction, or failed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

from wire.result import KINDS

EXAMPLES = Path(__file__).parents[1] / "docs" / "contract" / "examples"


class KindMessage(NamedTuple):
    """A message of one kind, and the results in it."""

    kind: str
    topic: str
    payload: bytes
    results: list[dict[str, Any]]


def messages() -> list[KindMessage]:
    """A message for each kind; those of speed tests have several results."""
    return [_message(kind) for kind in KINDS]


def _message(kind: str) -> KindMessage:
    example = json.loads((EXAMPLES / f"{kind}.json").read_bytes())
    envelope = example["payload"]
    first = envelope["records"][0]["result"]
    results = list(_speed_tests(first)) if "download_bps" in (first["values"] or {}) else [first]
    envelope["records"] = [
        {"seq": seq, "result": result} for seq, result in enumerate(results, start=1)
    ]
    return KindMessage(kind, example["topic"], json.dumps(envelope).encode(), results)


def _speed_tests(example: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Fast, slow, nothing through, each direction alone, and one that failed."""
    for down, up in ((250e6, 200e6), (50e6, 200e6), (0.0, 0.0), (None, 30e6), (40e6, None)):
        yield _with(example, down, up)
    yield deepcopy(example) | {"outcome": "failed", "reason": "server_busy", "values": None}


def _with(example: dict[str, Any], down: float | None, up: float | None) -> dict[str, Any]:
    result = deepcopy(example)
    for name, bps in (("download", down), ("upload", up)):
        for field in (f"{name}_bps", f"{name}_whole_bps"):
            if field in result["values"]:
                result["values"][field] = bps
    return result
