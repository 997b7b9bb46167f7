"""Floor 1. Changes of the registry: what a new one differs in, and the record of each.

The record is for ever: who, when, from which file or page, what it was, what it became.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple, Protocol

import msgspec
from msgspec import Struct

from collector.registry.registry import Line, Registry


class Change(NamedTuple):
    """One thing that is new, other, or gone (`before` or `after` None); both as JSON."""

    thing: str
    key: str
    before: str | None
    after: str | None


class RecordedChange(Struct, frozen=True):
    """A change as it was recorded; `number` grows."""

    number: int
    at: datetime
    who: str
    source: str
    change: Change


class RegistryStore(Protocol):
    """Where the registry is kept. Every method may raise `collector.store.store.StoreError`."""

    def read(self) -> Registry:
        """The registry as it is now; the official communes are in it."""

    def apply(self, registry: Registry, who: str, source: str, at: datetime) -> list[Change]:
        """Make this the registry, in one transaction; what was changed.

        Args:
            registry: the whole of it; what is not in it goes.
            who: the person, as they signed in or as the system knows them.
            source: the file or the page that it came from.
            at: now, UTC.
        """

    def changes(self, after: int = 0, limit: int = 1_000) -> list[RecordedChange]:
        """The record after a number, ascending."""

    def revision(self) -> int:
        """The number of the last change, 0 before any: whoever remembers it need not read anew."""


def differences(old: Registry, new: Registry) -> list[Change]:
    """What must be changed to make the old registry the new one, things in a fixed order."""
    before, after = _entries(old), _entries(new)
    keys = sorted(before.keys() | after.keys())
    return [
        Change(*key, before.get(key), after.get(key))
        for key in keys
        if before.get(key) != after.get(key)
    ]


def _entries(registry: Registry) -> Mapping[tuple[str, str], str]:
    things: dict[tuple[str, str], str] = {}
    for commune in registry.communes.values():
        things["commune", commune.code] = _json(commune)
    for isp in registry.isps.values():
        things["isp", isp.id] = _json(isp)
    for group in registry.groups.values():
        things["group", group.id] = _json(group)
    for probe in registry.probes.values():
        name = f"{probe.tenant}/{probe.probe}"
        things["probe", name] = _json(msgspec.structs.replace(probe, lines=()))
        for place, line in enumerate(probe.lines):
            things["line", f"{name}/{line.id}"] = _line_text(line, place)
    return things


def _json(thing: Struct) -> str:
    return msgspec.json.encode(thing).decode()


def _line_text(line: Line, place: int) -> str:
    # The order of a probe's lines is the owner's; a change of it is one.
    return msgspec.json.encode(msgspec.structs.asdict(line) | {"place": place}).decode()
