"""Floor 1. The other payloads of the contract: state, info, health, receipt.

Each is one frozen type, JSON on the wire, decoded strictly. The topics are in `wire.topics`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, TypeVar
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from wire.commands import Reply
from wire.decoding import decode_json
from wire.record import BitsPerSecond, Count, Line, LineOperator, Name, Seq, Text, Utc
from wire.site import Site

T = TypeVar("T")

# The DER of RFC 5280 in base64 (RFC 4648 §4); one of P-256 takes 600 characters.
Certificate = Annotated[
    str,
    Meta(
        max_length=8192,
        pattern=r"^[0-9A-Za-z+/]+={0,2}\Z",
        description="a certificate (RFC 5280), its DER in base64",
    ),
]
# An epoch is 39 bytes of JSON, so these take 4 KB of an `info`.
MAX_NAMED_EPOCHS = 100


class Presence(StrEnum):
    """The presence on a probe's `state` topic; `lost` is its last will."""

    ONLINE = "online"
    OFFLINE = "offline"
    LOST = "lost"


class LineState(StrEnum):
    """The present state of a line, as its probe sees it."""

    UNKNOWN = "unknown"
    GOOD = "good"
    DEGRADED = "degraded"
    DOWN = "down"


class State(Struct, frozen=True, forbid_unknown_fields=True):
    """Retained on `state`. A last will has no time, because it is set at the connect."""

    presence: Presence
    at: Utc | None = None


class PlannedKind(Struct, frozen=True, forbid_unknown_fields=True):
    """How often a probe plans to measure a kind on a line, so that the centre can detect gaps.

    The mean of the month: 49 tests in 30 days are 1.6333 a day. `line` None: on each of its lines.
    """

    kind: Name
    per_line_and_day: Annotated[float, Meta(ge=0, le=100_000)]
    line: Name | None = None


class Ceiling(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a probe's host itself can do by a line's interface, measured against a LAN peer.

    TCP payload. To assess 0.8 of a plan it must be 0.9 of the plan or more
    (docs/method.md#validity, V6).
    """

    line: Name
    peer: Text
    measured_at: Utc
    download_bps: BitsPerSecond | None
    upload_bps: BitsPerSecond | None


class Info(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Retained on `info`: the probe's description. Sent on each connect and when it changes.

    `epochs` are epochs of which the probe still keeps results, the newest first; the centre answers
    with a receipt of each. With more than a message may have, those that the centre has still to
    speak of come first. Absent from a probe that has seen no receipt with a number: a centre that
    gives none may not know the field. `receipt_generation` is the highest that it has accepted.
    `certificate` is the client certificate whose key signs its results (`wire.signature`); absent
    as `epochs` is, and from a probe that does not sign.
    """

    probe_version: Text
    epoch: UUID
    site: Site
    lines: Annotated[list[Line], Meta(max_length=64)]
    plan: Annotated[list[PlannedKind], Meta(max_length=1_000)]
    config_hash: Text
    started_at: Utc
    ceilings: Annotated[list[Ceiling], Meta(max_length=64)] = []
    epochs: Annotated[list[UUID], Meta(max_length=MAX_NAMED_EPOCHS)] | UnsetType = UNSET
    receipt_generation: Count | UnsetType = UNSET
    certificate: Certificate | UnsetType = UNSET


class Health(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """On `health` every few minutes: the state of the probe's host."""

    at: Utc
    pending: Count
    outbox_bytes: Count
    clock_synchronised: bool | None
    temperature_c: float | None
    throttled: bool | None
    disk_free_bytes: Count | None
    memory_available_bytes: Count
    uptime_s: float
    leds: Annotated[dict[Annotated[str, Meta(max_length=100)], Text], Meta(max_length=200)]
    # Of the probe's client certificate; None where it has none or cannot read it.
    certificate_ends_at: Utc | None = None
    # The state of each line by its id; None from a probe before 0.2.0: then its LEDs say it.
    lines: Annotated[dict[Name, LineState], Meta(max_length=64)] | None = None
    # Who carries each line by its id, over each family that was asked; None from older probes.
    operators: (
        Annotated[
            dict[Name, Annotated[list[LineOperator], Meta(max_length=2)]], Meta(max_length=64)
        ]
        | None
    ) = None


class Receipt(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Retained on `receipt`: which results of an epoch are committed to the centre's store.

    Every seq up to `stored_through` is stored except the `missing` ranges (first, last), both
    ends included. A receipt replaces the one before it, also when it covers less (a store restored
    from a backup).

    `generation` grows each time a centre opens its store, `number` with each receipt that it
    publishes meanwhile: a probe accepts none that is lower, by generation and then number, than one
    that it has accepted. Both are absent for a probe whose `info` names no epochs.
    """

    epoch: UUID
    stored_through: Count
    missing: list[tuple[Seq, Seq]] = []
    at: Utc
    generation: Count | UnsetType = UNSET
    number: Count | UnsetType = UNSET

    @property
    def order(self) -> tuple[int, int] | None:
        """(generation, number), by which receipts are ordered; None where it has none."""
        if isinstance(self.generation, int) and isinstance(self.number, int):
            return self.generation, self.number
        return None


class Rejection(StrEnum):
    """Why the collector rejected a message: a closed list."""

    TOO_LARGE = "too_large"
    NOT_JSON = "not_json"
    NOT_ZLIB = "not_zlib"
    DECOMPRESSED_TOO_LARGE = "decompressed_too_large"
    SCHEMA = "schema"
    TOPIC = "topic"
    IDENTITY = "identity"
    KIND = "kind"
    TOO_MANY = "too_many"
    TOO_MANY_TARGETS = "too_many_targets"
    TOO_SCATTERED = "too_scattered"
    NUMBER_REUSED = "number_reused"
    UNSTORABLE = "unstorable"


Payload = State | Info | Health | Receipt | Reply


def encode(message: Payload) -> bytes:
    """Encode a message as JSON bytes."""
    return msgspec.json.encode(message)


def decode(payload: bytes, message_type: type[T]) -> T:
    """Decode a message of its topic's type.

    Raises:
        msgspec.ValidationError: JSON, but not this message; the text names the place.
        msgspec.DecodeError: not JSON.
    """
    message: T = decode_json(payload, message_type)
    return message
