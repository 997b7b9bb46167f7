"""Floor 3. The heat map of an area's lines by hour and weekday."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from collector.domain.background_cache import BackgroundCache
from collector.domain.lines import filter_lines, isps_of, provinces_of
from collector.domain.read_model import ReadModel
from collector.registry.registry import LineKey
from collector.rollup.queries import HourProfile
from collector.web import hours_view as view
from collector.web.hours_view import FIGURES, Figure
from collector.web.page_context import PageContext
from collector.web.period_choice import PeriodChoice, period_context
from collector.web.query import chosen_period, links, one_of, province_code
from collector.web.responses import file_response

# A nation's hours of a month take some seconds; figures of so many days change little in a quarter
# of an hour.
_FRESH_S, _MOST = 900.0, 64
_PAGE_WAIT_S, _FILE_WAIT_S = 0.6, 30.0
_AGAIN_S = 2


class _Asked(NamedTuple):
    """What an address asks for."""

    filters: Mapping[str, str]
    figure: Figure
    period: PeriodChoice

    @property
    def parameters(self) -> dict[str, str]:
        """The parameters of the address."""
        return {**self.filters, "figure": self.figure.name, "period": self.period.value}


class HoursPage:
    """`/hours`, `/hours.csv`, `/hours.xlsx`."""

    def __init__(self, context: PageContext, model: ReadModel) -> None:
        self._context = context
        self._model = model
        self._profiles: BackgroundCache[Mapping[tuple[int, int], HourProfile]] = BackgroundCache(
            _MOST, _FRESH_S
        )
        self.routes = [
            Route("/hours", self.page),
            Route("/hours.csv", self.file),
            Route("/hours.xlsx", self.file),
        ]

    def page(self, request: Request) -> Response:
        """Filters: `province`, `group`, `isp`; `figure`; the period."""
        model, locale, asked = self._model, self._context.locale(request), self._asked(request)
        every, registry = model.lines(), model.registry()
        lines = filter_lines(every, **asked.filters)
        factors = view.factors(lines, asked.figure)
        profiles = self._profile(asked, factors, _PAGE_WAIT_S)
        return self._context.render(
            request,
            "hours.html",
            filters=asked.filters,
            provinces=provinces_of(every),
            groups=sorted((group.name, group.id) for group in registry.groups.values()),
            isps=isps_of(every),
            figures=[(locale.label(one.label), name) for name, one in FIGURES.items()],
            figure=asked.figure,
            period=period_context(asked.period, model.today(), locale),
            lines=len(lines),
            lines_used=len(factors),
            least_lines=view.LEAST_LINES,
            map=None if profiles is None else view.heat_map(profiles, asked.figure, locale),
            again_s=_AGAIN_S,
            here=asked.parameters,
            overview=links("/", {**asked.filters, "period": asked.period.value})({}),
            file_link=lambda kind: links(f"/hours.{kind}", asked.parameters)({}),
        )

    def file(self, request: Request) -> Response:
        """The same figures as CSV or XLSX."""
        asked = self._asked(request)
        lines = filter_lines(self._model.lines(), **asked.filters)
        profiles = self._profile(asked, view.factors(lines, asked.figure), _FILE_WAIT_S)
        if profiles is None:
            raise HTTPException(503, "the figures are still being computed: ask again")
        table = view.hours_table(profiles, asked.figure, self._context.locale(request))
        return file_response(table, request.url.path)

    def _profile(
        self, asked: _Asked, factors: Mapping[LineKey, float], wait_s: float
    ) -> Mapping[tuple[int, int], HourProfile] | None:
        figure, period = asked.figure, asked.period.period
        if not factors:
            return {}
        return self._profiles.get(
            (tuple(asked.filters.values()), figure.name, period, self._model.registry_revision()),
            lambda: self._model.summaries.hour_profile(factors, period, figure.figure),
            wait_s,
        )

    def _asked(self, request: Request) -> _Asked:
        query, model = request.query_params, self._model
        registry = model.registry()
        filters = {
            "province": province_code(query.get("province"), registry),
            "group": one_of("group", query.get("group"), registry.groups),
            "isp": one_of("isp", query.get("isp"), [isp for _, isp in isps_of(model.lines())]),
        }
        figure = one_of("figure", query.get("figure"), FIGURES) or next(iter(FIGURES))
        return _Asked(filters, FIGURES[figure], chosen_period(request, model.today(), 30))
