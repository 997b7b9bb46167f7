"""Floor 1. ISPs compared in the same communes and the same hours of the week, with intervals.

Means of ISPs that serve different places cannot be compared. So two ISPs are compared only in
communes with lines of both, by hour of the week: each such cell with valid samples of both gives a
difference. The cells of a commune are of the same lines, so the sampling unit of the mean
difference is the commune: its 95 % interval is between the communes' mean differences (decision
103). Rows are sorted by name. There is no ranking.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any

from msgspec import Struct

from collector.domain.assessment import (
    ClusterSample,
    ConfidenceInterval,
    confidence_interval,
    half_between,
)
from collector.domain.lines import KnownLine
from collector.registry.registry import LineKey
from collector.rollup.queries import HourMean, LineDays
from collector.rollup.summary import Summary, merge_summaries
from collector.web import families_view
from collector.web.drawing.bars import Whisker, whiskers
from collector.web.families_view import Families, FamilyRow
from collector.web.formatting import MISSING, by_name, figure
from collector.web.line_table import (
    DOWN,
    LATENCY,
    UP,
    days_of,
    interval_text,
    maybe_figure,
    megabits,
    percent,
    pooled_sample,
)
from collector.web.presentation import Badge, Locale
from collector.web.table import DESCENDING, Column
from wire.figures import MEGABIT
from wire.result import Family

# A comparison by hour reads each line's hours: of every province, and not of the whole country.
LINES_MOST = 1_000
# Two communes that differ by chance alone say nothing of an area.
_COMMUNES_LEAST = 3
COLUMNS = (
    Column("name", "isp"),
    Column("communes", "communes", DESCENDING, numeric=True),
    Column("lines", "lines", DESCENDING, numeric=True),
    Column("samples", "samples_head", numeric=True),
    Column("down", "mean_down", numeric=True),
    Column("interval", "interval95", ""),
    Column("up", "mean_up", numeric=True),
    Column("latency", "mean_latency", DESCENDING, numeric=True),
    Column("loss", "loss_percent", DESCENDING, numeric=True),
    Column("availability", "availability", numeric=True),
)
_PER_MEGABIT = 1 / MEGABIT


class IspRow(Struct, frozen=True, kw_only=True):
    """An ISP in the communes that are compared."""

    id: str
    name: str
    communes: str
    lines: str
    samples: str
    down: str
    down_interval: str
    up: str
    latency: str
    loss: str
    availability: str
    whisker: Whisker | None
    keys: Mapping[str, Any]


class IspFamilyRow(Struct, frozen=True):
    """An ISP over one address family, in the communes that are compared."""

    isp: str
    lines: str
    figures: FamilyRow


class PairRow(Struct, frozen=True, kw_only=True):
    """Two ISPs in the communes with lines of both."""

    first: str
    second: str
    communes: str
    cells: str
    difference: str
    interval: str
    says: Badge


def shared_lines(lines: Iterable[KnownLine]) -> list[KnownLine]:
    """The lines in communes where at least two ISPs are measured."""
    by_commune: dict[str, list[KnownLine]] = defaultdict(list)
    for line in lines:
        by_commune[line.commune_code].append(line)
    return [
        line
        for inside in by_commune.values()
        if len({one.isp for one in inside}) > 1
        for line in inside
    ]


def isp_rows(
    lines: Sequence[KnownLine],
    summaries: Mapping[LineKey, Summary],
    days: LineDays,
    locale: Locale,
) -> tuple[list[IspRow], float]:
    """A row per ISP, by name; and the top of the scale of their whiskers, Mbit/s.

    `days` are the lines' samples of download. The interval is that of a report's row of lines.
    """
    by_isp: dict[tuple[str, str], list[KnownLine]] = defaultdict(list)
    for line in lines:
        by_isp[line.isp_name, line.isp].append(line)
    found = [
        (name, isp, inside, merge_summaries(summaries[x.key] for x in inside if x.key in summaries))
        for (name, isp), inside in sorted(by_isp.items())
    ]
    means = []
    intervals = {isp: _interval(inside, summaries, days) for _, isp, inside, _ in found}
    for _, isp, _, summary in found:
        down, interval = summary.metric(DOWN), intervals[isp]
        if down.mean is not None:
            means.append(
                (
                    down.mean * _PER_MEGABIT,
                    interval.low * _PER_MEGABIT if interval else None,
                    interval.high * _PER_MEGABIT if interval else None,
                )
            )
    drawn, top = whiskers(means)
    drawn_of = iter(drawn)
    return [
        _isp_row(
            isp,
            name,
            inside,
            summary,
            intervals[isp],
            next(drawn_of) if summary.metric(DOWN).mean is not None else None,
            locale,
        )
        for name, isp, inside, summary in found
    ], top


def family_rows(
    lines: Sequence[KnownLine],
    families: Mapping[LineKey, Families],
    days: LineDays,
    locale: Locale,
) -> list[IspFamilyRow]:
    """A row per ISP and address family, by name; none where no line states a family."""
    parts: dict[tuple[str, str], dict[Family | None, list[Summary]]] = defaultdict(dict)
    for line in lines:
        for family, summary in families_view.measured(families.get(line.key, {})).items():
            parts[line.isp_name, line.isp].setdefault(family, []).append(summary)
    keys: dict[tuple[str, str], list[LineKey]] = defaultdict(list)
    for line in lines:
        keys[line.isp_name, line.isp].append(line.key)
    return [
        IspFamilyRow(
            isp[0],
            locale.number(len(of_lines)),
            families_view.family_row(family, of_lines, days_of(days, keys[isp], [family]), locale),
        )
        for isp, mine in sorted(parts.items())
        for family, of_lines in families_view.in_order(mine)
    ]


def pair_rows(
    lines: Sequence[KnownLine],
    hours: Mapping[LineKey, Mapping[tuple[int, int], HourMean]],
    locale: Locale,
) -> list[PairRow]:
    """A row per pair of ISPs that share a commune, by name."""
    cells: dict[tuple[str, str], dict[tuple[str, int, int], HourMean]] = defaultdict(dict)
    for line in lines:
        mine = cells[line.isp_name, line.isp]
        for (weekday, hour), found in hours.get(line.key, {}).items():
            at = (line.commune_code, weekday, hour)
            known = mine.get(at, HourMean(0, 0.0))
            mine[at] = HourMean(known.samples + found.samples, known.total + found.total)
    rows = []
    for first, second in combinations(sorted(cells), 2):
        both = sorted(cells[first].keys() & cells[second].keys())
        if both:
            differences: dict[str, list[float]] = defaultdict(list)
            for at in both:
                differences[at[0]].append(
                    (cells[first][at].mean - cells[second][at].mean) * _PER_MEGABIT
                )
            rows.append(_pair_row(first[0], second[0], list(differences.values()), locale))
    return rows


def _pair_row(
    first: str, second: str, differences: Sequence[Sequence[float]], locale: Locale
) -> PairRow:
    mean, interval = paired(differences)
    if interval is None:
        says = Badge("quiet", "…", locale.label("too_few_communes"))
    elif interval[0] > 0:
        says = Badge("quiet", ">", f"{first} {locale.label('faster_here')}")
    elif interval[1] < 0:
        says = Badge("quiet", "<", f"{second} {locale.label('faster_here')}")
    else:
        says = Badge("quiet", "≈", locale.label("not_told_apart"))
    number = locale.number
    return PairRow(
        first=first,
        second=second,
        communes=number(len(differences)),
        cells=number(sum(map(len, differences))),
        difference=_signed(mean, locale),
        interval=MISSING
        if interval is None
        else f"{_signed(interval[0], locale)} … {_signed(interval[1], locale)}",
        says=says,
    )


def paired(
    differences: Sequence[Sequence[float]],
) -> tuple[float, tuple[float, float] | None]:
    """The mean of the communes' differences and its 95 % interval; none of fewer than three.

    Each commune counts by its cells, as a cluster of samples.
    """
    communes = [ClusterSample(len(cells), math.fsum(cells) / len(cells)) for cells in differences]
    count = sum(commune.count for commune in communes)
    mean = math.fsum(commune.count * commune.mean for commune in communes) / count
    if len(communes) < _COMMUNES_LEAST:
        return mean, None
    reach = half_between(communes)
    return mean, (mean - reach, mean + reach)


def _interval(
    lines: Sequence[KnownLine], summaries: Mapping[LineKey, Summary], days: LineDays
) -> ConfidenceInterval | None:
    parts = [summaries[line.key].metric(DOWN) for line in lines if line.key in summaries]
    return confidence_interval(pooled_sample(parts, days_of(days, [line.key for line in lines])))


def _isp_row(
    isp: str,
    name: str,
    lines: Sequence[KnownLine],
    summary: Summary,
    interval: ConfidenceInterval | None,
    whisker: Whisker | None,
    locale: Locale,
) -> IspRow:
    number = locale.number
    down = summary.metric(DOWN)
    communes = len({line.commune_code for line in lines})
    return IspRow(
        id=isp,
        name=name,
        communes=number(communes),
        lines=number(len(lines)),
        samples=number(down.count),
        down=megabits(down.mean, locale),
        down_interval=interval_text(interval, locale),
        up=megabits(summary.metric(UP).mean, locale),
        latency=maybe_figure(summary.metric(LATENCY).mean, locale),
        loss=percent(summary.loss_ratio, locale),
        availability=percent(summary.availability_ratio, locale),
        whisker=whisker,
        keys={
            "name": by_name(name),
            "communes": communes,
            "lines": len(lines),
            "samples": down.count,
            "down": down.mean,
            "up": summary.metric(UP).mean,
            "latency": summary.metric(LATENCY).mean,
            "loss": summary.loss_ratio,
            "availability": summary.availability_ratio,
        },
    )


def _signed(value: float, locale: Locale) -> str:
    text = figure(abs(value), locale.language)
    return f"{'−' if value < 0 else '+'}{text}"
