"""Floor 1. Envelope: numbered results of one kind from one probe, as one MQTT payload.

`(probe, epoch, seq)` is a result's identity for ever. `epoch` is a UUID that is drawn each time the
probe opens its outbox (decision 67); `seq` starts at 1 in each epoch and has no holes but those
that a `results_dropped` names, which may be of a later epoch. A collector that has all of an epoch
up to `seq` has all that the probe ever measured in it up to there.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from wire.clock_repair import ClockNote
from wire.decoding import decode_json
from wire.result import AnyResult, Name, Seq, Utc
from wire.signature import SignatureBlock
from wire.site import Site

SCHEMA: Final = "tramdo/1"
# The largest envelope, for brokers and collectors: the longest test in the finest steps fits.
MAX_ENVELOPE_BYTES = 1_048_576
# Each covers a result of the envelope, and it has at most a thousand.
SignatureBlocks = Annotated[list[SignatureBlock], Meta(max_length=1_000)]


class Record(Struct, frozen=True, forbid_unknown_fields=True):
    """A result with its sequence number in the epoch."""

    seq: Seq
    result: AnyResult


class _Sender(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What every form of an envelope has: which probe sends it, from where and when."""

    schema: Literal["tramdo/1"] = SCHEMA
    tenant: Name
    probe: Name
    epoch: UUID
    site: Site
    sent_at: Utc
    clock: ClockNote | None = None


class Envelope(_Sender, frozen=True, kw_only=True):
    """The payload of `tramdo/v1/{tenant}/{probe}/m/{kind}`.

    `clock` is present when a result was measured while the probe's clock was not synchronised.
    `signatures` are the blocks that cover its results (`wire.signature`), ascending; absent from a
    probe that does not sign.
    """

    records: Annotated[list[Record], Meta(min_length=1)]
    signatures: SignatureBlocks | UnsetType = UNSET


class RawRecord(Struct, frozen=True, forbid_unknown_fields=True):
    """A record whose result is undecoded JSON, byte for byte as the probe sent it."""

    seq: Seq
    result: msgspec.Raw


class EnvelopeFrame(_Sender, frozen=True, kw_only=True):
    """An envelope with undecoded results, so that each can be validated by itself."""

    records: Annotated[list[RawRecord], Meta(min_length=1)]
    signatures: SignatureBlocks | UnsetType = UNSET


class EnvelopeEnd(_Sender, frozen=True, kw_only=True):
    """An envelope without its records."""

    signatures: SignatureBlocks | UnsetType = UNSET


def encode_envelope(
    tenant: str,
    probe: str,
    epoch: UUID,
    site: Site,
    sent_at: datetime,
    numbered_bodies: Sequence[tuple[int, bytes]],
    clock: ClockNote | None = None,
    signatures: Sequence[SignatureBlock] = (),
) -> bytes:
    """Encode an envelope from encoded results (`encode_result`).

    The results are copied byte for byte.
    """
    return msgspec.json.encode(
        EnvelopeFrame(
            tenant=tenant,
            probe=probe,
            epoch=epoch,
            site=site,
            sent_at=sent_at,
            clock=clock,
            records=[RawRecord(seq, msgspec.Raw(body)) for seq, body in numbered_bodies],
            signatures=list(signatures) or UNSET,
        )
    )


def encode_envelope_end(
    tenant: str,
    probe: str,
    epoch: UUID,
    site: Site,
    sent_at: datetime,
    clock: ClockNote | None = None,
    signatures: Sequence[SignatureBlock] = (),
) -> bytes:
    """What follows the last record of an envelope that begins with its records."""
    rest = EnvelopeEnd(
        tenant=tenant,
        probe=probe,
        epoch=epoch,
        site=site,
        sent_at=sent_at,
        clock=clock,
        signatures=list(signatures) or UNSET,
    )
    return b"]," + msgspec.json.encode(rest)[1:]


def decode_envelope(payload: bytes) -> Envelope:
    """Decode an envelope and check every field.

    Raises:
        msgspec.ValidationError: JSON, but not an envelope; the message names the place.
        msgspec.DecodeError: not JSON.
    """
    envelope: Envelope = decode_json(payload, Envelope)
    return envelope


def decode_whole(payload: bytes) -> tuple[Envelope, list[bytes]] | None:
    """Decode an envelope with all of its results at once; returns it and each result's JSON.

    Returns None where something is wrong with it, or where it has neither the form of
    `encode_envelope` nor that of `encode_envelope_end` behind records: then `decode_frame` says
    more, at a higher price.
    """
    # Without a backslash each key is spelled as it is named, and each quotation mark begins or ends
    # a text.
    if b"\\" in payload:
        return None
    try:
        envelope: Envelope = decode_json(payload, Envelope)
    except msgspec.MsgspecError:
        return None
    bodies = _bodies(payload, envelope)
    return None if bodies is None else (envelope, bodies)


def _bodies(payload: bytes, envelope: Envelope) -> list[bytes] | None:
    """The JSON of each result of a sound envelope without a backslash; None: another form.

    Each record begins with its number, then has its result, and nothing else: what stands between
    two of these beginnings is a result and the end of its record.
    """
    is_burst = payload.startswith(b'{"records":[')
    between, end_of = (
        (b'},\n{"seq":', _end_before_names) if is_burst else (b'},{"seq":', _end_of_records)
    )
    parts = payload.partition(b'[{"seq":')[2].split(between)
    # A setting of that name would be one more, as would a result that stands twice in a record.
    if not len(parts) == payload.count(b'"result"') == len(envelope.records):
        return None
    last, end = parts[-1], end_of(parts[-1], envelope)
    if not end or not last.endswith(end):
        return None
    parts[-1] = last[: -len(end)]
    bodies = []
    for record, part in zip(envelope.records, parts, strict=True):
        begin = b'%d,"result":{' % record.seq
        if not part.startswith(begin) or not part.endswith(b"}"):
            return None
        bodies.append(part[len(begin) - 1 :])
    return bodies


def _end_of_records(last: bytes, envelope: Envelope) -> bytes:
    """What follows the last result; empty: another form."""
    if envelope.signatures is UNSET:
        # No other list is an envelope's last value.
        return b"}]}"
    body, mark, rest = last.partition(b'}],"signatures":[')
    return mark + rest if b'"signatures"' not in body and b'"signatures"' not in rest else b""


def _end_before_names(last: bytes, envelope: Envelope) -> bytes:
    """The same of a burst's envelope, which begins with its records, one a line."""
    body, mark, rest = last.partition(b'}],"schema":')
    try:
        # Read as an object of its own: what stands there ends the envelope, and no part of it.
        end: EnvelopeEnd = decode_json(b'{"schema":' + rest, EnvelopeEnd)
    except msgspec.MsgspecError:
        return b""
    # Another list before them is of signatures, which would be twice in the text or not here.
    is_all = end.signatures == envelope.signatures and b'"signatures"' not in body
    return mark + rest if is_all else b""


def decode_frame(payload: bytes) -> EnvelopeFrame:
    """Decode an envelope and check every field except the results, which stay JSON bytes.

    Raises:
        msgspec.ValidationError: JSON, but not an envelope; the message names the place.
        msgspec.DecodeError: not JSON.
    """
    frame: EnvelopeFrame = decode_json(payload, EnvelopeFrame)
    return frame
