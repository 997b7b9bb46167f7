"""Floor 1. What a store returns: results, probes, rejections, counts, as they were stored."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from msgspec import Struct

from collector.store.messages import EpochKey
from wire.envelope import Site
from wire.ledger import Ledger
from wire.messages import Health, Info, Presence, Rejection
from wire.result import FaultLocation


class BatchResult(NamedTuple):
    """What `store_batch` did. `ledgers` holds the epochs that the batch touched, as they are now.

    `ledgers` names an epoch also when all of its results were known: a probe that sends again has
    not seen its receipt.
    """

    stored: int
    duplicates: int
    rejected: int
    ledgers: Mapping[EpochKey, Ledger]


class StoredResult(Struct, frozen=True):
    """A result as the store holds it. `number` grows with each stored result and is never reused.

    `body` is the result's JSON as the probe sent it; `wire.result.decode_result` reads it.
    """

    number: int
    tenant: str
    probe: str
    epoch: UUID
    seq: int
    kind: str
    line: str
    target: str | None
    received_at: datetime
    stored_at: datetime
    body: bytes


class LastResult(NamedTuple):
    """The last word on one (line, kind, target): the last result, and the last that went well.

    `last_ok` is None when none ever did, and the same as `last` when the last one did.
    """

    last: StoredResult
    last_ok: StoredResult | None


class StoredProbe(Struct, frozen=True, kw_only=True):
    """What is known of a probe. Times are the collector's clock, UTC.

    What was never heard is None; so is what another version wrote and this one cannot read.

    `revision` grows with each batch that touched the probe: whoever remembers the highest one it
    has seen can ask for what changed since.
    """

    tenant: str
    probe: str
    revision: int
    site: Site | None
    presence: Presence | None
    presence_since: datetime | None
    info: Info | None
    health: Health | None
    health_at: datetime | None
    last_contact_at: datetime | None


class StoredRejection(Struct, frozen=True):
    """A rejected message as it is kept: the head of its payload, and how long the whole was."""

    number: int
    topic: str
    reason: Rejection
    detail: str
    received_at: datetime
    payload_head: bytes
    payload_bytes: int


class StoredOutage(NamedTuple):
    """An outage as a probe told it, times UTC, and where the path was seen to break."""

    started_at: datetime
    ended_at: datetime
    fault: FaultLocation


class Totals(NamedTuple):
    """Counts since the store was made."""

    results: int
    probes: int
    rejected: Mapping[Rejection, int]


class MaintenanceResult(NamedTuple):
    """What one call of `maintain` did; all zeros when nothing is left to do."""

    backfilled: int = 0
    deleted: int = 0
