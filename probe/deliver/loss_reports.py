"""Floor 1. Reports of losses, until the centre has them: they may be lost in their turn."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from uuid import UUID

from msgspec import Struct

from probe.deliver.ranges import Range, clip

# Lost numbers: (epoch, first, last).
Lost = tuple[UUID, int, int]
# Lost numbers of one epoch, as ranges; without ranges all that the centre does not have.
Named = tuple[UUID, Sequence[Range]]


class LossReport(Struct, frozen=True):
    """The result in `row` reports that `ranges` of an epoch's numbers are lost.

    Without ranges: every result of the epoch that the centre does not have.
    """

    epoch: UUID
    ranges: tuple[Range, ...]
    row: int


def reports_of(named: Sequence[Named], first_row: int) -> tuple[LossReport, ...]:
    """What results that are stored from a row on report as lost, one result each."""
    rows = enumerate(named, first_row)
    return tuple(LossReport(epoch, tuple(ranges), row) for row, (epoch, ranges) in rows)


def losses_of(reports: Iterable[LossReport]) -> tuple[list[UUID], list[Lost]]:
    """What reports have named: whole epochs, and numbers."""
    ended: list[UUID] = []
    lost: list[Lost] = []
    for one in reports:
        if not one.ranges:
            ended.append(one.epoch)
        lost += ((one.epoch, first, last) for first, last in one.ranges)
    return ended, lost


def in_rows(reports: Iterable[LossReport], rows: Sequence[Range]) -> tuple[LossReport, ...]:
    """The reports that are in some of these rows."""
    return tuple(one for one in reports if any(clip(rows, one.row, one.row)))
