"""Floor 1. The early stop of an HTTP transfer: a pure function of its samples.

A rule "stable for so long" stops too early on lines that only look stable and too late on lines
that never do (TurboTest, NSDI '26). Here the criterion is how well the mean is known:

1. The samples are cut into batches of a quarter of a second, the last one ending now: over that
   time most stalls and bursts of loss recovery cancel out (batch means).
2. What the rate must not include (slow start, a policer's first burst, the rate before a change) is
   cut off where the mean of the rest is known best: White's MSER rule (Simulation 69, 1997). While
   more is cut off than kept, there is no rate yet.
3. The transfer may stop when both the 95 % confidence interval's half width and the trend over the
   kept batches are within a tolerance of the mean. The tolerance grows with time: on an unstable
   line further seconds cost bytes and improve the estimate little.

Changes after the stop are unknown. So a share of tests runs full length (calibration), and no early
rate enters an assessment. The constants were chosen on recorded transfers of emulated lines (cubic
and BBR); `bench.data_saving` measures their error on others.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

# Stored in every result; a changed rule or constant needs a new name.
RULE = "mser-relaxing-1"
# How often the bytes are counted.
SAMPLE_S = 0.1

_BATCH_S = 0.25
_LEAST_BATCHES = 6
_TOLERANCE_RATIO = 0.04
_RELAXING_RATIO_PER_S = 0.04
# The normal distribution's 97.5 %.
_NORMAL = 1.96


class TransferSample(NamedTuple):
    """Bytes of all connections so far, at a time since the requests were sent."""

    at_s: float
    total_bytes: int


class EarlyFigure(NamedTuple):
    """The rate of a transfer, estimated from its first seconds.

    The mean rate from `from_s`, the end of slow start, to `at_s`, when it was known well
    enough; `total_bytes` had been transferred by then.
    """

    rate_bps: float
    from_s: float
    at_s: float
    total_bytes: int


def early_figure(samples: Sequence[TransferSample]) -> EarlyFigure | None:
    """The estimated rate, as soon as it is known well enough; None until then.

    Args:
        samples: so far, at least one, in the order of time; the first is (0, 0).
    """
    now = samples[-1]
    rates_bps = _batches(samples)
    if len(rates_bps) < _LEAST_BATCHES:
        return None
    cut = min(range(len(rates_bps) - _LEAST_BATCHES + 1), key=lambda d: _mser(rates_bps[d:]))
    kept = rates_bps[cut:]
    mean_bps = _mean(kept)
    waited_s = now.at_s - _LEAST_BATCHES * _BATCH_S
    tolerance_bps = (_TOLERANCE_RATIO + _RELAXING_RATIO_PER_S * waited_s) * mean_bps
    if (
        cut > len(kept)
        or mean_bps == 0
        or _half_width(kept) > tolerance_bps
        or abs(_trend(kept)) > tolerance_bps
    ):
        return None
    return EarlyFigure(mean_bps, now.at_s - _BATCH_S * len(kept), now.at_s, now.total_bytes)


def _batches(samples: Sequence[TransferSample]) -> list[float]:
    """The mean rates of whole batches in bit/s; a partial batch at the beginning is left out."""
    now_s = samples[-1].at_s
    count = math.floor(now_s / _BATCH_S)
    totals = [_total_at(samples, now_s - _BATCH_S * index) for index in range(count, -1, -1)]
    return [(totals[index + 1] - totals[index]) * 8 / _BATCH_S for index in range(count)]


def _total_at(samples: Sequence[TransferSample], at_s: float) -> float:
    """The bytes at a time, interpolated linearly between two samples."""
    index = bisect_left(samples, at_s, key=lambda sample: sample.at_s)
    if index == 0:
        return samples[0].total_bytes
    earlier, later = samples[index - 1], samples[min(index, len(samples) - 1)]
    if later.at_s <= earlier.at_s:
        return later.total_bytes
    share = (at_s - earlier.at_s) / (later.at_s - earlier.at_s)
    return earlier.total_bytes + share * (later.total_bytes - earlier.total_bytes)


def _mean(rates: Sequence[float]) -> float:
    return math.fsum(rates) / len(rates)


def _squares(rates: Sequence[float]) -> float:
    mean = _mean(rates)
    return math.fsum((rate - mean) ** 2 for rate in rates)


def _mser(rates: Sequence[float]) -> float:
    """The squared marginal standard error of the mean."""
    return _squares(rates) / len(rates) ** 2


def _half_width(rates: Sequence[float]) -> float:
    """Half of the mean's 95 % confidence interval."""
    freedom = len(rates) - 1
    return _student_t(freedom) * math.sqrt(_squares(rates) / freedom / len(rates))


def _student_t(freedom: int) -> float:
    """Student's t, 97.5 %, within 1 % from 5 degrees of freedom on (Abramowitz, Stegun 26.7.5)."""
    first = (_NORMAL**3 + _NORMAL) / 4
    second = (5 * _NORMAL**5 + 16 * _NORMAL**3 + 3 * _NORMAL) / 96
    return _NORMAL + first / freedom + second / freedom**2


def _trend(rates: Sequence[float]) -> float:
    """The rise of the least-squares line over all batches, in bit/s."""
    centre = (len(rates) - 1) / 2
    spread = math.fsum((index - centre) ** 2 for index in range(len(rates)))
    slope = math.fsum((index - centre) * rate for index, rate in enumerate(rates)) / spread
    return slope * len(rates)
