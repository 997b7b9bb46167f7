"""Floor 3. The live page: probes with their last results, updated as results are stored."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping

from markupsafe import Markup
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from collector.domain.probe_snapshot import ProbeSnapshot
from collector.domain.read_model import ReadModel
from collector.domain.shared_cache import SharedCache
from collector.store.records import StoredProbe
from collector.store.store import StoreError
from collector.web import live_view
from collector.web.api_answers import NUMBER_MOST
from collector.web.change_signal import ChangeSignal
from collector.web.page_context import PageContext
from collector.web.presentation import Locale
from collector.web.query import whole_number

# Comments at this interval keep proxies from closing an idle stream.
_STREAM_QUIET_S = 15.0
# The page shows the probes with the latest contact, and counts all of them.
_PROBES_MOST = 40
# An event names so many; a page that gets more than twenty fetches its whole content.
_NAMES_MOST = 100
# Those that a page shows, in two languages, while others take their place.
_ARTICLES_CACHED = 4 * _PROBES_MOST
# The minimum interval between two updates of a page.
_STREAM_PAUSE_S = 0.25


class LivePage:
    """`/live`, `/parts` and `/events`."""

    def __init__(self, context: PageContext, model: ReadModel, change_signal: ChangeSignal) -> None:
        self._context = context
        self._model = model
        self._store = model.store
        self._change_signal = change_signal
        self._articles = SharedCache(_ARTICLES_CACHED)
        self.routes = [
            Route("/live", self.page),
            Route("/parts", self.parts),
            Route("/events", self.events),
        ]

    def page(self, request: Request) -> Response:
        """The probes with the latest contact, each with its last results."""

        def content() -> Mapping[str, object]:
            # What is stored after this revision is sent as an event.
            snapshot = self._model.snapshot()
            shown = sorted(snapshot.latest[:_PROBES_MOST], key=lambda p: (p.tenant, p.probe))
            return {
                "summary": self._summary(snapshot, locale),
                "articles": [self._article(probe, locale) for probe in shown],
                "revision": snapshot.revision,
            }

        locale = self._context.locale(request)
        return self._context.render_shared(
            request, "live.html", (), lambda: self._model.snapshot().revision, content
        )

    def parts(self, request: Request) -> Response:
        """The summary and the named probes (`probe=tenant/name`, repeatable), as HTML fragments."""
        snapshot, locale = self._model.snapshot(), self._context.locale(request)
        wanted = {name.partition("/") for name in request.query_params.getlist("probe")}
        named = (snapshot.probes.get((tenant, name)) for tenant, _, name in sorted(wanted))
        found = [probe for probe in named if probe is not None][:_PROBES_MOST]
        return self._context.render(
            request,
            "parts.html",
            summary=self._summary(snapshot, locale),
            articles=[self._article(probe, locale) for probe in found],
        )

    async def events(self, request: Request) -> Response:
        """Server-Sent Events: which probes changed since `Last-Event-ID`, or since `after`."""
        last_seen = request.headers.get("last-event-id") or request.query_params.get("after")
        revision = whole_number("after", last_seen, 0, 0, NUMBER_MOST)
        if revision > await run_in_threadpool(self._store.revision):
            # A store restored from a backup has lower revisions.
            revision = 0
        return StreamingResponse(self._stream(revision), media_type="text/event-stream")

    async def _stream(self, revision: int) -> AsyncIterator[str]:
        yield "retry: 2000\n\n"
        while not self._change_signal.closed:
            changed = self._change_signal.next()
            try:
                snapshot = await run_in_threadpool(self._model.snapshot)
            except StoreError:
                return  # the browser reconnects with the id of the last event
            if probes := snapshot.changed_after(revision):
                revision = probes[0].revision
                names = json.dumps([f"{p.tenant}/{p.probe}" for p in probes[:_NAMES_MOST][::-1]])
                yield f"id: {revision}\nevent: probes\ndata: {names}\n\n"
                await asyncio.sleep(_STREAM_PAUSE_S)
            try:
                await asyncio.wait_for(changed.wait(), _STREAM_QUIET_S)
            except TimeoutError:
                yield ": nothing new\n\n"

    def _summary(self, snapshot: ProbeSnapshot, locale: Locale) -> live_view.SummaryView:
        totals = self._store.totals()
        return live_view.summary(snapshot.online, len(snapshot.probes), totals, locale)

    def _article(self, probe: StoredProbe, locale: Locale) -> Markup:
        """A probe as HTML; rendered again when the probe has changed, which a result does too."""
        key = probe.tenant, probe.probe

        def render() -> Markup:
            # Read now: another reader who shares it may know a later revision.
            current = self._model.probes().get(key, probe)
            results = self._store.last_results(*key)
            signatures = self._store.signature_outcomes([entry.last for entry in results])
            view = live_view.probe_view(current, results, locale, signatures)
            return self._context.fragment("live_probe.html", locale, probe=view)

        return self._articles.get((*key, locale.language), lambda: probe.revision, render)
