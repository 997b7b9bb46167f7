"""Floor 1. A newer table of communes: read whole, and what it changes of the one before.

Columns as in `data/vn_communes.csv`, and `former_codes`: the codes, separated by blanks, that have
become this commune's (by a correction, or of communes that were merged into it). Without it a code
that is gone is that of the commune of the same name and kind in the same province, if there is one.

A table is compared by what its communes are called, and not by codes alone: between two tables of
the same length a code may belong to another commune.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import NamedTuple

import msgspec
from msgspec import Struct

from collector.registry.csv_rows import Row, csv_rows
from collector.registry.registry import FORMER_CODES, Commune, FormerCode, Registry
from runtime.language import Phrase, unmarked
from runtime.problem import Problem
from runtime.settings import SettingsError

COLUMNS = (
    "province_code", "province_name", "commune_code", "commune_name", "commune_name_ascii", "kind",
    "latitude", "longitude", "former_codes",
)  # fmt: skip
_REQUIRED = tuple(name for name in COLUMNS if name not in ("commune_name_ascii", "former_codes"))
_KINDS = {"xa": "Xã ", "phuong": "Phường ", "dac_khu": "Đặc khu "}
# Viet Nam with its archipelagos, WGS 84.
_LATITUDES, _LONGITUDES = (6.0, 24.0), (102.0, 118.0)
_CODE, _PROVINCE = re.compile(r"[0-9]{5}"), re.compile(r"[0-9]{2}")
# A nearer centre point is the same one, computed anew.
_MOVED_KM = 1.0
# More codes than this share do not go in a year; a table that was cut off lacks them.
_GONE_MOST = 0.1
_EARTH_KM = 6_371.0


class ParsedTable(NamedTuple):
    """The communes of a table by code, and the codes that it says have become another."""

    communes: Mapping[str, Commune]
    former: Mapping[str, str]


class CommuneChange(NamedTuple):
    """A commune in the table before and in the newer one; None where it is in one of them only."""

    before: Commune | None
    after: Commune | None

    @property
    def km(self) -> float:
        """How far its centre point has moved."""
        return distance_km(self.before, self.after) if self.before and self.after else 0.0


class TableChanges(NamedTuple):
    """What a newer table changes.

    `recoded` are communes with another code, `merged` those that are a part of another one. A code
    of `reused` belongs to another commune than before.
    """

    added: Sequence[CommuneChange]
    gone: Sequence[CommuneChange]
    renamed: Sequence[CommuneChange]
    moved: Sequence[CommuneChange]
    reassigned: Sequence[CommuneChange]
    recoded: Sequence[CommuneChange]
    merged: Sequence[CommuneChange]
    reused: Sequence[CommuneChange]

    @property
    def total(self) -> int:
        """How many there are; a code that is reused is counted with its commune's new code."""
        return sum(map(len, self)) - len(self.reused)

    @property
    def successors(self) -> Mapping[str, str]:
        """The code of before to the one that the commune has, or is a part of, now."""
        return {
            change.before.code: change.after.code
            for change in (*self.recoded, *self.merged)
            if change.before and change.after
        }


class AdoptedTable(Struct, frozen=True, kw_only=True):
    """A newer table as it is stored: its differences from the packaged list of day `base`.

    `day` is the first one on which it is in force.
    """

    base: date
    day: date
    communes: tuple[Commune, ...]
    dropped: tuple[str, ...]
    former: Mapping[str, FormerCode]


class OfficialCommunes(NamedTuple):
    """The official communes by code, packaged or of a newer table, and the codes of before."""

    communes: Mapping[str, Commune]
    former_codes: Mapping[str, FormerCode]


def in_force(
    packaged: Mapping[str, Commune], base: date, table: AdoptedTable | None
) -> OfficialCommunes:
    """The official communes: those of a stored table, unless it is of another release's list.

    Args:
        packaged: the packaged list of communes.
        base: its day.
        table: the newer one that was adopted, if any.
    """
    if table is None or table.base != base:
        return OfficialCommunes(packaged, FORMER_CODES)
    communes = {code: one for code, one in packaged.items() if code not in table.dropped}
    communes |= {one.code: one for one in table.communes}
    return OfficialCommunes(communes, {**FORMER_CODES, **table.former})


def parse(text: str, source: str) -> ParsedTable:
    """A table of communes in CSV.

    Raises:
        runtime.settings.SettingsError: every problem, each with file, row and column.
    """
    rows, problems = csv_rows(text, source, COLUMNS, _REQUIRED)
    communes: dict[str, Commune] = {}
    former: dict[str, str] = {}
    names: dict[str, str] = {}
    for row in rows:
        wrong = [*_cell_problems(row.cells), *_repeated(row.cells, communes, former, names)]
        problems += [problem.within(row.place) for problem in wrong]
        if not wrong:
            commune = _commune(row)
            communes[commune.code] = commune
            names.setdefault(commune.province_code, commune.province_name)
            former |= dict.fromkeys(_former_codes(row.cells), commune.code)
    both = sorted(former.keys() & communes.keys())
    problems += [Problem(source, _both(code)) for code in both]
    if not communes and not problems:
        problems.append(Problem(source, Phrase("không có xã nào", "there is no commune in it")))
    if problems:
        raise SettingsError(problems)
    return ParsedTable(communes, former)


def compare(known: Mapping[str, Commune], table: ParsedTable, source: str) -> TableChanges:
    """What a table changes of the official communes.

    Args:
        known: the official communes, those that ended included.
        table: the newer ones.
        source: the table's name, for messages.

    Raises:
        runtime.settings.SettingsError: the table lacks so many that it must be a part of one.
    """
    new = table.communes
    recoded, merged = _successors(known, table)
    left = {
        code
        for code, one in known.items()
        if one.valid_to is None and code not in new and code not in {*recoded, *merged}
    }
    if len(left) > _GONE_MOST * len(known):
        raise SettingsError([Problem(source, _cut_off(len(new), len(left)))])
    same = [CommuneChange(known[code], new[code]) for code in new if code in known]
    reused = {code for code in recoded if code in new}
    kept = [pair for pair in same if pair.before and pair.before.code not in reused]
    taken = {*recoded.values()}
    return TableChanges(
        added=[
            CommuneChange(None, one)
            for code, one in new.items()
            if code not in known and code not in taken
        ],
        gone=[CommuneChange(known[code], None) for code in sorted(left)],
        renamed=[pair for pair in kept if _differs(pair, "name", "kind")],
        moved=[pair for pair in kept if pair.km > _MOVED_KM],
        reassigned=[pair for pair in kept if _differs(pair, "province_code", "province_name")],
        recoded=[CommuneChange(known[old], new[now]) for old, now in recoded.items()],
        merged=[CommuneChange(known[old], new[now]) for old, now in merged.items()],
        reused=[CommuneChange(known[code], new[code]) for code in sorted(reused)],
    )


def adopted(
    packaged: Mapping[str, Commune],
    base: date,
    known: OfficialCommunes,
    table: ParsedTable,
    changes: TableChanges,
    day: date,
) -> AdoptedTable:
    """A table as it is stored, in force from `day`.

    A commune that is gone without a successor stays, valid until that day; a code that another one
    has taken over leads there, as the former codes of before do.

    Args:
        packaged: the packaged list of communes.
        base: its day.
        known: the official communes until now.
        table: the newer ones.
        changes: what is different.
        day: the first one on which the table is in force.
    """
    added = {change.after.code for change in changes.added if change.after}
    communes = {
        code: msgspec.structs.replace(one, valid_from=day) if code in added else one
        for code, one in table.communes.items()
    }
    successors = changes.successors
    for code, one in known.communes.items():
        if code not in communes and code not in successors:
            communes[code] = msgspec.structs.replace(one, valid_to=one.valid_to or day)
    former = {
        code: FormerCode(successors.get(one.present, one.present), one.until)
        for code, one in known.former_codes.items()
        if code not in communes
    }
    former |= {old: FormerCode(now, day) for old, now in successors.items() if old not in communes}
    return AdoptedTable(
        base=base,
        day=day,
        communes=tuple(one for code, one in communes.items() if packaged.get(code) != one),
        dropped=tuple(code for code in packaged if code not in communes),
        former=former,
    )


def with_present_codes(registry: Registry, successors: Mapping[str, str]) -> Registry:
    """The registry whose probes and groups have the new codes."""

    def new(code: str) -> str:
        return successors.get(code, code)

    return msgspec.structs.replace(
        registry,
        probes={
            key: msgspec.structs.replace(probe, commune=new(probe.commune))
            for key, probe in registry.probes.items()
        },
        groups={
            key: msgspec.structs.replace(
                group, communes=tuple(dict.fromkeys(map(new, group.communes)))
            )
            for key, group in registry.groups.items()
        },
    )


def report(changes: TableChanges) -> Iterator[str]:
    """What a table changes, a line each."""
    for change in changes.added:
        yield f"+ {_shown(change.after)}"
    for change in changes.gone:
        yield f"- {_shown(change.before)}: no commune of the table has its name or names its code"
    for change in changes.recoded:
        yield f"= {_shown(change.before)}: its code is {_code(change.after)} now"
    for change in changes.merged:
        yield f"> {_shown(change.before)}: a part of {_shown(change.after)} now"
    for change in changes.reused:
        yield f"! {_code(change.after)}: {_name(change.before)} before, {_name(change.after)} now"
    for change in changes.renamed:
        yield f"~ {_shown(change.before)}: called {_name(change.after)} now"
    for change in changes.reassigned:
        province = change.after.province_name if change.after else ""
        yield f"~ {_shown(change.before)}: in {province} now"
    for change in changes.moved:
        yield f"~ {_shown(change.before)}: its centre point has moved by {change.km:.1f} km"


def places_to_check(changes: TableChanges, registry: Registry) -> Iterator[str]:
    """Whose commune changes, a line each: probes and groups with another code, and with none."""
    successors = changes.successors
    gone = {change.before.code for change in changes.gone if change.before}
    for probe in registry.probes.values():
        place = f"probe {probe.tenant}/{probe.probe} ({probe.office})"
        if probe.commune in successors:
            yield f"{place}: {probe.commune} becomes {successors[probe.commune]}"
        elif probe.commune in gone:
            yield f"{place}: {probe.commune} is gone; move it, or name its code in former_codes"
    for group in registry.groups.values():
        for code in group.communes:
            if code in successors:
                yield f"group {group.id}: {code} becomes {successors[code]}"
            elif code in gone:
                yield f"group {group.id}: {code} is gone"


def distance_km(one: Commune, other: Commune) -> float:
    """The distance of two centre points on the great circle (haversine)."""
    lat, other_lat = math.radians(one.latitude), math.radians(other.latitude)
    half = math.sin((other_lat - lat) / 2) ** 2
    across = math.sin(math.radians(other.longitude - one.longitude) / 2) ** 2
    return 2 * _EARTH_KM * math.asin(math.sqrt(half + math.cos(lat) * math.cos(other_lat) * across))


def comparable(name: str) -> str:
    """A name without marks, capitals and doubled blanks; y as i (Mỹ, Mĩ), and "Hoà" as "Hòa"."""
    return " ".join(unmarked(name).casefold().split()).replace("y", "i")


def _successors(
    known: Mapping[str, Commune], table: ParsedTable
) -> tuple[dict[str, str], dict[str, str]]:
    """Of codes whose commune has another one: recoded communes, and merged ones."""
    new = table.communes
    by_name: dict[tuple[str, str, str], list[str]] = {}
    for code, one in new.items():
        by_name.setdefault(_identity(one), []).append(code)
    recoded: dict[str, str] = {}
    merged: dict[str, str] = {}
    for code, one in known.items():
        if code in new and _identity(new[code]) == _identity(one):
            continue
        named = table.former.get(code)
        same_name = [now for now in by_name.get(_identity(one), []) if now != code]
        if named is not None:
            same = _identity(new[named]) == _identity(one)
            (recoded if same else merged)[code] = named
        elif len(same_name) == 1 and not _was(known, new, same_name[0]):
            recoded[code] = same_name[0]
    return recoded, merged


def _was(known: Mapping[str, Commune], new: Mapping[str, Commune], code: str) -> bool:
    """Whether a code of the newer table was the same commune's before."""
    return code in known and _identity(known[code]) == _identity(new[code])


def _identity(one: Commune) -> tuple[str, str, str]:
    return one.province_code, one.kind, comparable(one.name)


def _differs(pair: CommuneChange, *fields: str) -> bool:
    return any(getattr(pair.before, field) != getattr(pair.after, field) for field in fields)


def _commune(row: Row) -> Commune:
    cells = row.cells
    return Commune(
        code=cells["commune_code"],
        name=cells["commune_name"],
        kind=cells["kind"],
        province_code=cells["province_code"],
        province_name=cells["province_name"],
        latitude=float(cells["latitude"]),
        longitude=float(cells["longitude"]),
    )


def _former_codes(cells: Mapping[str, str]) -> list[str]:
    return cells.get("former_codes", "").split()


def _cell_problems(cells: Mapping[str, str]) -> Iterator[Problem]:
    """What is wrong with a row by itself."""
    five = Phrase(
        "mã xã có 5 chữ số, kể cả số 0 ở đầu", "a commune's code has 5 digits, its zeros included"
    )
    if not _CODE.fullmatch(cells["commune_code"]):
        yield Problem("commune_code", five)
    if not all(_CODE.fullmatch(code) for code in _former_codes(cells)):
        yield Problem("former_codes", five)
    if not _PROVINCE.fullmatch(cells["province_code"]):
        two = Phrase("mã tỉnh có 2 chữ số", "a province's code has 2 digits")
        yield Problem("province_code", two)
    if not cells["province_name"]:
        yield Problem("province_name", Phrase("để trống", "is empty"))
    begins = _KINDS.get(cells["kind"])
    if begins is None:
        kinds = ", ".join(_KINDS)
        yield Problem("kind", Phrase(f"là một trong: {kinds}", f"is one of: {kinds}"))
    elif not cells["commune_name"].startswith(begins) or cells["commune_name"] == begins:
        what = f"«{begins.strip()} …»"
        yield Problem("commune_name", Phrase(f"phải là {what}", f"has to be {what}"))
    yield from _degrees(cells, "latitude", _LATITUDES)
    yield from _degrees(cells, "longitude", _LONGITUDES)


def _degrees(
    cells: Mapping[str, str], column: str, bounds: tuple[float, float]
) -> Iterator[Problem]:
    least, most = bounds
    try:
        inside = least <= float(cells[column]) <= most
    except ValueError:
        inside = False
    if not inside:
        span = f"{least:g} … {most:g}"
        what = Phrase(f"là số độ, dấu chấm thập phân, {span}", f"is in degrees, {span}")
        yield Problem(column, what)


def _repeated(
    cells: Mapping[str, str],
    communes: Mapping[str, Commune],
    former: Mapping[str, str],
    names: Mapping[str, str],
) -> Iterator[Problem]:
    """What does not fit the rows before."""
    code, province = cells["commune_code"], cells["province_code"]
    if code in communes:
        yield Problem("commune_code", _twice(code))
    codes = _former_codes(cells)
    for old in dict.fromkeys(codes):
        if old in former or codes.count(old) > 1:
            yield Problem("former_codes", _twice(old))
    if names.get(province, cells["province_name"]) != cells["province_name"]:
        known = names[province]
        what = Phrase(f"tỉnh {province} ở trên là {known}", f"{province} is {known} above")
        yield Problem("province_name", what)


def _twice(code: str) -> Phrase:
    return Phrase(f"{code} có hai lần", f"{code} is there twice")


def _both(code: str) -> Phrase:
    return Phrase(
        f"{code} vừa là mã hiện nay vừa là mã cũ", f"{code} is a present code and a former one"
    )


def _cut_off(communes: int, left: int) -> Phrase:
    return Phrase(
        f"chỉ có {communes} xã, thiếu {left} xã hiện có: bảng có đủ không? Mã đã nhập vào xã khác "
        "thì ghi ở cột former_codes",
        f"has {communes} communes and lacks {left} of the present ones: is it whole? Codes that "
        "have become another one's belong into the column former_codes",
    )


def _shown(one: Commune | None) -> str:
    return f"{one.code} {one.name}, {one.province_name}" if one else ""


def _name(one: Commune | None) -> str:
    return one.name if one else ""


def _code(one: Commune | None) -> str:
    return one.code if one else ""
