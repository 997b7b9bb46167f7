"""A line's month against the one before, as its page shows it."""

from __future__ import annotations

from datetime import date, timedelta
from zoneinfo import ZoneInfo

from collector.rollup.days import DaySample
from collector.rollup.distribution import distribution
from collector.rollup.periods import Period, month_of, period_after, period_before
from collector.rollup.summary import EMPTY, Summary
from collector.web import change_view
from collector.web.line_table import DOWN, LATENCY, UP
from collector.web.presentation import Locale
from runtime.language import Language

VI = Locale(Language.VI, ZoneInfo("Asia/Ho_Chi_Minh"))


def month(
    down: float, ms: float, days: int = 30
) -> tuple[Summary, dict[str, tuple[DaySample, ...]]]:
    """40 samples a day, the same each day; speed in Mbit/s, latency in ms."""
    values = {DOWN: down * 1e6, UP: 180e6, LATENCY: ms}
    first = date(2026, 9, 1)
    return (
        Summary(metrics={name: distribution([one] * 40 * days) for name, one in values.items()}),
        {
            name: tuple(DaySample(first + timedelta(days=n), 40, 40 * one) for n in range(days))
            for name, one in values.items()
        },
    )


def test_what_is_better_depends_on_the_figure() -> None:
    down, up, latency = change_view.change_rows(*month(240, 10), *month(180, 14), VI)
    assert (down.before, down.now, down.difference) == ("240,0", "180,0", "−60,0 ± 0")
    assert (down.says.tone, down.says.word) == ("bad", "giảm rõ rệt")
    assert (latency.says.tone, latency.says.word) == ("bad", "tăng rõ rệt")
    assert up.says.word == "không khác rõ rệt"


def test_a_week_says_nothing_and_a_new_line_has_no_row() -> None:
    (down, *_) = change_view.change_rows(*month(240, 10, 7), *month(180, 14, 7), VI)
    assert down.difference == "−60,0"
    assert "25 ngày" in down.says.word
    assert change_view.change_rows(EMPTY, {}, *month(240, 10), VI) == []


def test_the_period_before() -> None:
    assert period_before(month_of(date(2026, 3, 9))) == month_of(date(2026, 2, 9))
    assert period_before(month_of(date(2026, 1, 9))) == month_of(date(2025, 12, 9))
    seven = Period(date(2026, 7, 2), date(2026, 7, 8))
    assert period_before(seven) == Period(date(2026, 6, 25), date(2026, 7, 1))


def test_the_period_after() -> None:
    assert period_after(month_of(date(2026, 1, 31))) == month_of(date(2026, 2, 9))
    assert period_after(month_of(date(2026, 12, 9))) == month_of(date(2027, 1, 9))
    seven = Period(date(2026, 6, 25), date(2026, 7, 1))
    assert period_after(seven) == Period(date(2026, 7, 2), date(2026, 7, 8))
