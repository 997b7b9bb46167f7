"""Floor 3. Page 5, the health of the system itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from collector.domain.lines import certificate_ends_at
from collector.domain.read_model import ReadModel
from collector.web import system_view as view
from collector.web.formatting import moment
from collector.web.site import Site
from runtime.certificate_file import ends_at

# The last so many are looked at; the store keeps as many as it was told.
_REJECTED = 1_000
_SOON_DAYS = 30
# A box asks for a new one so long before the end (docs/security.md).
_RENEW_DAYS = 60


class SystemPage:
    """`/system`. `certificates` are the files of ours whose end is watched."""

    def __init__(self, site: Site, centre: ReadModel, certificates: Sequence[Path]) -> None:
        self._site = site
        self._centre = centre
        self._certificates = certificates
        self.routes = [Route("/system", self.page)]

    def page(self, request: Request) -> Response:
        """All of it on one page."""
        centre, reader = self._centre, self._site.reader(request)
        store, now = centre.store, centre.now()
        certificates = []
        own = [(path.name, ends_at(path)) for path in self._certificates]
        for name, ends in (*own, *self._of_probes(now)):
            left = None if ends is None else (ends - now).days
            certificates.append(
                (
                    name,
                    None if ends is None else moment(ends, reader.language, reader.timezone),
                    left,
                    left is not None and left > _SOON_DAYS,
                )
            )
        return self._site.render(
            request,
            "system.html",
            health=view.health(
                list(centre.probes().values()),
                store.ledgers(),
                store.rejected_after(0, _REJECTED),
                store.totals(),
                now,
                reader,
            ),
            totals=store.totals(),
            certificates=certificates,
        )

    def _of_probes(self, now: datetime) -> Iterator[tuple[str, datetime]]:
        """Those that are to be renewed: nobody reads thousands of the others."""
        for (_, name), probe in sorted(self._centre.probes().items()):
            ends = certificate_ends_at(probe)
            if ends is not None and (ends - now).days <= _RENEW_DAYS:
                yield name, ends
