"""Floor 1. The Store protocol: what every store of results promises.

The promises, which the contract suite tests for each backend:
- `store_batch` is one transaction: all of it is durable when it returns, or none of it happened.
- `(tenant, probe, epoch, seq)` is stored once; a repeat is counted and changes nothing.
- A ledger has the results that are stored, or that the probe has given up; it is written in the
  same transaction.
- Reading never waits for writing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Protocol

from collector.registry.changes import RegistryStore
from collector.registry.planned_maintenance import MaintenanceStore
from collector.registry.registry import LineKey
from collector.rollup.comparison import BucketDifference
from collector.rollup.queries import Summaries
from collector.store.line_notes import NoteStore
from collector.store.messages import EpochKey, ProbeCertificate, SignatureOutcome, ValidatedMessage
from collector.store.records import (
    BackupRecord,
    BatchResult,
    FamilyReplies,
    LastResult,
    MaintenanceResult,
    NamedEpochs,
    NotedDifference,
    StoredOutage,
    StoredProbe,
    StoredRejection,
    StoredResult,
    StoredSignature,
    StoreStatus,
    Totals,
)
from collector.store.store_error import StoreError
from wire.ledger import Ledger
from wire.messages import PlannedKind

__all__ = [
    "CARRY_OVER_RESULTS",
    "HOURS_SHARE",
    "REPACK_RESULTS",
    "ROLL_UP_HOURS",
    "ROLL_UP_RESULTS",
    "RebuildRefusedError",
    "Store",
    "StoreError",
]

# A roll-up reads so many results at most.
ROLL_UP_RESULTS = 40_000
# And merges so many hours of lines, during which nothing else is written; it has so many results at
# least, unless no more are left.
HOURS_SHARE = 40
ROLL_UP_HOURS = ROLL_UP_RESULTS // HOURS_SHARE

# What ingest waits for at most: a third of a second.
CARRY_OVER_RESULTS = 5_000

# What is read and compressed at once, outside of any transaction; moving it takes some 50 ms.
REPACK_RESULTS = 4_096


class RebuildRefusedError(Exception):
    """Raw results do not say what the roll-ups should be; the text is a sentence for users."""


class Store(Protocol):
    """A store, written by one thread at a time and read by any number."""

    @property
    def summaries(self) -> Summaries:
        """The roll-ups, which pages and reports read."""

    @property
    def registry(self) -> RegistryStore:
        """The registry and the record of its changes."""

    @property
    def notes(self) -> NoteStore:
        """What people wrote about lines."""

    @property
    def maintenance(self) -> MaintenanceStore:
        """What was announced of planned maintenance."""

    def roll_up(self, now: datetime, most_results: int = ROLL_UP_RESULTS) -> int:
        """Merge the oldest stored results into the roll-ups; returns how many, 0 for none left.

        About `most_results` are read at most; a fortieth as many hours of lines are merged.

        Each call is one transaction. Raises StoreError: nothing was done.
        """

    def rollup_differences(
        self, line: LineKey, day: date, *, whole_month: bool = False
    ) -> list[BucketDifference]:
        """Where a line's hours and its day (or its month) differ from its raw results.

        Each differs by more than its stated error. Nothing is locked unless something differs; then
        it is compared again while ingest waits. Raises StoreError, RebuildRefusedError.
        """

    def rebuild_rollups(
        self, line: LineKey, day: date, now: datetime, *, whole_month: bool = False
    ) -> list[BucketDifference]:
        """The same, and these buckets are made anew: hours and days from raw results, the month of
        the day from its hours. Returns how they differed; those that agree are left as they are.

        One transaction, while ingest goes on. Raises StoreError, RebuildRefusedError: nothing was
        changed.
        """

    def note_differences(
        self, line: LineKey, period: str, found: Sequence[BucketDifference], now: datetime
    ) -> None:
        """Keep what differs in a line's day or month, in place of what was noted before.

        It is forgotten when that is rebuilt, and with the raw results. Raises StoreError.
        """

    def noted_differences(self) -> list[NotedDifference]:
        """What `note_differences` keeps, by line and period. Raises StoreError."""

    def maintain(
        self, now: datetime, raw_days: int | None, rollup_days: int | None = None
    ) -> MaintenanceResult:
        """Do a part of the maintenance: partitions for the coming days, retention.

        Deletes raw results older than `raw_days`, and hours and days of the roll-ups older than
        `rollup_days` (None: nothing). Months, ledgers and counts stay. To be called until nothing
        is left to do. Raises StoreError.
        """

    def carry_over(self, most_results: int = CARRY_OVER_RESULTS) -> int:
        """Carry over what a version before stored: results, and roll-ups' columns that it had not.

        Returns how many results or rows, 0 when none is left.

        Each call is one transaction. To be called when `maintain` has nothing left to do. Raises
        StoreError: nothing was done.
        """

    def repack(self, before: datetime, most_results: int = REPACK_RESULTS) -> int:
        """Pack results that were stored before a time; returns how many, 0 when none is left.

        Each call moves what it packed in one transaction; whatever ends the program, the next call
        goes on. Ingest may go on meanwhile. Raises StoreError: nothing was moved.
        """

    def store_batch(self, messages: Sequence[ValidatedMessage], stored_at: datetime) -> BatchResult:
        """Store all messages in one transaction, in the order given.

        Raises:
            StoreError: nothing of it was stored; the same call may be made again.
        """

    def begin_batch(
        self, messages: Sequence[ValidatedMessage], stored_at: datetime
    ) -> Callable[[], BatchResult]:
        """Begin `store_batch`; the function returned waits for the commit and returns its result.

        In between, the caller can prepare the next batch. Other writers wait.

        Raises:
            StoreError: as `store_batch`, from either half.
        """

    def ledgers(self, probe: tuple[str, str] | None = None) -> Mapping[EpochKey, Ledger]:
        """The ledger of each probe's current epoch, or of one probe's: (tenant, name).

        Raises:
            StoreError: the store cannot be read.
        """

    def ledgers_of(self, keys: Collection[EpochKey]) -> Mapping[EpochKey, Ledger]:
        """The ledgers of these epochs; an empty one for an epoch that is not known.

        Raises:
            StoreError: the store cannot be read.
        """

    def named_epochs(self) -> list[NamedEpochs]:
        """What the last `info` of each probe names. Raises StoreError."""

    def open_generation(self, now: datetime) -> int:
        """Begin a generation of receipts: a number that no earlier one of this store had.

        It is also above those of what was stored after the backup that the store was restored from,
        unless the clock was ahead then. Raises StoreError.
        """

    def revision(self) -> int:
        """The highest revision of any probe, 0 for an empty store. Raises StoreError."""

    def probes(self, changed_after: int = 0) -> list[StoredProbe]:
        """The probes with a higher revision, by tenant and name. Raises StoreError."""

    def plans(self, month: date) -> Mapping[tuple[str, str], Sequence[PlannedKind]]:
        """The last plan of each probe (tenant, name) in the month of a day.

        Where it published none in that month, the one before; where none until then, its first.
        Raises StoreError.
        """

    def probe(self, tenant: str, probe: str) -> StoredProbe | None:
        """One probe, None when no message of it was ever received. Raises StoreError."""

    def last_results(self, tenant: str, probe: str) -> list[LastResult]:
        """The last results of a probe by (line, kind, target, family). Raises StoreError.

        One without a family is left out where a later one of the same target has one.
        """

    def family_replies(self) -> list[FamilyReplies]:
        """When each address family of each line last answered, by `latency`. Raises StoreError."""

    def outages(self, line: LineKey, begin: datetime, end: datetime) -> list[StoredOutage]:
        """A line's outages that overlap the time, ascending. Raises StoreError.

        Within the retention of raw results; outages of more than a month may be left out.
        """

    def results_after(self, number: int, limit: int) -> list[StoredResult]:
        """At most `limit` results with a higher number, ascending. Raises StoreError."""

    def newest_results(self, limit: int) -> list[StoredResult]:
        """The `limit` results with the highest numbers, ascending. Raises StoreError."""

    def results_of(
        self, tenant: str, probe: str, begin: datetime, end: datetime
    ) -> Iterator[StoredResult]:
        """The results of a probe that began from `begin` to before `end` (UTC), of all its lines.

        Epoch by epoch in the order of their text, ascending; some thousand are in memory at a time.
        Iterating may raise StoreError.
        """

    def certificates(self, tenant: str, probe: str) -> Sequence[ProbeCertificate]:
        """The certificates of a probe that have counted, by their key. Raises StoreError."""

    def signatures(self, epoch: EpochKey, first: int, last: int) -> Sequence[StoredSignature]:
        """The signature blocks that cover a result from `first` to `last`, ascending.

        They go by age with the results. Raises StoreError.
        """

    def recheck_signatures(self) -> bool:
        """Check some signatures again whose certificate was not known when they came.

        Returns whether more may be left of this round. Raises StoreError.
        """

    def bodies(self, epoch: EpochKey, first: int, last: int) -> Mapping[int, bytes]:
        """The JSON of an epoch's results by number, of those that are stored. Raises StoreError.

        A window of some hundred at a time is quick.
        """

    def epochs(self, tenant: str, probe: str) -> Mapping[EpochKey, tuple[Ledger, Ledger]]:
        """The epochs of a probe, the latest last. Raises StoreError.

        Of each, what was stored or given up by the probe, and what was stored; ledgers keep what
        has gone by age since.
        """

    def signature_outcomes(
        self, results: Sequence[StoredResult]
    ) -> Sequence[SignatureOutcome | None]:
        """What came of checking each result's signature, None where it is unsigned.

        Raises StoreError.
        """

    def rejected_after(self, number: int, limit: int) -> list[StoredRejection]:
        """At most `limit` stored rejections with a higher number, ascending. Raises StoreError."""

    def totals(self) -> Totals:
        """Counts since the store was made. Raises StoreError."""

    def status(self) -> StoreStatus:
        """Its database, what waits for roll-ups, and the last backup. Raises StoreError."""

    def record_backup(self, backup: BackupRecord) -> None:
        """Keep what a backup was, for `status`. Raises StoreError."""

    def skip_numbers(self) -> None:
        """Skip to numbers that were never used, and note the time, after a restore.

        The numbers between the backup and the loss are in reports (`data_revision`) and known to
        readers of `results_after`, who would miss new results with them. Raises StoreError.
        """

    def close(self) -> None:
        """Close the database. Idempotent."""
