"""Floor 1. Alerts as rows of the alerts page."""

from __future__ import annotations

from typing import NamedTuple

from collector.alerts import notification
from collector.alerts.alert import Alert
from collector.alerts.notification import AlertEvent, Transition
from collector.web.formatting import Moment, moment
from collector.web.presentation import Locale
from runtime.language import Language


class AlertRow(NamedTuple):
    """A row of the alerts page. `href` leads to its probe, "" where it has none."""

    title: str
    place: str
    href: str
    sentence: str
    began: Moment
    ended: Moment | None


def alert_row(alert: Alert, locale: Locale) -> AlertRow:
    """The row of an alert."""
    subject = alert.key.subject
    href = f"/probe/{subject.tenant}/{subject.probe}" if subject.probe else ""
    ended = alert.ended_at
    vietnamese = locale.language is Language.VI
    return AlertRow(
        title=notification.title(alert.key.kind, vietnamese),
        place=notification.place(alert),
        href=href,
        sentence=notification.sentence(alert, locale.timezone, vietnamese=vietnamese),
        began=moment(alert.began_at, locale.language, locale.timezone),
        ended=None if ended is None else moment(ended, locale.language, locale.timezone),
    )


def alert_event(alert: Alert) -> dict[str, object]:
    """The last event of an alert, as the webhook's JSON object."""
    transition = Transition.BEGIN if alert.ended_at is None else Transition.END
    return notification.as_json(AlertEvent(transition, alert))
