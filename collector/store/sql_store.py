"""Floor 2. The Store on a Database: one piece of SQL for all of them.

A result's identity is its epoch's ledger of stored numbers, read and written in the transaction
that stores it: it is exact for any partitioning, and it outlives the row when raw results go.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from collector.intake import Judged
from collector.receipts import EpochKey
from collector.registry.registry import LineKey
from collector.rollup.fold import fold
from collector.store import columns, rollup_tables
from collector.store.batch import Batch, ResultRow, utc_text
from collector.store.database import Column, ColumnType, Database, Row, Session, Table
from collector.store.kind_tables import kind_tables
from collector.store.registry_store import RegistryStore
from collector.store.rolling import forget, roll
from collector.store.store import (
    BatchStored,
    LastResult,
    StoredOutage,
    StoredProbe,
    StoredRejection,
    StoredResult,
    Totals,
    Upkeep,
)
from collector.store.summaries import SqlSummaries
from wire.ledger import Ledger
from wire.messages import Rejection
from wire.result import FaultLocation, Result, decode_result

_REJECTED_HEAD_BYTES = 16_384
# So many raw rows go in one transaction: ingest waits for no more than that.
_FORGET_ROWS = 5_000
_BACKFILL_ROWS = 2_000
# SQLite takes 32,766 values in a statement at most.
_PROBES_AT_ONCE = 1_000
_LONGEST_OUTAGE = timedelta(days=31)
# Rooms for days are made so far ahead that a centre may sleep over a holiday.
_DAYS_AHEAD = 7
_RESULT_COLUMNS = (
    "results.number, results.tenant, results.probe, results.epoch, results.seq, results.kind, "
    "results.line, results.target, results.received_at, results.stored_at, results.body"
)
_PROBE_COLUMNS = (
    "tenant, probe, revision, site, presence, presence_since, info, health, health_at, "
    "last_contact_at"
)
_TIMES = {"started_at", "received_at", "stored_at"}
_TYPES = {"number": ColumnType.INTEGER, "seq": ColumnType.INTEGER} | dict.fromkeys(
    _TIMES, ColumnType.TIME
)
# Made by a migration, as `DELTAS` is; here is what its columns hold.
RESULTS = Table(
    "results",
    tuple(
        Column(name, _TYPES.get(name, ColumnType.TEXT)) for name in ("number", *ResultRow._fields)
    ),
    ("tenant", "probe", "epoch", "seq"),
    "started_at",
)
DELTAS = Table(
    "rollup_deltas",
    (
        Column("tenant", ColumnType.TEXT),
        Column("probe", ColumnType.TEXT),
        Column("line", ColumnType.TEXT),
        Column("start_s", ColumnType.INTEGER),
        Column("body", ColumnType.BYTES),
    ),
    ("number",),
)


def derived_tables() -> list[Table]:
    """The tables that are made from types and not by a migration."""
    return [*(kind.table for kind in kind_tables().values()), *rollup_tables.TABLES]


def raw_tables() -> list[Table]:
    """The tables that retention empties, `results` last."""
    return [*(kind.table for kind in kind_tables().values()), RESULTS]


class SqlStore:
    """The Store, the Summaries and the registry on one Database.

    Args:
        database: migrated and open.
        rejected_kept: how many rejected messages to keep.
    """

    def __init__(self, database: Database, rejected_kept: int = 1_000) -> None:
        self._database = database
        self._rejected_kept = rejected_kept
        self.summaries = SqlSummaries(database)
        self.registry = RegistryStore(database)

    def store_batch(self, messages: Sequence[Judged], stored_at: datetime) -> BatchStored:
        """See Store."""
        return self.begin_batch(messages, stored_at)()

    def begin_batch(
        self, messages: Sequence[Judged], stored_at: datetime
    ) -> Callable[[], BatchStored]:
        """See Store."""
        batch = Batch(messages, stored_at)
        with self._database.transaction(waiting=False) as session:
            revision = _count(session, "revision", 1)
            known = _ledgers_of(session, batch.seqs)
            places = batch.new_places({key: stored for key, (_, stored) in known.items()})
            _count(session, "results", len(places))
            # What asks is above, what only writes is below: nothing waits between them.
            _insert_results(session, batch, places)
            _insert_deltas(session, batch, places)
            ledgers = _extend_ledgers(session, batch, known, revision)
            _upsert_last_results(session, batch)
            _upsert_probes(session, batch, revision)
            self._insert_rejected(session, batch)
        duplicates = len(batch.results) - len(places)
        done = BatchStored(len(places), duplicates, len(batch.rejected), ledgers)

        def finished() -> BatchStored:
            session.wait()
            return done

        return finished

    def roll_up(self, now: datetime, most_deltas: int = 2_000) -> int:
        """See Store."""
        with self._database.transaction() as session:
            return roll(session, now, most_deltas)

    def keep_up(
        self, now: datetime, raw_days: int | None, rollup_days: int | None = None
    ) -> Upkeep:
        """See Store."""
        self._database.make_room(_DAYS_AHEAD, now)
        filled = self._backfill()
        forgotten = 0
        if raw_days is not None:
            cut = now - timedelta(days=raw_days)
            forgotten = self._database.forget_before(cut, raw_tables(), _FORGET_ROWS)
        if rollup_days is not None:
            with self._database.transaction() as session:
                forget(session, now - timedelta(days=rollup_days))
        return Upkeep(backfilled=filled, forgotten=forgotten)

    def copy_to(self, destination: str) -> None:
        """See Store."""
        self._database.copy_to(destination)

    def read_sql(self, sql: str) -> list[Row]:
        """The rows of any query, for tests, benchmarks and the curious."""
        return self._database.read(sql)

    def ledgers(self) -> Mapping[EpochKey, Ledger]:
        """See Store."""
        rows = self._database.read(
            "SELECT tenant, probe, epoch, ranges FROM (SELECT tenant, probe, epoch, ranges, "
            "row_number() OVER (PARTITION BY tenant, probe ORDER BY touched DESC) AS place "
            "FROM ledgers) AS ordered WHERE place = 1"
        )
        return {
            EpochKey(tenant, probe, UUID(epoch)): columns.ledger(ranges)
            for tenant, probe, epoch, ranges in rows
        }

    def revision(self) -> int:
        """See Store."""
        rows = self._database.read("SELECT count FROM totals WHERE name = 'revision'")
        return int(rows[0][0]) if rows else 0

    def probes(self, changed_after: int = 0) -> list[StoredProbe]:
        """See Store."""
        rows = self._database.read(
            f"SELECT {_PROBE_COLUMNS} FROM probes WHERE revision > ?", (changed_after,)
        )
        return [columns.probe(row) for row in sorted(rows)]

    def probe(self, tenant: str, probe: str) -> StoredProbe | None:
        """See Store."""
        rows = self._database.read(
            f"SELECT {_PROBE_COLUMNS} FROM probes WHERE tenant = ? AND probe = ?", (tenant, probe)
        )
        return columns.probe(rows[0]) if rows else None

    def last_results(self, tenant: str, probe: str) -> list[LastResult]:
        """See Store."""
        rows = self._database.read(
            f"SELECT last.only_ok, {_RESULT_COLUMNS} FROM last_results AS last "
            "JOIN results USING (tenant, probe, epoch, seq, started_at) "
            "WHERE last.tenant = ? AND last.probe = ? "
            "ORDER BY last.only_ok",
            (tenant, probe),
        )
        latest: dict[tuple[str, str, str], LastResult] = {}
        for only_ok, *fields in rows:
            stored = columns.result(tuple(fields))
            key = (stored.line, stored.kind, stored.target or "")
            latest[key] = (
                latest[key]._replace(last_ok=stored)
                if only_ok and key in latest
                else LastResult(stored, stored if only_ok else None)
            )
        # In the order of their characters, whatever the database takes for the alphabet.
        return [latest[key] for key in sorted(latest)]

    def outages(self, line: LineKey, begin: datetime, end: datetime) -> list[StoredOutage]:
        """See Store."""
        rows = self._database.read(
            "SELECT started_at, duration_s, fault FROM outage_results "
            "WHERE tenant = ? AND probe = ? AND line = ? AND started_at >= ? AND started_at < ? "
            "AND fault IS NOT NULL ORDER BY started_at",
            (*line, utc_text(begin - _LONGEST_OUTAGE), utc_text(end)),
        )
        found = []
        for started, duration_s, fault in rows:
            started_at = columns.time(started)
            ended_at = started_at + timedelta(seconds=duration_s)
            if ended_at > begin:
                found.append(StoredOutage(started_at, ended_at, FaultLocation(fault)))
        return found

    def results_after(self, number: int, limit: int) -> list[StoredResult]:
        """See Store."""
        rows = self._database.read(
            f"SELECT {_RESULT_COLUMNS} FROM results WHERE number > ? ORDER BY number LIMIT ?",
            (number, limit),
        )
        return [columns.result(row) for row in rows]

    def newest_results(self, limit: int) -> list[StoredResult]:
        """See Store."""
        rows = self._database.read(
            f"SELECT {_RESULT_COLUMNS} FROM results ORDER BY number DESC LIMIT ?", (limit,)
        )
        return [columns.result(row) for row in reversed(rows)]

    def rejected_after(self, number: int, limit: int) -> list[StoredRejection]:
        """See Store."""
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
        """See Store."""
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

    def close(self) -> None:
        """See Store."""
        self._database.close()

    def _backfill(self) -> int:
        """Take results from before the roll-ups into them, a part of them at each call."""
        with self._database.transaction() as session:
            marks: dict[str, int] = dict(
                session.execute(
                    "SELECT name, count FROM totals WHERE name IN ('backfilled', 'backfill_to')"
                )
            )
            done, end = marks.get("backfilled", 0), marks.get("backfill_to", 0)
            if done >= end:
                return 0
            rows = session.execute(
                f"SELECT number, {', '.join(ResultRow._fields)} FROM results "
                "WHERE number > ? AND number <= ? ORDER BY number LIMIT ?",
                (done, end, _BACKFILL_ROWS),
            )
            stored = [(row[0], ResultRow(*row[1:])) for row in rows]
            decoded = [decode_result(row.body.encode()) for _, row in stored]
            _insert_kinds(
                session, [(n, row, r) for (n, row), r in zip(stored, decoded, strict=True)]
            )
            _write_deltas(session, [row for _, row in stored], decoded)
            _count(session, "backfilled", (stored[-1][0] if stored else end) - done)
            return len(stored)

    def _insert_rejected(self, session: Session, batch: Batch) -> None:
        if not batch.rejected:
            return
        for message in batch.rejected:
            _count(session, f"rejected:{message.reason}", 1)
        session.execute_many(
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
        session.execute(
            "DELETE FROM rejected WHERE number <= (SELECT max(number) FROM rejected) - ?",
            (self._rejected_kept,),
        )


def _count(session: Session, name: str, more: int) -> int:
    rows = session.execute(
        "INSERT INTO totals VALUES (?, ?) "
        "ON CONFLICT (name) DO UPDATE SET count = totals.count + excluded.count RETURNING count",
        (name, more),
    )
    return int(rows[0][0])


def _ledgers_of(
    session: Session, keys: Collection[EpochKey]
) -> dict[EpochKey, tuple[Ledger, Ledger]]:
    """What each epoch's receipt speaks of, and what of it is stored."""
    known = dict.fromkeys(keys, (Ledger(), Ledger()))
    for tenant in sorted({key.tenant for key in keys}):
        probes = sorted({key.probe for key in keys if key.tenant == tenant})
        for at in range(0, len(probes), _PROBES_AT_ONCE):
            some = probes[at : at + _PROBES_AT_ONCE]
            rows = session.execute(
                "SELECT probe, epoch, ranges, stored FROM ledgers "
                f"WHERE tenant = ? AND probe IN ({', '.join('?' * len(some))})",
                (tenant, *some),
            )
            for probe, epoch, ranges, stored in rows:
                key = EpochKey(tenant, probe, UUID(epoch))
                if key in known:
                    known[key] = (columns.ledger(ranges), columns.ledger(stored))
    return known


def _extend_ledgers(
    session: Session, batch: Batch, known: Mapping[EpochKey, tuple[Ledger, Ledger]], revision: int
) -> dict[EpochKey, Ledger]:
    ledgers: dict[EpochKey, Ledger] = {}
    rows = []
    for place, (key, seqs) in enumerate(batch.seqs.items()):
        ranges, stored = known[key]
        ledgers[key] = ranges.with_seqs(seqs).with_ranges(batch.given_up[key])
        rows.append(
            (
                key.tenant,
                key.probe,
                str(key.epoch),
                columns.ledger_text(ledgers[key]),
                # Of two epochs of one probe in a batch, the one that came last was used last.
                (revision << 20) + place,
                columns.ledger_text(stored.with_seqs(seqs)),
            )
        )
    session.execute_many(
        "INSERT INTO ledgers (tenant, probe, epoch, ranges, touched, stored) "
        "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (tenant, probe, epoch) DO UPDATE SET "
        "ranges = excluded.ranges, touched = excluded.touched, stored = excluded.stored",
        rows,
    )
    return ledgers


def _insert_results(session: Session, batch: Batch, places: Sequence[int]) -> None:
    if not places:
        return
    first = _count(session, "number", len(places)) - len(places) + 1
    numbered = [
        (number, batch.results[place], batch.decoded[place])
        for number, place in enumerate(places, start=first)
    ]
    session.insert(RESULTS, [(number, *row) for number, row, _ in numbered])
    _insert_kinds(session, numbered)


def _insert_kinds(session: Session, numbered: Sequence[tuple[int, ResultRow, Result]]) -> None:
    by_kind: dict[str, list[tuple[object, ...]]] = {}
    tables = kind_tables()
    for number, row, result in numbered:
        by_kind.setdefault(row.kind, []).append(tables[row.kind].row(number, row, result))
    for kind, rows in by_kind.items():
        session.insert(tables[kind].table, rows)


def _insert_deltas(session: Session, batch: Batch, places: Sequence[int]) -> None:
    rows = [batch.results[place] for place in places]
    _write_deltas(session, rows, [batch.decoded[place] for place in places])


def _write_deltas(session: Session, rows: Sequence[ResultRow], decoded: Sequence[Result]) -> None:
    hours = fold((row.tenant, row.probe, result) for row, result in zip(rows, decoded, strict=True))
    session.insert(
        DELTAS,
        [(*key.line, key.start_s, rollup_tables.encode(summary)) for key, summary in hours.items()],
    )


def _upsert_last_results(session: Session, batch: Batch) -> None:
    session.execute_many(
        "INSERT INTO last_results (tenant, probe, line, kind, target, only_ok, epoch, seq, "
        "started_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (tenant, probe, line, kind, target, only_ok) DO UPDATE SET "
        "epoch = excluded.epoch, seq = excluded.seq, started_at = excluded.started_at "
        # What is sent again late must not pass for the latest; a new epoch always does.
        "WHERE excluded.epoch <> last_results.epoch OR excluded.seq > last_results.seq",
        [(*key[:-1], int(key.only_ok), *last) for key, last in batch.last.items()],
    )


def _upsert_probes(session: Session, batch: Batch, revision: int) -> None:
    session.execute_many(
        f"INSERT INTO probes ({_PROBE_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (tenant, probe) DO UPDATE SET revision = excluded.revision, "
        "site = coalesce(excluded.site, probes.site), "
        "presence_since = CASE "
        "WHEN coalesce(excluded.presence, probes.presence) IS NOT DISTINCT FROM probes.presence "
        "THEN probes.presence_since ELSE excluded.presence_since END, "
        "presence = coalesce(excluded.presence, probes.presence), "
        "info = coalesce(excluded.info, probes.info), "
        "health = coalesce(excluded.health, probes.health), "
        "health_at = coalesce(excluded.health_at, probes.health_at), "
        "last_contact_at = coalesce(excluded.last_contact_at, probes.last_contact_at)",
        [
            (
                tenant,
                probe,
                revision,
                columns.maybe(change.site, columns.message_text),
                change.presence.value if change.presence else None,
                columns.maybe(change.presence_since, utc_text),
                columns.maybe(change.info, columns.message_text),
                columns.maybe(change.health, columns.message_text),
                columns.maybe(change.health_at, utc_text),
                columns.maybe(change.last_contact_at, utc_text),
            )
            for (tenant, probe), change in batch.probes.items()
        ],
    )
