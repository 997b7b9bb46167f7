"""Floor 1. Every row that a report must have, computed anew, and its counts by week and commune."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from verify.findings import Finding, Kind
from verify.maintenance import Announcement, Place, announcements, minutes_within
from verify.row import (
    AREA,
    COMMUNE,
    FAMILY,
    ISP_PLAN,
    LINE,
    LINE_FAMILY,
    Context,
    Expected,
    Fields,
    Member,
    compared,
    row,
    verdicts,
)
from verify.samples import Days, LineSamples, Samples

# What identifies a row among those of its level.
Key = tuple[object, ...]
_WEEK = timedelta(days=7)
_FAMILIES = ("ipv4", "ipv6", None)


class Statements(NamedTuple):
    """What the centre states beside results: files of the bundle."""

    report: Mapping[str, Any]
    registry: Mapping[str, Any]
    thresholds: Mapping[str, Any]
    plans: Sequence[Mapping[str, Any]]
    # Entries of planned maintenance; none in bundles of before there was any.
    maintenance: Sequence[Mapping[str, Any]] = ()
    made_at: datetime | None = None


def figures(
    samples: Mapping[str, LineSamples], statements: Statements, days: Days, as_of: datetime
) -> Iterator[Finding]:
    """Each figure of the report against the results, and rows that are missing or too many."""
    context = Context(days, statements.thresholds, as_of, len(samples))
    members = {
        name: _member(name, mine.whole, statements) for name, mine in sorted(samples.items())
    }
    if statements.report.get("maintenance") is not None:
        planned = PlannedMaintenance(members, samples, context, statements)
        members = planned.members()
        yield from planned.compared()
    else:
        yield Finding(Kind.UNKNOWN, "report.json", "it states nothing of planned maintenance")
    expected = dict(_rows(members, samples, context, statements))
    stated: dict[Key, Mapping[str, Any]] = {}
    for one in statements.report["rows"]:
        key = _key(one)
        if key in stated:
            yield Finding(Kind.DIFFERS, _subject(key), "the report has this row twice")
        stated[key] = one
    for key in stated.keys() - expected.keys():
        yield Finding(Kind.DIFFERS, _subject(key), "the report has a row that no result is of")
    for key, fields in expected.items():
        if key in stated:
            yield from compared(_subject(key), fields, stated[key])
        else:
            yield Finding(Kind.DIFFERS, "report.json", f"it has no row of {_subject(key)}")
    yield from _weeks(samples, statements, days)
    yield from _communes(members, samples, statements, days)


class PlannedMaintenance:
    """The announcements of the report's days, and what of each line's outages lies in them."""

    def __init__(
        self,
        members: Mapping[str, Member],
        samples: Mapping[str, LineSamples],
        context: Context,
        statements: Statements,
    ) -> None:
        self._begin, self._end = context.begin, context.period_end
        self._members, self._samples, self._statements = members, samples, statements
        communes = {one["code"]: one for one in statements.registry["communes"]}
        self._places = {name: _place(one, communes) for name, one in members.items()}
        every = announcements(statements.maintenance, self._begin, self._end, statements.made_at)
        self._lines = {one.number: self._concerned(one) for one in every}
        self._announcements = [one for one in every if self._lines[one.number]]

    def _concerned(self, one: Announcement) -> list[str]:
        places = self._places.items()
        return [name for name, where in places if where and one.concerns(name, where)]

    def members(self) -> dict[str, Member]:
        """The lines with their minutes down in planned maintenance."""
        return {
            name: one._replace(planned_down=self._minutes(name, self._announcements))
            for name, one in self._members.items()
        }

    def _minutes(self, name: str, some: Sequence[Announcement]) -> int:
        where = self._places[name]
        planned = [one for one in some if where and one.counts_for(name, where)]
        return minutes_within(planned, self._samples[name].outages, self._begin, self._end)

    def compared(self) -> Iterator[Finding]:
        """Each announcement of the report against its entries and the results."""
        stated = {int(one["number"]): one for one in self._statements.report["maintenance"]}
        for one in self._announcements:
            subject = f"maintenance {one.number}"
            if one.number not in stated:
                yield Finding(Kind.DIFFERS, "report.json", f"it has no row of {subject}")
            else:
                yield from compared(subject, self._fields(one), _with_times(stated[one.number]))
        for number in sorted(stated.keys() - {one.number for one in self._announcements}):
            subject = f"maintenance {number}"
            yield Finding(Kind.DIFFERS, subject, "the report has a row that no entry is of")

    def _fields(self, one: Announcement) -> Fields:
        planned, current = one.planned, one.entries[-1]
        lines = self._lines[one.number]
        return {
            "starts_at": Expected(current.starts_at),
            "ends_at": Expected(current.ends_at),
            "isp": Expected(current.isp),
            "place": Expected(current.place),
            "line": Expected(current.line),
            "announced_at": Expected(one.entries[0].recorded_at),
            "changed_at": Expected(current.recorded_at),
            "entries": Expected(len(one.entries)),
            "status": Expected(one.status),
            "planned_from": Expected(planned[0] if planned else None),
            "planned_until": Expected(planned[1] if planned else None),
            "lines": Expected(len(lines)),
            "down_minutes": Expected(sum(self._minutes(name, [one]) for name in lines)),
        }


_TIMES = ("starts_at", "ends_at", "announced_at", "changed_at", "planned_from", "planned_until")


def _with_times(stated: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same with its times as times, which have several texts."""
    times = {
        name: datetime.fromisoformat(stated[name])
        for name in _TIMES
        if stated.get(name) is not None
    }
    return {**stated, **times}


def _place(member: Member, communes: Mapping[str, Mapping[str, Any]]) -> Place | None:
    if member.line is None or member.probe is None:
        return None
    commune = str(member.probe["commune"])
    province = communes.get(commune, {}).get("province_code", "")
    return Place(str(member.line["isp"]), commune, str(province))


def _member(name: str, samples: Samples, statements: Statements) -> Member:
    tenant, probe, line = name.split("/")
    entry = _entry(statements.registry["probes"], tenant, probe)
    own = (one for one in (entry or {"lines": []})["lines"] if one["id"] == line)
    return Member(name, samples, next(own, None), entry, _entry(statements.plans, tenant, probe))


def _entry(
    entries: Sequence[Mapping[str, Any]], tenant: str, probe: str
) -> Mapping[str, Any] | None:
    return next((one for one in entries if (one["tenant"], one["probe"]) == (tenant, probe)), None)


def _rows(
    members: Mapping[str, Member],
    samples: Mapping[str, LineSamples],
    context: Context,
    statements: Statements,
) -> Iterator[tuple[Key, Fields]]:
    every = list(members.values())
    by_line = {one.name: row(LINE, [one], context) for one in every}
    communes: dict[Key, list[Member]] = defaultdict(list)
    plans: dict[Key, list[Member]] = defaultdict(list)
    for one in every:
        if one.probe is not None:
            communes[COMMUNE, one.probe["commune"]].append(one)
        if one.line is not None:
            speeds = (one.declared(way) or 0 for way in ("download", "upload"))
            plans[ISP_PLAN, _isp(one, statements), *speeds].append(one)
    for key, some in [((AREA,), every), *communes.items(), *plans.items()]:
        fields = row(str(key[0]), some, context)
        yield key, fields | verdicts([by_line[one.name] for one in some])
    for one in every:
        mine = by_line[one.name]
        yield (LINE, one.name), mine | verdicts([mine]) | _names(one, statements)
    yield from _family_rows(members, samples, context)


def _family_rows(
    members: Mapping[str, Member], samples: Mapping[str, LineSamples], context: Context
) -> Iterator[tuple[Key, Fields]]:
    """The rows of the area and of each line over each family; none where no result states one."""
    measured = {
        name: {family: one for family, one in mine.families.items() if one.has_family_kind}
        for name, mine in samples.items()
    }
    stated = {name for name, mine in measured.items() if mine.keys() - {None}}
    if not stated:
        return
    for family in _FAMILIES:
        some = [
            members[name]._replace(samples=mine[family])
            for name, mine in sorted(measured.items())
            if family in mine
        ]
        if some:
            yield (FAMILY, family or "unstated"), row(FAMILY, some, context)
        for one in some:
            if one.name in stated:
                key = LINE_FAMILY, one.name, family or "unstated"
                yield key, row(LINE_FAMILY, [one], context)


def _isp(member: Member, statements: Statements) -> str:
    isp = (member.line or {})["isp"]
    return next((str(one["name"]) for one in statements.registry["isps"] if one["id"] == isp), isp)


def _names(member: Member, statements: Statements) -> Fields:
    """What the registry says of a line."""
    if member.probe is None or member.line is None:
        return {}
    return {
        "commune_code": Expected(member.probe["commune"]),
        "office": Expected(member.probe["office"]),
        "isp": Expected(_isp(member, statements)),
    }


def _key(stated: Mapping[str, Any]) -> Key:
    level = stated["level"]
    name = f"{stated['tenant']}/{stated['probe']}/{stated['line']}"
    match level:
        case "commune":
            return level, stated["commune_code"]
        case "isp_plan":
            speeds = (stated[way]["declared_bps"] or 0 for way in ("download", "upload"))
            return level, stated["isp"], *speeds
        case "line":
            return level, name
        case "family":
            return level, stated["family"]
        case "line_family":
            return level, name, stated["family"]
        case _:
            return (level,)


def _subject(key: Key) -> str:
    match key:
        case ("line", name):
            return str(name)
        case ("line_family", name, family):
            return f"{name} ({family})"
        case _:
            return " ".join(str(part) for part in key)


def _weeks(
    samples: Mapping[str, LineSamples], statements: Statements, days: Days
) -> Iterator[Finding]:
    """The trend of a weekly report; its earlier weeks are in the bundle of an issue."""
    least = statements.thresholds["week_measurements"]["limit"]
    for week in statements.report.get("weeks", ()):
        monday = date.fromisoformat(week["monday"])
        subject = f"the week from {monday}"
        if monday < days.results_from:
            yield Finding(Kind.UNKNOWN, subject, "its results are not in the bundle")
            continue
        tests = [_between(mine, monday, monday + _WEEK) for mine in samples.values()]
        if week["tests"] and not any(tests) and monday < days.first:
            yield Finding(Kind.UNKNOWN, subject, "none of its results is in the bundle any more")
            continue
        yield from compared(
            subject,
            {
                "lines": Expected(len(samples)),
                "lines_enough": Expected(sum(count >= least for count in tests)),
                "tests": Expected(sum(tests)),
            },
            week,
        )


def _communes(
    members: Mapping[str, Member],
    samples: Mapping[str, LineSamples],
    statements: Statements,
    days: Days,
) -> Iterator[Finding]:
    """Each commune's tests from the first of the month on."""
    stated = statements.report.get("commune_month", ())
    first = days.last.replace(day=1)
    if not stated:
        return
    if first < days.results_from:
        yield Finding(Kind.UNKNOWN, "commune_month", "not all of its results are in the bundle")
        return
    tests: dict[str, int] = defaultdict(int)
    for name, member in members.items():
        if member.probe is not None:
            within = _between(samples[name], first, days.last + timedelta(days=1))
            tests[member.probe["commune"]] += within
    needed = int(statements.thresholds["commune_month_samples"]["limit"])
    for one in stated:
        code = one["commune_code"]
        expected = {"tests": Expected(tests.get(code)), "needed": Expected(needed)}
        yield from compared(f"commune {code} in the month", expected, one)
    if missing := sorted(tests.keys() - {one["commune_code"] for one in stated}):
        yield Finding(Kind.DIFFERS, "commune_month", f"it has no row of {', '.join(missing)}")


def _between(mine: LineSamples, first: date, end: date) -> int:
    return sum(count for day, count in mine.tests.items() if first <= day < end)
