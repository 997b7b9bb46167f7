"""Floor 1. Other people's rules for ending a speed test early, to hold ours against.

Written anew from what is published about them; each is a pure function of the samples so far, as
`probe.measure.http.early_stop.early_figure` is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from probe.measure.http.early_stop import EarlyFigure, TransferSample, early_figure

Rule = Callable[[Sequence[TransferSample]], EarlyFigure | None]

# Fast.com, as its parameters are public in clients of it: not before so long, then the last
# measurements of the overall speed within so much of each other.
_FAST_LEAST_S, _FAST_SPACING_S, _FAST_COUNT, _FAST_SPREAD_RATIO = 3.0, 0.2, 6, 0.03
# BBR's startup (draft-ietf-ccwg-bbr, 5.3.1.2): full when the rate has grown by less than 25 % over
# three round trips; ndt7's early exit goes by it. A round trip is taken for 100 ms.
_FULL_GROWTH, _FULL_ROUNDS = 1.25, 3
_FIXED_S, _FIXED_SKIP_S = 3.0, 1.0


def fixed_time(samples: Sequence[TransferSample]) -> EarlyFigure | None:
    """Three seconds, the first of them left out."""
    return None if samples[-1].at_s < _FIXED_S else _figure(samples, _FIXED_SKIP_S)


def stable(samples: Sequence[TransferSample]) -> EarlyFigure | None:
    """A bare stability rule, as Fast.com's: the overall speed no longer moves."""
    now_s = samples[-1].at_s
    if now_s < _FAST_LEAST_S:
        return None
    overall = [
        sample.total_bytes / sample.at_s
        for sample in samples[1:]
        if sample.at_s > now_s - _FAST_SPACING_S * _FAST_COUNT
    ]
    if max(overall) - min(overall) > _FAST_SPREAD_RATIO * max(overall):
        return None
    return _figure(samples, 0.0)


def pipe_full(samples: Sequence[TransferSample]) -> EarlyFigure | None:
    """BBR's "pipe full" signal: growth has ended; the figure is the rate since."""
    rates = [
        (later.total_bytes - earlier.total_bytes) / (later.at_s - earlier.at_s)
        for earlier, later in pairwise(samples)
        if later.at_s > earlier.at_s
    ]
    best, rounds = 0.0, 0
    for rate in rates:
        if rate >= best * _FULL_GROWTH:
            best, rounds = rate, 0
        else:
            rounds += 1
    if best == 0.0 or rounds < _FULL_ROUNDS:
        return None
    return _figure(samples, samples[-1 - _FULL_ROUNDS].at_s)


RULES: dict[str, Rule] = {
    "ours": early_figure,
    "first 3 s": fixed_time,
    "stable": stable,
    "pipe full": pipe_full,
}


def first_figure(rule: Rule, samples: Sequence[TransferSample]) -> EarlyFigure | None:
    """What the rule would have said first, had it been asked after each sample."""
    said = (rule(samples[:count]) for count in range(2, len(samples) + 1))
    return next((figure for figure in said if figure is not None), None)


def _figure(samples: Sequence[TransferSample], from_s: float) -> EarlyFigure | None:
    first = next(sample for sample in samples if sample.at_s >= from_s)
    last = samples[-1]
    if last.at_s <= first.at_s:
        return None
    rate_bps = (last.total_bytes - first.total_bytes) * 8 / (last.at_s - first.at_s)
    return EarlyFigure(rate_bps, first.at_s, last.at_s, last.total_bytes)
