"""Floor 1. Figures of the public pages in words and numbers: of the nation, a province, a commune.

Sentences are as a loudspeaker would read them. Areas are described by the median and the middle
half of their lines; the product has no interval of them, and a verdict is nowhere on these pages.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from statistics import median, quantiles
from typing import NamedTuple

from msgspec import Struct

from collector.domain.lines import KnownLine
from collector.domain.place_search import short_province
from collector.registry.registry import Commune, LineKey
from collector.rollup.periods import Period, month_of, week_of
from collector.rollup.summary import EMPTY, Summary
from collector.web.formatting import by_name
from collector.web.line_table import DOWN, LATENCY, UP, maybe_figure, megabits
from collector.web.period_choice import PeriodChoice
from collector.web.presentation import Locale
from collector.web.table import Link
from runtime.language import Language, Phrase, within_sentence

# Months of the trend.
MONTHS = 6


class Spread(NamedTuple):
    """The median of some lines' means, and the middle half of the lines; as text."""

    middle: str
    low: str
    high: str


class AreaFigures(Struct, frozen=True, kw_only=True):
    """What the public page says of the nation or a province."""

    communes: str
    communes_all: str
    lines: str
    down: Spread
    up: Spread
    latency: Spread
    sentence: str


class AreaRow(Struct, frozen=True):
    """A province or a commune in a list."""

    name: str
    code: str
    lines: str
    down: str
    latency: str


class TrendBar(Struct, frozen=True):
    """A month of the trend; `height` is a share of the chart's."""

    month: str
    text: str
    height: float


def months_before(today: date) -> list[Period]:
    """The months of the trend, the running one last."""
    found = [month_of(today)]
    while len(found) < MONTHS:
        found.insert(0, month_of(date.fromordinal(found[0].first.toordinal() - 1)))
    return found


def area_figures(
    place: str,
    lines: Sequence[KnownLine],
    communes_all: int,
    summaries: Mapping[LineKey, Summary],
    chosen: PeriodChoice,
    locale: Locale,
) -> AreaFigures:
    """The figures of an area; `place` is where it is within a sentence ("trên cả nước")."""
    measured = [line for line in lines if line.key in summaries]
    communes = len({line.commune_code for line in measured})
    down, up, latency = (_means(measured, summaries, name) for name in (DOWN, UP, LATENCY))
    return AreaFigures(
        communes=locale.number(communes),
        communes_all=locale.number(communes_all),
        lines=locale.number(len(measured)),
        down=_speeds(down, locale),
        up=_speeds(up, locale),
        latency=_delays(latency, locale),
        sentence=_area_sentence(place, len(measured), communes, down, latency, chosen, locale),
    )


def area_rows(
    areas: Iterable[tuple[str, str, Sequence[KnownLine]]],
    summaries: Mapping[LineKey, Summary],
    locale: Locale,
) -> list[AreaRow]:
    """A row for each area (name, code, lines), by name."""
    rows = [
        AreaRow(
            name,
            code,
            locale.number(sum(line.key in summaries for line in lines)),
            _speeds(_means(lines, summaries, DOWN), locale).middle,
            _delays(_means(lines, summaries, LATENCY), locale).middle,
        )
        for name, code, lines in areas
    ]
    return sorted(rows, key=lambda row: by_name(short_province(row.name)))


def trend_of(months: Sequence[tuple[Period, Sequence[float]]], locale: Locale) -> list[TrendBar]:
    """The median download of each month, from the lines' means; a month without any has no bar."""
    middles = [median(means) if means else 0.0 for _, means in months]
    most = max(middles, default=0.0) or 1.0
    return [
        TrendBar(f"{month.first.month}/{month.first.year}", megabits(middle or None, locale), share)
        for (month, _), middle, share in zip(
            months, middles, (middle / most for middle in middles), strict=True
        )
    ]


def means_of(
    lines: Iterable[KnownLine], summaries: Mapping[LineKey, Summary], metric: str = DOWN
) -> list[float]:
    """The lines' means of a metric, of those that have one."""
    return _means(lines, summaries, metric)


def line_sentence(line: KnownLine, summary: Summary, period: Period, locale: Locale) -> str:
    """What a line has reached, to be read out after `opening`; "" where it was not measured."""
    down, up, latency = (summary.metric(name).mean for name in (DOWN, UP, LATENCY))
    if down is None or up is None:
        return Phrase(
            f"đường truyền {line.isp_name} chưa có số liệu",
            f"there is no figure of the {line.isp_name} line",
        ).in_(locale.language)
    share = ""
    if line.plan_down_bps and line.plan_is_of(period.first):
        percent = round(100 * down / line.plan_down_bps)
        share = Phrase(
            f", bằng {percent} phần trăm gói cước", f", {percent} percent of the plan"
        ).in_(locale.language)
    delay = _mean_delay(latency, locale)
    down_text, up_text = megabits(down, locale), megabits(up, locale)
    return Phrase(
        f"đường truyền {line.isp_name} có tốc độ tải xuống trung bình {down_text} megabit một "
        f"giây{share}, tải lên {up_text} megabit một giây{delay}",
        f"the {line.isp_name} line reached a mean download of {down_text} megabits a second"
        f"{share}, and a mean upload of {up_text} megabits a second{delay}",
    ).in_(locale.language)


def _mean_delay(latency: float | None, locale: Locale) -> str:
    if latency is None:
        return ""
    text = maybe_figure(latency, locale)
    return Phrase(
        f"; độ trễ trung bình {text} mili giây", f"; mean latency was {text} milliseconds"
    ).in_(locale.language)


def commune_sentences(
    name: str,
    lines: Sequence[KnownLine],
    summaries: Mapping[LineKey, Summary],
    chosen: PeriodChoice,
    locale: Locale,
) -> str:
    """The figures of a commune's lines, to be read out; its name is as within a sentence."""
    ordered = sorted(lines, key=lambda line: (line.isp_name, line.key))
    said = [
        line_sentence(line, summaries.get(line.key, EMPTY), chosen.period, locale)
        for line in ordered
    ]
    begin, place = opening(chosen, locale), Phrase(f"tại {name}", f"in {name}").in_(locale.language)
    if not said:
        none = Phrase("chưa có đường truyền nào được đo", "no line was measured")
        return f"{begin}, {place}, {none.in_(locale.language)}."
    first, *rest = said
    return (
        ". ".join([f"{begin}, {place}, {first}", *(one[0].upper() + one[1:] for one in rest)]) + "."
    )


def opening(chosen: PeriodChoice, locale: Locale) -> str:
    """The period at the beginning of a sentence: "Trong tuần 48 năm 2026"."""
    first, last = chosen.period
    year, week, _ = first.isocalendar()
    begin, end, days = _day(first, locale), _day(last, locale), chosen.period.days
    if chosen.value.isdecimal():
        phrase = Phrase(
            f"Trong {days} ngày qua, từ {begin} đến {end}",
            f"In the last {days} days, {begin} to {end}",
        )
    elif chosen.period == week_of(first):
        phrase = Phrase(f"Trong tuần {week} năm {year}", f"In week {week} of {year}")
    elif chosen.period == month_of(first):
        phrase = Phrase(
            f"Trong tháng {first.month} năm {first.year}", f"In month {first.month} of {first.year}"
        )
    else:
        phrase = Phrase(f"Từ {begin} đến {end}", f"From {begin} to {end}")
    return phrase.in_(locale.language)


def _day(day: date, locale: Locale) -> str:
    """A day as it is read out."""
    number, year, month = day.day, day.year, day.month
    if locale.language is Language.EN:
        return f"{number} {day:%B} {year}"
    return f"ngày {number} tháng {month} năm {year}"


def _area_sentence(
    place: str,
    lines: int,
    communes: int,
    down: Sequence[float],
    latency: Sequence[float],
    chosen: PeriodChoice,
    locale: Locale,
) -> str:
    """What was measured in an area, in a sentence."""
    begin, number = opening(chosen, locale), locale.number
    if not lines or not down:
        none = Phrase("chưa có số liệu", "there are no figures")
        return f"{begin}, {place}, {none.in_(locale.language)}."
    middle = megabits(median(down), locale)
    said = Phrase(
        f"{place}, {number(lines)} đường truyền ở {number(communes)} xã, phường được đo. Một nửa "
        f"số đường truyền có tốc độ tải xuống trung bình từ {middle} megabit một giây trở lên",
        f"{place}, {number(lines)} lines in {number(communes)} communes were measured. Half of "
        f"them had a mean download of {middle} megabits a second or more",
    ).in_(locale.language)
    return f"{begin}, {said}{_delay_text(latency, locale)}."


def _delay_text(latency: Sequence[float], locale: Locale) -> str:
    if not latency:
        return ""
    text = maybe_figure(median(latency), locale)
    return Phrase(
        f"; một nửa có độ trễ trung bình không quá {text} mili giây",
        f"; half had a mean latency of {text} milliseconds or less",
    ).in_(locale.language)


def _means(
    lines: Iterable[KnownLine], summaries: Mapping[LineKey, Summary], metric: str
) -> list[float]:
    found = (summaries.get(line.key, EMPTY).metric(metric).mean for line in lines)
    return [mean for mean in found if mean is not None]


def _speeds(means: Sequence[float], locale: Locale) -> Spread:
    return Spread(*(megabits(value, locale) for value in _quartiles(means)))


def _delays(means: Sequence[float], locale: Locale) -> Spread:
    return Spread(*(maybe_figure(value, locale) for value in _quartiles(means)))


def _quartiles(means: Sequence[float]) -> tuple[float | None, float | None, float | None]:
    """Median and quartiles; under four lines there is no middle half."""
    if not means:
        return None, None, None
    if len(means) < 4:
        return median(means), None, None
    low, middle, high = quantiles(means, n=4, method="inclusive")
    return middle, low, high


def place_within(province: str, locale: Locale) -> str:
    """Where an area is, within a sentence: a province, or the nation where none is named."""
    if not province:
        return Phrase("trên cả nước", "in the whole country").in_(locale.language)
    name = within_sentence(province) if locale.language is Language.VI else province
    return Phrase(f"tại {name}", f"in {name}").in_(locale.language)


def area_path(province: str, link: Link, locale: Locale) -> list[tuple[str, str]]:
    """From the nation to the province, each as (name, address); the last has none."""
    nation = locale.label("all_provinces")
    return [(nation, link({"province": ""})), (province, "")] if province else [(nation, "")]


def public_commune_path(commune: Commune, locale: Locale) -> list[tuple[str, str]]:
    """From the nation to the commune, each as (name, address); the last has none."""
    return [
        (locale.label("all_provinces"), "/public"),
        (commune.province_name, f"/public?province={commune.province_code}"),
        (commune.name, ""),
    ]
