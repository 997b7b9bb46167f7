"""Floor 1. The tables of the roll-ups, and a Summary as their rows.

Each step has two: the figures of `OVERVIEW_*` as columns, which SQL adds up for all lines at once
(and SQL users and Grafana read), and the whole Summary, with the sketches, as bytes.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import isnan, nan
from typing import Any, ClassVar, NamedTuple, TypeVar

import msgspec
from msgspec import Struct

from collector.rollup.distribution import Distribution
from collector.rollup.metrics import OVERVIEW_KINDS, OVERVIEW_METRICS, OVERVIEW_SUMS
from collector.rollup.periods import Step
from collector.rollup.summary import HourGroups, KindCounts, Summary, group_by_hour
from collector.rollup.windows import WindowCollector, WindowColumns
from collector.store.database import Column, ColumnType, Table
from wire.record import Result

V = TypeVar("V")
_METRIC_PLACES = {name: 3 * place for place, name in enumerate(OVERVIEW_METRICS)}
_SUM_PLACES = {name: place for place, name in enumerate(OVERVIEW_SUMS, 3 * len(OVERVIEW_METRICS))}
_COUNTS = ("ok", "failed", "skipped", "valid")
_KEY = (
    Column("line_id", ColumnType.INTEGER, required=True),
    Column("start_s", ColumnType.INTEGER, required=True),
    Column("revision", ColumnType.INTEGER, required=True),
    Column("changed_at", ColumnType.TIME, required=True),
)


def _figure_columns() -> Iterator[Column]:
    for kind in OVERVIEW_KINDS:
        for count in _COUNTS:
            yield Column(f"{kind}_{count}", ColumnType.INTEGER)
    for metric in OVERVIEW_METRICS:
        yield Column(f"{metric}_count", ColumnType.INTEGER)
        yield Column(f"{metric}_sum", ColumnType.REAL)
        yield Column(f"{metric}_squares", ColumnType.REAL)
    for name in OVERVIEW_SUMS:
        yield Column(name, ColumnType.REAL)


FIGURE_COLUMNS = tuple(_figure_columns())
FIGURES = {
    # Hours are queried line by line, days and months for all lines at once.
    step: Table(
        f"rollup_{step}",
        (*_KEY, *FIGURE_COLUMNS),
        ("line_id", "start_s") if step is Step.HOUR else ("start_s", "line_id"),
    )
    for step in Step
}
BODIES = {
    step: Table(
        f"rollup_{step}_summary",
        (*_KEY, Column("body", ColumnType.BYTES, required=True)),
        ("line_id", "start_s"),
    )
    for step in Step
}
TABLES = (*FIGURES.values(), *BODIES.values())

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Summary)
_groups_decoder = msgspec.msgpack.Decoder(list[HourGroups])
# MessagePack uses this byte for nothing: a delta without it is of a version without columns.
_WITH_COLUMNS = b"\xc1"
# Shared, and never changed: two dictionaries each would be a third of a nation's overview.
_NO_NAMES: dict[str, int] = {}


def encode(summary: Summary) -> bytes:
    """A Summary as bytes."""
    return _encoder.encode(summary)


def decode(body: bytes) -> Summary:
    """The Summary that `encode` wrote."""
    return _decoder.decode(body)


class BatchDelta(Struct, frozen=True, array_like=True):
    """What a batch adds to the roll-ups: plain latency windows as columns, groups of the others."""

    windows: WindowColumns | None
    hours: list[HourGroups]


_delta_decoder = msgspec.msgpack.Decoder(BatchDelta)


class ProbeResults(NamedTuple):
    """Results of a probe, and when they started (microseconds since 1970)."""

    tenant: str
    probe: str
    results: Sequence[Result]
    started_us: Sequence[int]


def delta_of(every: Iterable[ProbeResults]) -> BatchDelta:
    """What some results add."""
    windows = WindowCollector()
    others = [(some.tenant, some.probe, result) for some in every for result in windows.take(*some)]
    return BatchDelta(windows.columns(), group_by_hour(others))


def encode_delta(delta: BatchDelta) -> bytes:
    """What a batch adds to the roll-ups, as bytes."""
    return _WITH_COLUMNS + _encoder.encode(delta)


def decode_delta(body: bytes) -> BatchDelta:
    """What `encode_delta` wrote, or a version before it."""
    if body.startswith(_WITH_COLUMNS):
        return _delta_decoder.decode(memoryview(body)[1:])
    return BatchDelta(None, _groups_decoder.decode(body))


def figures(summary: Summary) -> list[object]:
    """A Summary as the cells of `FIGURE_COLUMNS`; None for a metric that has no figure."""
    cells: list[object] = []
    for kind in OVERVIEW_KINDS:
        counts = summary.kinds.get(kind)
        cells += (
            (None,) * 4
            if counts is None
            else (counts.ok, counts.failed, counts.skipped, counts.valid)
        )
    for name in OVERVIEW_METRICS:
        found = summary.metrics.get(name)
        cells += (None,) * 3 if found is None else (found.count, found.total, found.squares)
    cells += [summary.sums.get(name) for name in OVERVIEW_SUMS]
    return cells


def from_figures(cells: Sequence[Any]) -> Summary:
    """The Summary of added-up figures: without sketches, least and most."""
    kinds: dict[str, KindCounts] = {}
    place = 0
    for kind in OVERVIEW_KINDS:
        ok, failed, skipped, valid = cells[place : place + 4]
        place += 4
        if ok is not None:
            kinds[kind] = KindCounts(
                int(ok), int(failed), int(skipped), int(valid), _NO_NAMES, _NO_NAMES
            )
    row = array("d", (nan if cell is None else cell for cell in cells[place:]))
    for count in _METRIC_PLACES.values():
        row[count] = row[count] or nan
    return Summary(kinds, _Metrics(row), _Sums(row))


class _Cells(Mapping[str, V]):
    """The figures of a line in an overview; a value is made from its cells when it is asked for.

    `row`: count, total and squares of each of `OVERVIEW_METRICS`, then `OVERVIEW_SUMS`; NaN where
    there is none. A nation has thousands, of which a page reads a few figures each: dictionaries of
    objects would take four times the memory.
    """

    __slots__ = ("_row",)
    _places: ClassVar[Mapping[str, int]]

    def __init__(self, row: array[float]) -> None:
        self._row = row

    def __getitem__(self, name: str) -> V:
        cell = self._row[self._places[name]]
        if isnan(cell):
            raise KeyError(name)
        return self._value(self._places[name])

    def __iter__(self) -> Iterator[str]:
        return (name for name, place in self._places.items() if not isnan(self._row[place]))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _value(self, place: int) -> V:
        raise NotImplementedError


class _Metrics(_Cells[Distribution]):
    __slots__ = ()
    _places = _METRIC_PLACES

    def _value(self, place: int) -> Distribution:
        count, total, squares = self._row[place : place + 3]
        return Distribution(int(count), total, squares, bins=None)


class _Sums(_Cells[float]):
    __slots__ = ()
    _places = _SUM_PLACES

    def _value(self, place: int) -> float:
        return self._row[place]
