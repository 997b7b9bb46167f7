"""Floor 1. Up to four lines or communes on one chart, and whether their figures differ.

A commune's figure is the mean over its lines, each counted once, of every hour or day and of the
period.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from msgspec import Struct, structs

from collector.domain.assessment import Change, SampleStatistics, confidence_interval
from collector.domain.lines import KnownLine
from collector.domain.place_search import with_province
from collector.registry.registry import Commune, LineKey
from collector.rollup.days import DaySample
from collector.rollup.distribution import merge_all
from collector.rollup.periods import local_day
from collector.rollup.queries import Bucket
from collector.rollup.summary import Summary
from collector.web.change_view import DifferenceWords, conclusion, difference_text
from collector.web.chart_view import Range, bucket_time
from collector.web.downloads import FileColumn, FileTable, file_table
from collector.web.drawing.line_chart import Chart, Figure, Series
from collector.web.formatting import Moment, figure, moment
from collector.web.line_table import DOWN, LATENCY, UP, line_address, maybe_figure, sample_of
from collector.web.line_view import LOADED_DOWN, drawn_chart
from collector.web.presentation import Badge, Locale
from wire.figures import MEGABIT

# In an address: a=line:TENANT/PROBE/LINE, b=commune:CODE.
LETTERS = ("a", "b", "c", "d")
STYLES = ("series-a", "series-b", "series-c", "series-d")
SUGGESTIONS_MOST = 12
_WORDS = DifferenceWords("compare_higher", "compare_lower", "compare_unknown")
LineBuckets = Mapping[LineKey, Sequence[Bucket]]


class Subject(Struct, frozen=True, kw_only=True):
    """A line, or a commune with its lines; `key` is how an address names it."""

    key: str
    name: str
    href: str
    lines: Sequence[KnownLine]


class Compared(Struct, frozen=True, kw_only=True):
    """A figure that is compared: of a metric, or a share of the counts that `share` has."""

    name: str
    label: str
    unit: str
    factor: float
    more_is_better: bool
    metric: str = ""
    share: Callable[[Summary], tuple[float, float]] | None = None
    drawn: bool = True

    def parts(self, summary: Summary) -> tuple[float, float]:
        """The sum of a summary's samples and how many they are."""
        if self.share is not None:
            return self.share(summary)
        known = summary.metric(self.metric)
        return known.total, known.count

    def mean(self, summary: Summary) -> float | None:
        """The mean of a summary, in the figure's own unit."""
        total, count = self.parts(summary)
        return total / count * self.factor if count else None


class Estimate(Struct, frozen=True):
    """A mean in the figure's own unit; `half` of its 95 % interval is None where there is none."""

    mean: float | None
    half: float | None
    count: float


class FigureRow(Struct, frozen=True):
    """A figure of all subjects: value, interval and samples of each."""

    name: str
    cells: Sequence[tuple[str, str]]


class DifferenceRow(Struct, frozen=True, kw_only=True):
    """How a subject differs from the first one."""

    figure: str
    pair: str
    difference: str
    says: Badge


class ChartRow(Struct, frozen=True):
    """An hour or a day in the table of a chart."""

    at: Moment
    cells: Sequence[str]


class ComparedChart(Struct, frozen=True, kw_only=True):
    """A chart; its table where it is asked for, and the address of the page with or without it."""

    name: str
    title: str
    unit: str
    chart: Chart | None
    rows: Sequence[ChartRow]
    table_link: str


def _lost(summary: Summary) -> tuple[float, float]:
    return summary.sums.get("latency_lost", 0), summary.sums.get("latency_sent", 0)


def _available(summary: Summary) -> tuple[float, float]:
    return summary.up_minutes, summary.up_minutes + summary.down_minutes


FIGURES = (
    Compared(
        name="down",
        label="public_down",
        unit="Mbit/s",
        factor=1 / MEGABIT,
        more_is_better=True,
        metric=DOWN,
    ),
    Compared(
        name="up",
        label="public_up_alone",
        unit="Mbit/s",
        factor=1 / MEGABIT,
        more_is_better=True,
        metric=UP,
    ),
    Compared(
        name="latency",
        label="idle_latency",
        unit="ms",
        factor=1.0,
        more_is_better=False,
        metric=LATENCY,
    ),
    Compared(
        name="loaded",
        label="loaded_latency",
        unit="ms",
        factor=1.0,
        more_is_better=False,
        metric=LOADED_DOWN,
    ),
    Compared(
        name="loss",
        label="compare_loss",
        unit="%",
        factor=100.0,
        more_is_better=False,
        share=_lost,
    ),
    Compared(
        name="availability",
        label="availability",
        unit="%",
        factor=100.0,
        more_is_better=True,
        share=_available,
        drawn=False,
    ),
)


def line_key(line: KnownLine) -> str:
    """How an address names a line."""
    return f"line:{'/'.join(line.key)}"


def commune_key(code: str) -> str:
    """How an address names a commune."""
    return f"commune:{code}"


def subject_of(
    key: str, lines: Sequence[KnownLine], communes: Mapping[str, Commune]
) -> Subject | None:
    """What an address names; None where there is no such line or commune."""
    kind, _, rest = key.partition(":")
    if kind == "line":
        found = next((line for line in lines if "/".join(line.key) == rest), None)
        return _line_subject(found) if found else None
    inside = [line for line in lines if line.commune_code == rest]
    if kind != "commune" or (rest not in communes and not inside):
        return None
    name = inside[0].place if inside else with_province(communes[rest])
    return Subject(key=key, name=name, href=f"/commune/{rest}", lines=inside)


def _line_subject(line: KnownLine) -> Subject:
    """The office is named, as a commune may have several."""
    name = f"{line.isp_name}, {line.office}, {line.place}"
    return Subject(key=line_key(line), name=name, href=line_address(line.key), lines=[line])


def with_short_names(subjects: Sequence[Subject]) -> list[Subject]:
    """The same, without the office where no other name is equal without it."""
    short = [_short_name(one) for one in subjects]
    return [
        one if short.count(name) > 1 else structs.replace(one, name=name)
        for one, name in zip(subjects, short, strict=True)
    ]


def _short_name(subject: Subject) -> str:
    if not subject.key.startswith("line:"):
        return subject.name
    (line,) = subject.lines
    return f"{line.isp_name}, {line.place}"


def suggestions(subjects: Sequence[Subject], lines: Sequence[KnownLine]) -> list[Subject]:
    """Other lines of the communes that are shown, and these communes."""
    shown = {one.key for one in subjects}
    codes = dict.fromkeys(line.commune_code for one in subjects for line in one.lines)
    near = [line for line in lines if line.commune_code in codes]
    keys = [*map(commune_key, codes), *map(line_key, near)]
    found = (subject_of(key, near, {}) for key in keys if key not in shown)
    return [one for one in found if one is not None][:SUGGESTIONS_MOST]


def charts(
    subjects: Sequence[Subject],
    buckets: LineBuckets,
    shown: Range,
    locale: Locale,
    table: str = "",
    table_link: Callable[[str], str] = lambda name: name,
) -> list[ComparedChart]:
    """A chart of each figure with a series for each subject, on one axis.

    Args:
        subjects: at most as many as there are `STYLES`.
        buckets: each line's hours or days.
        shown: the range of the charts.
        locale: the visitor's.
        table: the figure whose table is shown too, "" for none.
        table_link: the address of the page with the table of a figure, of "" without one.
    """
    found = []
    for compared in FIGURES:
        if not compared.drawn:
            continue
        means = [_means(compared, one, buckets) for one in subjects]
        with_table = compared.name == table
        found.append(
            ComparedChart(
                name=compared.name,
                title=locale.label(compared.label),
                unit=compared.unit,
                chart=_chart(subjects, means, shown, locale),
                rows=_chart_rows(means, shown, locale) if with_table else [],
                table_link=table_link("" if with_table else compared.name),
            )
        )
    return found


def estimate(subject: Subject, compared: Compared, days: LineBuckets) -> Estimate:
    """The figure of a period: of a commune the mean over its lines, each counted once.

    `days` are each line's daily buckets. The interval of a commune is that of its own lines, not of
    others that might be there: the variances of their means add up.
    """
    samples = [_sample(compared, days.get(line.key, ())) for line in subject.lines]
    known = [(one, one.mean) for one in samples if one.mean is not None]
    if not known:
        return Estimate(None, None, 0)
    halves = [
        interval.high - mean
        for one, mean in known
        if (interval := confidence_interval(one)) is not None
    ]
    factor = compared.factor / len(known)
    return Estimate(
        math.fsum(mean for _, mean in known) * factor,
        math.hypot(*halves) * factor if len(halves) == len(known) else None,
        sum(one.count for one, _ in known),
    )


def figure_rows(subjects: Sequence[Subject], days: LineBuckets, locale: Locale) -> list[FigureRow]:
    """The figures of the period, a row each."""
    return [
        FigureRow(
            f"{locale.label(one.label)}, {one.unit}",
            [_figure_cell(estimate(subject, one, days), locale) for subject in subjects],
        )
        for one in FIGURES
    ]


def difference_rows(
    subjects: Sequence[Subject], days: LineBuckets, locale: Locale
) -> list[DifferenceRow]:
    """Each subject less the first one, figure by figure."""
    rows = []
    for compared in FIGURES:
        first, *others = (estimate(subject, compared, days) for subject in subjects)
        for number, other in enumerate(others, 1):
            found = _difference(first, other)
            if found is not None:
                rows.append(
                    DifferenceRow(
                        figure=f"{locale.label(compared.label)}, {compared.unit}",
                        pair=f"{subjects[number].name} − {subjects[0].name}",
                        difference=difference_text(found, 1.0, locale),
                        says=conclusion(
                            found, _WORDS, locale, more_is_better=compared.more_is_better
                        ),
                    )
                )
    return rows


def figures_table(subjects: Sequence[Subject], days: LineBuckets, locale: Locale) -> FileTable:
    """A row for each subject and figure, unrounded."""
    rows = [
        (subject, compared, estimate(subject, compared, days))
        for subject in subjects
        for compared in FIGURES
    ]
    columns: list[FileColumn[tuple[Subject, Compared, Estimate]]] = [
        FileColumn("subject", "compare_subject", lambda row: row[0].key),
        FileColumn("name", "compare_name", lambda row: row[0].name),
        FileColumn("figure", "indicator", lambda row: row[1].name),
        FileColumn("unit", "hours_unit", lambda row: row[1].unit),
        FileColumn("mean", "value", lambda row: row[2].mean),
        FileColumn("interval_half", "compare_half", lambda row: row[2].half),
        FileColumn("lines", "lines", lambda row: len(row[0].lines)),
    ]
    return file_table(columns, rows, locale)


def _chart(
    subjects: Sequence[Subject],
    means: Sequence[Mapping[datetime, float]],
    shown: Range,
    locale: Locale,
) -> Chart | None:
    series = [
        _series(one.name, style, found, locale)
        for one, style, found in zip(subjects, STYLES, means, strict=False)
    ]
    start, end, step = shown.start, shown.end, shown.step
    return drawn_chart(series, start=start, end=end, step=step, locale=locale)


def _chart_rows(
    means: Sequence[Mapping[datetime, float]], shown: Range, locale: Locale
) -> list[ChartRow]:
    return [
        ChartRow(
            bucket_time(at, shown.step, locale),
            [maybe_figure(found.get(at), locale) for found in means],
        )
        for at in sorted({at for one in means for at in one})
    ]


def _means(compared: Compared, subject: Subject, buckets: LineBuckets) -> dict[datetime, float]:
    """A subject's figure of each hour or day."""
    found: dict[datetime, list[float]] = {}
    for line in subject.lines:
        for bucket in buckets.get(line.key, ()):
            mean = compared.mean(bucket.summary)
            if mean is not None:
                found.setdefault(bucket.start, []).append(mean)
    return {at: math.fsum(same) / len(same) for at, same in sorted(found.items())}


def _series(name: str, style: str, means: Mapping[datetime, float], locale: Locale) -> Series:
    return Series(
        name,
        style,
        [
            Figure(
                at,
                value,
                words=f"{moment(at, locale.language, locale.timezone).text}\n"
                f"{name}: {figure(value, locale.language)}",
            )
            for at, value in means.items()
        ],
    )


def _sample(compared: Compared, days: Iterable[Bucket]) -> SampleStatistics:
    """One line's samples of a period, day by day."""
    summaries = [(local_day(bucket.start), bucket.summary) for bucket in days]
    by_day = [
        DaySample(day, int(count), total)
        for day, (total, count) in ((day, compared.parts(one)) for day, one in summaries)
        if count
    ]
    if compared.share is None:
        return sample_of(
            merge_all(one.metric(compared.metric) for _, one in summaries), days=by_day
        )
    count = sum(day.count for day in by_day)
    if not count:
        return SampleStatistics(count=0, mean=None, deviation=None)
    share = math.fsum(day.total for day in by_day) / count
    deviation = math.sqrt(share * (1 - share))
    return SampleStatistics(count=count, mean=share, deviation=deviation, days=tuple(by_day))


def _figure_cell(found: Estimate, locale: Locale) -> tuple[str, str]:
    """The mean, and its interval: "± 2,4"."""
    half = "" if found.half is None else f"± {figure(found.half, locale.language)}"
    return maybe_figure(found.mean, locale), half


def _difference(first: Estimate, other: Estimate) -> Change | None:
    """As of two periods (docs/method.md#assessment, M12)."""
    if first.mean is None or other.mean is None:
        return None
    halves = [one.half for one in (first, other) if one.half is not None]
    half = math.hypot(*halves) if len(halves) == 2 else None
    return Change(other.mean - first.mean, half)
