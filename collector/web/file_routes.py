"""Floor 3. Tables of pages as files, all rows of what the page's parameters choose: CSV and XLSX.

Those that have one page's filters stay with it (`alerts_page`, `isps_page`, `registry_page` …).
"""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from collector.domain.place_search import QUERY_MOST
from collector.domain.read_model import ReadModel
from collector.ingest.status import IngestStatus
from collector.reports.service import ReportService
from collector.users.user import Permission
from collector.web import registry_view, reports_view, search_view, system_view, table_files
from collector.web.downloads import FileTable
from collector.web.page_context import PageContext
from collector.web.presentation import Locale
from collector.web.responses import file_response
from collector.web.search_page import place_index

# At most so many rows of what only grows.
_ROWS_MOST = 100_000


class FileRoutes:
    """`/registry/changes`, `/system`, `/search`, `/papers` as files."""

    def __init__(
        self,
        context: PageContext,
        model: ReadModel,
        ingest_status: Callable[[], IngestStatus],
        reports: ReportService | None,
    ) -> None:
        self._context = context
        self._model = model
        self._ingest_status = ingest_status
        self._reports = reports
        self.routes = [
            Route("/registry/changes.csv", self.changes),
            Route("/registry/changes.xlsx", self.changes),
            Route("/system.csv", self.system),
            Route("/system.xlsx", self.system),
            Route("/search.csv", self.search),
            Route("/search.xlsx", self.search),
        ]
        if reports:
            self.routes += [
                Route("/papers.csv", self.papers),
                Route("/papers.xlsx", self.papers),
            ]

    def changes(self, request: Request) -> Response:
        """Every applied change of the registry, newest first."""
        self._context.require(request, Permission.EDIT_REGISTRY)
        locale, store = self._locale(request), self._model.store.registry
        after = max(store.revision() - _ROWS_MOST, 0)
        found = store.changes(after, _ROWS_MOST)
        rows = registry_view.recorded(found, self._model.registry(), locale)
        return self._file(request, table_files.changes_table(rows, locale))

    def system(self, request: Request) -> Response:
        """The probes with a problem, all of them."""
        locale, model = self._locale(request), self._model
        health = system_view.system_health(
            list(model.probes().values()),
            model.ledgers(),
            (),
            model.store.totals(),
            self._ingest_status().name_conflicts,
            model.now(),
            locale,
            most=_ROWS_MOST,
        )
        return self._file(request, table_files.problems_table(health, locale))

    def search(self, request: Request) -> Response:
        """All that `q` finds."""
        query = request.query_params.get("q", "").strip()[:QUERY_MOST]
        found = search_view.find(place_index(self._model), query)
        return self._file(request, table_files.places_table(found, self._locale(request)))

    def papers(self, request: Request) -> Response:
        """The issued reports, newest first."""
        assert self._reports is not None
        locale = self._locale(request)
        names = reports_view.area_names(self._model.registry(), locale)
        issues = [
            table_files.IssuedReport(
                one.kind,
                one.area_id,
                names.get(one.area_id, one.area_id),
                one.period,
                one.version,
                one.at,
                [path.name for path in one.files],
            )
            for one in self._reports.archive.issues()
        ]
        return self._file(request, table_files.issues_table(issues, locale))

    def _locale(self, request: Request) -> Locale:
        return self._context.locale(request)

    def _file(self, request: Request, table: FileTable) -> Response:
        return file_response(table, request.url.path)
