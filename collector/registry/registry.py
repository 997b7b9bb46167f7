"""Floor 1. The registry: places of probes, ISPs of lines, declared plans.

It overrides what a probe reports of itself (its Site, the ISPs of its lines). Places are keyed by
the official 5-digit commune code, a string: names collide (Văn Lang, Văn Lăng), and codes change by
law, so a commune has dates of validity.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from typing import NamedTuple

from msgspec import Struct, field

from wire.record import BitsPerSecond, Name, Text
from wire.site import CommuneCode


class Technology(StrEnum):
    """The access technology of a line."""

    FIBRE = "fibre"
    CABLE = "cable"
    DSL = "dsl"
    FIXED_WIRELESS = "fixed_wireless"
    SATELLITE = "satellite"
    OTHER = "other"


class LineKey(NamedTuple):
    """The key of a line."""

    tenant: str
    probe: str
    line: str


class Isp(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An Internet service provider, and the prefixes of the addresses that its customers have."""

    id: Name
    name: Text
    prefixes: tuple[str, ...] = ()


class Commune(Struct, frozen=True, kw_only=True):
    """A commune, ward or special zone (`kind`: xa, phuong, dac_khu) and its centre point, WGS 84.

    `valid_from` None: before the list begins; `valid_to` is the first day on which it no longer
    exists, None while it does.
    """

    code: CommuneCode
    name: Text
    kind: Text
    province_code: Text
    province_name: Text
    latitude: float
    longitude: float
    valid_from: date | None = None
    valid_to: date | None = None

    def is_valid_on(self, day: date) -> bool:
        """Whether the commune existed on that day."""
        return (self.valid_from is None or self.valid_from <= day) and (
            self.valid_to is None or day < self.valid_to
        )


class FormerCode(NamedTuple):
    """A code that a commune had in our list until a day."""

    present: CommuneCode
    until: date


# Registries and probes of before may still name them.
FORMER_CODES = {
    # Ba Chẽ: our list of 25 July 2026 had a code that no commune has.
    "06978": FormerCode("06970", date(2026, 11, 30)),
}


def present_code(
    code: CommuneCode,
    communes: Mapping[str, Commune],
    former_codes: Mapping[str, FormerCode] = FORMER_CODES,
) -> CommuneCode:
    """The code that a commune has now; the same for one that is in `communes`."""
    former = former_codes.get(code)
    return code if former is None or code in communes else former.present


class Group(Struct, frozen=True, kw_only=True):
    """A user's own list of communes: an old district, a cluster."""

    id: Name
    name: Text
    communes: tuple[CommuneCode, ...]


class Line(Struct, frozen=True, kw_only=True):
    """A line as its contract declares it.

    `plan_down_bps` and `plan_up_bps` are Vd and Vu of QCVN 34:2022/BTTTT: what the ISP declares;
    None where it is not known.
    """

    id: Name
    isp: Name
    plan_down_bps: BitsPerSecond | None = None
    plan_up_bps: BitsPerSecond | None = None
    contract_date: date | None = None
    technology: Technology | None = None

    def plan_is_of(self, first: date) -> bool:
        """Whether the declared plan was in force on that day.

        Results from before the contract are not compared with its plan.
        """
        return self.contract_date is None or self.contract_date <= first


class Probe(Struct, frozen=True, kw_only=True):
    """A probe, its office, and its lines."""

    tenant: Name
    probe: Name
    commune: CommuneCode
    office: Text
    installed_on: date | None = None
    lines: tuple[Line, ...] = ()


class Registry(Struct, frozen=True, kw_only=True):
    """The whole registry, by key. It may be empty."""

    communes: Mapping[str, Commune] = {}
    isps: Mapping[str, Isp] = {}
    probes: Mapping[tuple[str, str], Probe] = {}
    groups: Mapping[str, Group] = {}
    # Codes of before: of the packaged list, and of a newer one that was adopted.
    former_codes: Mapping[str, FormerCode] = field(default_factory=lambda: FORMER_CODES)

    def probe(self, tenant: str, probe: str) -> Probe | None:
        """A probe, None when it was never registered."""
        return self.probes.get((tenant, probe))

    def line(self, key: LineKey) -> Line | None:
        """A line, None when it was never registered."""
        probe = self.probe(key.tenant, key.probe)
        return next((line for line in probe.lines if line.id == key.line), None) if probe else None

    def commune_of(self, key: LineKey) -> Commune | None:
        """The commune of a line, None where it is not known."""
        probe = self.probe(key.tenant, key.probe)
        return self.communes.get(probe.commune) if probe else None

    def lines(self) -> list[LineKey]:
        """Every line, by probe."""
        return [
            LineKey(probe.tenant, probe.probe, line.id)
            for probe in self.probes.values()
            for line in probe.lines
        ]

    def lines_in(self, communes: set[str] | frozenset[str]) -> list[LineKey]:
        """The lines of the probes in these communes."""
        return [key for key in self.lines() if self.probes[key[:2]].commune in communes]

    def lines_of_group(self, group: str) -> list[LineKey]:
        """The lines in a group's communes. KeyError when there is no such group."""
        return self.lines_in(frozenset(self.groups[group].communes))

    def lines_of_isp(self, isp: str) -> list[LineKey]:
        """The lines that an ISP provides."""
        return [key for key in self.lines() if (line := self.line(key)) and line.isp == isp]
