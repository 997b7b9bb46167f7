"""Floor 3. What is due this week and next, and the same as a calendar behind a secret link.

Calendar programs cannot sign in. Who has a user's link reads what that user may, until it is
revoked, replaced, or the user's password is changed or the user disabled.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from collector.alerts.alert_store import AlertStore
from collector.domain.lines import certificate_ends_at
from collector.domain.read_model import ReadModel
from collector.mailing.sender import MailingSender
from collector.reports.service import ReportService
from collector.rollup.periods import Period, week_of
from collector.users.user import User
from collector.web import calendar_file, reports_view
from collector.web import due_view as view
from collector.web.formatting import moment
from collector.web.page_context import PageContext
from collector.web.presentation import Locale
from collector.web.query import links, one_of
from runtime.certificate_file import ends_at

# Of the audit trail: who issued which report last.
_EVENTS = 2_000
_CALENDAR_WEEKS = 5


class DueParts(NamedTuple):
    """Where what is due comes from, beside the read model."""

    certificates: Sequence[Path]
    reports: ReportService | None
    alerts: AlertStore | None
    mailings: MailingSender | None


class DuePage:
    """`/due` and `/calendar/SECRET.ics`."""

    def __init__(self, context: PageContext, model: ReadModel, parts: DueParts) -> None:
        self._context = context
        self._model = model
        self._parts = parts
        self.routes = [
            Route("/due", self.page, methods=["GET"]),
            Route("/due", self.act, methods=["POST"]),
            Route("/calendar/{secret}.ics", self.calendar),
        ]

    def page(self, request: Request) -> Response:
        """This week and next, for the user who is signed in."""
        return self._page(request, self._context.require_user(request))

    async def act(self, request: Request) -> Response:
        """Make or revoke the link of the calendar (`do`)."""
        fields = await self._context.form(request, fields_most=5)
        return await run_in_threadpool(self._act, request, fields.get("do", ""))

    def _act(self, request: Request, asked: str) -> Response:
        user, users = self._context.require_user(request), self._context.user_store
        doing = one_of("do", asked, ("make", "revoke"))
        if not doing:
            raise HTTPException(400, "`do` is make or revoke")
        self._context.audit(request, user.name, f"{doing}_calendar_link")
        if doing == "revoke":
            users.revoke_calendar_link(user.name)
            return RedirectResponse("/due", 303)
        secret = users.make_calendar_link(user.name, self._model.now())
        language = self._context.locale(request).language
        link = f"{_site(request)}/calendar/{secret}.ics?lang={language}"
        answer = self._page(request, user, link)
        answer.headers["Cache-Control"] = "no-store"
        return answer

    def calendar(self, request: Request) -> Response:
        """What is due from this week on, as iCalendar."""
        user = self._context.user_store.calendar_user(request.path_params["secret"])
        if user is None:
            raise HTTPException(404, "no such calendar")
        locale, now = self._context.locale(request), self._model.now()
        monday = week_of(self._model.today()).first
        period = Period(monday, monday + timedelta(days=7 * _CALENDAR_WEEKS - 1))
        items = view.due_items(self._sources(now, locale), user, period, locale)
        events = view.events(items, _site(request))
        name = f"Tramdo: {locale.label('nav_due')}"
        return Response(
            calendar_file.calendar(events, name, now),
            headers={
                "Content-Type": calendar_file.MEDIA_TYPE,
                "Cache-Control": "private, no-store",
            },
        )

    def _page(self, request: Request, user: User, link: str = "") -> Response:
        locale, now = self._context.locale(request), self._model.now()
        this = week_of(self._model.today())
        following = week_of(this.last + timedelta(days=1))
        both = Period(this.first, following.last)
        items = view.due_items(self._sources(now, locale), user, both, locale)
        found = view.by_week(items, this)
        made_at = self._context.user_store.calendar_link_made_at(user.name)
        return self._context.render(
            request,
            "due.html",
            overdue=view.rows(found.overdue, now, locale),
            this_week=view.rows(found.this_week, now, locale),
            next_week=view.rows(found.next_week, now, locale),
            weeks=[f"{week.first:%d/%m}–{week.last:%d/%m}" for week in (this, following)],
            link=link,
            made_at=None if made_at is None else moment(made_at, locale.language, locale.timezone),
        )

    def _sources(self, now: datetime, locale: Locale) -> view.DueSources:
        model, parts = self._model, self._parts
        registry = model.registry()
        issues = parts.reports.archive.issues() if parts.reports else []
        return view.DueSources(
            now=now,
            registry=registry,
            areas=reports_view.area_names(registry, locale),
            issued=[view.IssuedPeriod(one.kind, one.area_id, one.period) for one in issues],
            events=self._context.user_store.audit_events(_EVENTS) if issues else [],
            mailings=parts.mailings.mailings.mailings() if parts.mailings else [],
            certificates=[(path.name, ends_at(path)) for path in parts.certificates],
            probe_certificates=[
                (tenant, name, ends)
                for (tenant, name), probe in model.probes().items()
                if (ends := certificate_ends_at(probe)) is not None
            ],
            maintenance=model.maintenance(),
            silences=parts.alerts.silences(now) if parts.alerts else [],
            lines=model.lines(),
            report_form=lambda what, area: links("/papers", {"what": what, "area": area})({}),
        )


def _site(request: Request) -> str:
    """The address under which the centre was asked."""
    return f"{request.url.scheme}://{request.url.netloc}"
