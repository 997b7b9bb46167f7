"""Floor 1. What a store of results promises, whichever database is behind it.

The promises (the contract suite holds each backend to them):
- `store_batch` is one transaction: all of it is durable when it returns, or none of it happened.
- `(tenant, probe, epoch, seq)` is stored once; a repeat is counted and changes nothing.
- A ledger speaks of results that are stored, or that the probe named as given up; both are written
  in one transaction.
- Reading never waits for writing.
The pages read nothing but a Store.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Protocol

from collector.registry.changes import RegistryStore
from collector.registry.registry import LineKey
from collector.rollup.queries import Summaries
from collector.store.messages import EpochKey, ValidatedMessage
from collector.store.records import (
    BatchResult,
    LastResult,
    MaintenanceResult,
    StoredOutage,
    StoredProbe,
    StoredRejection,
    StoredResult,
    Totals,
)
from wire.ledger import Ledger
from wire.messages import PlannedKind


class StoreError(Exception):
    """The store cannot do it now (disk full, locked, gone); the text is a sentence for a person."""


class Store(Protocol):
    """One store, used by one thread at a time for writing, by any number for reading."""

    @property
    def summaries(self) -> Summaries:
        """The roll-ups: what pages and reports read."""

    @property
    def registry(self) -> RegistryStore:
        """Probes, lines, plans, places, groups, and every change of them."""

    def roll_up(self, now: datetime, most_deltas: int = 2_000) -> int:
        """Take stored results into the roll-ups, the oldest first; 0 when none is waiting.

        One transaction each call. Raises StoreError: nothing was done.
        """

    def maintain(
        self, now: datetime, raw_days: int | None, rollup_days: int | None = None
    ) -> MaintenanceResult:
        """Do a part of what must be done from time to time: room for the coming days, retention.

        Raw results that are older than `raw_days` go, hours and days of the roll-ups that are older
        than `rollup_days` (None: none ever does). Months, ledgers and counts stay. To be called
        until it has nothing to do. Raises StoreError.
        """

    def copy_to(self, destination: str) -> None:
        """Write a whole and consistent copy into a file, while others go on. StoreError."""

    def store_batch(self, messages: Sequence[ValidatedMessage], stored_at: datetime) -> BatchResult:
        """Store all of it in one transaction, in the order given.

        Raises:
            StoreError: nothing of it was stored; the same call may be made again.
        """

    def begin_batch(
        self, messages: Sequence[ValidatedMessage], stored_at: datetime
    ) -> Callable[[], BatchResult]:
        """`store_batch` in two: what is returned waits until all of it is durable, and tells.

        Between the two the caller can prepare the next batch. Whatever writes meanwhile waits.

        Raises:
            StoreError: as `store_batch`, from either half.
        """

    def ledgers(self) -> Mapping[EpochKey, Ledger]:
        """Of each probe, the ledger of the epoch that it sent last.

        Raises:
            StoreError: the store cannot be read.
        """

    def revision(self) -> int:
        """The highest revision of any probe, 0 for an empty store. Raises StoreError."""

    def probes(self, changed_after: int = 0) -> list[StoredProbe]:
        """The probes whose revision is above the given one, by tenant and name. StoreError."""

    def plans(self, month: date) -> Mapping[tuple[str, str], Sequence[PlannedKind]]:
        """What each probe (tenant, name) last said in the month of a day that it planned.

        Where it said nothing in that month, what it had said before. Raises StoreError.
        """

    def probe(self, tenant: str, probe: str) -> StoredProbe | None:
        """One probe, None when nothing was ever heard of it. Raises StoreError."""

    def last_results(self, tenant: str, probe: str) -> list[LastResult]:
        """The last word on each (line, kind, target) of a probe, in that order. StoreError."""

    def outages(self, line: LineKey, begin: datetime, end: datetime) -> list[StoredOutage]:
        """A line's outages that lie in or reach into the time, ascending. Raises StoreError.

        As long as raw results are kept; those that lasted longer than a month may be left out.
        """

    def results_after(self, number: int, limit: int) -> list[StoredResult]:
        """At most `limit` results with a higher number, ascending. Raises StoreError."""

    def newest_results(self, limit: int) -> list[StoredResult]:
        """The `limit` results with the highest numbers, ascending. Raises StoreError."""

    def rejected_after(self, number: int, limit: int) -> list[StoredRejection]:
        """At most `limit` rejected messages that are still kept, ascending. StoreError."""

    def totals(self) -> Totals:
        """Counts since the store was made. Raises StoreError."""

    def skip_numbers(self) -> None:
        """Go on with numbers that nobody was ever given: after a copy was put back.

        Those between the copy and what was lost are in papers (`data_revision`) and with readers
        of `results_after`, who would take what is new for what they have. Raises StoreError.
        """

    def close(self) -> None:
        """Let go of the database. Harmless twice."""
