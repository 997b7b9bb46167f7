"""Floor 3. The page of one alert: acknowledge it, note what was done, silence it."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from collector.alerts import silence as silences
from collector.alerts.alert import Alert
from collector.alerts.alert_store import AlertStore
from collector.alerts.silence import Note, silenced_by
from collector.domain.read_model import ReadModel
from collector.users.user import Permission, User
from collector.web import alert_view as view
from collector.web.alerts_view import AlertPlaces, alert_row
from collector.web.formatting import moment
from collector.web.page_context import PageContext
from collector.web.query import found_or_404


class AlertPage:
    """`/alerts/NUMBER`, and the end of a silence."""

    def __init__(self, context: PageContext, model: ReadModel, alert_store: AlertStore) -> None:
        self._context = context
        self._model = model
        self._alert_store = alert_store
        self.routes = [
            Route("/alerts/silences/{number:entry_number}", self.end_silence, methods=["POST"]),
            Route("/alerts/{number:entry_number}", self.page, methods=["GET"]),
            Route("/alerts/{number:entry_number}", self.act, methods=["POST"]),
        ]

    def page(self, request: Request) -> Response:
        """The alert, what was done about it, and the forms for who may."""
        return self._render(request, self._alert(request), view.RefusedForm())

    async def act(self, request: Request) -> Response:
        """Acknowledge, note or silence (`do`)."""
        fields = await self._context.form(request)
        return await run_in_threadpool(self._act, request, fields)

    async def end_silence(self, request: Request) -> Response:
        """End a silence now."""
        await self._context.form(request)
        return await run_in_threadpool(self._end_silence, request)

    def _act(self, request: Request, fields: dict[str, str]) -> Response:
        alert, now = self._alert(request), self._model.now()
        user = self._require(request, alert)
        text, doing = view.typed_text(fields), fields.get("do", "")
        problem = silences.problem(text, may_be_empty=doing == "acknowledge")
        if problem and doing in {"acknowledge", "note", "silence"}:
            return self._render(request, alert, view.refused_form(fields, problem))
        if doing == "silence":
            try:
                silence = view.silence_of(alert, fields, user.name, now)
            except ValueError as error:
                raise HTTPException(400, str(error)) from error
            self._alert_store.write_silence(silence)
        elif doing in {"acknowledge", "note"}:
            self._alert_store.write_note(
                Note(
                    alert=alert.number,
                    at=now,
                    author=user.name,
                    acknowledged=doing == "acknowledge",
                    text=text,
                )
            )
        else:
            raise HTTPException(400, "`do` is acknowledge, note or silence")
        self._context.audit(request, user.name, doing, f"alert {alert.number}", text)
        return RedirectResponse(f"/alerts/{alert.number}", 303)

    def _end_silence(self, request: Request) -> Response:
        number, now = self._number(request), self._model.now()
        silence = found_or_404(
            next((one for one in self._alert_store.silences(now) if one.number == number), None),
            "such silence",
        )
        commune = self._places().commune_code(silence.tenant, silence.probe)
        user = self._context.require(request, Permission.HANDLE_ALERTS, commune)
        self._alert_store.end_silence(number, now)
        subject = "/".join(filter(None, (silence.tenant, silence.probe, silence.line)))
        self._context.audit(request, user.name, "end_silence", subject or silence.name)
        return RedirectResponse("/alerts", 303)

    def _render(self, request: Request, alert: Alert, form: view.RefusedForm) -> Response:
        locale, now = self._context.locale(request), self._model.now()
        places = self._places()
        silence = silenced_by(self._alert_store.silences(now), alert.key, now)
        notes = self._alert_store.notes([alert.number]).get(alert.number, [])
        commune = places.commune_code_of(alert) or None
        may = self._context.visitor(request).may(Permission.HANDLE_ALERTS, commune)
        return self._context.render(
            request,
            "alert.html",
            status=422 if form.problem else 200,
            form=form,
            alert=alert,
            row=alert_row(alert, places, locale),
            may=may,
            notes=view.note_rows(notes, locale),
            silenced_until=moment(silence.ends_at, locale.language, locale.timezone)
            if silence
            else None,
            silence=silence,
            hours=view.durations(locale),
            text_most=silences.TEXT_MOST,
        )

    def _alert(self, request: Request) -> Alert:
        return found_or_404(self._alert_store.find(self._number(request)), "such alert")

    def _number(self, request: Request) -> int:
        return int(request.path_params["number"])

    def _require(self, request: Request, alert: Alert) -> User:
        commune = self._places().commune_code_of(alert) or None
        return self._context.require(request, Permission.HANDLE_ALERTS, commune)

    def _places(self) -> AlertPlaces:
        return AlertPlaces(self._model.lines(), self._model.registry())
