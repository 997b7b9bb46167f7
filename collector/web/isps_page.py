"""Floor 3. The page that compares ISPs: same communes, same hours, with intervals, no ranking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from collector.domain import uses_file
from collector.domain.lines import KnownLine, filter_lines, provinces_of
from collector.domain.read_model import ReadModel
from collector.registry.registry import LineKey
from collector.rollup.periods import Period
from collector.rollup.queries import HourMean
from collector.web import isps_view as view
from collector.web import uses_view
from collector.web.downloads import isps_table
from collector.web.line_table import DOWN
from collector.web.page_context import PageContext
from collector.web.period_choice import period_context
from collector.web.presentation import Locale
from collector.web.query import chosen_period, chosen_sorting, links, one_of, province_code
from collector.web.responses import file_response
from collector.web.table import Sorting, heads, in_order

# Percentiles are of every day of every line: 40 lines of 30 days take some 0.2 s.
_USES_LINES_MOST = 40


class _Compared(NamedTuple):
    """What the page shows of some lines over a period."""

    rows: Sequence[view.IspRow]
    family_rows: Sequence[view.IspFamilyRow]
    by_hour: bool
    pairs: Sequence[view.PairRow]
    communes: int
    uses: Sequence[uses_view.IspUses]


class IspsPage:
    """`/isps`, `/isps.csv`, `/isps.xlsx`."""

    def __init__(self, context: PageContext, model: ReadModel) -> None:
        self._context = context
        self._model = model
        self.routes = [
            Route("/isps", self.page),
            Route("/isps.csv", self.file),
            Route("/isps.xlsx", self.file),
        ]

    def page(self, request: Request) -> Response:
        """Filters: `province`, `group`, the period; `sort`, `order`."""
        model, locale = self._model, self._context.locale(request)
        registry, every = model.registry(), model.lines()
        provinces, filters = provinces_of(every), self._filters(request)
        chosen = chosen_period(request, model.today(), 30)
        period = chosen.period
        sorting = chosen_sorting(request, view.COLUMNS)
        order = {"sort": sorting.column, "order": sorting.order if sorting.column else ""}
        link = links("/isps", {**filters, "period": chosen.value, **order})
        shown = model.cached(
            ("isps", *filters.values(), period, locale.language),
            lambda: self._compared(filter_lines(every, **filters), period, locale),
        )
        return self._context.render(
            request,
            "isps.html",
            filters=filters,
            order=order,
            period=period_context(chosen, model.today(), locale),
            provinces=provinces,
            groups=sorted((group.name, group.id) for group in registry.groups.values()),
            rows=_sorted(shown.rows, sorting),
            file_link=lambda kind: links(
                f"/isps.{kind}", {**filters, "period": chosen.value, **order}
            )({}),
            heads=heads(view.COLUMNS, sorting, link, locale),
            family_rows=shown.family_rows,
            by_hour=shown.by_hour,
            lines_most=view.LINES_MOST,
            pairs=shown.pairs,
            communes=shown.communes,
            uses=shown.uses,
            uses_names=[uses_view.use_name(use, locale) for use in uses_file.read().shown],
            uses_lines_most=_USES_LINES_MOST,
        )

    def file(self, request: Request) -> Response:
        """The ISPs that the same parameters choose, as CSV or XLSX."""
        model, locale = self._model, self._context.locale(request)
        period = chosen_period(request, model.today(), 30).period
        lines = view.shared_lines(filter_lines(model.lines(), **self._filters(request)))
        daily = model.daily([line.key for line in lines], period, DOWN)
        rows, _ = view.isp_rows(lines, model.overview(period), daily, locale)
        rows = _sorted(rows, chosen_sorting(request, view.COLUMNS))
        return file_response(isps_table(rows, period, locale), request.url.path)

    def _filters(self, request: Request) -> dict[str, str]:
        query, registry = request.query_params, self._model.registry()
        return {
            "province": province_code(query.get("province"), registry),
            "group": one_of("group", query.get("group"), registry.groups),
        }

    def _compared(self, every: Sequence[KnownLine], period: Period, locale: Locale) -> _Compared:
        model, lines = self._model, view.shared_lines(every)
        keys = [line.key for line in lines]
        daily, by_hour = model.daily(keys, period, DOWN), len(lines) <= view.LINES_MOST
        rows, _ = view.isp_rows(lines, model.overview(period), daily, locale)
        return _Compared(
            rows=rows,
            family_rows=view.family_rows(lines, model.overview_by_family(period), daily, locale),
            by_hour=by_hour,
            pairs=view.pair_rows(lines, self._hours(keys, period) if by_hour else {}, locale),
            communes=len({line.commune_code for line in lines}),
            uses=self._uses(lines, period, locale) if len(lines) <= _USES_LINES_MOST else (),
        )

    def _uses(
        self, lines: Sequence[KnownLine], period: Period, locale: Locale
    ) -> Sequence[uses_view.IspUses]:
        summaries = self._model.summaries.of_lines([line.key for line in lines], period)
        return uses_view.isp_uses(lines, summaries, uses_file.read(), locale)

    def _hours(
        self, lines: Sequence[LineKey], period: Period
    ) -> Mapping[LineKey, Mapping[tuple[int, int], HourMean]]:
        summaries = self._model.summaries
        return self._model.cached(
            ("hours", tuple(lines), period), lambda: summaries.hour_means(lines, period, DOWN)
        )


def _sorted(rows: Sequence[view.IspRow], sorting: Sorting) -> list[view.IspRow]:
    if not sorting.column:
        return list(rows)
    return in_order(rows, lambda row: row.keys[sorting.column], sorting.order)
