"""Floor 1. The registry's entries against its recorded changes, which have dates."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from verify.findings import Finding, Kind

# A line's place among its probe's, and a probe's lines, are no part of what is compared.
_NOT_COMPARED = {"place", "lines"}
_NAME = "registry.json"


def changes(registry: Mapping[str, Any], at: datetime | None) -> Iterator[Finding]:
    """Each entry against the last change of it, until `at` where the report is an issued one."""
    last: dict[tuple[str, str], Mapping[str, Any] | None] = {}
    for one in registry["changes"]:
        if at is None or datetime.fromisoformat(one["at"]) <= at:
            after = one["after"]
            last[one["thing"], one["key"]] = None if after is None else json.loads(after)
    agreed = 0
    for thing, key, entry in _entries(registry):
        recorded = last.get((thing, key))
        if recorded is None:
            yield Finding(Kind.UNKNOWN, _NAME, f"since when {thing} {key} is as it is")
            continue
        fields = sorted((entry.keys() | recorded.keys()) - _NOT_COMPARED)
        differing = [name for name in fields if entry.get(name) != recorded.get(name)]
        agreed += not differing
        for name in differing:
            yield Finding(
                Kind.DIFFERS,
                _NAME,
                f"{name} of {thing} {key} is {entry.get(name)}, by its recorded changes "
                f"{recorded.get(name)}",
            )
    yield Finding(Kind.AGREES, _NAME, f"{agreed} entries are as their recorded changes have them")


def _entries(registry: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for probe in registry["probes"]:
        name = f"{probe['tenant']}/{probe['probe']}"
        yield "probe", name, probe
        for line in probe["lines"]:
            yield "line", f"{name}/{line['id']}", line
