"""Floor 1. Compares a Summary of the roll-ups with one that was made from raw results.

Counts, extremes and bins of both must be equal. Sums of floats depend in their last bits on the
order in which they were added (docs/decisions/0096-figures-first-sketches-at-the-roll-up.md). A
percentile of a sketch is within 1 % of the true one, so two of them may be 2 % apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import isclose

from msgspec import Struct

from collector.rollup.distribution import RELATIVE_ERROR, Distribution
from collector.rollup.periods import Step
from collector.rollup.summary import KindCounts, Summary
from wire.result import Family

# Of sums whose order is another: a month adds some ten million figures at most.
_SUM_ERROR = 1e-9
_SQUARES_ERROR = 1e-7
_QUANTILES = (0.05, 0.5, 0.95, 0.99)


class FigureDifference(Struct, frozen=True):
    """A figure of the roll-ups that raw results do not have. None: there is no such figure."""

    figure: str
    rolled_up: float | None
    raw: float | None


class BucketDifference(Struct, frozen=True):
    """The figures that differ in one bucket; `start_s` is its beginning (s since 1970, UTC)."""

    step: Step
    start_s: int
    family: Family | None
    figures: tuple[FigureDifference, ...]


def figure_differences(rolled_up: Summary, raw: Summary) -> list[FigureDifference]:
    """The figures that differ by more than their stated error."""
    found = [
        *_of_counts(rolled_up.kinds, raw.kinds),
        *_of_metrics(rolled_up.metrics, raw.metrics),
    ]
    for name in sorted({*rolled_up.sums, *raw.sums}):
        found += _unless_close(name, rolled_up.sums.get(name), raw.sums.get(name), _SUM_ERROR)
    return found


def _of_counts(
    rolled_up: Mapping[str, KindCounts], raw: Mapping[str, KindCounts]
) -> Iterator[FigureDifference]:
    for kind in sorted({*rolled_up, *raw}):
        one, other = rolled_up.get(kind, KindCounts()), raw.get(kind, KindCounts())
        for name in ("ok", "failed", "skipped", "valid"):
            yield from _unless_close(f"{kind}_{name}", getattr(one, name), getattr(other, name))
        for name in sorted({*one.reasons, *other.reasons}):
            counts = one.reasons.get(name, 0), other.reasons.get(name, 0)
            yield from _unless_close(f"{kind}_{name}", *counts)
        for name in sorted({*one.flags, *other.flags}):
            counts = one.flags.get(name, 0), other.flags.get(name, 0)
            yield from _unless_close(f"{kind}_{name}", *counts)


def _of_metrics(
    rolled_up: Mapping[str, Distribution], raw: Mapping[str, Distribution]
) -> Iterator[FigureDifference]:
    for name in sorted({*rolled_up, *raw}):
        one, other = rolled_up.get(name, Distribution()), raw.get(name, Distribution())
        for count in ("count", "infinite", "zeros"):
            counts = getattr(one, count), getattr(other, count)
            yield from _unless_close(f"{name}_{count}", *counts)
        yield from _unless_close(f"{name}_sum", one.total, other.total, _SUM_ERROR)
        yield from _unless_close(f"{name}_squares", one.squares, other.squares, _SQUARES_ERROR)
        yield from _unless_close(f"{name}_min", one.least, other.least, _SUM_ERROR)
        yield from _unless_close(f"{name}_max", one.most, other.most, _SUM_ERROR)
        yield from _unless_close(f"{name}_bins", _binned(one), _binned(other))
        for share in _QUANTILES:
            quantiles = one.quantile(share), other.quantile(share)
            yield from _unless_close(f"{name}_p{share * 100:.0f}", *quantiles, 2 * RELATIVE_ERROR)


def _binned(figures: Distribution) -> int | None:
    return None if figures.bins is None else sum(figures.bins.values())


def _unless_close(
    name: str, rolled_up: float | None, raw: float | None, error: float = 0.0
) -> Iterator[FigureDifference]:
    if rolled_up is None or raw is None:
        same = rolled_up is raw
    else:
        same = rolled_up == raw or isclose(rolled_up, raw, rel_tol=error)
    if not same:
        yield FigureDifference(name, rolled_up, raw)
