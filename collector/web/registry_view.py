"""Floor 1. The registry page: the registry as TOML, changes as before and after."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from collector.registry.changes import Change, RecordedChange
from collector.registry.registry import Commune, Registry
from collector.web.formatting import Moment, moment
from collector.web.presentation import Locale
from wire.figures import MEGABIT


class ChangeRow(Struct, frozen=True):
    """A change: `sign` is + (added), − (removed), ≠ (changed)."""

    sign: str
    thing: str
    key: str
    before: str
    after: str


class ChangeHistoryRow(Struct, frozen=True):
    """An applied change, with user and time."""

    at: Moment
    who: str
    source: str
    shown: ChangeRow


def toml(registry: Registry, official: Mapping[str, Commune]) -> str:
    """The registry as TOML for `collector.registry.file_format`, without the official places."""
    table: dict[str, Any] = {
        "isp": [{"id": isp.id, "name": isp.name} for isp in registry.isps.values()],
        "probe": [
            _known(
                tenant=probe.tenant,
                probe=probe.probe,
                commune=probe.commune,
                office=probe.office,
                installed_on=probe.installed_on,
            )
            | {
                "line": [
                    _known(
                        id=line.id,
                        isp=line.isp,
                        plan_down_mbit_s=_megabits(line.plan_down_bps),
                        plan_up_mbit_s=_megabits(line.plan_up_bps),
                        contract_date=line.contract_date,
                        technology=line.technology,
                    )
                    for line in probe.lines
                ]
            }
            for probe in registry.probes.values()
        ],
        "group": [
            {"id": group.id, "name": group.name, "communes": list(group.communes)}
            for group in registry.groups.values()
        ],
        "commune": [
            {k: v for k, v in msgspec.structs.asdict(commune).items() if v is not None}
            for code, commune in registry.communes.items()
            if official.get(code) != commune
        ],
    }
    return msgspec.toml.encode({name: rows for name, rows in table.items() if rows}).decode()


def changes(found: Iterable[Change]) -> list[ChangeRow]:
    """Changes as rows."""
    return [_shown(change) for change in found]


def recorded(found: Iterable[RecordedChange], locale: Locale) -> list[ChangeHistoryRow]:
    """Applied changes as rows, newest first."""
    return [
        ChangeHistoryRow(
            moment(one.at, locale.language, locale.timezone),
            one.who,
            one.source,
            _shown(one.change),
        )
        for one in reversed(list(found))
    ]


def _shown(change: Change) -> ChangeRow:
    sign = "≠"
    if change.before is None:
        sign = "+"
    elif change.after is None:
        sign = "−"
    return ChangeRow(sign, change.thing, change.key, _text(change.before), _text(change.after))


def _text(thing: str | None) -> str:
    """The fields that have a value, as text."""
    if thing is None:
        return ""
    fields = msgspec.json.decode(thing)
    return ", ".join(f"{name}: {value}" for name, value in fields.items() if value is not None)


def _known(**fields: object) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value is not None}


def _megabits(bits: float | None) -> float | None:
    return None if bits is None else bits / MEGABIT
