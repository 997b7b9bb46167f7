"""Floor 1. What is due this week and next: reports, campaign weeks, certificates, maintenance,
silences, contracts. Of one list both the page and the calendar are made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from collector.alerts.silence import Silence
from collector.domain.lines import KnownLine
from collector.mailing.schedule import Mailing, next_due
from collector.registry.planned_maintenance import PlannedMaintenance
from collector.registry.registry import Registry
from collector.reports.builder import NATION
from collector.reports.maintenance import scope_text
from collector.reports.report import ReportKind, last_complete_period
from collector.rollup.periods import Period, local_day, period_after, week_of
from collector.users.user import AuditEvent, Permission, Role, User
from collector.web.calendar_file import CalendarEvent, whole_day
from collector.web.line_view import WEEKDAYS
from collector.web.period_choice import month_option, week_option
from collector.web.presentation import Badge, Locale

# An area's reports are expected while one was issued within so long.
_EXPECTED_WEEKS, _EXPECTED_MONTHS = 5, 3
_NAMED_MOST = 3
_DAY = timedelta(days=1)


class DueKind(StrEnum):
    """What is due: a closed list, each with a label."""

    REPORT = "report"
    MAILING = "mailing"
    CAMPAIGN = "campaign"
    CERTIFICATE = "certificate"
    MAINTENANCE = "maintenance"
    SILENCE = "silence"
    CONTRACT = "contract"


class DueItem(NamedTuple):
    """Something that is due: on a whole day (`begin` is a date), or from a time to a time (UTC).

    `key` is the same for the same thing each time. `is_done` None: it is nothing to be done.
    """

    key: str
    kind: DueKind
    begin: datetime | date
    end: datetime | date
    title: str
    detail: str = ""
    href: str = ""
    is_done: bool | None = None

    @property
    def day(self) -> date:
        """Its local day."""
        return local_day(self.begin) if isinstance(self.begin, datetime) else self.begin


class IssuedPeriod(NamedTuple):
    """A report that was issued."""

    kind: ReportKind
    area_id: str
    period: Period


class DueSources(NamedTuple):
    """What the list is made of, as the centre has it now."""

    now: datetime
    registry: Registry
    areas: Mapping[str, str]
    issued: Sequence[IssuedPeriod] = ()
    events: Sequence[AuditEvent] = ()
    mailings: Sequence[Mailing] = ()
    certificates: Sequence[tuple[str, datetime | None]] = ()
    probe_certificates: Sequence[tuple[str, str, datetime]] = ()
    maintenance: Sequence[PlannedMaintenance] = ()
    silences: Sequence[Silence] = ()
    lines: Sequence[KnownLine] = ()
    # The address of the form of reports, filled in with a report and its period, and an area.
    report_form: Callable[[str, str], str] = lambda _what, _area: "/papers"


class DueWeeks(NamedTuple):
    """What is overdue, what this week has and what goes on in it, and the next week."""

    overdue: list[DueItem]
    this_week: list[DueItem]
    next_week: list[DueItem]


def by_week(items: Sequence[DueItem], this: Period) -> DueWeeks:
    """The items of two weeks by week; `this` is the first one."""
    overdue = [one for one in items if one.day < this.first and one.is_done is False]
    following = [one for one in items if one.day > this.last]
    return DueWeeks(
        overdue, [one for one in items if one not in overdue and one not in following], following
    )


class DueRow(NamedTuple):
    """A row of the page."""

    day: str
    time: str
    kind: str
    title: str
    detail: str
    href: str
    badge: Badge | None


def due_items(sources: DueSources, user: User, period: Period, locale: Locale) -> list[DueItem]:
    """What is due in a period for this user, ascending; what is overdue is there too.

    An office has what concerns its communes, and reports who may issue them.
    """
    makes_reports = user.may(Permission.MAKE_REPORTS)
    found = [
        *(_reports(sources, period, locale) if makes_reports else ()),
        *(_mailings(sources, locale) if makes_reports else ()),
        *_campaign(period, locale),
        *_certificates(sources, user, locale),
        *_maintenance(sources, user, locale),
        *_silences(sources, user, locale),
        *_contracts(sources, user, locale),
    ]
    shown = [one for one in found if _is_shown(one, period)]
    return sorted(shown, key=lambda one: (one.day, isinstance(one.begin, datetime), one.key))


def _is_shown(one: DueItem, period: Period) -> bool:
    if one.is_done is False and one.day < period.first:
        return True
    last = one.end if isinstance(one.end, datetime) else None
    ends_on = local_day(last) if last else one.day
    return one.day <= period.last and ends_on >= period.first


def _reports(sources: DueSources, period: Period, locale: Locale) -> Iterator[DueItem]:
    issued = {(one.kind, one.area_id, one.period) for one in sources.issued}
    authors = _authors(sources.events)
    for (kind, area), last in sorted(_expected(sources).items()):
        for days in _periods(kind, sources.now, period):
            if not _is_expected(kind, last, days):
                continue
            done = (kind, area, days) in issued
            begin, end = whole_day(days.last + _DAY)
            by = authors.get((kind, area))
            name, place = locale.label(f"report_{kind}"), sources.areas.get(area, area)
            yield DueItem(
                f"report-{kind}-{area}-{days.first:%Y%m%d}",
                DueKind.REPORT,
                begin,
                end,
                f"{name}: {place}, {days.first:%d/%m}–{days.last:%d/%m/%Y}",
                f"{locale.label('due_last_issued_by')} {by}" if by else "",
                sources.report_form(_what(kind, days, locale), place),
                done,
            )


def _expected(sources: DueSources) -> dict[tuple[ReportKind, str], date]:
    """The reports that are issued regularly, with the first day of the last one.

    Where none ever was, a weekly and a monthly one of the first group, or else of all probes.
    """
    if not sources.issued and sources.registry.lines():
        area = next(iter(sources.registry.groups), NATION)
        kinds = (ReportKind.WEEKLY, ReportKind.MONTHLY)
        return {(kind, area): last_complete_period(kind, sources.now).first for kind in kinds}
    found: dict[tuple[ReportKind, str], date] = {}
    for kind, area, days in sources.issued:
        found[kind, area] = max(found.get((kind, area), days.first), days.first)
    return found


def _what(kind: ReportKind, days: Period, locale: Locale) -> str:
    """A report and its period as the form of reports has them."""
    option = week_option if kind is ReportKind.WEEKLY else month_option
    return f"{kind}:{option(days.first, locale)[1]}"


def _authors(events: Iterable[AuditEvent]) -> dict[tuple[str, str], str]:
    """Who issued a report of a kind and an area last, of events newest first."""
    found: dict[tuple[str, str], str] = {}
    for one in events:
        kind, _, rest = one.subject.partition("_")
        if one.action == "issue_paper":
            found.setdefault((kind, rest.partition("_")[0]), one.user)
    return found


def _periods(kind: ReportKind, now: datetime, period: Period) -> Iterator[Period]:
    """The last one that is over, and those that end until the end of the period."""
    days = last_complete_period(kind, now)
    while days.last < period.last:
        yield days
        days = period_after(days)


def _is_expected(kind: ReportKind, last: date, days: Period) -> bool:
    weeks = _EXPECTED_WEEKS if kind is ReportKind.WEEKLY else _EXPECTED_MONTHS * 5
    return days.first - last <= timedelta(weeks=weeks)


def _mailings(sources: DueSources, locale: Locale) -> Iterator[DueItem]:
    for one in sources.mailings:
        if not one.is_active:
            continue
        at, days = next_due(one, sources.now)
        area = sources.areas.get(one.area_id, one.area_id)
        yield DueItem(
            f"mailing-{one.number}-{days.first:%Y%m%d}",
            DueKind.MAILING,
            at,
            at + timedelta(minutes=15),
            f"{locale.label('due_mail')} {locale.label(f'report_{one.kind}').lower()}: {area}",
            f"{days.first:%d/%m}–{days.last:%d/%m/%Y}",
            "/papers/mail",
        )


def _campaign(period: Period, locale: Locale) -> Iterator[DueItem]:
    monday = week_of(period.first).first
    while monday <= period.last:
        year, week, _ = monday.isocalendar()
        begin, end = whole_day(monday + 6 * _DAY)
        yield DueItem(
            f"campaign-{year}-{week:02}",
            DueKind.CAMPAIGN,
            begin,
            end,
            f"{locale.label('due_campaign')} {week}/{year}",
            "",
            f"/campaign?week={year}-W{week:02}",
        )
        monday += 7 * _DAY


def _certificates(sources: DueSources, user: User, locale: Locale) -> Iterator[DueItem]:
    if user.role is not Role.OFFICE:
        for name, ends in sources.certificates:
            if ends is not None:
                yield _certificate(f"centre-{name}", [name], local_day(ends), locale)
    by_day: dict[date, list[str]] = {}
    for tenant, probe, ends in sources.probe_certificates:
        known = sources.registry.probe(tenant, probe)
        if user.is_concerned_by(known.commune if known else None):
            by_day.setdefault(local_day(ends), []).append(f"{tenant}/{probe}")
    for day, names in by_day.items():
        yield _certificate("probes", sorted(names), day, locale)


def _certificate(key: str, names: Sequence[str], day: date, locale: Locale) -> DueItem:
    begin, end = whole_day(day)
    return DueItem(
        f"certificate-{key}-{day:%Y%m%d}",
        DueKind.CERTIFICATE,
        begin,
        end,
        f"{locale.label('due_certificate')}: {_some(names, locale)}",
        locale.label("due_certificate_action"),
        "/system",
    )


def _some(names: Sequence[str], locale: Locale) -> str:
    """The first names, and how many more."""
    shown = ", ".join(names[:_NAMED_MOST])
    more = len(names) - _NAMED_MOST
    return f"{shown} (+{locale.number(more)})" if more > 0 else shown


def _maintenance(sources: DueSources, user: User, locale: Locale) -> Iterator[DueItem]:
    own = [line.key for line in sources.lines if user.is_concerned_by(line.commune_code)]
    for one in sources.maintenance:
        if one.is_withdrawn:
            continue
        entry, of_office = one.current, user.role is Role.OFFICE
        if of_office and not any(one.concerns(key, sources.registry) for key in own):
            continue
        yield DueItem(
            f"maintenance-{one.number}",
            DueKind.MAINTENANCE,
            entry.starts_at,
            entry.ends_at,
            f"{locale.label('due_maintenance')}: {scope_text(entry.scope, sources.registry)}",
            entry.reason,
            f"/maintenance/{one.number}",
        )


def _silences(sources: DueSources, user: User, locale: Locale) -> Iterator[DueItem]:
    for one in sources.silences:
        probe = sources.registry.probe(one.tenant, one.probe)
        if not user.is_concerned_by(probe.commune if probe else None):
            continue
        subject = "/".join(filter(None, (one.tenant, one.probe, one.line))) or one.name
        yield DueItem(
            f"silence-{one.number}",
            DueKind.SILENCE,
            one.ends_at,
            one.ends_at + timedelta(minutes=15),
            f"{locale.label('due_silence')}: {subject}",
            f"{one.reason} ({one.author})",
            "/alerts",
        )


def _contracts(sources: DueSources, user: User, locale: Locale) -> Iterator[DueItem]:
    by_day: dict[date, list[str]] = {}
    for line in sources.lines:
        day = line.contract_date
        if line.registered and day is not None and user.is_concerned_by(line.commune_code):
            by_day.setdefault(day, []).append(f"{line.office} ({line.isp_name})")
    for day, names in by_day.items():
        begin, end = whole_day(day)
        yield DueItem(
            f"contract-{day:%Y%m%d}",
            DueKind.CONTRACT,
            begin,
            end,
            f"{locale.label('due_contract')}: {_some(names, locale)}",
            "",
            "/registry/changes",
        )


def rows(items: Iterable[DueItem], now: datetime, locale: Locale) -> list[DueRow]:
    """The rows of the page."""
    return [_row(one, local_day(now), locale) for one in items]


def _row(one: DueItem, today: date, locale: Locale) -> DueRow:
    weekday = locale.label(WEEKDAYS[one.day.weekday()])
    time = ""
    if isinstance(one.begin, datetime):
        time = f"{one.begin.astimezone(locale.timezone):%H:%M}"
        if one.kind is DueKind.MAINTENANCE and isinstance(one.end, datetime):
            time = f"{time} – {one.end.astimezone(locale.timezone):%H:%M %d/%m}"
    return DueRow(
        f"{weekday} {one.day:%d/%m/%Y}",
        time,
        locale.label(f"due_kind_{one.kind}"),
        one.title,
        one.detail,
        one.href,
        _badge(one, today, locale),
    )


def _badge(one: DueItem, today: date, locale: Locale) -> Badge | None:
    match one.is_done:
        case True:
            return Badge("good", "✓", locale.label("due_done"))
        case False if one.day < today:
            return Badge("bad", "✕", locale.label("due_late"))
        case False if one.day == today:
            return Badge("warn", "△", locale.label("due_today"))
        case False:
            return Badge("quiet", "…", locale.label("due_open"))
        case _:
            return None


def events(items: Iterable[DueItem], site: str) -> list[CalendarEvent]:
    """The items as events of a calendar; what is done is left out.

    Args:
        items: of a user.
        site: the address of the centre, as `https://host`.
    """
    return [
        CalendarEvent(
            f"{one.key}@tramdo",
            one.begin,
            one.end,
            one.title,
            one.detail,
            f"{site}{one.href}" if one.href else "",
        )
        for one in items
        if not one.is_done
    ]
