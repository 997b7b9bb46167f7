"""Floor 2. Checks signatures again whose certificate was not known when they came.

A certificate may come behind the results that its key has signed: `info` after a backlog, an
authority that was configured later. Blocks without one are found by an index of their own.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from collector.store import signature_store
from collector.store.database import Database, Row, Transaction
from collector.store.messages import EpochKey, SignatureOutcome
from collector.store.repeats import bodies_of
from collector.store.result_reader import ResultReader
from collector.store.signed_text import text_of
from runtime.signing_certificate import CertificateError, SigningCertificate

# Blocks that are read and checked between two transactions.
_AT_A_TIME = 256
_UNKNOWN = f"outcome = {signature_store.OUTCOMES.index(SignatureOutcome.UNKNOWN_KEY)}"
log = logging.getLogger(__name__)


class Rechecked(NamedTuple):
    """What came of a block: the outcome, and which row it is (epoch, first number, key)."""

    outcome: SignatureOutcome
    epoch_id: int
    first: int
    key: bytes


class SignatureRecheck:
    """Checks the blocks of one store. For one thread at a time."""

    def __init__(self, database: Database, reader: ResultReader) -> None:
        self._database, self._reader = database, reader
        self._portions: Iterator[list[Rechecked]] | None = None

    def next_portion(self) -> list[Rechecked] | None:
        """What came of the next blocks; None after the last, and then from the first again.

        Blocks whose certificate is still not known, or was not in force, are not in it.
        """
        if self._portions is None:
            self._portions = self._every()
        found = next(self._portions, None)
        if found is None:
            self._portions = None
        return found

    def _every(self) -> Iterator[list[Rechecked]]:
        pairs = self._database.read(
            f"SELECT DISTINCT epoch_id, key FROM signature_blocks WHERE {_UNKNOWN}"
        )
        for epoch_id, key in pairs:
            certificate = self._certificate(epoch_id, bytes(key))
            if certificate is not None:
                yield from self._of_key(epoch_id, bytes(key), certificate)

    def _certificate(self, epoch_id: int, key: bytes) -> SigningCertificate | None:
        rows = self._database.read(
            "SELECT certificate FROM epochs JOIN probe_certificates USING (tenant, probe) "
            "WHERE epoch_id = ? AND key = ?",
            (epoch_id, key.hex()),
        )
        try:
            return SigningCertificate(bytes(rows[0][0])) if rows else None
        except CertificateError:
            return None

    def _of_key(
        self, epoch_id: int, key: bytes, certificate: SigningCertificate
    ) -> Iterator[list[Rechecked]]:
        after = 0
        while rows := self._database.read(
            f"SELECT {signature_store.COLUMNS}, started_at, stored_at "
            f"FROM epochs JOIN signature_blocks USING (epoch_id) WHERE epoch_id = ? AND {_UNKNOWN} "
            "AND key = ? AND first_seq > ? ORDER BY first_seq LIMIT ?",
            (epoch_id, key, after, _AT_A_TIME),
        ):
            checked = [(row, self._outcome(row, certificate)) for row in rows]
            yield [
                Rechecked(outcome, epoch_id, row[3], key)
                for row, outcome in checked
                if outcome is not None
            ]
            after = rows[-1][3]

    def _outcome(self, row: Row, certificate: SigningCertificate) -> SignatureOutcome | None:
        stored = signature_store.stored_block(row[:-2])
        if not certificate.is_in_force([_time(cell) for cell in row[-2:]]):
            return None
        text = text_of(stored, self._bodies(stored.epoch, stored.block.seqs))
        if text is None:
            return None
        if certificate.verifies(text, stored.block.signature):
            return SignatureOutcome.CHECKED
        log.error(
            "results %d to %d of %s/%s (%s) are not what the probe signed; they came before its "
            "certificate was known, and are in figures",
            stored.block.first,
            stored.block.last,
            *stored.epoch,
        )
        return SignatureOutcome.MISMATCH

    def _bodies(self, epoch: EpochKey, seqs: Sequence[int]) -> Mapping[int, bytes]:
        database = self._database
        return bodies_of(database.read, self._reader, database.same_day, epoch, seqs)


def write(transaction: Transaction, portion: Sequence[Rechecked]) -> None:
    """Store what came of blocks."""
    transaction.execute_many(
        "UPDATE signature_blocks SET outcome = ? "
        f"WHERE epoch_id = ? AND first_seq = ? AND key = ? AND {_UNKNOWN}",
        [(signature_store.OUTCOMES.index(one.outcome), *one[1:]) for one in portion],
    )


def _time(cell: int | datetime) -> datetime:
    return datetime.fromtimestamp(cell / 1e6, UTC) if isinstance(cell, int) else cell
