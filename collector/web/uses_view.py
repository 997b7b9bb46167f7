"""Floor 1. What a line is good for, as pages show it: words by use, and what holds it back."""

from __future__ import annotations

from collections import Counter, defaultdict
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
from collector.rollup.queries import HoursOfWeek
from collector.rollup.summary import Summary
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


class UseWords(Struct, frozen=True, kw_only=True):
    """A use of a line among others: the word for all hours; where another is of office hours, of
    the evening or under load, that one with its name; what holds it back."""

    name: str
    word: Badge
    others: list[str]
    held_back: list[str]


class LineUses(Struct, frozen=True, kw_only=True):
    """A line's words by use, in the order of `Uses.shown`."""

    words: list[UseWords]
    score: str

    @property
    def by_word(self) -> list[tuple[Badge, str]]:
        """The names of the uses by their word, each with its other words: for a sheet of paper."""
        badges = dict.fromkeys(one.word for one in self.words)
        return [
            (badge, "; ".join(_with_others(one) for one in self.words if one.word == badge))
            for badge in badges
        ]


def _with_others(use: UseWords) -> str:
    return f"{use.name} ({', '.join(use.others)})" if use.others else use.name


class IspUse(Struct, frozen=True, kw_only=True):
    """Of how many of an ISP's lines a use is good, of those with samples enough: at all hours;
    apart in office hours, in the evening and under load; and what most of the others lack."""

    good: str
    breakdown: list[str]
    held_back: str


class IspUses(Struct, frozen=True, kw_only=True):
    """An ISP, its uses in the order of `Uses.shown`."""

    name: str
    uses: list[IspUse]


class LineFigures(Struct, frozen=True, kw_only=True):
    """What the uses of a line are assessed by; None: too few samples, or not asked for."""

    office: UseFigures | None
    peak: UseFigures | None
    all_hours: UseFigures | None
    loaded: UseFigures | None


def use_name(use: Use, locale: Locale) -> str:
    """Its name in the visitor's language."""
    return Phrase(use.name_vi, use.name_en).in_(locale.language)


def section_of(hours: HoursOfWeek, uses: Uses, locale: Locale) -> UsesSection:
    """The table of a line from its hours of the week."""
    whole = hours_summary(hours)
    known = _figures(hours, whole, uses)
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


def line_uses(hours: HoursOfWeek, uses: Uses, locale: Locale) -> LineUses:
    """A line among others."""
    known = figures_by_hours(hours, uses)
    return LineUses(
        words=[_words(use, known, uses, locale) for use in uses.shown],
        score=_score(known.all_hours, uses, locale),
    )


def figures_of_line(summary: Summary, uses: Uses) -> LineFigures:
    """The figures of a line from its Summary alone: office hours and evening are not apart."""
    all_hours = figures_of(summary, uses)
    return LineFigures(
        office=None, peak=None, all_hours=all_hours, loaded=_loaded(all_hours, summary, uses)
    )


def figures_by_hours(hours: HoursOfWeek, uses: Uses) -> LineFigures:
    """The figures of a line from its Summaries by hour of the week."""
    return _figures(hours, hours_summary(hours), uses)


def _figures(hours: HoursOfWeek, whole: Summary, uses: Uses) -> LineFigures:
    all_hours = figures_of(whole, uses)
    return LineFigures(
        office=figures_of(hours_summary(hours, uses.office_hours), uses),
        peak=figures_of(hours_summary(hours, uses.peak_hours), uses),
        all_hours=all_hours,
        loaded=_loaded(all_hours, whole, uses),
    )


def isp_uses(
    lines: Iterable[KnownLine], figures: Mapping[LineKey, LineFigures], uses: Uses, locale: Locale
) -> list[IspUses]:
    """ISPs by name."""
    known: dict[str, list[LineFigures]] = defaultdict(list)
    for line in lines:
        found = figures.get(line.key)
        known[line.isp_name] += [found] if found is not None else []
    return [
        IspUses(name=name, uses=[_isp_use(use, known[name], uses, locale) for use in uses.shown])
        for name in sorted(known, key=by_name)
    ]


def _isp_use(use: Use, lines: Sequence[LineFigures], uses: Uses, locale: Locale) -> IspUse:
    whole = [one.all_hours for one in lines]
    conditions = (
        ("uses_office_hours", [one.office for one in lines]),
        ("uses_peak_hours", [one.peak for one in lines]),
        ("uses_under_load", [one.loaded for one in lines]),
    )
    return IspUse(
        good=_good_of(use, whole, uses, locale),
        breakdown=[
            f"{locale.label(name).lower()}: {_good_of(use, some, uses, locale)}"
            for name, some in conditions
            if any(some)
        ],
        held_back=_most_missed(use, whole, uses, locale),
    )


def _good_of(use: Use, lines: Sequence[UseFigures | None], uses: Uses, locale: Locale) -> str:
    known = [one for one in lines if one is not None]
    good = sum(assess_use(use, figures, uses).level is Level.GOOD for figures in known)
    return f"{locale.number(good)}/{locale.number(len(known))}"


def _most_missed(use: Use, lines: Sequence[UseFigures | None], uses: Uses, locale: Locale) -> str:
    """`mất gói: 12`: the requirement that most lines miss, and how many; "" where none does."""
    missed = Counter(
        one for line in lines if line is not None for one in assess_use(use, line, uses).missed
    )
    if not missed:
        return ""
    ((most, count),) = missed.most_common(1)
    return f"{locale.label(f'uses_indicator_{most}')}: {locale.number(count)}"


def _loaded(all_hours: UseFigures | None, whole: Summary, uses: Uses) -> UseFigures | None:
    """The same figures with the latency under load."""
    loaded_ms = loaded_latency_ms(whole, uses)
    if all_hours is None or loaded_ms is None:
        return None
    return structs.replace(all_hours, latency_ms=loaded_ms)


def _row(use: Use, known: LineFigures, uses: Uses, locale: Locale) -> UseRow:
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


def _words(use: Use, known: LineFigures, uses: Uses, locale: Locale) -> UseWords:
    usual = _assessed(use, known.all_hours, uses)
    others = (
        ("uses_office_hours", known.office),
        ("uses_peak_hours", known.peak),
        ("uses_under_load", known.loaded),
    )
    return UseWords(
        name=use_name(use, locale),
        word=_badge(usual, locale),
        others=[
            f"{locale.label(name).lower()}: {locale.label(f'uses_{other.level}')}"
            for name, figures in others
            if (other := _assessed(use, figures, uses)) is not None
            and usual is not None
            and other.level is not usual.level
        ],
        held_back=_held_back(use, known, uses, locale),
    )


def _badge(assessment: UseAssessment | None, locale: Locale) -> Badge:
    if assessment is None:
        return Badge("quiet", "–", locale.label("uses_unknown"))
    return Badge(*_LOOKS[assessment.level], locale.label(f"uses_{assessment.level}"))


def _held_back(use: Use, known: LineFigures, uses: Uses, locale: Locale) -> list[str]:
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
