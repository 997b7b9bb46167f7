"""Floor 1. The tables of the roll-ups, and a Summary as their rows.

Each step has two: the figures of `OVERVIEW_*` as columns, which SQL adds up for all lines at once
(and SQL users and Grafana read), and the whole Summary, with the sketches, as bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from collector.rollup.distribution import Distribution
from collector.rollup.metrics import OVERVIEW_KINDS, OVERVIEW_METRICS, OVERVIEW_SUMS
from collector.rollup.periods import Step
from collector.rollup.summary import HourGroups, KindCounts, Summary
from collector.store.database import Column, ColumnType, Table

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
_delta_decoder = msgspec.msgpack.Decoder(list[HourGroups])
# Shared, and never changed: two dictionaries each would be a third of a nation's overview.
_NO_NAMES: dict[str, int] = {}


def encode(summary: Summary) -> bytes:
    """A Summary as bytes."""
    return _encoder.encode(summary)


def decode(body: bytes) -> Summary:
    """The Summary that `encode` wrote."""
    return _decoder.decode(body)


def encode_delta(hours: Sequence[HourGroups]) -> bytes:
    """What a batch adds to the roll-ups, as bytes."""
    return _encoder.encode(hours)


def decode_delta(body: bytes) -> list[HourGroups]:
    """What `encode_delta` wrote."""
    return _delta_decoder.decode(body)


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
    metrics: dict[str, Distribution] = {}
    place = 0
    for kind in OVERVIEW_KINDS:
        ok, failed, skipped, valid = cells[place : place + 4]
        place += 4
        if ok is not None:
            kinds[kind] = KindCounts(
                int(ok), int(failed), int(skipped), int(valid), _NO_NAMES, _NO_NAMES
            )
    for name in OVERVIEW_METRICS:
        count, total, squares = cells[place : place + 3]
        place += 3
        if count:
            metrics[name] = Distribution(int(count), total, squares, bins=None)
    sums = {
        name: value
        for name, value in zip(OVERVIEW_SUMS, cells[place:], strict=True)
        if value is not None
    }
    return Summary(kinds, metrics, sums)
