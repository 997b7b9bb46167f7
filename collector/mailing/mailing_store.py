"""Floor 2. Mailings and their deliveries, in the tables of the alerts: a file, or shared ones.

A delivery is claimed before the mail server gets it, by one statement that succeeds once. What was
claimed and has no outcome is never claimed again: no report is sent twice, whoever takes over.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime

import msgspec

from collector.alerts.alert_database import (
    DELIVERY_COLUMNS,
    MAILING_COLUMNS,
    AlertDatabase,
)
from collector.mailing.schedule import INTERRUPTED_AFTER, KEPT, Delivery, DeliveryState, Mailing
from collector.reports.report import ReportKind
from collector.store.batch import utc_text
from collector.store.database import Row
from wire.decoding import decode_json

_MAILING = f"number, {MAILING_COLUMNS}"
_DELIVERY = f"number, {DELIVERY_COLUMNS}"


class MailingStore:
    """Thread-safe. Methods may raise collector.alerts.alert_database.AlertStoreError."""

    def __init__(self, database: AlertDatabase) -> None:
        self._database = database

    def mailings(self) -> list[Mailing]:
        """All, as they were set."""
        rows = self._database.read(f"SELECT {_MAILING} FROM report_mailings ORDER BY number")  # noqa: S608 - our own names
        return [_mailing(row) for row in rows]

    def mailing(self, number: int) -> Mailing | None:
        """One by its number."""
        return next((one for one in self.mailings() if one.number == number), None)

    def add(self, mailing: Mailing) -> int:
        """Add one; returns its number."""
        with self._database.transaction() as transaction:
            ((number,),) = transaction.execute(
                f"INSERT INTO report_mailings ({MAILING_COLUMNS}) "  # noqa: S608 - our own names
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING number",
                (
                    mailing.kind,
                    mailing.area_id,
                    msgspec.json.encode(mailing.recipients).decode(),
                    mailing.day,
                    mailing.minute,
                    int(mailing.is_draft),
                    mailing.author,
                    utc_text(mailing.since),
                    int(mailing.is_active),
                ),
            )
        return int(number)

    def set_active(self, number: int, now: datetime, *, active: bool) -> None:
        """Stop or resume one; what waits of one that is stopped is not sent."""
        with self._database.transaction() as transaction:
            transaction.execute(
                "UPDATE report_mailings SET active = ?, since = ? WHERE number = ?",
                (int(active), utc_text(now), number),
            )
            if not active:
                transaction.execute(
                    "UPDATE report_deliveries SET state = ?, detail = ?, changed_at = ? "
                    "WHERE mailing = ? AND state = ?",
                    (DeliveryState.FAILED, "stopped", utc_text(now), number, DeliveryState.WAITING),
                )

    def remove(self, number: int) -> None:
        """Remove one, and what is known of its deliveries."""
        with self._database.transaction() as transaction:
            transaction.execute("DELETE FROM report_deliveries WHERE mailing = ?", (number,))
            transaction.execute("DELETE FROM report_mailings WHERE number = ?", (number,))

    def plan(self, deliveries: Iterable[Delivery]) -> int:
        """Add deliveries that are not known yet; returns how many."""
        added = 0
        with self._database.transaction() as transaction:
            for one in deliveries:
                added += len(
                    transaction.execute(
                        f"INSERT INTO report_deliveries ({DELIVERY_COLUMNS}) "  # noqa: S608 - our own names
                        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
                        "ON CONFLICT (mailing, occasion, recipient) DO NOTHING RETURNING number",
                        _values(one),
                    )
                )
        return added

    def due(self, now: datetime) -> list[Delivery]:
        """What waits and is to be tried now, the oldest first."""
        return self._deliveries(
            "state = ? AND try_at <= ? ORDER BY number", DeliveryState.WAITING, utc_text(now)
        )

    def newest(self, limit: int) -> list[Delivery]:
        """The newest deliveries, newest first."""
        return self._deliveries("true ORDER BY number DESC LIMIT ?", limit)

    def claim(self, delivery: Delivery, now: datetime) -> bool:
        """Take a waiting delivery for this process; False where another one has."""
        with self._database.transaction() as transaction:
            return bool(
                transaction.execute(
                    "UPDATE report_deliveries SET state = ?, attempts = attempts + 1, "
                    "changed_at = ? WHERE number = ? AND state = ? RETURNING number",
                    (DeliveryState.SENDING, utc_text(now), delivery.number, DeliveryState.WAITING),
                )
            )

    def finish(
        self,
        delivery: Delivery,
        state: DeliveryState,
        now: datetime,
        detail: str = "",
        try_at: datetime | None = None,
    ) -> None:
        """Set what came of a delivery that was claimed."""
        with self._database.transaction() as transaction:
            transaction.execute(
                "UPDATE report_deliveries SET state = ?, detail = ?, changed_at = ?, try_at = ? "
                "WHERE number = ?",
                (
                    state,
                    _printable(detail)[:500],
                    utc_text(now),
                    utc_text(try_at or now),
                    delivery.number,
                ),
            )

    def end_interrupted(self, now: datetime) -> None:
        """What was claimed long ago and has no outcome: nobody knows whether it was sent."""
        with self._database.transaction() as transaction:
            transaction.execute(
                "UPDATE report_deliveries SET state = ?, detail = ? "
                "WHERE state = ? AND changed_at <= ?",
                (
                    DeliveryState.UNCERTAIN,
                    "interrupted",
                    DeliveryState.SENDING,
                    utc_text(now - INTERRUPTED_AFTER),
                ),
            )

    def delete_old(self, now: datetime) -> None:
        """Forget deliveries that are long past, with the addresses in them."""
        with self._database.transaction() as transaction:
            transaction.execute(
                "DELETE FROM report_deliveries WHERE made_at < ?", (utc_text(now - KEPT),)
            )

    def _deliveries(self, where: str, *values: object) -> list[Delivery]:
        rows = self._database.read(
            f"SELECT {_DELIVERY} FROM report_deliveries WHERE {where}",  # noqa: S608 - our own names
            values,
        )
        return [_delivery(row) for row in rows]


def _values(one: Delivery) -> tuple[object, ...]:
    return (
        one.mailing,
        one.occasion,
        one.first_day.isoformat(),
        one.last_day.isoformat(),
        one.recipient,
        one.state,
        one.attempts,
        utc_text(one.made_at),
        utc_text(one.try_at),
        utc_text(one.changed_at),
        one.detail,
    )


def _mailing(row: Row) -> Mailing:
    number, kind, area, addresses, day, minute, draft, author, since, active = row
    return Mailing(
        number=number,
        kind=ReportKind(kind),
        area_id=area,
        recipients=decode_json(addresses, tuple[str, ...]),
        day=day,
        minute=minute,
        is_draft=bool(draft),
        author=author,
        since=datetime.fromisoformat(since),
        is_active=bool(active),
    )


def _delivery(row: Row) -> Delivery:
    number, mailing, occasion, first, last, recipient, state, attempts, *times, detail = row
    made_at, try_at, changed_at = map(datetime.fromisoformat, times)
    return Delivery(
        number=number,
        mailing=mailing,
        occasion=occasion,
        first_day=date.fromisoformat(first),
        last_day=date.fromisoformat(last),
        recipient=recipient,
        state=DeliveryState(state),
        attempts=attempts,
        made_at=made_at,
        try_at=try_at,
        changed_at=changed_at,
        detail=detail,
    )


def _printable(text: str) -> str:
    """A mail server's words without what is no text: PostgreSQL stores no NUL."""
    return "".join(filter(str.isprintable, text))
