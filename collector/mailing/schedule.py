"""Floor 1. When which report is mailed to whom, and what came of it.

A mailing is due once for each week or month, on a day and at a time after that has ended, in
Vietnam's time. What fell due before it was set, or while it was stopped, is not sent.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum

from msgspec import Struct

from collector.reports.report import ReportKind, last_complete_period
from collector.rollup.periods import Period, period_after, period_before, start_of_day

RECIPIENTS_MOST = 50
# Later than that after it fell due, a report is not sent by itself: the centre was off for long.
LATE_MOST = timedelta(days=6)
# What came of a delivery is known for so long: a year's months and some weeks.
KEPT = timedelta(days=400)
# What cannot be delivered is tried again for so long.
GIVE_UP_AFTER = timedelta(hours=24)
RETRY_FIRST_S, RETRY_LONGEST_S = 60.0, 3_600.0
# A delivery takes the server's time limit for some commands; what takes longer was interrupted.
INTERRUPTED_AFTER = timedelta(minutes=15)
DAYS = {ReportKind.WEEKLY: 7, ReportKind.MONTHLY: 28, ReportKind.BULLETIN: 28}
# HTML's definition of a valid e-mail address: ASCII, no blank, no line break.
_ADDRESS = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@"
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,63}"
)


class Mailing(Struct, frozen=True, kw_only=True):
    """A report that is mailed.

    `day` is of the week after (1 is Monday) for a weekly report, else of the month after. `minute`
    is of the day. `since` is when it was set or resumed, UTC; `is_draft` sends a draft of the
    current figures and issues nothing.
    """

    kind: ReportKind
    area_id: str
    recipients: tuple[str, ...]
    day: int
    minute: int
    is_draft: bool
    author: str
    since: datetime
    is_active: bool = True
    number: int = 0


class DeliveryState(StrEnum):
    """What came of a delivery. UNCERTAIN: it ended while the server was taking it."""

    WAITING = "waiting"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
    UNCERTAIN = "uncertain"


class Delivery(Struct, frozen=True, kw_only=True):
    """A report to one recipient. `occasion` is the same for all that are sent at one time.

    `changed_at` is when its state was set, `try_at` when a waiting one is tried next, UTC.
    """

    mailing: int
    occasion: str
    first_day: date
    last_day: date
    recipient: str
    state: DeliveryState
    attempts: int
    made_at: datetime
    try_at: datetime
    changed_at: datetime
    detail: str = ""
    number: int = 0

    @property
    def period(self) -> Period:
        """The days of the report."""
        return Period(self.first_day, self.last_day)


class MailingProblem(StrEnum):
    """Why a mailing cannot be set: each has a label for the page."""

    NOBODY = "nobody"
    TOO_MANY = "too_many"
    ADDRESS = "address"
    DAY = "day"
    TIME = "time"


class MailingRefusedError(ValueError):
    """The form does not state a mailing; `detail` is what is wrong in it."""

    def __init__(self, why: MailingProblem, detail: str = "") -> None:
        super().__init__(f"{why}: {detail}")
        self.why = why
        self.detail = detail


def recipients(text: str) -> tuple[str, ...]:
    """The addresses that were typed, by commas, semicolons or lines; each once.

    Raises:
        MailingRefusedError: none, too many, or one that is no address.
    """
    typed = dict.fromkeys(re.split(r"[\s,;]+", text.strip()))
    found = tuple(address for address in typed if address)
    if not found:
        raise MailingRefusedError(MailingProblem.NOBODY)
    if len(found) > RECIPIENTS_MOST:
        raise MailingRefusedError(MailingProblem.TOO_MANY, str(RECIPIENTS_MOST))
    for address in found:
        if len(address) > 254 or _ADDRESS.fullmatch(address) is None:
            raise MailingRefusedError(MailingProblem.ADDRESS, address[:80])
    return found


def day_of(kind: ReportKind, text: str) -> int:
    """The day of the week or month. Raises MailingRefusedError."""
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text[:4]) <= DAYS[kind]:
        raise MailingRefusedError(MailingProblem.DAY, text[:20])
    return int(text)


def minute_of(text: str) -> int:
    """The minute of the day of HH:MM. Raises MailingRefusedError."""
    clock = re.fullmatch(r"([01][0-9]|2[0-3]):([0-5][0-9])", text)
    if clock is None:
        raise MailingRefusedError(MailingProblem.TIME, text[:20])
    return int(clock[1]) * 60 + int(clock[2])


def due_at(mailing: Mailing, period: Period) -> datetime:
    """When the report of a period is due, UTC."""
    day = period.last + timedelta(days=mailing.day)
    return start_of_day(day) + timedelta(minutes=mailing.minute)


def due_period(mailing: Mailing, now: datetime) -> Period | None:
    """The period whose report is due now or was lately; None where none is."""
    if not mailing.is_active:
        return None
    last = last_complete_period(mailing.kind, now)
    # One that is due late in its week or month may be sent when the next one is over already.
    for period in (last, period_before(last)):
        at = due_at(mailing, period)
        if mailing.since < at <= now < at + LATE_MOST:
            return period
    return None


def next_due(mailing: Mailing, now: datetime) -> tuple[datetime, Period]:
    """When it is due next, and for which days."""
    period = last_complete_period(mailing.kind, now)
    while (at := due_at(mailing, period)) <= max(now, mailing.since):
        period = period_after(period)
    return at, period


def deliveries(
    mailing: Mailing, period: Period, now: datetime, *, by_hand: bool = False
) -> list[Delivery]:
    """What is to be delivered of a mailing's report, each to one recipient."""
    days = f"{period.first}..{period.last}"
    return [
        Delivery(
            mailing=mailing.number,
            occasion=f"{days} {now.astimezone(UTC).isoformat()}" if by_hand else days,
            first_day=period.first,
            last_day=period.last,
            recipient=recipient,
            state=DeliveryState.WAITING,
            attempts=0,
            made_at=now,
            try_at=now,
            changed_at=now,
        )
        for recipient in mailing.recipients
    ]


def is_given_up(delivery: Delivery, now: datetime) -> bool:
    """Whether what failed just now is not tried again."""
    return now - delivery.made_at >= GIVE_UP_AFTER
