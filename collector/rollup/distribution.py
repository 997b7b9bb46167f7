"""Floor 1. A Distribution: mergeable statistics of many figures: exact moments and a sketch.

Count, sum and sum of squares are exact, for the regulation's means (QCVN 34:2022/BTTTT:
arithmetic mean). Percentiles come from a DDSketch (Masson, Rim, Lee: VLDB 2019): bins of
relative width, whose merge is the sketch of the whole; each percentile is within 1 % of the true
one. A lost packet has no figure: it counts as +infinity in percentiles (RFC 7679, section 5), is
counted in `infinite`, and is in no mean.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cache, reduce
from itertools import chain, repeat
from math import ceil, log
from operator import add, itemgetter

import numpy as np
from ddsketch.mapping import LogarithmicMapping
from msgspec import Struct

RELATIVE_ERROR = 0.01
# A bound that no line reaches; it keeps what a broken probe invents within 64-bit integers.
COUNT_MOST = 2**53 - 1
_MAPPING = LogarithmicMapping(RELATIVE_ERROR)
MULTIPLIER: float = _MAPPING._multiplier  # noqa: SLF001 - `bin_numbers` is compared with the library's


class Distribution(Struct, frozen=True, array_like=True, gc=False):
    """Statistics of `count` figures, none negative, and of `infinite` lost ones.

    `bins` is the sketch: bin number to count; `zeros` counts the figures of exactly 0, which have
    no bin. None where it was not read; then there are no percentiles.
    """

    count: int = 0
    total: float = 0.0
    squares: float = 0.0
    least: float | None = None
    most: float | None = None
    infinite: int = 0
    zeros: int = 0
    bins: dict[int, int] | None = {}

    @property
    def mean(self) -> float | None:
        """The arithmetic mean, None without figures."""
        return self.total / self.count if self.count else None

    @property
    def deviation(self) -> float | None:
        """The standard deviation of the sample, None under two figures."""
        if self.count < 2:
            return None
        spread = self.squares - self.total * self.total / self.count
        return math.sqrt(max(spread, 0.0) / (self.count - 1))

    def quantile(self, share: float) -> float | None:
        """The smallest figure with F(x) >= share (RFC 2330 §11.3), within 1 %.

        None without figures, where it falls among the infinite, or without the sketch. The caller
        decides whether the sample is large enough.
        """
        if self.bins is None:
            return None
        rank = max(math.ceil(share * (self.count + self.infinite)), 1)
        if rank > self.count or self.least is None or self.most is None:
            return None
        if rank == self.count:
            return self.most
        below = self.zeros
        if rank <= below:
            return 0.0
        for key in sorted(self.bins):
            below += self.bins[key]
            if rank <= below:
                # The middle of a bin may lie beyond the extremes.
                return min(max(_MAPPING.value(key), self.least), self.most)
        return self.most

    def merged(self, other: Distribution) -> Distribution:
        """The Distribution of all figures of both."""
        if not other.count and not other.infinite:
            return self
        if not self.count and not self.infinite:
            return other
        return Distribution(
            self.count + other.count,
            self.total + other.total,
            self.squares + other.squares,
            _extreme(min, self.least, other.least),
            _extreme(max, self.most, other.most),
            min(self.infinite + other.infinite, COUNT_MOST),
            self.zeros + other.zeros,
            _merged_bins(self.bins, other.bins),
        )


def distribution(figures: Sequence[float], infinite: int = 0) -> Distribution:
    """The Distribution of figures and of `infinite` lost ones. ValueError for a negative one."""
    if not figures:
        return Distribution(infinite=infinite)
    least = min(figures)
    if least < 0:
        raise ValueError(f"a figure is negative: {least}")
    if len(figures) == 1:
        return _one(float(least), infinite)
    above = figures if least else [figure for figure in figures if figure > 0]
    return Distribution(
        len(figures),
        # Not fsum, which raises where the sum is infinite, as a broken probe can make it.
        float(sum(figures)),
        _squares(figures),
        float(least),
        float(max(figures)),
        infinite,
        len(figures) - len(above),
        dict(Counter(bin_numbers(above))),
    )


def delays(microseconds: Sequence[int], infinite: int = 0) -> Distribution:
    """The Distribution, in milliseconds, of delays in whole microseconds; `infinite` were lost.

    Equal to `distribution` of the thousandth parts, but faster (fifty delays in each of 15 million
    results a day): integers are added, and their bins are looked up in a table.

    Raises:
        ValueError: one of them is negative.
    """
    if not microseconds:
        return Distribution(infinite=infinite)
    least, most = min(microseconds), max(microseconds)
    if least < 0:
        raise ValueError(f"a delay is negative: {least}")
    above = microseconds if least else [delay for delay in microseconds if delay]
    return Distribution(
        len(microseconds),
        sum(microseconds) / 1e3,
        _squares(microseconds) / 1e6,
        least / 1e3,
        most / 1e3,
        infinite,
        len(microseconds) - len(above),
        dict(Counter(_bins_of(above, most))),
    )


def _squares(figures: Sequence[float]) -> float:
    # As exact as a sum of products, in a fifth of its time.
    length = math.hypot(*figures)
    return length * length


def _bins_of(microseconds: Sequence[int], most: int) -> Iterable[int]:
    if most < TABLE_MICROSECONDS and len(microseconds) > 1:
        found: tuple[int, ...] = itemgetter(*microseconds)(bin_by_microsecond())
        return found
    return bin_numbers(delay / 1e3 for delay in microseconds)


# Above this (65 ms, rare in the country) the bin is computed.
TABLE_MICROSECONDS = 1 << 16


@cache
def bin_by_microsecond() -> list[int]:
    """The bin, in milliseconds, of each number of microseconds; index 0 is unused."""
    shared: dict[int, int] = {}
    bins = bin_numbers(delay / 1e3 for delay in range(1, TABLE_MICROSECONDS))
    return [0, *(shared.setdefault(number, number) for number in bins)]


def bin_numbers(figures: Iterable[float]) -> list[int]:
    """The bins of figures above 0, as the mapping's `key` has them, at a third of its cost."""
    return [ceil(log(figure, 2) * MULTIPLIER) for figure in figures]


def _one(figure: float, infinite: int) -> Distribution:
    """The Distribution of one figure; of a live probe a column has no more."""
    squares = figure * figure
    if not figure:
        return Distribution(1, 0.0, 0.0, 0.0, 0.0, infinite, 1, {})
    bins = {ceil(log(figure, 2) * MULTIPLIER): 1}
    return Distribution(1, figure, squares, figure, figure, infinite, 0, bins)


def merge_all(parts: Iterable[Distribution]) -> Distribution:
    """The Distribution of all figures of all parts: what `merged` makes of them, one by one.

    In one pass: each `merged` would copy all bins that the parts before it have.
    """
    some = [part for part in parts if part.count or part.infinite]
    if len(some) < 3:
        return (
            Distribution() if not some else some[0] if len(some) == 1 else some[0].merged(some[1])
        )
    return Distribution(
        sum(part.count for part in some),
        _in_order(part.total for part in some),
        _in_order(part.squares for part in some),
        min((part.least for part in some if part.least is not None), default=None),
        max((part.most for part in some if part.most is not None), default=None),
        min(sum(part.infinite for part in some), COUNT_MOST),
        sum(part.zeros for part in some),
        _all_bins([part.bins for part in some]),
    )


def _extreme(
    choose: Callable[[float, float], float], one: float | None, other: float | None
) -> float | None:
    if one is None or other is None:
        return other if one is None else one
    return choose(one, other)


def _in_order(figures: Iterable[float]) -> float:
    """Their sum, added one by one: later Pythons' `sum` compensates, and would differ by a bit."""
    return reduce(add, figures)


def _all_bins(parts: Sequence[dict[int, int] | None]) -> dict[int, int] | None:
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    bins = np.fromiter(chain.from_iterable(known), np.int64)
    counts = np.fromiter(chain.from_iterable(part.values() for part in known), np.int64)
    if not len(bins):
        return {}
    low = int(bins.min())
    # From the least to the largest float above 0 there are less than a hundred thousand bins.
    totals = np.zeros(int(bins.max()) - low + 1, np.int64)
    np.add.at(totals, bins - low, counts)
    found = np.flatnonzero(totals)
    return dict(zip((found + low).tolist(), totals[found].tolist(), strict=True))


def _merged_bins(one: dict[int, int] | None, other: dict[int, int] | None) -> dict[int, int] | None:
    if one is None or other is None:
        return None
    small, large = (one, other) if len(one) < len(other) else (other, one)
    # A third of the cost of a loop over `small`; rolling up spends most of its time here.
    sums = map(add, small.values(), map(large.get, small, repeat(0)))
    return large | dict(zip(small, sums, strict=True))
