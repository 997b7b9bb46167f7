"""Floor 2. Writes the last result of each series: of a line, kind, target and address family.

The numbers of series are cached. As with those of `ResultWriter`, the store calls `forget` when a
transaction was not committed.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from datetime import datetime

from collector.store.batch import Batch, LastResultRef, SeriesName, microseconds, utc_text
from collector.store.database import Transaction
from collector.store.migrated_tables import SERIES, SERIES_LAST
from collector.store.result_writer import Block, Count, StoredPlaces

EpochId = Callable[[tuple[str, str, str]], int]
# A nation has some eighty thousand series.
_CACHED = 150_000
# Parameters of one statement: SQLite takes 32,766.
_AT_ONCE = 5_000
_PARTS = ("", "ok_")
# A counter of the store: how often series have been deleted.
_DELETIONS = "series_deletions"
_NOTHING: tuple[object, ...] = (None,) * 5


def _update() -> str:
    """`DO UPDATE` for each part of a row: by number in one epoch, else by time, unless the known
    result's clock was ahead of the centre's. A late repeat is not the last result. See `Batch`.
    """
    sets = ["stored_at = excluded.stored_at"]
    for part in _PARTS:
        later = (
            f"excluded.{part}seq IS NOT NULL AND CASE "
            f"WHEN series_last.{part}started_at IS NULL THEN true "
            f"WHEN excluded.{part}epoch_id = series_last.{part}epoch_id "
            f"THEN excluded.{part}seq > series_last.{part}seq "
            f"ELSE excluded.{part}started_at >= series_last.{part}started_at "
            f"OR series_last.{part}started_at > excluded.stored_at END"
        )
        sets += [
            f"{name} = CASE WHEN {later} THEN excluded.{name} ELSE series_last.{name} END"
            for name in (f"{part}{field}" for field in _FIELDS)
        ]
    return f"SET {', '.join(sets)}"


_FIELDS = ("epoch_id", "seq", "started_at", "number", "place")
_UPDATE = _update()


class LastResultWriter:
    """Writes the last results of one store. For one thread at a time."""

    def __init__(self) -> None:
        self._series: dict[SeriesName, int] = {}
        self._deletions = 0

    @property
    def known(self) -> Container[SeriesName]:
        """Series that are stored, as far as they are cached."""
        return self._series

    def forget(self) -> None:
        """Empty the cache, after a transaction that may not have been committed."""
        self._series.clear()

    def refresh(self, transaction: Transaction) -> None:
        """Forget the numbers of series where some were deleted since, by any collector.

        Called in the transaction that stores a batch, before its writes.
        """
        rows = transaction.execute("SELECT count FROM totals WHERE name = ?", (_DELETIONS,))
        deletions = int(rows[0][0]) if rows else 0
        if deletions != self._deletions:
            self._deletions = deletions
            self._series.clear()

    def write(
        self,
        transaction: Transaction,
        batch: Batch,
        stored: StoredPlaces,
        epoch_id: EpochId,
        count: Count,
    ) -> None:
        """Update the last result of each series of a batch.

        Args:
            transaction: the one that stores the batch.
            batch: the batch.
            stored: where its new results are.
            epoch_id: the number of an epoch (tenant, probe, epoch) of which there is a new result.
            count: adds to a counter of the store and returns its new value.
        """
        rows: dict[SeriesName, tuple[object, ...]] = {}
        for name, (last, last_ok) in batch.last.items():
            part = _part(name, last, stored, epoch_id)
            ok = part if last_ok is last else _part(name, last_ok, stored, epoch_id)
            if part is not _NOTHING or ok is not _NOTHING:
                rows[name] = (*part, *ok)
        stored_us = microseconds(batch.stored_at)
        ids = self._ids(transaction, rows, count)
        transaction.upsert(
            SERIES_LAST, [(ids[name], stored_us, *row) for name, row in rows.items()], _UPDATE
        )

    def _ids(
        self, transaction: Transaction, wanted: Iterable[SeriesName], count: Count
    ) -> Mapping[SeriesName, int]:
        """The numbers of series; the new ones are inserted."""
        known = self._series
        missing = [name for name in wanted if name not in known]
        if not missing:
            return known
        if len(known) + len(missing) > _CACHED:
            known.clear()
            missing = list(wanted)
        for at in range(0, len(missing), _AT_ONCE):
            known.update(_read(transaction, missing[at : at + _AT_ONCE]))
        new = [name for name in missing if name not in known]
        if new:
            first = count(transaction, "series_id", len(new)) - len(new) + 1
            known.update({name: number for number, name in enumerate(new, start=first)})
            transaction.insert_new(SERIES, [(known[name], *name) for name in new])
        return known


def _part(
    name: SeriesName, last: LastResultRef | None, stored: StoredPlaces, epoch_id: EpochId
) -> tuple[object, ...]:
    if last is None:
        return _NOTHING
    # A repeat has no number here. It becomes no last result, for its first copy was one: where the
    # last one's clock was ahead, a repeat would replace it, without a number.
    epoch = name.tenant, name.probe, last.epoch
    place = stored.find(epoch, last.seq)
    return _NOTHING if place is None else (epoch_id(epoch), last.seq, last.started_us, *place)


def _read(transaction: Transaction, names: Sequence[SeriesName]) -> dict[SeriesName, int]:
    marks = ", ".join(["(?, ?, ?, ?, ?, CAST(? AS smallint))"] * len(names))
    rows = transaction.execute(
        f"WITH wanted (tenant, probe, line, kind, target, family) AS (VALUES {marks}) "
        "SELECT tenant, probe, line, kind, target, family, series_id FROM wanted "
        "JOIN series USING (tenant, probe, line, kind, target, family)",
        [cell for name in names for cell in name],
    )
    return {SeriesName(*name): series_id for *name, series_id in rows}


def carry_over(transaction: Transaction, blocks: Sequence[Block]) -> None:
    """Point the last results that were carried over into blocks to where they are."""
    stored = StoredPlaces(blocks)
    rows = transaction.execute(
        "SELECT series_id, only_ok, tenant, probe, epoch, seq FROM last_results "
        "WHERE number IS NULL"
    )
    for only_ok, part in enumerate(_PARTS):
        transaction.execute_many(
            f"UPDATE series_last SET {part}number = ?, {part}place = ? WHERE series_id = ?",
            [
                (*place, series_id)
                for series_id, of, tenant, probe, epoch, seq in rows
                if of == only_ok and (place := stored.find((tenant, probe, epoch), seq)) is not None
            ],
        )


def delete_before(transaction: Transaction, cut: datetime, count: Count) -> None:
    """Delete last results from before `cut`, and series that have none left."""
    nothing = ", ".join(f"ok_{name} = NULL" for name in _FIELDS)
    old = "(SELECT series_id FROM last_results WHERE only_ok = {} AND started_at < ?)"
    before = (utc_text(cut),)
    transaction.execute(
        f"UPDATE series_last SET {nothing} WHERE series_id IN {old.format(1)}", before
    )
    transaction.execute(f"DELETE FROM series_last WHERE series_id IN {old.format(0)}", before)
    transaction.execute("DELETE FROM series_last WHERE seq IS NULL AND ok_seq IS NULL")
    if transaction.execute(
        "DELETE FROM series WHERE series_id NOT IN (SELECT series_id FROM series_last) "
        "RETURNING series_id"
    ):
        count(transaction, _DELETIONS, 1)
