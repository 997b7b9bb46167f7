"""Floor 3. The page that compares ISPs: same communes, same hours, with intervals, no ranking."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from collector.domain.lines import filter_lines, provinces_of
from collector.domain.read_model import ReadModel
from collector.web import isps_view as view
from collector.web.line_table import DOWN
from collector.web.page_context import PageContext
from collector.web.period_choice import period_context
from collector.web.query import chosen_period, one_of, province_code


class IspsPage:
    """`/isps`."""

    def __init__(self, context: PageContext, model: ReadModel) -> None:
        self._context = context
        self._model = model
        self.routes = [Route("/isps", self.page)]

    def page(self, request: Request) -> Response:
        """Filters: `province`, `group`, `days`."""
        model, locale, query = self._model, self._context.locale(request), request.query_params
        registry, every = model.registry(), model.lines()
        provinces = provinces_of(every)
        filters = {
            "province": province_code(query.get("province"), registry),
            "group": one_of("group", query.get("group"), registry.groups),
        }
        chosen = chosen_period(request, model.today(), 30)
        period = chosen.period
        lines = view.shared_lines(filter_lines(every, **filters))
        daily = model.daily([line.key for line in lines], period, DOWN)
        rows, top = view.isp_rows(lines, model.overview(period), daily, locale)
        by_hour = len(lines) <= view.LINES_MOST
        hours = {}
        if by_hour:
            for line in lines:
                hours[line.key] = model.cached(
                    ("hours", line.key, period),
                    lambda key=line.key: model.summaries.hours_of_week(key, period),  # type: ignore[misc]
                )
        return self._context.render(
            request,
            "isps.html",
            filters=filters,
            period=period_context(chosen, model.today(), locale),
            provinces=provinces,
            groups=sorted((group.name, group.id) for group in registry.groups.values()),
            rows=rows,
            top=top,
            family_rows=view.family_rows(lines, model.overview_by_family(period), daily, locale),
            by_hour=by_hour,
            lines_most=view.LINES_MOST,
            pairs=view.pair_rows(lines, hours, locale),
            communes=len({line.commune_code for line in lines}),
        )
