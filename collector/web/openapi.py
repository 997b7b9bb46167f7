"""Floor 1. The OpenAPI 3.1 document of the JSON API; schemas are made from the response types."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from collector.web import api_answers
from collector.web.families_view import CHOICES
from collector.web.open_data_view import MEDIA_TYPES, OTHER_MEDIA_TYPE
from wire import json_schema

_DAYS = {
    "name": "days",
    "in": "query",
    "description": "whole local days back, today included",
    "schema": {"type": "integer", "enum": [1, 7, 30, 90], "default": 7},
}
_FILTERS = [
    {
        "name": name,
        "in": "query",
        "description": f"{text}; another value is an error 400, an empty one is none",
        "schema": {"type": "string"} | more,
    }
    for name, text, more in (
        ("province", "two-digit code of a province", {"pattern": "^([0-9]{2})?$"}),
        ("group", "id of a group in the registry", {}),
        ("isp", "id of an ISP in the registry", {}),
    )
]
# Open data are of a month where nothing else is asked for.
_OPEN_DAYS = _DAYS | {"schema": {"type": "integer", "enum": [1, 7, 30, 90], "default": 30}}
_FAMILY = {
    "name": "family",
    "in": "query",
    "description": "one address family alone; all together where it is missing. `unstated`: "
    "results of probes before 0.2.0, and what belongs to no family",
    "schema": {"type": "string", "enum": list(CHOICES)},
}
_OPEN = [*_FILTERS[:2], _OPEN_DAYS, _FAMILY]
_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
# Of a probe and its line, for the paths that name one.
_EXAMPLES = {
    "tenant": "bach-thong", "probe": "tram-01969-1", "line": "vnpt", "path": "key.pem",
}  # fmt: skip


def document(types: Sequence[type[msgspec.Struct]]) -> dict[str, Any]:
    """The document. `types` are the response types of `/api/v1`."""
    every = [*types, *api_answers.TYPES]
    components = json_schema.components_of(every, "#/components/schemas/{name}")
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tramdo centre",
            "version": "1",
            "description": "Read-only. Units are in the names; null means unknown, never 0. "
            "Figures are indicative; the method is stated in docs/contract and on the pages.",
            "license": {"name": "CC BY 4.0", "identifier": "CC-BY-4.0"},
        },
        "paths": {
            "/api/v1/lines": _get(
                "Lines with their figures", "ApiLines", [*_FILTERS, _DAYS, _FAMILY]
            ),
            "/api/v1/lines/{tenant}/{probe}/{line}/series": _get(
                "One line over time, by hour up to 7 days, else by day",
                "ApiSeries",
                [*(_path(name) for name in ("tenant", "probe", "line")), _DAYS, _FAMILY],
                missing="no such line",
            ),
            "/api/probes": _get(
                "Probes as stored, with their latest receipts, by tenant and name; those after "
                "`after` (the `next_after` of the answer before)",
                "ApiProbes",
                [
                    {"name": "after", "in": "query", "schema": {"type": "string"}},
                    _integer("limit", 1, 1_000),
                ],
            ),
            "/api/results": _get(
                "Stored results, oldest first; after number `after`, or the newest; with "
                "`signatures=1` each has `signature`: checked, unsigned, unknown_key or mismatch",
                "ApiResults",
                [
                    _integer("after", 0, api_answers.NUMBER_MOST),
                    _integer("limit", 1, 1_000),
                    _integer("signatures", 0, 1),
                ],
            ),
            "/alerts.json": _get(
                "The newest alerts, open and ended, 200 where nothing else is asked for",
                "ApiAlerts",
                [_integer("limit", 1, 10_000)],
                missing="this centre watches for no alerts",
            ),
            "/open/lines.json": _get("Open data", "OpenLines", _OPEN),
            "/open/lines.csv": _get("Open data, for programs", None, _OPEN, "text/csv"),
            "/open/lines.xlsx": _get("Open data, for spreadsheets", None, _OPEN, _XLSX),
            "/open/communes.geojson": _get(
                "Open data, a point per commune",
                "OpenCommunes",
                _OPEN,
                "application/geo+json",
            ),
            "/open/months.json": _get("Published months of raw results", "OpenMonths", []),
            "/open/dictionary.json": _get(
                "Their data dictionary (Table Schema)", "OpenDictionary", []
            ),
            "/open/months/{path}": _file(),
            "/healthz": _healthz(),
            "/metrics": _get("Prometheus", None, [], "text/plain"),
        },
        "components": {
            "schemas": {
                **components,
                "Error": {
                    "type": "object",
                    "properties": {"error": {"type": "string"}},
                    "required": ["error"],
                },
            }
        },
    }


def _get(
    text: str,
    answer: str | None,
    parameters: Sequence[Any],
    media: str = "application/json",
    missing: str = "",
) -> dict[str, Any]:
    schema = {"type": "string"} if answer is None else _reference(answer)
    wrong = {
        "description": "what was expected, in `error`",
        "content": {"application/json": {"schema": _reference("Error")}},
    }
    return {
        "get": {
            "summary": text,
            "parameters": list(parameters),
            "responses": {
                "200": {"description": text, "content": {media: {"schema": schema}}},
                **({"400": wrong} if parameters else {}),
                **({"404": wrong | {"description": missing}} if missing else {}),
                "405": wrong | {"headers": {"Allow": {"schema": {"type": "string"}}}},
                "503": wrong,
            },
        }
    }


def _healthz() -> dict[str, Any]:
    """The same answer at 200 and 503."""
    path = _get("200 while results can be ingested and read, else 503", "Healthz", [])
    responses = path["get"]["responses"]
    responses["503"] = responses["200"] | {"description": "they cannot"}
    return path


def _file() -> dict[str, Any]:
    """A published file, whole or a part of it; what it holds is in its month's description."""
    path = _get(
        "A file of a month (its datapackage.json names them, Range is understood), or "
        "key.pem, the public key of datapackage.json.sig",
        None,
        [_path("path")],
        missing="no such file",
    )
    responses = path["get"]["responses"]
    media: dict[str, Any] = {one: {} for one in (*MEDIA_TYPES.values(), OTHER_MEDIA_TYPE)}
    responses["200"] = {"description": "the file", "content": media}
    responses["206"] = {"description": "the part that was asked for", "content": media}
    return path


def _reference(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _path(name: str) -> dict[str, Any]:
    schema = {"type": "string"}
    return {
        "name": name, "in": "path", "required": True, "schema": schema, "example": _EXAMPLES[name],
    }  # fmt: skip


def _integer(name: str, least: int, most: int) -> dict[str, Any]:
    schema = {"type": "integer", "minimum": least, "maximum": most}
    return {"name": name, "in": "query", "schema": schema}
