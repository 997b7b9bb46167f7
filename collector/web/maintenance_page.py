"""Floor 3. The pages of planned maintenance: what was announced; enter, correct and withdraw it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from collector.domain.lines import isps_of
from collector.domain.read_model import ReadModel
from collector.registry import planned_maintenance as rules
from collector.registry.planned_maintenance import (
    MaintenanceConflictError,
    MaintenanceEntry,
    PlannedMaintenance,
)
from collector.users.user import Permission, User
from collector.web import maintenance_view as view
from collector.web.downloads import maintenance_table
from collector.web.maintenance_view import FormProblemError, MaintenanceRow
from collector.web.page_context import PageContext
from collector.web.presentation import Locale
from collector.web.query import chosen_sorting, found_or_404, links, one_of, page_number
from collector.web.responses import file_response
from collector.web.search_page import place_index
from collector.web.table import Sorting, heads, in_order, page_links, page_of

# Of a form's `last`, the number of entries that its author saw.
_DIGITS_MOST = 9
_FIELDS = ("isp", "place", "line", "from", "to", "reason", "note")


class MaintenancePages:
    """`/maintenance`, the same as files, and `/maintenance/NUMBER`."""

    def __init__(self, context: PageContext, model: ReadModel) -> None:
        self._context = context
        self._model = model
        self.routes = [
            Route("/maintenance", self.page, methods=["GET"]),
            Route("/maintenance", self.announce, methods=["POST"]),
            Route("/maintenance.csv", self.file),
            Route("/maintenance.xlsx", self.file),
            Route("/maintenance/{number:entry_number}", self.announcement, methods=["GET"]),
            Route("/maintenance/{number:entry_number}", self.act, methods=["POST"]),
        ]

    def page(self, request: Request) -> Response:
        """Filters: `state`, `isp`; `sort`, `order`, `page`; `line` fills in the form."""
        asked = request.query_params
        return self._page(request, {"line": asked.get("line", "")[:120]})

    def file(self, request: Request) -> Response:
        """All announcements that the same parameters choose, as CSV or XLSX."""
        locale, found = self._context.locale(request), self._found(request)
        return file_response(
            maintenance_table(found, self._model.registry(), self._lines_of(found), locale),
            request.url.path,
        )

    def announcement(self, request: Request) -> Response:
        """An announcement with all its entries, and the forms for who may."""
        one = self._announcement(request)
        return self._entries(request, one, view.fields_of(one.current, self._model.registry()))

    async def announce(self, request: Request) -> Response:
        """Enter an announcement."""
        fields = await self._form(request)
        return await run_in_threadpool(self._announce, request, fields)

    async def act(self, request: Request) -> Response:
        """Correct or withdraw one (`do`)."""
        fields = await self._form(request)
        return await run_in_threadpool(self._act, request, fields)

    async def _form(self, request: Request) -> dict[str, str]:
        sent = await self._context.form(request, fields_most=12)
        return {name: sent.get(name, "") for name in (*_FIELDS, "do", "last")}

    def _announce(self, request: Request, fields: dict[str, str]) -> Response:
        user = self._context.require_user(request)
        try:
            entry = self._entry(fields, user, 0)
            self._require(request, entry)
            _accept(entry)
        except FormProblemError as error:
            return self._page(request, fields, error)
        number = self._model.store.maintenance.announce(entry)
        self._record(request, user, entry, number)
        return RedirectResponse(f"/maintenance/{number}", 303)

    def _act(self, request: Request, fields: dict[str, str]) -> Response:
        one, user = self._announcement(request), self._context.require_user(request)
        self._require(request, one.current)
        try:
            entry = self._further(one, fields, user)
            self._require(request, entry)
            _accept(entry)
            self._add(entry, fields["last"])
        except FormProblemError as error:
            one = self._announcement(request)
            if fields["do"] != "correct":
                fields = view.fields_of(one.current, self._model.registry())
            return self._entries(request, one, fields, error)
        self._record(request, user, entry, one.number)
        return RedirectResponse(f"/maintenance/{one.number}", 303)

    def _add(self, entry: MaintenanceEntry, last: str) -> None:
        after = int(last) if last.isdecimal() and len(last) <= _DIGITS_MOST else 0
        try:
            self._model.store.maintenance.add(entry, after)
        except MaintenanceConflictError as error:
            raise FormProblemError("maintenance_problem_changed") from error

    def _further(
        self, one: PlannedMaintenance, fields: Mapping[str, str], user: User
    ) -> MaintenanceEntry:
        if one.is_withdrawn:
            raise FormProblemError("maintenance_problem_over")
        if fields["do"] == "correct":
            return self._entry(fields, user, one.number)
        if fields["do"] != "withdraw":
            raise HTTPException(400, "`do` is correct or withdraw")
        return view.withdrawal(one.current, fields["note"], user.name, self._model.now())

    def _entry(self, fields: Mapping[str, str], user: User, number: int) -> MaintenanceEntry:
        model = self._model
        return view.entry_of(
            fields, model.registry(), place_index(model), user.name, model.now(), number
        )

    def _require(self, request: Request, entry: MaintenanceEntry) -> None:
        commune = view.commune_of(entry.scope, self._model.registry())
        self._context.require(request, Permission.ANNOUNCE_MAINTENANCE, commune)

    def _record(self, request: Request, user: User, entry: MaintenanceEntry, number: int) -> None:
        detail = f"{view.audit_text(entry)} {entry.reason} {entry.note}".strip()
        action = f"maintenance_{entry.action}"
        self._context.audit(request, user.name, action, f"maintenance {number}", detail)

    def _page(
        self, request: Request, fields: Mapping[str, str], problem: FormProblemError | None = None
    ) -> Response:
        locale, registry = self._context.locale(request), self._model.registry()
        filters, sorting = self._filters(request), self._sorting(request)
        found = self._found(request)
        number = page_number(request) if request.method == "GET" else 1
        shown = page_of(found, number, view.ROWS_A_PAGE)
        order = {"sort": sorting.column, "order": sorting.order if sorting.column else ""}
        link = links("/maintenance", filters | order)
        visitor = self._context.visitor(request)
        return self._context.render(
            request,
            "maintenance.html",
            status=422 if problem else 200,
            problem=_problem_text(problem, locale),
            fields={name: fields.get(name, "") for name in _FIELDS},
            may=visitor.user is not None and visitor.user.has(Permission.ANNOUNCE_MAINTENANCE),
            isp_options=sorted((isp.name, isp.id) for isp in registry.isps.values()),
            text_most=rules.TEXT_MOST,
            filters=filters,
            order=order,
            states=[
                (locale.label("maintenance_over"), view.OVER),
                (locale.label("maintenance_all"), view.EVERY),
            ],
            isps=isps_of(self._model.lines()),
            rows=self._rows(shown.rows, locale),
            heads=heads(view.COLUMNS, sorting, link, locale),
            page=shown,
            pages=page_links(shown, link),
            file_link=lambda kind: links(f"/maintenance.{kind}", filters | order)({}),
        )

    def _entries(
        self,
        request: Request,
        one: PlannedMaintenance,
        fields: Mapping[str, str],
        problem: FormProblemError | None = None,
    ) -> Response:
        locale, registry = self._context.locale(request), self._model.registry()
        commune = view.commune_of(one.current.scope, registry)
        may = self._context.visitor(request).may(Permission.ANNOUNCE_MAINTENANCE, commune)
        return self._context.render(
            request,
            "maintenance_entry.html",
            status=422 if problem else 200,
            problem=_problem_text(problem, locale),
            row=self._rows([one], locale)[0],
            may=may and not one.is_withdrawn,
            fields={name: fields.get(name, "") for name in _FIELDS},
            isp_options=sorted((isp.name, isp.id) for isp in registry.isps.values()),
            text_most=rules.TEXT_MOST,
            last=len(one.entries),
            entries=view.entry_rows(one, registry, locale),
        )

    def _rows(self, some: Sequence[PlannedMaintenance], locale: Locale) -> list[MaintenanceRow]:
        lines, registry = self._lines_of(some), self._model.registry()
        return [view.row(one, lines[one.number], registry, locale) for one in some]

    def _found(self, request: Request) -> list[PlannedMaintenance]:
        filters, sorting = self._filters(request), self._sorting(request)
        every = self._model.store.maintenance.read()
        found = view.chosen(every, filters["state"], filters["isp"], self._model.now())
        if not sorting.column:
            return found
        lines, registry = self._lines_of(found), self._model.registry()

        def key(one: PlannedMaintenance) -> object:
            return view.sort_value(sorting.column, one, lines[one.number], registry)

        return in_order(found, key, sorting.order)

    def _lines_of(self, some: Sequence[PlannedMaintenance]) -> dict[int, int]:
        """How many lines each concerns now."""
        model, registry = self._model, self._model.registry()
        # A nation's lines are counted once, and not for each announcement.
        by_scope = model.cached(
            ("lines by scope", model.registry_revision()),
            lambda: view.lines_by_scope(registry),
            cache_s=3600.0,
        )
        return {
            one.number: view.lines_concerned(one.current.scope, by_scope, registry) for one in some
        }

    def _filters(self, request: Request) -> dict[str, str]:
        query, registry = request.query_params, self._model.registry()
        return {
            "state": one_of("state", query.get("state"), (view.OVER, view.EVERY)),
            "isp": one_of("isp", query.get("isp"), registry.isps),
        }

    def _sorting(self, request: Request) -> Sorting:
        return chosen_sorting(request, view.COLUMNS)

    def _announcement(self, request: Request) -> PlannedMaintenance:
        number = int(request.path_params["number"])
        every = self._model.store.maintenance.read()
        return found_or_404(
            next((one for one in every if one.number == number), None), "such announcement"
        )


def _accept(entry: MaintenanceEntry) -> None:
    if (why := rules.problem(entry)) is not None:
        raise FormProblemError(f"maintenance_problem_{why}")


def _problem_text(problem: FormProblemError | None, locale: Locale) -> str:
    return f"{locale.label(problem.label)} {problem.detail}".strip() if problem else ""
