"""Floor 3. The JSON API over stored data: probes and results as the probes sent them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from collector.store.messages import EpochKey
from collector.store.records import StoredResult
from collector.store.store import Store
from collector.web.query import NUMBER_MOST, whole_number
from collector.web.responses import json_response
from wire.ledger import Ledger

_RESULTS_DEFAULT, _RESULTS_MOST = 100, 1_000


class StoredApi:
    """`/api/probes` and `/api/results`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.routes = [
            Route("/api/probes", self.probes),
            Route("/api/results", self.results),
        ]

    def probes(self, _request: Request) -> Response:
        """Every probe as stored, with its latest receipt."""
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
        """Stored results in ascending order: those after number `after`, or the newest."""
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
