"""Floor 3. The endpoints for monitoring: `/metrics` (Prometheus) and `/healthz`."""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from collector.alerts.centre_monitor import CentreMonitor
from collector.domain.read_model import ReadModel
from collector.ingest.status import IngestStatus
from collector.store.store import StoreError
from collector.web import centre_metrics, metrics
from collector.web.responses import json_response


class MonitoringEndpoints:
    """`/metrics` and `/healthz`."""

    def __init__(
        self,
        model: ReadModel,
        ingest_status: Callable[[], IngestStatus],
        centre: CentreMonitor | None = None,
    ) -> None:
        self._model = model
        self._ingest_status = ingest_status
        self._centre = centre
        self.routes = [Route("/metrics", self.metrics), Route("/healthz", self.healthz)]

    def metrics(self, _request: Request) -> Response:
        """The metrics in Prometheus's text format."""
        model = self._model
        text = metrics.text(
            model.store.totals(),
            model.probes().values(),
            model.lines(),
            model.states(),
            model.overview(model.last_days(1)),
            model.overview_by_family(model.last_days(1)),
            model.now(),
            self._ingest_status(),
        )
        if self._centre is not None:
            text += centre_metrics.text(
                self._centre.figures(), self._centre.checks(), model.probes().values()
            )
        return Response(text, headers={"Content-Type": metrics.CONTENT_TYPE})

    def healthz(self, _request: Request) -> Response:
        """200 while results can be ingested and read, else 503; each problem as a sentence."""
        status = self._ingest_status()
        store_problem = status.store_trouble
        try:
            self._model.store.revision()
        except StoreError as error:
            store_problem = str(error)
        ok = store_problem is None and status.broker_trouble is None
        body: dict[str, object] = {
            "ok": ok,
            "broker": status.broker_trouble,
            "store": store_problem,
        }
        if status.holder:
            body |= {"holder": status.holder, "holds": [one.name for one in status.held]}
        return json_response(body, 200 if ok else 503)
