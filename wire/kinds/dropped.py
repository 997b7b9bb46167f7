"""Floor 1. Kind `results_dropped`: which results a probe dropped, and why."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar
from uuid import UUID

from msgspec import Struct

from wire.record import Count, Result, Seq


class DropCause(StrEnum):
    """Why results were dropped: a closed list."""

    OUTBOX_FULL = "outbox_full"
    OUTBOX_DAMAGED = "outbox_damaged"
    OUTBOX_UNWRITABLE = "outbox_unwritable"


class ResultsDroppedValues(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which results the probe dropped, so that they are not waited for.

    `ranges` are (first, last) seqs of `epoch`. Where the outbox cannot be read any more, `count` is
    None and there are no ranges: every result of `epoch` that the centre does not have is lost.
    Results without a number (they waited in memory) are counted without an epoch.
    """

    headline: ClassVar = ("count",)

    cause: DropCause
    epoch: UUID | None
    count: Count | None
    ranges: list[tuple[Seq, Seq]]

    def __post_init__(self) -> None:
        """Check that ranges are in order."""
        if any(first > last for first, last in self.ranges):
            raise ValueError("a range ends before it begins")


class ResultsDroppedResult(Result, frozen=True, kw_only=True, tag="results_dropped"):
    """Dropped results; its line is `HOST_LINE`, as it concerns no line."""

    values: ResultsDroppedValues | None
