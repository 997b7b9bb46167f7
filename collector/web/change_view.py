"""Floor 1. A line's period against the one before: by how much, and whether it means anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from msgspec import Struct

from collector.domain.assessment import Change, change
from collector.rollup.days import DaySample
from collector.rollup.periods import Period
from collector.rollup.summary import Summary
from collector.web.formatting import MISSING, figure
from collector.web.line_table import DOWN, LATENCY, UP, sample_of, scaled
from collector.web.presentation import Badge, Locale
from wire.figures import MEGABIT

# Metric, label of its name, factor to its unit, and whether more of it is better.
_SHOWN = (
    (DOWN, "mean_down", 1 / MEGABIT, True),
    (UP, "mean_up", 1 / MEGABIT, True),
    (LATENCY, "mean_latency", 1.0, False),
)
Days = Mapping[str, Sequence[DaySample]]


class DifferenceWords(NamedTuple):
    """The labels of a difference: clearly higher or lower, or unknown."""

    higher: str
    lower: str
    unknown: str


_WORDS = DifferenceWords("change_up", "change_down", "change_unknown")


class ChangeRow(Struct, frozen=True, kw_only=True):
    """A figure of this period and of the one before."""

    name: str
    before: str
    now: str
    difference: str
    says: Badge


def change_rows(
    before: Summary, before_days: Days, now: Summary, now_days: Days, locale: Locale
) -> list[ChangeRow]:
    """Speeds and latency; none where the period before has no samples."""
    rows = []
    for metric, label, factor, more_is_better in _SHOWN:
        earlier = sample_of(before.metric(metric), days=before_days.get(metric, ()))
        later = sample_of(now.metric(metric), days=now_days.get(metric, ()))
        found = change(earlier, later)
        if found is None:
            continue
        rows.append(
            ChangeRow(
                name=locale.label(label),
                before=scaled(earlier.mean, factor, locale),
                now=scaled(later.mean, factor, locale),
                difference=difference_text(found, factor, locale),
                says=conclusion(found, _WORDS, locale, more_is_better=more_is_better),
            )
        )
    return rows


def period_text(period: Period) -> str:
    """01/10/2026–31/10/2026."""
    return f"{period.first:%d/%m/%Y}–{period.last:%d/%m/%Y}"


def difference_text(found: Change, factor: float, locale: Locale) -> str:
    """`+12,3 ± 4,0`; without an interval the difference alone."""
    sign = "−" if found.difference < 0 else "+"
    text = f"{sign}{figure(abs(found.difference) * factor, locale.language)}"
    if found.half is None:
        return text
    return f"{text} ± {figure(found.half * factor, locale.language)}"


def conclusion(
    found: Change, words: DifferenceWords, locale: Locale, *, more_is_better: bool
) -> Badge:
    """Whether a difference means anything, and then whether it is for the better."""
    if found.half is None:
        return Badge("quiet", MISSING, locale.label(words.unknown))
    if not found.is_significant:
        return Badge("quiet", "≈", locale.label("change_none"))
    is_higher = found.difference > 0
    tone = "good" if is_higher is more_is_better else "bad"
    word = locale.label(words.higher if is_higher else words.lower)
    return Badge(tone, "▲" if is_higher else "▼", word)
