"""Floor 1. A line's samples from its results: counts and figures, each address family alone.

The rules are those of method.md (R1 to R8, B11, H9), written anew: nothing here is the centre's.
What is kept of a line does not grow with its packets: of those, how many took how many
microseconds; of figures that no percentile is stated of, the sums of each day.
"""

from __future__ import annotations

import math
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta, timezone
from typing import Any, NamedTuple

VIETNAM = timezone(timedelta(hours=7))
SPEED_KINDS = ("throughput", "http")
# A row of a family is of what was measured over it; availability has none.
FAMILY_KINDS = ("throughput", "latency", "http")
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
# Those that a percentile is stated of.
_WITH_VALUES = {
    "throughput_download_whole_bps", "throughput_upload_whole_bps", "latency_rtt_p50_ms",
}  # fmt: skip


class Day(NamedTuple):
    """A day's samples: how many, their sum, and their squared deviations from the day's mean."""

    samples: int
    total: float
    squares: float


class Figures:
    """The samples of one figure by local day, and their values where a percentile is stated."""

    def __init__(self, *, with_values: bool = False) -> None:
        self.values = array("d") if with_values else None
        self._open: dict[date, array[float]] = {}
        self._days: dict[date, Day] = {}

    def add(self, day: date, value: float) -> None:
        """Add a sample."""
        of_day = self._open.get(day)
        if of_day is None:
            of_day = self._open[day] = array("d")
        of_day.append(value)
        if self.values is not None:
            self.values.append(value)

    def days(self) -> dict[date, Day]:
        """The days with samples."""
        for day, values in self._open.items():
            self._days[day] = _joined([*self._known(day), _day_of(values)])
        self._open.clear()
        return self._days

    def _known(self, day: date) -> list[Day]:
        return [self._days[day]] if day in self._days else []

    @property
    def count(self) -> int:
        """How many samples."""
        return sum(day.samples for day in self.days().values())

    @property
    def mean(self) -> float | None:
        """The arithmetic mean."""
        return total.total / total.samples if (total := self._total()) is not None else None

    @property
    def deviation(self) -> float | None:
        """The standard deviation (n - 1); None below two samples."""
        total = self._total()
        if total is None or total.samples < 2:
            return None
        return math.sqrt(total.squares / (total.samples - 1))

    def _total(self) -> Day | None:
        days = self.days()
        return _joined(list(days.values())) if days else None

    def percentile(self, share: float) -> float | None:
        """The percentile of a figure with values; None without any."""
        return percentile(sorted(self.values), share) if self.values else None


def joined_figures(parts: Iterable[Figures]) -> Figures:
    """The samples of several lines or families together."""
    parts = list(parts)
    found = Figures()
    by_day: dict[date, list[Day]] = defaultdict(list)
    for part in parts:
        for day, sums in part.days().items():
            by_day[day].append(sums)
        if part.values is not None:
            found.values = (found.values or array("d")) + part.values
    found.days().update({day: _joined(some) for day, some in by_day.items()})
    return found


def _day_of(values: Sequence[float]) -> Day:
    total = math.fsum(values)
    mean = total / len(values)
    return Day(len(values), total, math.fsum((value - mean) ** 2 for value in values))


def _joined(days: Sequence[Day]) -> Day:
    if len(days) == 1:
        return days[0]
    count, total = sum(day.samples for day in days), math.fsum(day.total for day in days)
    mean = total / count
    between = math.fsum(day.samples * (day.total / day.samples - mean) ** 2 for day in days)
    return Day(count, total, math.fsum(day.squares for day in days) + between)


class Samples:
    """The results of one line over one address family, or of several together."""

    def __init__(self) -> None:
        self.outcomes: Counter[tuple[str, str]] = Counter()
        self.valid: Counter[str] = Counter()
        self.on_demand = 0
        self.figures: dict[str, Figures] = {}
        self.sums: Counter[str] = Counter()
        # How many packets took so many microseconds; the lost ones count as infinite.
        self.packets_us: Counter[int] = Counter()
        self.packets_lost = 0
        self.speed_hours: set[int] = set()

    def figure(self, name: str) -> Figures:
        """A figure, empty where there are no samples."""
        found = self.figures.get(name)
        if found is None:
            found = self.figures[name] = Figures(with_values=name in _WITH_VALUES)
        return found

    def count(self, outcomes: Sequence[str]) -> int:
        """The speed tests, of both kinds, that ended so."""
        return sum(self.outcomes[kind, outcome] for kind in SPEED_KINDS for outcome in outcomes)

    @property
    def come(self) -> int:
        """The planned speed tests that have come, skipped ones too."""
        return self.count(["ok", "failed", "skipped"]) - self.on_demand

    @property
    def has_family_kind(self) -> bool:
        """Whether something was measured that has a family."""
        return any(kind in FAMILY_KINDS for kind, _ in self.outcomes)

    def add_values(self, kind: str, values: Mapping[str, Any], day: date) -> None:
        """Add the figures of a valid result."""
        for name in _FIGURES.get(kind, ()):
            if (value := values.get(name)) is not None:
                self.figure(f"{kind}_{name}").add(day, float(value))
        for name in _SUMS.get(kind, ()):
            if (value := values.get(name)) is not None:
                self.sums[f"{kind}_{name}"] += int(value)
        if kind == "latency" and values.get("rtt_us") is not None:
            self.packets_us.update(values["rtt_us"])
            self.packets_lost += int(values["lost"])


def joined(parts: Iterable[Samples]) -> Samples:
    """The samples of several lines or families together."""
    parts = list(parts)
    if len(parts) == 1:
        return parts[0]
    found = Samples()
    for part in parts:
        found.outcomes.update(part.outcomes)
        found.valid.update(part.valid)
        found.on_demand += part.on_demand
        # Not `update`, which leaves a name of zero out where there was none: it makes a sum.
        for name, value in part.sums.items():
            found.sums[name] += value
        found.packets_us.update(part.packets_us)
        found.packets_lost += part.packets_lost
        found.speed_hours |= part.speed_hours
    for name in sorted({name for part in parts for name in part.figures}):
        found.figures[name] = joined_figures(
            part.figures[name] for part in parts if name in part.figures
        )
    return found


class Days(NamedTuple):
    """The local days of a question: the report's, and from when on there are results."""

    first: date
    last: date
    results_from: date


class Outage(NamedTuple):
    """An outage of a line, and the minutes of it in which the line was down."""

    started_at: datetime
    ended_at: datetime
    down_minutes: int


class LineSamples:
    """The results of one line.

    Args:
        days: those of the question.
        made_at: when the report was made; what arrived later is in none of its figures.
    """

    def __init__(self, days: Days, made_at: datetime | None = None) -> None:
        self._days, self._made_at = days, made_at
        self.families: dict[str | None, Samples] = {}
        self.left_out: Counter[tuple[str, str]] = Counter()
        # Successful speed tests, also of the days before the report's.
        self.tests: Counter[date] = Counter()
        self.outside = self.late = 0
        # Those of the day before the report's too: work at night goes on beyond midnight.
        self.outages: list[Outage] = []

    @property
    def whole(self) -> Samples:
        """The samples of all families together."""
        return joined(self.families.values()) if self.families else Samples()

    def close(self) -> None:
        """Keep sums in place of values where these are not needed: all results were added."""
        for samples in self.families.values():
            for figure in samples.figures.values():
                figure.days()

    def add(self, result: Mapping[str, Any], received_at: datetime) -> None:
        """Add a result. Raises KeyError, TypeError or ValueError: it is none."""
        kind = str(result["kind"])
        local = datetime.fromisoformat(result["started_at"]).astimezone(VIETNAM)
        day = local.date()
        if not self._days.results_from <= day <= self._days.last:
            self.outside += 1
            return
        flags = {str(flag) for flag in result.get("validity", ()) if _keeps_out(kind, str(flag))}
        on_demand = kind in SPEED_KINDS and result["slot_at"] is None
        if on_demand:
            flags.add(_ON_DEMAND)
        self.left_out.update((kind, flag) for flag in flags)
        if self._made_at is not None and received_at > self._made_at:
            self.late += 1
            return
        if kind in SPEED_KINDS and result["outcome"] == "ok":
            self.tests[day] += 1
        if kind == "outage" and not flags and day >= self._days.first - timedelta(days=1):
            self._add_outage(result)
        if day >= self._days.first:
            self._count(result, kind, local, flags)

    def _add_outage(self, result: Mapping[str, Any]) -> None:
        if (values := result["values"]) is not None:
            start = datetime.fromisoformat(result["started_at"])
            end = start + timedelta(seconds=float(result["duration_s"]))
            self.outages.append(Outage(start, end, int(values["down_minutes"])))

    def _count(
        self, result: Mapping[str, Any], kind: str, local: datetime, flags: set[str]
    ) -> None:
        family, outcome = result.get("family"), str(result["outcome"])
        mine = self.families.get(family)
        if mine is None:
            mine = self.families[family] = Samples()
        mine.outcomes[kind, outcome] += 1
        mine.on_demand += _ON_DEMAND in flags
        if kind == "throughput" and outcome == "ok":
            mine.speed_hours.add(local.hour)
        if flags:
            return
        mine.valid[kind] += outcome == "ok"
        values = result["values"]
        if values is not None and (kind != "latency" or str(result["target"]).startswith("stamp:")):
            mine.add_values(kind, values, local.date())


def joined_lines(parts: Sequence[LineSamples], days: Days) -> LineSamples:
    """The results of one line in several epochs together."""
    if len(parts) == 1:
        return parts[0]
    found = LineSamples(days)
    for part in parts:
        found.left_out.update(part.left_out)
        found.tests.update(part.tests)
        found.outside += part.outside
        found.late += part.late
        found.outages += part.outages
    for family in {family for part in parts for family in part.families}:
        found.families[family] = joined(
            part.families[family] for part in parts if family in part.families
        )
    return found


def _keeps_out(kind: str, flag: str) -> bool:
    if kind in _ONLY_FOR:
        return flag in _ONLY_FOR[kind]
    return flag not in _HARMLESS and flag not in _HARMLESS_FOR.get(kind, ())


def percentile(ascending: Sequence[float], share: float) -> float | None:
    """The smallest x with F(x) >= share (RFC 2330 section 11.3)."""
    return ascending[max(math.ceil(share * len(ascending)), 1) - 1] if ascending else None


def percentile_of_counts(counts: Mapping[int, int], share: float, infinite: int) -> float | None:
    """The same of values by how often each is there; None among the infinite."""
    rank, seen = max(math.ceil(share * (sum(counts.values()) + infinite)), 1), 0
    for value in sorted(counts):
        seen += counts[value]
        if seen >= rank:
            return value
    return None
