"""Floor 1. The signature blocks of an envelope, and which of them a verified signature covers.

A block's text has the digest of the block before it. So where blocks of one epoch and key arrive
together and are linked, the last signature covers all of them, and the others need not be verified.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from msgspec import UnsetType, structs

from collector.store.messages import (
    NumberedResult,
    ResultsMessage,
    SignatureOutcome,
    SignedBlock,
)
from wire.result import Validity, encode_result
from wire.signature import (
    SignatureBlock,
    all_digests,
    block_digest,
    is_ordered,
    record_digest,
    signed_text,
)


class Claim(NamedTuple):
    """A block of a message, with its signed text and the times at which its key must be in force.

    `times` are when its first result began, as far as it is here, and when it arrived.
    """

    message: ResultsMessage
    block: SignatureBlock
    text: bytes
    times: tuple[datetime, ...]


# Whether a signature is of a text by a key of the probe.
Verify = Callable[[Claim], SignatureOutcome]


def signed_blocks(
    blocks: Sequence[SignatureBlock] | UnsetType, sent: Iterable[tuple[int, bytes]]
) -> tuple[SignedBlock, ...]:
    """The blocks of an envelope with the digests of its results, of which `sent` has the JSON.

    Left out, so that their results count as unsigned, are those that cover no result of the
    envelope or of which a digest is missing, and all where they are out of order.
    """
    if isinstance(blocks, UnsetType) or not is_ordered(blocks):
        return ()
    carried = {seq: record_digest(body) for seq, body in sent}
    found = []
    for block in blocks:
        digests = all_digests(block, carried)
        if digests is not None and not carried.keys().isdisjoint(block.seqs):
            found.append(SignedBlock(block, tuple(digests)))
    return tuple(found)


def claims_of(message: ResultsMessage) -> list[Claim]:
    """The claims of a message, one for each of its blocks, in their order."""
    started = {record.seq: record.result.started_at for record in message.records}
    return [
        Claim(
            message,
            signed.block,
            signed_text(
                message.tenant,
                message.probe,
                message.epoch,
                signed.block.first,
                signed.block.previous,
                signed.digests,
            ),
            (
                *(started[seq] for seq in signed.block.seqs if seq in started),
                message.received_at,
            ),
        )
        for signed in message.signatures
    ]


def outcomes(claims: Sequence[Claim], verify: Verify) -> list[SignatureOutcome]:
    """What came of checking each claim; `verify` is asked as seldom as the chains allow."""
    found: dict[int, SignatureOutcome] = {}
    for chain in _chains(claims).values():
        covered: set[str] = set()
        for place in chain:
            claim = claims[place]
            if block_digest(claim.text) in covered:
                found[place] = SignatureOutcome.CHECKED
            else:
                found[place] = verify(claim)
            if found[place] is SignatureOutcome.CHECKED:
                covered.add(claim.block.previous)
    return [found[place] for place in range(len(claims))]


def _chains(claims: Iterable[Claim]) -> Mapping[tuple[object, ...], list[int]]:
    """The places of the claims of each epoch and key, the last block first."""
    chains: dict[tuple[object, ...], list[int]] = defaultdict(list)
    numbered = sorted(enumerate(claims), key=lambda one: one[1].block.first, reverse=True)
    for place, claim in numbered:
        message = claim.message
        chains[message.tenant, message.probe, message.epoch, claim.block.key].append(place)
    return chains


def with_outcomes(message: ResultsMessage, found: Sequence[SignatureOutcome]) -> ResultsMessage:
    """The message with what came of its blocks; results of a mismatch are flagged."""
    signatures = tuple(
        structs.replace(signed, outcome=outcome)
        for signed, outcome in zip(message.signatures, found, strict=True)
    )
    wrong = {
        seq
        for signed in signatures
        if signed.outcome is SignatureOutcome.MISMATCH
        for seq in signed.block.seqs
    }
    if not wrong:
        return structs.replace(message, signatures=signatures)
    sent = {
        record.seq: record.body for record in message.records if record.seq in wrong
    } | message.sent
    records = tuple(
        _flagged(record) if record.seq in wrong else record for record in message.records
    )
    return structs.replace(message, records=records, signatures=signatures, sent=sent)


def _flagged(record: NumberedResult) -> NumberedResult:
    flags = sorted({*record.result.validity, Validity.SIGNATURE_MISMATCH})
    result = structs.replace(record.result, validity=flags)
    return NumberedResult(record.seq, result, encode_result(result))
