"""Floor 1. Changes of the registry: the differences of two, and the record of each change.

The record is permanent: who, when, from which file or page, before and after.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple, Protocol

import msgspec
from msgspec import Struct

from collector.registry.commune_table import AdoptedTable, OfficialCommunes
from collector.registry.registry import Line, Registry


class Change(NamedTuple):
    """An entry that was added, changed or removed; `before` and `after` are JSON or None."""

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


# Of a change that is the adoption of a newer table of communes; its `after` is the table.
COMMUNE_TABLE = "commune_table"


class Author(NamedTuple):
    """Whose change it is, from which file or page, and when (UTC)."""

    who: str
    source: str
    at: datetime


class RegistryStore(Protocol):
    """Stores the registry. Every method may raise `collector.store.store.StoreError`."""

    def read(self) -> Registry:
        """The current registry, with the official communes."""

    def official(self) -> OfficialCommunes:
        """The official communes: packaged, or of a newer table that was adopted."""

    def adopt(self, table: AdoptedTable, registry: Registry, by: Author) -> list[Change]:
        """Take a newer table of communes; returns the changes.

        Args:
            table: the newer one.
            registry: the current registry, with the codes that are in force then.
            by: whose change it is.
        """

    def apply(self, registry: Registry, who: str, source: str, at: datetime) -> list[Change]:
        """Replace the registry in one transaction; returns the changes.

        Args:
            registry: the whole registry; entries that are not in it are removed.
            who: the user, by their sign-in or system name.
            source: the file or page of the change.
            at: now, UTC.
        """

    def changes(self, after: int = 0, limit: int = 1_000) -> list[RecordedChange]:
        """At most `limit` recorded changes with a higher number, ascending."""

    def revision(self) -> int:
        """The number of the last change, 0 before any; equal while nothing has changed."""


def differences(old: Registry, new: Registry) -> list[Change]:
    """The changes from the old registry to the new one, in a fixed order."""
    before, after = entries(old), entries(new)
    keys = sorted(before.keys() | after.keys())
    return [
        Change(*key, before.get(key), after.get(key))
        for key in keys
        if before.get(key) != after.get(key)
    ]


def entries(registry: Registry) -> Mapping[tuple[str, str], str]:
    """The JSON of each entry, by what it is and its key; a line has its `place` in its probe."""
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
    # The order of a probe's lines is the owner's choice, so moving one is a change.
    return msgspec.json.encode(msgspec.structs.asdict(line) | {"place": place}).decode()
