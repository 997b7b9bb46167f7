"""Floor 1. The OpenAPI 3.1 document of the JSON API; schemas are made from the response types."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from collector.web.families_view import CHOICES
from wire import json_schema

_DAYS = {
    "name": "days",
    "in": "query",
    "description": "whole local days back, today included",
    "schema": {"type": "integer", "enum": [1, 7, 30, 90], "default": 7},
}
_FILTERS = [
    {"name": name, "in": "query", "description": text, "schema": {"type": "string"} | more}
    for name, text, more in (
        ("province", "two-digit province code", {"pattern": "^([0-9]{2})?$"}),
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
_FREE = {"type": "object", "additionalProperties": True}
_OPEN = [*_FILTERS[:2], _OPEN_DAYS, _FAMILY]
_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_JSON = ("application/json", "application/geo+json")


def document(types: Sequence[type[msgspec.Struct]]) -> dict[str, Any]:
    """The document. `types` are the response types of `/api/v1`."""
    components = json_schema.components_of(types, "#/components/schemas/{name}")
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
                None,
                [
                    {"name": "after", "in": "query", "schema": {"type": "string"}},
                    _integer("limit", 1, 1_000),
                ],
            ),
            "/api/results": _get(
                "Stored results, oldest first; after number `after`, or the newest; with "
                "`signatures=1` each has `signature`: checked, unsigned, unknown_key or mismatch",
                None,
                [
                    _integer("after", 0, None),
                    _integer("limit", 1, 1_000),
                    _integer("signatures", 0, 1),
                ],
            ),
            "/open/lines.json": _get("Open data", None, _OPEN),
            "/open/lines.csv": _get("Open data, for programs", None, _OPEN, "text/csv"),
            "/open/lines.xlsx": _get("Open data, for spreadsheets", None, _OPEN, _XLSX),
            "/open/communes.geojson": _get(
                "Open data, a point per commune",
                None,
                _OPEN,
                "application/geo+json",
            ),
            "/open/months.json": _get("Published months of raw results", None, []),
            "/open/dictionary.json": _get("Their data dictionary (Table Schema)", None, []),
            "/open/months/{path}": _get(
                "A file of a month (its datapackage.json names them, Range is understood), or "
                "key.pem, the public key of datapackage.json.sig",
                None,
                [_path("path")],
                "application/octet-stream",
                missing="no such file",
            ),
            "/healthz": _get("200 while results can be ingested and read, else 503", None, []),
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
    schema: dict[str, Any] = _FREE if media in _JSON else {"type": "string"}
    if answer is not None:
        schema = {"$ref": f"#/components/schemas/{answer}"}
    wrong = {
        "description": "what was expected, in `error`",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
    }
    return {
        "get": {
            "summary": text,
            "parameters": list(parameters),
            "responses": {
                "200": {"description": text, "content": {media: {"schema": schema}}},
                "400": wrong,
                **({"404": wrong | {"description": missing}} if missing else {}),
                "405": wrong | {"headers": {"Allow": {"schema": {"type": "string"}}}},
                "503": wrong,
            },
        }
    }


def _path(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _integer(name: str, least: int, most: int | None) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "integer", "minimum": least}
    if most is not None:
        schema["maximum"] = most
    return {"name": name, "in": "query", "schema": schema}
