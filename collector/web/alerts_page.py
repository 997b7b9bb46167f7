"""Floor 3. The alerts page: open alerts and ended ones, and both as JSON."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from collector.alerts.alert_store import AlertStore
from collector.web import alerts_view as view
from collector.web.page_context import PageContext
from collector.web.query import whole_number
from collector.web.responses import json_response

# How many ended alerts are listed below the open ones.
_ENDED_SHOWN = 200


class AlertsPage:
    """`/alerts` and `/alerts.json`."""

    def __init__(self, context: PageContext, alert_store: AlertStore) -> None:
        self._context = context
        self._alert_store = alert_store
        self.routes = [Route("/alerts", self.page), Route("/alerts.json", self.download)]

    def page(self, request: Request) -> Response:
        """Open alerts, newest first, then ended ones."""
        locale = self._context.locale(request)
        open_alerts = sorted(self._alert_store.open_alerts().values(), key=lambda a: -a.number)
        ended = [
            alert for alert in self._alert_store.newest(_ENDED_SHOWN) if alert.ended_at is not None
        ]
        return self._context.render(
            request,
            "alerts.html",
            open_alerts=[view.alert_row(alert, locale) for alert in open_alerts],
            ended=[view.alert_row(alert, locale) for alert in ended],
        )

    def download(self, request: Request) -> Response:
        """The newest alerts as JSON objects like the webhook's; `limit` (default 200)."""
        limit = whole_number("limit", request.query_params.get("limit"), 200, 1, 10_000)
        alerts = [view.alert_event(alert) for alert in self._alert_store.newest(limit)]
        return json_response({"alerts": alerts})
