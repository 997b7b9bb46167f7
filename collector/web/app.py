"""Floor 3. The web application: the pages, the API, and what all of them share.

It reads the read model only (and, for `/healthz`, the status of ingest). A browser loads nothing
from other hosts and runs no inline script, which the Content-Security-Policy enforces.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from anyio.to_thread import current_default_thread_limiter
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response

from collector.alerts.alert_database import AlertStoreError
from collector.alerts.alert_store import AlertStore
from collector.alerts.centre_monitor import CentreMonitor
from collector.commands.state import CommandSender
from collector.domain.read_model import ReadModel
from collector.evidence.bundle import BundleSources
from collector.ingest.status import IngestStatus
from collector.mailing.sender import MailingSender
from collector.reports.service import ReportService
from collector.store.store import StoreError
from collector.users.user_store import UserStore, UserStoreError
from collector.web.alert_page import AlertPage
from collector.web.alerts_page import AlertsPage
from collector.web.api_v1 import Api
from collector.web.audit_page import AuditPage
from collector.web.body_limit import BodyLimit
from collector.web.campaign_page import CampaignPage
from collector.web.change_signal import ChangeSignal
from collector.web.compare_page import ComparePage
from collector.web.due_page import DuePage, DueParts
from collector.web.evidence_download import EvidenceDownloads
from collector.web.file_routes import FileRoutes
from collector.web.headers import HEADERS, SecurityHeaders
from collector.web.hours_page import HoursPage
from collector.web.isps_page import IspsPage
from collector.web.line_files import LineFiles
from collector.web.line_page import LinePages
from collector.web.live_page import LivePage
from collector.web.mailing_page import MailingPage
from collector.web.maintenance_page import MaintenancePages
from collector.web.monitoring import MonitoringEndpoints
from collector.web.notes_page import NotesPage
from collector.web.open_data_page import Compression, OpenDataPages
from collector.web.overview_page import OverviewPage
from collector.web.page_context import COMPRESSION_LEVEL, PageContext
from collector.web.public_page import PublicPages
from collector.web.query import RefusedError
from collector.web.registry_page import RegistryPage
from collector.web.registry_probe_page import RegistryProbePage
from collector.web.reports_page import ReportsPage
from collector.web.responses import json_response
from collector.web.route_table import RouteTable
from collector.web.search_page import SearchPage
from collector.web.sign_in_page import SignInPages
from collector.web.static_files import ROUTES as STATIC_ROUTES
from collector.web.stored_api import StoredApi
from collector.web.system_page import SystemPage
from runtime.language import Language

# Each has a connection to the store, and all share one interpreter: more would answer no sooner.
_THREADS = 16
# Their errors are JSON unless a browser asks.
_FOR_PROGRAMS = (
    "/alerts.json",
    "/api/",
    "/open/",
    "/events",
    "/parts",
    "/healthz",
    "/metrics",
    "/static/",
)


class Web:
    """All routes. Handlers that query the store run in worker threads.

    `read_model` is the process's one, shared with the alerts. `evidence` returns what bundles are
    made of, with whole addresses or without; without it there are none to take. `open_data` is the
    folder of published months, `centre` the health of the centre itself, `mailings` the reports by
    e-mail, `office` the name that printed pages bear.
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
        evidence: Callable[[bool], BundleSources] | None = None,
        open_data: Path | None = None,
        centre: CentreMonitor | None = None,
        mailings: MailingSender | None = None,
        office: str = "",
    ) -> None:
        self._change_signal = change_signal
        self._context = PageContext(timezone, user_store, office)
        self._routes = [
            *OverviewPage(self._context, read_model).routes,
            *LineFiles(self._context, read_model).routes,
            *LinePages(
                self._context, read_model, sender, alerts, has_evidence=evidence is not None
            ).routes,
            *ComparePage(self._context, read_model).routes,
            *HoursPage(self._context, read_model).routes,
            *NotesPage(self._context, read_model).routes,
            *CampaignPage(self._context, read_model).routes,
            *IspsPage(self._context, read_model).routes,
            *SearchPage(self._context, read_model).routes,
            *SystemPage(self._context, read_model, certificates, ingest_status, centre).routes,
            *PublicPages(self._context, read_model).routes,
            *(OpenDataPages(self._context, open_data).routes if open_data else []),
            *RegistryPage(self._context, read_model).routes,
            *RegistryProbePage(self._context, read_model).routes,
            *(AlertsPage(self._context, read_model, alerts).routes if alerts else []),
            *FileRoutes(self._context, read_model, ingest_status, reports).routes,
            *MaintenancePages(self._context, read_model).routes,
            *(AlertPage(self._context, read_model, alerts).routes if alerts else []),
            *(
                ReportsPage(
                    self._context,
                    read_model,
                    reports,
                    has_evidence=evidence is not None,
                    has_mailings=mailings is not None,
                ).routes
                if reports
                else []
            ),
            *DuePage(
                self._context, read_model, DueParts(certificates, reports, alerts, mailings)
            ).routes,
            *(MailingPage(self._context, read_model, mailings).routes if mailings else []),
            *(
                EvidenceDownloads(self._context, read_model, reports, evidence).routes
                if evidence
                else []
            ),
            *Api(read_model).routes,
            *MonitoringEndpoints(read_model, ingest_status, centre).routes,
            *LivePage(self._context, read_model, change_signal).routes,
            *StoredApi(self._context, read_model).routes,
            *SignInPages(self._context).routes,
            *AuditPage(self._context).routes,
        ]

    def application(self) -> Starlette:
        """The ASGI application."""

        @asynccontextmanager
        async def lifespan(_app: Starlette) -> AsyncIterator[None]:
            self._change_signal.open()
            current_default_thread_limiter().total_tokens = _THREADS
            yield

        return Starlette(
            routes=[RouteTable([*self._routes, *STATIC_ROUTES])],
            middleware=[
                Middleware(SecurityHeaders),
                # Compressed, a page is a seventh of its size. Event streams are not compressed.
                # A page may reflect a query parameter beside a form token: tokens are salted, and
                # signed with their salt (BREACH).
                Middleware(Compression, minimum_size=1_000, compresslevel=COMPRESSION_LEVEL),
                Middleware(BodyLimit, is_user=self._is_user),
            ],
            exception_handlers={
                StoreError: self._on_unavailable,
                UserStoreError: self._on_unavailable,
                AlertStoreError: self._on_unavailable,
                HTTPException: self._on_http_error,
                Exception: self._on_fault,
            },
            lifespan=lifespan,
        )

    def _is_user(self, request: Request) -> bool:
        try:
            return self._context.visitor(request).user is not None
        except UserStoreError:
            return False

    def _on_unavailable(self, request: Request, error: Exception) -> Response:
        return self._refusal(request, 503, str(error))

    def _on_fault(self, request: Request, _error: Exception) -> Response:
        """A fault of ours. The server raises it again for its log; the answer has no detail."""
        answer = self._refusal(request, 500, "internal error")
        # It does not pass the middleware that adds them.
        for name, value in HEADERS.items():
            answer.headers.setdefault(name, value)
        return answer

    def _on_http_error(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        refused = error if isinstance(error, RefusedError) else None
        answer = self._refusal(request, error.status_code, error.detail, refused)
        answer.headers.update(error.headers or {})
        return answer

    def _refusal(
        self, request: Request, status: int, detail: str, refused: RefusedError | None = None
    ) -> Response:
        """An error: on a page in the visitor's language, to a program as JSON."""
        if status == 304 or not _is_for_people(request):
            return json_response({"error": detail}, status)
        locale = self._context.locale(request)
        name = refused.label if refused else f"refused_{status}"
        said = locale.label(name) if locale.has_label(name) else ""
        if refused:
            said, detail = f"{said} {refused.value}".strip(), ""
        elif said and status < 500 and locale.language is not Language.EN:
            # It is an English sentence, for programs.
            detail = ""
        return self._context.render_refusal(request, status, said, detail)


def _is_for_people(request: Request) -> bool:
    """Whether an error is shown as a page: by the address, and by what the client accepts."""
    accepted = request.headers.get("accept", "")
    if request.url.path.startswith(_FOR_PROGRAMS):
        return "text/html" in accepted
    return "application/json" not in accepted or "text/html" in accepted
