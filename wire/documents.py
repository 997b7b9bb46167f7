"""Floor 1. The contract as documents: JSON Schemas and an AsyncAPI 3 document, from the types.

Another collector can be written from these alone. They are generated (`python -m
deploy.contract`), kept in docs/contract/, and a test fails when they are not current. How to read
the figures is in docs/contract/README.md, written by hand as are the examples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from wire import json_schema, topics
from wire.commands import Identify, Measure, Reload, Replay, Reply
from wire.envelope import SCHEMA, Envelope
from wire.messages import Health, Info, Receipt, State
from wire.result import KINDS

Document = dict[str, Any]
_DESCRIPTION = """\
Payloads are JSON, UTF-8. Every topic is QoS 1. `(probe, epoch, seq)` identifies a result for ever:
a message may come more than once, a result counts once.

Units are in the names. Null is not known, never 0. Times are UTC.

- **Speed.** `download_whole_bps` and `upload_whole_bps` of kind `throughput` are all bytes over all
  of the time, slow start included: hold these against a plan (QCVN 34:2022/BTTTT). `download_bps`
  and `upload_bps` leave out the warm-up: what the line carries once it is up to speed.
- **Validity.** A figure whose `validity` is empty, or has only `clock_unsynced` or
  `clock_repaired`, may enter a mean. What each other value keeps out is in docs/contract/README.md.
- **On demand.** A speed test (`throughput`, `http`) whose `slot_at` is null was asked for by
  somebody: leave it out of means.
"""
_REF = "#/components/schemas/{name}"


class Channel(Struct, frozen=True):
    """One row of the contract's topic table."""

    name: str
    address: str
    message: type[Struct]
    retained: bool
    from_probe: bool
    summary: str


CHANNELS = [
    Channel("results", "m/{kind}", Envelope, False, True, "1 to n results of one kind"),
    Channel("state", "state", State, True, True, "online, offline; lost is the last will"),
    Channel("info", "info", Info, True, True, "who the probe is"),
    Channel("health", "health", Health, False, True, "how the box is"),
    Channel("receipt", "receipt", Receipt, True, False, "what the centre has stored"),
    Channel("identify", "cmd/identify", Identify, False, False, "to flash its LEDs"),
    Channel("measure", "cmd/measure", Measure, False, False, "to measure a kind on a line now"),
    Channel("replay", "cmd/replay", Replay, False, False, "to send kept results again"),
    Channel("reload", "cmd/reload", Reload, False, False, "to read its configuration anew"),
    Channel("reply", "reply", Reply, False, True, "what became of a command"),
]


def schema_of(message: type[Struct]) -> Document:
    """The JSON Schema (2020-12) of one payload, complete in itself."""
    dialect = "https://json-schema.org/draft/2020-12/schema"
    return {"$schema": dialect, **json_schema.schema_of(message)}


def json_schemas() -> dict[str, Document]:
    """File name to JSON Schema, one for each payload of the contract."""
    return {file_of(row): schema_of(row.message) for row in CHANNELS}


def file_of(row: Channel) -> str:
    """The name of the file with the schema of a channel's payload."""
    return f"{row.message.__name__.lower()}.schema.json"


def schema_file(topic: topics.Topic) -> str:
    """The name of the file with the schema of what is published on a topic.

    Raises:
        StopIteration: no such command.
    """
    tail = topic.kind if topic.channel == "cmd" else topic.channel
    name = "results" if topic.channel == "m" else tail
    return file_of(next(row for row in CHANNELS if row.name == name))


# Where a broker is set up as deploy/broker has it. The host is the tenant's own.
_HOST = {
    "broker": {"description": "the tenant's broker", "default": "broker.example.vn"},
}
_SERVERS: Document = {
    "reader": {
        "host": "{broker}:8884",
        "protocol": "secure-mqtt",
        "protocolVersion": "5.0",
        "variables": _HOST,
        "description": "MQTT 5 (or 3.1.1) over TLS 1.2 or newer, for collectors and for readers. "
        "A reader may subscribe to results, state, info and health of its tenant, by topic filters "
        "such as tramdo/v1/+/+/m/+, and may publish nothing. Its client id is its user name.",
        "security": [{"$ref": "#/components/securitySchemes/password"}],
    },
    "probe": {
        "host": "{broker}:8883",
        "protocol": "secure-mqtt",
        "protocolVersion": "5.0",
        "variables": _HOST,
        "description": "MQTT over TLS 1.2 or newer, for probes.",
        "security": [{"$ref": "#/components/securitySchemes/certificate"}],
    },
    "websocket": {
        "host": "{broker}:443",
        "pathname": "/mqtt",
        "protocol": "wss",
        "protocolVersion": "5.0",
        "variables": _HOST,
        "description": "MQTT in WebSocket over TLS, where a firewall blocks the other ports.",
        "security": [{"$ref": "#/components/securitySchemes/password"}],
    },
}
_SECURITY_SCHEMES: Document = {
    "password": {
        "type": "userPassword",
        "description": "The tenant's administrator adds a reader to the broker "
        "(docs/contract/README.md) and hands over user name, password and the CA certificate.",
    },
    "certificate": {
        "type": "X509",
        "description": "Signed by the tenant's authority; its common name is the probe's name.",
    },
}


def asyncapi(examples: Mapping[str, Sequence[Document]]) -> Document:
    """The contract as an AsyncAPI 3.0 document.

    Args:
        examples: channel name to message examples (`name`, `payload`).
    """
    messages = [row.message for row in CHANNELS]
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Tramdo on MQTT",
            "version": SCHEMA.partition("/")[2],
            "description": _DESCRIPTION,
            "license": {
                "name": "Apache-2.0",
                "url": "https://www.apache.org/licenses/LICENSE-2.0",
            },
        },
        "servers": _SERVERS,
        "defaultContentType": "application/json",
        "channels": {row.name: _channel(row) for row in CHANNELS},
        "operations": {row.name: _operation(row) for row in CHANNELS},
        "components": {
            "schemas": json_schema.components_of(messages, _REF),
            "messages": {row.name: _message(row, examples[row.name]) for row in CHANNELS},
            "securitySchemes": _SECURITY_SCHEMES,
        },
    }


def _channel(row: Channel) -> Document:
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


def _operation(row: Channel) -> Document:
    return {
        "action": "send" if row.from_probe else "receive",
        "channel": {"$ref": f"#/channels/{row.name}"},
        "summary": f"the probe {'publishes' if row.from_probe else 'is told'} {row.summary}",
        "bindings": {"mqtt": {"qos": 1, "retain": row.retained}},
    }


def _message(row: Channel, examples: Sequence[Document]) -> Document:
    return {
        "name": row.message.__name__,
        "contentType": "application/json",
        "payload": {"$ref": f"#/components/schemas/{row.message.__name__}"},
        "examples": list(examples),
    }
