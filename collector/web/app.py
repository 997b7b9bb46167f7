"""Floor 3. The web application: one page, its parts, the events that move it, the JSON API.

Reads nothing but the Store (and, for `/healthz`, how ingest is). Everything a browser needs comes
from here: no other host, no inline script or style, which the Content-Security-Policy enforces.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from zoneinfo import ZoneInfo

import jinja2
import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from collector.ingest import IngestState
from collector.receipts import EpochKey
from collector.store.store import Store, StoredProbe, StoredResult, StoreError
from collector.web import pages
from collector.web.changes import Changes
from collector.web.words import Language
from wire.ledger import Ledger

_RESULTS_DEFAULT, _RESULTS_MOST = 100, 1_000
# The largest integer of SQLite and PostgreSQL.
_NUMBER_MOST = 2**63 - 1
# A comment this often keeps proxies from closing a quiet stream.
_STREAM_QUIET_S = 15.0
# However fast results come, a page moves no oftener than this.
_STREAM_PAUSE_S = 0.25
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Pages change with every result; files of ours may be kept, but are asked for anew.
    "Cache-Control": "no-cache",
}


class Web:
    """The endpoints. Store calls wait for a database, so they run in worker threads."""

    def __init__(
        self,
        store: Store,
        changes: Changes,
        ingest_state: Callable[[], IngestState],
        timezone: str,
    ) -> None:
        self._store = store
        self._changes = changes
        self._ingest_state = ingest_state
        self._timezone = ZoneInfo(timezone)
        self._templates = jinja2.Environment(
            loader=jinja2.PackageLoader("collector.web"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def application(self) -> Starlette:
        """The ASGI application."""

        @asynccontextmanager
        async def lifespan(_app: Starlette) -> AsyncIterator[None]:
            self._changes.open()
            yield

        return Starlette(
            routes=[
                Route("/", self.page),
                Route("/parts", self.parts),
                Route("/events", self.events),
                Route("/api/probes", self.api_probes),
                Route("/api/results", self.api_results),
                Route("/healthz", self.healthz),
                Mount("/static", StaticFiles(packages=[("collector.web", "static")])),
            ],
            middleware=[Middleware(_SecurityHeaders)],
            exception_handlers={StoreError: _on_store_error, HTTPException: _on_http_error},
            lifespan=lifespan,
        )

    def page(self, request: Request) -> Response:
        """The whole page."""
        # The revision first: what is stored after it comes again as an event, nothing is missed.
        revision = self._store.revision()
        probes = self._store.probes()
        return self._render("page.html", request, probes, probes, revision=revision)

    def parts(self, request: Request) -> Response:
        """The summary and the named probes (`probe=tenant/name`, repeatable), as page parts."""
        wanted = set(request.query_params.getlist("probe"))
        probes = self._store.probes()
        named = [probe for probe in probes if f"{probe.tenant}/{probe.probe}" in wanted]
        return self._render("parts.html", request, probes, named)

    async def events(self, request: Request) -> Response:
        """Server-Sent Events: which probes changed since `Last-Event-ID`, or since `after`."""
        last_seen = request.headers.get("last-event-id") or request.query_params.get("after")
        revision = _whole_number("after", last_seen, 0, 0, _NUMBER_MOST)
        if revision > await run_in_threadpool(self._store.revision):
            # A store that came back from a backup counts anew from there.
            revision = 0
        return StreamingResponse(self._stream(revision), media_type="text/event-stream")

    async def _stream(self, revision: int) -> AsyncIterator[str]:
        yield "retry: 2000\n\n"
        while not self._changes.closed:
            bell = self._changes.next()
            try:
                probes = await run_in_threadpool(self._store.probes, revision)
            except StoreError:
                return  # the browser comes again, and names the last event that it has seen
            if probes:
                revision = max(probe.revision for probe in probes)
                names = json.dumps([f"{probe.tenant}/{probe.probe}" for probe in probes])
                yield f"id: {revision}\nevent: probes\ndata: {names}\n\n"
                await asyncio.sleep(_STREAM_PAUSE_S)
            try:
                await asyncio.wait_for(bell.wait(), _STREAM_QUIET_S)
            except TimeoutError:
                yield ": nothing new\n\n"

    def api_probes(self, _request: Request) -> Response:
        """All that is known of every probe, and what its last receipt says."""
        ledgers = {key[:2]: (key, ledger) for key, ledger in self._store.ledgers().items()}
        return _json(
            {
                "probes": [
                    msgspec.structs.asdict(probe)
                    | {"receipt": _receipt(ledgers.get((probe.tenant, probe.probe)))}
                    for probe in self._store.probes()
                ]
            }
        )

    def api_results(self, request: Request) -> Response:
        """Stored results, oldest first: after number `after`, or the newest ones without it."""
        asked = request.query_params
        limit = _whole_number("limit", asked.get("limit"), _RESULTS_DEFAULT, 1, _RESULTS_MOST)
        if "after" in asked:
            after = _whole_number("after", asked["after"], 0, 0, _NUMBER_MOST)
            results = self._store.results_after(after, limit)
        else:
            after = 0
            results = self._store.newest_results(limit)
        return _json(
            {
                "results": [_stored_result(result) for result in results],
                "next_after": results[-1].number if results else after,
            }
        )

    def healthz(self, _request: Request) -> Response:
        """200 while results can be taken in and read, else 503; what is wrong in words."""
        state = self._ingest_state()
        store_trouble = state.store_trouble
        try:
            self._store.revision()
        except StoreError as error:
            store_trouble = str(error)
        well = store_trouble is None and state.broker_trouble is None
        told = {"ok": well, "broker": state.broker_trouble, "store": store_trouble}
        return _json(told, 200 if well else 503)

    def _render(
        self,
        template: str,
        request: Request,
        all_probes: Sequence[StoredProbe],
        shown: Sequence[StoredProbe],
        **more: object,
    ) -> Response:
        english = request.query_params.get("lang") == Language.EN
        reader = pages.Reader(Language.EN if english else Language.VI, self._timezone)
        probes = [
            pages.probe_view(probe, self._store.last_results(probe.tenant, probe.probe), reader)
            for probe in shown
        ]
        html = self._templates.get_template(template).render(
            language=reader.language,
            other=Language.VI if english else Language.EN,
            word=reader.word,
            timezone=self._timezone.key,
            summary=pages.summary(all_probes, self._store.totals(), reader),
            probes=probes,
            **more,
        )
        return HTMLResponse(html, headers={"Content-Language": reader.language})


class _SecurityHeaders:
    """Adds `_HEADERS` to every response. Plain ASGI, so that streams pass through untouched."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._headers = [(k.lower().encode(), v.encode()) for k, v in _HEADERS.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *self._headers]
            await send(message)

        await self._app(scope, receive, send_with_headers)


def _whole_number(name: str, text: str | None, default: int, least: int, most: int) -> int:
    if text is None:
        return default
    if not text.isdecimal() or len(text) > 19 or not least <= int(text) <= most:
        raise HTTPException(400, f"`{name}` is a whole number, {least} to {most}")
    return int(text)


def _stored_result(result: StoredResult) -> Mapping[str, Any]:
    fields = msgspec.structs.asdict(result)
    return fields | {"result": msgspec.Raw(fields.pop("body"))}


def _receipt(entry: tuple[EpochKey, Ledger] | None) -> Mapping[str, Any] | None:
    if entry is None:
        return None
    key, ledger = entry
    return {
        "epoch": key.epoch,
        "stored_through": ledger.stored_through,
        "missing": ledger.missing,
    }


def _json(value: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")


def _on_store_error(_request: Request, error: Exception) -> Response:
    return _json({"error": str(error)}, 503)


def _on_http_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _json({"error": error.detail}, error.status_code)
