"""Floor 1. Planned maintenance, from its entries as the centre recorded them (A12 to A14).

Written anew, as all rules here. That an entry was recorded when it says is the centre's statement.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from verify.samples import Outage

_MINUTE = timedelta(minutes=1)


class Place(NamedTuple):
    """Where a line is, and whose: ids and codes of the registry."""

    isp: str
    commune: str
    province: str


class Entry(NamedTuple):
    """An entry of an announcement."""

    recorded_at: datetime
    withdrawn: bool
    isp: str
    place: str
    line: str
    starts_at: datetime
    ends_at: datetime

    def is_of(self, line: str, where: Place) -> bool:
        """Whether a line is concerned."""
        return (
            any((self.isp, self.place, self.line))
            and self.isp in ("", where.isp)
            and self.place in ("", where.commune, where.province)
            and self.line in ("", line)
        )


class Announcement(NamedTuple):
    """The entries of an announcement, in the order in which they were recorded."""

    number: int
    entries: Sequence[Entry]

    @property
    def in_advance(self) -> Entry | None:
        """The last entry that was recorded before its work begins."""
        timely = [one for one in self.entries if one.recorded_at <= one.starts_at]
        return timely[-1] if timely else None

    @property
    def planned(self) -> tuple[datetime, datetime] | None:
        """The time that counts as planned."""
        advance, current = self.in_advance, self.entries[-1]
        if advance is None or current.withdrawn:
            return None
        start = max(advance.starts_at, current.starts_at)
        end = min(advance.ends_at, current.ends_at)
        return (start, end) if start < end else None

    @property
    def status(self) -> str:
        """As a report states it."""
        advance, current, planned = self.in_advance, self.entries[-1], self.planned
        if current.withdrawn:
            return "withdrawn"
        if planned is None or advance is None:
            return "late"
        same = (advance.isp, advance.place, advance.line) == current[2:5]
        whole = planned == (current.starts_at, current.ends_at)
        return "planned" if same and whole else "partly"

    def concerns(self, line: str, where: Place) -> bool:
        """Whether a line is or was concerned."""
        return any(one.is_of(line, where) for one in self.entries)

    def counts_for(self, line: str, where: Place) -> bool:
        """Whether it is planned maintenance of a line: in advance, and still."""
        advance = self.in_advance
        return (
            self.planned is not None
            and advance is not None
            and advance.is_of(line, where)
            and self.entries[-1].is_of(line, where)
        )


def announcements(
    table: Sequence[Mapping[str, Any]], begin: datetime, end: datetime, made_at: datetime | None
) -> list[Announcement]:
    """The announcements with work between two times, as they were when the report was made."""
    found: dict[int, list[Entry]] = {}
    for one in table:
        entry = _entry(one)
        if made_at is None or entry.recorded_at <= made_at:
            found.setdefault(int(one["number"]), []).append(entry)
    return [
        Announcement(number, entries)
        for number, entries in sorted(found.items())
        if any(one.starts_at < end and one.ends_at > begin for one in entries)
    ]


def minutes_within(
    planned: Sequence[Announcement], outages: Sequence[Outage], begin: datetime, end: datetime
) -> int:
    """The minutes down of a line's outages in its planned maintenance, between two times."""
    return sum(
        min(outage.down_minutes, _union_minutes(list(_parts(planned, outage, begin, end))))
        for outage in outages
    )


def _parts(
    planned: Sequence[Announcement], outage: Outage, begin: datetime, end: datetime
) -> Iterator[tuple[datetime, datetime]]:
    for one in planned:
        advance, window = one.in_advance, one.planned
        if advance is None or window is None or advance.recorded_at > outage.started_at:
            continue
        start = max(window[0], outage.started_at, begin)
        until = min(window[1], outage.ended_at, end)
        if start < until:
            yield start, until


def _union_minutes(parts: list[tuple[datetime, datetime]]) -> int:
    """The whole minutes of times that may overlap."""
    joined: list[tuple[datetime, datetime]] = []
    for start, end in sorted(parts):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return sum((end - start for start, end in joined), timedelta(0)) // _MINUTE


def _entry(one: Mapping[str, Any]) -> Entry:
    return Entry(
        datetime.fromisoformat(one["recorded_at"]),
        one["action"] == "withdrawn",
        str(one["isp"]),
        str(one["place"]),
        str(one["line"]),
        datetime.fromisoformat(one["starts_at"]),
        datetime.fromisoformat(one["ends_at"]),
    )
