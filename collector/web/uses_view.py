"""Floor 1. What a line is good for, as pages show it: words by use, and what holds it back."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct, structs

from collector.domain.lines import KnownLine
from collector.domain.uses import (
    Indicator,
    Level,
    Use,
    UseAssessment,
    UseFigures,
    Uses,
    assess_use,
    figures_of,
    framework_score,
    hours_summary,
    loaded_latency_ms,
)
from collector.registry.registry import LineKey
from collector.rollup.summary import EMPTY, Summary
from collector.web.formatting import MISSING, axis_number, by_name, figure
from collector.web.line_table import percent
from collector.web.presentation import Badge, Locale
from runtime.language import Language, Phrase

_LOOKS = {Level.GOOD: ("good", "✓"), Level.LIMITED: ("quiet", "▲"), Level.POOR: ("bad", "✕")}
_SPEEDS = (Indicator.DOWNLOAD, Indicator.UPLOAD)


class UseRow(Struct, frozen=True, kw_only=True):
    """A use: a word for office hours, the evening, all hours and under load; what it misses."""

    name: str
    source: str
    office: Badge
    peak: Badge
    all_hours: Badge
    loaded: Badge
    held_back: list[str]


class UsesSection(Struct, frozen=True, kw_only=True):
    """The table of a line. `scores`: the framework's, in the order of the columns."""

    rows: list[UseRow]
    scores: tuple[str, str, str]
    availability: str
    version: str
    source: str


class LineUses(Struct, frozen=True, kw_only=True):
    """A line's words by use, in the order of `Uses.shown`: all hours, and the evening if worse."""

    all_hours: list[Badge]
    peak: list[Badge | None]
    score: str


class IspUses(Struct, frozen=True, kw_only=True):
    """An ISP: of how many of its lines each use is good, of those with figures enough."""

    name: str
    good: list[str]


class _Figures(Struct, frozen=True, kw_only=True):
    office: UseFigures | None
    peak: UseFigures | None
    all_hours: UseFigures | None
    loaded: UseFigures | None


def use_name(use: Use, locale: Locale) -> str:
    """Its name in the visitor's language."""
    return Phrase(use.name_vi, use.name_en).in_(locale.language)


def section_of(cells: Mapping[tuple[int, int], Summary], uses: Uses, locale: Locale) -> UsesSection:
    """The table of a line from its hours of the week."""
    whole = hours_summary(cells)
    known = _figures(cells, whole, uses)
    return UsesSection(
        rows=[_row(use, known, uses, locale) for use in uses.shown],
        scores=(
            _score(known.office, uses, locale),
            _score(known.peak, uses, locale),
            _score(known.all_hours, uses, locale),
        ),
        availability=percent(whole.availability_ratio, locale),
        version=uses.version,
        source=uses.source,
    )


def line_uses(cells: Mapping[tuple[int, int], Summary], uses: Uses, locale: Locale) -> LineUses:
    """A line among others: all hours, and the evening where its word is a worse one."""
    known = _figures(cells, hours_summary(cells), uses)
    return LineUses(
        all_hours=[_badge(_assessed(use, known.all_hours, uses), locale) for use in uses.shown],
        peak=[_worse_evening(use, known, uses, locale) for use in uses.shown],
        score=_score(known.all_hours, uses, locale),
    )


def isp_uses(
    lines: Iterable[KnownLine], summaries: Mapping[LineKey, Summary], uses: Uses, locale: Locale
) -> list[IspUses]:
    """ISPs by name, all hours."""
    known: dict[str, list[UseFigures]] = defaultdict(list)
    for line in lines:
        figures = figures_of(summaries.get(line.key, EMPTY), uses)
        known[line.isp_name] += [] if figures is None else [figures]
    return [
        IspUses(
            name=name,
            good=[_good_of(use, known[name], uses, locale) for use in uses.shown],
        )
        for name in sorted(known, key=by_name)
    ]


def _good_of(use: Use, lines: Sequence[UseFigures], uses: Uses, locale: Locale) -> str:
    good = sum(assess_use(use, figures, uses).level is Level.GOOD for figures in lines)
    return f"{locale.number(good)}/{locale.number(len(lines))}"


def _figures(cells: Mapping[tuple[int, int], Summary], whole: Summary, uses: Uses) -> _Figures:
    all_hours, loaded_ms = figures_of(whole, uses), loaded_latency_ms(whole, uses)
    return _Figures(
        office=figures_of(hours_summary(cells, uses.office_hours), uses),
        peak=figures_of(hours_summary(cells, uses.peak_hours), uses),
        all_hours=all_hours,
        loaded=structs.replace(all_hours, latency_ms=loaded_ms)
        if all_hours is not None and loaded_ms is not None
        else None,
    )


def _row(use: Use, known: _Figures, uses: Uses, locale: Locale) -> UseRow:
    return UseRow(
        name=use_name(use, locale),
        source=use.source or "",
        office=_badge(_assessed(use, known.office, uses), locale),
        peak=_badge(_assessed(use, known.peak, uses), locale),
        all_hours=_badge(_assessed(use, known.all_hours, uses), locale),
        loaded=_badge(_assessed(use, known.loaded, uses), locale),
        held_back=_held_back(use, known, uses, locale),
    )


def _assessed(use: Use, figures: UseFigures | None, uses: Uses) -> UseAssessment | None:
    return None if figures is None else assess_use(use, figures, uses)


def _worse_evening(use: Use, known: _Figures, uses: Uses, locale: Locale) -> Badge | None:
    usual, evening = _assessed(use, known.all_hours, uses), _assessed(use, known.peak, uses)
    if usual is None or evening is None or evening.score >= usual.score:
        return None
    return None if evening.level is usual.level else _badge(evening, locale)


def _badge(assessment: UseAssessment | None, locale: Locale) -> Badge:
    if assessment is None:
        return Badge("quiet", "–", locale.label("uses_unknown"))
    return Badge(*_LOOKS[assessment.level], locale.label(f"uses_{assessment.level}"))


def _held_back(use: Use, known: _Figures, uses: Uses, locale: Locale) -> list[str]:
    """What is missed, each once: at all hours, else in the evening, in office hours, under load."""
    found: dict[Indicator, str] = {}
    for figures, when in (
        (known.all_hours, ""),
        (known.peak, "uses_peak_hours"),
        (known.office, "uses_office_hours"),
        (known.loaded, "uses_under_load"),
    ):
        if figures is not None:
            for one in assess_use(use, figures, uses).missed:
                found.setdefault(one, _missed(use, one, figures, when, locale))
    return list(found.values())


def _missed(use: Use, one: Indicator, figures: UseFigures, when: str, locale: Locale) -> str:
    """`độ trễ khi tải 180,0 ms (cần dưới 50 ms)`."""
    words = [locale.label(f"uses_indicator_{one}")]
    if when:
        words.append(locale.label(when).lower())
    limit, language = use.requirement(one).limit, locale.language
    if one is Indicator.LOSS:
        value, least = percent(figures.of(one), locale), f"{axis_number(limit * 100, language)}%"
    else:
        unit = "Mbit/s" if one in _SPEEDS else "ms"
        value = f"{figure(figures.of(one), language)} {unit}"
        least = f"{axis_number(limit, language)} {unit}"
    needs = locale.label("uses_needs_over" if one in _SPEEDS else "uses_needs_under")
    return f"{' '.join(words)} {value} ({needs} {least})"


def _score(figures: UseFigures | None, uses: Uses, locale: Locale) -> str:
    if figures is None:
        return MISSING
    score = f"{framework_score(figures, uses):.2f}"
    return score.replace(".", ",") if locale.language is Language.VI else score
