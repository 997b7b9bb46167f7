"""Floor 2. Writes a batch into the tables within one transaction; used by `SqlStore`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import chain
from uuid import UUID

from collector.rollup.periods import local_day
from collector.rollup.summary import group_by_hour
from collector.store import columns, rollup_tables
from collector.store.batch import Batch, ResultRow, utc_text
from collector.store.database import Row, Transaction
from collector.store.messages import EpochKey
from collector.store.migrated_tables import DELTAS, LAST_RESULTS, LEDGERS, PLANS, PROBES
from collector.store.result_writer import NumberedRow
from wire.ledger import Ledger
from wire.record import Result

# SQLite takes 32,766 values in a statement at most.
_EPOCHS_AT_ONCE = 1_000
# A roll-up takes deltas whole, so that a huge batch is several: memory.
_RESULTS_A_DELTA = 2_000
_AHEAD = timedelta(minutes=10)


def count(transaction: Transaction, name: str, more: int) -> int:
    """Add to a counter of `totals`; returns its new value."""
    rows = transaction.execute(
        "INSERT INTO totals VALUES (?, ?) "
        "ON CONFLICT (name) DO UPDATE SET count = totals.count + excluded.count RETURNING count",
        (name, more),
    )
    return int(rows[0][0])


def ledgers_of(
    read: Callable[[str, Sequence[object]], Sequence[Row]], keys: Collection[EpochKey]
) -> dict[EpochKey, tuple[Ledger, Ledger]]:
    """Of each epoch, the ledger of its receipt, and the ledger of what is stored."""
    known = dict.fromkeys(keys, (Ledger(), Ledger()))
    every = sorted(keys)
    for at in range(0, len(every), _EPOCHS_AT_ONCE):
        some = every[at : at + _EPOCHS_AT_ONCE]
        # By the whole key, so that a probe with many epochs does not have all of them read.
        rows = read(
            "WITH wanted (tenant, probe, epoch) AS "
            f"(VALUES {', '.join(['(?, ?, ?)'] * len(some))}) "
            "SELECT tenant, probe, epoch, ranges, stored FROM wanted "
            "JOIN ledgers USING (tenant, probe, epoch)",
            tuple(chain.from_iterable((key.tenant, key.probe, str(key.epoch)) for key in some)),
        )
        for tenant, probe, epoch, ranges, stored in rows:
            key = EpochKey(tenant, probe, UUID(epoch))
            known[key] = (columns.ledger(ranges), columns.ledger(stored))
    return known


def extend_ledgers(
    transaction: Transaction,
    batch: Batch,
    known: Mapping[EpochKey, tuple[Ledger, Ledger]],
    revision: int,
) -> dict[EpochKey, Ledger]:
    """Write the new ledgers of the batch's epochs; returns those for the receipts."""
    ledgers: dict[EpochKey, Ledger] = {}
    rows = []
    for place, key in enumerate(batch.epochs):
        ranges, stored = known[key]
        seqs = batch.seqs.get(key, ())
        ledgers[key] = ranges.with_seqs(seqs).with_ranges(batch.given_up.get(key, ()))
        rows.append(
            (
                key.tenant,
                key.probe,
                str(key.epoch),
                columns.ledger_text(ledgers[key]),
                # Of two epochs of one probe in a batch, the last one is the current one.
                (revision << 20) + place,
                columns.ledger_text(stored.with_seqs(seqs)),
            )
        )
    transaction.replace(LEDGERS, rows)
    return ledgers


def insert_deltas(transaction: Transaction, batch: Batch, places: Sequence[int]) -> None:
    """Insert the roll-up deltas of the results at these indices."""
    rows = [batch.results[place] for place in places]
    write_deltas(transaction, rows, [batch.decoded[place] for place in places])


def write_deltas(
    transaction: Transaction, rows: Sequence[ResultRow], decoded: Sequence[Result]
) -> None:
    """Insert the roll-up deltas of results, which `rollup_writer` merges later."""
    deltas = []
    for at in range(0, len(rows), _RESULTS_A_DELTA):
        part = slice(at, at + _RESULTS_A_DELTA)
        hours = group_by_hour(
            (row.tenant, row.probe, result)
            for row, result in zip(rows[part], decoded[part], strict=True)
        )
        if hours:
            deltas.append((len(rows[part]), rollup_tables.encode_delta(hours)))
    transaction.insert(DELTAS, deltas)


def upsert_last_results(
    transaction: Transaction, batch: Batch, stored: Sequence[NumberedRow], at: datetime
) -> None:
    """Update the last result of each line, kind, target and family.

    Args:
        transaction: the one that stores the batch.
        batch: the batch.
        stored: its new results.
        at: the time by the centre's clock.
    """
    # A repeat has no number here. It becomes no last result, for its first copy was one: where the
    # last one's clock was ahead, a repeat would replace it, without a number to be found by.
    numbers = {
        (one.row.tenant, one.row.probe, one.row.epoch, one.row.seq): (one.number, one.place)
        for one in stored
    }
    transaction.upsert(
        LAST_RESULTS,
        [
            (
                *key[:-1],
                int(key.only_ok),
                *last,
                *number,
            )
            for key, last in batch.last.items()
            if (number := numbers.get((key.tenant, key.probe, last.epoch, last.seq)))
        ],
        "SET epoch = excluded.epoch, seq = excluded.seq, started_at = excluded.started_at, "
        "number = excluded.number, place = excluded.place "
        # A late repeat is not the last result: by number in one epoch, else by time, unless the
        # known one's clock was ahead of the centre's. See `Batch`.
        "WHERE CASE WHEN excluded.epoch = last_results.epoch "
        "THEN excluded.seq > last_results.seq "
        "ELSE excluded.started_at >= last_results.started_at "
        f"OR last_results.started_at > '{utc_text(at)}' END",
    )


def replace_plans(transaction: Transaction, batch: Batch, at: datetime) -> None:
    """Write the plans in the batch for the local month in which they were received.

    A probe publishes its plan as the month begins, and its clock may be a little ahead: one that
    is received in a month's last minutes is of the next month.
    """
    month = f"{local_day(at + _AHEAD):%Y-%m}"
    transaction.replace(
        PLANS,
        [
            (tenant, probe, month, columns.message_text(change.info.plan))
            for (tenant, probe), change in batch.probes.items()
            if change.info is not None
        ],
    )


def upsert_probes(transaction: Transaction, batch: Batch, revision: int) -> None:
    """Update the probes that the batch has changes of."""
    transaction.upsert(
        PROBES,
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
        "SET revision = excluded.revision, "
        "site = coalesce(excluded.site, probes.site), "
        "presence_since = CASE "
        # A second LOST came after contacts that `collector.domain.lines.presence_of` took for the
        # end of the first.
        "WHEN coalesce(excluded.presence, probes.presence) IS NOT DISTINCT FROM probes.presence "
        "AND (excluded.presence_since IS NULL OR probes.presence = 'online') "
        "THEN probes.presence_since ELSE excluded.presence_since END, "
        "presence = coalesce(excluded.presence, probes.presence), "
        "info = coalesce(excluded.info, probes.info), "
        "health = coalesce(excluded.health, probes.health), "
        "health_at = coalesce(excluded.health_at, probes.health_at), "
        "last_contact_at = coalesce(excluded.last_contact_at, probes.last_contact_at)",
    )
