"""Floor 3. The registry page: edit the registry as one document that is validated as a whole.

A submitted document is first shown as a list of changes; a second click applies it. The document
is sent back with the form and validated again, so that what was shown is what is applied.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from collector.domain.read_model import ReadModel
from collector.registry.changes import differences
from collector.registry.communes import official
from collector.registry.file_format import parse_csv, parse_toml
from collector.registry.registry import Registry
from collector.users.user import Permission
from collector.web import registry_view as view
from collector.web.page_context import PageContext
from runtime.problem import Problem
from runtime.settings import SettingsError

_DOCUMENT_MOST = 4_000_000
_EXAMPLE = Path(__file__).parents[1] / "registry.example.toml"
_CHANGES_SHOWN = 200


class RegistryPage:
    """`/registry`, `/registry.toml`."""

    def __init__(self, context: PageContext, model: ReadModel) -> None:
        self._context = context
        self._model = model
        self.routes = [
            Route("/registry", self.page, methods=["GET"]),
            Route("/registry", self.change, methods=["POST"]),
            Route("/registry.toml", self.download),
        ]

    def page(self, request: Request) -> Response:
        """The registry as TOML text, and its last changes."""
        self._context.require(request, Permission.EDIT_REGISTRY)
        return self._render(request, view.toml(self._model.registry(), official()))

    def download(self, request: Request) -> Response:
        """The registry as a TOML file."""
        self._context.require(request, Permission.EDIT_REGISTRY)
        return Response(
            view.toml(self._model.registry(), official()),
            media_type="application/toml; charset=utf-8",
            headers={"Content-Disposition": 'attachment; filename="registry.toml"'},
        )

    async def change(self, request: Request) -> Response:
        """Validate a document, and apply it if the button `apply` was pressed."""
        await run_in_threadpool(self._context.require, request, Permission.EDIT_REGISTRY)
        async with request.form(max_files=1, max_fields=10, max_part_size=_DOCUMENT_MOST) as form:
            self._context.require_form(request, str(form.get("token", "")))
            text, name = str(form.get("document", "")), str(form.get("name") or "page.toml")
            wanted, seen = str(form.get("do", "check")), str(form.get("seen", ""))
            sent = form.get("file")
            if isinstance(sent, UploadFile) and sent.filename:
                content = await sent.read(_DOCUMENT_MOST + 1)
                if len(content) > _DOCUMENT_MOST:
                    raise HTTPException(413, "the file is larger than 4 MB")
                text, name = content.decode("utf-8-sig", "replace"), sent.filename
                # Even for `apply`: the changes of an uploaded file have not been shown yet.
                wanted = "check"
        return await run_in_threadpool(self._change, request, text, name, wanted, seen)

    def _change(self, request: Request, text: str, name: str, wanted: str, seen: str) -> Response:
        user = self._context.require(request, Permission.EDIT_REGISTRY)
        # Browsers send line ends as CR LF.
        content = text.replace("\r\n", "\n").encode()
        registry_store = self._model.store.registry
        try:
            registry: Registry = (
                parse_csv(content, name, registry_store.read())
                if name.lower().endswith(".csv")
                else parse_toml(content, name, official())
            )
        except SettingsError as error:
            return self._render(request, text, problems=error.problems, name=name, status=422)
        # Changes applied by somebody else in the meantime must not be undone unseen.
        meanwhile = wanted == "apply" and seen != str(registry_store.revision())
        if wanted != "apply" or meanwhile:
            changes = differences(registry_store.read(), registry)
            return self._render(
                request, text, shown=view.changes(changes), name=name, meanwhile=meanwhile
            )
        applied = registry_store.apply(registry, user.name, name, datetime.now(UTC))
        self._model.invalidate()
        self._context.audit(request, user.name, "edit_registry", name, f"{len(applied)} changes")
        return self._render(
            request, view.toml(self._model.registry(), official()), applied=len(applied)
        )

    def _render(
        self,
        request: Request,
        text: str,
        *,
        problems: Sequence[Problem] = (),
        shown: list[view.ChangeRow] | None = None,
        applied: int | None = None,
        name: str = "page.toml",
        meanwhile: bool = False,
        status: int = 200,
    ) -> Response:
        locale, registry_store = self._context.locale(request), self._model.store.registry
        last = registry_store.revision()
        recorded = registry_store.changes(max(last - _CHANGES_SHOWN, 0), _CHANGES_SHOWN)
        return self._context.render(
            request,
            "registry.html",
            status=status,
            text=text,
            problems=[problem.in_(locale.language) for problem in problems],
            shown=shown,
            applied=applied,
            name=name,
            seen=last,
            meanwhile=meanwhile,
            recorded=view.recorded(recorded, locale),
            # An empty registry shows an example of the format.
            example="" if self._model.registry().probes else _EXAMPLE.read_text(encoding="utf-8"),
        )
