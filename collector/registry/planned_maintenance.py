"""Floor 1. Planned maintenance: what was announced of work on lines, when, and what of it counts.

An announcement is corrected and withdrawn by further entries; none is ever changed or deleted. What
counts as planned was announced before it began (docs/method.md#availability, A12 to A14):

- the last entry that was recorded before the work of it begins is the announcement in advance;
- a later entry may take away from it (a shorter time, fewer lines, a withdrawal), never add to it;
- an outage that had begun when the announcement was recorded is not planned.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple, Protocol

from msgspec import Struct

from collector.registry.registry import LineKey, Registry
from runtime.language import is_plain_line

TEXT_MOST = 500
LONGEST = timedelta(days=31)
# How far ahead work is announced, and how late it may still be entered.
AHEAD, LATE_BY = timedelta(days=366), timedelta(days=92)
_MINUTE = timedelta(minutes=1)


class MaintenanceAction(StrEnum):
    """What an entry does."""

    ANNOUNCED = "announced"
    CORRECTED = "corrected"
    WITHDRAWN = "withdrawn"


class MaintenanceStatus(StrEnum):
    """Whether an announcement counts: `partly` where a later entry claims more than it counts."""

    PLANNED = "planned"
    PARTLY = "partly"
    LATE = "late"
    WITHDRAWN = "withdrawn"


class Window(NamedTuple):
    """From `start` to before `end`, UTC."""

    start: datetime
    end: datetime


class MaintenanceScope(Struct, frozen=True, kw_only=True):
    """The lines concerned: all that are given must fit. "" is every one.

    `isp` is an ISP's id, `place` a commune's or province's code, `line` TENANT/PROBE/LINE.
    """

    isp: str = ""
    place: str = ""
    line: str = ""

    @property
    def line_key(self) -> LineKey | None:
        """The line; None where it is every one."""
        if not self.line:
            return None
        tenant, probe, line, *_ = [*self.line.split("/"), "", ""]
        return LineKey(tenant, probe, line)

    def covers(self, key: LineKey, registry: Registry) -> bool:
        """Whether a line is concerned; one that is not registered never is."""
        line, commune = registry.line(key), registry.commune_of(key)
        if line is None or self.line not in ("", "/".join(key)):
            return False
        places = ("", commune.code, commune.province_code) if commune else ("",)
        return self.isp in ("", line.isp) and self.place in places and self != _EVERYTHING


_EVERYTHING = MaintenanceScope()


class MaintenanceEntry(Struct, frozen=True, kw_only=True):
    """One entry of an announcement, `number`; `note` is why it was corrected or withdrawn.

    `recorded_at` is the centre's clock.
    """

    number: int = 0
    recorded_at: datetime
    author: str
    action: MaintenanceAction
    scope: MaintenanceScope
    starts_at: datetime
    ends_at: datetime
    reason: str
    note: str = ""

    @property
    def window(self) -> Window:
        """When the work is done."""
        return Window(self.starts_at, self.ends_at)


class PlannedMaintenance(Struct, frozen=True, kw_only=True):
    """An announcement: its entries, oldest first, at least one."""

    number: int
    entries: tuple[MaintenanceEntry, ...]

    @property
    def current(self) -> MaintenanceEntry:
        """What it says now."""
        return self.entries[-1]

    @property
    def is_withdrawn(self) -> bool:
        """Whether it no longer stands."""
        return self.current.action is MaintenanceAction.WITHDRAWN

    @property
    def in_advance(self) -> MaintenanceEntry | None:
        """The last entry that was recorded before its work begins."""
        timely = [one for one in self.entries if one.recorded_at <= one.starts_at]
        return timely[-1] if timely else None

    @property
    def planned(self) -> Window | None:
        """The time that counts as planned; None where nothing does."""
        advance = self.in_advance
        if advance is None or self.is_withdrawn:
            return None
        start = max(advance.starts_at, self.current.starts_at)
        end = min(advance.ends_at, self.current.ends_at)
        return Window(start, end) if start < end else None

    @property
    def status(self) -> MaintenanceStatus:
        """Whether it counts."""
        if self.is_withdrawn:
            return MaintenanceStatus.WITHDRAWN
        advance, planned = self.in_advance, self.planned
        if advance is None or planned is None:
            return MaintenanceStatus.LATE
        whole = planned == self.current.window and advance.scope == self.current.scope
        return MaintenanceStatus.PLANNED if whole else MaintenanceStatus.PARTLY

    def touches(self, begin: datetime, end: datetime) -> bool:
        """Whether one of its entries is of work in that time."""
        return any(one.starts_at < end and one.ends_at > begin for one in self.entries)

    def concerns(self, key: LineKey, registry: Registry) -> bool:
        """Whether a line is concerned by what it says now."""
        return self.current.scope.covers(key, registry)

    def is_planned_for(self, key: LineKey, registry: Registry) -> bool:
        """Whether it counts for a line: in advance, and still."""
        advance = self.in_advance
        return (
            self.planned is not None
            and advance is not None
            and advance.scope.covers(key, registry)
            and self.concerns(key, registry)
        )


class MaintenanceConflictError(Exception):
    """The announcement has another entry since the one that was corrected or withdrawn."""


class MaintenanceStore(Protocol):
    """Stores entries. Every method may raise `collector.store.store.StoreError`."""

    def read(self) -> list[PlannedMaintenance]:
        """Every announcement, by number."""

    def announce(self, entry: MaintenanceEntry) -> int:
        """Store the first entry of a new announcement; returns its number."""

    def add(self, entry: MaintenanceEntry, after: int) -> None:
        """Store a further entry of an announcement that has so many entries.

        Raises:
            MaintenanceConflictError: it has more.
        """


class LineOutage(NamedTuple):
    """An outage of a line: its time, and the minutes of it in which the line was down."""

    started_at: datetime
    ended_at: datetime
    down_minutes: int


def minutes_within(
    announcements: Iterable[PlannedMaintenance],
    outages: Iterable[LineOutage],
    begin: datetime,
    end: datetime,
) -> int:
    """The minutes down of a line that lie in its planned maintenance.

    Args:
        announcements: those that are planned for the line.
        outages: of the line.
        begin: of the time that is asked for.
        end: of it.
    """
    windows = [
        (one.in_advance.recorded_at, one.planned)
        for one in announcements
        if one.in_advance is not None and one.planned is not None
    ]
    total = 0
    for outage in outages:
        clipped = [
            Window(
                max(window.start, outage.started_at, begin), min(window.end, outage.ended_at, end)
            )
            for recorded_at, window in windows
            if recorded_at <= outage.started_at
        ]
        total += min(_union_minutes(clipped), outage.down_minutes)
    return total


def _union_minutes(windows: Iterable[Window]) -> int:
    """The whole minutes of times that may overlap; those that end before they begin are none."""
    total, reached = timedelta(0), None
    for window in sorted(windows):
        start = window.start if reached is None else max(window.start, reached)
        if window.end > start:
            total += window.end - start
            reached = window.end
    return total // _MINUTE


def in_force(announcements: Iterable[PlannedMaintenance], at: datetime) -> list[PlannedMaintenance]:
    """Those whose work is being done, late or not."""
    return [
        one
        for one in announcements
        if not one.is_withdrawn and one.current.starts_at <= at < one.current.ends_at
    ]


def of_lines(
    announcements: Iterable[PlannedMaintenance],
    lines: Sequence[LineKey],
    registry: Registry,
    begin: datetime,
    end: datetime,
) -> dict[int, list[LineKey]]:
    """The lines that each announcement of that time concerns or did; those of none are absent."""
    found = {}
    for one in announcements:
        if one.touches(begin, end):
            scopes = {entry.scope for entry in one.entries}
            mine = [key for key in lines if any(scope.covers(key, registry) for scope in scopes)]
            if mine:
                found[one.number] = mine
    return found


def grouped(entries: Iterable[MaintenanceEntry]) -> list[PlannedMaintenance]:
    """Announcements of their entries, which are in the order in which they were recorded."""
    by_number: dict[int, list[MaintenanceEntry]] = {}
    for entry in entries:
        by_number.setdefault(entry.number, []).append(entry)
    return [
        PlannedMaintenance(number=number, entries=tuple(mine))
        for number, mine in sorted(by_number.items())
    ]


class MaintenanceProblem(StrEnum):
    """Why an entry is refused: a closed list, each with a label for the pages."""

    NO_SCOPE = "no_scope"
    NO_REASON = "no_reason"
    NOT_PLAIN = "not_plain"
    TOO_LONG = "too_long"
    TOO_FAR = "too_far"
    NO_NOTE = "no_note"


def problem(entry: MaintenanceEntry) -> MaintenanceProblem | None:
    """Why an entry is refused; None if it is accepted."""
    texts = (entry.reason, entry.note)
    if entry.scope == _EVERYTHING:
        return MaintenanceProblem.NO_SCOPE
    if not entry.reason or max(map(len, texts)) > TEXT_MOST:
        return MaintenanceProblem.NO_REASON
    if not all(map(is_plain_line, texts)):
        return MaintenanceProblem.NOT_PLAIN
    if not timedelta(0) < entry.ends_at - entry.starts_at <= LONGEST:
        return MaintenanceProblem.TOO_LONG
    if not -LATE_BY <= entry.starts_at - entry.recorded_at <= AHEAD:
        return MaintenanceProblem.TOO_FAR
    if entry.action is not MaintenanceAction.ANNOUNCED and not entry.note:
        return MaintenanceProblem.NO_NOTE
    return None
