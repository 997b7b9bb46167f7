"""Floor 1. The registry's file formats: TOML, or CSV with a row for each line; validated whole.

All problems are reported at once, each with its place; an invalid file changes nothing. Plans are
in Mbit/s in the file, as in a contract, and in bit/s in the registry.

TOML::

    [[isp]]
    id = "vnpt"
    name = "VNPT"

    [[probe]]
    tenant = "bach-thong"
    probe = "tram-01969-1"
    commune = "01969"
    office = "Văn phòng UBND xã Phủ Thông"
    [[probe.line]]
    id = "vnpt"
    isp = "vnpt"
    plan_down_mbit_s = 300
    plan_up_mbit_s = 300
    contract_date = 2026-01-15
    technology = "fibre"

    [[group]]
    id = "bach-thong-cu"
    name = "Huyện Bạch Thông (cũ)"
    communes = ["01969", "01981"]

`[[commune]]` adds a place to the official list, or dates to one that is in it.
"""

from __future__ import annotations

import ipaddress
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Annotated, Any, NamedTuple, TypeVar

import msgspec
from msgspec import Meta, Struct

from collector.registry.csv_rows import csv_rows
from collector.registry.registry import (
    FORMER_CODES,
    Commune,
    FormerCode,
    Group,
    Isp,
    Line,
    Probe,
    Registry,
    Technology,
    present_code,
)
from runtime import settings
from runtime.language import Phrase
from runtime.problem import Problem
from runtime.settings import MISSING, SettingsError
from wire.decoding import converted
from wire.figures import MEGABIT
from wire.record import Name, Text
from wire.site import CommuneCode

MbitPerSecond = Annotated[float, Meta(gt=0, le=1_000_000)]
Prefix = Annotated[str, Meta(pattern=r"^[0-9A-Fa-f:.]{2,45}/[0-9]{1,3}\Z")]
T = TypeVar("T")

CSV_COLUMNS = (
    "tenant", "probe", "commune", "office", "installed_on", "line", "isp", "isp_name",
    "plan_down_mbit_s", "plan_up_mbit_s", "contract_date", "technology",
)  # fmt: skip
_CSV_REQUIRED = ("tenant", "probe", "commune", "office", "line", "isp")
_CSV_NUMBERS = ("plan_down_mbit_s", "plan_up_mbit_s")
_CSV_DAYS = ("installed_on", "contract_date")
_DAY = re.compile(r"(\d{1,2})[/.-](\d{1,2})[/.-](\d{4})")
# 1.000 is a thousand in Vietnamese and one in English.
_THOUSANDS = re.compile(r"[1-9]\d{0,2}([.,]\d{3})+")
_LOST_ZERO = re.compile(r"[1-9]\d{0,3}")
# A day as spreadsheets count it, of the years 1954 to 2173.
_SERIAL_DAY = re.compile(r"[2-9]\d{4}(\.0+)?")
_SERIAL_DAYS_FROM = date(1899, 12, 30)
_ISO_DAY = re.compile(r"(\d{4}-\d{2}-\d{2})([ T]00:00(:00)?)?")
# Saved without its letters: Tr? s?. Excel and LibreOffice write so in an encoding that lacks them.
_LOST_LETTER = re.compile(r"[^\W\d_]\?|\?[^\W\d_]")
_ROW_OF_PROBE = re.compile(r".*: probe\[(\d+)\](?:\.line\[(\d+)\])?\.?(\w*)")
# A merged cell has its content in its first row alone.
_EMPTY_CELL = Phrase(
    "còn thiếu: điền ô này ở mỗi dòng (ô gộp thì bỏ gộp)",
    "is missing: fill this cell in every row (unmerge a merged one)",
)


class _Strict(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of every table: unknown keys refused."""


class IspTable(_Strict, frozen=True):
    """`[[isp]]`."""

    id: Name
    name: Text
    prefixes: list[Prefix] = []


class LineTable(_Strict, frozen=True):
    """`[[probe.line]]`."""

    id: Name
    isp: Name
    plan_down_mbit_s: MbitPerSecond | None = None
    plan_up_mbit_s: MbitPerSecond | None = None
    contract_date: date | None = None
    technology: Technology | None = None


class ProbeTable(_Strict, frozen=True):
    """`[[probe]]`."""

    tenant: Name
    probe: Name
    commune: CommuneCode
    office: Text
    installed_on: date | None = None
    line: list[LineTable] = []


class GroupTable(_Strict, frozen=True):
    """`[[group]]`."""

    id: Name
    name: Text
    communes: Annotated[list[CommuneCode], Meta(min_length=1)]


class CommuneTable(_Strict, frozen=True):
    """`[[commune]]`: a new one needs all but the dates; one of the official list only its dates."""

    code: CommuneCode
    name: Text | None = None
    kind: Text | None = None
    province_code: Text | None = None
    province_name: Text | None = None
    latitude: Annotated[float, Meta(ge=-90, le=90)] | None = None
    longitude: Annotated[float, Meta(ge=-180, le=180)] | None = None
    valid_from: date | None = None
    valid_to: date | None = None


class RegistryFile(_Strict, frozen=True):
    """The whole file."""

    isp: list[IspTable] = []
    probe: list[ProbeTable] = []
    group: list[GroupTable] = []
    commune: list[CommuneTable] = []


def parse_toml(
    content: bytes,
    source: str,
    official: Mapping[str, Commune],
    former_codes: Mapping[str, FormerCode] = FORMER_CODES,
    notices: list[Problem] | None = None,
) -> Registry:
    """The registry in a TOML file's bytes.

    Args:
        content: the file's bytes.
        source: its name, for messages.
        official: the official list of communes (`collector.registry.communes`).
        former_codes: codes of before, which are taken as the present ones.
        notices: where given, it gets a sentence for each former code.

    Raises:
        runtime.settings.SettingsError: every problem, each with file and place.
    """
    file = settings.parse(content, RegistryFile, source)
    return build(file, source, official, former_codes, notices)


def parse_probe(table: Mapping[str, Any], known: Registry) -> Probe:
    """One probe, whose table is as `[[probe]]` of a file; texts may stand for numbers and dates.

    Raises:
        runtime.settings.SettingsError: every problem, each with its field.
    """
    lines = table.get("line", [])
    problems = _problems({k: v for k, v in table.items() if k != "line"}, ProbeTable)
    problems += _missing(table, ProbeTable)
    for number, line in enumerate(lines, start=1):
        found = _problems(line, LineTable) + _missing(line, LineTable)
        problems += [problem.within(f"line[{number}]") for problem in found]
    if problems:
        raise SettingsError(problems)
    built = converted(table, ProbeTable, strict=False)
    problems = list(_nul_problems(RegistryFile(probe=[built])))
    places = _Places(known.communes, known.former_codes, problems, [])
    probe = _probe(built, "probe", known.isps, places)
    if problems:
        raise SettingsError(problems)
    return probe


def _missing(table: Mapping[str, Any], expected: type[Struct]) -> list[Problem]:
    fields = settings.fields_of(expected).items()
    return [
        Problem(name, MISSING) for name, field in fields if field.required and name not in table
    ]


def parse_csv(
    text: str, source: str, known: Registry, notices: list[Problem] | None = None
) -> Registry:
    """The registry in a CSV file's text: a row a line, columns as `CSV_COLUMNS`.

    Args:
        text: the file's text.
        source: its name, for messages.
        known: the current registry. Its groups, places and the ISPs' prefixes stay: the file has no
            column for them.
        notices: where given, it gets a sentence for each former code of a commune.

    Raises:
        runtime.settings.SettingsError: every problem, each with file and line.
    """
    rows, problems = csv_rows(text, source, CSV_COLUMNS, _CSV_REQUIRED)
    probes: dict[tuple[str, str], dict[str, Any]] = {}
    isps: dict[str, dict[str, Any]] = {}
    names = {isp.id: isp.name for isp in known.isps.values()}
    places: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        found = _add_row(row.cells, probes, isps, names)
        problems += [problem.within(row.place) for problem in found]
        key = (row.cells.get("tenant", ""), row.cells.get("probe", ""))
        places.setdefault(key, []).append(row.place)
    if problems:
        raise SettingsError(problems)
    table = {"probe": list(probes.values()), "isp": list(isps.values())}
    file = converted(table, RegistryFile, strict=False)
    by_row = list(places.values())
    former: list[Problem] = []
    try:
        built = build(file, source, known.communes, known.former_codes, former)
    except SettingsError as error:
        raise SettingsError(_at_row(one, by_row) for one in error.problems) from error
    if notices is not None:
        notices += [_at_row(one, by_row) for one in former]
    kept = {
        isp.id: msgspec.structs.replace(isp, prefixes=known.isps[isp.id].prefixes)
        for isp in built.isps.values()
        if isp.id in known.isps
    }
    return msgspec.structs.replace(built, groups=known.groups, isps={**built.isps, **kept})


def _at_row(problem: Problem, rows: Sequence[Sequence[str]]) -> Problem:
    """A problem of `probe[2].line[1]` at its row; `rows` has those of each probe's lines."""
    found = _ROW_OF_PROBE.fullmatch(problem.place)
    if found is None:
        return problem
    row = rows[int(found[1]) - 1][int(found[2] or 1) - 1]
    return Problem(found[3], problem.what).within(row)


class _Places(NamedTuple):
    """The communes that a file may name, and what is said of those that it does."""

    communes: Mapping[str, Commune]
    former_codes: Mapping[str, FormerCode]
    problems: list[Problem]
    notices: list[Problem]

    def present(self, code: str, place: str) -> str:
        """The present code of a commune; a problem where there is none, a notice where it was."""
        now = present_code(code, self.communes, self.former_codes)
        _require_known([now], self.communes, place, self.problems)
        if now != code:
            self.notices.append(Problem(place, _former(code, now, self)))
        return now


def _former(code: str, now: str, places: _Places) -> Phrase:
    until, name = places.former_codes[code].until, places.communes[now].name
    return Phrase(
        f"mã {code} nay là {now} ({name}), từ ngày {until:%d/%m/%Y}: dùng mã mới",
        f"code {code} is {now} ({name}) since {until}: use the new one",
    )


def build(
    file: RegistryFile,
    source: str,
    official: Mapping[str, Commune],
    former_codes: Mapping[str, FormerCode] = FORMER_CODES,
    notices: list[Problem] | None = None,
) -> Registry:
    """Build a registry from a file's content; every reference is checked.

    Args:
        file: the content.
        source: the file's name, for messages.
        official: the official communes.
        former_codes: codes of before, which are taken as the present ones.
        notices: where given, it gets a sentence for each former code.

    Raises:
        runtime.settings.SettingsError: every problem.
    """
    problems = list(_nul_problems(file))
    communes = _communes(file.commune, official, problems)
    problems += _prefix_problems(file.isp)
    isps = _unique(
        ((i.id, Isp(id=i.id, name=i.name, prefixes=tuple(i.prefixes))) for i in file.isp),
        "isp",
        problems,
    )
    places = _Places(communes, former_codes, problems, [])
    probes = _unique(
        (
            ((table.tenant, table.probe), _probe(table, place, isps, places))
            for place, table in _numbered("probe", file.probe)
        ),
        "probe",
        problems,
    )
    codes = {
        # Communes of before may be one now.
        group.id: tuple(
            dict.fromkeys(places.present(code, f"{place}.communes") for code in group.communes)
        )
        for place, group in _numbered("group", file.group)
    }
    for place, group in _numbered("group", file.group):
        if len(set(group.communes)) < len(group.communes):
            twice = Phrase("có mã xã lặp lại", "a code stands twice")
            problems.append(Problem(f"{place}.communes", twice))
    groups = _unique(
        ((g.id, Group(id=g.id, name=g.name, communes=codes[g.id])) for g in file.group),
        "group",
        problems,
    )
    if problems:
        raise SettingsError(problem.within(source) for problem in problems)
    if notices is not None:
        notices += [notice.within(source) for notice in places.notices]
    return Registry(
        communes=communes, isps=isps, probes=probes, groups=groups, former_codes=former_codes
    )


def _prefix_problems(isps: Iterable[IspTable]) -> Iterator[Problem]:
    """Prefixes that are none, have host bits, or are two ISPs'."""
    owners: dict[object, str] = {}
    for place, isp in _numbered("isp", isps):
        for text in isp.prefixes:
            try:
                network = ipaddress.ip_network(text)
            except ValueError as error:
                what = Phrase(
                    f"{text!r} không phải dải địa chỉ: {error}", f"{text!r} is no prefix: {error}"
                )
                yield Problem(f"{place}.prefixes", what)
                continue
            if owners.setdefault(network, isp.id) != isp.id:
                yield Problem(f"{place}.prefixes", _duplicate(text))


def _nul_problems(file: RegistryFile) -> Iterator[Problem]:
    """Texts with NUL, which a TOML file can name and PostgreSQL cannot store."""
    for name in RegistryFile.__struct_fields__:
        for place, table in _numbered(name, getattr(file, name)):
            for field, value in msgspec.structs.asdict(table).items():
                if isinstance(value, str) and "\0" in value:
                    what = Phrase("có ký tự NUL", "there is a NUL character in it")
                    yield Problem(f"{place}.{field}", what)


def to_toml(registry: Registry, official: Mapping[str, Commune]) -> str:
    """The registry as TOML that `parse_toml` reads."""
    blocks = [
        _block("isp", {"id": isp.id, "name": isp.name, "prefixes": isp.prefixes or None})
        for isp in registry.isps.values()
    ]
    for probe in registry.probes.values():
        fields = msgspec.structs.asdict(probe)
        fields.pop("lines")
        blocks.append(_block("probe", fields))
        blocks += [_block("probe.line", _line_fields(line)) for line in probe.lines]
    blocks += [_block("group", msgspec.structs.asdict(group)) for group in registry.groups.values()]
    blocks += [
        _block("commune", msgspec.structs.asdict(commune))
        for code, commune in registry.communes.items()
        if commune != official.get(code)
    ]
    return "\n".join(blocks)


def _line_fields(line: Line) -> dict[str, Any]:
    return {
        "id": line.id,
        "isp": line.isp,
        "plan_down_mbit_s": _mbit_s(line.plan_down_bps),
        "plan_up_mbit_s": _mbit_s(line.plan_up_bps),
        "contract_date": line.contract_date,
        "technology": line.technology,
    }


def _mbit_s(bps: float | None) -> float | None:
    return None if bps is None else bps / MEGABIT


def _block(name: str, fields: Mapping[str, Any]) -> str:
    lines = [f"{key} = {_toml(value)}" for key, value in fields.items() if value is not None]
    return "\n".join([f"[[{name}]]", *lines, ""])


def _toml(value: object) -> str:
    if isinstance(value, str):
        # A JSON string is a TOML string, except for this character.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return value.isoformat() if isinstance(value, date) else repr(value)


def _numbered(name: str, tables: Iterable[T]) -> Iterable[tuple[str, T]]:
    return ((f"{name}[{number}]", table) for number, table in enumerate(tables, start=1))


def _unique(pairs: Iterable[tuple[Any, T]], what: str, problems: list[Problem]) -> dict[Any, T]:
    found: dict[Any, T] = {}
    for number, (key, value) in enumerate(pairs, start=1):
        if key in found:
            shown = "/".join(key) if isinstance(key, tuple) else key
            problems.append(Problem(f"{what}[{number}]", _duplicate(shown)))
        found[key] = value
    return found


def _require_known(
    codes: Iterable[str], communes: Mapping[str, Commune], place: str, problems: list[Problem]
) -> None:
    problems += [
        Problem(place, Phrase(f"không có xã mã {code}", f"there is no commune {code}"))
        for code in codes
        if code not in communes
    ]


def _duplicate(what: str) -> Phrase:
    return Phrase(f"{what} có hai lần", f"{what} is there twice")


def _probe(
    table: ProbeTable,
    place: str,
    isps: Mapping[str, Isp],
    places: _Places,
) -> Probe:
    problems = places.problems
    commune = places.present(table.commune, f"{place}.commune")
    problems += [
        Problem(
            f"{place}.line[{number}].isp",
            Phrase(f"không có nhà mạng {line.isp}", f"there is no isp {line.isp}"),
        )
        for number, line in enumerate(table.line, start=1)
        if line.isp not in isps
    ]
    ids = [line.id for line in table.line]
    problems += [
        Problem(f"{place}.line", _duplicate(line_id))
        for line_id in sorted(set(ids))
        if ids.count(line_id) > 1
    ]
    return Probe(
        tenant=table.tenant,
        probe=table.probe,
        commune=commune,
        office=table.office,
        installed_on=table.installed_on,
        lines=tuple(
            Line(
                id=line.id,
                isp=line.isp,
                plan_down_bps=_bps(line.plan_down_mbit_s),
                plan_up_bps=_bps(line.plan_up_mbit_s),
                contract_date=line.contract_date,
                technology=line.technology,
            )
            for line in table.line
        ),
    )


def _bps(mbit_s: float | None) -> float | None:
    return None if mbit_s is None else round(mbit_s * MEGABIT, 3)


def _communes(
    tables: Iterable[CommuneTable], official: Mapping[str, Commune], problems: list[Problem]
) -> dict[str, Commune]:
    communes = dict(official)
    seen = set()
    for place, table in _numbered("commune", tables):
        if table.code in seen:
            problems.append(Problem(place, _duplicate(table.code)))
        seen.add(table.code)
        known = official.get(table.code)
        said = {k: v for k, v in msgspec.structs.asdict(table).items() if v is not None}
        whole = (msgspec.structs.asdict(known) if known else {}) | said
        missing = [n for n in Commune.__struct_fields__[:7] if n not in whole]
        if missing:
            listed = ", ".join(missing)
            unlisted = Phrase(
                f"{table.code} không có trong danh mục chính thức: còn thiếu {listed}",
                f"{table.code} is not in the official list: missing {listed}",
            )
            problems.append(Problem(place, unlisted))
            continue
        commune = Commune(**whole)
        if commune.valid_from and commune.valid_to and commune.valid_to <= commune.valid_from:
            backwards = Phrase("không được trước `valid_from`", "comes before `valid_from`")
            problems.append(Problem(f"{place}.valid_to", backwards))
        communes[table.code] = commune
    return communes


def _cells(row: Mapping[str, str]) -> tuple[dict[str, Any], list[Problem]]:
    """The cells of a row that have something in them, with numbers and days read."""
    cells: dict[str, Any] = {name: text for name, text in row.items() if text}
    problems = [Problem(name, _EMPTY_CELL) for name in _CSV_REQUIRED if name not in cells]
    for name in set(_CSV_NUMBERS) & cells.keys():
        if (number := _number(cells[name])) is None:
            problems.append(Problem(name, _no_number(cells[name])))
        cells[name] = number
    for name in set(_CSV_DAYS) & cells.keys():
        if (day := _iso_day(cells[name])) is None:
            problems.append(Problem(name, _no_day(cells[name])))
        cells[name] = day
    problems += [
        Problem(name, _letters_are_lost(cells[name]))
        for name in ("office", "isp_name")
        if _LOST_LETTER.search(cells.get(name, ""))
    ]
    if _LOST_ZERO.fullmatch(cells.get("commune", "")):
        # A spreadsheet took the code for a number.
        cells["commune"] = cells["commune"].zfill(5)
    return cells, problems


def _add_row(
    row: Mapping[str, str],
    probes: dict[tuple[str, str], dict[str, Any]],
    isps: dict[str, Any],
    names: Mapping[str, str],
) -> list[Problem]:
    """Add a CSV row to the tables; returns its problems. `names` are those of known ISPs."""
    cells, problems = _cells(row)
    if problems:
        return problems
    isp = cells["isp"]
    # Without a name it keeps the one it has: a file without that column renames nobody.
    isp_name = cells.pop("isp_name", names.get(isp, isp))
    probe = {n: cells.pop(n) for n in CSV_COLUMNS[:5] if n in cells}
    line = {"id": cells.pop("line"), **cells}
    for table, expected in ((probe, ProbeTable), (line, LineTable)):
        problems += _problems(table, expected)
    known = probes.setdefault((probe["tenant"], probe["probe"]), probe | {"line": []})
    if any(other["id"] == line["id"] for other in known["line"]):
        problems.append(Problem("line", _line_is_twice(line["id"])))
    if {k: v for k, v in known.items() if k != "line"} != probe:
        other = Phrase(
            "xã, cơ quan hoặc ngày khác với một dòng trước của cùng trạm đo",
            "says another commune, office or date than an earlier row of this probe",
        )
        problems.append(Problem("", other))
    known["line"].append(line)
    if isps.setdefault(isp, {"id": isp, "name": isp_name})["name"] != isp_name:
        renamed = Phrase(
            f"{isp} có tên khác ở một dòng trước", f"{isp} has another name in an earlier row"
        )
        problems.append(Problem("isp_name", renamed))
    return problems


def _number(text: str) -> float | None:
    """A number with a decimal point or comma; None where it is none, or may be thousands."""
    if _THOUSANDS.fullmatch(text):
        return None
    try:
        number = float(text.replace(",", ".", 1) if "." not in text else text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _no_number(text: str) -> Phrase:
    if _THOUSANDS.fullmatch(text):
        plain = re.sub(r"[.,]", "", text)
        return Phrase(
            f"{text!r} có thể là {plain} hoặc số thập phân: viết {plain}, không có dấu ngăn cách",
            f"{text!r} may be {plain} or a decimal: write {plain} without a separator",
        )
    return Phrase(f"{text!r} không phải là số", f"{text!r} is not a number")


def _iso_day(text: str) -> str | None:
    """A day as Vietnamese spreadsheets write it, 15/01/2026, as 2026-01-15; None where it is none.

    A day with a time is the day only where that is midnight, which programs write of a day.
    """
    if found := _ISO_DAY.fullmatch(text):
        written = found[1]
    elif found := _DAY.fullmatch(text):
        written = f"{found[3]}-{int(found[2]):02}-{int(found[1]):02}"
    else:
        return None
    try:
        return date.fromisoformat(written).isoformat()
    except ValueError:
        return None


def _no_day(text: str) -> Phrase:
    if _SERIAL_DAY.fullmatch(text):
        day = _SERIAL_DAYS_FROM + timedelta(days=int(float(text)))
        return Phrase(
            f"{text} là số thứ tự của ngày trong bảng tính: viết {day:%d/%m/%Y}, hoặc định dạng "
            "cột này là ngày",
            f"{text} is a spreadsheet's number of a day: write {day}, or format the column as "
            "dates",
        )
    return Phrase(
        f"{text!r} không phải là ngày: viết như 15/01/2026 hoặc 2026-01-15",
        f"{text!r} is not a day: write it as 2026-01-15 or 15/01/2026",
    )


def _letters_are_lost(text: str) -> Phrase:
    return Phrase(
        f"{text!r} đã mất chữ có dấu khi lưu: lưu lại dạng XLSX hoặc «CSV UTF-8»",
        f"{text!r} lost letters when it was saved: save it as XLSX or as “CSV UTF-8”",
    )


def _line_is_twice(line: str) -> Phrase:
    return Phrase(
        f"đường truyền {line} của trạm này đã có ở một dòng trước: xóa một dòng",
        f"line {line} of this probe is in an earlier row too: remove one",
    )


def _problems(table: dict[str, Any], expected: type[Struct]) -> list[Problem]:
    found: list[Problem] = []
    for name, field in settings.fields_of(expected).items():
        if name in table:
            found += settings.problems_by_msgspec(
                table[name], field.type, name, table[name], strict=False
            )
    return found
