"""Which range the page of a line's charts shows, and where its links lead."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.rollup.periods import VIETNAM, Step, last_days, local_day
from collector.web import chart_view
from collector.web.chart_view import LEAST, MOST, Range
from collector.web.drawing import line_chart
from collector.web.drawing.line_chart import Figure, Series
from collector.web.presentation import Locale
from runtime.language import Language

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
# 14:20 in Vietnam.
NOW = datetime(2026, 11, 25, 7, 20, tzinfo=UTC)
EN = Locale(Language.EN, VIETNAM)
ADDRESS = "/line/bach-thong/tram-01969-1/vnpt/chart?days=7"


def local(day: int, hour: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, tzinfo=VIETNAM)


def link(shown: Range, name: str) -> Range | None:
    """Where a link leads, read as the page reads it."""
    links = chart_view.zoom_links(ADDRESS, shown, NOW, EN)
    (address,) = [one.address for one in links if one.name == name]
    if address is None:
        return None
    asked = parse_qs(urlsplit(address).query)
    return chart_view.range_between(asked["from"][0], asked["to"][0])


def test_a_week_ends_with_the_hour_that_is_running() -> None:
    shown = chart_view.range_of_days(last_days(7, local_day(NOW)), NOW)
    assert shown == Range(local(19).astimezone(UTC), local(25, 15).astimezone(UTC))
    assert shown.step is Step.HOUR
    assert shown.period == last_days(7, local_day(NOW))


def test_more_than_eight_days_are_whole_days() -> None:
    shown = chart_view.range_of_days(last_days(30, local_day(NOW)), NOW)
    assert (shown.step, shown.end) == (Step.DAY, local(26))


def test_just_after_midnight_today_is_still_a_chart() -> None:
    midnight = local(25).astimezone(UTC)
    shown = chart_view.range_of_days(last_days(1, local_day(midnight)), midnight)
    assert shown == Range(midnight, midnight + LEAST)


@pytest.mark.parametrize(
    ("start", "end", "wanted"),
    [
        ("2026-11-20T08:00", "2026-11-20T20:00", (local(20, 8), local(20, 20))),
        ("2026-11-20T08:40", "2026-11-20T19:10", (local(20, 8), local(20, 20))),
        ("2026-11-01T08:00", "2026-11-20T20:00", (local(1), local(21))),
    ],
)
def test_a_range_is_whole_hours_or_whole_days(
    start: str, end: str, wanted: tuple[datetime, datetime]
) -> None:
    assert chart_view.range_between(start, end) == wanted


@pytest.mark.parametrize(
    ("start", "end", "said"),
    [
        ("", "2026-11-20T20:00", "`from` is a time of Vietnam"),
        ("2026-11-20T20:00", "yesterday", "`to` is a time of Vietnam"),
        ("2026-11-20T20:00+07:00", "2026-11-21T20:00", "`from` is a time of Vietnam"),
        ("0001-01-01T00:00", "2026-11-21T20:00", "`from` is a time of Vietnam"),
        ("2026-11-20T08:00", "2026-11-20T13:00", "6 hours to 366 days"),
        ("2026-11-20T20:00", "2026-11-20T08:00", "6 hours to 366 days"),
        ("2025-01-01T00:00", "2026-11-20T08:00", "6 hours to 366 days"),
    ],
)
def test_what_is_no_range_is_refused(start: str, end: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        chart_view.range_between(start, end)


def test_links_lead_closer_wider_earlier_and_not_into_the_future() -> None:
    shown = Range(local(23, 3).astimezone(UTC), local(25, 15).astimezone(UTC))
    closer, wider = link(shown, "Zoom in"), link(shown, "Zoom out")
    assert closer == Range(shown.start + 15 * HOUR, shown.end - 15 * HOUR)
    assert wider == Range(shown.end - 120 * HOUR, shown.end)
    assert link(shown, "Earlier") == Range(shown.start - 30 * HOUR, shown.end - 30 * HOUR)
    assert link(shown, "Later") is None


@given(
    end=st.integers(0, 300 * 24).map(lambda hours: local(25, 15).astimezone(UTC) - hours * HOUR),
    hours=st.integers(6, 366 * 24 - 48),
)
def test_every_link_leads_to_a_range_that_the_page_takes(end: datetime, hours: int) -> None:
    text = (chart_view.local_text(end - hours * HOUR), chart_view.local_text(end))
    shown = chart_view.range_between(*text)
    for name in ("Zoom in", "Zoom out", "Earlier", "Later"):
        to = link(shown, name)
        if to is not None:
            assert LEAST <= to.span <= MOST
            assert to.end <= max(chart_view.newest_end(NOW), shown.end) + DAY
            assert to != shown


@pytest.mark.parametrize(
    ("start", "span", "wanted"),
    [
        (local(25, 8), 6 * HOUR, ["08", "09", "10", "11", "12", "13"]),
        (local(24, 22), 10 * HOUR, ["22", "00", "02", "04", "06"]),
        (local(24), DAY, ["00", "03", "06", "09", "12", "15", "18", "21"]),
        (local(1), 30 * DAY, ["00"] * 8),
    ],
)
def test_marks_of_the_time_axis_stand_at_round_hours(
    start: datetime, span: timedelta, wanted: list[str]
) -> None:
    chart = line_chart.draw(
        [Series("down", "series-a", [Figure(start, 1.0)])],
        start,
        start + span,
        HOUR,
        midnight=start.replace(hour=0),
        label_x=lambda at: f"{at.astimezone(VIETNAM):%H}",
        label_y=str,
    )
    assert chart is not None
    assert [tick.text for tick in chart.ticks_x] == wanted
    assert all(chart.left <= tick.at < chart.right for tick in chart.ticks_x)


def test_many_points_share_areas_to_point_at_and_none_is_left_out() -> None:
    hours = [NOW + hour * HOUR for hour in range(192) if hour not in range(20, 30)]
    series = [
        Series(
            name, "series-a", [Figure(at, 1.0, words=f"{at}\n{name}: {at.hour}") for at in hours]
        )
        for name in ("VNPT", "Viettel")
    ]
    chart = line_chart.draw(series, NOW, NOW + 192 * HOUR, HOUR, label_x=str, label_y=str)
    assert chart is not None
    assert len(chart.hits) <= line_chart.HITS_MOST
    lines = [line for hit in chart.hits for line in hit.words.split("\n")]
    assert sorted(line for line in lines if ": " not in line) == sorted(map(str, hours))
    assert len(lines) == 3 * len(hours), "a time, and a figure of each series"
    edges = [(hit.x, hit.x + hit.width) for hit in chart.hits]
    assert all(left >= before - 0.2 for (_, before), (left, _) in itertools.pairwise(edges))
    assert abs(edges[-1][1] - chart.right) < 0.2
