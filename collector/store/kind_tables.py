"""Floor 1. The tables of each kind, derived from the types in `wire/`; for SQL users and Grafana.

A kind is a star schema: `latency_facts` has a row for each result, of what varies, and
`latency_dimensions` a row for each distinct combination of the rest (whose it is, texts, counters
that are mostly zero). The view `latency_results` has all of it, under the names of the fields.

Each scalar field of a kind's values is a column of the same name; so is each scalar field of a
nested struct (`download.retransmits` is `download_retransmits`). Lists of numbers and structs are
in `results.body` only. A field that is added to a kind becomes a column when the store is opened; a
column is never dropped.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import cache
from hashlib import blake2b
from operator import attrgetter, itemgetter
from typing import Any, NamedTuple

import msgspec
from msgspec import inspect
from msgspec.structs import astuple

from collector.store.batch import family_number, utc_text, without_nul
from collector.store.database import Column, ColumnType, Table
from wire.result import KINDS, Family, Outcome, Result

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
# Numbers that are nearly always the same for a target; their combinations are few.
_FEW_VALUES = {
    "family", "timeout_s", "mean_gap_s", "warm_up_s", "sent", "received", "lost", "late",
    "duplicates", "reordered", "malformed", "forged", "loss_ratio", "loss_ratio_upper95",
    "rtt_samples", "altered_timestamps", "answered", "not_found", "refused", "server_failures",
    "timeouts", "unreachable", "truncated", "failure_ratio", "server_port", "port", "streams",
    "connections", "status", "redirects",
}  # fmt: skip
# The columns that every table of facts begins with.
_FACT_KEYS = (
    Column("number", ColumnType.INTEGER, required=True),
    Column("started_at", ColumnType.INSTANT, required=True),
    Column("dimension_id", ColumnType.ID, required=True),
    # Which result of its block it is, from 0: the block's number is `number - place`.
    Column("place", ColumnType.SMALL, required=True),
)
# A row of dimensions is of the month in which it was first used, so that it can go with its facts.
_DIMENSION_KEYS = (
    Column("dimension_id", ColumnType.ID, required=True),
    Column("month", ColumnType.INTEGER, required=True),
    Column("digest", ColumnType.BYTES, required=True),
)
_DIGEST_BYTES = 12
_encode = msgspec.msgpack.Encoder().encode
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


class KindRow(NamedTuple):
    """A result's cells of both tables; `digest` is the identity of its dimensions in a month."""

    digest: bytes
    dimensions: tuple[object, ...]
    facts: tuple[object, ...]


class KindTable:
    """The tables of one kind, and its view."""

    def __init__(self, kind: str, result_type: type[Result]) -> None:
        self.kind = kind
        self._parts = tuple(_parts(result_type))
        every = (*_COMMON, *(field.column for part in self._parts for field in part.fields))
        self.columns = tuple(column.name for column in every)
        in_dimensions = [place for place, column in enumerate(every) if _is_dimension(column)]
        in_facts = [
            place
            for place, column in enumerate(every)
            if not _is_dimension(column) and column.name not in ("number", "started_at")
        ]
        self._dimensions, self._facts = itemgetter(*in_dimensions), itemgetter(*in_facts)
        self._one_fact = len(in_facts) == 1
        self.dimensions = Table(
            f"{kind}_dimensions",
            (*_DIMENSION_KEYS, *(every[place] for place in in_dimensions)),
            ("dimension_id",),
            indexes=(("digest", "month"), ("tenant", "probe", "line")),
        )
        self.facts = Table(
            f"{kind}_facts",
            (*_FACT_KEYS, *(every[place] for place in in_facts)),
            ("number",),
            "started_at",
            kind in _BY_LINE,
        )
        self.types = {column.name: column.type for column in every}
        # The cells of a plain result are its attributes and those of its values.
        self.has_plain = not any(part.path or part.converted for part in self._parts)
        of_values = _value_places(result_type, self._parts)
        self._identity, self._figures = (
            _items([of_values[every[at].name] for at in some if every[at].name in of_values])
            for some in (in_dimensions, in_facts)
        )

    def plain_cells(self, result: Result) -> tuple[tuple[object, ...], tuple[object, ...]]:
        """What names a plain result's row of dimensions, and its cells of facts after the keys.

        It has values and no flag. With its tenant and probe the name is whole.
        """
        values = astuple(result.values)  # type: ignore[arg-type]
        line, family, outcome = result.line, result.family, result.outcome
        # A member of an Enum is hashed by Python code, so that the usual ones are no members here.
        whose = (
            line.id,
            line.isp,
            result.target,
            4 if family is _IPV4 else 6 if family is _IPV6 else 0,
            outcome is _OK or outcome,
            result.reason,
        )
        return (whose, self._identity(values)), (result.duration_s, *self._figures(values))

    def row(self, tenant: str, probe: str, result: Result, body: bytes) -> KindRow:
        """A result's cells, in the order of the tables' columns after their keys.

        Args:
            tenant: whose it is.
            probe: the probe.
            result: the result.
            body: its JSON.
        """
        cells = self.cells(tenant, probe, result, body)
        dimensions = self._dimensions(cells)
        facts = self._facts(cells)
        digest = blake2b(_encode(dimensions), digest_size=_DIGEST_BYTES).digest()
        return KindRow(digest, dimensions, (facts,) if self._one_fact else facts)

    def cells(self, tenant: str, probe: str, result: Result, body: bytes) -> tuple[object, ...]:
        """A result's row of the view, in the order of `columns`, without its number and time."""
        validity = result.validity
        row: tuple[object, ...] = (
            0,
            tenant,
            probe,
            result.line.id,
            without_nul(result.line.isp),
            without_nul(result.target),
            family_number(result.family) or None,
            "",
            result.duration_s,
            result.outcome.value,
            result.reason and result.reason.value,
            " ".join(sorted(validity)) if validity else "",
        )
        values = result.values
        # NUL can only come from this escape (RFC 8259, section 7).
        plain = b"\\u0000" not in body
        for part in self._parts:
            source = values
            if part.path is not None and values is not None:
                source = getattr(values, part.path)
            row += _cells(part, source, plain)
        return row


def _value_places(result_type: type[Result], parts: Sequence[_Part]) -> dict[str, int]:
    """Which field of a kind's values each column is of, if it is of one itself."""
    values = next(f.type for f in msgspec.structs.fields(result_type) if f.name == "values")
    struct = _struct(inspect.type_info(values))
    names = [field.name for field in struct.fields] if struct is not None else []
    own = [field for part in parts if part.path is None for field in part.fields]
    return {field.column.name: names.index(field.name) for field in own}


def _items(places: Sequence[int]) -> Callable[[tuple[object, ...]], tuple[object, ...]]:
    """A function from a tuple to one of some of its items; `itemgetter` of one has no tuple."""
    if len(places) > 1:
        return itemgetter(*places)
    return lambda values: tuple(values[place] for place in places)


_OK, _IPV4, _IPV6 = Outcome.OK, Family.IPV4, Family.IPV6


def _is_dimension(column: Column) -> bool:
    return column.type in (ColumnType.TEXT, ColumnType.BOOLEAN) or column.name in _FEW_VALUES


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
