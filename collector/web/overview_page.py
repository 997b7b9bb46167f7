"""Floor 3. The overview: communes on a map by their centre points, and lines as a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from collector.domain.lines import KnownLine, filter_lines
from collector.domain.read_model import ReadModel
from collector.registry.registry import Commune, Registry
from collector.web.formatting import by_name
from collector.web.line_table import STATE_LOOKS, line_rows
from collector.web.overview_view import (
    LINES_MOST,
    around,
    counts,
    overview_map,
    province_rows,
)
from collector.web.page_context import PageContext
from collector.web.query import one_of, period_days


class OverviewPage:
    """`/`."""

    def __init__(self, context: PageContext, model: ReadModel) -> None:
        self._context = context
        self._model = model
        self.routes = [Route("/", self.page)]

    def page(self, request: Request) -> Response:
        """Filters: `province`, `group`, `isp`, `days`."""
        model, query, locale = self._model, request.query_params, self._context.locale(request)
        registry, every = model.registry(), model.lines()
        provinces = sorted(
            {(c.province_name, c.province_code) for c in registry.communes.values()},
            key=lambda province: by_name(province[0]),
        )
        isps = sorted({(line.isp_name, line.isp) for line in every})
        groups = sorted((group.name, group.id) for group in registry.groups.values())
        filters = {
            "province": one_of("province", query.get("province"), [code for _, code in provinces]),
            "group": one_of("group", query.get("group"), [group for _, group in groups]),
            "isp": one_of("isp", query.get("isp"), [isp for _, isp in isps]),
        }
        days = period_days(query.get("days"))
        period = model.last_days(days)
        lines = filter_lines(every, **filters)
        summaries, states = model.overview(period), model.states()
        communes = [
            commune
            for commune in registry.communes.values()
            if commune.is_valid_on(period.last)
            and (not filters["province"] or commune.province_code == filters["province"])
            and (not filters["group"] or commune.code in registry.groups[filters["group"]].communes)
        ]
        by_province = len(lines) > LINES_MOST and not filters["province"]
        return self._context.render(
            request,
            "overview.html",
            filters=filters,
            days=days,
            provinces=provinces,
            isps=isps,
            groups=groups,
            counts=counts(lines, len(communes), summaries, states, locale),
            map=overview_map(lines, _behind(filters, lines, communes, registry), states, locale),
            looks=STATE_LOOKS,
            provinces_shown=province_rows(lines, summaries, states, model.thresholds, locale)
            if by_province
            else [],
            rows=[]
            if by_province
            else line_rows(
                lines,
                summaries,
                states,
                model.probes(),
                model.thresholds,
                period,
                model.now(),
                locale,
            ),
        )


def _behind(
    filters: Mapping[str, str],
    lines: Iterable[KnownLine],
    communes: Sequence[Commune],
    registry: Registry,
) -> Sequence[Commune]:
    """The communes in the background of the map: of the province, or around group or probes.

    So the map of one district is as large as the picture, and its points do not overlap.
    """
    measured = [line.commune for line in lines if line.commune is not None]
    if filters["group"]:
        return around(communes, registry.communes.values())
    if filters["province"] or not measured:
        return communes
    return around(measured, communes)
