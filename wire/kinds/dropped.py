"""Floor 1. Kind `results_dropped`: which results a probe gave up, and why."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar
from uuid import UUID

from msgspec import Struct

from wire.record import Count, Result, Seq


class DropCause(StrEnum):
    """Why results were given up: a closed list."""

    OUTBOX_FULL = "outbox_full"
    OUTBOX_DAMAGED = "outbox_damaged"
    OUTBOX_UNWRITABLE = "outbox_unwritable"


class ResultsDroppedValues(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which results the probe gave up, so that nobody waits for them.

    `ranges` are (first, last) seqs of `epoch`. Where the file that held them cannot be read any
    more, `count` is None and no range is given: all of `epoch` that the centre does not have is
    gone. Results that never had a number (they waited in memory) are counted without an epoch.
    """

    headline: ClassVar = ("count",)

    cause: DropCause
    epoch: UUID | None
    count: Count | None
    ranges: list[tuple[Seq, Seq]]

    def __post_init__(self) -> None:
        """A range that runs backwards names nothing."""
        if any(first > last for first, last in self.ranges):
            raise ValueError("a range ends before it begins")


class ResultsDroppedResult(Result, frozen=True, kw_only=True, tag="results_dropped"):
    """What the probe had to give up; bears the line `HOST_LINE`, as no line is to blame."""

    values: ResultsDroppedValues | None
