"""Floor 1. stub"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from probe.measure.http import Sample


class EarlyFigure(NamedTuple):
    rate_bps: float
    from_s: float
    at_s: float
    total_bytes: int


def early_figure(samples: Sequence[Sample]) -> EarlyFigure | None:
    return None
