"""Floor 3. Bundles of evidence of a line or of an issued report, for users who may take them.

A bundle is made while it is sent: no file of it is stored, and a browser that stops ends the work.
It is in the audit trail, with its digest, before its last bytes are sent; what is cut off before is
no ZIP that can be read. One is made at a time.
"""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Callable, Iterator

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from collector.domain.read_model import ReadModel
from collector.evidence.bundle import BundlePieces, BundleSources, as_of
from collector.evidence.question import Question, question_of_issue
from collector.registry.registry import LineKey
from collector.reports.archive import ArchiveError
from collector.reports.service import ReportService
from collector.rollup.periods import Period, parse_period
from collector.users.user import Permission, User
from collector.web.page_context import PageContext
from collector.web.query import RefusedError, found_or_404

_ACTION = "take_evidence"

log = logging.getLogger(__name__)


class _Download:
    """The pieces of a bundle, the last of which comes when it is on record.

    `is_made` once nothing is left to be made of it: the reader may still be taking the last piece.
    """

    def __init__(self, bundle: BundlePieces, record: Callable[[str], None]) -> None:
        self._bundle, self._record = bundle, record
        self.is_made = False

    def __iter__(self) -> Iterator[bytes]:
        held, ended = None, False
        try:
            for piece in self._bundle:
                if held is not None:
                    yield held
                held = piece
            written = self._bundle.written
            assert written is not None
            assert held is not None
            ended = True
            self._record(f"sha256:{written.sha256}")
            self.is_made = True
            yield held
        finally:
            if not ended:
                log.warning("a bundle of evidence was not sent to its end")
                self._record("not sent to its end")


class EvidenceDownloads:
    """`/line/…/evidence` and `/papers/evidence/…`, both by a form with a token."""

    def __init__(
        self,
        context: PageContext,
        model: ReadModel,
        reports: ReportService | None,
        sources: Callable[[bool], BundleSources],
    ) -> None:
        self._context, self._model, self._reports = context, model, reports
        self._sources = sources
        self._lock = threading.Lock()
        self._running: weakref.ref[_Download] | None = None
        self.routes = [
            Route("/line/{tenant}/{probe}/{line}/evidence", self.of_line, methods=["POST"]),
            Route("/papers/evidence/{name}", self.of_issue, methods=["POST"]),
        ]

    async def of_line(self, request: Request) -> Response:
        """The bundle of a line and of the days that its page shows."""
        return await self._of(request, self._line)

    async def of_issue(self, request: Request) -> Response:
        """The bundle of an issued report."""
        return await self._of(request, self._issue)

    async def _of(
        self, request: Request, answer: Callable[[Request, dict[str, str]], Response]
    ) -> Response:
        fields = await self._context.form(request)
        return await run_in_threadpool(answer, request, fields)

    def _line(self, request: Request, fields: dict[str, str]) -> Response:
        path = request.path_params
        key = LineKey(path["tenant"], path["probe"], path["line"])
        registry = self._model.registry()
        found_or_404(registry.line(key), "such line in the registry")
        commune = registry.commune_of(key)
        user, whole = self._allowed(request, fields, commune.code if commune else None)
        period, now = _period(fields), self._model.now()
        if period.starts_at >= now:
            raise RefusedError("refused_not_begun", "these days have not begun")
        question = Question(
            lines=(key,),
            period=period,
            as_of=as_of(now, period.ends_at),
            whole_addresses=whole,
            every_line="every_line" in fields,
        )
        days = f"{period.first:%Y%m%d}-{period.last:%Y%m%d}"
        subject = f"{'/'.join(key)} {period.first}..{period.last}"
        name = f"evidence_{'_'.join(key)}_{days}.zip"
        bundle = BundlePieces(question, self._sources(whole))
        return self._sent(request, user, bundle, subject, name)

    def _issue(self, request: Request, fields: dict[str, str]) -> Response:
        user, whole = self._allowed(request, fields, None)
        name = request.path_params["name"]
        try:
            found = self._reports.archive.record(name) if self._reports else None
        except ArchiveError as error:
            raise HTTPException(503, str(error)) from error
        content, report = found_or_404(found, "such report")
        question = question_of_issue(
            name, report, whole_addresses=whole, every_line="every_line" in fields
        )
        bundle = BundlePieces(question, self._sources(whole), content)
        return self._sent(request, user, bundle, name, f"evidence_{name}.zip")

    def _allowed(
        self, request: Request, fields: dict[str, str], commune: str | None
    ) -> tuple[User, bool]:
        """The user, and whether whole addresses are wanted. Raises HTTPException."""
        user = self._context.require(request, Permission.TAKE_EVIDENCE, commune)
        whole = "addresses" in fields
        if whole:
            self._context.require(request, Permission.READ_ADDRESSES, commune)
        return user, whole

    def _sent(
        self, request: Request, user: User, bundle: BundlePieces, subject: str, name: str
    ) -> Response:
        def record(detail: str) -> None:
            self._context.audit(request, user.name, _ACTION, subject, detail)

        download = _Download(bundle, record)
        with self._lock:
            running = None if self._running is None else self._running()
            if running is not None and not running.is_made:
                raise HTTPException(503, "another bundle of evidence is being made")
            self._running = weakref.ref(download)
        return StreamingResponse(
            download,
            media_type="application/zip",
            headers={
                "Content-Disposition": f'attachment; filename="{name}"',
                "Cache-Control": "no-store",
            },
        )


def _period(fields: dict[str, str]) -> Period:
    try:
        return parse_period(f"{fields.get('first', '')}..{fields.get('last', '')}")
    except ValueError as error:
        raise RefusedError("refused_period", str(error)) from error
