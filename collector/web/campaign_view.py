"""Floor 1. The campaign: which offices to urge, which communes lack samples, and how it goes.

The letter of 2021 asks every office for two measurements a week, per line; VNNIC rates a commune
from 300 a month (docs/method.md#assessment, M9). An office is below the minimum when any of its
lines is. What is counted is the weekly report's count: speed tests of both kinds that went well,
which is also what a probe's plan keeps to. A page and a report that urge different offices would be
worth nothing.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, timedelta

from msgspec import Struct

from collector.domain.lines import KnownLine, LineState, severity, worst_state
from collector.domain.place_search import short_province
from collector.registry.registry import LineKey
from collector.rollup.periods import Period, month_of, week_of
from collector.rollup.summary import EMPTY, Summary
from collector.web.drawing.bars import Bars, trend
from collector.web.formatting import by_name, week_text, whole_number
from collector.web.line_table import percent, state_badge
from collector.web.presentation import Badge, Locale
from collector.web.table import DESCENDING, Column

ROWS_A_PAGE = 80
WEEKS = 8
OFFICE_COLUMNS = (
    Column("office", "office"),
    Column("place", "communes"),
    Column("province", "province"),
    Column("least", "measured_per_line"),
    Column("state", "state_now", DESCENDING),
)
COMMUNE_COLUMNS = (
    Column("name", "communes"),
    Column("province", "province"),
    Column("samples", "samples_month", numeric=True),
)


class OfficeRow(Struct, frozen=True, kw_only=True):
    """An office in a week: the number of tests of each of its lines."""

    tenant: str
    probe: str
    office: str
    commune_code: str
    place: str
    province: str
    lines: list[tuple[str, int]]
    state: Badge
    severity: int

    @property
    def least(self) -> int:
        """The number of tests of the line with the fewest."""
        return min((count for _, count in self.lines), default=0)


class CommuneRow(Struct, frozen=True, kw_only=True):
    """A commune's samples in a month."""

    code: str
    name: str
    province: str
    samples: int
    share: str


def offices(
    lines: Iterable[KnownLine],
    counts: Mapping[LineKey, Mapping[date, int]],
    states: Mapping[LineKey, LineState],
    monday: date,
    locale: Locale,
) -> list[OfficeRow]:
    """Every office in the week of `monday`, fewest tests first."""
    by_probe: dict[tuple[str, str], list[KnownLine]] = {}
    for line in lines:
        by_probe.setdefault(line.key[:2], []).append(line)
    worst = {
        key: worst_state(states.get(line.key, LineState.NEVER) for line in inside)
        for key, inside in by_probe.items()
    }
    rows = [
        OfficeRow(
            tenant=tenant,
            probe=probe,
            office=inside[0].office,
            commune_code=inside[0].commune_code,
            place=inside[0].commune_name,
            province=inside[0].commune.province_name if inside[0].commune else "",
            lines=[(line.isp_name, counts.get(line.key, {}).get(monday, 0)) for line in inside],
            state=state_badge(worst[tenant, probe], locale),
            severity=severity(worst[tenant, probe]),
        )
        for (tenant, probe), inside in by_probe.items()
    ]
    return sorted(rows, key=lambda row: (row.least, row.province, row.place, row.office))


def office_key(column: str) -> Callable[[OfficeRow], object]:
    """What offices are sorted by for one of `OFFICE_COLUMNS`."""
    keys: dict[str, Callable[[OfficeRow], object]] = {
        "office": lambda row: by_name(row.office),
        "place": lambda row: (by_name(row.place), by_name(row.province)),
        "province": lambda row: by_name(short_province(row.province)),
        "least": lambda row: row.least,
        "state": lambda row: row.severity,
    }
    return keys[column]


def commune_key(column: str) -> Callable[[CommuneRow], object]:
    """What communes are sorted by for one of `COMMUNE_COLUMNS`."""
    keys: dict[str, Callable[[CommuneRow], object]] = {
        "name": lambda row: (by_name(row.name), by_name(row.province)),
        "province": lambda row: by_name(short_province(row.province)),
        "samples": lambda row: row.samples,
    }
    return keys[column]


def below(rows: Iterable[OfficeRow], minimum: int) -> list[OfficeRow]:
    """The offices with fewer tests than the minimum."""
    return [row for row in rows if row.least < minimum]


def communes(
    lines: Iterable[KnownLine], month: Mapping[LineKey, Summary], needed: int, locale: Locale
) -> list[CommuneRow]:
    """Every commune with a line, fewest samples first."""
    samples: dict[str, int] = {}
    places: dict[str, KnownLine] = {}
    for line in lines:
        done = month.get(line.key, EMPTY).speed_tests
        samples[line.commune_code] = samples.get(line.commune_code, 0) + done
        places[line.commune_code] = line
    rows = [
        CommuneRow(
            code=code,
            name=places[code].commune_name,
            province=commune.province_name if (commune := places[code].commune) else "",
            samples=many,
            share=percent(many / needed, locale, places=0),
        )
        for code, many in samples.items()
    ]
    return sorted(rows, key=lambda row: (row.samples, row.province, row.name))


def progress(
    lines: Sequence[KnownLine],
    counts: Mapping[LineKey, Mapping[date, int]],
    weeks: Sequence[date],
    minimum: int,
    locale: Locale,
) -> Bars | None:
    """The share of offices that met the minimum, by week."""
    offices_of: dict[tuple[str, str], list[LineKey]] = {}
    for line in lines:
        offices_of.setdefault(line.key[:2], []).append(line.key)
    if not offices_of:
        return None
    shares = {}
    for monday in weeks:
        met = sum(
            all(counts.get(key, {}).get(monday, 0) >= minimum for key in keys)
            for keys in offices_of.values()
        )
        said = (
            f"{whole_number(met, locale.language)}/{whole_number(len(offices_of), locale.language)}"
        )
        shares[f"{locale.label('week')} {monday.isocalendar().week:02}"] = (
            met / len(offices_of),
            f"{week_text(monday, locale.language)}: {said}",
        )
    return trend(shares)


def added(
    by_kind: Iterable[Mapping[LineKey, Mapping[date, int]]],
) -> Mapping[LineKey, Mapping[date, int]]:
    """The sum of the counts of several kinds, by line and week."""
    found: dict[LineKey, Counter[date]] = defaultdict(Counter)
    for counts in by_kind:
        for key, weeks in counts.items():
            found[key].update(weeks)
    return found


def last_weeks(today: date) -> list[date]:
    """The Mondays of the last `WEEKS` weeks, ascending, the current one included."""
    this = week_of(today).first
    return [this - timedelta(weeks=n) for n in reversed(range(WEEKS))]


def last_whole_week(mondays: Sequence[date]) -> date:
    """The Monday of the week before the current one, which few offices have measured in yet."""
    return mondays[-2]


def weeks_period(mondays: Sequence[date]) -> Period:
    """The period from the first Monday to the end of the last week."""
    return Period(mondays[0], mondays[-1] + timedelta(days=6))


def month_of_week(monday: date) -> Period:
    """The month whose samples are counted beside a week's: as in the report of that week."""
    return month_of(monday + timedelta(days=6))


def week_name(monday: date) -> str:
    """The ISO week of a Monday as in addresses and files: 2026-W30."""
    year, week, _ = monday.isocalendar()
    return f"{year}-W{week:02}"
