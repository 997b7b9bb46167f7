"""Floor 3. The system page: the health of the centre, of probes, messages and certificates."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from collector.alerts.centre_monitor import CentreMonitor
from collector.domain.lines import certificate_ends_at
from collector.domain.read_model import ReadModel
from collector.ingest.status import IngestStatus
from collector.store.records import StoredProbe
from collector.web import health_view
from collector.web import system_view as view
from collector.web.page_context import PageContext
from collector.web.presentation import Locale
from collector.web.query import one_of
from runtime.certificate_file import ends_at

# How many of the last rejected messages are listed at most.
_REJECTED = 1_000
# A probe requests renewal this many days before expiry (docs/security.md).
_RENEW_DAYS = 60
# It reads every probe and ledger; some of what it states changes with time alone.
_SHARED_S = 2.0


class SystemPage:
    """`/system`. `certificates` are the centre's certificate files, `centre` its own health."""

    def __init__(
        self,
        context: PageContext,
        model: ReadModel,
        certificates: Sequence[Path],
        ingest_status: Callable[[], IngestStatus],
        centre: CentreMonitor | None = None,
    ) -> None:
        self._context = context
        self._model = model
        self._certificates = certificates
        self._ingest_status = ingest_status
        self._centre = centre
        self.routes = [Route("/system", self.page)]

    def page(self, request: Request) -> Response:
        """The page."""
        model, locale = self._model, self._context.locale(request)
        asked = request.query_params.get("version")
        # Only who asks for a version waits for the probes to be sorted by it; the page is shared.
        known = view.by_version(model.probes().values()) if asked else {}
        version = one_of("version", asked, known)

        def content() -> Mapping[str, object]:
            return self._content(locale, version)

        return self._context.render_shared(
            request, "system.html", (version,), lambda: model.invalidations, content, _SHARED_S
        )

    def _content(self, locale: Locale, version: str) -> Mapping[str, object]:
        model, store, now = self._model, self._model.store, self._model.now()
        probes, totals, status = model.probes(), store.totals(), self._ingest_status()
        own = [(path.name, ends_at(path)) for path in self._certificates]
        due = list(_due_for_renewal(probes, now))
        of_version = view.by_version(probes.values())
        checks = [] if self._centre is None else self._centre.checks()
        return {
            "checks": [health_view.check_row(check, locale) for check in checks],
            "worst": health_view.summary(checks, locale),
            "versions": view.version_rows(of_version),
            "version": version,
            "of_version": view.probe_rows(of_version.get(version, ()), locale) if version else [],
            "of_version_all": len(of_version.get(version, ())),
            "health": view.system_health(
                list(probes.values()),
                model.ledgers(),
                store.rejected_after(0, _REJECTED),
                totals,
                status.name_conflicts,
                now,
                locale,
            ),
            "client_id_taken": status.client_id_taken,
            "leases": view.lease_rows(status, locale),
            "totals": totals,
            "certificates": [
                view.certificate_row(name, ends, now, locale)
                for name, ends in (*own, *due[: view.ROWS_MOST])
            ],
            "certificates_all": len(own) + len(due),
        }


def _due_for_renewal(
    probes: Mapping[tuple[str, str], StoredProbe], now: datetime
) -> Sequence[tuple[str, datetime]]:
    """The probes' certificates that are due for renewal, by when they end."""
    found = ((name, certificate_ends_at(probe)) for (_, name), probe in probes.items())
    due = [
        (name, ends)
        for name, ends in found
        if ends is not None and (ends - now).days <= _RENEW_DAYS
    ]
    return sorted(due, key=lambda pair: (pair[1], pair[0]))
