"""Floor 1. Planned maintenance in a report: the announcements of its period and minutes in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from collector.registry.planned_maintenance import (
    LineOutage,
    MaintenanceScope,
    PlannedMaintenance,
    minutes_within,
    of_lines,
)
from collector.registry.registry import LineKey, Registry
from collector.reports.report import Area, Maintenance
from collector.rollup.periods import Period, start_of_day
from collector.store.records import StoredOutage

# Outages that began on the day before the period are looked at too: work at night goes on beyond
# midnight. Evidence has the results of that day (collector/evidence/question.py).
LOOKED_BACK = timedelta(days=1)
Outages = Callable[[LineKey, datetime, datetime], Sequence[StoredOutage]]


class MaintenanceFigures:
    """What was announced of the lines of an area in a period.

    Args:
        announcements: as they were known when the report is made.
        area: its lines.
        period: whole local days.
        registry: places and ISPs of the lines.
        outages: a line's outages that overlap a time.
    """

    def __init__(
        self,
        announcements: Sequence[PlannedMaintenance],
        area: Area,
        period: Period,
        registry: Registry,
        outages: Outages,
    ) -> None:
        self._period, self._registry = period, registry
        self._lines = of_lines(
            announcements, area.lines, registry, period.starts_at, period.ends_at
        )
        self._announcements = [one for one in announcements if one.number in self._lines]
        self._planned: dict[LineKey, list[PlannedMaintenance]] = {}
        for one in self._announcements:
            for key in self._lines[one.number]:
                if one.is_planned_for(key, registry):
                    self._planned.setdefault(key, []).append(one)
        first = first_outage_at(period)
        self._outages = {
            key: counted_outages(outages(key, first, period.ends_at), period)
            for key in self._planned
        }

    def down_by_line(self) -> Mapping[LineKey, int]:
        """The minutes down in planned maintenance of each line that had some announced."""
        return {key: self._minutes(key, mine) for key, mine in self._planned.items()}

    def announced(self) -> list[Maintenance]:
        """The announcements of the period, by number."""
        return [self._row(one) for one in self._announcements]

    def _row(self, one: PlannedMaintenance) -> Maintenance:
        current, planned = one.current, one.planned
        planned_lines = [key for key, mine in self._planned.items() if one in mine]
        return Maintenance(
            number=one.number,
            scope=scope_text(current.scope, self._registry),
            isp=current.scope.isp,
            place=current.scope.place,
            line=current.scope.line,
            starts_at=current.starts_at,
            ends_at=current.ends_at,
            reason=current.reason,
            announced_at=one.entries[0].recorded_at,
            changed_at=current.recorded_at,
            entries=len(one.entries),
            status=one.status,
            planned_from=planned.start if planned else None,
            planned_until=planned.end if planned else None,
            lines=len(self._lines[one.number]),
            down_minutes=sum(self._minutes(key, [one]) for key in planned_lines),
        )

    def _minutes(self, key: LineKey, mine: Sequence[PlannedMaintenance]) -> int:
        period = self._period
        return minutes_within(mine, self._outages[key], period.starts_at, period.ends_at)


def first_outage_at(period: Period) -> datetime:
    """From when on outages are looked at for a period."""
    return start_of_day(period.first - LOOKED_BACK)


def counted_outages(outages: Iterable[StoredOutage], period: Period) -> list[LineOutage]:
    """Those of a line's outages that count in a period: valid ones, begun a day before at most."""
    first = first_outage_at(period)
    return [
        LineOutage(one.started_at, one.ended_at, one.down_minutes)
        for one in outages
        if one.valid and one.started_at >= first
    ]


def scope_text(scope: MaintenanceScope, registry: Registry) -> str:
    """The scope in words: ISP, line with its office, place with its province."""
    isp, commune = registry.isps.get(scope.isp), registry.communes.get(scope.place)
    parts = [isp.name if isp else scope.isp]
    if (key := scope.line_key) is not None:
        known = registry.probe(key.tenant, key.probe)
        parts += [scope.line, known.office if known else ""]
    if commune is not None:
        parts.append(f"{commune.name}, {commune.province_name}")
    elif scope.place:
        names = (
            one.province_name
            for one in registry.communes.values()
            if one.province_code == scope.place
        )
        parts.append(next(names, scope.place))
    return " · ".join(filter(None, parts))
