"""Floor 3. The overview: communes on a map by their centre points, and lines as a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from collector.domain.lines import KnownLine, filter_lines
from collector.domain.read_model import ReadModel
from collector.registry.registry import Commune, Registry
from collector.rollup.periods import Period
from collector.web.formatting import by_name
from collector.web.line_table import DOWN, STATE_LOOKS, UP, line_rows
from collector.web.overview_view import (
    LINES_MOST,
    around,
    counts,
    overview_map,
    page_of,
    province_rows,
)
from collector.web.page_context import PageContext
from collector.web.presentation import Locale
from collector.web.query import one_of, period_days, whole_number

# The figures are cached for longer; registry and filters have pages of their own.
_SHARED_S = 5.0
_PAGES_MOST = 10_000


class _Choices(NamedTuple):
    """What each filter offers, as (name, value)."""

    provinces: list[tuple[str, str]]
    isps: list[tuple[str, str]]
    groups: list[tuple[str, str]]


class OverviewPage:
    """`/`."""

    def __init__(self, context: PageContext, model: ReadModel) -> None:
        self._context = context
        self._model = model
        self.routes = [Route("/", self.page)]

    def page(self, request: Request) -> Response:
        """Filters: `province`, `group`, `isp`, `days`; `page` of the lines, from 1."""
        model, query, locale = self._model, request.query_params, self._context.locale(request)
        provinces, isps, groups = model.cached("overview choices", self._choices)
        filters = {
            "province": one_of("province", query.get("province"), [code for _, code in provinces]),
            "group": one_of("group", query.get("group"), [group for _, group in groups]),
            "isp": one_of("isp", query.get("isp"), [isp for _, isp in isps]),
        }
        days = period_days(query.get("days"))
        page = whole_number("page", query.get("page"), 1, 1, _PAGES_MOST)

        def content() -> Mapping[str, object]:
            return {
                "filters": filters,
                "days": days,
                "provinces": provinces,
                "isps": isps,
                "groups": groups,
                **self._content(filters, model.last_days(days), page, locale),
            }

        return self._context.render_shared(
            request,
            "overview.html",
            (*filters.values(), days, page),
            lambda: model.invalidations,
            content,
            _SHARED_S,
        )

    def _choices(self) -> _Choices:
        registry = self._model.registry()
        return _Choices(
            provinces=sorted(
                {(c.province_name, c.province_code) for c in registry.communes.values()},
                key=lambda province: by_name(province[0]),
            ),
            isps=sorted({(line.isp_name, line.isp) for line in self._model.lines()}),
            groups=sorted((group.name, group.id) for group in registry.groups.values()),
        )

    def _content(
        self, filters: Mapping[str, str], period: Period, page: int, locale: Locale
    ) -> Mapping[str, object]:
        model, registry = self._model, self._model.registry()
        lines = filter_lines(model.lines(), **filters)
        summaries, states = model.overview(period), model.states()
        communes = _communes(registry, filters, period)
        by_province = len(lines) > LINES_MOST and not filters["province"]
        shown = page_of([] if by_province else lines, page)
        return {
            "counts": counts(lines, len(communes), summaries, states, locale),
            "map": overview_map(lines, _behind(filters, lines, communes, registry), states, locale),
            "looks": STATE_LOOKS,
            "provinces_shown": province_rows(lines, summaries, states, model.thresholds, locale)
            if by_province
            else [],
            "rows": []
            if by_province
            else line_rows(
                shown.lines,
                summaries,
                states,
                model.probes(),
                model.thresholds,
                period,
                model.now(),
                locale,
                {
                    metric: model.daily_of_verdicts(
                        [line.key for line in shown.lines], period, metric
                    )
                    for metric in (DOWN, UP)
                },
            ),
            "page": shown,
        }


def _communes(registry: Registry, filters: Mapping[str, str], period: Period) -> list[Commune]:
    """The communes that pass the filters."""
    group = registry.groups.get(filters["group"])
    return [
        commune
        for commune in registry.communes.values()
        if commune.is_valid_on(period.last)
        and (not filters["province"] or commune.province_code == filters["province"])
        and (group is None or commune.code in group.communes)
    ]


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
