"""Floor 3. How often the 95 % interval of a mean speed holds the true mean, on simulated lines.

A line's samples of neighbouring hours and days are not independent. Each case is a line, or lines,
whose long-run mean is known exactly: curves over day and week, noise that lasts for hours and for
days, outages, shaping. The share of intervals that hold that mean is compared with the nominal
95 %, for the product's own `confidence_interval` and for three others: independent samples (the
product's until decision 103), blocks of one day, and an effective sample size. Deterministic.

The last cases are beyond any interval: what happens less than a few times in the period, or to few
of the lines, may not have been seen at all. They are in no target.
"""

from __future__ import annotations

import math
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta
from operator import mul
from statistics import NormalDist, fmean
from typing import NamedTuple

from bench.report import IntegerOption, Options, Outcome, Row, at_least, at_most, note, run
from collector.domain.assessment import (
    ClusterSample,
    SampleStatistics,
    confidence_interval,
    half_between,
)
from collector.rollup.days import DaySample
from collector.rollup.student_t import student_t

NOMINAL, LEAST = 95.0, 93.0
_SEED = 103
PERIODS = IntegerOption("periods", 2_000, "simulated periods of one line; a quarter of it of more")
_FIRST = date(2026, 9, 1)
# A dip of a quarter around 20:30, and 6 % at week-ends; 1 is a line's mean without either.
_EVENING = [0.25 * math.exp(-(((hour - 20.5) / 2) ** 2)) for hour in range(24)]
_WEEKEND = 0.06
# Noise that lasts for hours, its share that is left after one; of one test alone.
_HOURLY_SD, _HOURLY_REST, _TEST_SD = 0.08, 0.9, 0.05
# Noise that lasts for days, of a line and of all lines of an ISP; how lines of one ISP differ.
_DAILY_SD, _BETWEEN_SD = 0.05, 0.1
_LAGS = 100


class Case(NamedTuple):
    """One sort of line. `days_rest` is the share of a day's deviation that is left after a day.

    `cap`: the line's shaped maximum. `busy`: the share of evenings that lose 0.4 of the speed.
    `outages` and `slow` are how often a month the line is down for 12 h, or at 0.4 for 36 h, on
    average. `mixture`: a quarter of the lines is slow (0.7), the rest fast (1.1).
    """

    name: str
    curves: bool = True
    hourly: bool = True
    days_rest: float | None = None
    cap: float | None = None
    busy: float = 0.0
    outages: float = 0.0
    slow: float = 0.0
    mixture: bool = False
    is_limit: bool = False

    @property
    def true_mean(self) -> float:
        """The long-run mean, exactly."""
        spread = _HOURLY_SD**2 if self.hourly else 0.0
        spread += 2 * _DAILY_SD**2 if self.days_rest is not None else 0.0
        means = [self.curve(hour, weekday) for hour in range(24) for weekday in range(7)]
        if self.cap is not None:
            means = [_capped(mean, math.sqrt(spread), self.cap) for mean in means]
        mean = fmean(means) - self.busy * 0.4 * 6 / 24
        if self.slow:
            mean *= 1 - 0.6 * 36 / (720 / self.slow + 36)
        return mean

    def curve(self, hour: int, weekday: int) -> float:
        """The expected speed at an hour of a day of the week, before noise and shaping."""
        if not self.curves:
            return 1.0
        above = 0.15 if self.cap is not None else 0.0
        return 1.0 + above - _EVENING[hour] - (_WEEKEND if weekday >= 5 else 0.0)


CASES = (
    Case("independent samples", curves=False, hourly=False),
    Case("daily and weekly curve", hourly=False),
    Case("neighbouring hours alike"),
    Case("days differ", days_rest=0.2),
    Case("bad days come together", days_rest=0.6),
    Case("busy evenings on some days", busy=0.4),
    Case("outages", days_rest=0.2, outages=6),
    Case("shaped line", days_rest=0.2, cap=1.0),
)
LIMITS = (
    Case("beyond: slow for 36 h, 4 times a month", slow=4, is_limit=True),
    Case("beyond: slow for 36 h, once a month", slow=1, is_limit=True),
    Case("beyond: a quarter of the lines slow", days_rest=0.2, mixture=True, is_limit=True),
)


class Setting(NamedTuple):
    """One row: a case with so many lines, samples (of all lines together) and days."""

    case: Case
    lines: int
    samples: int
    days: int = 30


# The samples of one simulated period: (day, speed) of each line in the order of time.
Drawn = list[list[tuple[int, float]]]


class Estimate(NamedTuple):
    """A mean and half the width of each candidate's interval; infinite where it gives none."""

    mean: float
    halves: dict[str, float]


OURS = "ours"


def settings(*, quick: bool) -> Iterator[Setting]:
    """What is simulated."""
    for lines in (1, 7) if quick else (1, 7, 60):
        for samples in (300, 1_000):
            for case in CASES:
                yield Setting(case, lines, samples)
    hardest = [case for case in CASES if case.cap is not None or case.days_rest == 0.6]
    for days in (25, 28, 31, 90):
        for case in hardest:
            yield Setting(case, 1, 1_000, days)
    for case in LIMITS:
        yield from (Setting(case, n, 1_000) for n in ((7, 10, 60) if case.mixture else (1,)))


def drawn(setting: Setting, dice: random.Random) -> Drawn:
    """Simulate one period."""
    case, first_weekday = setting.case, dice.randrange(7)
    of_isp = _daily(case, setting.days, dice)
    each = max(1, round(setting.samples / setting.lines))
    lines = []
    for _ in range(setting.lines):
        base = _base(setting, dice)
        shared = [
            isp + own for isp, own in zip(of_isp, _daily(case, setting.days, dice), strict=True)
        ]
        busy = [dice.random() < case.busy for _ in range(setting.days)]
        outages = _stretches(case.outages, 12, setting.days, dice)
        slow = _stretches(case.slow, 36, setting.days, dice)
        hourly, before = dice.gauss(0, _HOURLY_SD), 0.0
        samples = []
        for number in range(each):
            at_h = (number + dice.random()) / each * setting.days * 24
            rest = _HOURLY_REST ** (at_h - before)
            hourly = rest * hourly + math.sqrt(1 - rest * rest) * dice.gauss(0, _HOURLY_SD)
            before, day, hour = at_h, int(at_h // 24), int(at_h % 24)
            if _within(outages, at_h):
                continue
            speed = case.curve(hour, (first_weekday + day) % 7) + shared[day]
            speed += hourly if case.hourly else 0.0
            speed = min(speed, case.cap) if case.cap is not None else speed
            speed -= 0.4 if busy[day] and hour >= 18 else 0.0
            speed *= 0.4 if _within(slow, at_h) else 1.0
            samples.append((day, max(speed * base * (1 + dice.gauss(0, _TEST_SD)), 0.0)))
        lines.append(samples)
    return lines


def estimate(period: Drawn) -> Estimate:
    """The mean and the intervals of one period."""
    speeds = [speed for line in period for _, speed in line]
    count, mean = len(speeds), fmean(speeds)
    squares = math.fsum((speed - mean) ** 2 for speed in speeds)
    deviation = math.sqrt(squares / (count - 1))
    lines = tuple(
        ClusterSample(len(line), fmean(speed for _, speed in line)) for line in period if line
    )
    several = len(period) > 1
    by_line = half_between(lines) if several else 0.0
    days = _days(period)
    interval = confidence_interval(
        SampleStatistics(
            count=count, mean=mean, deviation=deviation, lines=lines if several else None, days=days
        )
    )
    by_sample = deviation / math.sqrt(count)
    effective = _effective_size(period)
    return Estimate(
        mean,
        {
            OURS: interval.high - mean if interval is not None else math.inf,
            "independent": max(student_t(count - 1) * by_sample, by_line),
            "one_day": math.hypot(
                half_between([ClusterSample(day.count, day.total / day.count) for day in days]),
                by_line,
            ),
            "effective_size": math.hypot(
                student_t(max(effective - 1, 1.0)) * deviation / math.sqrt(effective), by_line
            ),
        },
    )


def coverage(setting: Setting, periods: int) -> Row:
    """Simulate so many periods; the row of the table."""
    name = f"{_SEED} {setting.case.name} {setting.lines} {setting.samples} {setting.days}"
    dice = random.Random(name)
    truth = setting.case.true_mean
    found = [estimate(drawn(setting, dice)) for _ in range(periods)]

    def percent(holds: Callable[[Estimate], bool]) -> float:
        return round(100 * sum(map(holds, found)) / periods, 1)

    def covered(method: str) -> float:
        return percent(lambda one: abs(one.mean - truth) <= one.halves[method])

    return {
        "case": setting.case.name,
        "lines": setting.lines,
        "samples": setting.samples,
        "days": setting.days,
        "independent_percent": covered("independent"),
        "one_day_percent": covered("one_day"),
        "effective_size_percent": covered("effective_size"),
        "ours_percent": covered(OURS),
        "truth_above_ours_percent": percent(lambda one: truth > one.mean + one.halves[OURS]),
        "ours_half_percent": round(100 * fmean(one.halves[OURS] for one in found) / truth, 1),
    }


def measured(options: Options) -> Outcome:
    """Simulate every setting."""
    rows, worst, above = [], 100.0, 0.0
    for setting in settings(quick=options.quick):
        periods = (
            100
            if options.quick
            else (options.number if setting.lines == 1 else options.number // 4)
        )
        row = coverage(setting, periods)
        note(f"bench.interval_coverage: {row}")
        rows.append(row)
        ours, truth_above = row["ours_percent"], row["truth_above_ours_percent"]
        assert isinstance(ours, float)
        assert isinstance(truth_above, float)
        above = max(above, truth_above)
        if not setting.case.is_limit:
            worst = min(worst, ours)
    return Outcome(
        rows,
        [
            at_least("intervals that hold the true mean, the worst case, %", worst, LEAST),
            at_most("true means above the interval, the worst case, %", above, 100 - LEAST),
        ],
    )


def _capped(mean: float, deviation: float, cap: float) -> float:
    """The mean of min(X, cap), X normal."""
    normal, at = NormalDist(), (cap - mean) / deviation
    return cap - ((cap - mean) * normal.cdf(at) + deviation * normal.pdf(at))


def _daily(case: Case, days: int, dice: random.Random) -> list[float]:
    if case.days_rest is None:
        return [0.0] * days
    rest, found = case.days_rest, [dice.gauss(0, _DAILY_SD)]
    for _ in range(days - 1):
        found.append(rest * found[-1] + math.sqrt(1 - rest**2) * dice.gauss(0, _DAILY_SD))
    return found


def _base(setting: Setting, dice: random.Random) -> float:
    if setting.case.mixture:
        return 0.7 if dice.random() < 0.25 else 1.1
    return 1.0 if setting.lines == 1 else dice.gauss(1.0, _BETWEEN_SD)


def _stretches(
    a_month: float, mean_h: float, days: int, dice: random.Random
) -> list[tuple[float, float]]:
    """Stretches of exponential length with exponential gaps, which may have begun before."""
    if not a_month:
        return []
    gap_h = 720 / a_month
    begun = dice.random() < mean_h / (gap_h + mean_h)
    at_h, found = 0.0 if begun else dice.expovariate(1 / gap_h), []
    while at_h < days * 24:
        end_h = at_h + dice.expovariate(1 / mean_h)
        found.append((at_h, end_h))
        at_h = end_h + dice.expovariate(1 / gap_h)
    return found


def _within(stretches: Sequence[tuple[float, float]], at_h: float) -> bool:
    return any(start <= at_h < end for start, end in stretches)


def _days(period: Drawn) -> tuple[DaySample, ...]:
    counts: dict[int, int] = {}
    totals: dict[int, float] = {}
    for line in period:
        for day, speed in line:
            counts[day] = counts.get(day, 0) + 1
            totals[day] = totals.get(day, 0.0) + speed
    return tuple(
        DaySample(_FIRST + timedelta(days=day), counts[day], totals[day]) for day in sorted(counts)
    )


def _effective_size(period: Drawn) -> float:
    """N / (1 + 2 times the sum of autocorrelations until the first that is not positive).

    Geyer (1992), initial positive sequence; by samples of one line, about the line's mean.
    """
    apart = []
    for line in period:
        mean = fmean(speed for _, speed in line) if line else 0.0
        apart.append([speed - mean for _, speed in line])
    count = sum(map(len, apart))
    variance = sum(sum(map(mul, line, line)) for line in apart)
    together = 1.0
    for lag in range(1, _LAGS):
        shared = sum(sum(map(mul, line[lag:], line)) for line in apart) / variance
        if shared <= 0:
            break
        together += 2 * shared
    return max(count / together, 2.0)


if __name__ == "__main__":
    sys.exit(run("interval_coverage", measured, number=PERIODS))
