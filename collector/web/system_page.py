"""Floor 3. The system page: the health of probes, broker messages and certificates."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from collector.domain.lines import certificate_ends_at
from collector.domain.read_model import ReadModel
from collector.ingest.status import IngestStatus
from collector.web import system_view as view
from collector.web.page_context import PageContext
from runtime.certificate_file import ends_at

# How many of the last rejected messages are listed at most.
_REJECTED = 1_000
# A probe requests renewal this many days before expiry (docs/security.md).
_RENEW_DAYS = 60


class SystemPage:
    """`/system`. `certificates` are the centre's certificate files."""

    def __init__(
        self,
        context: PageContext,
        model: ReadModel,
        certificates: Sequence[Path],
        ingest_status: Callable[[], IngestStatus],
    ) -> None:
        self._context = context
        self._model = model
        self._certificates = certificates
        self._ingest_status = ingest_status
        self.routes = [Route("/system", self.page)]

    def page(self, request: Request) -> Response:
        """The page."""
        model, locale = self._model, self._context.locale(request)
        store, now, status = model.store, model.now(), self._ingest_status()
        own = [(path.name, ends_at(path)) for path in self._certificates]
        certificates = [
            view.certificate_row(name, ends, now, locale)
            for name, ends in (*own, *self._of_probes(now))
        ]
        return self._context.render(
            request,
            "system.html",
            health=view.system_health(
                list(model.probes().values()),
                store.ledgers(),
                store.rejected_after(0, _REJECTED),
                store.totals(),
                status.name_conflicts,
                now,
                locale,
            ),
            client_id_taken=status.client_id_taken,
            totals=store.totals(),
            certificates=certificates,
        )

    def _of_probes(self, now: datetime) -> Iterator[tuple[str, datetime]]:
        """The probes' certificates that are due for renewal."""
        for (_, name), probe in sorted(self._model.probes().items()):
            ends = certificate_ends_at(probe)
            if ends is not None and (ends - now).days <= _RENEW_DAYS:
                yield name, ends
