"""Floor 3. `/metrics`."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from collector.domain.read_model import ReadModel
from collector.web import metrics


class MetricsPage:
    """For Prometheus."""

    def __init__(self, centre: ReadModel) -> None:
        self._centre = centre
        self.routes = [Route("/metrics", self.page)]

    def page(self, _request: Request) -> Response:
        """The exposition."""
        centre = self._centre
        text = metrics.text(
            centre.store.totals(),
            centre.probes().values(),
            centre.lines(),
            centre.states(),
            centre.overview(centre.last_days(1)),
            centre.now(),
        )
        return Response(text, headers={"Content-Type": metrics.CONTENT_TYPE})
