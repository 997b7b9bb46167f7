"""Floor 1. The registry page: offices in a list, the registry as TOML, applied changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from collector.domain.place_search import bare, with_province
from collector.registry.changes import RecordedChange
from collector.registry.registry import Commune, Line, Probe, Registry
from collector.web.formatting import MISSING, Moment, axis_number, by_name, moment
from collector.web.presentation import Locale
from collector.web.registry_words import ChangeRow, change_row
from collector.web.table import Column
from wire.figures import MEGABIT

ROWS_A_PAGE = 100
COLUMNS = (
    Column("office", "office"),
    Column("commune", "communes"),
    Column("probe", "probe"),
    Column("lines", "registry_lines", ""),
    Column("installed", "registry_installed"),
)


class ChangeHistoryRow(Struct, frozen=True):
    """An applied change, with user and time."""

    at: Moment
    who: str
    source: str
    shown: ChangeRow


class OfficeRow(Struct, frozen=True, kw_only=True):
    """A registered probe in the list of offices; `keys` are what its columns are sorted by."""

    href: str
    office: str
    probe: str
    commune: str
    lines: str
    installed: str
    keys: Mapping[str, Any]


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


def recorded(
    found: Iterable[RecordedChange], registry: Registry, locale: Locale
) -> list[ChangeHistoryRow]:
    """Applied changes as rows, newest first."""
    return [
        ChangeHistoryRow(
            moment(one.at, locale.language, locale.timezone),
            one.who,
            one.source,
            change_row(one.change, registry, locale),
        )
        for one in reversed(list(found))
    ]


def office_rows(
    registry: Registry, query: str, filters: Mapping[str, str], locale: Locale
) -> list[OfficeRow]:
    """A row for each registered probe that passes the filters, by place and office.

    Args:
        registry: the registry.
        query: part of an office's, a probe's or a commune's name or code; "" for all.
        filters: `province`, `group` and `isp`, each "" for all.
        locale: the reader's.
    """
    words = bare(query).split()
    group = registry.groups.get(filters["group"])
    codes = None if group is None else set(group.communes)
    rows = [
        _office_row(probe, registry, locale)
        for probe in registry.probes.values()
        if (codes is None or probe.commune in codes)
        and (not filters["isp"] or any(line.isp == filters["isp"] for line in probe.lines))
        and (not filters["province"] or _province(probe, registry) == filters["province"])
        and (not words or _has_words(probe, registry, words))
    ]
    return sorted(rows, key=lambda row: (row.keys["commune"], row.office))


def _province(probe: Probe, registry: Registry) -> str:
    commune = registry.communes.get(probe.commune)
    return commune.province_code if commune else ""


def _has_words(probe: Probe, registry: Registry, words: Sequence[str]) -> bool:
    commune = registry.communes.get(probe.commune)
    place = with_province(commune) if commune else ""
    text = bare(f"{probe.office} {place} {probe.tenant}/{probe.probe} {probe.commune}")
    return all(word in text for word in words)


def _office_row(probe: Probe, registry: Registry, locale: Locale) -> OfficeRow:
    commune = registry.communes.get(probe.commune)
    place = with_province(commune) if commune else probe.commune
    installed = probe.installed_on
    return OfficeRow(
        href=f"/registry/probe/{probe.tenant}/{probe.probe}",
        office=probe.office,
        probe=f"{probe.tenant}/{probe.probe}",
        commune=place,
        lines="; ".join(_line_text(line, registry, locale) for line in probe.lines),
        installed=f"{installed:%d/%m/%Y}" if installed else MISSING,
        keys={
            "office": by_name(probe.office),
            "commune": by_name(place),
            "probe": (probe.tenant, probe.probe),
            "installed": installed,
        },
    )


def _line_text(line: Line, registry: Registry, locale: Locale) -> str:
    """ "VNPT 300/200"."""
    isp = registry.isps.get(line.isp)
    speeds = [
        MISSING if bps is None else axis_number(bps / MEGABIT, locale.language)
        for bps in (line.plan_down_bps, line.plan_up_bps)
    ]
    return f"{isp.name if isp else line.isp} {'/'.join(speeds)}"


def _known(**fields: object) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value is not None}


def _megabits(bits: float | None) -> float | None:
    return None if bits is None else bits / MEGABIT
