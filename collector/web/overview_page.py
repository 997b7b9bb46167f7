"""Floor 3. The overview: communes on a map by their centre points, and lines as a table."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from collector.domain.lines import KnownLine, LineState, filter_lines, isps_of
from collector.domain.read_model import ReadModel
from collector.registry.outlines import outlines
from collector.registry.registry import Commune, Registry
from collector.rollup.periods import Period
from collector.web.downloads import provinces_table
from collector.web.formatting import by_name
from collector.web.line_files import file_of_lines
from collector.web.line_table import (
    DOWN,
    LINE_COLUMNS,
    STATE_LOOKS,
    UP,
    line_rows,
    sort_key,
)
from collector.web.line_table import in_order as lines_in_order
from collector.web.map_view import (
    NARROW,
    WIDTH,
    Colour,
    MapFigures,
    MapView,
    around,
    colour_links,
    nation_map,
    province_map,
    province_names,
)
from collector.web.overview_view import (
    LINES_MOST,
    PROVINCE_COLUMNS,
    ROWS_A_PAGE,
    ProvinceRow,
    counts,
    province_rows,
)
from collector.web.page_context import PageContext
from collector.web.period_choice import PeriodChoice, period_context
from collector.web.presentation import Locale
from collector.web.query import (
    chosen_colour,
    chosen_period,
    chosen_sorting,
    links,
    one_of,
    page_number,
)
from collector.web.responses import file_response
from collector.web.table import Sorting, heads, in_order, page_links, page_of

# The figures are cached for longer; registry and filters have pages of their own.
_SHARED_S = 5.0
_VIEWS = ("lines", "provinces")
_ZOOMS = ("nation",)


class _Choices(NamedTuple):
    """What each filter offers, as (name, value)."""

    provinces: list[tuple[str, str]]
    isps: list[tuple[str, str]]
    groups: list[tuple[str, str]]


class _Asked(NamedTuple):
    """What an address asks for."""

    filters: Mapping[str, str]
    period: PeriodChoice
    view: str
    by_province: bool
    sorting: Sorting
    page: int
    colour: Colour
    zoom: str

    @property
    def key(self) -> Hashable:
        """All of it that the page depends on; the period's days, as those of "7" change."""
        return (*self.filters.values(), *self[1:])

    @property
    def parameters(self) -> dict[str, str]:
        """The parameters of the address, but for the table's page."""
        column, order = self.sorting
        chosen = {"view": self.view, "sort": column, "order": order if column else ""}
        shown = {"colour": self.colour.parameter, "zoom": self.zoom}
        return {**self.filters, "period": self.period.value, **chosen, **shown}

    @property
    def table(self) -> str:
        """What the table is of."""
        return "provinces" if self.by_province else "lines"

    @property
    def file_parameters(self) -> dict[str, str]:
        """Those of a file of the table."""
        return self.parameters | {"view": ""}

    def link(self, changed: Mapping[str, str]) -> str:
        """The address of the overview with other parameters."""
        return links("/", self.parameters)(changed)


class OverviewPage:
    """`/`, and its tables as files: `/lines.csv`, `/provinces.csv`, and both as `.xlsx`."""

    def __init__(self, context: PageContext, model: ReadModel) -> None:
        self._context = context
        self._model = model
        self.routes = [
            Route("/", self.page),
            Route("/lines.csv", self.file),
            Route("/lines.xlsx", self.file),
            Route("/provinces.csv", self.provinces_file),
            Route("/provinces.xlsx", self.provinces_file),
        ]

    def page(self, request: Request) -> Response:
        """Filters: `province`, `group`, `isp`, `state`; the period; `view`, `sort` and `page`.

        Of the map: `colour`, and `zoom=nation` where few provinces have lines.
        """
        model, locale = self._model, self._context.locale(request)
        choices = model.cached("overview choices", self._choices)
        asked = self._asked(request, choices)

        def content() -> Mapping[str, object]:
            return {
                "filters": asked.filters,
                "provinces": choices.provinces,
                "isps": choices.isps,
                "groups": choices.groups,
                "period": period_context(asked.period, model.today(), locale),
                **self._content(asked, locale),
            }

        return self._context.render_shared(
            request,
            "overview.html",
            asked.key,
            lambda: model.invalidations,
            content,
            _SHARED_S,
        )

    def file(self, request: Request) -> Response:
        """All lines that the same parameters choose, in the same order, as CSV or XLSX."""
        model, locale = self._model, self._context.locale(request)
        chosen = self._asked(request, model.cached("overview choices", self._choices), file="lines")
        lines = self._in_order(chosen, self._lines(chosen.filters))
        table = file_of_lines(model, lines, chosen.period.period, locale)
        return file_response(table, request.url.path)

    def provinces_file(self, request: Request) -> Response:
        """The table by province that the same parameters choose, as CSV or XLSX."""
        locale = self._context.locale(request)
        choices = self._model.cached("overview choices", self._choices)
        chosen = self._asked(request, choices, file="provinces")
        rows = self._province_rows(chosen, self._lines(chosen.filters), locale)
        table = provinces_table(rows, chosen.period.period, locale)
        return file_response(table, request.url.path)

    def _asked(self, request: Request, choices: _Choices, *, file: str = "") -> _Asked:
        """What an address asks for; of a file of "lines" or "provinces", of just these."""
        model, query = self._model, request.query_params
        filters = {
            "province": one_of(
                "province", query.get("province"), [code for _, code in choices.provinces]
            ),
            "group": one_of("group", query.get("group"), [group for _, group in choices.groups]),
            "isp": one_of("isp", query.get("isp"), [isp for _, isp in choices.isps]),
            "state": one_of("state", query.get("state"), list(LineState)),
        }
        shown = one_of("view", query.get("view"), _VIEWS)
        many = len(self._lines(filters)) > LINES_MOST and not filters["province"]
        by_province = (file or shown or ("provinces" if many else "lines")) == "provinces"
        return _Asked(
            filters=filters,
            period=chosen_period(request, model.today()),
            view=shown,
            by_province=by_province,
            sorting=chosen_sorting(request, PROVINCE_COLUMNS if by_province else LINE_COLUMNS),
            page=page_number(request),
            colour=chosen_colour(request),
            zoom=one_of("zoom", query.get("zoom"), _ZOOMS),
        )

    def _lines(self, filters: Mapping[str, str]) -> list[KnownLine]:
        by_line = {name: value for name, value in filters.items() if name != "state"}
        lines = filter_lines(self._model.lines(), **by_line)
        if not filters["state"]:
            return lines
        states = self._model.states()
        return [line for line in lines if states.get(line.key, LineState.NEVER) == filters["state"]]

    def _choices(self) -> _Choices:
        registry = self._model.registry()
        return _Choices(
            provinces=sorted(
                {(c.province_name, c.province_code) for c in registry.communes.values()},
                key=lambda province: by_name(province[0]),
            ),
            isps=isps_of(self._model.lines()),
            groups=sorted((group.name, group.id) for group in registry.groups.values()),
        )

    def _content(self, asked: _Asked, locale: Locale) -> Mapping[str, object]:
        model, registry, period = self._model, self._model.registry(), asked.period.period
        lines = self._lines(asked.filters)
        summaries, states = model.overview(period), model.states()
        communes = _communes(registry, asked.filters, period)
        table = self._provinces if asked.by_province else self._table
        return {
            "counts": counts(lines, len(communes), summaries, states, locale),
            "map": self._map(asked, lines, communes, locale),
            "map_path": _map_path(asked, lines, registry, locale),
            "colours": colour_links(asked.link, locale),
            "colour": asked.colour,
            "by_province": asked.by_province,
            "here": asked.parameters,
            "other_view": asked.link(
                {"view": "lines" if asked.by_province else "provinces", "sort": "", "order": ""}
            ),
            "states": [(locale.label(f"state_{state}"), state.value) for state in STATE_LOOKS],
            "link": asked.link,
            "file_link": lambda kind: links(f"/{asked.table}.{kind}", asked.file_parameters)({}),
            "hours_link": links("/hours", asked.filters)({"state": ""}),
            **table(asked, lines, locale),
        }

    def _map(
        self,
        asked: _Asked,
        lines: Sequence[KnownLine],
        communes: Sequence[Commune],
        locale: Locale,
    ) -> MapView:
        model, registry, period = self._model, self._model.registry(), asked.period.period
        figures = MapFigures(
            lines=lines,
            summaries=model.overview(period),
            states=model.states(),
            period=period,
            plan_share=model.thresholds.speed_share.limit,
            colour=asked.colour,
            locale=locale,
        )

        def link(province: str) -> str:
            return asked.link({"province": province, "zoom": "", "sort": "", "order": ""})

        width = WIDTH if asked.by_province else NARROW
        if _shows_nation(asked, lines):
            return nation_map(figures, communes, outlines("nation"), link, width)
        return province_map(
            figures,
            _behind(asked.filters, lines, communes, registry),
            outlines("province"),
            province_names(registry.communes.values()),
            link,
            whole=asked.filters["province"],
            width=width,
        )

    def _provinces(
        self, asked: _Asked, lines: Sequence[KnownLine], locale: Locale
    ) -> Mapping[str, object]:
        rows = self._province_rows(asked, lines, locale)
        return {
            "rows": rows,
            "heads": heads(PROVINCE_COLUMNS, asked.sorting, asked.link, locale),
            "page": page_of(rows, 1, len(rows) or 1),
            "pages": [],
        }

    def _province_rows(
        self, asked: _Asked, lines: Sequence[KnownLine], locale: Locale
    ) -> list[ProvinceRow]:
        model = self._model
        rows = province_rows(
            lines, model.overview(asked.period.period), model.states(), model.thresholds, locale
        )
        column, order = asked.sorting
        return in_order(rows, lambda row: row.keys[column], order) if column else rows

    def _in_order(self, asked: _Asked, lines: Sequence[KnownLine]) -> list[KnownLine]:
        ordered, (column, order) = lines_in_order(lines), asked.sorting
        if not column:
            return ordered
        model, period = self._model, asked.period.period
        key = sort_key(
            column,
            model.overview(period),
            model.states(),
            model.probes(),
            period,
            model.now(),
            model.plans(period),
        )
        return in_order(ordered, key, order)

    def _table(
        self, asked: _Asked, lines: Sequence[KnownLine], locale: Locale
    ) -> Mapping[str, object]:
        model, period, now = self._model, asked.period.period, self._model.now()
        summaries, states, probes = model.overview(period), model.states(), model.probes()
        plans = model.plans(period)
        shown = page_of(self._in_order(asked, lines), asked.page, ROWS_A_PAGE)
        keys = [line.key for line in shown.rows]
        days = {metric: model.daily_of_verdicts(keys, period, metric) for metric in (DOWN, UP)}
        return {
            "rows": line_rows(
                shown.rows,
                summaries,
                states,
                probes,
                model.thresholds,
                period,
                now,
                locale,
                days,
                plans,
            ),
            "heads": heads(LINE_COLUMNS, asked.sorting, asked.link, locale),
            "page": shown,
            "pages": page_links(shown, asked.link),
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


def _shows_nation(asked: _Asked, lines: Iterable[KnownLine]) -> bool:
    """Whether the map is of the nation: nothing narrower is asked for, or has all the lines."""
    if asked.filters["province"] or asked.filters["group"]:
        return False
    return bool(asked.zoom) or len({line.province_code for line in lines if line.commune}) != 1


def _map_path(
    asked: _Asked, lines: Sequence[KnownLine], registry: Registry, locale: Locale
) -> list[tuple[str, str]]:
    """From the nation to what the map shows, each as (name, address); the last has none."""
    nation = locale.label("all_provinces")
    if _shows_nation(asked, lines):
        return [(nation, "")]
    path = [(nation, asked.link({"province": "", "group": "", "zoom": "nation"}))]
    if group := registry.groups.get(asked.filters["group"]):
        return [*path, (group.name, "")]
    if province := asked.filters["province"]:
        return [*path, (province_names(registry.communes.values())[province], "")]
    inside = province_names(line.commune for line in lines if line.commune)
    path += [(name, asked.link({"province": code})) for code, name in inside.items()]
    return [*path, (locale.label("map_around"), "")]


def _behind(
    filters: Mapping[str, str],
    lines: Iterable[KnownLine],
    communes: Sequence[Commune],
    registry: Registry,
) -> Sequence[Commune]:
    """The communes that the map shows: of the province, or around group or probes.

    So the map of one district is as large as the picture, and its points do not overlap.
    """
    measured = {line.commune.code: line.commune for line in lines if line.commune is not None}
    if filters["group"]:
        shown = around(communes, registry.communes.values())
    elif filters["province"]:
        shown = list(communes)
    else:
        shown = around(list(measured.values()), communes)
    return list(({commune.code: commune for commune in shown} | measured).values())
