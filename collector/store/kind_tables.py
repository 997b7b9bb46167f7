"""Floor 1. The table of each kind, derived from the types in `wire/`; for SQL users and Grafana.

Each scalar field of a kind's values is a column of the same name; so is each scalar field of a
nested struct (`download.retransmits` is `download_retransmits`). Lists of numbers and structs are
in `results.body` only. A field that is added to a kind becomes a column when the store is opened; a
column is never dropped.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import cache
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec
from msgspec import inspect

from collector.store.batch import ResultRow, family_number, utc_text, without_nul
from collector.store.database import Column, ColumnType, Table
from wire.result import KINDS, Result

# The columns of every kind.
_COMMON = (
    Column("number", ColumnType.INTEGER, required=True),
    Column("tenant", ColumnType.TEXT, required=True),
    Column("probe", ColumnType.TEXT, required=True),
    Column("line", ColumnType.TEXT, required=True),
    Column("isp", ColumnType.TEXT),
    Column("target", ColumnType.TEXT),
    # 4 or 6; NULL where none is stated.
    Column("family", ColumnType.SMALL),
    Column("started_at", ColumnType.TIME, required=True),
    Column("duration_s", ColumnType.REAL, required=True),
    Column("outcome", ColumnType.TEXT, required=True),
    Column("reason", ColumnType.TEXT),
    Column("validity", ColumnType.TEXT, required=True),
)
# Rare kinds; for the others an index costs a tenth of the time to store a row.
_BY_LINE = {"outage"}
_COMMON_NAMES = {column.name for column in _COMMON}


class _Field(NamedTuple):
    column: Column
    name: str
    convert: Callable[[Any], object] | None


class _Part(NamedTuple):
    """The columns of one Struct: the values (`path` None) or a nested struct.

    `converted` are the indices of fields that need a conversion; `texts` those that may hold NUL.
    """

    path: str | None
    fields: tuple[_Field, ...]
    read: Callable[[Any], Any]
    converted: tuple[tuple[int, Callable[[Any], object]], ...]
    texts: tuple[int, ...]


class KindTable:
    """The table of one kind."""

    def __init__(self, kind: str, result_type: type[Result]) -> None:
        self._parts = tuple(_parts(result_type))
        fields = tuple(field.column for part in self._parts for field in part.fields)
        self.table = Table(
            f"{kind}_results", (*_COMMON, *fields), ("number",), "started_at", kind in _BY_LINE
        )
        self.columns = tuple(column.name for column in self.table.columns)

    def row(self, number: int, stored: ResultRow, result: Result) -> tuple[object, ...]:
        """A result's row, in the order of `columns`."""
        validity = result.validity
        row: tuple[object, ...] = (
            number,
            stored.tenant,
            stored.probe,
            stored.line,
            without_nul(result.line.isp),
            stored.target,
            family_number(result.family) or None,
            stored.started_at,
            result.duration_s,
            stored.outcome,
            stored.reason,
            " ".join(sorted(validity)) if validity else "",
        )
        values = result.values
        # NUL can only come from this escape (RFC 8259, section 7).
        plain = "\\u0000" not in stored.body
        for part in self._parts:
            source = values
            if part.path is not None and values is not None:
                source = getattr(values, part.path)
            row += _cells(part, source, plain)
        return row


@cache
def kind_tables() -> dict[str, KindTable]:
    """The table of every kind."""
    return {kind: KindTable(kind, result_type) for kind, result_type in KINDS.items()}


def _cells(part: _Part, source: object, plain: bool) -> tuple[object, ...]:
    if source is None:
        return (None,) * len(part.fields)
    found = part.read(source)
    read: tuple[object, ...] = found if len(part.fields) > 1 else (found,)
    if plain and not part.converted:
        return read
    cells = list(read)
    for place, convert in part.converted:
        if cells[place] is not None:
            cells[place] = convert(cells[place])
    if not plain:
        for place in part.texts:
            cells[place] = without_nul(cells[place])  # type: ignore[arg-type]
    return tuple(cells)


def _parts(result_type: type[Result]) -> Iterator[_Part]:
    values = next(f.type for f in msgspec.structs.fields(result_type) if f.name == "values")
    struct = _struct(inspect.type_info(values))
    if struct is None:
        return
    taken = set(_COMMON_NAMES)
    yield from _part(None, struct, "", taken)
    for field in struct.fields:
        if (nested := _struct(field.type)) is not None:
            yield from _part(field.name, nested, f"{field.name}_", taken)


def _part(
    path: str | None, struct: inspect.StructType, prefix: str, taken: set[str]
) -> Iterator[_Part]:
    fields = []
    for field in struct.fields:
        found = _scalar(field.type)
        if found is None:
            continue
        name = f"{prefix}{field.name}"
        if name in taken:
            # `download.whole_bps` equals `download_whole_bps`: one column. A field with the name of
            # a common column gets a prefix.
            if path is not None:
                continue
            name = f"values_{name}"
        taken.add(name)
        fields.append(_Field(Column(name, found[0]), field.name, found[1]))
    if fields:
        conversions = [(place, field.convert) for place, field in enumerate(fields)]
        yield _Part(
            path,
            tuple(fields),
            attrgetter(*(field.name for field in fields)),
            tuple((place, c) for place, c in conversions if c is not None and c != without_nul),
            tuple(place for place, c in conversions if c == without_nul),
        )


def _options(info: inspect.Type) -> list[inspect.Type]:
    options = info.types if isinstance(info, inspect.UnionType) else (info,)
    return [option for option in options if not isinstance(option, inspect.NoneType)]


def _struct(info: inspect.Type) -> inspect.StructType | None:
    options = _options(info)
    return options[0] if len(options) == 1 and isinstance(options[0], inspect.StructType) else None


def _scalar(info: inspect.Type) -> tuple[ColumnType, Callable[[Any], object] | None] | None:
    """The column type and conversion of a field, None where it is no scalar."""
    found = [_scalar_option(option) for option in _options(info)]
    if len(found) == 1:
        return found[0]
    if all(kind is not None and kind[0] in (ColumnType.INTEGER, ColumnType.REAL) for kind in found):
        return ColumnType.REAL, float
    return None


def _scalar_option(
    option: inspect.Type,
) -> tuple[ColumnType, Callable[[Any], object] | None] | None:
    match option:
        case inspect.IntType():
            return ColumnType.INTEGER, None
        case inspect.FloatType():
            return ColumnType.REAL, None
        case inspect.BoolType():
            return ColumnType.BOOLEAN, None
        case inspect.StrType():
            return ColumnType.TEXT, without_nul
        case inspect.EnumType() | inspect.UUIDType() | inspect.LiteralType():
            return ColumnType.TEXT, str
        case inspect.DateTimeType():
            return ColumnType.TIME, _time
        case inspect.ListType(item_type=inspect.StrType() | inspect.EnumType()):
            return ColumnType.TEXT, _list
    return None


def _time(at: datetime) -> str | None:
    try:
        return utc_text(at)
    except OverflowError:
        return None


def _list(items: list[str]) -> str:
    return json.dumps(items, ensure_ascii=True)
