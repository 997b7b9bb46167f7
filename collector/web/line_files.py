"""Floor 3. The lines of a commune or a probe, and a line's outages, as files: CSV and XLSX."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from collector.domain.lines import KnownLine, LineState
from collector.domain.read_model import ReadModel
from collector.reports.maintenance import counted_outages
from collector.rollup.periods import Period
from collector.rollup.summary import EMPTY
from collector.web import line_view, maintenance_view, outages_view
from collector.web.downloads import FileTable, lines_table
from collector.web.line_table import completeness, in_order
from collector.web.page_context import PageContext
from collector.web.presentation import Locale
from collector.web.query import chosen_period, line_of_path
from collector.web.responses import file_response
from collector.web.table_files import outages_table

# Hours of two weeks, or days: more than a page shows.
_ROWS_MOST = 10_000


def file_of_lines(
    model: ReadModel, lines: Iterable[KnownLine], period: Period, locale: Locale
) -> FileTable:
    """Lines with their figures of a period, in this order."""
    now, probes = model.now(), model.probes()
    summaries, plans = model.overview(period), model.plans(period)

    def complete(line: KnownLine) -> float | None:
        summary, probe = summaries.get(line.key, EMPTY), probes.get(line.key[:2])
        return completeness(summary, line, probe, period, now, plans)

    return lines_table(lines, summaries, model.states(), complete, period, locale)


class LineFiles:
    """Their routes stand before those of the pages, whose addresses are parts of theirs."""

    def __init__(self, context: PageContext, model: ReadModel) -> None:
        self._context = context
        self._model = model
        self.routes = [
            Route("/commune/{code}.csv", self.commune),
            Route("/commune/{code}.xlsx", self.commune),
            Route("/probe/{tenant}/{probe}.csv", self.probe),
            Route("/probe/{tenant}/{probe}.xlsx", self.probe),
            Route("/line/{tenant}/{probe}/{line}/outages.csv", self.outages),
            Route("/line/{tenant}/{probe}/{line}/outages.xlsx", self.outages),
        ]

    def commune(self, request: Request) -> Response:
        """The lines of a commune."""
        code = request.path_params["code"]
        return self._lines(request, lambda line: line.commune_code == code)

    def probe(self, request: Request) -> Response:
        """The lines of a probe."""
        key = request.path_params["tenant"], request.path_params["probe"]
        return self._lines(request, lambda line: line.key[:2] == key)

    def _lines(self, request: Request, is_wanted: Callable[[KnownLine], bool]) -> Response:
        model = self._model
        period = chosen_period(request, model.today()).period
        lines = [line for line in model.lines() if is_wanted(line)]
        if not lines:
            raise HTTPException(404, "there are no such lines")
        table = file_of_lines(model, in_order(lines), period, self._context.locale(request))
        return file_response(table, request.url.path)

    def outages(self, request: Request) -> Response:
        """All hours or days with minutes down of a line in a period."""
        model, locale = self._model, self._context.locale(request)
        key = line_of_path(request, model.lines()).key
        period = chosen_period(request, model.today()).period
        step = line_view.step_of(period)
        buckets = model.summaries.series(key, period, step)
        reported = model.store.outages(key, period.starts_at, period.ends_at)
        seen = outages_view.last_path_observation(model.store.last_results(*key[:2]), key.line)
        is_down = model.states().get(key) is LineState.DOWN
        rows = outages_view.outages(
            buckets,
            reported,
            outages_view.ongoing_fault(buckets, reported, seen, step, down=is_down),
            step,
            locale,
            maintenance_view.planned_for(model.maintenance(), key, model.registry()),
            counted_outages(reported, period),
            most=_ROWS_MOST,
        )
        return file_response(outages_table(rows, locale), request.url.path)
