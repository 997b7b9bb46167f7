"""Floor 1. What latency windows add to the roll-ups, as columns of many results at once.

Nearly all results are such windows. A Python object a figure costs most of a roll-up, so a batch
keeps the figures of its windows as columns, and numpy makes the Summary of each hour of a line from
the columns of many batches. What it makes is what `summary_of` makes, but for the last bits of sums
of floats.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from msgspec import Struct
from msgspec.structs import replace

from collector.registry.registry import LineKey
from collector.rollup import distribution
from collector.rollup.distribution import COUNT_MOST, Distribution
from collector.rollup.metrics import kind_metrics, metric_kind, reader
from collector.rollup.summary import PACKETS, HourKey, KindCounts, Summary
from wire.kinds.latency import LatencyResult, LatencyValues
from wire.result import HOST_LINE, Family, Outcome, Result

KIND = "latency"
_NONE = np.empty(0, np.uint16)
_WIDTHS: dict[int, type[Any]] = {2: np.uint16, 4: np.uint32}
Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
_Flags = npt.NDArray[np.bool_]
_FIGURES, _SUMS = len(kind_metrics(KIND).figures), len(kind_metrics(KIND).sums)


class Series(Struct, frozen=True, array_like=True, gc=False):
    """Whose windows of which target; `named` as in `ResultGroup`."""

    tenant: str
    probe: str
    line: str
    family: Family | None
    named: str | None


class WindowColumns(Struct, frozen=True, array_like=True, gc=False):
    """Windows that went well, without a flag, in their order. Little-endian columns:

    `series` (32 bits) index `names`; `hours` (32 bits) are hours since 1970. The windows whose
    series is named have more: `figures` (64-bit floats, NaN for None) has a row of `kind_metrics`
    for each, `lengths` (32 bits) the number of its `packets` (us, of `width` bytes), `lost` (64
    bits) its lost packets.
    """

    names: list[Series]
    series: bytes
    hours: bytes
    figures: bytes
    lengths: bytes
    lost: bytes
    width: int
    packets: bytes

    @property
    def results(self) -> int:
        """The number of windows."""
        return len(self.series) // 4


class WindowCollector:
    """Makes the columns of some results; it leaves what is no plain window."""

    def __init__(self) -> None:
        self._names: dict[_SeriesName, int] = {}
        self._of_target: dict[str | None, str | None] = {}
        self._series: list[int] = []
        self._hours: list[int] = []
        self._figures: list[float | None] = []
        self._lengths: list[int] = []
        self._lost: list[int] = []
        self._packets = array("I")

    def take(
        self, tenant: str, probe: str, results: Sequence[Result], started_us: Sequence[int]
    ) -> list[Result]:
        """Take the plain windows of a probe; returns the other results, in their order.

        `started_us` are the results' times in microseconds since 1970.
        """
        others = []
        for result, at_us in zip(results, started_us, strict=True):
            values = _plain(result)
            if values is None or at_us < 0 or result.line.id == HOST_LINE.id:
                others.append(result)
                continue
            target = result.target
            if target not in self._of_target:
                self._of_target[target] = metric_kind(KIND, target)
            named = self._of_target[target]
            if named is not None and not self._add(values):
                others.append(result)
                continue
            name = tenant, probe, result.line.id, result.family, named
            self._series.append(self._names.setdefault(name, len(self._names)))
            self._hours.append(at_us // _HOUR_US)
        return others

    def _add(self, values: LatencyValues) -> bool:
        """Add the figures of a window; False where a packet needs more than 32 bits."""
        packets = values.rtt_us or []
        try:
            self._packets += array("I", packets)
        except OverflowError:
            return False
        self._figures += _read(values)
        self._lengths.append(len(packets))
        self._lost.append(values.lost)
        return True

    def columns(self) -> WindowColumns | None:
        """The columns of what was taken; None where that is nothing."""
        if not self._series:
            return None
        width, packets = _narrow(np.frombuffer(self._packets, "<u4"))
        return WindowColumns(
            [Series(*name) for name in self._names],
            array("I", self._series).tobytes(),
            array("I", self._hours).tobytes(),
            np.array(self._figures, dtype="<f8").tobytes(),
            array("I", self._lengths).tobytes(),
            array("q", self._lost).tobytes(),
            width,
            packets,
        )


def _narrow(packets: npt.NDArray[Any]) -> tuple[int, bytes]:
    """The width in bytes in which all of these fit, and their bytes."""
    width = 2 if packets.max(initial=0) < 1 << 16 else 4
    return width, packets.astype(_WIDTHS[width]).tobytes()


# Tenant, probe, line, family; what its target is named in the metrics.
_SeriesName = tuple[str, str, str, Family | None, str | None]
_HOUR_US = 3_600_000_000
_HOUR_BITS = 32
_HOUR_MASK = (1 << _HOUR_BITS) - 1
_read = reader(KIND)


def _plain(result: Result) -> LatencyValues | None:
    """The values of a window that went well and has no flag; None of any other result."""
    if (
        not isinstance(result, LatencyResult)
        or result.outcome is not Outcome.OK
        or result.validity
        or result.values is None
        or result.values.rtt_us is None
    ):
        return None
    return result.values


class Windows:
    """The windows of many batches, divided by hour, line and family."""

    def __init__(self, columns: Sequence[WindowColumns]) -> None:
        known: dict[Series, int] = {}
        places = [[known.setdefault(name, len(known)) for name in one.names] for one in columns]
        self._names = list(known)
        self._series = _joined(
            np.array(place)[np.frombuffer(one.series, "<u4")]
            for one, place in zip(columns, places, strict=True)
        )
        self._hours = _joined(np.frombuffer(one.hours, "<u4") for one in columns)
        self._named = _Named(
            np.frombuffer(b"".join(one.figures for one in columns), "<f8").reshape(
                -1, _FIGURES + _SUMS
            ),
            _joined(np.frombuffer(one.lengths, "<u4") for one in columns),
            _joined(np.frombuffer(one.lost, "<i8") for one in columns),
            np.concatenate(
                [_NONE, *(np.frombuffer(one.packets, _WIDTHS[one.width]) for one in columns)]
            ),
        )
        lines: dict[_LineName, int] = {}
        line_of = np.array(
            [lines.setdefault(_line_name(name), len(lines)) for name in self._names], np.int64
        )
        codes = (line_of[self._series] << _HOUR_BITS) + self._hours
        # By line in the order of their first windows: what is left comes first the next time.
        found, self._place = np.unique(codes, return_inverse=True)
        owners = list(lines)
        self.hours = [
            _hour_key(owners[code >> _HOUR_BITS], code & _HOUR_MASK) for code in found.tolist()
        ]

    @property
    def results(self) -> int:
        """The number of windows."""
        return len(self._series)

    def summaries(self, most_hours: int) -> dict[HourKey, Summary]:
        """The Summaries of the first hours."""
        taken = self._place < most_hours
        hours = min(len(self.hours), most_hours)
        counts = np.bincount(self._place[taken], minlength=hours).tolist()
        metrics: list[dict[str, Distribution]] = [{} for _ in range(hours)]
        sums: list[dict[str, float]] = [{} for _ in range(hours)]
        names = np.array([name.named or "" for name in self._names])[self._series]
        of_named = names != ""
        for named in np.unique(names[of_named & taken]).tolist():
            part = self._named.of((taken & (names == named))[of_named])
            part.add_to(named, self._place[taken & (names == named)], metrics, sums)
        return {
            key: Summary({KIND: KindCounts(count, valid=count)}, metrics[place], sums[place])
            for place, (key, count) in enumerate(zip(self.hours[:hours], counts, strict=True))
        }

    def rest(self, most_hours: int) -> WindowColumns | None:
        """The columns of the hours after the first ones; None where there are none."""
        left = self._place >= most_hours
        if not left.any():
            return None
        of_named = np.array([name.named is not None for name in self._names])[self._series]
        used, series = np.unique(self._series[left], return_inverse=True)
        # In the order of the names as they are.
        part = self._named.of(left[of_named])
        width, packets = _narrow(part.packets)
        return WindowColumns(
            [self._names[name] for name in used.tolist()],
            series.astype("<u4").tobytes(),
            self._hours[left].astype("<u4").tobytes(),
            part.figures.tobytes(),
            part.lengths.astype("<u4").tobytes(),
            part.lost.astype("<i8").tobytes(),
            width,
            packets,
        )


class _Named(NamedTuple):
    """The windows whose series is named: a row of figures each, and their packets."""

    figures: Floats
    lengths: Integers
    lost: Integers
    packets: npt.NDArray[Any]

    def of(self, wanted: _Flags) -> _Named:
        """Those that are wanted."""
        return _Named(
            self.figures[wanted],
            self.lengths[wanted],
            self.lost[wanted],
            self.packets[np.repeat(wanted, self.lengths)],
        )

    def add_to(
        self,
        named: str,
        place: Integers,
        metrics: list[dict[str, Distribution]],
        sums: list[dict[str, float]],
    ) -> None:
        """Add the metrics and sums of these windows, which are all named so, at their places."""
        wanted = kind_metrics(named)
        for metric, column in zip(wanted.figures, self.figures.T, strict=False):
            known = ~np.isnan(column)
            for hour, found in _distributions(place[known], column[known]):
                metrics[hour][metric.name] = found
        for metric, column in zip(wanted.sums, self.figures.T[_FIGURES:], strict=True):
            known = ~np.isnan(column)
            totals = np.bincount(place[known], column[known]).tolist()
            for hour in np.unique(place[known]).tolist():
                sums[hour][metric.name] = totals[hour]
        for hour, found in self._delays(place, len(metrics)):
            metrics[hour][f"{named}_{PACKETS}"] = found

    def _delays(self, place: Integers, hours: int) -> Iterator[tuple[int, Distribution]]:
        """Of each hour the Distribution of its packets, as `delays` makes it."""
        lost = [0] * hours
        for hour, count in zip(place.tolist(), self.lost.tolist(), strict=True):
            lost[hour] = min(lost[hour] + count, COUNT_MOST)
        for hour, found in _delay_distributions(place, self.lengths, self.packets):
            yield hour, replace(found, infinite=lost[hour])
            lost[hour] = 0
        for hour, count in enumerate(lost):
            if count:
                yield hour, Distribution(infinite=count)


_LineName = tuple[str, str, str, Family | None]


def _line_name(name: Series) -> _LineName:
    return name.tenant, name.probe, name.line, name.family


def _hour_key(name: _LineName, hour: int) -> HourKey:
    tenant, probe, line, family = name
    return HourKey(LineKey(tenant, probe, line), hour * 3600, family)


def _joined(parts: Iterable[npt.NDArray[Any]]) -> Integers:
    return np.concatenate([np.empty(0, np.int64), *parts]).astype(np.int64)


class _Figures(NamedTuple):
    """Statistics of items, each of one figure or more."""

    counts: Integers
    totals: Floats
    squares: Floats
    least: npt.NDArray[Any]
    most: npt.NDArray[Any]
    zeros: Integers

    def by_place(
        self, place: Integers, bins: dict[int, dict[int, int]], unit: float = 1.0
    ) -> Iterator[_Placed]:
        """The Distribution of the items at each place, in a unit of so many, with these bins."""
        order = np.argsort(place, kind="stable")
        starts = np.flatnonzero(np.diff(place[order], prepend=-1))
        columns = (
            place[order][starts],
            np.add.reduceat(self.counts[order], starts),
            np.add.reduceat(self.totals[order], starts) / unit,
            np.add.reduceat(self.squares[order], starts) / unit**2,
            np.minimum.reduceat(self.least[order], starts) / unit,
            np.maximum.reduceat(self.most[order], starts) / unit,
            np.add.reduceat(self.zeros[order], starts),
        )
        rows = zip(*(column.tolist() for column in columns), strict=True)
        for at, count, total, squares, least, most, zeros in rows:
            found = bins.get(at, {})
            yield at, Distribution(count, total, squares, least, most, 0, zeros, found)


_Placed = tuple[int, Distribution]


def _distributions(place: Integers, values: Floats) -> Iterator[_Placed]:
    """The Distribution of the figures at each place. ValueError for a negative one."""
    if not len(values):
        return
    if values.min() < 0:
        raise ValueError(f"a figure is negative: {values.min()}")
    above = values > 0
    figures = _Figures(
        np.ones(len(values), np.int64), values, values * values, values, values,
        (~above).astype(np.int64),
    )  # fmt: skip
    keys = _keys(values[above])
    yield from figures.by_place(place, _bins(place[above], keys))


def _delay_distributions(
    place: Integers, lengths: Integers, packets: npt.NDArray[Any]
) -> Iterator[_Placed]:
    """The Distribution, in milliseconds, of windows of packets (us) at each place."""
    some = lengths > 0
    place, lengths = place[some], lengths[some]
    if not len(place):
        return
    starts = np.cumsum(lengths) - lengths
    figures = _Figures(
        lengths,
        np.add.reduceat(packets, starts, dtype=np.float64),
        np.add.reduceat(np.square(packets, dtype=np.float64), starts),
        np.minimum.reduceat(packets, starts),
        np.maximum.reduceat(packets, starts),
        np.add.reduceat(packets == 0, starts, dtype=np.int64),
    )
    above = packets > 0
    bins = _bins(np.repeat(place, lengths)[above], _delay_keys(packets[above]))
    yield from figures.by_place(place, bins, 1e3)


def _bins(place: Integers, keys: Integers) -> dict[int, dict[int, int]]:
    """How many values of each bin there are at each place."""
    if not len(keys):
        return {}
    low = int(keys.min())
    span = int(keys.max()) - low + 1
    codes, counts = _counted(place * span + (keys - low))
    hours, numbers, many = (codes // span), (codes % span + low).tolist(), counts.tolist()
    starts = np.flatnonzero(np.diff(hours, prepend=-1)).tolist()
    return {
        int(hours[begin]): dict(zip(numbers[begin:end], many[begin:end], strict=True))
        for begin, end in zip(starts, [*starts[1:], len(numbers)], strict=True)
    }


def _counted(codes: Integers) -> tuple[Integers, Integers]:
    """The distinct codes, ascending, and how many there are of each."""
    if codes.max() > _MOST_CELLS:
        return np.unique(codes, return_counts=True)
    # A tenth of the cost of sorting them.
    counts = np.bincount(codes)
    found = np.flatnonzero(counts)
    return found, counts[found]


# Of 8 bytes: a thousand hours with the bins of delays up to a second.
_MOST_CELLS = 1 << 21


def _keys(figures: Floats) -> Integers:
    """The bins of figures above 0: to the bit those of `bin_numbers`."""
    places = np.log2(figures) * distribution.MULTIPLIER
    keys: Integers = np.ceil(places).astype(np.int64)
    # numpy's logarithm may differ in the last bits, which matters beside the edge of a bin alone.
    near = np.abs(places - np.rint(places)) < _EDGE
    if near.any():
        keys[near] = distribution.bin_numbers(figures[near].tolist())
    return keys


# A logarithm is below 2**17 bins, with an error of 2**-50 of that at most.
_EDGE = 1e-6


def _delay_keys(microseconds: npt.NDArray[Any]) -> Integers:
    """The bins, in milliseconds, of delays above 0."""
    table = delay_table()
    keys: Integers = table[np.minimum(microseconds, len(table) - 1)]
    large = microseconds >= len(table)
    if large.any():
        keys[large] = _keys(microseconds[large] / 1e3)
    return keys


@cache
def delay_table() -> Integers:
    """What `bin_by_microsecond` has, in a tenth of its time, which each start takes."""
    return np.concatenate([[0], _keys(np.arange(1, distribution.TABLE_MICROSECONDS) / 1e3)])
