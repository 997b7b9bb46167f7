"""Floor 1. The registry's form for one office: fields as typed, and the probe that they make."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from collector.domain.place_search import PlaceIndex, bare, with_province
from collector.registry.file_format import parse_probe
from collector.registry.registry import Isp, Line, Probe, Registry, Technology
from collector.web.presentation import Locale
from runtime.language import Language, Phrase, unmarked
from runtime.problem import Problem
from runtime.settings import SettingsError
from wire.figures import MEGABIT

# A probe's lines in the form, and so many empty ones to fill in.
LINES_MOST, _SPARE_LINES = 8, 1
_PLACES_NAMED = 6
_GROUPED = re.compile(r"\d{1,3}(\.\d{3})+(,\d+)?")


class LineFields(Struct, frozen=True, kw_only=True):
    """A line as typed; `registered_id`: the one that it had in the registry, "" for a new line."""

    registered_id: str = ""
    id: str = ""
    isp: str = ""
    plan_down_mbit_s: str = ""
    plan_up_mbit_s: str = ""
    contract_date: str = ""
    technology: str = ""


class ProbeFields(Struct, frozen=True, kw_only=True):
    """A probe as typed."""

    tenant: str = ""
    probe: str = ""
    commune: str = ""
    office: str = ""
    installed_on: str = ""
    lines: list[LineFields] = []


def fields_of(probe: Probe, registry: Registry, locale: Locale) -> ProbeFields:
    """A registered probe in the form."""
    commune = registry.communes.get(probe.commune)
    return ProbeFields(
        tenant=probe.tenant,
        probe=probe.probe,
        commune=f"{probe.commune} {with_province(commune)}" if commune else probe.commune,
        office=probe.office,
        installed_on=probe.installed_on.isoformat() if probe.installed_on else "",
        lines=[_line_fields(line, registry, locale) for line in probe.lines],
    )


def new_fields(registry: Registry, tenant: str, probe: str) -> ProbeFields:
    """The form for a new probe; its tenant is known where there is but one."""
    tenants = {known.tenant for known in registry.probes.values()}
    if not tenant and len(tenants) == 1:
        tenant = tenants.pop()
    return ProbeFields(tenant=tenant, probe=probe, lines=[LineFields()] * 2)


def with_spare_lines(fields: ProbeFields) -> list[LineFields]:
    """The lines of the form, with empty ones after them."""
    return [*fields.lines, *[LineFields()] * _SPARE_LINES][:LINES_MOST]


def typed(form: Mapping[str, str]) -> ProbeFields:
    """The fields of a form that was sent, without registered lines whose id was emptied."""
    lines = [
        LineFields(
            **{
                name: form.get(f"line{number}_{name}", "").strip()
                for name in LineFields.__struct_fields__
            }
        )
        for number in range(LINES_MOST)
    ]
    names = [name for name in ProbeFields.__struct_fields__ if name != "lines"]
    texts: dict[str, Any] = {name: form.get(name, "").strip() for name in names}
    kept = [line for line in lines if line.id or (line != LineFields() and not line.registered_id)]
    return ProbeFields(**texts, lines=kept)


def registry_with(
    fields: ProbeFields,
    replaced: tuple[str, str] | None,
    registry: Registry,
    places: PlaceIndex,
    locale: Locale,
) -> Registry:
    """The registry with this probe in it, and with the ISPs that it names for the first time.

    Args:
        fields: as typed.
        replaced: the key of the probe that is edited; None for a new one.
        registry: as it is.
        places: finds the commune.
        locale: of whoever typed the numbers.

    Raises:
        SettingsError: every problem.
    """
    isps = dict(registry.isps)
    lines = [_line_table(line, isps, locale) for line in fields.lines]
    known = msgspec.structs.replace(registry, isps=isps)
    table = {
        name: text
        for name in ("tenant", "probe", "office", "installed_on")
        if (text := getattr(fields, name))
    }
    code = _commune_code(fields.commune, places)
    probe = parse_probe(table | {"commune": code, "line": lines}, known)
    key = (probe.tenant, probe.probe)
    if key != replaced and key in registry.probes:
        raise SettingsError([Problem(f"{probe.tenant}/{probe.probe}", _EXISTS)])
    others = {k: v for k, v in registry.probes.items() if k != replaced}
    return msgspec.structs.replace(known, probes=dict(sorted((others | {key: probe}).items())))


def registry_without(key: tuple[str, str], registry: Registry) -> Registry:
    """The registry without a probe."""
    others = {k: v for k, v in registry.probes.items() if k != key}
    return msgspec.structs.replace(registry, probes=others)


def technologies(locale: Locale) -> list[tuple[str, str]]:
    """The technologies to choose from."""
    return [(locale.label(f"technology_{one}"), one.value) for one in Technology]


_EXISTS = Phrase("đã có trong sổ đăng ký", "is in the registry already")


def _commune_code(text: str, places: PlaceIndex) -> str:
    """The code of the commune that is meant: by its code in front, or by its name."""
    if code := re.match(r"\d{5}\b", text):
        return code[0]
    place = places.exact(text, ("commune",))
    if place is not None:
        return place.key
    found = places.find(text, ("commune",))[:_PLACES_NAMED]
    if not found:
        none = Phrase("không có xã tên như vậy", "there is no commune of that name")
        raise SettingsError([Problem("commune", none)])
    named = "; ".join(f"{one.key} {one.name}, {one.province}" for one in found)
    several = Phrase(f"hãy ghi mã xã: {named}", f"give the commune's code: {named}")
    raise SettingsError([Problem("commune", several)])


def _line_table(line: LineFields, isps: dict[str, Isp], locale: Locale) -> dict[str, Any]:
    table = {name: text for name, text in msgspec.structs.asdict(line).items() if text}
    table.pop("registered_id", None)
    for name in ("plan_down_mbit_s", "plan_up_mbit_s"):
        if name in table:
            table[name] = _number(table[name], locale)
    if line.isp:
        table["isp"] = _isp(line.isp, isps)
        # Most offices have one line of an ISP.
        table.setdefault("id", table["isp"])
    return table


def _isp(text: str, isps: dict[str, Isp]) -> str:
    """The id of the ISP of that id or name; a new name becomes an ISP."""
    made = re.sub(r"[^a-z0-9]+", "-", unmarked(text).lower()).strip("-") or "isp"
    if text in isps or made in isps:
        return text if text in isps else made
    for isp in isps.values():
        if bare(text) == bare(isp.name):
            return isp.id
    isps[made] = Isp(id=made, name=text)
    return made


def _number(text: str, locale: Locale) -> str:
    """A number as typed: in Vietnamese 1.000,5 is a thousand and a half, and so is 1000.5."""
    if locale.language is Language.EN:
        return text.replace(",", "")
    if _GROUPED.fullmatch(text):
        text = text.replace(".", "")
    return text.replace(",", ".")


def _line_fields(line: Line, registry: Registry, locale: Locale) -> LineFields:
    return LineFields(
        registered_id=line.id,
        id=line.id,
        isp=_isp_text(line.isp, registry),
        plan_down_mbit_s=_speed(line.plan_down_bps, locale),
        plan_up_mbit_s=_speed(line.plan_up_bps, locale),
        contract_date=line.contract_date.isoformat() if line.contract_date else "",
        technology=line.technology.value if line.technology else "",
    )


def _isp_text(isp_id: str, registry: Registry) -> str:
    """The ISP's name; its id where that is not enough to know it again."""
    isp = registry.isps.get(isp_id)
    if isp is None or _isp(isp.name, dict(registry.isps)) != isp_id:
        return isp_id
    return isp.name


def _speed(bps: float | None, locale: Locale) -> str:
    if bps is None:
        return ""
    text = f"{bps / MEGABIT:.3f}".rstrip("0").rstrip(".")
    return text.replace(".", ",") if locale.language is Language.VI else text


def isp_names(registry: Registry) -> Sequence[str]:
    """The names of the ISPs, to choose from."""
    return sorted(isp.name for isp in registry.isps.values())
