"""Floor 3. Alerts: what is wrong now, and what was, each with its beginning and end."""

from __future__ import annotations

from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from collector.alerts import notification
from collector.alerts.alert import Alert
from collector.alerts.alert_store import AlertStore
from collector.alerts.notification import AlertEvent, Transition
from collector.web.formatting import Moment, moment
from collector.web.page_context import PageContext
from collector.web.presentation import Locale
from collector.web.query import whole_number
from collector.web.stored_api import json_response
from runtime.language import Language

# Ended ones beneath those that are open.
_ENDED_SHOWN = 200


class AlertRow(NamedTuple):
    """An alert, ready to be shown. `href` leads to its probe or line, "" where it has none."""

    title: str
    place: str
    href: str
    sentence: str
    began: Moment
    ended: Moment | None


class AlertsPage:
    """`/alerts` and `/alerts.json`."""

    def __init__(self, context: PageContext, alert_store: AlertStore) -> None:
        self._context = context
        self._alert_store = alert_store
        self.routes = [Route("/alerts", self.page), Route("/alerts.json", self.download)]

    def page(self, request: Request) -> Response:
        """Open ones first, the last begun on top."""
        locale = self._context.locale(request)
        open_alerts = sorted(self._alert_store.open_alerts().values(), key=lambda a: -a.number)
        ended = [
            alert for alert in self._alert_store.newest(_ENDED_SHOWN) if alert.ended_at is not None
        ]
        return self._context.render(
            request,
            "alerts.html",
            open_alerts=[_row(alert, locale) for alert in open_alerts],
            ended=[_row(alert, locale) for alert in ended],
        )

    def download(self, request: Request) -> Response:
        """The newest alerts for programs, in the shape that the webhook gets."""
        limit = whole_number("limit", request.query_params.get("limit"), 200, 1, 10_000)
        return json_response(
            {
                "alerts": [
                    notification.as_json(
                        AlertEvent(
                            Transition.BEGIN if alert.ended_at is None else Transition.END, alert
                        )
                    )
                    for alert in self._alert_store.newest(limit)
                ]
            }
        )


def _row(alert: Alert, locale: Locale) -> AlertRow:
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
