"""Floor 1. The output of a store: stored results, probes, rejections, counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from msgspec import UNSET, Struct

from collector.registry.registry import LineKey
from collector.store.messages import EpochKey, SignatureOutcome
from wire.ledger import Ledger
from wire.messages import Health, Info, Presence, Rejection
from wire.result import Family, FaultLocation
from wire.signature import SignatureBlock
from wire.site import Site


class BatchResult(NamedTuple):
    """What `store_batch` did. `ledgers` has the current ledger of each epoch of the batch.

    It has an epoch also when all of its results were known: a probe that sends again has not
    received its receipt.
    """

    stored: int
    duplicates: int
    rejected: int
    ledgers: Mapping[EpochKey, Ledger]


class NamedEpochs(Struct, frozen=True):
    """The epochs of which a probe wants receipts, as its `info` names them; its own is the last.

    `reads_numbers` is false for a probe before 0.2.0, which refuses a receipt with a number and
    names its present epoch alone. `receipt_generation` is the highest that the probe has accepted.
    """

    tenant: str
    probe: str
    epochs: tuple[UUID, ...]
    reads_numbers: bool = False
    receipt_generation: int = 0

    @classmethod
    def of(cls, tenant: str, probe: str, info: Info) -> NamedEpochs:
        """What an `info` names."""
        if info.epochs is UNSET:
            return cls(tenant, probe, (info.epoch,))
        # Its own last, so that it is the one that the broker retains.
        others = (epoch for epoch in reversed(info.epochs) if epoch != info.epoch)
        generation = 0 if info.receipt_generation is UNSET else info.receipt_generation
        return cls(tenant, probe, (*others, info.epoch), True, generation)

    @property
    def keys(self) -> list[EpochKey]:
        """The keys of the epochs' ledgers."""
        return [EpochKey(self.tenant, self.probe, epoch) for epoch in self.epochs]


class StoredResult(Struct, frozen=True):
    """A stored result. `number` grows with each stored result and is never reused.

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


class StoredSignature(Struct, frozen=True):
    """A signature block as it came, and what came of checking it.

    The text that was signed is `wire.signature.signed_text` of the epoch, `block.first`,
    `block.previous` and the digest of each of its results: of `sent` where it has one, for the
    centre has changed that result since (a time, a flag); else of the stored body; of a result that
    is not stored, `digests` has it.
    """

    epoch: EpochKey
    block: SignatureBlock
    outcome: SignatureOutcome
    digests: Mapping[int, str]
    sent: Mapping[int, bytes]


class LastResult(NamedTuple):
    """The last result of a (line, kind, target, family), and the last `ok` one.

    `last_ok` is None when there is none, and the same as `last` when that is `ok`. `family` is None
    where a kind has none, and for a probe before 0.2.0.
    """

    last: StoredResult
    last_ok: StoredResult | None
    family: Family | None = None


class FamilyReplies(NamedTuple):
    """When an address family of a line last answered beyond the router, and when it was last asked.

    `answered_at` is None where it never did. Both are the start of a latency window, UTC.
    """

    line: LineKey
    family: Family
    answered_at: datetime | None
    asked_at: datetime


class StoredProbe(Struct, frozen=True, kw_only=True):
    """A probe's last messages. Times are by the collector's clock, UTC.

    A field is None where no message was received, or where this version cannot read it.

    `revision` grows with each batch that changes the probe; a reader that remembers the highest
    one can query what changed since.
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
    """A rejected message: the first bytes of its payload, and its whole length."""

    number: int
    topic: str
    reason: Rejection
    detail: str
    received_at: datetime
    payload_head: bytes
    payload_bytes: int


class StoredOutage(NamedTuple):
    """An outage as the probe reported it (UTC), and the location of the fault on the path.

    `down_minutes` count against the line. `valid`: no flag keeps it out of the figures.
    """

    started_at: datetime
    ended_at: datetime
    fault: FaultLocation
    down_minutes: int = 0
    valid: bool = True


class NotedDifference(NamedTuple):
    """Roll-ups of a line that differ from its raw results: so many figures, and the first.

    `period` is a day or a month (`2026-07-25`, `2026-07`). `found_at` is when it was first seen; it
    is kept when it is seen again.
    """

    line: LineKey
    period: str
    found_at: datetime
    figures: int
    figure: str
    rolled_up: float | None
    raw: float | None


class Totals(NamedTuple):
    """Counts since the store was made."""

    results: int
    probes: int
    rejected: Mapping[Rejection, int]


class MaintenanceResult(NamedTuple):
    """What one call of `maintain` did; all zeros when nothing is left to do."""

    backfilled: int = 0
    deleted: int = 0


class Night(Struct, frozen=True):
    """A night's maintenance: packing, and the check of roll-ups. Times are UTC.

    `ended_at` is None while some is left to do; then `failure` may say why.
    """

    began_at: datetime
    ended_at: datetime | None = None
    failure: str | None = None


class ReplicaStatus(NamedTuple):
    """A standby of the database, as far as the database shows it to our role.

    `state` is "" where it shows no more than the name. `lag_s` is None also where the standby has
    all of it. `lag_bytes` is WAL that is not replayed there.
    """

    name: str
    state: str
    lag_s: float | None
    lag_bytes: int | None = None


class DatabaseStatus(NamedTuple):
    """What a database says of itself.

    `archived_at` and `archive_failed_at` are of PostgreSQL's continuous archiving (pgBackRest and
    its like), None where there is none or the last attempt did not fail.
    """

    kind: str
    version: str
    size_bytes: int
    replicas: Sequence[ReplicaStatus] = ()
    archived_at: datetime | None = None
    archive_failed_at: datetime | None = None


class BackupRecord(NamedTuple):
    """A backup that `tramdo-collector backup` has written.

    `at` is when it began, UTC: it has what was stored by then. `verified`: it was read whole
    afterwards. `results` were stored when it had ended.
    """

    at: datetime
    duration_s: float
    size_bytes: int
    results: int
    verified: bool
    place: str


class StoreStatus(NamedTuple):
    """The state of a store.

    `pending_results` are not rolled up yet, in the batches `first_pending` to `last_pending`
    (numbers that grow). `last_backup` is of this store as it is; one of before it was restored at
    `restored_at` is none.
    """

    database: DatabaseStatus
    last_stored_at: datetime | None
    pending_results: int
    first_pending: int
    last_pending: int
    last_backup: BackupRecord | None
    restored_at: datetime | None
