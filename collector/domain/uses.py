"""Floor 1. What a line is good for: limits and weights of uses, and figures compared with them.

The framework is M-Lab's Internet Quality Barometer (arXiv 2509.19034): a use has a requirement for
download, upload, latency and loss; its score is the share, by weight, of those that are met, and
the score of a line the weighted mean of its uses'. Supplementary: no verdict about a plan, and the
framework knows neither latency under load nor availability (docs/method.md#uses).
"""

from __future__ import annotations

from enum import StrEnum
from itertools import chain
from typing import Annotated

from msgspec import Meta, Struct

from collector.domain.thresholds import Sentence
from collector.rollup.queries import HoursOfWeek
from collector.rollup.summary import PACKETS, Summary, merge_metrics
from runtime import settings
from wire.figures import MEGABIT

# Fewer speeds may all lie on one side of the median: 0.5^5 < 0.05 (docs/method.md, S2).
LEAST_SAMPLES = 5
_DOWNLOAD, _UPLOAD = "throughput_download_whole_bps", "throughput_upload_whole_bps"
_LOADED = ("throughput_rtt_loaded_download_p50_ms", "throughput_rtt_loaded_upload_p50_ms")
_PACKETS, _WINDOWS = f"latency_{PACKETS}", "latency_rtt_p50_ms"
_METRICS = (_DOWNLOAD, _UPLOAD, _PACKETS, _WINDOWS, *_LOADED)


class _Strict(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of every table: frozen, unknown keys refused."""


class Indicator(StrEnum):
    """What a use has a requirement for, in the order of pages."""

    DOWNLOAD = "download"
    UPLOAD = "upload"
    LATENCY = "latency"
    LOSS = "loss"


class Level(StrEnum):
    """The word for a use's score. LIMITED: some requirements are missed; POOR: most."""

    GOOD = "good"
    LIMITED = "limited"
    POOR = "poor"


class Requirement(_Strict, frozen=True, kw_only=True):
    """A limit, which speed must exceed and latency and loss stay below, and its weight."""

    limit: Annotated[float, Meta(gt=0)]
    weight: Annotated[int, Meta(gt=0)]


class Use(_Strict, frozen=True, kw_only=True):
    """A use of the Internet. `download` and `upload` in Mbit/s, `latency` in ms, `loss` 0..1.

    `score_weight` 0: not part of the framework's score. `source`: where not the file's.
    """

    id: Annotated[str, Meta(pattern=r"^[a-z_]{1,40}$")]
    name_vi: Sentence
    name_en: Sentence
    source: Sentence | None = None
    score_weight: Annotated[int, Meta(ge=0)]
    shown: bool
    download: Requirement
    upload: Requirement
    latency: Requirement
    loss: Requirement

    def requirement(self, indicator: Indicator) -> Requirement:
        """Its requirement for an indicator."""
        requirement: Requirement = getattr(self, indicator)
        return requirement


class WeekHours(_Strict, frozen=True, kw_only=True):
    """Hours of some weekdays, local; Monday is 0."""

    weekdays: Annotated[list[Annotated[int, Meta(ge=0, le=6)]], Meta(min_length=1)]
    hours: Annotated[list[Annotated[int, Meta(ge=0, le=23)]], Meta(min_length=1)]


class Uses(_Strict, frozen=True, kw_only=True):
    """The whole file. `version` is the date of its last change, shown on every page."""

    version: Annotated[str, Meta(pattern=r"^\d{4}-\d{2}-\d{2}$")]
    source: Sentence
    percentile: Annotated[float, Meta(gt=0, lt=1)]
    limited_above: Annotated[float, Meta(gt=0, lt=1)]
    office_hours: WeekHours
    peak_hours: WeekHours
    use: Annotated[list[Use], Meta(min_length=1)]

    def __post_init__(self) -> None:
        """Check that something is in the score."""
        if not any(use.score_weight for use in self.use):
            raise ValueError("no `use` has a `score_weight` above 0")

    @property
    def shown(self) -> list[Use]:
        """The uses that pages show, in the order of the file."""
        return [use for use in self.use if use.shown]


class UseFigures(Struct, frozen=True, kw_only=True):
    """What is compared: speeds in bit/s, latency in ms, loss 0..1."""

    download_bps: float
    upload_bps: float
    latency_ms: float
    loss_ratio: float

    def of(self, indicator: Indicator) -> float:
        """The figure in the unit of the requirement."""
        return {
            Indicator.DOWNLOAD: self.download_bps / MEGABIT,
            Indicator.UPLOAD: self.upload_bps / MEGABIT,
            Indicator.LATENCY: self.latency_ms,
            Indicator.LOSS: self.loss_ratio,
        }[indicator]


class UseAssessment(Struct, frozen=True, kw_only=True):
    """A use's score, 0..1, its word, and the requirements that were missed."""

    score: float
    level: Level
    missed: tuple[Indicator, ...]


def parse(content: bytes, source: str) -> Uses:
    """The uses in a TOML file's bytes.

    Raises:
        runtime.settings.SettingsError: every problem, each with file and key.
    """
    return settings.parse(content, Uses, source)


def assess_use(use: Use, figures: UseFigures, uses: Uses) -> UseAssessment:
    """Compare figures with the requirements of a use.

    A figure that equals its limit misses it, as in the framework's library.
    """
    missed = tuple(
        one for one in Indicator if not _met(one, figures.of(one), use.requirement(one).limit)
    )
    weights = {one: use.requirement(one).weight for one in Indicator}
    score = 1 - sum(weights[one] for one in missed) / sum(weights.values())
    level = Level.GOOD
    if missed:
        level = Level.LIMITED if score > uses.limited_above else Level.POOR
    return UseAssessment(score=score, level=level, missed=missed)


def framework_score(figures: UseFigures, uses: Uses) -> float:
    """The framework's score of all its uses, 0..1."""
    scores = [(use.score_weight, assess_use(use, figures, uses).score) for use in uses.use]
    return sum(weight * score for weight, score in scores) / sum(weight for weight, _ in scores)


def figures_of(summary: Summary, uses: Uses) -> UseFigures | None:
    """The figures of some hours of a line; None where one is missing or the samples are few."""
    down, up = summary.metric(_DOWNLOAD), summary.metric(_UPLOAD)
    packets = summary.metric(_PACKETS)
    # Of packets where their times are stored, else of the windows' medians.
    delays = packets if packets.count else summary.metric(_WINDOWS)
    # The better a speed the higher it is: that share of transfers is at least as fast, so 1 - p.
    speeds = [one.quantile(1 - uses.percentile) for one in (down, up)]
    latency_ms, loss_ratio = delays.quantile(uses.percentile), summary.loss_ratio
    if (
        min(down.count, up.count) < LEAST_SAMPLES
        or speeds[0] is None
        or speeds[1] is None
        or latency_ms is None
        or loss_ratio is None
    ):
        return None
    return UseFigures(
        download_bps=speeds[0], upload_bps=speeds[1], latency_ms=latency_ms, loss_ratio=loss_ratio
    )


def loaded_latency_ms(summary: Summary, uses: Uses) -> float | None:
    """The latency while a transfer fills the line, of the slower direction; None if unknown."""
    known = [
        latency_ms
        for name in _LOADED
        if (distribution := summary.metric(name)).count >= LEAST_SAMPLES
        and (latency_ms := distribution.quantile(uses.percentile)) is not None
    ]
    return max(known, default=None)


def hours_summary(known: HoursOfWeek, hours: WeekHours | None = None) -> Summary:
    """What is compared, of some hours of the week, or of all: no other metrics, no counts."""
    parts = (
        some
        for (weekday, hour), some in known.items()
        if hours is None or (weekday in hours.weekdays and hour in hours.hours)
    )
    return merge_metrics(chain.from_iterable(parts), _METRICS)


def _met(indicator: Indicator, figure: float, limit: float) -> bool:
    if indicator in (Indicator.DOWNLOAD, Indicator.UPLOAD):
        return figure > limit
    return figure < limit
