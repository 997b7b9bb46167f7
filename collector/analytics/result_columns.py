"""Floor 1. The columns of each kind's ClickHouse table, derived from the types in `wire/`.

Every field of a result is a column, or stands in `LEFT_OUT` with the reason. The columns of values
have the names of the store's views (`latency_results`), so that a query needs few changes. Beside
them are the lists, which SQL cannot read in the store: numbers and texts as arrays, a list of
structs as ClickHouse's nested columns (`hops.address`, `hops.rtt_ms`: arrays of equal length).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec
from msgspec import inspect

from collector.analytics import row_binary
from collector.analytics.row_binary import Encode
from collector.store.records import StoredResult
from wire.record import Family, Outcome
from wire.result import KINDS, Result

# Fields of results that are not exported, and why.
LEFT_OUT = {
    "line.source_address": "personal data: of IPv6 it is the line's public address",
    "clock.boot_id": "for the repair of times, which ingest has done",
    "clock.boottime_s": "as above",
}
# Their columns have the names that the store's views have.
_RENAMED = {"line.id": "line", "line.isp": "isp"}
# Texts that hardly repeat; all others are in a dictionary (LowCardinality).
_FREE_TEXTS = {"detail", "error", "trouble"}
# Closed lists, by the number of each member; other lists grow, and are texts in a dictionary.
_ENUMS: dict[type, dict[str, int]] = {
    Outcome: {Outcome.OK: 1, Outcome.FAILED: 2, Outcome.SKIPPED: 3},
    Family: {Family.IPV4: 4, Family.IPV6: 6},
}
_ZSTD, _T64, _DELTA = "ZSTD(1)", "T64, ZSTD(1)", "Delta, ZSTD(1)"
_TIME = "DateTime64(6, 'UTC')"


class _Cell(NamedTuple):
    """The type, codec and encoder of a value. `nullable_type` is the type where it may be NULL."""

    type: str
    codec: str
    encode: Encode
    nullable_type: str

    @classmethod
    def of(cls, type_: str, codec: str, encode: Encode) -> _Cell:
        return cls(type_, codec, encode, f"Nullable({type_})")

    def nullable(self) -> _Cell:
        """The same, where it may be NULL."""
        encode = row_binary.nullable(self.encode)
        return _Cell(self.nullable_type, self.codec, encode, self.nullable_type)


class Column(NamedTuple):
    """A column: its name, type and codec, and the bytes of a result's cell.

    `field` is the path of the field of a result (`values.rtt_us`), None of what the store adds.
    """

    name: str
    type: str
    codec: str
    cell: Callable[[StoredResult, Result], bytes]
    field: str | None = None


_TEXT = _Cell("LowCardinality(String)", _ZSTD, row_binary.text, "LowCardinality(Nullable(String))")
_FREE_TEXT = _Cell.of("String", _ZSTD, row_binary.text)
_INSTANT = _Cell.of(_TIME, _DELTA, row_binary.time)
_BY_TYPE: dict[type[inspect.Type], _Cell] = {
    inspect.FloatType: _Cell.of("Float64", _ZSTD, row_binary.float64),
    inspect.BoolType: _Cell.of("Bool", _ZSTD, row_binary.boolean),
    inspect.UUIDType: _Cell.of("UUID", _ZSTD, row_binary.uuid),
    inspect.DateTimeType: _INSTANT,
    # Settings of a method: few combinations, so a text in a dictionary.
    inspect.DictType: _TEXT._replace(
        encode=lambda found: row_binary.text(
            msgspec.json.encode(found, order="deterministic").decode()
        )
    ),
}


def _stored(name: str, type_: str, codec: str, encode: Encode) -> Column:
    read = attrgetter(name)
    return Column(name, type_, codec, lambda stored, _: encode(read(stored)))


# What the store adds to a result.
_STORED = (
    _stored("number", "UInt64", _DELTA, row_binary.uint64),
    _stored("tenant", _TEXT.type, _ZSTD, row_binary.text),
    _stored("probe", _TEXT.type, _ZSTD, row_binary.text),
    _stored("epoch", "UUID", _ZSTD, row_binary.uuid),
    _stored("seq", "UInt64", _DELTA, row_binary.uint64),
    _stored("received_at", _TIME, _DELTA, row_binary.time),
    _stored("stored_at", _TIME, _DELTA, row_binary.time),
)


@cache
def columns(kind: str) -> tuple[Column, ...]:
    """The columns of a kind's table."""
    taken = {column.name for column in _STORED}
    found = [*_STORED]
    for column in _of_struct(_struct(inspect.type_info(KINDS[kind])), "", nullable=False):
        name = column.name
        if name in taken:
            # `download.whole_bps` equals `download_whole_bps`, a field of the values.
            if (column.field or "").count(".") > 1:
                continue
            name = f"values_{name}"
        taken.add(name)
        found.append(column._replace(name=name))
    return tuple(found)


def rows(kind: str, results: Iterable[tuple[StoredResult, Result]]) -> bytes:
    """The body of an insert: its head, and a row for each result."""
    every = columns(kind)
    cells = [column.cell for column in every]
    parts = [row_binary.head((column.name, column.type) for column in every)]
    parts += [cell(stored, result) for stored, result in results for cell in cells]
    return b"".join(parts)


def _of_struct(struct: inspect.StructType, path: str, *, nullable: bool) -> Iterator[Column]:
    for field in struct.fields:
        inner = f"{path}{field.name}"
        if inner in LEFT_OUT:
            continue
        options = _options(field.type)
        may_miss = nullable or len(options) < len(_all_options(field.type))
        nested = options[0]
        if isinstance(nested, inspect.StructType) and len(options) == 1:
            yield from _of_struct(nested, f"{inner}.", nullable=may_miss)
        elif isinstance(nested, inspect.ListType | inspect.VarTupleType):
            yield from _of_list(nested, inner)
        else:
            cell = _cell(field.name, options)
            yield _column(inner, cell.nullable() if may_miss else cell)


def _of_list(listed: inspect.ListType | inspect.VarTupleType, path: str) -> Iterator[Column]:
    item = listed.item_type
    if isinstance(item, inspect.StructType):
        for field in item.fields:
            options = _options(field.type)
            cell = _cell(field.name, options)
            if len(options) < len(_all_options(field.type)):
                cell = cell.nullable()
            yield _nested(path, field.name, cell)
        return
    if isinstance(item, inspect.TupleType):
        pair = _Cell.of("Tuple(UInt64, UInt64)", _ZSTD, row_binary.pair_of_uint64)
        yield _column(path, _array(pair))
        return
    yield _column(path, _array(_cell("", _options(item))))


def _array(cell: _Cell) -> _Cell:
    encode = row_binary.array_of_uint64 if cell.type == "UInt64" else row_binary.array(cell.encode)
    return _Cell.of(f"Array({cell.type})", cell.codec, encode)


def _column(path: str, cell: _Cell) -> Column:
    read, encode = _reader(path.split(".")), cell.encode
    return Column(_name(path), cell.type, cell.codec, lambda _, result: encode(read(result)), path)


def _nested(path: str, field: str, cell: _Cell) -> Column:
    """A nested column: of each struct of a list, one field."""
    read, encode = _reader(path.split(".")), _array(cell).encode
    return Column(
        f"{_name(path)}.{field}",
        f"Array({cell.type})",
        cell.codec,
        lambda _, result: encode([getattr(item, field) for item in read(result) or ()]),
        f"{path}.{field}",
    )


def _name(path: str) -> str:
    return _RENAMED.get(path) or path.removeprefix("values.").replace(".", "_")


def _reader(names: Sequence[str]) -> Callable[[Any], Any]:
    """A function that follows the attributes; None where one on the way is None."""
    *way, last = names

    def read(holder: Any) -> Any:  # noqa: ANN401 - whatever the fields hold
        for name in way:
            holder = getattr(holder, name)
            if holder is None:
                return None
        return getattr(holder, last)

    return read


def _cell(name: str, options: Sequence[inspect.Type]) -> _Cell:
    """How the values of a field are stored. Raises TypeError: nobody has said how."""
    if len(options) > 1:
        raise TypeError(f"{name}: a union of {options}")
    match options[0]:
        case inspect.StrType():
            return _FREE_TEXT if name in _FREE_TEXTS else _TEXT
        case inspect.IntType(ge=least, le=most):
            return _integer(least, most)
        case inspect.EnumType(cls=cls) if cls in _ENUMS:
            return _enum(_ENUMS[cls])
        case inspect.EnumType():
            return _TEXT
        case other if type(other) in _BY_TYPE:
            return _BY_TYPE[type(other)]
    raise TypeError(f"{name}: {options[0]}")


def _integer(least: int | None, most: int | None) -> _Cell:
    if least is None or least < 0:
        return _Cell.of("Int64", _T64, row_binary.int64)
    if most is not None and most < 1 << 16:
        return _Cell.of("UInt16", _T64, row_binary.uint16)
    return _Cell.of("UInt64", _T64, row_binary.uint64)


def _enum(numbers: dict[str, int]) -> _Cell:
    listed = ", ".join(f"'{name!s}' = {number}" for name, number in numbers.items())
    return _Cell.of(f"Enum8({listed})", _ZSTD, row_binary.enum8(numbers))


def _all_options(info: inspect.Type) -> Sequence[inspect.Type]:
    if isinstance(info, inspect.Metadata):
        info = info.type
    return info.types if isinstance(info, inspect.UnionType) else (info,)


def _options(info: inspect.Type) -> Sequence[inspect.Type]:
    """The types that a value may have, but for None."""
    bare = (one.type if isinstance(one, inspect.Metadata) else one for one in _all_options(info))
    return [one for one in bare if not isinstance(one, inspect.NoneType)]


def _struct(info: inspect.Type) -> inspect.StructType:
    assert isinstance(info, inspect.StructType)
    return info
