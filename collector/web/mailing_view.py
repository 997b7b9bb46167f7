"""Floor 1. Reports by e-mail: the choices of the form, schedules and deliveries as rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from collector.mailing.schedule import (
    Delivery,
    DeliveryState,
    Mailing,
    MailingProblem,
    MailingRefusedError,
    day_of,
    minute_of,
    next_due,
    recipients,
)
from collector.reports.report import ReportKind
from collector.web.change_view import period_text
from collector.web.formatting import Moment, moment
from collector.web.line_view import WEEKDAYS
from collector.web.period_choice import OptionGroup
from collector.web.presentation import Badge, Locale

ROWS_MOST = 100
_WEEKDAY = "w"
_LOOKS = {
    DeliveryState.WAITING: ("quiet", "…"),
    DeliveryState.SENDING: ("quiet", "…"),
    DeliveryState.SENT: ("good", "✓"),
    DeliveryState.FAILED: ("bad", "✕"),
    DeliveryState.UNCERTAIN: ("warn", "△"),
}
# Details that are no sentence of a mail server.
_KNOWN_DETAILS = ("stopped", "interrupted")


class MailingRow(NamedTuple):
    """A schedule."""

    number: int
    report: str
    area: str
    when: str
    recipients: tuple[str, ...]
    author: str
    is_active: bool
    next_at: Moment | None
    next_period: str


class DeliveryRow(NamedTuple):
    """A report to one recipient."""

    at: Moment
    report: str
    area: str
    period: str
    recipient: str
    badge: Badge
    detail: str


def mailing_of(fields: Mapping[str, str], area_id: str, author: str, now: datetime) -> Mailing:
    """What the form states. Raises MailingRefusedError."""
    kind = ReportKind(fields["kind"])
    day = fields["day"]
    if day.startswith(_WEEKDAY) != (kind is ReportKind.WEEKLY):
        raise MailingRefusedError(MailingProblem.DAY, day[:20])
    return Mailing(
        kind=kind,
        area_id=area_id,
        recipients=recipients(fields["recipients"]),
        day=day_of(kind, day.removeprefix(_WEEKDAY)),
        minute=minute_of(fields["time"]),
        is_draft=fields["as"] == "draft",
        author=author,
        since=now,
    )


def problem_text(problem: MailingRefusedError, locale: Locale) -> str:
    """Why nothing was set, in the visitor's language."""
    said = locale.label(f"mailing_refused_{problem.why}")
    quoted = problem.why in (MailingProblem.ADDRESS, MailingProblem.TOO_MANY)
    return f"{said} {problem.detail}" if quoted else said


def kinds(locale: Locale) -> list[tuple[str, str]]:
    """The reports to choose from, as (text, value)."""
    return [(locale.label(f"report_{kind}"), kind.value) for kind in ReportKind]


def days(locale: Locale) -> list[OptionGroup]:
    """The days to choose from: of the week after, and of the month after."""
    week = [
        (locale.label(name), f"{_WEEKDAY}{place}") for place, name in enumerate(WEEKDAYS, start=1)
    ]
    month = [(f"{locale.label('mailing_day_of_month')} {day}", str(day)) for day in range(1, 29)]
    return [
        OptionGroup(locale.label("mailing_days_week"), week),
        OptionGroup(locale.label("mailing_days_month"), month),
    ]


def mailing_rows(
    mailings: Sequence[Mailing], areas: Mapping[str, str], now: datetime, locale: Locale
) -> list[MailingRow]:
    """The schedules."""
    return [_mailing_row(one, areas, now, locale) for one in mailings]


def _mailing_row(
    one: Mailing, areas: Mapping[str, str], now: datetime, locale: Locale
) -> MailingRow:
    at, period = next_due(one, now) if one.is_active else (None, None)
    return MailingRow(
        one.number,
        _report(one, locale),
        areas.get(one.area_id, one.area_id),
        _when(one, locale),
        one.recipients,
        one.author,
        one.is_active,
        None if at is None else moment(at, locale.language, locale.timezone),
        "" if period is None else period_text(period),
    )


def delivery_rows(
    found: Sequence[Delivery],
    mailings: Sequence[Mailing],
    areas: Mapping[str, str],
    locale: Locale,
) -> list[DeliveryRow]:
    """The deliveries of the schedules that are known."""
    by_number = {one.number: one for one in mailings}
    return [
        DeliveryRow(
            moment(one.changed_at, locale.language, locale.timezone),
            _report(by_number[one.mailing], locale),
            areas.get(by_number[one.mailing].area_id, by_number[one.mailing].area_id),
            period_text(one.period),
            one.recipient,
            _badge(one.state, locale),
            _detail(one, locale),
        )
        for one in found
        if one.mailing in by_number
    ]


def _report(one: Mailing, locale: Locale) -> str:
    name = locale.label(f"report_{one.kind}")
    return f"{name} ({locale.label('mailing_draft').lower()})" if one.is_draft else name


def _when(one: Mailing, locale: Locale) -> str:
    if one.kind is ReportKind.WEEKLY:
        day = locale.label(WEEKDAYS[one.day - 1])
    else:
        day = f"{locale.label('mailing_day_of_month')} {one.day}"
    return f"{day}, {one.minute // 60:02}:{one.minute % 60:02}"


def _badge(state: DeliveryState, locale: Locale) -> Badge:
    tone, sign = _LOOKS[state]
    return Badge(tone, sign, locale.label(f"delivery_{state}"))


def _detail(one: Delivery, locale: Locale) -> str:
    known = one.detail in _KNOWN_DETAILS
    detail = locale.label(f"delivery_why_{one.detail}") if known else one.detail
    if one.state is not DeliveryState.WAITING or not one.attempts:
        return detail
    return f"{locale.number(one.attempts)} {locale.label('delivery_attempts')}: {detail}"
