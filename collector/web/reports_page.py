"""Floor 3. The reports page: issued reports for everybody, drafts and issuing with permission.

Drafts need a signed-in user because a PDF takes seconds of CPU time; one is rendered at a time.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import date

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.routing import Route

from collector.domain.read_model import ReadModel
from collector.reports.archive import ArchiveError, Issue
from collector.reports.builder import NATION
from collector.reports.pdf import TooManyRowsError
from collector.reports.rendering import ReportFormat, formats, render
from collector.reports.report import ReportKind
from collector.reports.service import (
    RefusalReason,
    ReportRefusedError,
    ReportService,
    last_complete_period,
)
from collector.rollup.periods import Period, parse_period
from collector.users.user import Permission
from collector.web import reports_view as view
from collector.web.page_context import PageContext
from collector.web.presentation import Locale
from collector.web.query import one_of

_ISSUES_SHOWN = 300
# How many of the newest issues are checked for changed figures.
_CHECKED_FOR_CHANGES = 20


class ReportsPage:
    """`/papers` and the routes below it."""

    def __init__(self, context: PageContext, model: ReadModel, reports: ReportService) -> None:
        self._context = context
        self._model = model
        self._reports = reports
        self._one_at_a_time = threading.Lock()
        self.routes = [
            Route("/papers", self.page, methods=["GET"]),
            Route("/papers", self.issue, methods=["POST"]),
            Route("/papers/draft", self.draft),
            Route("/papers/file/{name}", self.file),
        ]

    def page(self, request: Request) -> Response:
        """The issued reports, and the form for users who may make reports."""
        return self._page(request)

    def draft(self, request: Request) -> Response:
        """A draft of the current figures, as a file."""
        self._context.require(request, Permission.MAKE_REPORTS)
        query = request.query_params
        kind = _kind(query.get("kind"))
        report_format = one_of("format", query.get("format"), [f.value for f in formats(kind)])
        try:
            with self._one_at_a_time:
                report = self._reports.draft(
                    kind, query.get("area", NATION), _period(query.get("period"))
                )
                file = render(report, ReportFormat(report_format or formats(kind)[0]))
        except (ValueError, TooManyRowsError) as error:
            return self._page(request, error, 422)
        except ArchiveError as error:
            raise HTTPException(503, str(error)) from error
        disposition = f'attachment; filename="{file.name}"'
        return Response(
            file.content,
            media_type=file.media_type,
            headers={"Content-Disposition": disposition, "Cache-Control": "no-store"},
        )

    async def issue(self, request: Request) -> Response:
        """Issue a report and redirect to the list."""
        await run_in_threadpool(self._context.require, request, Permission.MAKE_REPORTS)
        form = await request.form(max_files=0, max_fields=10)
        self._context.require_form(request, str(form.get("token", "")))
        fields = {name: str(form.get(name, "")) for name in ("kind", "area", "period")}
        return await run_in_threadpool(self._issue, request, fields)

    def _issue(self, request: Request, fields: dict[str, str]) -> Response:
        user = self._context.require(request, Permission.MAKE_REPORTS)
        try:
            with self._one_at_a_time:
                paths = self._reports.issue(
                    _kind(fields["kind"]), fields["area"], _period(fields["period"])
                )
        except ValueError as error:
            return self._page(request, error, 422)
        except ArchiveError as error:
            raise HTTPException(503, str(error)) from error
        self._context.audit(request, user.name, "issue_paper", paths[0].stem)
        return RedirectResponse("/papers", 303)

    def file(self, request: Request) -> Response:
        """An archived file of an issue."""
        path = self._reports.archive.file(request.path_params["name"])
        if path is None:
            raise HTTPException(404, "no such report")
        return FileResponse(path, filename=path.name)

    def _changed(self, issue: Issue) -> list[date]:
        """The days whose figures changed since; cached, as every visitor can ask for it."""
        return self._model.cached(
            ("changed", issue.kind, issue.area_id, issue.period, issue.version),
            lambda: self._reports.changed_since(issue),
        )

    def _page(
        self, request: Request, problem: Exception | None = None, status: int = 200
    ) -> Response:
        locale, visitor = self._context.locale(request), self._context.visitor(request)
        registry, now = self._model.registry(), self._model.now()
        areas = view.areas(registry, locale)
        last = last_complete_period(ReportKind.WEEKLY, now).first.isocalendar()
        return self._context.render(
            request,
            "reports.html",
            status=status,
            problem="" if problem is None else _problem_text(problem, locale),
            may=visitor.may(Permission.MAKE_REPORTS),
            kinds=[(kind.value, locale.label(f"report_{kind}")) for kind in ReportKind],
            areas=areas,
            unregistered=not registry.lines(),
            may_register=visitor.may(Permission.EDIT_REGISTRY),
            week=f"{last.year}-W{last.week:02d}",
            month=f"{last_complete_period(ReportKind.MONTHLY, now).first:%Y-%m}",
            formats=[report_format.value for report_format in ReportFormat],
            issues=self._rows(dict(areas), locale),
        )

    def _rows(self, area_names: Mapping[str, str], locale: Locale) -> list[view.IssueRow]:
        return [
            view.issue_row(
                issue.kind,
                area_names.get(issue.area_id, issue.area_id),
                issue.period,
                issue.version,
                issue.at,
                self._changed(issue) if place < _CHECKED_FOR_CHANGES else [],
                {path.suffix[1:]: path.name for path in issue.files},
                locale,
            )
            for place, issue in enumerate(self._reports.archive.issues()[:_ISSUES_SHOWN])
        ]


def _kind(text: str | None) -> ReportKind:
    return ReportKind(one_of("kind", text, [k.value for k in ReportKind]) or ReportKind.WEEKLY)


def _period(text: str | None) -> Period | None:
    try:
        return parse_period(text) if text else None
    except ValueError as error:
        raise ReportRefusedError(RefusalReason.PERIOD, str(error)) from error


def _problem_text(problem: Exception, locale: Locale) -> str:
    """Why no report was made, in the visitor's language."""
    match problem:
        case ReportRefusedError(why=why):
            return locale.label(f"report_refused_{why}")
        case TooManyRowsError():
            return locale.label("report_refused_too_long")
        case _:
            return locale.label("report_refused_area")
