"""Floor 2. The registry in the database, and the record of every change."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

import msgspec

from collector.registry.changes import (
    COMMUNE_TABLE,
    Author,
    Change,
    RecordedChange,
    differences,
)
from collector.registry.commune_table import AdoptedTable, OfficialCommunes, in_force
from collector.registry.communes import LIST_DAY, official
from collector.registry.registry import (
    Commune,
    FormerCode,
    Group,
    Isp,
    Line,
    Probe,
    Registry,
    present_code,
)
from collector.store import columns
from collector.store.batch import utc_text
from collector.store.database import Database, Transaction
from wire.decoding import converted, decode_json

_COMMUNE = (
    "code, name, kind, province_code, province_name, latitude, longitude, valid_from, valid_to"
)
_LINE = "isp, plan_down_bps, plan_up_bps, contract_date, technology"


class SqlRegistryStore:
    """`collector.registry.changes.RegistryStore` on a Database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read(self) -> Registry:
        read = self._database.read
        communes = {
            row[0]: _commune(row) for row in read(f"SELECT {_COMMUNE} FROM registry_communes")
        }
        listed = self.official()
        known, former = dict(listed.communes) | communes, listed.former_codes
        isps = [
            Isp(id=row[0], name=row[1], prefixes=tuple(json.loads(row[2])))
            for row in read("SELECT id, name, prefixes FROM registry_isps")
        ]
        groups = [
            Group(id=row[0], name=row[1], communes=_present(json.loads(row[2]), known, former))
            for row in read("SELECT id, name, communes FROM registry_groups")
        ]
        lines: dict[tuple[str, str], list[Line]] = {}
        for tenant, probe, *fields in read(
            f"SELECT tenant, probe, line, {_LINE} FROM registry_lines ORDER BY tenant, probe, place"
        ):
            lines.setdefault((tenant, probe), []).append(_line(fields))
        probes = [
            Probe(
                tenant=tenant,
                probe=probe,
                commune=present_code(commune, known, former),
                office=office,
                installed_on=_date(installed_on),
                lines=tuple(lines.get((tenant, probe), ())),
            )
            for tenant, probe, commune, office, installed_on in read(
                "SELECT tenant, probe, commune, office, installed_on FROM registry_probes "
                "ORDER BY tenant, probe"
            )
        ]
        return Registry(
            communes=known,
            isps={isp.id: isp for isp in isps},
            probes={(probe.tenant, probe.probe): probe for probe in probes},
            groups={group.id: group for group in groups},
            former_codes=former,
        )

    def official(self) -> OfficialCommunes:
        rows = self._database.read(
            "SELECT after FROM registry_changes WHERE thing = ? ORDER BY number DESC LIMIT 1",
            (COMMUNE_TABLE,),
        )
        table = decode_json(rows[0][0].encode(), AdoptedTable) if rows else None
        return in_force(official(), LIST_DAY, table)

    def apply(self, registry: Registry, who: str, source: str, at: datetime) -> list[Change]:
        changes = differences(self.read(), registry)
        if changes:
            self._apply(registry, changes, self.official().communes, Author(who, source, at))
        return changes

    def adopt(self, table: AdoptedTable, registry: Registry, by: Author) -> list[Change]:
        known, listed = self.read(), in_force(official(), LIST_DAY, table)
        before = self.official().communes
        own = {code: one for code, one in known.communes.items() if one != before.get(code)}
        wanted = msgspec.structs.replace(
            registry, communes={**listed.communes, **own}, former_codes=listed.former_codes
        )
        adopted = Change(COMMUNE_TABLE, f"{table.day}", None, msgspec.json.encode(table).decode())
        changes = [*differences(known, wanted), adopted]
        self._apply(wanted, changes, listed.communes, by)
        return changes

    def _apply(
        self,
        registry: Registry,
        changes: Iterable[Change],
        listed: Mapping[str, Commune],
        by: Author,
    ) -> None:
        """Write a registry and its changes; its communes are those that are not listed so."""
        who, source, at = by
        with self._database.transaction() as transaction:
            for table in ("probes", "lines", "isps", "groups", "communes"):
                transaction.execute(f"DELETE FROM registry_{table}")
            _write(transaction, registry, listed)
            transaction.execute_many(
                "INSERT INTO registry_changes (at, who, source, thing, key, before, after) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                [(utc_text(at), who, source, *change) for change in changes],
            )

    def changes(self, after: int = 0, limit: int = 1_000) -> list[RecordedChange]:
        rows = self._database.read(
            "SELECT number, at, who, source, thing, key, before, after FROM registry_changes "
            "WHERE number > ? ORDER BY number LIMIT ?",
            (after, limit),
        )
        return [
            RecordedChange(number, columns.time(at), who, source, Change(*change))
            for number, at, who, source, *change in rows
        ]

    def revision(self) -> int:
        ((number,),) = self._database.read("SELECT max(number) FROM registry_changes")
        return int(number or 0)


def _write(transaction: Transaction, registry: Registry, listed: Mapping[str, Commune]) -> None:
    transaction.execute_many(
        "INSERT INTO registry_probes (tenant, probe, commune, office, installed_on) "
        "VALUES (?, ?, ?, ?, ?)",
        [
            (p.tenant, p.probe, p.commune, p.office, _date_text(p.installed_on))
            for p in registry.probes.values()
        ],
    )
    transaction.execute_many(
        f"INSERT INTO registry_lines (tenant, probe, place, line, {_LINE}) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (probe.tenant, probe.probe, place, *_line_cells(line))
            for probe in registry.probes.values()
            for place, line in enumerate(probe.lines)
        ],
    )
    transaction.execute_many(
        "INSERT INTO registry_isps (id, name, prefixes) VALUES (?, ?, ?)",
        [(isp.id, isp.name, json.dumps(isp.prefixes)) for isp in registry.isps.values()],
    )
    transaction.execute_many(
        "INSERT INTO registry_groups (id, name, communes) VALUES (?, ?, ?)",
        [(group.id, group.name, json.dumps(group.communes)) for group in registry.groups.values()],
    )
    transaction.execute_many(
        f"INSERT INTO registry_communes ({_COMMUNE}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (*cells[:-2], _date_text(cells[-2]), _date_text(cells[-1]))
            for code, commune in registry.communes.items()
            if commune != listed.get(code)
            for cells in [msgspec.structs.astuple(commune)]
        ],
    )


def _line_cells(line: Line) -> tuple[object, ...]:
    return (
        line.id,
        line.isp,
        line.plan_down_bps,
        line.plan_up_bps,
        _date_text(line.contract_date),
        line.technology.value if line.technology else None,
    )


def _line(fields: Sequence[Any]) -> Line:
    names = ("id", "isp", "plan_down_bps", "plan_up_bps", "contract_date", "technology")
    table = dict(zip(names, fields, strict=True))
    table["contract_date"] = _date(table["contract_date"])
    return converted(table, Line)


def _present(
    codes: Iterable[str], known: Mapping[str, Commune], former: Mapping[str, FormerCode]
) -> tuple[str, ...]:
    return tuple(dict.fromkeys(present_code(code, known, former) for code in codes))


def _commune(row: Sequence[Any]) -> Commune:
    table = dict(zip(Commune.__struct_fields__, row, strict=True))
    table |= {name: _date(table[name]) for name in ("valid_from", "valid_to")}
    return converted(table, Commune)


def _date(cell: str | date | None) -> date | None:
    return date.fromisoformat(cell) if isinstance(cell, str) else cell


def _date_text(day: date | None) -> str | None:
    return day.isoformat() if day else None
