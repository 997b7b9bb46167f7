"""Floor 1. A line's samples from its results: counts and figures, all of them in memory.

The rules are those of method.md (R1 to R8, B11, H9), written anew: nothing here is the centre's.
"""

from __future__ import annotations

import math
from array import array
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta, timezone
from typing import Any

VIETNAM = timezone(timedelta(hours=7))
SPEED_KINDS = ("throughput", "http")
# These flags limit no figure; every other one keeps a result out, but for the kinds below.
_HARMLESS = {"clock_unsynced", "clock_repaired"}
_HARMLESS_FOR = {
    "http": {"early_stopped"},
    **{kind: {"link_below_plan"} for kind in ("latency", "dns", "web", "path")},
}
_ONLY_FOR = {
    kind: {"time_in_future", "time_ancient", "signature_mismatch"}
    for kind in ("availability", "outage")
}
_ON_DEMAND = "on_demand"
_FIGURES = {
    "throughput": (
        "download_bps", "download_whole_bps", "upload_bps", "upload_whole_bps",
        "rtt_loaded_download_p50_ms", "rtt_loaded_upload_p50_ms",
    ),
    "latency": ("rtt_mean_ms", "rtt_p50_ms", "ipdv_abs_mean_ms"),
}  # fmt: skip
_SUMS = {
    "latency": ("sent", "lost"),
    "availability": (
        "up_minutes", "down_minutes", "ipv4_down_minutes", "ipv6_down_minutes",
    ),
}  # fmt: skip


class Figures:
    """The samples of one figure, with the local day of each."""

    def __init__(self) -> None:
        self.values = array("d")
        self._by_day: dict[date, list[float]] = defaultdict(list)

    def add(self, day: date, value: float) -> None:
        """Add a sample."""
        self.values.append(value)
        self._by_day[day].append(value)

    @property
    def mean(self) -> float | None:
        """The arithmetic mean."""
        return math.fsum(self.values) / len(self.values) if self.values else None

    def days(self) -> list[tuple[date, int, float]]:
        """Each day's number of samples and their sum, ascending."""
        return [(day, len(some), math.fsum(some)) for day, some in sorted(self._by_day.items())]


class LineSamples:
    """The results of one line in a period (`first` to `last`, local days)."""

    def __init__(self, first: date, last: date) -> None:
        self.first, self.last = first, last
        self.outcomes: Counter[tuple[str, str]] = Counter()
        self.valid: Counter[str] = Counter()
        self.on_demand = 0
        self.figures: dict[str, Figures] = defaultdict(Figures)
        self.sums: dict[str, int] = {}
        self.packets_us = array("Q")
        self.packets_lost = 0
        self.speed_hours: set[int] = set()
        self.left_out: Counter[tuple[str, str]] = Counter()
        self.outside = 0

    def add(self, result: Mapping[str, Any]) -> None:
        """Add a result. Raises KeyError, TypeError or ValueError: it is none."""
        kind, outcome = str(result["kind"]), str(result["outcome"])
        local = datetime.fromisoformat(result["started_at"]).astimezone(VIETNAM)
        if not self.first <= local.date() <= self.last:
            self.outside += 1
            return
        self.outcomes[kind, outcome] += 1
        if kind == "throughput" and outcome == "ok":
            self.speed_hours.add(local.hour)
        flags = {str(flag) for flag in result.get("validity", ()) if _keeps_out(kind, str(flag))}
        if kind in SPEED_KINDS and result["slot_at"] is None:
            flags.add(_ON_DEMAND)
            self.on_demand += 1
        self.left_out.update((kind, flag) for flag in flags)
        if not flags:
            self.valid[kind] += outcome == "ok"
            self._add_values(kind, result, local.date())

    def count(self, outcomes: Sequence[str]) -> int:
        """The speed tests, of both kinds, that ended so."""
        return sum(self.outcomes[kind, outcome] for kind in SPEED_KINDS for outcome in outcomes)

    def _add_values(self, kind: str, result: Mapping[str, Any], day: date) -> None:
        values = result["values"]
        if values is None or (kind == "latency" and not str(result["target"]).startswith("stamp:")):
            return
        for name in _FIGURES.get(kind, ()):
            if values.get(name) is not None:
                self.figures[f"{kind}_{name}"].add(day, float(values[name]))
        for name in _SUMS.get(kind, ()):
            if values.get(name) is not None:
                key = f"{kind}_{name}"
                self.sums[key] = self.sums.get(key, 0) + int(values[name])
        if kind == "latency" and values.get("rtt_us") is not None:
            self.packets_us.extend(values["rtt_us"])
            self.packets_lost += int(values["lost"])


def _keeps_out(kind: str, flag: str) -> bool:
    if kind in _ONLY_FOR:
        return flag in _ONLY_FOR[kind]
    return flag not in _HARMLESS and flag not in _HARMLESS_FOR.get(kind, ())


def percentile(ascending: Sequence[float], share: float, infinite: int = 0) -> float | None:
    """The smallest x with F(x) >= share (RFC 2330 section 11.3); None among the infinite."""
    rank = max(math.ceil(share * (len(ascending) + infinite)), 1)
    return ascending[rank - 1] if rank <= len(ascending) else None
