"""Floor 3. The live page: probes with their last results, updated as results are stored."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from collector.store.records import StoredProbe
from collector.store.store import Store, StoreError
from collector.web import live_view
from collector.web.change_signal import ChangeSignal
from collector.web.page_context import PageContext
from collector.web.query import NUMBER_MOST, whole_number

# Comments at this interval keep proxies from closing an idle stream.
_STREAM_QUIET_S = 15.0
# The page shows the probes with the latest contact, and counts all of them.
_PROBES_MOST = 40
# The minimum interval between two updates of a page.
_STREAM_PAUSE_S = 0.25


class LivePage:
    """`/live`, `/parts` and `/events`."""

    def __init__(self, context: PageContext, store: Store, change_signal: ChangeSignal) -> None:
        self._context = context
        self._store = store
        self._change_signal = change_signal
        self.routes = [
            Route("/live", self.page),
            Route("/parts", self.parts),
            Route("/events", self.events),
        ]

    def page(self, request: Request) -> Response:
        """The probes with the latest contact, each with its last results."""
        # Read the revision first: what is stored after it is sent as an event.
        revision = self._store.revision()
        probes = self._store.probes()
        shown = sorted(probes, key=lambda probe: probe.revision)[-_PROBES_MOST:]
        shown.sort(key=lambda probe: (probe.tenant, probe.probe))
        return self._render("live.html", request, probes, shown, revision=revision)

    def parts(self, request: Request) -> Response:
        """The summary and the named probes (`probe=tenant/name`, repeatable), as HTML fragments."""
        wanted = set(request.query_params.getlist("probe"))
        probes = self._store.probes()
        named = [probe for probe in probes if f"{probe.tenant}/{probe.probe}" in wanted]
        return self._render("parts.html", request, probes, named)

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
                probes = await run_in_threadpool(self._store.probes, revision)
            except StoreError:
                return  # the browser reconnects with the id of the last event
            if probes:
                revision = max(probe.revision for probe in probes)
                names = json.dumps([f"{probe.tenant}/{probe.probe}" for probe in probes])
                yield f"id: {revision}\nevent: probes\ndata: {names}\n\n"
                await asyncio.sleep(_STREAM_PAUSE_S)
            try:
                await asyncio.wait_for(changed.wait(), _STREAM_QUIET_S)
            except TimeoutError:
                yield ": nothing new\n\n"

    def _render(
        self,
        template: str,
        request: Request,
        all_probes: Sequence[StoredProbe],
        shown: Sequence[StoredProbe],
        revision: int | None = None,
    ) -> Response:
        locale = self._context.locale(request)
        probes = [
            live_view.probe_view(probe, self._store.last_results(probe.tenant, probe.probe), locale)
            for probe in shown
        ]
        summary = live_view.summary(all_probes, self._store.totals(), locale)
        return self._context.render(
            request, template, summary=summary, probes=probes, revision=revision
        )
