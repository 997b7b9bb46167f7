"""Floor 3. The JSON API over stored data: probes and results as the probes sent them.

Whole addresses of lines are for users with the permission to read them everywhere
(`collector.web.personal_data`).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from collector.domain.read_model import ReadModel
from collector.store.messages import EpochKey
from collector.store.records import StoredResult
from collector.users.user import Permission
from collector.web.api_answers import NUMBER_MOST
from collector.web.page_context import PageContext
from collector.web.personal_data import own_addresses, redacted_probe, redacted_result
from collector.web.query import whole_number
from collector.web.responses import json_response
from wire.ledger import Ledger

_RESULTS_DEFAULT, _RESULTS_MOST = 100, 1_000
_PROBES_MOST = 1_000
# Beside the values of `SignatureOutcome`.
_UNSIGNED = "unsigned"


class StoredApi:
    """`/api/probes` and `/api/results`."""

    def __init__(self, context: PageContext, model: ReadModel) -> None:
        self._context = context
        self._model = model
        self._store = model.store
        self.routes = [
            Route("/api/probes", self.probes),
            Route("/api/results", self.results),
        ]

    def probes(self, request: Request) -> Response:
        """The probes as stored, each with its latest receipt, by tenant and name.

        At most `limit`, those after `after` (tenant/name); `next_after` is None with the last one.
        """
        query = request.query_params
        limit = whole_number("limit", query.get("limit"), _PROBES_MOST, 1, _PROBES_MOST)
        snapshot = self._model.snapshot()
        tenant, _, name = query.get("after", "").partition("/")
        begin = bisect_right(snapshot.names, (tenant, name))
        names = snapshot.names[begin : begin + limit]
        shown = (lambda probe: probe) if self._may_read(request) else redacted_probe
        ledgers = {key[:2]: (key, ledger) for key, ledger in self._model.ledgers().items()}
        return json_response(
            {
                "probes": [
                    msgspec.structs.asdict(shown(snapshot.probes[key]))
                    | {"receipt": _receipt(ledgers.get(key))}
                    for key in names
                ],
                "next_after": "/".join(names[-1]) if len(snapshot.names) > begin + limit else None,
            }
        )

    def results(self, request: Request) -> Response:
        """Stored results in ascending order: those after number `after`, or the newest.

        With `signatures=1` each says whether it is what its probe signed.
        """
        query = request.query_params
        signed = whole_number("signatures", query.get("signatures"), 0, 0, 1)
        limit = whole_number("limit", query.get("limit"), _RESULTS_DEFAULT, 1, _RESULTS_MOST)
        if "after" in query:
            after = whole_number("after", query["after"], 0, 0, NUMBER_MOST)
            results = self._store.results_after(after, limit)
        else:
            after = 0
            results = self._store.newest_results(limit)
        outcomes = self._store.signature_outcomes(results) if signed else []
        if not self._may_read(request):
            results = self._redacted(results)
        shown = [_stored_result(result) for result in results]
        for fields, outcome in zip(shown, outcomes, strict=bool(signed)):
            fields["signature"] = outcome or _UNSIGNED
        return json_response(
            {
                "results": shown,
                "next_after": results[-1].number if results else after,
            }
        )

    def _may_read(self, request: Request) -> bool:
        return self._context.visitor(request).may(Permission.READ_ADDRESSES)

    def _redacted(self, results: Sequence[StoredResult]) -> list[StoredResult]:
        probes = self._model.probes()
        known = {
            key: own_addresses(probes.get(key))
            for key in {(result.tenant, result.probe) for result in results}
        }
        return [_redacted(result, known[result.tenant, result.probe]) for result in results]


def _redacted(result: StoredResult, known: Collection[str]) -> StoredResult:
    body = redacted_result(result.body, known)
    return result if body is result.body else msgspec.structs.replace(result, body=body)


def _stored_result(result: StoredResult) -> dict[str, Any]:
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
