"""Floor 1. A line's address families: a row each, a series each, and one chosen by an address.

A verdict about a plan joins both (QCVN 34:2022/BTTTT assesses a service and knows no family), so
that nothing here is assessed. The family is None for results of probes before 0.2.0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from msgspec import Struct

from collector.domain.assessment import confidence_interval
from collector.registry.registry import LineKey
from collector.rollup.days import DaySample
from collector.rollup.metrics import OVERVIEW_KINDS
from collector.rollup.summary import Summary, merge_summaries
from collector.web.line_table import (
    DOWN,
    LATENCY,
    UP,
    interval_text,
    maybe_figure,
    megabits,
    percent,
    pooled_sample,
)
from collector.web.presentation import Locale
from wire.result import Family

T = TypeVar("T")
Families = Mapping[Family | None, Summary]
# In which order they are shown.
_ORDER = (Family.IPV4, Family.IPV6, None)
# The values of the query parameter `family`.
UNSTATED = "unstated"
CHOICES = (*(family.value for family in Family), UNSTATED)


class FamilyRow(Struct, frozen=True, kw_only=True):
    """The figures of one address family."""

    name: str
    samples: str
    down: str
    interval: str
    up: str
    latency: str
    loss: str


def family_name(family: Family | None, locale: Locale) -> str:
    """The name of a family; that it is not known, for None."""
    return locale.label(f"family_{family.value if family else UNSTATED}")


def chosen(text: str) -> Family | None:
    """The family that one of `CHOICES` names."""
    return None if text == UNSTATED else Family(text)


def of_family(
    families: Mapping[LineKey, Families], family: Family | None
) -> dict[LineKey, Summary]:
    """The Summary of one family of each line that has results of it."""
    return {line: mine[family] for line, mine in families.items() if family in mine}


def in_order(families: Mapping[Family | None, T]) -> list[tuple[Family | None, T]]:
    """The families in the order in which they are shown."""
    return [(family, families[family]) for family in _ORDER if family in families]


def measured(families: Families) -> dict[Family | None, Summary]:
    """The families that something was measured over; empty where none but None was.

    Availability and outages are of the line, and so of no family.
    """
    found = {
        family: summary
        for family, summary in families.items()
        if any(kind in summary.kinds for kind in OVERVIEW_KINDS)
    }
    return found if found.keys() - {None} else {}


def family_rows(
    families: Families, days: Mapping[Family | None, Sequence[DaySample]], locale: Locale
) -> list[FamilyRow]:
    """A row for each family of a line; none where a line has one alone. `days` are of download."""
    shown = in_order(measured(families))
    if len(shown) < 2:
        return []
    return [
        family_row(family, [summary], days.get(family, ()), locale) for family, summary in shown
    ]


def family_row(
    family: Family | None, parts: Sequence[Summary], days: Sequence[DaySample], locale: Locale
) -> FamilyRow:
    """The figures of a family; each of `parts` is of one line."""
    summary = merge_summaries(parts)
    counts, down = summary.counts("throughput"), summary.metric(DOWN)
    sample = pooled_sample((part.metric(DOWN) for part in parts), days)
    return FamilyRow(
        name=family_name(family, locale),
        samples=f"{locale.number(counts.valid)}/{locale.number(counts.attempted)}",
        down=megabits(down.mean, locale),
        interval=interval_text(confidence_interval(sample), locale),
        up=megabits(summary.metric(UP).mean, locale),
        latency=maybe_figure(summary.metric(LATENCY).mean, locale),
        loss=percent(summary.loss_ratio, locale),
    )


def silent_notes(summary: Summary, locale: Locale) -> list[str]:
    """ "IPv6 did not answer: 12 minutes", for each family that did not while the line was up."""
    return [
        f"{family_name(family, locale)} {locale.label('family_silent')}: "
        f"{locale.number(minutes)} {locale.label('minutes')}"
        for family in Family
        if (minutes := summary.family_down_minutes(family))
    ]
