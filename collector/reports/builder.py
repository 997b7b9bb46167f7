"""Floor 1. Builds a report from roll-ups, one query each.

It reads roll-ups and the probes' plans, and the outages of lines with planned maintenance; no other
raw results, so that its cost does not depend on their number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta

from msgspec import Struct

from collector.domain.assessment import NoVerdictReason
from collector.domain.place_search import named_among, shared_names, with_province
from collector.domain.planned_tests import Plans, monthly_plans
from collector.domain.thresholds import Thresholds
from collector.registry.planned_maintenance import PlannedMaintenance
from collector.registry.registry import LineKey, Registry
from collector.reports.maintenance import MaintenanceFigures
from collector.reports.report import (
    Area,
    CommuneMonth,
    Level,
    Maintenance,
    OfficeConfig,
    Report,
    ReportKind,
    ReportRow,
    Revision,
    Week,
)
from collector.reports.rows import DAILY_METRICS, RowInputs, build_rows
from collector.rollup.periods import Period, month_of
from collector.rollup.queries import Summaries
from collector.rollup.summary import EMPTY, SPEED_KINDS, merge_summaries
from collector.store.records import StoredOutage, StoredProbe

NATION = "all"
# Weeks of the trend, the report's own included.
_TREND_WEEKS = 5
# Hours of the day are one query per line; they are not queried for more lines than this.
_LINES_LOOKED_AT = 300


def no_outages(_line: LineKey, _begin: datetime, _end: datetime) -> Sequence[StoredOutage]:
    """None: for reports without planned maintenance."""
    return ()


class Sources(Struct, frozen=True, kw_only=True):
    """The data sources of a report. `plans` returns what probes planned in the month of a day."""

    summaries: Summaries
    registry: Registry
    probes: Sequence[StoredProbe]
    plans: Callable[[date], Plans]
    thresholds: Thresholds
    office: OfficeConfig
    maintenance: Sequence[PlannedMaintenance] = ()
    # A line's outages that overlap a time.
    outages: Callable[[LineKey, datetime, datetime], Sequence[StoredOutage]] = no_outages


def resolve_area(registry: Registry, name: str) -> Area:
    """The area of that id: a group's id, a commune's or province's code, or "all".

    Raises:
        ValueError: it does not exist, or has no registered line; the text is a sentence.
    """
    if name == NATION:
        title, lines = "Toàn bộ các trạm đo", registry.lines()
    elif (group := registry.groups.get(name)) is not None:
        title, lines = group.name, registry.lines_of_group(name)
    elif (commune := registry.communes.get(name)) is not None:
        is_shared = commune.name in shared_names(registry.communes.values())
        title = with_province(commune) if is_shared else commune.name
        lines = registry.lines_in({name})
    else:
        inside = {
            c.code: c.province_name for c in registry.communes.values() if c.province_code == name
        }
        if not inside:
            known = ", ".join(sorted(registry.groups)) or "none"
            raise ValueError(
                f"there is no group, commune or province {name!r} (groups: {known}; "
                f"or a commune code, a province code, {NATION!r})"
            )
        title, lines = next(iter(inside.values())), registry.lines_in(set(inside))
    if not lines:
        raise ValueError(f"{title} ({name}) has no line in the registry")
    return Area(id=name, name=title, lines=tuple(sorted(lines)))


def build_report(
    kind: ReportKind,
    of: Area,
    period: Period,
    sources: Sources,
    *,
    now: datetime,
    issued: Report | None = None,
) -> Report:
    """Build a report from the current figures.

    Args:
        kind: weekly, monthly or bulletin.
        of: the area.
        period: whole local days.
        sources: roll-ups, registry, probes, thresholds.
        now: UTC.
        issued: the latest issue of this kind, area and period. The report is a revision of it if
            figures, thresholds or registry have changed since.

    Raises:
        collector.store.store.StoreError: the roll-ups cannot be read.
    """
    summaries, lines = sources.summaries, of.lines
    # Before the figures: what is rolled up meanwhile is reported as changed rather than missed.
    data_revision = summaries.revision()
    families = summaries.by_family(lines, period)
    names = _commune_names(sources.registry, lines)
    maintenance = MaintenanceFigures(
        sources.maintenance, of, period, sources.registry, sources.outages
    )
    announced = maintenance.announced()
    rows = build_rows(
        RowInputs(
            area=of,
            period=period,
            now=now,
            summaries={key: merge_summaries(mine.values()) for key, mine in families.items()},
            families=families,
            registry=sources.registry,
            thresholds=sources.thresholds,
            probes={(probe.tenant, probe.probe): probe for probe in sources.probes},
            plans=monthly_plans(sources.plans, period),
            hours=_hours(summaries, lines, period),
            days={name: summaries.daily_by_family(lines, period, name) for name in DAILY_METRICS},
            planned_down=maintenance.down_by_line(),
            names=names,
        )
    )
    return Report(
        kind=kind,
        area_id=of.id,
        area=of.name,
        first_day=period.first,
        last_day=period.last,
        whole=now >= period.ends_at,
        made_at=now.replace(microsecond=0),
        data_revision=data_revision,
        waiting=summaries.waiting(),
        revision=_revision(issued, rows, sources, of, period, announced),
        office=sources.office,
        thresholds=sources.thresholds,
        rows=rows,
        weeks=_weeks(sources, lines, period) if kind is ReportKind.WEEKLY else (),
        commune_month=_commune_month(sources, lines, period, names),
        maintenance=announced,
    )


def _revision(
    issued: Report | None,
    rows: Sequence[ReportRow],
    sources: Sources,
    of: Area,
    period: Period,
    maintenance: Sequence[Maintenance],
) -> Revision | None:
    if issued is None:
        return None
    days = {
        one.day for one in sources.summaries.revised_since(period, of.lines, issued.data_revision)
    }
    changed = issued.thresholds.version != sources.thresholds.version
    before = issued.version or 1
    registry_changed = _registered(issued.rows) != _registered(rows)
    plans_changed = not registry_changed and _plans_changed(issued.rows, rows)
    maintenance_changed = _entries(issued.maintenance or ()) != _entries(maintenance)
    if not (days or changed or registry_changed or plans_changed or maintenance_changed):
        return issued.revision
    return Revision(
        version=before + 1,
        replaces_version=before,
        replaces_issued_at=issued.made_at,
        days=sorted(days),
        thresholds_changed=changed,
        registry_changed=registry_changed,
        plans_changed=plans_changed,
        maintenance_changed=maintenance_changed,
    )


def _entries(maintenance: Sequence[Maintenance]) -> list[tuple[int, int]]:
    """What was announced, and how many entries say so: none of them is ever changed."""
    return [(one.number, one.entries) for one in maintenance]


def _plans_changed(issued: Sequence[ReportRow], rows: Sequence[ReportRow]) -> bool:
    """Whether the plan of a line was received since, or differs from the one of the issue.

    Issues of a version before 0.2.0 reckoned by another rule, and are not compared.
    """
    before, now = _planned(issued), _planned(rows)
    return None not in {lines for lines, _ in before.values()} and before != now


def _planned(rows: Sequence[ReportRow]) -> dict[tuple[object, ...], tuple[int | None, int | None]]:
    return {
        (row.tenant, row.probe, row.line): (row.lines_planned, row.planned)
        for row in rows
        if row.level is Level.LINE
    }


def _registered(rows: Sequence[ReportRow]) -> list[tuple[object, ...]]:
    """What rows take from the registry: a corrected plan must be able to make a revision."""
    return [
        (
            row.level,
            row.commune_code,
            row.office,
            row.probe,
            row.line,
            row.isp,
            row.lines,
            row.download.declared_bps,
            row.upload.declared_bps,
            row.download.why is NoVerdictReason.SEVERAL_PLANS,
        )
        for row in rows
        # Which families were measured is no matter of the registry.
        if row.family is None
    ]


def _hours(
    summaries: Summaries, lines: Sequence[LineKey], period: Period
) -> dict[LineKey, frozenset[int]]:
    if len(lines) > _LINES_LOOKED_AT:
        return {}
    return {
        key: frozenset(
            hour
            for (_, hour), summary in summaries.hours_of_week(key, period).items()
            if summary.counts("throughput").ok
        )
        for key in lines
    }


def _weeks(sources: Sources, lines: Sequence[LineKey], period: Period) -> list[Week]:
    """The report's week and those before it, oldest first."""
    first = period.first - (_TREND_WEEKS - 1) * timedelta(days=7)
    span = Period(first, period.last)
    by_kind = [sources.summaries.week_counts(span, kind) for kind in SPEED_KINDS]
    least = sources.thresholds.week_measurements.limit
    found = []
    for number in range(_TREND_WEEKS):
        monday = first + number * timedelta(days=7)
        tests = [_in_week(by_kind, key, monday) for key in lines]
        enough = sum(count >= least for count in tests)
        found.append(Week(monday, len(lines), enough, sum(tests)))
    return found


def _in_week(
    by_kind: Sequence[Mapping[LineKey, Mapping[date, int]]], key: LineKey, monday: date
) -> int:
    return sum(counts.get(key, {}).get(monday, 0) for counts in by_kind)


def _commune_names(registry: Registry, lines: Sequence[LineKey]) -> dict[str, str]:
    """The names of the lines' communes, each with its province's where two could be meant."""
    communes = {found.code: found for key in lines if (found := registry.commune_of(key))}
    return named_among(communes.values(), registry.communes.values())


def _commune_month(
    sources: Sources, lines: Sequence[LineKey], period: Period, names: Mapping[str, str]
) -> list[CommuneMonth]:
    month = Period(month_of(period.last).first, period.last)
    overview = sources.summaries.overview(month)
    needed = int(sources.thresholds.commune_month_samples.limit)
    tests: dict[str, int] = {}
    for key in lines:
        if (commune := sources.registry.commune_of(key)) is not None:
            done = overview.get(key, EMPTY).speed_tests
            tests[commune.code] = tests.get(commune.code, 0) + done
    return [CommuneMonth(code, names[code], count, needed) for code, count in sorted(tests.items())]
