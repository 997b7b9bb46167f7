"""Floor 1. Which days a page shows: the last 1, 7, 30 or 90, a week, a month, or any range of days.

In an address it is `period=7`, `2026-W48`, `2026-11` or `2026-11-05..2026-11-20`; `from` and `to`
are the range of two days as a form sends it, `days=7` is what addresses of before have.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import NamedTuple

from collector.rollup.periods import Period, last_days, month_of, parse_period, week_of
from collector.web.presentation import Locale

# The periods that end today, in days.
LAST_DAYS = (1, 7, 30, 90)
# A year and a day, as the charts.
DAYS_MOST = 366
_WEEKS, _MONTHS = 8, 12


class PeriodChoice(NamedTuple):
    """A period as it was chosen; `value` is that of `period` in an address."""

    period: Period
    value: str

    @property
    def is_range(self) -> bool:
        """Whether it is a range of two days, which no list offers."""
        return ".." in self.value


class OptionGroup(NamedTuple):
    """Periods to choose from, each as (text, value)."""

    name: str
    options: list[tuple[str, str]]


class PeriodForm(NamedTuple):
    """What the forms of a page show of its period."""

    value: str
    groups: list[OptionGroup]
    first: str
    last: str
    is_range: bool


def period_context(chosen: PeriodChoice, today: date, locale: Locale) -> PeriodForm:
    """The period as the templates' forms show it."""
    first, last = chosen.period
    shown = groups(chosen, today, locale)
    return PeriodForm(chosen.value, shown, first.isoformat(), last.isoformat(), chosen.is_range)


def choose(
    period: str, days: str, first: str, last: str, today: date, default: int
) -> PeriodChoice:
    """The period that the parameters `period`, `days`, `from` and `to` ask for.

    Args:
        period: as in the module's docstring, or a number of `LAST_DAYS`.
        days: one of `LAST_DAYS`.
        first: the first day of a range, as 2026-11-05.
        last: its last day.
        today: the local day.
        default: the number of days where nothing is asked for.

    Raises:
        ValueError: it is no such period, or has more than `DAYS_MOST` days; a sentence.
    """
    value = f"{first or last}..{last or first}" if first or last else period or days or f"{default}"
    if value in {str(count) for count in LAST_DAYS}:
        return PeriodChoice(last_days(int(value), today), value)
    if not (first or last or period):
        raise ValueError(f"`days` is not known: {days[:80]}")
    found = parse_period(value)
    if found.days > DAYS_MOST:
        raise ValueError(f"a page shows at most {DAYS_MOST} days")
    return PeriodChoice(found, value)


def groups(chosen: PeriodChoice, today: date, locale: Locale) -> list[OptionGroup]:
    """What a form offers; the chosen one is always among it."""
    recent = [(locale.label(f"days_{count}"), str(count)) for count in LAST_DAYS]
    found = [
        OptionGroup(locale.label("period_recent"), recent),
        OptionGroup(locale.label("week"), [week_option(day, locale) for day in _mondays(today)]),
        OptionGroup(locale.label("month"), [month_option(day, locale) for day in _firsts(today)]),
    ]
    if all(value != chosen.value for group in found for _, value in group.options):
        found.insert(0, OptionGroup(locale.label("period_chosen"), [_chosen(chosen, locale)]))
    return found


def week_option(day: date, locale: Locale) -> tuple[str, str]:
    """The ISO week of a day: "Tuần 48/2026 (23/11–29/11)" and 2026-W48."""
    week = week_of(day)
    year, number, _ = day.isocalendar()
    text = f"{locale.label('week')} {number}/{year} ({week.first:%d/%m}–{week.last:%d/%m})"
    return text, f"{year}-W{number:02}"


def month_option(day: date, locale: Locale) -> tuple[str, str]:
    """The month of a day: "Tháng 11/2026" and 2026-11."""
    return f"{locale.label('month')} {day.month}/{day.year}", f"{day.year}-{day.month:02}"


def _chosen(chosen: PeriodChoice, locale: Locale) -> tuple[str, str]:
    first, last = chosen.period
    if chosen.period == week_of(first):
        return week_option(first, locale)[0], chosen.value
    if chosen.period == month_of(first):
        return month_option(first, locale)[0], chosen.value
    text = f"{first:%d/%m/%Y}" if first == last else f"{first:%d/%m/%Y}–{last:%d/%m/%Y}"
    return text, chosen.value


def _mondays(today: date) -> Iterator[date]:
    """The weeks that are over or running, newest first."""
    monday = week_of(today).first
    return (monday - timedelta(weeks=back) for back in range(_WEEKS))


def _firsts(today: date) -> Iterator[date]:
    """The months that are over or running, newest first."""
    first = today.replace(day=1)
    for _ in range(_MONTHS):
        yield first
        first = (first - timedelta(days=1)).replace(day=1)
