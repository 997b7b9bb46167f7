"""Floor 3. `/metrics`."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from collector.domain.read_model import ReadModel
from collector.web import metrics


class MetricsPage:
    """For Prometheus."""

    def __init__(self, model: ReadModel) -> None:
        self._model = model
        self.routes = [Route("/metrics", self.page)]

    def page(self, _request: Request) -> Response:
        """The exposition."""
        model = self._model
        text = metrics.text(
            model.store.totals(),
            model.probes().values(),
            model.lines(),
            model.states(),
            model.overview(model.last_days(1)),
            model.now(),
        )
        return Response(text, headers={"Content-Type": metrics.CONTENT_TYPE})
