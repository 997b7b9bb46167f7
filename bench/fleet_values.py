"""Floor 1. What the lines of a fleet measure: for `bench.fleet`, the same for the same seed.

A line has a base of its own (its ISP, its distance). Round-trip times rise and rates fall with the
hours in which people use it, local time. A fault of an ISP makes windows lose most of their
packets on a share of its lines; a line that is down loses all of them.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from msgspec import Struct, structs

from bench.workload import ECHOES, round_factors, window
from probe.plan.slots import Slot
from probe.plan.spread import fraction
from tests import samples
from wire.record import Line, Outcome, Reason
from wire.result import LatencyResult, Result

# Name, address, and what it adds to the line's own round-trip time (ms);
# None: it is this side of the line.
TARGETS = (
    ("icmp:gateway", "192.168.1.1", None),
    ("stamp:hn-1", "203.0.113.5", 0.0),
    ("icmp:8.8.8.8", "8.8.8.8", 16.0),
)
_ZONE = ZoneInfo("Asia/Ho_Chi_Minh")
# The hours of most use (office, evening), and how wide each is, in hours.
_BUSY_HOURS = ((10.0, 2.0), (20.5, 1.8))
_LEAST_ANSWERED = 3
_GATEWAY_MS = 0.4
# Below this a window loses one packet or none.
_RARE = 0.01
# Drawn once: sixty logarithms a window are a fifth of what a simulated result costs.
_FACTORS = round_factors(random.Random(0), 8_192)
_DOWN_BPS, _UP_BPS = 240e6, 170e6


class IspFault(Struct, frozen=True):
    """A fault at an ISP: from when to when (UTC), on which share of its lines, how much is lost."""

    isp: str
    begins_at: datetime
    ends_at: datetime
    lines_ratio: float
    loss_ratio: float

    def hits(self, probe: str, line: Line, at: datetime) -> bool:
        """Whether a line suffers from it at a time."""
        if line.id != self.isp or not self.begins_at <= at < self.ends_at:
            return False
        return fraction(f"{self.isp} {self.begins_at} {probe}") < self.lines_ratio


class LineValues:
    """One line of one probe."""

    def __init__(self, seed: int, probe: str, line: Line, faults: Sequence[IspFault]) -> None:
        self._rng = random.Random(f"{seed} {probe} {line.id}")
        self._probe = probe
        self._faults = faults
        self.line = line
        self._base_ms = self._rng.uniform(4, 40)
        self._rate = self._rng.uniform(0.5, 1.2)

    def windows(self, at: datetime, *, is_down: bool = False) -> list[Result]:
        """A minute's latency windows that begin at a time, one a target."""
        loss = 1.0 if is_down else self._loss_ratio(at)
        far_ms = (1 + 0.8 * use_ratio(at)) * self._base_ms
        return [
            # The office's own router answers also while its line is down.
            self._window(name, address, at, 0.0, _GATEWAY_MS)
            if more_ms is None
            else self._window(name, address, at, loss, far_ms + more_ms)
            for name, address, more_ms in TARGETS
        ]

    def of_slot(self, slot: Slot, at: datetime) -> Result:
        """What the measurement of a planned slot gives."""
        left = self._rate * (1 - 0.5 * use_ratio(at) * self._rng.random())
        loss = self._loss_ratio(at)
        if slot.kind in ("throughput", "http"):
            # One shape for both: what is tried is the way, not the method.
            made: Result = samples.throughput(
                line=self.line,
                download_bps=_DOWN_BPS * left * (1 - loss),
                upload_bps=_UP_BPS * left * (1 - loss),
            )
        else:
            made = _LIGHT[slot.kind](line=self.line)
        return structs.replace(made, slot_at=slot.at, started_at=at)

    def _loss_ratio(self, at: datetime) -> float:
        hit = (fault.loss_ratio for fault in self._faults if fault.hits(self._probe, self.line, at))
        return max(hit, default=0.001)

    def _lost(self, loss: float) -> int:
        if loss > _RARE:
            return sum(self._rng.random() < loss for _ in range(ECHOES))
        return int(self._rng.random() < loss * ECHOES)

    def _window(
        self, target: str, address: str, at: datetime, loss: float, base_ms: float
    ) -> LatencyResult:
        answered = ECHOES - self._lost(loss)
        if answered < _LEAST_ANSWERED:
            return samples.latency(
                line=self.line, target=target, started_at=at, lost=ECHOES,
                outcome=Outcome.FAILED, reason=Reason.NO_REPLY,
            )  # fmt: skip
        first = self._rng.randrange(len(_FACTORS) - ECHOES)
        rtt_us = [round(1_000 * base_ms * one) for one in _FACTORS[first : first + answered]]
        return window(self.line, target, address, at, rtt_us, round(self._rng.uniform(0.1, 2), 6))


_LIGHT: Mapping[str, Callable[..., Result]] = {
    "dns": samples.dns,
    "web": samples.web,
    "path": samples.path,
}


def use_ratio(at: datetime) -> float:
    """How much a line is used at a time, 0 by night to about 1 in the busiest hour."""
    local = at.astimezone(_ZONE)
    hour = local.hour + local.minute / 60
    return sum(math.exp(-(((hour - top) / width) ** 2)) for top, width in _BUSY_HOURS)


def backlog(values: LineValues, until: datetime, count: int) -> list[Result]:
    """So many results of the minutes before a time: what waited while the office was cut off."""
    found: list[Result] = []
    minute = timedelta(minutes=1)
    at = until - minute * math.ceil(count / len(TARGETS))
    while len(found) < count:
        found += values.windows(at)
        at += minute
    return found[:count]
