"""Floor 1. The thresholds of reports and pages: TOML bytes to frozen values.

They stand in one dated file (`thresholds.toml`), each with its source and whether somebody has
verified it there. `collector.domain.assessment` compares figures with them.
"""

from __future__ import annotations

import math
from typing import Annotated

from msgspec import Meta, Struct, structs

from runtime import settings

Sentence = Annotated[str, Meta(min_length=1, max_length=300)]


class _Strict(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of every table: frozen, unknown keys refused."""


class Threshold(_Strict, frozen=True):
    """One limit. One that is not `verified` is shown and gives no verdict."""

    limit: Annotated[float, Meta(gt=0)]
    source: Sentence
    verified: bool
    note_vi: Sentence
    note_en: Sentence


class PublishedFigure(_Strict, frozen=True):
    """A figure that another organisation has published, for comparison only."""

    subject_vi: Sentence
    subject_en: Sentence
    download_mbps: Annotated[float, Meta(gt=0)]
    upload_mbps: Annotated[float, Meta(gt=0)]
    source: Sentence


class Thresholds(_Strict, frozen=True):
    """The whole file. `version` is the date of its last change, printed on every report."""

    version: Annotated[str, Meta(pattern=r"^\d{4}-\d{2}-\d{2}$")]
    speed_share: Threshold
    speed_samples: Threshold
    latency_mean_ms: Threshold
    availability: Threshold
    commune_month_samples: Threshold
    week_measurements: Threshold
    published: list[PublishedFigure] = []

    def __post_init__(self) -> None:
        """Check that a limit is finite, a share at most 1, a count whole."""
        for name in ("speed_share", "availability"):
            if self.of(name).limit > 1:
                raise ValueError(f"`{name}.limit` is a share: at most 1")
        for name in ("speed_samples", "commune_month_samples", "week_measurements"):
            if not self.of(name).limit.is_integer():
                raise ValueError(f"`{name}.limit` is a count: a whole number")
        if not math.isfinite(self.latency_mean_ms.limit):
            raise ValueError("`latency_mean_ms.limit` must be finite")

    def of(self, name: str) -> Threshold:
        """A threshold by its name in the file."""
        threshold: Threshold = getattr(self, name)
        return threshold

    def all(self) -> dict[str, Threshold]:
        """Every threshold by its name, in the order of the file."""
        names = [field.name for field in structs.fields(self)]
        return {name: self.of(name) for name in names if name not in ("version", "published")}


def parse(content: bytes, source: str) -> Thresholds:
    """The thresholds in a TOML file's bytes.

    Raises:
        runtime.settings.SettingsError: every problem, each with file and key.
    """
    return settings.parse(content, Thresholds, source)
