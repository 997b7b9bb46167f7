"""Floor 3. The alerts page: open and ended alerts, filtered and in pages, and as JSON."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from collector.alerts.alert import AlertKind
from collector.alerts.alert_store import AlertStore
from collector.alerts.silence import held_by, silenced_by
from collector.domain.read_model import ReadModel
from collector.registry.planned_maintenance import in_force
from collector.web import alerts_view as view
from collector.web.downloads import alerts_table
from collector.web.page_context import PageContext
from collector.web.presentation import Locale
from collector.web.query import (
    chosen_sorting,
    links,
    one_of,
    page_number,
    province_code,
    whole_number,
)
from collector.web.responses import file_response, json_response
from collector.web.table import Sorting, heads, in_order, page_links, page_of

# So many of the newest alerts are looked through.
_ALERTS_MOST = 20_000


class AlertsPage:
    """`/alerts`, `/alerts.csv`, `/alerts.xlsx` and `/alerts.json`."""

    def __init__(self, context: PageContext, model: ReadModel, alert_store: AlertStore) -> None:
        self._context = context
        self._model = model
        self._alert_store = alert_store
        self.routes = [
            Route("/alerts", self.page),
            Route("/alerts.csv", self.file),
            Route("/alerts.xlsx", self.file),
            Route("/alerts.json", self.download),
        ]

    def page(self, request: Request) -> Response:
        """Filters: `state`, `kind`, `province`, `group`, `isp`; `sort`, `order`, `page`."""
        model, locale = self._model, self._context.locale(request)
        registry, places = model.registry(), self._places()
        filters, sorting = self._filters(request), chosen_sorting(request, view.COLUMNS)
        found = self._found(filters, sorting, places, locale)
        shown = page_of(found, page_number(request), view.ROWS_A_PAGE)
        alerts = self._alert_store.numbered(shown.rows)
        silences, now = self._alert_store.silences(model.now()), model.now()
        going_on = in_force(model.maintenance(), now)
        notes = self._alert_store.notes(shown.rows)
        order = {"sort": sorting.column, "order": sorting.order if sorting.column else ""}
        link = links("/alerts", filters | order)
        return self._context.render(
            request,
            "alerts.html",
            filters=filters,
            order=order,
            states=_states(locale),
            kinds=view.kinds(locale),
            provinces=places.provinces,
            groups=sorted((group.name, group.id) for group in registry.groups.values()),
            isps=places.isps,
            rows=[
                view.alert_row(
                    alert,
                    places,
                    locale,
                    notes.get(alert.number, ()),
                    silenced_by(silences, alert.key, now),
                    None if alert.ended_at else held_by(going_on, alert.key, registry),
                )
                for alert in alerts
            ],
            silences=[view.silence_row(one, places, locale) for one in silences],
            heads=heads(view.COLUMNS, sorting, link, locale),
            page=shown,
            pages=page_links(shown, link),
            file_link=lambda kind: links(f"/alerts.{kind}", filters | order)({}),
        )

    def file(self, request: Request) -> Response:
        """All alerts that the same parameters choose, as CSV or XLSX."""
        locale, places = self._context.locale(request), self._places()
        sorting = chosen_sorting(request, view.COLUMNS)
        alerts = self._alert_store.numbered(
            self._found(self._filters(request), sorting, places, locale)
        )
        return file_response(alerts_table(alerts, places, locale), request.url.path)

    def download(self, request: Request) -> Response:
        """The newest alerts as JSON objects like the webhook's; `limit` (default 200)."""
        limit = whole_number("limit", request.query_params.get("limit"), 200, 1, 10_000)
        alerts = [view.alert_event(alert) for alert in self._alert_store.newest(limit)]
        return json_response({"alerts": alerts})

    def _filters(self, request: Request) -> dict[str, str]:
        query, registry = request.query_params, self._model.registry()
        isps = [isp for _, isp in self._places().isps]
        return {
            "state": one_of("state", query.get("state"), (view.ENDED, view.EVERY)),
            "kind": one_of("kind", query.get("kind"), list(AlertKind)),
            "province": province_code(query.get("province"), registry),
            "group": one_of("group", query.get("group"), registry.groups),
            "isp": one_of("isp", query.get("isp"), isps),
        }

    def _places(self) -> view.AlertPlaces:
        model = self._model
        return model.cached(
            "alert places", lambda: view.AlertPlaces(model.lines(), model.registry())
        )

    def _found(
        self,
        filters: dict[str, str],
        sorting: Sorting,
        places: view.AlertPlaces,
        locale: Locale,
    ) -> list[int]:
        """The numbers of the alerts that are chosen, in the order of the table."""
        ended = {"": False, view.ENDED: True, view.EVERY: None}[filters["state"]]
        heads = self._alert_store.newest_heads(_ALERTS_MOST, ended=ended, kind=filters["kind"])
        found = places.matching(heads, filters["province"], filters["group"], filters["isp"])
        if not sorting.column:
            return found
        key = view.sort_key(sorting.column, places, locale)
        ordered = in_order(self._alert_store.numbered(found), key, sorting.order)
        return [alert.number for alert in ordered]


def _states(locale: Locale) -> list[tuple[str, str]]:
    return [
        (locale.label("alerts_ended"), view.ENDED),
        (locale.label("alerts_all"), view.EVERY),
    ]
