"""Floor 1. The page of one line's charts over any range: its range, zoom links and table.

A range is whole hours; one longer than `HOURS_UP_TO` is whole days of Vietnam, because roll-ups
have no finer buckets. Drawing is done elsewhere: `line_view.charts_between` does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from collector.rollup.periods import VIETNAM, Period, Step, bucket_start, local_day
from collector.rollup.queries import Bucket
from collector.web.formatting import MISSING, Moment, to_the_minute
from collector.web.line_table import DOWN, LATENCY, UP, maybe_figure, percent
from collector.web.line_view import LOADED_DOWN
from collector.web.presentation import Locale
from collector.web.table import Link
from wire.figures import MEGABIT

_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
# Six points are still a curve; a year and a day of days are still points.
LEAST, MOST = timedelta(hours=6), timedelta(days=366)
HOURS_UP_TO = timedelta(days=8)
_PER_MEGABIT = 1 / MEGABIT


class Range(NamedTuple):
    """The range of the charts: `start` <= time < `end`, UTC."""

    start: datetime
    end: datetime

    @property
    def span(self) -> timedelta:
        """The length of the range."""
        return self.end - self.start

    @property
    def step(self) -> Step:
        """Hourly means for up to `HOURS_UP_TO`, else daily ones."""
        return Step.HOUR if self.span <= HOURS_UP_TO else Step.DAY

    @property
    def period(self) -> Period:
        """The local days that the range overlaps."""
        return Period(local_day(self.start), local_day(self.end - _HOUR))


# The table beside the charts has pages of so many hours or days.
ROWS_A_PAGE = 48


class ZoomLink(NamedTuple):
    """A step in time or in scale; `address` is None where there is no further one."""

    name: str
    sign: str
    address: str | None


class Row(NamedTuple):
    """One hour or day in the table; `address` shows a day by its hours."""

    at: Moment
    address: str | None
    cells: list[str]


def query_of(value: str, period: Period) -> str:
    """The query of the page that shows a period: `value` where it is a number of days."""
    if value.isdecimal():
        return f"days={value}"
    after = period.last + _DAY
    return f"from={period.first}T00:00&to={after}T00:00"


def newest_end(now: datetime) -> datetime:
    """The end of the hour that is running: no range goes beyond."""
    return bucket_start(now, Step.HOUR) + _HOUR


def range_of_days(period: Period, now: datetime) -> Range:
    """A page's period up to now, as the line page shows it."""
    least_end = period.starts_at + LEAST
    return _whole(Range(period.starts_at, max(min(period.ends_at, newest_end(now)), least_end)))


def range_between(start_text: str, end_text: str) -> Range:
    """The range from one local time to another, as `2026-07-25T08:00`, widened to whole hours.

    Raises:
        ValueError: a text is no such time, or the range is too short, too long or runs backwards.
    """
    start, end = local_time("from", start_text), local_time("to", end_text)
    end_hour = bucket_start(end, Step.HOUR)
    found = Range(bucket_start(start, Step.HOUR), end_hour if end_hour == end else end_hour + _HOUR)
    found = _whole(found)
    if not LEAST <= found.span <= MOST:
        raise ValueError("`to` is 6 hours to 366 days after `from`")
    return found


def range_context(address: str, shown: Range, now: datetime, locale: Locale) -> dict[str, Any]:
    """What templates need of zoomed charts; `address` (with a query) shows the whole period."""
    return {
        "shown": shown,
        "range_words": range_words(shown, locale),
        "local_text": local_text,
        "latest": max(newest_end(now), shown.end),
        "limits": {"least": LEAST, "most": MOST, "hours_up_to": HOURS_UP_TO},
        "links": zoom_links(address, shown, now, locale),
    }


def zoom_links(address: str, shown: Range, now: datetime, locale: Locale) -> list[ZoomLink]:
    """Closer, wider, earlier, later, and back to the whole period at `address`."""
    latest = max(newest_end(now), shown.end)
    steps = (
        ("zoom_in", "+", _resized(shown, 0.5, latest)),
        ("zoom_out", "−", _resized(shown, 2.0, latest)),
        ("zoom_earlier", "←", _moved(shown, -0.5, latest)),
        ("zoom_later", "→", _moved(shown, 0.5, latest)),
    )
    links = [
        ZoomLink(locale.label(name), sign, None if to == shown else range_address(address, to))
        for name, sign, to in steps
    ]
    return [*links, ZoomLink(locale.label("zoom_reset"), "↺", address)]


def range_address(address: str, shown: Range) -> str:
    """Where a range is shown; `address` (with a query) is what the reset goes back to."""
    return f"{address}&from={local_text(shown.start)}&to={local_text(shown.end)}"


def page_link(address: str) -> Link:
    """The pages of a table below charts at an address with a query."""

    def link(changed: Mapping[str, str]) -> str:
        page = changed.get("page", "")
        return f"{address}{'&page=' if page else ''}{page}#chart-table"

    return link


def local_text(at: datetime) -> str:
    """A moment as the address and the form have it: Vietnam's time, to the minute."""
    return at.astimezone(VIETNAM).strftime("%Y-%m-%dT%H:%M")


def local_time(name: str, text: str) -> datetime:
    """The moment that a parameter or a field of a form states, as `local_text` writes it; UTC.

    Raises:
        ValueError: the text is no such time.
    """
    try:
        local = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"`{name}` is a time of Vietnam, as 2026-07-25T08:00") from error
    if local.tzinfo is not None or not 2000 <= local.year <= 2999:
        raise ValueError(f"`{name}` is a time of Vietnam, as 2026-07-25T08:00")
    return local.replace(tzinfo=VIETNAM).astimezone(UTC)


def range_words(shown: Range, locale: Locale) -> str:
    """The range and what each point is, in words."""
    step = locale.label("hourly_means" if shown.step is Step.HOUR else "daily_means")
    return f"{_minute(shown.start, locale)} – {_minute(shown.end, locale)}: {step}"


def within(buckets: Sequence[Bucket], shown: Range) -> list[Bucket]:
    """The buckets of a range; a store reads whole days."""
    return [bucket for bucket in buckets if shown.start <= bucket.start < shown.end]


def rows(buckets: Sequence[Bucket], address: str, shown: Range, locale: Locale) -> list[Row]:
    """The table beside the charts: the same figures, for who cannot or does not want to see."""
    return [
        Row(
            bucket_time(bucket.start, shown.step, locale),
            range_address(address, Range(bucket.start, bucket.start + _DAY))
            if shown.step is Step.DAY
            else None,
            _cells(bucket, locale),
        )
        for bucket in buckets
    ]


def _cells(bucket: Bucket, locale: Locale) -> list[str]:
    means = [
        (bucket.summary.metric(metric).mean, factor)
        for metric, factor in (
            (DOWN, _PER_MEGABIT),
            (UP, _PER_MEGABIT),
            (LATENCY, 1.0),
            (LOADED_DOWN, 1.0),
        )
    ]
    loss = bucket.summary.loss_ratio
    return [
        *(maybe_figure(None if mean is None else mean * factor, locale) for mean, factor in means),
        MISSING if loss is None else percent(loss, locale),
        locale.number(bucket.summary.metric(DOWN).count),
    ]


def bucket_time(at: datetime, step: Step, locale: Locale) -> Moment:
    """A day as a date, an hour with it."""
    iso, text = to_the_minute(at, locale.language, locale.timezone)
    return Moment(iso, text.partition(" ")[2] if step is Step.DAY else text)


def _minute(at: datetime, locale: Locale) -> str:
    return to_the_minute(at, locale.language, locale.timezone).text


def _whole(shown: Range) -> Range:
    """A range of days as whole days; a shorter one is as it is."""
    if shown.step is Step.HOUR:
        return shown
    end_day = bucket_start(shown.end, Step.DAY)
    end = end_day if end_day == shown.end else end_day + _DAY
    return Range(bucket_start(shown.start, Step.DAY), end)


def _resized(shown: Range, factor: float, latest: datetime) -> Range:
    span = min(max(_hours(shown.span * factor), LEAST), MOST)
    start = shown.start + _hours((shown.span - span) / 2)
    return _until(latest, start, span)


def _moved(shown: Range, share: float, latest: datetime) -> Range:
    return _until(latest, shown.start + _hours(shown.span * share), shown.span)


def _until(latest: datetime, start: datetime, span: timedelta) -> Range:
    """A range of about this length that does not begin later than it may."""
    start = min(start, latest - span)
    if span > HOURS_UP_TO:
        start, span = bucket_start(start, Step.DAY), math.ceil(span / _DAY) * _DAY
    return Range(start, start + span)


def _hours(span: timedelta) -> timedelta:
    return round(span / _HOUR) * _HOUR
