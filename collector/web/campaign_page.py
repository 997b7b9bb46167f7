"""Floor 3. The campaign page: offices and communes to follow up, also as CSV."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import NamedTuple
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from collector.domain.lines import filter_lines, provinces_of
from collector.domain.read_model import ReadModel
from collector.registry.registry import LineKey
from collector.reports.flat_table import Cell
from collector.rollup.summary import SPEED_KINDS
from collector.web import campaign_view as view
from collector.web.drawing.bars import Bars
from collector.web.formatting import week_text
from collector.web.page_context import PageContext
from collector.web.presentation import Locale
from collector.web.query import chosen_sorting, links, one_of, page_number, province_code
from collector.web.responses import csv_response, file_response, xlsx_response
from collector.web.table import Sorting, heads, in_order, page_links, page_of
from collector.web.table_files import communes_table

_CSV_COLUMNS = (
    "week", "province", "commune_code", "commune", "office", "probe", "isp", "samples",
)  # fmt: skip


# Before the parameters of the second table.
_SHORT = "short_"


class _Content(NamedTuple):
    """What the page shows of a week."""

    offices: int
    urged: Sequence[view.OfficeRow]
    communes: int
    short: Sequence[view.CommuneRow]
    progress: Bars | None


class CampaignPage:
    """`/campaign`, `/campaign.csv`, `/campaign.xlsx`."""

    def __init__(self, context: PageContext, model: ReadModel) -> None:
        self._context = context
        self._model = model
        self.routes = [
            Route("/campaign", self.page),
            Route("/campaign.csv", self.table),
            Route("/campaign.xlsx", self.spreadsheet),
            Route("/campaign/communes.csv", self.communes),
            Route("/campaign/communes.xlsx", self.communes),
        ]

    def page(self, request: Request) -> Response:
        """Filters: `province`, `group`, `week` (the last whole one where none is asked for).

        `page`, `sort` and `order` are of the offices to urge, `short`, `short_sort` and
        `short_order` of the communes that lack samples.
        """
        model, locale = self._model, self._context.locale(request)
        registry, every, filters = model.registry(), model.lines(), self._filters(request)
        mondays, monday = view.last_weeks(model.today()), self._monday(request)
        minimum = int(model.thresholds.week_measurements.limit)
        needed = int(model.thresholds.commune_month_samples.limit)
        month = view.month_of_week(monday)
        shown = model.cached(
            ("campaign", *filters.values(), monday, locale.language),
            lambda: self._content(filters, monday, locale),
        )
        sorting = chosen_sorting(request, view.OFFICE_COLUMNS)
        short_sorting = chosen_sorting(request, view.COMMUNE_COLUMNS, _SHORT)
        urged = page_of(_offices(request, shown.urged), page_number(request), view.ROWS_A_PAGE)
        communes = _communes(request, shown.short)
        short = page_of(communes, page_number(request, "short"), view.ROWS_A_PAGE)
        order = _parameters(sorting) | _parameters(short_sorting, _SHORT)
        here = {**filters, "week": view.week_name(monday)}
        link = links("/campaign", {**here, **order})

        def short_link(changed: Mapping[str, str]) -> str:
            of_table = {f"{_SHORT}{name}": value for name, value in changed.items()}
            return link({"short": of_table.pop(f"{_SHORT}page", ""), **of_table})

        return self._context.render(
            request,
            "campaign.html",
            filters=filters,
            provinces=provinces_of(every),
            groups=sorted((group.name, group.id) for group in registry.groups.values()),
            weeks=[(self._week_text(day, locale), view.week_name(day)) for day in mondays[::-1]],
            week=view.week_name(monday),
            week_first=monday,
            week_last=monday + timedelta(days=6),
            minimum=minimum,
            needed=needed,
            offices=shown.offices,
            urged=urged,
            urged_heads=heads(view.OFFICE_COLUMNS, sorting, link, locale),
            urged_pages=page_links(urged, link),
            communes=shown.communes,
            short=short,
            short_heads=heads(view.COMMUNE_COLUMNS, short_sorting, short_link, locale),
            short_pages=page_links(short, short_link),
            order=order,
            file_query=urlencode({**here, **order}),
            month=f"{month.first:%m/%Y}",
            progress=shown.progress,
        )

    def _content(self, filters: Mapping[str, str], monday: date, locale: Locale) -> _Content:
        model = self._model
        lines = filter_lines(model.lines(), province=filters["province"], group=filters["group"])
        mondays = view.last_weeks(model.today())
        minimum = int(model.thresholds.week_measurements.limit)
        needed = int(model.thresholds.commune_month_samples.limit)
        counts = self._counts(mondays)
        offices = view.offices(lines, counts, model.states(), monday, locale)
        month = view.month_of_week(monday)
        communes = view.communes(lines, model.overview(month), needed, locale)
        return _Content(
            offices=len(offices),
            urged=view.below(offices, minimum),
            communes=len(communes),
            short=[row for row in communes if row.samples < needed],
            progress=view.progress(lines, counts, mondays, minimum, locale),
        )

    def table(self, request: Request) -> Response:
        """All offices of the week as CSV, fewest measurements first."""
        return csv_response(_CSV_COLUMNS, self._table(request))

    def spreadsheet(self, request: Request) -> Response:
        """The same as XLSX."""
        return xlsx_response("campaign.xlsx", "campaign", _CSV_COLUMNS, self._table(request))

    def communes(self, request: Request) -> Response:
        """The communes below the month's samples, all of them, as CSV or XLSX."""
        model, locale = self._model, self._context.locale(request)
        shown = self._content(self._filters(request), self._monday(request), locale)
        needed = int(model.thresholds.commune_month_samples.limit)
        month = view.month_of_week(self._monday(request)).first
        rows = _communes(request, shown.short)
        return file_response(communes_table(rows, month, needed, locale), request.url.path)

    def _table(self, request: Request) -> Iterator[list[Cell]]:
        model, locale, filters = self._model, self._context.locale(request), self._filters(request)
        lines = filter_lines(model.lines(), province=filters["province"], group=filters["group"])
        monday = self._monday(request)
        counts = self._counts(view.last_weeks(model.today()))
        offices = view.offices(lines, counts, model.states(), monday, locale)
        return (
            [
                view.week_name(monday),
                row.province,
                row.commune_code,
                row.place,
                row.office,
                f"{row.tenant}/{row.probe}",
                isp,
                samples,
            ]
            for row in _offices(request, offices)
            for isp, samples in row.lines
        )

    def _counts(self, mondays: Sequence[date]) -> Mapping[LineKey, Mapping[date, int]]:
        period = view.weeks_period(mondays)
        return view.added(self._model.week_counts(period, kind) for kind in SPEED_KINDS)

    def _week_text(self, monday: date, locale: Locale) -> str:
        name = week_text(monday, locale.language)
        running = monday == view.last_weeks(self._model.today())[-1]
        return f"{name} ({locale.label('week_running')})" if running else name

    def _filters(self, request: Request) -> dict[str, str]:
        query, registry = request.query_params, self._model.registry()
        return {
            "province": province_code(query.get("province"), registry),
            "group": one_of("group", query.get("group"), registry.groups),
        }

    def _monday(self, request: Request) -> date:
        mondays = {view.week_name(day): day for day in view.last_weeks(self._model.today())}
        week = one_of("week", request.query_params.get("week"), mondays)
        return mondays[week] if week else view.last_whole_week(list(mondays.values()))


def _offices(request: Request, rows: Sequence[view.OfficeRow]) -> list[view.OfficeRow]:
    """Offices in the order that an address asks for."""
    column, order = chosen_sorting(request, view.OFFICE_COLUMNS)
    return in_order(rows, view.office_key(column), order) if column else list(rows)


def _communes(request: Request, rows: Sequence[view.CommuneRow]) -> list[view.CommuneRow]:
    """Communes in the order that an address asks for."""
    column, order = chosen_sorting(request, view.COMMUNE_COLUMNS, _SHORT)
    return in_order(rows, view.commune_key(column), order) if column else list(rows)


def _parameters(sorting: Sorting, prefix: str = "") -> dict[str, str]:
    order = sorting.order if sorting.column else ""
    return {f"{prefix}sort": sorting.column, f"{prefix}order": order}
