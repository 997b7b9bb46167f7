"""Floor 3. Page 1, the overview: communes on a map by their centre points, and as a table."""

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
from collector.web.query import one_of, period_days
from collector.web.site import Site


class OverviewPage:
    """`/`."""

    def __init__(self, site: Site, centre: ReadModel) -> None:
        self._site = site
        self._centre = centre
        self.routes = [Route("/", self.page)]

    def page(self, request: Request) -> Response:
        """Filters: `province`, `group`, `isp`, `days`."""
        centre, asked, reader = self._centre, request.query_params, self._site.reader(request)
        registry, every = centre.registry(), centre.lines()
        provinces = sorted(
            {(c.province_name, c.province_code) for c in registry.communes.values()},
            key=lambda province: by_name(province[0]),
        )
        isps = sorted({(line.isp_name, line.isp) for line in every})
        groups = sorted((group.name, group.id) for group in registry.groups.values())
        filters = {
            "province": one_of("province", asked.get("province"), [code for _, code in provinces]),
            "group": one_of("group", asked.get("group"), [group for _, group in groups]),
            "isp": one_of("isp", asked.get("isp"), [isp for _, isp in isps]),
        }
        days = period_days(asked.get("days"))
        period = centre.last_days(days)
        lines = filter_lines(every, **filters)
        summaries, states = centre.overview(period), centre.states()
        communes = [
            commune
            for commune in registry.communes.values()
            if commune.is_valid_on(period.last)
            and (not filters["province"] or commune.province_code == filters["province"])
            and (not filters["group"] or commune.code in registry.groups[filters["group"]].communes)
        ]
        by_province = len(lines) > LINES_MOST and not filters["province"]
        return self._site.render(
            request,
            "overview.html",
            filters=filters,
            days=days,
            provinces=provinces,
            isps=isps,
            groups=groups,
            counts=counts(lines, len(communes), summaries, states, reader),
            map=overview_map(lines, _behind(filters, lines, communes, registry), states, reader),
            looks=STATE_LOOKS,
            provinces_shown=province_rows(lines, summaries, states, centre.thresholds, reader)
            if by_province
            else [],
            rows=[]
            if by_province
            else line_rows(
                lines,
                summaries,
                states,
                centre.probes(),
                centre.thresholds,
                period,
                centre.now(),
                reader,
            ),
        )


def _behind(
    filters: Mapping[str, str],
    lines: Iterable[KnownLine],
    communes: Sequence[Commune],
    registry: Registry,
) -> Sequence[Commune]:
    """What the map has behind what is shown: a whole province, what lies around a group, and else
    as much of the country as has probes, so that those of one district lie apart.
    """
    measured = [line.commune for line in lines if line.commune is not None]
    if filters["group"]:
        return around(communes, registry.communes.values())
    if filters["province"] or not measured:
        return communes
    return around(measured, communes)
