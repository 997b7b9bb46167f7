"""Floor 2. Writes a batch into the tables within one transaction; used by `SqlStore`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import chain
from uuid import UUID

from collector.rollup.periods import local_day
from collector.store import columns, rollup_tables
from collector.store.batch import Batch, epoch_text, utc_text
from collector.store.database import Row, Transaction
from collector.store.messages import EpochKey
from collector.store.migrated_tables import DELTAS, LEDGERS, PLANS, PROBES
from collector.store.rollup_tables import ProbeResults, delta_of
from wire.ledger import Ledger

# SQLite takes 32,766 values in a statement at most.
_EPOCHS_AT_ONCE = 1_000
# A roll-up takes deltas whole, so that a huge batch is several: memory.
_RESULTS_A_DELTA = 2_000
# A nation has some four thousand probes, of an epoch or two; a sound epoch has few ranges.
_LEDGERS_CACHED = 20_000
_RANGES_CACHED = 40
_AHEAD = timedelta(minutes=10)


def count(transaction: Transaction, name: str, more: int, *others: str) -> int:
    """Add to a counter of `totals`, and as much to others; returns the new value of the first."""
    names = (name, *others)
    rows = transaction.execute(
        f"INSERT INTO totals VALUES {', '.join(['(?, ?)'] * len(names))} ON CONFLICT (name) "
        "DO UPDATE SET count = totals.count + excluded.count RETURNING name, count",
        [cell for each in names for cell in (each, more)],
    )
    return next(int(value) for counter, value in rows if counter == name)


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


class LedgerCache:
    """The ledgers that this store's own batches wrote last, so that they are not read again.

    Each batch has the next revision of the store. Where one is missing, another collector has
    stored a batch meanwhile, and nothing is known any more.
    """

    def __init__(self) -> None:
        self._known: dict[EpochKey, tuple[Ledger, Ledger]] = {}
        self._revision = 0

    def forget(self) -> None:
        """Empty it, after a transaction that may not have been committed."""
        self._known.clear()

    def read(
        self, transaction: Transaction, keys: Sequence[EpochKey], revision: int
    ) -> dict[EpochKey, tuple[Ledger, Ledger]]:
        """What `ledgers_of` reads, in the transaction of the batch of this revision."""
        if revision != self._revision + 1:
            self._known.clear()
        self._revision = revision
        found, missing = {}, []
        # Each look-up of a key runs Python code: a UUID's hash.
        for key in keys:
            ledgers = self._known.get(key)
            if ledgers is None:
                missing.append(key)
            else:
                found[key] = ledgers
        return found | ledgers_of(transaction.execute, missing) if missing else found

    def remember(self, written: Mapping[EpochKey, tuple[Ledger, Ledger]]) -> None:
        """Remember what this batch has written; scattered ones would take much memory."""
        if len(self._known) + len(written) > _LEDGERS_CACHED:
            self._known.clear()
        # Python does not hash the keys again.
        self._known.update(written)
        for key, (ranges, stored) in written.items():
            if len(ranges.ranges) + len(stored.ranges) > _RANGES_CACHED:
                del self._known[key]


def extend_ledgers(
    transaction: Transaction,
    batch: Batch,
    known: Mapping[EpochKey, tuple[Ledger, Ledger]],
    revision: int,
) -> dict[EpochKey, tuple[Ledger, Ledger]]:
    """Write the new ledgers of the batch's epochs; returns them as `ledgers_of` does."""
    ledgers: dict[EpochKey, tuple[Ledger, Ledger]] = {}
    rows = []
    for place, key in enumerate(batch.epochs):
        given_up = batch.given_up.get(key, ()) if batch.given_up else ()
        ranges, stored = _extended(known[key], batch.seqs.get(key, ()), given_up)
        ledgers[key] = ranges, stored
        text = columns.ledger_text(ranges)
        rows.append(
            (
                key.tenant,
                key.probe,
                epoch_text(key.epoch),
                text,
                # Of two epochs of one probe in a batch, the last one is the current one.
                (revision << 20) + place,
                text if stored is ranges else columns.ledger_text(stored),
            )
        )
    transaction.replace(LEDGERS, rows)
    return ledgers


def _extended(
    known: tuple[Ledger, Ledger], seqs: Sequence[int], given_up: Sequence[tuple[int, int]]
) -> tuple[Ledger, Ledger]:
    """Both ledgers of an epoch with what a batch adds; one object where they are equal."""
    ranges, stored = known
    if not given_up and ranges == stored:
        ranges = stored = ranges.with_seqs(seqs)
        return ranges, stored
    return ranges.with_seqs(seqs).with_ranges(given_up), stored.with_seqs(seqs)


def insert_deltas(transaction: Transaction, every: Iterable[ProbeResults]) -> None:
    """Insert the roll-up deltas of results, for `rollup_writer`."""
    deltas = []
    part: list[ProbeResults] = []
    size = 0
    for some in every:
        if size + len(some.results) > _RESULTS_A_DELTA and part:
            deltas.append((size, rollup_tables.encode_delta(delta_of(part))))
            part, size = [], 0
        part.append(some)
        size += len(some.results)
    if part:
        deltas.append((size, rollup_tables.encode_delta(delta_of(part))))
    transaction.insert_new(DELTAS, deltas)


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
