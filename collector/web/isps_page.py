"""Floor 3. The page that compares ISPs: same communes, same hours, with intervals, no ranking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from collector.domain import uses_file
from collector.domain.background_cache import BackgroundCache
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

# Percentiles are of every day of every line: 400 lines, more than any province has, take a second;
# office hours and evening apart are of every hour, 40 lines take one and a half.
_USES_LINES_MOST, _USES_HOURS_MOST = 400, 40
# They change little in a quarter of an hour.
_USES_FRESH_S, _USES_CACHED_MOST, _USES_WAIT_S = 900.0, 64, 0.6


class _Compared(NamedTuple):
    """What the page shows of some lines over a period."""

    rows: Sequence[view.IspRow]
    family_rows: Sequence[view.IspFamilyRow]
    by_hour: bool
    pairs: Sequence[view.PairRow]
    communes: int


class IspsPage:
    """`/isps`, `/isps.csv`, `/isps.xlsx`."""

    def __init__(self, context: PageContext, model: ReadModel) -> None:
        self._context = context
        self._model = model
        self._uses_cache: BackgroundCache[Sequence[uses_view.IspUses]] = BackgroundCache(
            _USES_CACHED_MOST, _USES_FRESH_S
        )
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
        shared = view.shared_lines(filter_lines(every, **filters))
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
            uses=self._uses(shared, (*filters.values(), period), period, locale),
            uses_names=[uses_view.use_name(use, locale) for use in uses_file.read().shown],
            uses_too_many=len(shared) > _USES_LINES_MOST,
            uses_lines_most=_USES_LINES_MOST,
            uses_hours_most=_USES_HOURS_MOST if len(shared) > _USES_HOURS_MOST else 0,
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
        )

    def _uses(
        self, lines: Sequence[KnownLine], key: tuple[object, ...], period: Period, locale: Locale
    ) -> Sequence[uses_view.IspUses] | None:
        """What the ISPs' lines are good for; None while it is computed."""
        if not lines or len(lines) > _USES_LINES_MOST:
            return ()
        return self._uses_cache.get(
            (key, self._model.registry_revision(), locale.language),
            lambda: uses_view.isp_uses(
                lines, self._use_figures(lines, period), uses_file.read(), locale
            ),
            _USES_WAIT_S,
        )

    def _use_figures(
        self, lines: Sequence[KnownLine], period: Period
    ) -> Mapping[LineKey, uses_view.LineFigures]:
        model, known = self._model, uses_file.read()
        keys = [line.key for line in lines]
        if len(keys) <= _USES_HOURS_MOST:
            return {
                key: uses_view.figures_by_hours(model.hours_of_week(key, period), known)
                for key in keys
            }
        whole = model.summaries.of_lines(keys, period)
        return {key: uses_view.figures_of_line(summary, known) for key, summary in whole.items()}

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
