"""Floor 2. Repeats: results whose number the store has already, compared with what it has.

A probe sends again what no receipt has covered, byte for byte. Another result under a number that
is taken (two boxes with one outbox, of a version that numbered a copied file on) must not pass for
a repeat.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import chain
from typing import NamedTuple

from msgspec import structs

from collector.store.batch import Batch, ResultRow
from collector.store.bodies import BLOCK_RESULTS, DamagedBlockError
from collector.store.database import Transaction
from collector.store.messages import EpochKey, RejectedMessage
from collector.store.result_reader import Execute, ResultReader
from wire import topics
from wire.messages import Rejection
from wire.result import Result, Validity, decode_result

_AT_ONCE = 500
_OF_THE_CENTRE = (
    Validity.CLOCK_REPAIRED,
    Validity.CLOCK_UNSYNCED,  # taken away by a repair
    Validity.TIME_ANCIENT,
    Validity.TIME_IN_FUTURE,
    Validity.SIGNATURE_MISMATCH,
)
SameDay = Callable[[str, str], str]
_Identity = tuple[str, str, str, int]


class _Wanted(NamedTuple):
    """What is asked of a result in the place of its row."""

    tenant: str
    probe: str
    epoch: str
    seq: int
    # Not known: every day is searched.
    started_at: str = "1970-01-01"


_Numbered = ResultRow | _Wanted


def bodies_of(
    execute: Execute,
    reader: ResultReader,
    same_day: SameDay,
    epoch: EpochKey,
    seqs: Iterable[int],
) -> dict[int, bytes]:
    """The stored bodies of these results of an epoch, by number; those that are not there are not.

    Args:
        execute: reads the database.
        reader: reads the store's bodies.
        same_day: `Database.same_day`.
        epoch: of the results.
        seqs: their numbers.
    """
    wanted = [_Wanted(epoch.tenant, epoch.probe, str(epoch.epoch), seq) for seq in seqs]
    known = _bodies(execute, reader, wanted, None)
    left = [one for one in wanted if _identity(one) not in known]
    known |= _packed_bodies(execute, reader, same_day, left)
    known |= _old_bodies(execute, [one for one in left if _identity(one) not in known])
    return {seq: body.encode() for (_, _, _, seq), body in known.items()}


def reused_numbers(
    transaction: Transaction,
    reader: ResultReader,
    same_day: SameDay,
    batch: Batch,
    places: Sequence[int],
    at: datetime,
) -> list[RejectedMessage]:
    """The results of a batch whose number another result has, as rejected messages.

    Args:
        transaction: the transaction that stores the batch.
        reader: reads the store's bodies.
        same_day: `Database.same_day`.
        batch: the batch.
        places: where in `batch.rows` those are that are new.
        at: when the batch is stored.
    """
    new = set(places)
    if len(new) == len(batch.rows):
        return []
    first = {_identity(batch.rows[place]): batch.decoded[place] for place in places}
    repeats = [place for place in range(len(batch.rows)) if place not in new]
    elsewhere = [place for place in repeats if _identity(batch.rows[place]) not in first]
    # Nearly all repeats are in the same day's part, under the same time.
    known = _bodies(transaction.execute, reader, [batch.rows[at] for at in elsewhere], same_day)
    left = [place for place in elsewhere if _identity(batch.rows[place]) not in known]
    known |= _bodies(transaction.execute, reader, [batch.rows[at] for at in left], None)
    left = [place for place in left if _identity(batch.rows[place]) not in known]
    known |= _packed_bodies(transaction.execute, reader, same_day, [batch.rows[at] for at in left])
    still = [place for place in left if _identity(batch.rows[place]) not in known]
    known |= _old_bodies(transaction.execute, [batch.rows[place] for place in still])
    return [
        _rejected(batch.rows[place], at)
        for place in repeats
        if not _is_repeat(batch, place, known, first)
    ]


def _is_repeat(
    batch: Batch, place: int, known: Mapping[_Identity, str], first: Mapping[_Identity, Result]
) -> bool:
    row, result = batch.rows[place], batch.decoded[place]
    identity = _identity(row)
    if identity in first:
        return _same(result, first[identity])
    body = known.get(identity)
    # Where raw results have gone by age, nothing is left to compare it with.
    return body is None or body == row.body or _same(result, decode_result(body.encode()))


def _same(one: Result, other: Result) -> bool:
    """Whether two results are one, as their probe sent them."""
    return _as_sent(one) == _as_sent(other)


def _as_sent(result: Result) -> Result:
    """A result without what the centre says of its time (`collector.ingest.validation`)."""
    return structs.replace(
        result,
        started_at=result.clock.stated_at or result.started_at,
        slot_at=None,
        clock=structs.replace(result.clock, stated_at=None),
        validity=[flag for flag in result.validity if flag not in _OF_THE_CENTRE],
    )


def _bodies(
    execute: Execute,
    reader: ResultReader,
    rows: Sequence[_Numbered],
    same_day: SameDay | None,
) -> dict[_Identity, str]:
    """The stored bodies of these identities; with `same_day`, of the days on which they started."""
    found: dict[_Identity, str] = {}
    for key, some in _portions(rows):
        seqs = {row.seq for row in some}
        days = {f"CAST('{row.started_at[:10]}T00:00:00Z' AS timestamptz)" for row in some}
        span = ["true"]
        if same_day is not None:
            span = [same_day("b.started_at", day) for day in sorted(days)]
        ranges = first_numbers(seqs)
        marks = ", ".join(["(CAST(? AS bigint), CAST(? AS bigint))"] * len(ranges))
        for first, count, dictionary_id, body in execute(
            f"WITH wanted (low, high) AS (VALUES {marks}) "
            "SELECT b.first_seq, b.results, b.dictionary_id, b.body FROM wanted CROSS JOIN epochs "
            "AS e JOIN result_blocks AS b ON b.epoch_id = e.epoch_id "
            "AND b.first_seq BETWEEN low AND high "
            f"WHERE tenant = ? AND probe = ? AND epoch = ? AND ({' OR '.join(span)})",
            (*chain.from_iterable(ranges), *key),
        ):
            if seqs.isdisjoint(range(first, first + count)):
                continue
            try:
                bodies = reader.bodies(execute, dictionary_id, bytes(body), count)
                texts = [content.decode() for content in bodies]
            except (DamagedBlockError, UnicodeDecodeError):
                # As where the block has gone by age: nothing is left to compare with.
                continue
            found |= {(*key, seq): text for seq, text in enumerate(texts, first) if seq in seqs}
    return found


def _packed_bodies(
    execute: Execute, reader: ResultReader, same_day: SameDay, rows: Sequence[_Numbered]
) -> dict[_Identity, str]:
    """The same of results that are packed."""
    found: dict[_Identity, str] = {}
    for key, some in _portions(rows):
        seqs = {row.seq for row in some}
        ranges = first_numbers(seqs)
        marks = ", ".join(["(CAST(? AS bigint), CAST(? AS bigint))"] * len(ranges))
        blocks = execute(
            f"WITH wanted (low, high) AS (VALUES {marks}) "
            "SELECT b.number, b.started_at, b.first_seq, b.results FROM wanted CROSS JOIN epochs "
            "AS e JOIN packed_blocks AS b ON b.epoch_id = e.epoch_id "
            "AND b.first_seq BETWEEN low AND high WHERE tenant = ? AND probe = ? AND epoch = ? "
            "ORDER BY b.number",
            (*chain.from_iterable(ranges), *key),
        )
        for number, started_at, first, count in blocks:
            here = seqs.intersection(range(first, first + count))
            if here:
                bodies = reader.packed_bodies(
                    execute,
                    same_day,
                    (number, started_at),
                    [seq - first for seq in here],
                )
                found |= {(*key, first + place): body for place, body in bodies.items()}
    return found


def first_numbers(seqs: Collection[int]) -> list[tuple[int, int]]:
    """The ranges of the first numbers of all blocks that may have one of these results.

    In pieces, for a probe may send its first and its last result again: all others of its history
    are not read.
    """
    ranges: list[tuple[int, int]] = []
    for seq in sorted(seqs):
        low = seq - BLOCK_RESULTS + 1
        if ranges and low <= ranges[-1][1] + 1:
            ranges[-1] = (ranges[-1][0], seq)
        else:
            ranges.append((low, seq))
    return ranges


def _old_bodies(execute: Execute, rows: Sequence[_Numbered]) -> dict[_Identity, str]:
    """The same of results from before there were blocks."""
    found: dict[_Identity, str] = {}
    for key, some in _portions(rows):
        for seq, body in execute(
            "SELECT seq, body FROM old_results WHERE tenant = ? AND probe = ? AND epoch = ? "
            f"AND seq IN ({', '.join('?' * len(some))})",
            (*key, *(row.seq for row in some)),
        ):
            found[(*key, int(seq))] = str(body)
    return found


def _portions(rows: Sequence[_Numbered]) -> Iterator[tuple[tuple[str, str, str], list[_Numbered]]]:
    """The rows of each epoch, by number, a few hundred at once."""
    by_epoch: dict[tuple[str, str, str], list[_Numbered]] = defaultdict(list)
    for row in rows:
        by_epoch[row.tenant, row.probe, row.epoch].append(row)
    for key, every in by_epoch.items():
        every.sort(key=lambda row: row.seq)
        for at in range(0, len(every), _AT_ONCE):
            yield key, every[at : at + _AT_ONCE]


def _identity(row: _Numbered) -> _Identity:
    return row.tenant, row.probe, row.epoch, row.seq


def _rejected(row: ResultRow, at: datetime) -> RejectedMessage:
    return RejectedMessage(
        topics.measurement(row.tenant, row.probe, row.kind),
        row.body.encode(),
        at,
        Rejection.NUMBER_REUSED,
        f"epoch {row.epoch} has another result under number {row.seq}: an older image of a card "
        "was put back, or two boxes use one outbox",
    )
