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
from collector.reports.pdf import TooManyRowsError
from collector.reports.rendering import ReportFormat, formats, render
from collector.reports.report import ReportKind
from collector.reports.service import (
    RefusalReason,
    ReportRefusedError,
    ReportService,
)
from collector.rollup.periods import Period, parse_period
from collector.users.user import Permission
from collector.web import reports_view as view
from collector.web.page_context import PageContext
from collector.web.presentation import Locale
from collector.web.query import links, one_of, page_number
from collector.web.search_page import place_index
from collector.web.table import TablePage, page_links, page_of

# How many of the newest issues are checked for changed figures.
_CHECKED_FOR_CHANGES = 20


class ReportsPage:
    """`/papers` and the routes below it."""

    def __init__(
        self,
        context: PageContext,
        model: ReadModel,
        reports: ReportService,
        *,
        has_evidence: bool = False,
        has_mailings: bool = False,
    ) -> None:
        self._context = context
        self._has_mailings = has_mailings
        self._has_evidence = has_evidence
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
        """The issued reports, and the form for users who may make reports.

        `what`, `area` and `format` fill the form in.
        """
        asked = request.query_params
        return self._page(request, typed=asked if "what" in asked else None)

    def draft(self, request: Request) -> Response:
        """A draft of the current figures, as a file."""
        self._context.require(request, Permission.MAKE_REPORTS)
        return self._draft(request, request.query_params)

    def _draft(self, request: Request, asked: Mapping[str, str]) -> Response:
        kind, period = _what(asked)
        report_format = one_of("format", asked.get("format"), list(ReportFormat))
        if report_format and report_format not in formats(kind):
            return self._page(request, FormatRefusedError(), 400, asked)
        try:
            area = self._area(request, asked.get("area", ""))
            with self._one_at_a_time:
                report = self._reports.draft(kind, area, _period(period))
                file = render(report, ReportFormat(report_format or formats(kind)[0]))
        except (ValueError, TooManyRowsError) as error:
            return self._page(request, error, 422, asked)
        except ArchiveError as error:
            raise HTTPException(503, str(error)) from error
        disposition = f'attachment; filename="{file.name}"'
        return Response(
            file.content,
            media_type=file.media_type,
            headers={"Content-Disposition": disposition, "Cache-Control": "no-store"},
        )

    async def issue(self, request: Request) -> Response:
        """Issue a report and redirect to the list; for the button `draft` only show it."""
        sent = await self._context.form(request, permission=Permission.MAKE_REPORTS)
        names = ("what", "kind", "area", "period", "format", "do")
        fields = {name: sent.get(name, "") for name in names}
        if fields["do"] == "draft":
            return await run_in_threadpool(self._draft, request, fields)
        return await run_in_threadpool(self._issue, request, fields)

    def _issue(self, request: Request, fields: dict[str, str]) -> Response:
        user = self._context.require(request, Permission.MAKE_REPORTS)
        kind, period = _what(fields)
        try:
            area = self._area(request, fields["area"])
            with self._one_at_a_time:
                paths = self._reports.issue(kind, area, _period(period))
        except ValueError as error:
            return self._page(request, error, 422, fields)
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

    def _area(self, request: Request, typed: str) -> str:
        """The id of the area that was typed. Raises ValueError."""
        names = view.area_names(self._model.registry(), self._context.locale(request))
        return view.area_id(typed, names, place_index(self._model))

    def _changed(self, issue: Issue) -> list[date]:
        """The days whose figures changed since; cached, as every visitor can ask for it."""
        return self._model.cached(
            ("changed", issue.kind, issue.area_id, issue.period, issue.version),
            lambda: self._reports.changed_since(issue),
        )

    def _page(
        self,
        request: Request,
        problem: Exception | None = None,
        status: int = 200,
        typed: Mapping[str, str] | None = None,
    ) -> Response:
        locale, visitor = self._context.locale(request), self._context.visitor(request)
        registry = self._model.registry()
        names = view.area_names(registry, locale)
        issues = page_of(
            self._reports.archive.issues(),
            page_number(request) if request.method == "GET" else 1,
            view.ROWS_A_PAGE,
        )
        return self._context.render(
            request,
            "papers.html",
            status=status,
            problem="" if problem is None else problem_text(problem, locale),
            may=visitor.may(Permission.MAKE_REPORTS),
            may_take_evidence=self._has_evidence and visitor.may(Permission.TAKE_EVIDENCE),
            what=view.period_groups(self._model.today(), locale),
            areas=view.suggested_areas(names),
            area=view.first_area(registry, names) if typed is None else typed.get("area", ""),
            typed=typed or {},
            unregistered=not registry.lines(),
            may_register=visitor.may(Permission.EDIT_REGISTRY),
            formats=[report_format.value for report_format in ReportFormat],
            has_mailings=self._has_mailings,
            issues=self._rows(issues, names, locale),
            page=issues,
            pages=page_links(issues, links("/papers", {})),
        )

    def _rows(
        self, issues: TablePage[Issue], area_names: Mapping[str, str], locale: Locale
    ) -> list[view.IssueRow]:
        return [
            view.issue_row(
                issue.kind,
                area_names.get(issue.area_id, issue.area_id),
                issue.period,
                issue.version,
                issue.at,
                self._changed(issue) if place <= _CHECKED_FOR_CHANGES else [],
                {path.suffix[1:]: path.name for path in issue.files},
                locale,
            )
            for place, issue in enumerate(issues.rows, start=issues.first)
        ]


def _what(asked: Mapping[str, str]) -> tuple[ReportKind, str]:
    """Kind and period: together as `what` (weekly:2026-W48), or as `kind` and `period`."""
    kind, _, period = asked.get("what", "").partition(":")
    return _kind(kind or asked.get("kind")), period or asked.get("period", "")


def _kind(text: str | None) -> ReportKind:
    return ReportKind(one_of("kind", text, [k.value for k in ReportKind]) or ReportKind.WEEKLY)


def _period(text: str | None) -> Period | None:
    try:
        return parse_period(text) if text else None
    except ValueError as error:
        raise ReportRefusedError(RefusalReason.PERIOD, str(error)) from error


class FormatRefusedError(ValueError):
    """A kind of report is not made in the format that was chosen."""


def problem_text(problem: Exception, locale: Locale) -> str:
    """Why no report was made, in the visitor's language."""
    match problem:
        case ReportRefusedError(why=why):
            return locale.label(f"report_refused_{why}")
        case view.AreaUnclearError(names=names):
            return f"{locale.label('report_which_area')} {'; '.join(names)}"
        case FormatRefusedError():
            return locale.label("report_refused_format")
        case TooManyRowsError():
            return locale.label("report_refused_too_long")
        case _:
            return locale.label("report_refused_area")
