"""Floor 1. The contract as documents: JSON Schemas and an AsyncAPI 3 document, from the types.

Another collector can be written from these alone. They are generated (`python -m
deploy.contract`), kept in docs/contract/, and a test fails when they are not current.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from wire import json_schema, topics
from wire.commands import Identify, Measure, Reload, Replay, Reply
from wire.envelope import SCHEMA, Envelope
from wire.messages import Health, Info, Receipt, State
from wire.result import KINDS

Document = dict[str, Any]
_REF = "#/components/schemas/{name}"


class _Channel(Struct, frozen=True):
    """One row of the contract's topic table."""

    name: str
    address: str
    message: type[Struct]
    retained: bool
    from_probe: bool
    summary: str


_CHANNELS = [
    _Channel("results", "m/{kind}", Envelope, False, True, "1 to n results of one kind"),
    _Channel("state", "state", State, True, True, "online, offline; lost is the last will"),
    _Channel("info", "info", Info, True, True, "who the probe is"),
    _Channel("health", "health", Health, False, True, "how the box is"),
    _Channel("receipt", "receipt", Receipt, True, False, "what the centre has stored"),
    _Channel("identify", "cmd/identify", Identify, False, False, "to flash its LEDs"),
    _Channel("measure", "cmd/measure", Measure, False, False, "to measure a kind on a line now"),
    _Channel("replay", "cmd/replay", Replay, False, False, "to send kept results again"),
    _Channel("reload", "cmd/reload", Reload, False, False, "to read its configuration anew"),
    _Channel("reply", "reply", Reply, False, True, "what became of a command"),
]


def schema_of(message: type[Struct]) -> Document:
    """The JSON Schema (2020-12) of one payload, complete in itself."""
    dialect = "https://json-schema.org/draft/2020-12/schema"
    return {"$schema": dialect, **json_schema.schema_of(message)}


def json_schemas() -> dict[str, Document]:
    """File name to JSON Schema, one for each payload of the contract."""
    return {
        f"{row.message.__name__.lower()}.schema.json": schema_of(row.message) for row in _CHANNELS
    }


def asyncapi() -> Document:
    """The contract as an AsyncAPI 3.0 document."""
    messages = [row.message for row in _CHANNELS]
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Tramdo on MQTT",
            "version": SCHEMA.partition("/")[2],
            "description": "Payloads are JSON, UTF-8. Every topic is QoS 1. "
            "`(probe, epoch, seq)` identifies a result for ever.",
        },
        "defaultContentType": "application/json",
        "channels": {row.name: _channel(row) for row in _CHANNELS},
        "operations": {row.name: _operation(row) for row in _CHANNELS},
        "components": {
            "schemas": json_schema.components_of(messages, _REF),
            "messages": {row.name: _message(row) for row in _CHANNELS},
        },
    }


def _channel(row: _Channel) -> Document:
    parameters: Document = {
        "tenant": {"description": "who runs the campaign: a-z, 0-9 and -, 1 to 40"},
        "probe": {"description": "the probe: client id and certificate common name"},
    }
    if "{kind}" in row.address:
        parameters["kind"] = {"description": "kind of result", "enum": sorted(KINDS)}
    return {
        "address": f"{topics.ROOT}/{{tenant}}/{{probe}}/{row.address}",
        "title": row.summary,
        "messages": {row.name: {"$ref": f"#/components/messages/{row.name}"}},
        "parameters": parameters,
    }


def _operation(row: _Channel) -> Document:
    return {
        "action": "send" if row.from_probe else "receive",
        "channel": {"$ref": f"#/channels/{row.name}"},
        "summary": f"the probe {'publishes' if row.from_probe else 'is told'} {row.summary}",
        "bindings": {"mqtt": {"qos": 1, "retain": row.retained}},
    }


def _message(row: _Channel) -> Document:
    return {
        "name": row.message.__name__,
        "contentType": "application/json",
        "payload": {"$ref": f"#/components/schemas/{row.message.__name__}"},
    }
