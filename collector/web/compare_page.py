"""Floor 3. Up to four lines or communes on one chart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from collector.domain.place_search import QUERY_MOST
from collector.domain.read_model import ReadModel
from collector.rollup.periods import Period, Step
from collector.web import chart_view, period_choice
from collector.web import compare_view as view
from collector.web.change_view import period_text
from collector.web.chart_view import Range
from collector.web.compare_view import LETTERS, LineBuckets, Subject
from collector.web.page_context import PageContext
from collector.web.period_choice import PeriodChoice, period_context
from collector.web.query import (
    RefusedError,
    chosen_range,
    found_or_404,
    links,
    one_of,
    page_number,
)
from collector.web.responses import file_response
from collector.web.search_page import place_index
from collector.web.table import page_links, page_of

_PLACES_MOST = 8
_DAYS_DEFAULT = 30


class _Asked(NamedTuple):
    """What an address asks for; the range is that of the charts."""

    subjects: Sequence[Subject]
    period: PeriodChoice
    shown: Range
    query: str
    table: str

    @property
    def parameters(self) -> dict[str, str]:
        """The parameters of the address, but for the charts' range."""
        keys = [one.key for one in self.subjects]
        return {**_letters(keys), "period": self.period.value, "table": self.table}

    def link(self, keys: Sequence[str], table: str = "") -> str:
        """The address of the page with other subjects, over the same time."""
        chosen = {**_letters(keys), "period": self.period.value, "table": table}
        return chart_view.range_address(links("/compare", chosen)({}), self.shown)


class ComparePage:
    """`/compare`, and its figures as files: `/compare.csv`, `/compare.xlsx`."""

    def __init__(self, context: PageContext, model: ReadModel) -> None:
        self._context = context
        self._model = model
        self.routes = [
            Route("/compare", self.page),
            Route("/compare.csv", self.file),
            Route("/compare.xlsx", self.file),
        ]

    def page(self, request: Request) -> Response:
        """`a` to `d`: lines and communes; the period; `from`, `to`, `table`: the charts; `q`."""
        model, locale, asked = self._model, self._context.locale(request), self._asked(request)
        subjects, shown = asked.subjects, asked.shown
        address = links("/compare", asked.parameters)({})
        days = self._days(asked)
        keys = [one.key for one in subjects]
        can_add = len(subjects) < len(LETTERS)
        found = self._found(asked) if can_add else []
        charts = view.charts(
            subjects,
            self._shown(asked),
            shown,
            locale,
            asked.table,
            lambda table: f"{asked.link(keys, table)}#charts",
        )
        rows = next((one.rows for one in charts if one.rows), ())
        table = page_of(rows, page_number(request), chart_view.ROWS_A_PAGE)
        return self._context.render(
            request,
            "compare.html",
            subjects=[
                (one, style, asked.link([key for key in keys if key != one.key]))
                for one, style in zip(subjects, view.STYLES, strict=False)
            ],
            letters=_letters(keys),
            searched=asked.query,
            found=[(one, asked.link([*keys, one.key])) for one in found],
            suggested=[
                (one, asked.link([*keys, one.key]))
                for one in view.suggestions(subjects, model.lines())
            ]
            if can_add and not asked.query
            else [],
            can_add=can_add,
            period=period_context(asked.period, model.today(), locale),
            period_words=period_text(asked.period.period),
            **chart_view.range_context(address, shown, model.now(), locale),
            charts=charts,
            table=asked.table,
            page=table,
            pages=page_links(table, chart_view.page_link(asked.link(keys, asked.table))),
            figure_rows=view.figure_rows(subjects, days, locale) if subjects else [],
            difference_rows=view.difference_rows(subjects, days, locale)
            if len(subjects) > 1
            else [],
            file_link=lambda kind: links(f"/compare.{kind}", asked.parameters)({}),
        )

    def file(self, request: Request) -> Response:
        """The figures of the period as CSV or XLSX."""
        asked = self._asked(request)
        locale = self._context.locale(request)
        table = view.figures_table(asked.subjects, self._days(asked), locale)
        return file_response(table, request.url.path)

    def _asked(self, request: Request) -> _Asked:
        query, model = request.query_params, self._model
        lines, communes = model.lines(), model.registry().communes
        keys = dict.fromkeys(key for name in LETTERS if (key := query.get(name, "")))
        subjects = [
            found_or_404(view.subject_of(key, lines, communes), "such line or commune")
            for key in keys
        ]
        try:
            period = period_choice.choose(
                query.get("period", ""), "", "", "", model.today(), _DAYS_DEFAULT
            )
        except ValueError as error:
            raise RefusedError("refused_period", str(error)) from error
        shown = chosen_range(request, period.period, model.now())
        text = query.get("q", "").strip()[:QUERY_MOST]
        table = one_of("table", query.get("table"), [one.name for one in view.FIGURES])
        return _Asked(view.with_short_names(subjects), period, shown, text, table)

    def _buckets(self, subjects: Sequence[Subject], period: Period, step: Step) -> LineBuckets:
        """The hours or days of each line of the subjects."""
        keys = tuple(dict.fromkeys(line.key for one in subjects for line in one.lines))
        return self._model.cached(
            ("compare", keys, period, step),
            lambda: {key: self._model.summaries.series(key, period, step) for key in keys},
        )

    def _days(self, asked: _Asked) -> LineBuckets:
        """The days of the period, which its figures are of."""
        return self._buckets(asked.subjects, asked.period.period, Step.DAY)

    def _shown(self, asked: _Asked) -> LineBuckets:
        """The hours or days of the charts."""
        shown = asked.shown
        found = self._buckets(asked.subjects, shown.period, shown.step)
        return {key: chart_view.within(part, shown) for key, part in found.items()}

    def _found(self, asked: _Asked) -> list[Subject]:
        """The measured communes, and the lines in them, that the search finds."""
        places = place_index(self._model).find(asked.query, ("commune", "probe"))
        lines, keys = self._model.lines(), [one.key for one in asked.subjects]
        wanted: dict[str, None] = {}
        for place in [place for place in places if place.probes][:_PLACES_MOST]:
            is_commune = place.kind == "commune"
            inside = [
                line
                for line in lines
                if (line.commune_code if is_commune else "/".join(line.key[:2])) == place.key
            ]
            if is_commune:
                wanted[view.commune_key(place.key)] = None
            wanted.update(dict.fromkeys(map(view.line_key, inside)))
        communes = self._model.registry().communes
        found = (view.subject_of(key, lines, communes) for key in wanted if key not in keys)
        return [one for one in found if one is not None]


def _letters(keys: Sequence[str]) -> Mapping[str, str]:
    return dict(zip(LETTERS, keys, strict=False))
