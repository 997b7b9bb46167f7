"""Floor 1. The query interface of the roll-ups, which pages and reports read.

    summaries.overview(period)              every line's Summary, no percentiles: one quick query
    summaries.of_lines(lines, period)       some lines' Summaries, with percentiles
    summaries.series(line, period, step)    buckets of one line in the order of time
    summaries.by_family(lines, period)      the same, each address family alone
    summaries.hours_of_week(line, period)   (weekday, hour) -> Summary: the heat map
    summaries.hour_means(lines, period, metric) one metric of many lines by hour of the week
    summaries.hour_profile(factors, period, figure) means of many lines by hour, a line once
    summaries.daily_by_family(lines, period, metric)    samples by day, for intervals of means
    summaries.revision()                    the data revision that a report prints
    summaries.revised_since(period, lines, revision)    the days that changed since then

Each also answers for a line's address families (`…_by_family`); without that, they are joined: sums
of counts and figures, never a mean of means. The family is None for kinds that have none
(availability, outages) and for results of probes before 0.2.0.

Lines are grouped by the registry: `by_commune`, `by_isp`, `merge_summaries`. A commune's figures
are those of its lines in the current registry, so moving a probe moves its figures.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import NamedTuple, Protocol

from msgspec import Struct

from collector.registry.registry import LineKey, Registry
from collector.rollup.days import DaySample
from collector.rollup.periods import VIETNAM, Period, Step
from collector.rollup.summary import Summary, merge_summaries
from wire.result import Family

# The samples of lines by family and day.
LineDays = Mapping[LineKey, Mapping[Family | None, Sequence[DaySample]]]


class Bucket(Struct, frozen=True):
    """One line's results of one hour, day or month.

    `revision` grows with every change of any bucket; `changed_at` is the centre's clock.
    """

    start: datetime
    revision: int
    changed_at: datetime
    summary: Summary


class RevisedDay(NamedTuple):
    """A day of a line whose figures changed after a given revision, by a late result."""

    line: LineKey
    day: date
    changed_at: datetime


class HourMean(NamedTuple):
    """The samples of one hour of the week: how many, and their sum."""

    samples: int
    total: float

    @property
    def mean(self) -> float:
        """Their mean; there is at least one."""
        return self.total / self.samples


class HourProfile(NamedTuple):
    """One hour of the week over many lines: how many have samples then, and their mean.

    Each line counts once, with the mean of its samples of that hour.
    """

    lines: int
    mean: float


# Figures of `hour_profile` beside `OVERVIEW_METRICS`: shares of packets and of known minutes.
LOSS, AVAILABILITY = "loss", "availability"


class Summaries(Protocol):
    """Reads roll-ups. Every method may raise `collector.store.store.StoreError`."""

    def overview(self, period: Period, tenant: str | None = None) -> Mapping[LineKey, Summary]:
        """Every line that has results in the period.

        Counts by kind, exact sums and means of every metric in `OVERVIEW_METRICS`; no sketches
        (every `quantile` is None), no reasons and flags, no least and most.
        """

    def overview_by_family(
        self, period: Period
    ) -> Mapping[LineKey, Mapping[Family | None, Summary]]:
        """The same for each address family of each line that has results in the period."""

    def of_lines(self, lines: Sequence[LineKey], period: Period) -> Mapping[LineKey, Summary]:
        """These lines in full, percentiles and reasons too; a line without results is absent."""

    def by_family(
        self, lines: Sequence[LineKey], period: Period
    ) -> Mapping[LineKey, Mapping[Family | None, Summary]]:
        """The same for each address family of these lines."""

    def series(self, line: LineKey, period: Period, step: Step) -> list[Bucket]:
        """A line's buckets, ascending; an hour, day or month without results is absent."""

    def series_by_family(
        self, line: LineKey, period: Period, step: Step
    ) -> Mapping[Family | None, list[Bucket]]:
        """The same for each address family of the line; `merged_buckets` joins them."""

    def hours_of_week(self, line: LineKey, period: Period) -> Mapping[tuple[int, int], Summary]:
        """By (weekday, hour), local, Monday is 0."""

    def hour_means(
        self, lines: Sequence[LineKey], period: Period, metric: str
    ) -> Mapping[LineKey, Mapping[tuple[int, int], HourMean]]:
        """One of `OVERVIEW_METRICS` of many lines by (weekday, hour), local, Monday is 0.

        One quick query, where `hours_of_week` reads a line's whole Summaries. An hour or line
        without samples is absent.
        """

    def hour_profile(
        self, factors: Mapping[LineKey, float], period: Period, figure: str
    ) -> Mapping[tuple[int, int], HourProfile]:
        """The mean over lines of a figure by (weekday, hour), local, Monday is 0.

        Args:
            factors: the lines; each one's figure is multiplied by its factor.
            period: its hours, within the retention of hours.
            figure: one of `OVERVIEW_METRICS`, or LOSS or AVAILABILITY.
        """

    def daily_by_family(self, lines: Sequence[LineKey], period: Period, metric: str) -> LineDays:
        """The samples of one of `OVERVIEW_METRICS` by local day, ascending.

        A day, family or line without samples is absent.
        """

    def week_counts(self, period: Period, kind: str) -> Mapping[LineKey, Mapping[date, int]]:
        """For each line, the number of `ok` results of a kind by ISO week (its Monday).

        Whole weeks that touch the period. A week without results is absent.
        """

    def lines(self) -> list[LineKey]:
        """Every line that ever had a result."""

    def revision(self) -> int:
        """The revision of the last roll-up; 0 before any."""

    def waiting(self) -> int:
        """How many stored results are not rolled up yet."""

    def revised_since(
        self, period: Period, lines: Iterable[LineKey], revision: int
    ) -> list[RevisedDay]:
        """The days of these lines in the period that changed after a revision, by day."""


def merged_buckets(families: Iterable[Sequence[Bucket]]) -> list[Bucket]:
    """The buckets of a line from those of its families, ascending."""
    by_start: dict[datetime, list[Bucket]] = {}
    for buckets in families:
        for bucket in buckets:
            by_start.setdefault(bucket.start, []).append(bucket)
    return [
        Bucket(
            start,
            max(bucket.revision for bucket in same),
            max(bucket.changed_at for bucket in same),
            merge_summaries(bucket.summary for bucket in same),
        )
        for start, same in sorted(by_start.items())
    ]


# The Summaries of single hours by (weekday, hour), local, Monday is 0.
HoursOfWeek = Mapping[tuple[int, int], Sequence[Summary]]


def hours_of_week(hours: Iterable[Bucket]) -> HoursOfWeek:
    """The buckets of hours by hour of the week, of one or several families.

    Not merged, for who reads some metrics of them alone: that is most of the cost of a month.
    """
    parts: dict[tuple[int, int], list[Summary]] = {}
    for bucket in hours:
        local = bucket.start.astimezone(VIETNAM)
        parts.setdefault((local.weekday(), local.hour), []).append(bucket.summary)
    return parts


def means_of_week(hours: HoursOfWeek, metric: str) -> dict[tuple[int, int], HourMean]:
    """A metric by hour of the week; an hour without samples is absent."""
    found: dict[tuple[int, int], HourMean] = {}
    for slot, parts in hours.items():
        some = [part.metric(metric) for part in parts]
        if samples := sum(one.count for one in some):
            found[slot] = HourMean(samples, sum(one.total for one in some))
    return found


def by_commune(
    summaries: Mapping[LineKey, Summary], registry: Registry
) -> dict[str | None, dict[LineKey, Summary]]:
    """The lines of each commune code; None for those that the registry does not know."""
    found: dict[str | None, dict[LineKey, Summary]] = {}
    for key, summary in summaries.items():
        commune = registry.commune_of(key)
        found.setdefault(commune.code if commune else None, {})[key] = summary
    return found


def by_isp(
    summaries: Mapping[LineKey, Summary], registry: Registry
) -> dict[str | None, dict[LineKey, Summary]]:
    """The lines of each ISP id; None for those that the registry does not know."""
    found: dict[str | None, dict[LineKey, Summary]] = {}
    for key, summary in summaries.items():
        line = registry.line(key)
        found.setdefault(line.isp if line else None, {})[key] = summary
    return found
