"""Floor 1. Which fields of raw results are public, as columns derived from the types in `wire/`.

Numbers, times, closed lists and yes or no are columns. A text is one only if it is in `TEXTS`:
others name addresses, servers, pages and people. So a field that is added to a kind is public as
soon as it has a description (`collector.open_data.dictionary`), unless it is a text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec
from msgspec import inspect

from collector.rollup.metrics import invalidating, metric_kind
from collector.rollup.summary import SPEED_KINDS
from collector.store.messages import SignatureOutcome
from wire.record import Outcome
from wire.result import KINDS, Result

# The kinds that are published. Of the others, `path` is made of the addresses of hops, and
# `results_dropped` and `identify` concern the box.
PUBLIC_KINDS = ("throughput", "http", "latency", "dns", "web", "availability", "outage")
# Texts that a program chooses from few.
TEXTS = frozenset(
    {
        "protocol", "layer", "pdv_name", "timestamp_source", "http_version", "tls_version",
        "congestion_control_sender", "congestion_control_receiver",
    }
)  # fmt: skip
# Fields of values that are not published though they are no texts, and why.
LEFT_OUT = {
    "server_port": "of the measurement server",
    "port": "of the resolver or the page's server",
    "loaded_download": "its percentiles are in rtt_loaded_download_…",
    "loaded_upload": "its percentiles are in rtt_loaded_upload_…",
}
UNSIGNED = "unsigned"


class ColumnType(StrEnum):
    """The types of Table Schema (Frictionless Data) that columns have."""

    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATETIME = "datetime"


class Facts(NamedTuple):
    """Of a result what is not in it: its line's columns, and how its signature was checked."""

    line: str
    commune_code: str
    isp: str
    target: str | None
    signature: SignatureOutcome | None


class Column(NamedTuple):
    """A column. `field` is the field's name in the types, `part` the struct that has it, if any.

    `choices`: the closed list of its values.
    """

    name: str
    type: ColumnType
    cell: Callable[[Result, Facts], object]
    field: str
    part: str = ""
    choices: tuple[str, ...] = ()


def _of(name: str, type_: ColumnType, read: Callable[[Result], object], *choices: str) -> Column:
    return Column(name, type_, lambda result, _: read(result), name, choices=choices)


def _fact(name: str, *choices: str) -> Column:
    read = attrgetter(name)
    return Column(name, ColumnType.STRING, lambda _, facts: read(facts), name, choices=choices)


def enters_figures(result: Result) -> bool:
    """Whether the centre's means and percentiles have it (docs/method.md#roll-ups)."""
    if result.kind in SPEED_KINDS and result.slot_at is None:
        return False
    return (
        result.values is not None
        and metric_kind(result.kind, result.target) is not None
        and invalidating(result.kind).isdisjoint(result.validity)
    )


def _settings(result: Result) -> str | None:
    """The numbers and yes or no among the method's settings; texts may name servers."""
    if result.method is None:
        return None
    shown = {k: v for k, v in result.method.settings.items() if isinstance(v, bool | int | float)}
    return msgspec.json.encode(shown, order="deterministic").decode()


_COMMON = (
    _fact("line"),
    _fact("commune_code"),
    _fact("isp"),
    _of("started_at", ColumnType.DATETIME, lambda one: one.started_at),
    _of("duration_s", ColumnType.NUMBER, lambda one: one.duration_s),
    _of("slot_at", ColumnType.DATETIME, lambda one: one.slot_at),
    _of("family", ColumnType.STRING, lambda one: one.family, "ipv4", "ipv6"),
    _fact("target"),
    _of("outcome", ColumnType.STRING, lambda one: one.outcome, *Outcome),
    _of("reason", ColumnType.STRING, lambda one: one.reason),
    _of("validity", ColumnType.STRING, lambda one: " ".join(one.validity) or None),
    _of("in_figures", ColumnType.BOOLEAN, enters_figures),
    Column(
        "signature",
        ColumnType.STRING,
        lambda _, facts: facts.signature or UNSIGNED,
        "signature",
        choices=(*(one.value for one in SignatureOutcome), UNSIGNED),
    ),
    _of("nat", ColumnType.STRING, lambda one: one.operator and one.operator.nat),
    _of("clock_synchronised", ColumnType.BOOLEAN, lambda one: one.clock.synchronised),
    _of("method_tool", ColumnType.STRING, lambda one: one.method and one.method.tool),
    _of("method_version", ColumnType.STRING, lambda one: one.method and one.method.version),
    _of("method_settings", ColumnType.STRING, _settings),
    _of("probe_version", ColumnType.STRING, lambda one: one.probe_version),
)


@cache
def columns(kind: str) -> tuple[Column, ...]:
    """The columns of a kind's files."""
    values = next(f.type for f in msgspec.structs.fields(KINDS[kind]) if f.name == "values")
    struct = _struct(inspect.type_info(values))
    assert struct is not None
    found = {column.name: column for column in _COMMON}
    for column in _of_struct(struct):
        # `download.whole_bps` equals `download_whole_bps`, a field of the values.
        found.setdefault(column.name, column)
    return tuple(found.values())


def text(cell: object) -> str:
    """A cell of CSV."""
    match cell:
        case None:
            return ""
        case bool():
            return "true" if cell else "false"
        case datetime():
            return cell.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        case float():
            return repr(cell)
        case _:
            return str(cell)


def _of_struct(struct: inspect.StructType, part: str = "") -> Iterator[Column]:
    for field in struct.fields:
        if field.name in LEFT_OUT:
            continue
        nested = _struct(field.type)
        if nested is not None and not part:
            yield from _of_struct(nested, field.name)
        elif (found := _type(field)) is not None:
            type_, choices = found
            name = f"{part}_{field.name}" if part else field.name
            yield Column(name, type_, _reader(part, field.name), field.name, part, choices)


def _reader(part: str, name: str) -> Callable[[Result, Facts], object]:
    def read(result: Result, _: Facts) -> Any:  # noqa: ANN401 - whatever the fields hold
        holder: Any = result.values
        for step in (part, name) if part else (name,):
            if holder is None:
                return None
            holder = getattr(holder, step)
        return holder

    return read


def _type(field: inspect.Field) -> tuple[ColumnType, tuple[str, ...]] | None:
    """The type and the closed list of a field, None where it is not public."""
    options = _options(field.type)
    if len(options) != 1:
        return None
    match options[0]:
        case inspect.BoolType():
            return ColumnType.BOOLEAN, ()
        case inspect.IntType():
            return ColumnType.INTEGER, ()
        case inspect.FloatType():
            return ColumnType.NUMBER, ()
        case inspect.DateTimeType():
            return ColumnType.DATETIME, ()
        case inspect.EnumType(cls=cls):
            return ColumnType.STRING, tuple(str(one.value) for one in cls)
        case inspect.StrType() if field.name in TEXTS:
            return ColumnType.STRING, ()
    return None


def _options(info: inspect.Type) -> Sequence[inspect.Type]:
    """The types that a value may have, but for None."""
    while isinstance(info, inspect.Metadata):
        info = info.type
    every = info.types if isinstance(info, inspect.UnionType) else (info,)
    bare = (one.type if isinstance(one, inspect.Metadata) else one for one in every)
    return [one for one in bare if not isinstance(one, inspect.NoneType)]


def _struct(info: inspect.Type) -> inspect.StructType | None:
    options = _options(info)
    return options[0] if len(options) == 1 and isinstance(options[0], inspect.StructType) else None
