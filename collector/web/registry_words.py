"""Floor 1. Changes of the registry in the reader's words and units."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

import msgspec
from msgspec import Struct

from collector.domain.place_search import with_province
from collector.registry.changes import COMMUNE_TABLE, Change
from collector.registry.registry import Registry
from collector.web.formatting import axis_number
from collector.web.presentation import Locale
from wire.figures import MEGABIT

_SPEEDS = ("plan_down_bps", "plan_up_bps")
_DATES = ("installed_on", "contract_date", "valid_from", "valid_to")


class ChangeRow(Struct, frozen=True):
    """A change: `sign` is + (added), − (removed), ≠ (changed); a phrase for each field."""

    sign: str
    subject: str
    before: list[str]
    after: list[str]


def change_rows(found: Iterable[Change], registry: Registry, locale: Locale) -> list[ChangeRow]:
    """Changes as rows; `registry` has the names of what they are about."""
    return [change_row(change, registry, locale) for change in found]


def change_row(change: Change, registry: Registry, locale: Locale) -> ChangeRow:
    """A change as a row; of a changed entry the fields that changed."""
    if change.thing == COMMUNE_TABLE:
        # What it changes is in rows of their own.
        return ChangeRow("≠", f"{locale.label('thing_commune_table')} {_day(change.key)}", [], [])
    before, after = _fields(change.before), _fields(change.after)
    subject = _subject(change, registry, locale)
    if not before or not after:
        sign = "+" if after else "−"
        shown = (_phrases(fields, fields, registry, locale) for fields in (before, after))
        return ChangeRow(sign, subject, *shown)
    names = [n for n in {**before, **after} if before.get(n) != after.get(n)]
    old = _phrases({name: before.get(name) for name in names}, before, registry, locale)
    new = _phrases({name: after.get(name) for name in names}, after, registry, locale)
    return ChangeRow("≠", subject, old, new)


def _fields(text: str | None) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(text) if text is not None else {}
    return found


def _subject(change: Change, registry: Registry, locale: Locale) -> str:
    """ "Đường truyền vnpt của Văn phòng UBND xã Phủ Thông (bach-thong/tram-01969-1)"."""
    kind, key = locale.label(f"thing_{change.thing}"), change.key
    match change.thing:
        case "probe":
            office = _office(key, registry) or _fields(change.after or change.before)["office"]
            return f"{kind} {key} ({office})"
        case "line":
            probe, _, line = key.rpartition("/")
            office = _office(probe, registry)
            return f"{kind} {line} {locale.label('thing_of')} {office or probe} ({probe})"
        case "commune":
            return f"{kind} {_commune(key, registry)}"
    name = _fields(change.after or change.before).get("name", "")
    return f"{kind} {key} ({name})"


def _office(key: str, registry: Registry) -> str:
    tenant, _, name = key.partition("/")
    probe = registry.probe(tenant, name)
    return probe.office if probe else ""


def _phrases(
    shown: Mapping[str, Any], whole: Mapping[str, Any], registry: Registry, locale: Locale
) -> list[str]:
    return [
        f"{locale.label(f'field_{name}')}: {_value(name, value, whole, registry, locale)}"
        for name, value in shown.items()
        if value not in (None, [], "") and (name != "place" or len(shown) == 1)
    ]


def _value(
    name: str,
    value: Any,  # noqa: ANN401 - of any field
    whole: Mapping[str, Any],
    registry: Registry,
    locale: Locale,
) -> str:
    if name in _SPEEDS:
        speed = f"{axis_number(value / MEGABIT, locale.language)} Mbit/s"
        since = whole.get("contract_date")
        return f"{speed} {locale.label('plan_since')} {_day(since)}" if since else speed
    if name in _DATES:
        return _day(value)
    match name:
        case "technology":
            return locale.label(f"technology_{value}")
        case "isp":
            isp = registry.isps.get(value)
            return isp.name if isp else str(value)
        case "commune":
            return _commune(value, registry)
        case "communes":
            return ", ".join(_commune(code, registry) for code in value)
        case "place":
            return str(value + 1)
    return ", ".join(value) if isinstance(value, list) else str(value)


def _commune(code: str, registry: Registry) -> str:
    commune = registry.communes.get(code)
    return f"{with_province(commune)} ({code})" if commune else code


def _day(text: str) -> str:
    return f"{date.fromisoformat(text):%d/%m/%Y}"
