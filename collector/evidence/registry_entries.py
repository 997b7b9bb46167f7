"""Floor 1. The registry's entries of some lines as they were at a time, by its recorded changes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from collector.registry.changes import RecordedChange, entries
from collector.registry.registry import LineKey, Registry

_Key = tuple[str, str]


def registry_table(
    registry: Registry,
    changes: Sequence[RecordedChange],
    lines: Sequence[LineKey],
    at: datetime,
) -> dict[str, object]:
    """The entries of lines, their probes, ISPs and communes as they were, and each change of them.

    Args:
        registry: the present one.
        changes: every recorded change, ascending.
        lines: whose entries are wanted.
        at: when; later changes are undone.
    """
    found = _at(registry, changes, at)
    probes = [_probe(found, name, lines) for name in sorted({key[:2] for key in lines})]
    known = [probe for probe in probes if probe is not None]
    isps = sorted({line["isp"] for probe in known for line in probe["lines"]})
    communes = sorted({probe["commune"] for probe in known})
    return {
        "probes": known,
        "isps": list(_of(found, "isp", isps)),
        "communes": list(_of(found, "commune", communes)),
        "changes": list(_changes(changes, lines)),
    }


def _at(
    registry: Registry, changes: Sequence[RecordedChange], at: datetime
) -> dict[_Key, str | None]:
    found: dict[_Key, str | None] = dict(entries(registry))
    for one in reversed(changes):
        if one.at > at:
            found[one.change.thing, one.change.key] = one.change.before
    return found


def _of(found: dict[_Key, str | None], thing: str, keys: Iterable[str]) -> Iterator[Any]:
    return (json.loads(text) for key in keys if (text := found.get((thing, key))) is not None)


def _probe(
    found: dict[_Key, str | None], name: tuple[str, str], lines: Sequence[LineKey]
) -> dict[str, Any] | None:
    probe = next(_of(found, "probe", ["/".join(name)]), None)
    if probe is None:
        return None
    own = list(_of(found, "line", ["/".join(key) for key in lines if key[:2] == name]))
    own.sort(key=lambda line: line["place"])
    return {
        **probe,
        "lines": [
            {field: value for field, value in line.items() if field != "place"} for line in own
        ],
    }


def _changes(
    changes: Iterable[RecordedChange], lines: Sequence[LineKey]
) -> Iterator[dict[str, object]]:
    keys = {
        *(("probe", "/".join(key[:2])) for key in lines),
        *(("line", "/".join(key)) for key in lines),
    }
    for one in changes:
        if (one.change.thing, one.change.key) in keys:
            # Who made it is of the centre's staff, and no evidence.
            yield {"at": one.at, **one.change._asdict()}
