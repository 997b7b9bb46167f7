"""Floor 2. Signature blocks and certificates in the tables of a store.

A block is stored with the first of its results that are new, so a repetition adds none; one whose
results came in two envelopes may have two rows.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import chain
from struct import Struct as Layout
from uuid import UUID

import msgspec

from collector.store import columns
from collector.store.batch import microseconds, utc_text
from collector.store.database import Database, Row, Transaction
from collector.store.messages import (
    EpochKey,
    ProbeCertificate,
    ResultsMessage,
    SignatureOutcome,
    SignedBlock,
    StatusMessage,
    ValidatedMessage,
)
from collector.store.migrated_tables import CERTIFICATES, SIGNATURES
from collector.store.records import StoredResult, StoredSignature
from wire.decoding import converted
from wire.ledger import Ledger
from wire.record import Validity
from wire.signature import MAX_BLOCK_RESULTS, SignatureBlock, decode_signature, encode_signature

# By the number that is stored.
OUTCOMES = (
    SignatureOutcome.CHECKED,
    SignatureOutcome.UNKNOWN_KEY,
    SignatureOutcome.MISMATCH,
)
_MISMATCH = f'"{Validity.SIGNATURE_MISMATCH.value}"'.encode()
_EPOCHS_AT_ONCE = 1_000
# Number, SHA-256.
_DIGEST = Layout(">Q32s")
COLUMNS = (
    "tenant, probe, epoch, first_seq, results, outcome, key, previous, signature, digests, sent"
)
EpochId = Callable[[tuple[str, str, str]], int]


def write(
    transaction: Transaction,
    messages: Sequence[ValidatedMessage],
    known: Mapping[EpochKey, tuple[Ledger, Ledger]],
    epoch_id: EpochId,
    stored_at: datetime,
) -> None:
    """Write the signatures and certificates of a batch, within its transaction.

    Args:
        transaction: the one that stores the batch.
        messages: the batch, without what was rejected.
        known: of each epoch, the ledgers of its receipt and of what was stored before.
        epoch_id: the number of an epoch (tenant, probe, epoch) of the batch.
        stored_at: the time by the centre's clock.
    """
    blocks, certificates = list[Row](), dict[tuple[str, str, str], Row]()
    for message in messages:
        if isinstance(message, ResultsMessage) and message.signatures:
            stored = known[EpochKey(message.tenant, message.probe, message.epoch)][1]
            blocks += _rows(message, stored, epoch_id, microseconds(stored_at))
        elif isinstance(message, StatusMessage) and message.certificate is not None:
            name = message.tenant, message.probe, message.certificate.key
            certificates[name] = _certificate_row(message, message.certificate)
    if blocks:
        transaction.insert(SIGNATURES, blocks)
    if certificates:
        transaction.insert(CERTIFICATES, list(certificates.values()))


def _rows(
    message: ResultsMessage, stored: Ledger, epoch_id: EpochId, stored_us: int
) -> Iterator[Row]:
    started = {record.seq: record.result.started_at for record in message.records}
    for signed in message.signatures:
        here = [seq for seq in signed.block.seqs if seq in started]
        if here and stored.without(here):
            yield _row(message, signed, (microseconds(started[here[0]]), stored_us), epoch_id)


def _row(
    message: ResultsMessage, signed: SignedBlock, times: tuple[int, int], epoch_id: EpochId
) -> Row:
    block = signed.block
    here = {record.seq for record in message.records}
    digests = b"".join(
        _DIGEST.pack(seq, bytes.fromhex(digest))
        for seq, digest in zip(block.seqs, signed.digests, strict=True)
        if seq not in here
    )
    sent = [(seq, message.sent[seq]) for seq in block.seqs if seq in message.sent]
    return (
        *times,
        block.first,
        epoch_id((message.tenant, message.probe, str(message.epoch))),
        block.count,
        OUTCOMES.index(signed.outcome or SignatureOutcome.UNKNOWN_KEY),
        bytes.fromhex(block.key),
        bytes.fromhex(block.previous),
        decode_signature(block.signature),
        digests or None,
        zlib.compress(msgspec.msgpack.encode(sent)) if sent else None,
    )


def _certificate_row(message: StatusMessage, one: ProbeCertificate) -> Row:
    begins, ends = utc_text(one.begins), utc_text(one.ends)
    return (message.tenant, message.probe, one.key, begins, ends, one.der)


def certificates(database: Database, tenant: str, probe: str) -> list[ProbeCertificate]:
    """The certificates of a probe, by their key."""
    rows = database.read(
        "SELECT key, certificate, begins_at, ends_at FROM probe_certificates "
        "WHERE tenant = ? AND probe = ?",
        (tenant, probe),
    )
    return [
        ProbeCertificate(key, bytes(der), columns.time(begins), columns.time(ends))
        for key, der, begins, ends in sorted(rows)
    ]


def signatures(database: Database, epoch: EpochKey, first: int, last: int) -> list[StoredSignature]:
    """The blocks of an epoch that cover a result from `first` to `last`, ascending."""
    rows = database.read(
        f"SELECT {COLUMNS} FROM epochs JOIN signature_blocks USING (epoch_id) "
        "WHERE tenant = ? AND probe = ? AND epoch = ? AND first_seq BETWEEN ? AND ?",
        (epoch.tenant, epoch.probe, str(epoch.epoch), first - MAX_BLOCK_RESULTS + 1, last),
    )
    found = [stored_block(row) for row in rows]
    found.sort(key=lambda one: one.block.first)
    return [one for one in found if one.block.last >= first]


def outcomes(database: Database, results: Sequence[StoredResult]) -> list[SignatureOutcome | None]:
    """What came of checking each result's signature; None where it is unsigned."""
    found = _outcomes_by_block(database, results)
    return [_outcome(result, found.get(_epoch_of(result), ())) for result in results]


_Outcomes = Sequence[tuple[range, SignatureOutcome]]


def _outcomes_by_block(
    database: Database, results: Sequence[StoredResult]
) -> dict[EpochKey, list[tuple[range, SignatureOutcome]]]:
    spans: dict[EpochKey, tuple[int, int]] = {}
    for result in results:
        key = _epoch_of(result)
        low, high = spans.get(key, (result.seq, result.seq))
        spans[key] = min(low, result.seq), max(high, result.seq)
    found: dict[EpochKey, list[tuple[range, SignatureOutcome]]] = {}
    every = sorted(spans.items())
    for at in range(0, len(every), _EPOCHS_AT_ONCE):
        some = every[at : at + _EPOCHS_AT_ONCE]
        marks = ", ".join(["(?, ?, ?, CAST(? AS bigint), CAST(? AS bigint))"] * len(some))
        values = [
            (key.tenant, key.probe, str(key.epoch), low - MAX_BLOCK_RESULTS + 1, high)
            for key, (low, high) in some
        ]
        for tenant, probe, epoch, first, count, outcome in database.read(
            f"WITH wanted (tenant, probe, epoch, low, high) AS (VALUES {marks}) "
            "SELECT e.tenant, e.probe, e.epoch, s.first_seq, s.results, s.outcome FROM wanted "
            "CROSS JOIN epochs AS e CROSS JOIN signature_blocks AS s WHERE "
            "e.tenant = wanted.tenant AND e.probe = wanted.probe AND e.epoch = wanted.epoch "
            "AND s.epoch_id = e.epoch_id AND s.first_seq BETWEEN low AND high",
            list(chain.from_iterable(values)),
        ):
            key = EpochKey(tenant, probe, UUID(epoch))
            block = range(first, first + count), OUTCOMES[outcome]
            found.setdefault(key, []).append(block)
    return found


def _outcome(result: StoredResult, blocks: _Outcomes) -> SignatureOutcome | None:
    # A block that came in two parts may have matched in one of them only: the result's flag says.
    if _MISMATCH in result.body:
        return SignatureOutcome.MISMATCH
    covering = {outcome for seqs, outcome in blocks if result.seq in seqs}
    return next((outcome for outcome in OUTCOMES if outcome in covering), None)


def _epoch_of(result: StoredResult) -> EpochKey:
    return EpochKey(result.tenant, result.probe, result.epoch)


def stored_block(row: Row) -> StoredSignature:
    """The block of a row of `COLUMNS`."""
    tenant, probe, epoch, first, count, outcome, key, previous, signature, digests, sent = row
    return StoredSignature(
        EpochKey(tenant, probe, UUID(epoch)),
        SignatureBlock(
            first=first,
            count=count,
            key=bytes(key).hex(),
            previous=bytes(previous).hex(),
            signature=encode_signature(bytes(signature)),
        ),
        OUTCOMES[outcome],
        {seq: digest.hex() for seq, digest in _DIGEST.iter_unpack(bytes(digests or b""))},
        _sent(sent),
    )


def _sent(packed: bytes | None) -> dict[int, bytes]:
    if packed is None:
        return {}
    plain = msgspec.msgpack.decode(zlib.decompress(bytes(packed)))
    return dict(converted(plain, list[tuple[int, bytes]]))
