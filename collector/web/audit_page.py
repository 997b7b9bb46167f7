"""Floor 3. The page of the audit trail: who did what, in pages, and found by words."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from collector.users.user import AuditEvent, Permission
from collector.web import audit_view as view
from collector.web import table_files
from collector.web.page_context import PageContext
from collector.web.query import links, page_number
from collector.web.responses import file_response
from collector.web.table import page_links, page_of

# At most so many of the newest actions are looked through.
_EVENTS_MOST = 100_000


class AuditPage:
    """`/audit`, and the same as files."""

    def __init__(self, context: PageContext) -> None:
        self._context = context
        self.routes = [
            Route("/audit", self.page),
            Route("/audit.csv", self.file),
            Route("/audit.xlsx", self.file),
        ]

    def page(self, request: Request) -> Response:
        """The newest first, for users with the permission. Filter: `find`; `page`."""
        found, locale = self._found(request), self._context.locale(request)
        shown = page_of(found, page_number(request), view.ROWS_A_PAGE)
        find = self._find(request)
        return self._context.render(
            request,
            "audit.html",
            find=find,
            rows=[view.row(event, locale) for event in shown.rows],
            page=shown,
            pages=page_links(shown, links("/audit", {"find": find})),
            file_link=lambda kind: links(f"/audit.{kind}", {"find": find})({}),
        )

    def file(self, request: Request) -> Response:
        """What the same words find, as CSV or XLSX."""
        found, locale = self._found(request), self._context.locale(request)
        return file_response(table_files.audit_table(found, locale), request.url.path)

    def _found(self, request: Request) -> list[AuditEvent]:
        self._context.require(request, Permission.READ_AUDIT)
        events = self._context.user_store.audit_events(_EVENTS_MOST)
        find = self._find(request)
        return view.found(events, find, self._context.locale(request)) if find else events

    def _find(self, request: Request) -> str:
        return request.query_params.get("find", "").strip()[: view.FIND_MOST]
