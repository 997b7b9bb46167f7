"""Floor 3. The web application: the pages, the API, and what all of them share.

It reads the read model only (and, for `/healthz`, the status of ingest). A browser loads nothing
from other hosts and runs no inline script, which the Content-Security-Policy enforces.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from collector.alerts.alert_store import AlertStore, AlertStoreError
from collector.commands.builder import CommandSender
from collector.domain.read_model import ReadModel
from collector.ingest.status import IngestStatus
from collector.reports.service import ReportService
from collector.store.store import StoreError
from collector.users.user_store import UserStore, UserStoreError
from collector.web.alerts_page import AlertsPage
from collector.web.api_v1 import Api
from collector.web.campaign_page import CampaignPage
from collector.web.change_signal import ChangeSignal
from collector.web.headers import SecurityHeaders
from collector.web.isps_page import IspsPage
from collector.web.line_page import LinePages
from collector.web.live_page import LivePage
from collector.web.monitoring import MonitoringEndpoints
from collector.web.overview_page import OverviewPage
from collector.web.page_context import PageContext
from collector.web.public_page import PublicPages
from collector.web.registry_page import RegistryPage
from collector.web.reports_page import ReportsPage
from collector.web.responses import json_response
from collector.web.sign_in_page import SignInPages
from collector.web.stored_api import StoredApi
from collector.web.system_page import SystemPage


class Web:
    """All routes. Handlers that query the store run in worker threads.

    `read_model` is the process's one, shared with the alerts.
    """

    def __init__(
        self,
        read_model: ReadModel,
        change_signal: ChangeSignal,
        ingest_status: Callable[[], IngestStatus],
        timezone: str,
        user_store: UserStore,
        sender: CommandSender | None = None,
        certificates: Sequence[Path] = (),
        alerts: AlertStore | None = None,
        reports: ReportService | None = None,
    ) -> None:
        self._change_signal = change_signal
        self._context = PageContext(timezone, user_store)
        self._routes = [
            *OverviewPage(self._context, read_model).routes,
            *LinePages(self._context, read_model, sender).routes,
            *CampaignPage(self._context, read_model).routes,
            *IspsPage(self._context, read_model).routes,
            *SystemPage(self._context, read_model, certificates, ingest_status).routes,
            *PublicPages(self._context, read_model).routes,
            *RegistryPage(self._context, read_model).routes,
            *(AlertsPage(self._context, alerts).routes if alerts else []),
            *(ReportsPage(self._context, read_model, reports).routes if reports else []),
            *Api(read_model).routes,
            *MonitoringEndpoints(read_model, ingest_status).routes,
            *LivePage(self._context, read_model, change_signal).routes,
            *StoredApi(read_model).routes,
            *SignInPages(self._context).routes,
        ]

    def application(self) -> Starlette:
        """The ASGI application."""

        @asynccontextmanager
        async def lifespan(_app: Starlette) -> AsyncIterator[None]:
            self._change_signal.open()
            yield

        return Starlette(
            routes=[
                *self._routes,
                Mount("/static", StaticFiles(packages=[("collector.web", "static")])),
            ],
            middleware=[
                Middleware(SecurityHeaders),
                # Compressed, a page is a seventh of its size. Event streams are not compressed.
                # No page reflects a query parameter beside a form token, and tokens are salted
                # (BREACH).
                Middleware(GZipMiddleware, minimum_size=1_000, compresslevel=6),
            ],
            exception_handlers={
                StoreError: self._on_unavailable,
                UserStoreError: self._on_unavailable,
                AlertStoreError: self._on_unavailable,
                HTTPException: self._on_http_error,
            },
            lifespan=lifespan,
        )

    def _on_unavailable(self, _request: Request, error: Exception) -> Response:
        return json_response({"error": str(error)}, 503)

    def _on_http_error(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if "text/html" in request.headers.get("accept", "") and error.status_code != 304:
            locale = self._context.locale(request)
            name = f"refused_{error.status_code}"
            return self._context.render(
                request,
                "refused.html",
                status=error.status_code,
                said=locale.label(name) if locale.has_label(name) else "",
                detail=error.detail,
            )
        return json_response({"error": error.detail}, error.status_code)
