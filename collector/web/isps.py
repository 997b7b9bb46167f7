"""Floor 3. Page 4, ISPs compared: same communes, same hours, with intervals, never a bare rank."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from collector.domain.lines import filter_lines, provinces_of
from collector.domain.read_model import ReadModel
from collector.web import isps_view as view
from collector.web.query import one_of, period_days, province_code
from collector.web.site import Site


class IspsPage:
    """`/isps`."""

    def __init__(self, site: Site, centre: ReadModel) -> None:
        self._site = site
        self._centre = centre
        self.routes = [Route("/isps", self.page)]

    def page(self, request: Request) -> Response:
        """Filters: `province`, `group`, `days`."""
        centre, reader, asked = self._centre, self._site.reader(request), request.query_params
        registry, every = centre.registry(), centre.lines()
        provinces = provinces_of(every)
        filters = {
            "province": province_code(asked.get("province"), registry),
            "group": one_of("group", asked.get("group"), registry.groups),
        }
        days = period_days(asked.get("days") or "30")
        period = centre.last_days(days)
        lines = view.shared_lines(filter_lines(every, **filters))
        rows, top = view.isp_rows(lines, centre.overview(period), reader)
        by_hour = len(lines) <= view.LINES_MOST
        hours = {}
        if by_hour:
            for line in lines:
                hours[line.key] = centre.cached(
                    ("hours", line.key, period),
                    lambda key=line.key: centre.summaries.hours_of_week(key, period),  # type: ignore[misc]
                )
        return self._site.render(
            request,
            "isps.html",
            filters=filters,
            days=days,
            provinces=provinces,
            groups=sorted((group.name, group.id) for group in registry.groups.values()),
            rows=rows,
            top=top,
            by_hour=by_hour,
            lines_most=view.LINES_MOST,
            pairs=view.pair_rows(lines, hours, reader),
            communes=len({line.commune_code for line in lines}),
        )
