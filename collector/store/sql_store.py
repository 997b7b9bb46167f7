"""Floor 2. The Store on a Database, in SQL for all of them.

Repeats are found by the ledger of the epoch, which is read and written in the transaction that
stores a result: this is exact for any partitioning, and outlives the rows.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from collector.registry.registry import LineKey
from collector.rollup.comparison import BucketDifference
from collector.rollup.metrics import invalidating
from collector.store import (
    batch_writer,
    columns,
    last_results,
    probe_results,
    rollup_rebuild,
    rollup_tables,
    signature_recheck,
    signature_store,
    store_status,
)
from collector.store.batch import (
    Batch,
    ResultRow,
    family_of,
    reject_scattered,
    utc_text,
)
from collector.store.carry_over import carry_over
from collector.store.database import Database, Row, Table, Transaction, column_names
from collector.store.figure_fill import FigureFill
from collector.store.kind_tables import kind_tables
from collector.store.last_results import LastResultWriter
from collector.store.lease_table import LeaseFence
from collector.store.maintenance_store import SqlMaintenanceStore
from collector.store.messages import (
    EpochKey,
    ProbeCertificate,
    RejectedMessage,
    SignatureOutcome,
    ValidatedMessage,
)
from collector.store.migrated_tables import BLOCKS, PROBES, SIGNATURES
from collector.store.note_store import SqlNoteStore
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
from collector.store.registry_store import SqlRegistryStore
from collector.store.repack import GoneError, MadePack, Repacker, move
from collector.store.repeats import bodies_of, reused_numbers
from collector.store.result_reader import (
    BLOCK_COLUMNS,
    OLD_COLUMNS,
    PACK_OF_BLOCK,
    PACKED_COLUMNS,
    ResultReader,
)
from collector.store.result_writer import NumberedRow, ResultWriter, StoredPlaces, blocks_of_rows
from collector.store.rollup_rebuild import RollUpComparison
from collector.store.rollup_sample import period_name
from collector.store.rollup_writer import RollUpWriter, delete_rollups
from collector.store.store import (
    CARRY_OVER_RESULTS,
    REPACK_RESULTS,
    ROLL_UP_HOURS,
    ROLL_UP_RESULTS,
)
from collector.store.summaries import SqlSummaries
from collector.store.target_limit import TargetLimiter
from wire.ledger import Ledger
from wire.messages import PlannedKind, Rejection
from wire.result import GATEWAY_TARGET, FaultLocation, decode_result

log = logging.getLogger(__name__)
_REJECTED_HEAD_BYTES = 16_384
# Rows deleted in one transaction, so that ingest waits for no more than that.
_DELETE_ROWS = 5_000
_BACKFILL_ROWS = 2_000
# More than a centre assigns between two backups: a nation in eight weeks.
_NUMBERS_SKIPPED = 10**9
_LONGEST_OUTAGE = timedelta(days=31)
# Partitions are created so far ahead that maintenance may stop over a holiday.
_DAYS_AHEAD = 7
_DIMENSIONS_LONGER = timedelta(days=15)
_PROBE_COLUMNS = column_names(PROBES.columns)


def derived_tables() -> list[Table]:
    """The tables that are derived from types and not created by a migration."""
    kinds = kind_tables().values()
    return [
        *(kind.dimensions for kind in kinds),
        *(kind.facts for kind in kinds),
        *rollup_tables.TABLES,
    ]


def daily_tables() -> list[Table]:
    """All tables that are partitioned by day, `result_blocks` last."""
    return [SIGNATURES, *raw_tables()]


def raw_tables() -> list[Table]:
    """The tables of raw results that are partitioned by day, `result_blocks` last."""
    return [*(kind.facts for kind in kind_tables().values()), BLOCKS]


class _LastKey(NamedTuple):
    """The key of a last result of a probe; `family` as `family_number` has it."""

    line: str
    kind: str
    target: str
    family: int


def _is_superseded(key: _LastKey, latest: Mapping[_LastKey, LastResult]) -> bool:
    """Whether it states no family, and a later result of the same target does.

    So after an update of the probe: the last result from before it is not one of now.
    """
    if key.family:
        return False
    later = (latest.get(key._replace(family=number)) for number in (4, 6))
    return any(one is not None and one.last.number > latest[key].last.number for one in later)


class SqlStore:
    """The Store, the Summaries, the registry and the notes on one Database.

    Args:
        database: migrated and open.
        rejected_kept: how many rejected messages to keep.
    """

    def __init__(self, database: Database, rejected_kept: int = 1_000) -> None:
        self._database = database
        self._rejected_kept = rejected_kept
        self._target_limiter = TargetLimiter()
        self._reader = ResultReader()
        self._writer = ResultWriter()
        self._ledgers = batch_writer.LedgerCache()
        self._repacker = Repacker(self._reader)
        self._recheck = signature_recheck.SignatureRecheck(self._database, self._reader)
        # Blocks with lower numbers are packed, or cannot be read.
        self._repacked_to = 0
        self._last = LastResultWriter()
        self._previous: Transaction | None = None
        self._rollup_writer = RollUpWriter()
        self._figure_fill = FigureFill()
        self._comparison = RollUpComparison(database, self._reader, self._rollup_writer)
        # What is cached is of this connection, as `Database.connections` counts them.
        self._connections = 0
        # With several collectors on one database (`collector.store.leases`).
        self.fence: LeaseFence | None = None
        self.summaries = SqlSummaries(database)
        self.registry = SqlRegistryStore(database)
        self.notes = SqlNoteStore(database)
        self.maintenance = SqlMaintenanceStore(database)

    def store_batch(self, messages: Sequence[ValidatedMessage], stored_at: datetime) -> BatchResult:
        return self.begin_batch(messages, stored_at)()

    def begin_batch(
        self, messages: Sequence[ValidatedMessage], stored_at: datetime
    ) -> Callable[[], BatchResult]:
        batch = Batch(messages, stored_at)
        with self._remembering(), self._database.transaction(waiting=False) as transaction:
            self._forget_uncommitted()
            self._previous = transaction
            if self.fence is not None:
                self.fence.require_tenants(transaction, messages)
            revision = batch_writer.count(transaction, "revision", 1)
            known = self._ledgers.read(transaction, batch.epochs, revision)
            self._last.refresh(transaction)
            bounded = reject_scattered(messages, known)
            bounded = self._target_limiter.limited(transaction, bounded, batch, self._last.known)
            if bounded is not messages:
                batch = Batch(bounded, stored_at)
            before = {key: stored for key, (_, stored) in known.items()}
            new = batch.new(before)
            count = sum(len(span.records) for span in new)
            reused: list[RejectedMessage] = []
            if count < batch.results:
                reused = self._reused_numbers(transaction, batch, before, stored_at)
            # Reads above, writes below, which are queued without waiting.
            blocks = self._writer.write(transaction, batch, new, batch_writer.count)
            signature_store.write(transaction, bounded, known, self._writer.epoch_id, stored_at)
            batch_writer.insert_deltas(transaction, (block.of_probe for block in blocks))
            ledgers = batch_writer.extend_ledgers(transaction, batch, known, revision)
            self._ledgers.remember(ledgers)
            places = StoredPlaces(blocks)
            self._last.write(transaction, batch, places, self._writer.epoch_id, batch_writer.count)
            batch_writer.upsert_probes(transaction, batch, revision)
            batch_writer.replace_plans(transaction, batch, stored_at)
            self._insert_rejected(transaction, batch)
        duplicates = batch.results - count - len(reused)
        receipts = {key: ranges for key, (ranges, _) in ledgers.items()}
        done = BatchResult(count, duplicates, len(batch.rejected), receipts)

        def finished() -> BatchResult:
            with self._remembering():
                transaction.wait()
            return done

        return finished

    def _reused_numbers(
        self,
        transaction: Transaction,
        batch: Batch,
        stored: Mapping[EpochKey, Ledger],
        at: datetime,
    ) -> list[RejectedMessage]:
        """The results whose number another one has; they are the batch's rejected ones too."""
        places = batch.new_places(stored)
        reused = reused_numbers(
            transaction, self._reader, self._database.same_day, batch, places, at
        )
        batch.rejected.extend(reused)
        return reused

    @contextmanager
    def _remembering(self) -> Iterator[None]:
        """Forget what is cached when the block raises: it may not be committed."""
        try:
            yield
        except BaseException:
            self._forget()
            raise

    def _forget(self) -> None:
        self._writer.forget()
        self._ledgers.forget()
        self._last.forget()

    def _forget_all(self) -> None:
        self._forget()
        self._target_limiter.forget()
        self._rollup_writer.forget()

    def _forget_uncommitted(self) -> None:
        """The same for a commit that failed, where nobody has waited for it yet.

        And where the connection is another one: a primary that was a standby until now may lack
        the last of what was committed.
        """
        if self._connections != self._database.connections:
            self._connections = self._database.connections
            self._forget_all()
        if self._previous is None:
            return
        try:
            self._previous.wait()
        except Exception:  # noqa: BLE001 - `finished` raises it to the caller
            self._forget()

    def roll_up(self, now: datetime, most_results: int = ROLL_UP_RESULTS) -> int:
        with self._database.transaction() as transaction:
            self._require_maintenance(transaction)
            self._forget_uncommitted()
            return self._rollup_writer.merge_deltas(transaction, now, most_results)

    def rollup_differences(
        self, line: LineKey, day: date, *, whole_month: bool = False
    ) -> list[BucketDifference]:
        if not whole_month and not self._comparison.differences(line, day):
            return []
        return self._compare(line, day, datetime.now(UTC), whole_month=whole_month, mend=False)

    def rebuild_rollups(
        self, line: LineKey, day: date, now: datetime, *, whole_month: bool = False
    ) -> list[BucketDifference]:
        return self._compare(line, day, now, whole_month=whole_month, mend=True)

    def _compare(
        self, line: LineKey, day: date, now: datetime, *, whole_month: bool, mend: bool
    ) -> list[BucketDifference]:
        """Compare, and mend if asked to, while nothing waits to be rolled up."""
        while self.roll_up(now) >= ROLL_UP_HOURS:
            pass
        compare = self._comparison.compare_month if whole_month else self._comparison.compare_day
        try:
            with self._database.transaction() as transaction:
                self._require_maintenance(transaction)
                self._forget_uncommitted()
                # What came since the last one: little.
                while self._rollup_writer.merge_deltas(transaction, now, ROLL_UP_RESULTS):
                    pass
                found = compare(transaction, line, day, now, mend=mend)
                if mend:
                    period = period_name(day, whole_month=whole_month)
                    rollup_rebuild.forget(transaction, line, period)
                return found
        except BaseException:
            # It may remember numbers of lines that are not committed.
            self._rollup_writer.forget()
            raise

    def note_differences(
        self, line: LineKey, period: str, found: Sequence[BucketDifference], now: datetime
    ) -> None:
        if not found and all(
            (one.line, one.period) != (line, period) for one in self.noted_differences()
        ):
            return
        with self._database.transaction() as transaction:
            self._require_maintenance(transaction)
            rollup_rebuild.note(transaction, line, period, found, now)

    def noted_differences(self) -> list[NotedDifference]:
        return rollup_rebuild.noted(self._database.read)

    def maintain(
        self, now: datetime, raw_days: int | None, rollup_days: int | None = None
    ) -> MaintenanceResult:
        filled = self._backfill()
        self._database.create_partitions(_DAYS_AHEAD, now)
        deleted = 0
        # Results that are not rolled up yet are not deleted.
        if raw_days is not None and not filled:
            cut = now - timedelta(days=raw_days)
            self._mark_deleted(rollup_rebuild.RAW_DELETED, cut)
            deleted = self._database.delete_before(cut, _DELETE_ROWS)
            if not deleted:
                self._delete_last_before(cut)
                self._delete_dimensions_before(cut)
        if rollup_days is not None:
            cut = now - timedelta(days=rollup_days)
            self._mark_deleted(rollup_rebuild.ROLLUPS_DELETED, cut)
            with self._database.transaction() as transaction:
                delete_rollups(transaction, cut)
        return MaintenanceResult(backfilled=filled, deleted=deleted)

    def _mark_deleted(self, mark: str, cut: datetime) -> None:
        """Before anything is deleted, so that no rebuild takes what is left for all there was."""
        with self._database.transaction() as transaction:
            rollup_rebuild.mark_deleted(transaction, mark, cut)
            if mark == rollup_rebuild.RAW_DELETED:
                rollup_rebuild.forget_before(transaction, cut)

    def carry_over(self, most_results: int = CARRY_OVER_RESULTS) -> int:
        with self._remembering(), self._database.transaction() as transaction:
            self._require_maintenance(transaction)
            self._forget_uncommitted()
            tables = self._database.table_names()
            carried = carry_over(transaction, self._writer, tables, most_results)
            return carried or self._figure_fill.fill(transaction)

    def repack(self, before: datetime, most_results: int = REPACK_RESULTS) -> int:
        portion = self._repacker.read(
            self._database.read, self._repacked_to, self._database.instant(before), most_results
        )
        self._repacked_to = portion.after
        if portion.packs:
            self._move(portion.packs)
        elif not portion.results:
            self._database.release_packed()
        return portion.results

    def _move(self, packs: Sequence[MadePack]) -> None:
        try:
            with self._remembering(), self._database.transaction() as transaction:
                self._require_maintenance(transaction)
                self._forget_uncommitted()
                move(transaction, packs, self._writer.dictionary(transaction))
        except GoneError as error:
            log.info("packed or deleted by another program meanwhile: %s", error)

    def read_sql(self, sql: str) -> list[Row]:
        """The rows of any query, for tests and benchmarks."""
        return self._database.read(sql)

    def ledgers(self, probe: tuple[str, str] | None = None) -> Mapping[EpochKey, Ledger]:
        only = "" if probe is None else "WHERE tenant = ? AND probe = ?"
        rows = self._database.read(
            "SELECT tenant, probe, epoch, ranges FROM (SELECT tenant, probe, epoch, ranges, "
            "row_number() OVER (PARTITION BY tenant, probe ORDER BY touched DESC) AS place "
            f"FROM ledgers {only}) AS ordered WHERE place = 1",
            () if probe is None else probe,
        )
        return {
            EpochKey(tenant, probe, UUID(epoch)): columns.ledger(ranges)
            for tenant, probe, epoch, ranges in rows
        }

    def ledgers_of(self, keys: Collection[EpochKey]) -> Mapping[EpochKey, Ledger]:
        known = batch_writer.ledgers_of(self._database.read, keys)
        return {key: ranges for key, (ranges, _) in known.items()}

    def named_epochs(self) -> list[NamedEpochs]:
        rows = self._database.read("SELECT tenant, probe, info FROM probes WHERE info IS NOT NULL")
        found = (columns.named_epochs(*row) for row in rows)
        return [named for named in found if named is not None]

    def open_generation(self, now: datetime) -> int:
        with self._database.transaction() as transaction:
            # Another collector may have written meanwhile.
            self._forget_all()
            before = batch_writer.count(transaction, "receipt_generation", 0)
            now_ms = int(now.timestamp() * 1000)
            more = max(before + 1, now_ms) - before
            return batch_writer.count(transaction, "receipt_generation", more)

    def revision(self) -> int:
        rows = self._database.read("SELECT count FROM totals WHERE name = 'revision'")
        return int(rows[0][0]) if rows else 0

    def probes(self, changed_after: int = 0) -> list[StoredProbe]:
        rows = self._database.read(
            f"SELECT {_PROBE_COLUMNS} FROM probes WHERE revision > ?",
            (changed_after,),
        )
        return [columns.probe(row) for row in sorted(rows)]

    def plans(self, month: date) -> dict[tuple[str, str], list[PlannedKind]]:
        rows = self._database.read(
            "SELECT tenant, probe, plan FROM probe_plans WHERE month = (SELECT coalesce("
            "max(CASE WHEN other.month <= ? THEN other.month END), min(other.month)) "
            "FROM probe_plans AS other WHERE other.tenant = probe_plans.tenant "
            "AND other.probe = probe_plans.probe)",
            (f"{month:%Y-%m}",),
        )
        return {
            (tenant, probe): planned
            for tenant, probe, plan in rows
            if (planned := columns.plan(plan)) is not None
        }

    def probe(self, tenant: str, probe: str) -> StoredProbe | None:
        rows = self._database.read(
            f"SELECT {_PROBE_COLUMNS} FROM probes WHERE tenant = ? AND probe = ?",
            (tenant, probe),
        )
        return columns.probe(rows[0]) if rows else None

    def last_results(self, tenant: str, probe: str) -> list[LastResult]:
        latest: dict[_LastKey, LastResult] = {}
        for only_ok, family, stored in self._last_stored(tenant, probe):
            key = _LastKey(stored.line, stored.kind, stored.target or "", family)
            latest[key] = (
                latest[key]._replace(last_ok=stored)
                if only_ok and key in latest
                else LastResult(stored, stored if only_ok else None, family_of(family))
            )
        # Sorted here, for the collation differs between databases.
        return [latest[key] for key in sorted(latest) if not _is_superseded(key, latest)]

    def _last_stored(self, tenant: str, probe: str) -> list[tuple[int, int, StoredResult]]:
        """The last results of a probe with their `only_ok` and family; those of `ok` come later."""
        # First, for one that is carried over meanwhile.
        old = self._database.read(
            f"SELECT last.only_ok, last.family, {OLD_COLUMNS} FROM last_results AS last "
            "JOIN old_results USING (tenant, probe, epoch, seq, started_at) "
            "WHERE last.tenant = ? AND last.probe = ? AND last.number IS NULL",
            (tenant, probe),
        )
        found = [(row[0], row[1], columns.result(tuple(row[2:]))) for row in old]
        same_day = self._database.same_day("b.started_at", "last.started_at")
        rows = self._database.read(
            f"SELECT last.only_ok, last.family, last.place, {BLOCK_COLUMNS} "
            "FROM last_results AS last JOIN result_blocks AS b "
            f"ON b.number = last.number - last.place AND {same_day} "
            "JOIN epochs AS e USING (epoch_id) WHERE last.tenant = ? AND last.probe = ?",
            (tenant, probe),
        )
        found += [
            (only_ok, family, stored)
            for only_ok, family, place, *block in rows
            if (stored := self._reader.one(self._database.read, tuple(block), place)) is not None
        ]
        rows = self._database.read(
            "SELECT last.only_ok, last.family, last.place, p.number, p.started_at, "
            f"{PACKED_COLUMNS} FROM last_results AS last JOIN packed_blocks AS b "
            f"ON b.number = last.number - last.place AND {same_day} "
            f"JOIN epochs AS e USING (epoch_id) JOIN result_packs AS p ON {PACK_OF_BLOCK} "
            f"AND {self._database.same_day('p.started_at', 'last.started_at')} "
            "WHERE last.tenant = ? AND last.probe = ? ORDER BY p.number",
            (tenant, probe),
        )
        found += [
            (row[0], row[1], stored)
            for row, stored in self._reader.packed(self._database.read, rows)
        ]
        return sorted(found, key=lambda one: one[0])

    def family_replies(self) -> list[FamilyReplies]:
        rows = self._database.read(
            "SELECT tenant, probe, line, family, "
            "max(ok_started_at), max(started_at) FROM series JOIN series_last USING (series_id) "
            "WHERE kind = 'latency' AND family <> 0 AND target <> ? "
            "GROUP BY tenant, probe, line, family",
            (GATEWAY_TARGET,),
        )
        return [
            FamilyReplies(
                LineKey(tenant, probe, line),
                named,
                columns.maybe(answered_at, columns.time),
                columns.time(asked_at),
            )
            for tenant, probe, line, family, answered_at, asked_at in rows
            if (named := family_of(family)) is not None and asked_at is not None
        ]

    def outages(self, line: LineKey, begin: datetime, end: datetime) -> list[StoredOutage]:
        rows = self._database.read(
            "SELECT started_at, duration_s, fault, down_minutes, validity FROM outage_results "
            "WHERE tenant = ? AND probe = ? AND line = ? AND started_at >= ? AND started_at < ? "
            "AND fault IS NOT NULL ORDER BY started_at",
            (*line, utc_text(begin - _LONGEST_OUTAGE), utc_text(end)),
        )
        found = []
        for started, duration_s, fault, down_minutes, validity in rows:
            started_at = columns.time(started)
            ended_at = started_at + timedelta(seconds=duration_s)
            if ended_at > begin:
                valid = invalidating("outage").isdisjoint(validity.split())
                found.append(
                    StoredOutage(started_at, ended_at, FaultLocation(fault), down_minutes, valid)
                )
        return found

    def results_after(self, number: int, limit: int) -> list[StoredResult]:
        return self._reader.after(self._database.read, number, limit)

    def newest_results(self, limit: int) -> list[StoredResult]:
        return self._reader.newest(self._database.read, limit)

    def results_of(
        self, tenant: str, probe: str, begin: datetime, end: datetime
    ) -> Iterator[StoredResult]:
        return probe_results.results_of(self._database, self._reader, (tenant, probe), begin, end)

    def certificates(self, tenant: str, probe: str) -> list[ProbeCertificate]:
        return signature_store.certificates(self._database, tenant, probe)

    def signatures(self, epoch: EpochKey, first: int, last: int) -> list[StoredSignature]:
        return signature_store.signatures(self._database, epoch, first, last)

    def recheck_signatures(self) -> bool:
        found = self._recheck.next_portion()
        if found:
            with self._database.transaction() as transaction:
                self._require_maintenance(transaction)
                signature_recheck.write(transaction, found)
        return found is not None

    def bodies(self, epoch: EpochKey, first: int, last: int) -> dict[int, bytes]:
        seqs = range(first, last + 1)
        return bodies_of(self._database.read, self._reader, self._database.same_day, epoch, seqs)

    def epochs(self, tenant: str, probe: str) -> dict[EpochKey, tuple[Ledger, Ledger]]:
        rows = self._database.read(
            "SELECT epoch, ranges, stored FROM ledgers WHERE tenant = ? AND probe = ? "
            "ORDER BY touched",
            (tenant, probe),
        )
        return {
            EpochKey(tenant, probe, UUID(epoch)): (columns.ledger(ranges), columns.ledger(stored))
            for epoch, ranges, stored in rows
        }

    def signature_outcomes(self, results: Sequence[StoredResult]) -> list[SignatureOutcome | None]:
        return signature_store.outcomes(self._database, results)

    def rejected_after(self, number: int, limit: int) -> list[StoredRejection]:
        rows = self._database.read(
            "SELECT number, topic, reason, detail, received_at, payload_head, payload_bytes "
            "FROM rejected WHERE number > ? ORDER BY number LIMIT ?",
            (number, limit),
        )
        return [
            StoredRejection(
                row[0], row[1], Rejection(row[2]), row[3], columns.time(row[4]), *row[5:]
            )
            for row in rows
        ]

    def totals(self) -> Totals:
        rows = self._database.read(
            "SELECT name, count FROM totals UNION ALL SELECT 'probes', count(*) FROM probes"
        )
        counts: dict[str, int] = {row[0]: row[1] for row in rows}
        rejected = {
            reason: counts[f"rejected:{reason}"]
            for reason in Rejection
            if f"rejected:{reason}" in counts
        }
        return Totals(counts.get("results", 0), counts["probes"], rejected)

    def status(self) -> StoreStatus:
        return store_status.read(self._database)

    def record_backup(self, backup: BackupRecord) -> None:
        with self._database.transaction() as transaction:
            store_status.record_backup(transaction, backup)

    def skip_numbers(self) -> None:
        with self._database.transaction() as transaction:
            for name in ("number", "rollup_revision"):
                batch_writer.count(transaction, name, _NUMBERS_SKIPPED)
            store_status.record_restore(transaction, datetime.now(UTC))

    def close(self) -> None:
        self._database.close()

    def _backfill(self) -> int:
        """Roll up some of the results from before there were roll-ups; returns how many."""
        with self._remembering(), self._database.transaction() as transaction:
            self._require_maintenance(transaction)
            self._forget_uncommitted()
            marks: dict[str, int] = dict(
                transaction.execute(
                    "SELECT name, count FROM totals WHERE name IN ('backfilled', 'backfill_to')"
                )
            )
            done, end = marks.get("backfilled", 0), marks.get("backfill_to", 0)
            if done >= end:
                return 0
            rows = transaction.execute(
                f"SELECT number, {', '.join(ResultRow._fields)} FROM old_results "
                "WHERE number > ? AND number <= ? ORDER BY number LIMIT ?",
                (done, end, _BACKFILL_ROWS),
            )
            stored = [(row[0], ResultRow(*row[1:])) for row in rows]
            decoded = [decode_result(row.body.encode()) for _, row in stored]
            now = datetime.now(UTC)
            blocks = [
                block
                for (number, row), result in zip(stored, decoded, strict=True)
                for block in blocks_of_rows([NumberedRow(number, row, result)])
            ]
            month = now.year * 12 + now.month
            self._writer.write_facts(transaction, blocks, month, batch_writer.count)
            batch_writer.insert_deltas(transaction, (block.of_probe for block in blocks))
            batch_writer.count(transaction, "backfilled", (stored[-1][0] if stored else end) - done)
            return len(stored)

    def _require_maintenance(self, transaction: Transaction) -> None:
        if self.fence is not None:
            self.fence.require_maintenance(transaction)

    def _delete_last_before(self, cut: datetime) -> None:
        """Forget lines and targets whose last result was deleted, to make room for others."""
        with self._database.transaction() as transaction:
            last_results.delete_before(transaction, cut, batch_writer.count)

    def _delete_dimensions_before(self, cut: datetime) -> None:
        """Delete the dimensions of months whose results were deleted.

        A result that was stored in a month may have started some days later by its probe's clock.
        """
        before = cut - _DIMENSIONS_LONGER
        month = before.year * 12 + before.month
        with self._database.transaction() as transaction:
            deleted = [
                transaction.execute(
                    f"DELETE FROM {kind.dimensions.name} WHERE month < ? RETURNING dimension_id",
                    (month,),
                )
                for kind in kind_tables().values()
            ]
            if any(deleted):
                # It may have one of them, where the clock was ahead and is not any more.
                self._writer.forget()

    def _insert_rejected(self, transaction: Transaction, batch: Batch) -> None:
        if not batch.rejected:
            return
        for message in batch.rejected:
            batch_writer.count(transaction, f"rejected:{message.reason}", 1)
        transaction.execute_many(
            "INSERT INTO rejected (topic, reason, detail, received_at, payload_head, payload_bytes)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            [
                (
                    message.topic.replace("\0", "\ufffd"),
                    message.reason.value,
                    message.detail.replace("\0", "\ufffd"),
                    utc_text(message.received_at),
                    message.payload[:_REJECTED_HEAD_BYTES],
                    len(message.payload),
                )
                for message in batch.rejected
            ],
        )
        transaction.execute(
            "DELETE FROM rejected WHERE number <= (SELECT max(number) FROM rejected) - ?",
            (self._rejected_kept,),
        )
