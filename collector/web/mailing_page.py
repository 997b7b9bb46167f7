"""Floor 3. Reports by e-mail: who gets which report when, and what came of it.

For users who may make reports: addresses are personal data.
"""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from collector.domain.read_model import ReadModel
from collector.mailing.schedule import Mailing, MailingRefusedError, deliveries
from collector.mailing.sender import MailingSender
from collector.reports.report import ReportKind, last_complete_period
from collector.users.user import Permission
from collector.web import mailing_view as view
from collector.web import reports_view
from collector.web.page_context import PageContext
from collector.web.query import one_of
from collector.web.reports_page import problem_text
from collector.web.search_page import place_index

_FIELDS = ("do", "number", "kind", "area", "day", "time", "as", "recipients")
_NUMBER_MOST = 2**53


class MailingPage:
    """`/papers/mail`."""

    def __init__(self, context: PageContext, model: ReadModel, sender: MailingSender) -> None:
        self._context = context
        self._model = model
        self._mailings = sender.mailings
        self._sender = sender
        self.routes = [
            Route("/papers/mail", self.page, methods=["GET"]),
            Route("/papers/mail", self.act, methods=["POST"]),
        ]

    def page(self, request: Request) -> Response:
        """The schedules, the form and the deliveries."""
        self._context.require(request, Permission.MAKE_REPORTS)
        return self._page(request, {})

    async def act(self, request: Request) -> Response:
        """Add, stop, resume, send now or remove (`do`), and redirect to the page."""
        sent = await self._context.form(request, 12, Permission.MAKE_REPORTS)
        fields = {name: sent.get(name, "") for name in _FIELDS}
        return await run_in_threadpool(self._act, request, fields)

    def _act(self, request: Request, fields: dict[str, str]) -> Response:
        user = self._context.require(request, Permission.MAKE_REPORTS)
        doing = one_of("do", fields["do"], ("add", "stop", "resume", "send", "remove"))
        if doing == "add":
            one_of("kind", fields["kind"], list(ReportKind))
            try:
                subject = self._add(request, fields, user.name)
            except ValueError as error:
                return self._page(request, fields, error, 422)
        else:
            subject = self._change(doing, self._found(fields["number"]))
        self._context.audit(request, user.name, f"{doing}_mailing", subject)
        return RedirectResponse("/papers/mail", 303)

    def _add(self, request: Request, fields: dict[str, str], author: str) -> str:
        names = reports_view.area_names(self._model.registry(), self._context.locale(request))
        area = reports_view.area_id(fields["area"], names, place_index(self._model))
        mailing = view.mailing_of(fields, area, author, self._model.now())
        number = self._mailings.add(mailing)
        return f"{number} {mailing.kind} {area}: {', '.join(mailing.recipients)}"

    def _change(self, doing: str, mailing: Mailing) -> str:
        store, now = self._mailings, self._model.now()
        match doing:
            case "stop" | "resume":
                store.set_active(mailing.number, now, active=doing == "resume")
            case "remove":
                store.remove(mailing.number)
            case _:
                period = last_complete_period(mailing.kind, now)
                store.plan(deliveries(mailing, period, now, by_hand=True))
                self._sender.wake()
        return f"{mailing.number} {mailing.kind} {mailing.area_id}"

    def _found(self, number: str) -> Mailing:
        known = number.isascii() and number.isdecimal() and int(number[:20]) <= _NUMBER_MOST
        mailing = self._mailings.mailing(int(number)) if known else None
        if mailing is None:
            raise HTTPException(404, "no such schedule")
        return mailing

    def _page(
        self,
        request: Request,
        typed: dict[str, str],
        problem: ValueError | None = None,
        status: int = 200,
    ) -> Response:
        locale, store = self._context.locale(request), self._mailings
        registry = self._model.registry()
        names = reports_view.area_names(registry, locale)
        mailings = store.mailings()
        return self._context.render(
            request,
            "mailing.html",
            status=status,
            problem=""
            if problem is None
            else view.problem_text(problem, locale)
            if isinstance(problem, MailingRefusedError)
            else problem_text(problem, locale),
            typed=dict.fromkeys(_FIELDS, "")
            | {"time": "08:00", "day": "w1", "area": reports_view.first_area(registry, names)}
            | typed,
            has_server=self._sender.has_server,
            kinds=view.kinds(locale),
            days=view.days(locale),
            areas=reports_view.suggested_areas(names),
            mailings=view.mailing_rows(mailings, names, self._model.now(), locale),
            deliveries=view.delivery_rows(store.newest(view.ROWS_MOST), mailings, names, locale),
        )
