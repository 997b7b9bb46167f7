"""Floor 3. The JSON API over what is stored: probes, results, and whether all is well."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from collector.ingest.status import IngestStatus
from collector.store.messages import EpochKey
from collector.store.records import StoredResult
from collector.store.store import Store, StoreError
from collector.web.query import NUMBER_MOST, whole_number
from wire.ledger import Ledger

_RESULTS_DEFAULT, _RESULTS_MOST = 100, 1_000


class StoredApi:
    """`/api/probes`, `/api/results`, `/healthz`."""

    def __init__(self, store: Store, ingest_state: Callable[[], IngestStatus]) -> None:
        self._store = store
        self._ingest_state = ingest_state
        self.routes = [
            Route("/api/probes", self.probes),
            Route("/api/results", self.results),
            Route("/healthz", self.healthz),
        ]

    def probes(self, _request: Request) -> Response:
        """All that is known of every probe, and what its last receipt says."""
        ledgers = {key[:2]: (key, ledger) for key, ledger in self._store.ledgers().items()}
        return json_response(
            {
                "probes": [
                    msgspec.structs.asdict(probe)
                    | {"receipt": _receipt(ledgers.get((probe.tenant, probe.probe)))}
                    for probe in self._store.probes()
                ]
            }
        )

    def results(self, request: Request) -> Response:
        """Stored results, oldest first: after number `after`, or the newest ones without it."""
        query = request.query_params
        limit = whole_number("limit", query.get("limit"), _RESULTS_DEFAULT, 1, _RESULTS_MOST)
        if "after" in query:
            after = whole_number("after", query["after"], 0, 0, NUMBER_MOST)
            results = self._store.results_after(after, limit)
        else:
            after = 0
            results = self._store.newest_results(limit)
        return json_response(
            {
                "results": [_stored_result(result) for result in results],
                "next_after": results[-1].number if results else after,
            }
        )

    def healthz(self, _request: Request) -> Response:
        """200 while results can be taken in and read, else 503; what is wrong in words."""
        state = self._ingest_state()
        store_trouble = state.store_trouble
        try:
            self._store.revision()
        except StoreError as error:
            store_trouble = str(error)
        well = store_trouble is None and state.broker_trouble is None
        told = {"ok": well, "broker": state.broker_trouble, "store": store_trouble}
        return json_response(told, 200 if well else 503)


def json_response(
    value: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """A value of ours as JSON."""
    return Response(msgspec.json.encode(value), status, headers, media_type="application/json")


def _stored_result(result: StoredResult) -> Mapping[str, Any]:
    fields = msgspec.structs.asdict(result)
    return fields | {"result": msgspec.Raw(fields.pop("body"))}


def _receipt(entry: tuple[EpochKey, Ledger] | None) -> Mapping[str, Any] | None:
    if entry is None:
        return None
    key, ledger = entry
    return {
        "epoch": key.epoch,
        "stored_through": ledger.stored_through,
        "missing": ledger.missing,
    }
