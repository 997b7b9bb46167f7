"""Floor 1. How many speed tests a line was to make in a time, by the plan of each month.

The data budget, and with it the number of tests, differs from month to month. Pages and reports
reckon completeness by this one function.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta

from collector.registry.registry import LineKey
from collector.rollup.periods import VIETNAM, Period, month_of
from collector.rollup.summary import speed_tests_a_day
from collector.store.records import StoredProbe
from wire.messages import PlannedKind

# The plan of each probe (tenant, name).
Plans = Mapping[tuple[str, str], Sequence[PlannedKind]]
# Those of each month, by its first day.
MonthlyPlans = Mapping[date, Plans]

_DAY = timedelta(days=1)


def monthly_plans(plans: Callable[[date], Plans], period: Period) -> MonthlyPlans:
    """The plans of the months that a period touches; `plans` returns those of a day's month."""
    firsts = {day.replace(day=1) for day in period.each_day()}
    return {first: plans(first) for first in sorted(firsts)}


def planned_tests(
    key: LineKey, begin: datetime, end: datetime, plans: MonthlyPlans, probe: StoredProbe | None
) -> float | None:
    """The speed tests that a line was to make from `begin` to `end`; None where no plan is known.

    A month without a stored plan takes the present one of the probe.
    """
    if probe is None or probe.info is None:
        return None
    if key.line not in {line.id for line in probe.info.lines}:
        return None
    expected, first = 0.0, begin.astimezone(VIETNAM).date().replace(day=1)
    while (month := month_of(first)).starts_at < end:
        known = plans.get(month.first, {}).get((key.tenant, key.probe), probe.info.plan)
        days = (min(end, month.ends_at) - max(begin, month.starts_at)) / _DAY
        expected += max(days, 0) * speed_tests_a_day(known, key.line)
        first = month.last + _DAY
    return expected
