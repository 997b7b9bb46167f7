"""Floor 1. The overview: counts, and a row per province; `map_view` has the map.

Where more than `LINES_MOST` lines pass the filters, the table lists provinces unless lines are
asked for, each with a link to its lines; lines are in pages.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any

from msgspec import Struct

from collector.domain.lines import KnownLine, LineState
from collector.domain.place_search import short_province
from collector.domain.thresholds import Thresholds
from collector.registry.registry import LineKey
from collector.rollup.summary import EMPTY, Summary
from collector.web.formatting import by_name, whole_number
from collector.web.line_table import (
    DOWN,
    LATENCY,
    STATE_LOOKS,
    UP,
    loaded_latency,
    maybe_figure,
    megabits,
    percent,
    state_badge,
)
from collector.web.presentation import Badge, Locale
from collector.web.table import DESCENDING, Column

# With more lines the table is by province unless lines are asked for.
LINES_MOST = 250
# A page of the table: some 25 elements a row; with a province's map 1,500 a page.
ROWS_A_PAGE = 31
PROVINCE_COLUMNS = (
    Column("name", "province"),
    Column("communes", "communes", DESCENDING, numeric=True),
    Column("lines", "lines", DESCENDING, numeric=True),
    Column("state", "state_now", DESCENDING),
    Column("down", "mean_down", numeric=True),
    Column("up", "mean_up", numeric=True),
    Column("latency", "mean_latency", DESCENDING, numeric=True),
    Column("loaded", "mean_loaded", DESCENDING, numeric=True),
    Column("below", "below_plan", DESCENDING, numeric=True),
)


class ProvinceRow(Struct, frozen=True, kw_only=True):
    """A row per province. `below` counts lines with a mean below the share of their plan.

    `keys` are what the columns are sorted by; the state's is the share of lines that are not good.
    """

    code: str
    name: str
    communes: str
    lines: str
    states: list[tuple[Badge, str]]
    down: str
    up: str
    latency: str
    loaded: str
    below: str
    keys: Mapping[str, Any]


class OverviewCounts(Struct, frozen=True, kw_only=True):
    """The counts above the map."""

    communes: str
    communes_all: str
    lines: str
    states: list[tuple[Badge, str]]
    down: str
    up: str
    latency: str
    loss: str


def counts(
    lines: Sequence[KnownLine],
    communes_all: int,
    summaries: Mapping[LineKey, Summary],
    states: Mapping[LineKey, LineState],
    locale: Locale,
) -> OverviewCounts:
    """The counts of all lines that pass the filters."""
    found = [summaries[line.key] for line in lines if line.key in summaries]
    sent = sum(one.sums.get("latency_sent", 0) for one in found)
    lost = sum(one.sums.get("latency_lost", 0) for one in found)
    number = locale.number
    return OverviewCounts(
        communes=number(len({line.commune_code for line in lines})),
        communes_all=number(communes_all),
        lines=number(len(lines)),
        states=_state_counts(lines, states, locale),
        down=megabits(_mean_of_means(found, DOWN), locale),
        up=megabits(_mean_of_means(found, UP), locale),
        latency=maybe_figure(_mean_of_means(found, LATENCY), locale),
        loss=percent(lost / sent if sent else None, locale),
    )


def province_rows(
    lines: Sequence[KnownLine],
    summaries: Mapping[LineKey, Summary],
    states: Mapping[LineKey, LineState],
    thresholds: Thresholds,
    locale: Locale,
) -> list[ProvinceRow]:
    """A row per province with a line, by name; lines of unknown place last."""
    by_province: dict[str, list[KnownLine]] = {}
    for line in lines:
        by_province.setdefault(line.province_code, []).append(line)
    rows = [
        _province_row(code, inside, summaries, states, thresholds, locale)
        for code, inside in by_province.items()
    ]
    return sorted(rows, key=lambda row: (not row.code, row.keys["name"]))


def _province_row(
    code: str,
    lines: Sequence[KnownLine],
    summaries: Mapping[LineKey, Summary],
    states: Mapping[LineKey, LineState],
    thresholds: Thresholds,
    locale: Locale,
) -> ProvinceRow:
    found = [summaries[line.key] for line in lines if line.key in summaries]
    first = lines[0].commune
    below, planned = _below(lines, summaries, thresholds.speed_share.limit)
    number, name = locale.number, first.province_name if first else locale.label("place_unknown")
    communes = len({line.commune_code for line in lines})
    down, up, latency = (_mean_of_means(found, metric) for metric in (DOWN, UP, LATENCY))
    # As the map has it: no line weighs more because it was tested more.
    known = [value for one in found if (value := loaded_latency(one)) is not None]
    loaded = median(known) if known else None
    good = sum(states.get(line.key) is LineState.GOOD for line in lines)
    return ProvinceRow(
        code=code,
        name=name,
        communes=number(communes),
        lines=number(len(lines)),
        states=_state_counts(lines, states, locale),
        down=megabits(down, locale),
        up=megabits(up, locale),
        latency=maybe_figure(latency, locale),
        loaded=maybe_figure(loaded, locale),
        below=f"{number(below)}/{number(planned)}",
        keys={
            "name": by_name(short_province(name)),
            "communes": communes,
            "lines": len(lines),
            "state": 1 - good / len(lines),
            "down": down,
            "up": up,
            "latency": latency,
            "loaded": loaded,
            "below": below / planned if planned else None,
            "lines_good": good,
            "lines_below": below,
            "lines_planned": planned,
        },
    )


def _below(
    lines: Iterable[KnownLine], summaries: Mapping[LineKey, Summary], share: float
) -> tuple[int, int]:
    """The number of lines with a mean below that share of the plan, and of lines with both."""
    below = planned = 0
    for line in lines:
        mean = summaries.get(line.key, EMPTY).metric(DOWN).mean
        if mean is not None and line.plan_down_bps is not None:
            planned += 1
            below += mean < share * line.plan_down_bps
    return below, planned


def _mean_of_means(summaries: Sequence[Summary], metric: str) -> float | None:
    """The mean over all samples, each with the same weight, as in the regulation."""
    total, count = 0.0, 0
    for summary in summaries:
        figures = summary.metric(metric)
        total += figures.total
        count += figures.count
    return total / count if count else None


def _state_counts(
    lines: Iterable[KnownLine], states: Mapping[LineKey, LineState], locale: Locale
) -> list[tuple[Badge, str]]:
    found = Counter(states.get(line.key, LineState.NEVER) for line in lines)
    return [
        (state_badge(state, locale), whole_number(found[state], locale.language))
        for state in STATE_LOOKS
        if found[state]
    ]
