"""Floor 3. The registry: its offices in a list, and all of it as one document.

The document is validated as a whole. A submitted document is first shown as a list of changes; a
second click applies it. It is sent back with the form and validated again, so that what was shown
is what is applied.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from collector.domain.lines import provinces_of
from collector.domain.place_search import QUERY_MOST
from collector.domain.read_model import ReadModel
from collector.registry import import_file
from collector.registry.changes import Change, differences
from collector.registry.registry import Registry
from collector.users.user import Permission
from collector.web import registry_view as view
from collector.web.api_answers import NUMBER_MOST
from collector.web.page_context import PageContext
from collector.web.presentation import Locale
from collector.web.query import (
    chosen_sorting,
    links,
    one_of,
    page_number,
    province_code,
    whole_number,
)
from collector.web.registry_words import change_rows
from collector.web.responses import file_response
from collector.web.table import Sorting, heads, in_order, page_links, page_of
from collector.web.table_files import registry_table
from runtime.problem import Problem
from runtime.settings import SettingsError

_DOCUMENT_MOST = 4_000_000
_EXAMPLE = Path(__file__).parents[1] / "registry.example.toml"
_CHANGES_SHOWN, _LAST_CHANGES = 100, 10
# A larger document is a file to download and upload, no field of a page; it has no more probes.
_TEXT_MOST, _TEXT_PROBES_MOST = 65_536, 500


class _Asked(NamedTuple):
    """The offices that an address asks for."""

    find: str
    filters: Mapping[str, str]
    sorting: Sorting

    @property
    def order(self) -> dict[str, str]:
        """The parameters of the order."""
        column = self.sorting.column
        return {"sort": column, "order": self.sorting.order if column else ""}

    def rows(self, registry: Registry, locale: Locale) -> Sequence[view.OfficeRow]:
        """The offices in the order that is asked for."""
        rows = view.office_rows(registry, self.find, self.filters, locale)
        column, order = self.sorting
        return in_order(rows, lambda row: row.keys[column], order) if column else rows


class RegistryPage:
    """`/registry` with its files, `/registry/changes`, `/registry/document`, `/registry.toml`."""

    def __init__(self, context: PageContext, model: ReadModel) -> None:
        self._context = context
        self._model = model
        self.routes = [
            Route("/registry", self.page, methods=["GET"]),
            # Where the document was sent before it had an address of its own.
            Route("/registry", self.change, methods=["POST"]),
            Route("/registry.csv", self.file),
            Route("/registry.xlsx", self.file),
            Route("/registry/changes", self.changes),
            Route("/registry/document", self.document, methods=["GET"]),
            Route("/registry/document", self.change, methods=["POST"]),
            Route("/registry.toml", self.download),
        ]

    def page(self, request: Request) -> Response:
        """The offices. Filters: `find`, `province`, `group`, `isp`; `sort`, `order`, `page`."""
        self._context.require(request, Permission.EDIT_REGISTRY)
        model, locale = self._model, self._context.locale(request)
        registry, asked = model.registry(), self._asked(request)
        rows = asked.rows(registry, locale)
        shown = page_of(rows, page_number(request), view.ROWS_A_PAGE)
        chosen = {"find": asked.find, **asked.filters, **asked.order}
        link = links("/registry", chosen)
        return self._context.render(
            request,
            "registry.html",
            find=asked.find,
            filters=asked.filters,
            order=asked.order,
            provinces=provinces_of(model.lines()),
            groups=sorted((group.name, group.id) for group in registry.groups.values()),
            isps=sorted((isp.name, isp.id) for isp in registry.isps.values()),
            rows=shown.rows,
            heads=heads(view.COLUMNS, asked.sorting, link, locale),
            page=shown,
            pages=page_links(shown, link),
            file_query=urlencode({name: value for name, value in chosen.items() if value}),
            applied="applied" in request.query_params,
            recorded=self._recorded(_LAST_CHANGES, locale),
            empty=not registry.probes,
        )

    def file(self, request: Request) -> Response:
        """The lines of the offices that the same parameters choose, in the same order."""
        self._context.require(request, Permission.EDIT_REGISTRY)
        registry, locale = self._model.registry(), self._context.locale(request)
        rows = self._asked(request).rows(registry, locale)
        probes = [registry.probes[row.keys["probe"]] for row in rows]
        return file_response(registry_table(probes, registry, locale), request.url.path)

    def _asked(self, request: Request) -> _Asked:
        query, registry = request.query_params, self._model.registry()
        filters = {
            "province": province_code(query.get("province"), registry),
            "group": one_of("group", query.get("group"), registry.groups),
            "isp": one_of("isp", query.get("isp"), registry.isps),
        }
        find = query.get("find", "").strip()[:QUERY_MOST]
        return _Asked(find, filters, chosen_sorting(request, view.COLUMNS))

    def changes(self, request: Request) -> Response:
        """The applied changes, newest first; `before` is the number of one to go on from."""
        self._context.require(request, Permission.EDIT_REGISTRY)
        locale, last = self._context.locale(request), self._model.store.registry.revision()
        before = whole_number(
            "before", request.query_params.get("before"), last + 1, 1, NUMBER_MOST
        )
        return self._context.render(
            request,
            "registry_changes.html",
            recorded=self._recorded(_CHANGES_SHOWN, locale, before),
            older=max(before - _CHANGES_SHOWN, 1) if before - 1 > _CHANGES_SHOWN else None,
            newest=before > last,
        )

    def document(self, request: Request) -> Response:
        """The registry as TOML text; one that is too large for a page as a file alone."""
        self._context.require(request, Permission.EDIT_REGISTRY)
        # A nation's text takes a second to make, and would not be shown.
        is_large = len(self._model.registry().probes) > _TEXT_PROBES_MOST
        return self._render(request, None if is_large else self._text())

    def download(self, request: Request) -> Response:
        """The registry as a TOML file."""
        self._context.require(request, Permission.EDIT_REGISTRY)
        return Response(
            self._text(),
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
                # Even for `apply`: the changes of an uploaded file have not been shown yet.
                return await run_in_threadpool(self._uploaded, request, content, sent.filename)
            if "document" not in form:
                # A registry that is too large for a text, and no file was chosen.
                return await run_in_threadpool(self.document, request)
        return await run_in_threadpool(self._change, request, text, name, wanted, seen)

    def _uploaded(self, request: Request, content: bytes, name: str) -> Response:
        """Validate an uploaded file and show its changes; its text goes into the form."""
        try:
            text = import_file.text_of(content, name)
        except SettingsError as error:
            return self._render(request, self._text(), problems=error.problems, status=422)
        return self._change(request, text, name, "check", "")

    def _change(self, request: Request, text: str, name: str, wanted: str, seen: str) -> Response:
        user = self._context.require(request, Permission.EDIT_REGISTRY)
        registry_store = self._model.store.registry
        known = registry_store.read()
        notices: list[Problem] = []
        try:
            registry = self._parsed(text, name, known, notices)
        except SettingsError as error:
            return self._render(request, text, problems=error.problems, name=name, status=422)
        # Changes applied by somebody else in the meantime must not be undone unseen.
        meanwhile = wanted == "apply" and seen != str(registry_store.revision())
        if wanted != "apply" or meanwhile:
            changes = differences(known, registry)
            # Names of what is removed are in the one, of what is added in the other.
            names = registry if len(registry.probes) >= len(known.probes) else known
            return self._render(
                request,
                text,
                changes=changes,
                names=names,
                name=name,
                meanwhile=meanwhile,
                notices=notices,
            )
        applied = registry_store.apply(registry, user.name, name, datetime.now(UTC))
        self._model.invalidate()
        self._context.audit(request, user.name, "edit_registry", name, f"{len(applied)} changes")
        return self._render(request, self._text(), applied=len(applied))

    def _text(self) -> str:
        """The registry as TOML text; made anew when the registry has changed."""
        model = self._model
        return model.cached(
            ("registry text", model.registry_revision()),
            lambda: view.toml(model.registry(), model.store.registry.official().communes),
            cache_s=3600.0,
        )

    def _parsed(self, text: str, name: str, known: Registry, notices: list[Problem]) -> Registry:
        """The registry of a document. Raises SettingsError."""
        # Unchanged text is most of what is checked, and a nation's takes seconds to parse.
        listed = self._model.store.registry.official().communes
        if text.replace("\r\n", "\n") == view.toml(known, listed):
            return known
        return import_file.parse(text, name, listed, known, notices)

    def _recorded(
        self, count: int, locale: Locale, before: int | None = None
    ) -> list[view.ChangeHistoryRow]:
        """So many applied changes, newest first, all with a lower number than `before`."""
        store = self._model.store.registry
        end = store.revision() + 1 if before is None else before
        after = max(end - 1 - count, 0)
        found = store.changes(after, min(count, end - 1 - after)) if end > 1 else []
        return view.recorded(found, self._model.registry(), locale)

    def _render(
        self,
        request: Request,
        text: str | None,
        *,
        problems: Sequence[Problem] = (),
        changes: Sequence[Change] | None = None,
        names: Registry | None = None,
        applied: int | None = None,
        name: str = "page.toml",
        meanwhile: bool = False,
        notices: Sequence[Problem] = (),
        status: int = 200,
    ) -> Response:
        locale, registry = self._context.locale(request), self._model.registry()
        shown = None
        if changes is not None:
            shown = change_rows(changes[:_CHANGES_SHOWN], names or registry, locale)
        return self._context.render(
            request,
            "registry_document.html",
            status=status,
            text=text,
            # What was sent goes back with the form, so that what was shown is what is applied.
            sent_back=shown is not None or bool(problems),
            is_small=text is not None and len(text) <= _TEXT_MOST,
            problems=[problem.in_(locale.language) for problem in problems[:_CHANGES_SHOWN]],
            problems_all=len(problems),
            notices=[notice.in_(locale.language) for notice in notices[:_CHANGES_SHOWN]],
            notices_all=len(notices),
            shown=shown,
            shown_all=len(changes or ()),
            applied=applied,
            name=name,
            seen=self._model.store.registry.revision(),
            meanwhile=meanwhile,
            # An empty registry shows an example of the format.
            example="" if registry.probes else _EXAMPLE.read_text(encoding="utf-8"),
        )
