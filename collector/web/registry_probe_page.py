"""Floor 3. The registry as a form for one office: add a probe, change plans, move it, retire it.

What a form would change is shown first; a second click applies it to the registry as it is then.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from collector.domain.read_model import ReadModel
from collector.registry.changes import Change, differences
from collector.registry.registry import Probe, Registry
from collector.users.user import Permission
from collector.web import registry_probe_view as view
from collector.web.page_context import PageContext
from collector.web.query import found_or_404
from collector.web.registry_words import change_rows
from collector.web.search_page import place_index
from runtime.problem import Problem
from runtime.settings import SettingsError

_FIELDS_MOST = 100
Key = tuple[str, str]


class RegistryProbePage:
    """`/registry/probe` (a new one) and `/registry/probe/TENANT/NAME`."""

    def __init__(self, context: PageContext, model: ReadModel) -> None:
        self._context = context
        self._model = model
        self.routes = [
            Route("/registry/probe", self.page, methods=["GET"]),
            Route("/registry/probe", self.change, methods=["POST"]),
            Route("/registry/probe/{tenant}/{probe}", self.page, methods=["GET"]),
            Route("/registry/probe/{tenant}/{probe}", self.change, methods=["POST"]),
        ]

    def page(self, request: Request) -> Response:
        """The form, with what the registry has of the probe; `tenant` and `probe` of a new one."""
        self._context.require(request, Permission.EDIT_REGISTRY)
        registry, locale = self._model.registry(), self._context.locale(request)
        probe = self._probe(request, registry)
        if probe is not None:
            return self._render(request, view.fields_of(probe, registry, locale))
        asked = [request.query_params.get(name, "")[:100] for name in ("tenant", "probe")]
        return self._render(request, view.new_fields(registry, *asked))

    async def change(self, request: Request) -> Response:
        """Show what would change; apply it if the button of that name was pressed."""
        fields = await self._context.form(request, _FIELDS_MOST, Permission.EDIT_REGISTRY)
        return await run_in_threadpool(self._change, request, fields)

    def _change(self, request: Request, form: dict[str, str]) -> Response:
        self._context.require(request, Permission.EDIT_REGISTRY)
        self._model.invalidate()
        registry, fields = self._model.store.registry.read(), view.typed(form)
        try:
            wanted = self._wanted(request, form, fields, registry)
        except SettingsError as error:
            return self._render(request, fields, problems=error.problems, status=422)
        changes = differences(registry, wanted)
        meanwhile = form.get("seen") != str(self._model.store.registry.revision())
        applying = form.get("do") in {"apply", "retire_apply"}
        # Fields may have been edited after their changes were shown.
        if applying and not meanwhile and form.get("shown") == _digest(changes):
            return self._apply(request, wanted)
        return self._render(
            request,
            fields,
            changes=changes,
            names=wanted if len(wanted.probes) >= len(registry.probes) else registry,
            retiring=form.get("do", "").startswith("retire"),
            meanwhile=meanwhile and applying,
        )

    def _wanted(
        self, request: Request, form: dict[str, str], fields: view.ProbeFields, registry: Registry
    ) -> Registry:
        """The registry that the form asks for. Raises SettingsError."""
        probe = self._probe(request, registry)
        key = None if probe is None else (probe.tenant, probe.probe)
        if form.get("do", "").startswith("retire"):
            if key is None:
                raise HTTPException(400, "a probe that is not registered cannot be retired")
            return view.registry_without(key, registry)
        locale = self._context.locale(request)
        return view.registry_with(fields, key, registry, place_index(self._model), locale)

    def _apply(self, request: Request, wanted: Registry) -> Response:
        user = self._context.require(request, Permission.EDIT_REGISTRY)
        source = request.url.path
        applied = self._model.store.registry.apply(wanted, user.name, source, datetime.now(UTC))
        self._model.invalidate()
        detail = f"{len(applied)} changes"
        self._context.audit(request, user.name, "edit_registry", source, detail)
        return RedirectResponse("/registry?applied=1", 303)

    def _probe(self, request: Request, registry: Registry) -> Probe | None:
        """The probe of the address, None for a new one. Raises HTTPException 404."""
        if "probe" not in request.path_params:
            return None
        key = request.path_params["tenant"], request.path_params["probe"]
        return found_or_404(registry.probe(*key), "such probe in the registry")

    def _render(
        self,
        request: Request,
        fields: view.ProbeFields,
        *,
        problems: Sequence[Problem] = (),
        changes: Sequence[Change] | None = None,
        names: Registry | None = None,
        retiring: bool = False,
        meanwhile: bool = False,
        status: int = 200,
    ) -> Response:
        locale, registry = self._context.locale(request), self._model.registry()
        rows = None if changes is None else change_rows(changes, names or registry, locale)
        return self._context.render(
            request,
            "registry_probe.html",
            status=status,
            fields=fields,
            lines=view.with_spare_lines(fields),
            is_new="probe" not in request.path_params,
            problems=[problem.in_(locale.language) for problem in problems],
            changes=rows,
            shown=_digest(changes or ()),
            retiring=retiring,
            meanwhile=meanwhile,
            seen=self._model.store.registry.revision(),
            isps=view.isp_names(registry),
            technologies=view.technologies(locale),
        )


def _digest(changes: Sequence[Change]) -> str:
    """Changes as a short text, to know whether others are asked for than were shown."""
    return hashlib.sha256(repr([tuple(change) for change in changes]).encode()).hexdigest()[:32]
